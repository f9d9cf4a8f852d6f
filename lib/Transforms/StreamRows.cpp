//===- StreamRows.cpp - Chains of convolutions row by row ------------------------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"
#include "lib/Target/RowPipeline.h"
#include "lib/Transforms/ConvolutionKernel.h"
#include "lib/Transforms/GraphSchedule.h"

#include "mlir/IR/IRMapping.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_STREAMROWS
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

/// Convolutions in a row, each the only reader of the one before.
struct Chain {
  SmallVector<KernelOp> kernels;
  /// Bytes at the worst of them, as they are and row by row.
  int64_t peak = 0, streamedPeak = 0;

  Value input() { return imageOf(kernels.front()); }
  Value result() { return kernels.back().getResult(0); }

  /// What a kernel's convolution reads.
  static Value imageOf(KernelOp kernel) {
    auto arg = cast<BlockArgument>(convolutionOf(kernel).getInput());
    return kernel->getOperand(arg.getArgNumber());
  }
};

struct StreamRows : tinytrain::impl::StreamRowsBase<StreamRows> {
  using StreamRowsBase::StreamRowsBase;

  void runOnOperation() override {
    std::vector<Chain> chains;
    int64_t goal = 0;
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func.isExternal())
        goal = std::max(goal, collect(func, chains));
    for (Chain &chain : chains)
      goal = std::max(goal, std::min(chain.peak, chain.streamedPeak));
    for (Chain &chain : chains)
      if (chain.peak > goal && chain.streamedPeak < chain.peak)
        stream(chain);
  }

private:
  static bool canStream(KernelOp kernel);
  static Chain chainFrom(KernelOp first);
  static KernelOp build(Chain &chain);
  int64_t collect(func::FuncOp func, std::vector<Chain> &chains);
  void stream(Chain &chain);
};

} // namespace

static ArrayRef<int64_t> shapeOf(Value value) {
  return cast<ShapedType>(value.getType()).getShape();
}

/// True if rows of an int8 image are computed from rows of another.
bool StreamRows::canStream(KernelOp kernel) {
  Conv2DOp conv = convolutionOf(kernel);
  if (!conv || !isa<BlockArgument>(conv.getInput()) || !conv.getInput().hasOneUse() ||
      conv.getDilations()[0] != 1)
    return false;
  for (Value image : {Chain::imageOf(kernel), kernel.getResult(0)}) {
    quant::QuantizedType type = quantizedElement(image);
    if (!type || !type.getStorageType().isInteger(8))
      return false;
  }
  return true;
}

/// The longest chain behind `first` whose end is not wider than its start.
Chain StreamRows::chainFrom(KernelOp first) {
  Chain chain;
  chain.kernels.push_back(first);
  while (true) {
    Value last = chain.result();
    auto next = last.hasOneUse() ? dyn_cast<KernelOp>(*last.user_begin()) : nullptr;
    if (!next || !canStream(next) || Chain::imageOf(next) != last)
      return chain;
    // A narrow image is worth keeping, unless the next one is narrower.
    if (bytesOf(last) <= bytesOf(chain.input()) && bytesOf(next.getResult(0)) >= bytesOf(last))
      return chain;
    chain.kernels.push_back(next);
  }
}

/// Adds the chains of a function; returns what its other ops need at most.
int64_t StreamRows::collect(func::FuncOp func, std::vector<Chain> &chains) {
  llvm::MapVector<Operation *, int64_t> profile = profileInOrder(func);
  DenseSet<Operation *> chained;
  for (auto kernel : func.front().getOps<KernelOp>()) {
    if (chained.contains(kernel) || !canStream(kernel))
      continue;
    Chain chain = chainFrom(kernel);
    if (chain.kernels.size() < 2)
      continue;
    KernelOp streamed = build(chain);
    // What lives beside the chain from its start to its end.
    int64_t beside = profile[kernel] - bytesOf(kernel.getResult(0));
    chain.streamedPeak = beside + bytesOf(chain.result()) + bytesOf(Value(streamed.getResult(1)));
    streamed.erase();
    for (KernelOp member : chain.kernels)
      chain.peak = std::max(chain.peak, profile[member]);
    // With the constants that stand between its kernels.
    for (Operation *op = kernel; op != chain.kernels.back()->getNextNode(); op = op->getNextNode())
      chained.insert(op);
    chains.push_back(chain);
  }
  int64_t others = 0;
  for (auto [op, bytes] : profile)
    if (!chained.contains(op))
      others = std::max(others, bytes);
  return others;
}

/// The type of `rows` rows of one image.
static RankedTensorType rowsOf(Type type, int64_t rows) {
  SmallVector<int64_t> shape(cast<RankedTensorType>(type).getShape());
  shape[0] = 1;
  shape[1] = rows;
  return RankedTensorType::get(shape, cast<RankedTensorType>(type).getElementType());
}

/// A kernel for one row of what `kernel` computes, from `window` and the pipeline's operands.
static Value buildStage(OpBuilder &b, KernelOp kernel, Value window, const IRMapping &whole) {
  Conv2DOp conv = convolutionOf(kernel);
  Location loc = kernel.getLoc();
  Type image = kernel.getResult(0).getType();
  SmallVector<Value> operands;
  for (BlockArgument arg : kernel.getKernelBlock()->getArguments()) {
    if (arg == conv.getInput()) {
      operands.push_back(window);
      continue;
    }
    Value operand = whole.lookup(kernel->getOperand(arg.getArgNumber()));
    // Another image, read at the same place.
    if (arg != conv.getWeight() && shapeOf(operand) == cast<ShapedType>(image).getShape())
      operand = RowWindowOp::create(b, loc, rowsOf(operand.getType(), 1), operand, /*rows=*/1,
                                    /*step=*/1, /*offset=*/0, shapeOf(operand)[1], /*fill=*/0);
    operands.push_back(operand);
  }
  auto stage = KernelOp::create(b, loc, rowsOf(image, 1), operands, ValueRange(),
                                kernel.getLabelAttr(), kernel.getMacsAttr());
  OpBuilder inner(b.getContext());
  Block *block = inner.createBlock(&stage.getBody());
  IRMapping map;
  for (auto [arg, operand] : llvm::zip(kernel.getKernelBlock()->getArguments(), operands))
    map.map(arg, block->addArgument(operand.getType(), loc));
  for (Operation &op : *kernel.getKernelBlock()) {
    Operation *clone = inner.clone(op, map);
    if (auto row = dyn_cast<Conv2DOp>(clone))
      row.setPadding({0, 0, conv.getPadding()[2], conv.getPadding()[3]});
    for (OpResult value : clone->getResults())
      value.setType(rowsOf(value.getType(), 1));
  }
  return stage.getResult(0);
}

/// The row pipeline that computes what the chain does, behind it.
KernelOp StreamRows::build(Chain &chain) {
  llvm::SetVector<Value> inputs;
  inputs.insert(chain.input());
  int64_t macs = 0;
  for (KernelOp kernel : chain.kernels) {
    macs += kernel.getMacs();
    for (Value operand : kernel.getInputs())
      if (!llvm::is_contained(chain.kernels, operand.getDefiningOp()))
        inputs.insert(operand);
  }
  OpBuilder b(chain.kernels.back());
  Location loc = chain.kernels.front().getLoc();
  auto byte = [&](int64_t size) { return RankedTensorType::get({size}, b.getI8Type()); };
  auto pipeline =
      KernelOp::create(b, loc, TypeRange{chain.result().getType(), byte(1)}, inputs.getArrayRef(),
                       ValueRange(), b.getStringAttr("row_pipeline"), b.getI64IntegerAttr(macs));
  Block *body = b.createBlock(&pipeline.getBody());
  IRMapping whole;
  for (Value input : inputs)
    whole.map(input, body->addArgument(input.getType(), input.getLoc()));

  Value row;
  for (KernelOp kernel : chain.kernels) {
    Conv2DOp conv = convolutionOf(kernel);
    auto image = cast<RankedTensorType>(conv.getInput().getType());
    int64_t taps = shapeOf(conv.getWeight())[1];
    Location at = kernel.getLoc();
    Value window =
        RowWindowOp::create(b, at, rowsOf(image, taps), row ? row : whole.lookup(chain.input()),
                            taps, conv.getStrides()[0], -conv.getPadding()[0], image.getDimSize(1),
                            zeroPointOf(quantizedElement(image)));
    row = buildStage(b, kernel, window, whole);
  }
  Value joined = JoinRowsOp::create(b, loc, chain.result().getType(), row);
  auto yield = YieldOp::create(b, loc, joined);
  b.setInsertionPoint(yield);
  int64_t bytes = std::max<int64_t>(1, RowPipeline::get(pipeline).bytes);
  yield.getResultsMutable().append(
      tensor::EmptyOp::create(b, loc, ArrayRef<int64_t>{bytes}, b.getI8Type()).getResult());
  pipeline.getResult(1).setType(byte(bytes));
  return pipeline;
}

void StreamRows::stream(Chain &chain) {
  KernelOp pipeline = build(chain);
  for (KernelOp kernel : ArrayRef(chain.kernels).drop_back())
    numBytes += bytesOf(kernel.getResult(0));
  ++numChains;
  chain.result().replaceAllUsesWith(pipeline.getResult(0));
  for (KernelOp kernel : llvm::reverse(chain.kernels))
    kernel.erase();
}
