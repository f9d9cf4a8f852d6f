//===- SplitChannels.cpp - Expansions group of channels by group -----------------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"
#include "lib/Transforms/ConvolutionKernel.h"
#include "lib/Transforms/GraphSchedule.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_SPLITCHANNELS
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

/// A pointwise convolution and the depthwise one that alone reads its result.
struct Pair {
  KernelOp expand, depthwise;

  Value expanded() { return expand.getResult(0); }
  Value result() { return depthwise.getResult(0); }
  int64_t channels() { return cast<ShapedType>(result().getType()).getShape().back(); }
};

std::optional<Pair> pairOf(KernelOp expand) {
  Conv2DOp pointwise = convolutionOf(expand);
  if (!pointwise || pointwise.getGroups() != 1 || !expand.getResult(0).hasOneUse())
    return std::nullopt;
  auto depthwise = dyn_cast<KernelOp>(*expand->user_begin());
  Conv2DOp conv = depthwise ? convolutionOf(depthwise) : nullptr;
  if (!conv)
    return std::nullopt;
  ArrayRef<int64_t> weight = cast<ShapedType>(conv.getWeight().getType()).getShape(),
                    input = cast<ShapedType>(conv.getInput().getType()).getShape();
  auto arg = dyn_cast<BlockArgument>(conv.getInput());
  if (!isDepthwise(conv.getGroups(), input[3], weight) || !arg || !arg.hasOneUse() ||
      depthwise->getOperand(arg.getArgNumber()) != expand.getResult(0))
    return std::nullopt;
  return Pair{expand, depthwise};
}

struct SplitChannels : tinytrain::impl::SplitChannelsBase<SplitChannels> {
  using SplitChannelsBase::SplitChannelsBase;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal())
      return;
    SmallVector<Pair> pairs;
    for (KernelOp kernel : func.front().getOps<KernelOp>())
      if (std::optional<Pair> pair = pairOf(kernel))
        pairs.push_back(*pair);
    if (pairs.empty())
      return;

    llvm::MapVector<Operation *, int64_t> profile = profileInOrder(func);
    DenseSet<Operation *> paired;
    for (Pair &pair : pairs)
      paired.insert_range(ArrayRef<Operation *>{pair.expand, pair.depthwise});
    int64_t others = 0;
    for (auto [op, bytes] : profile)
      if (!paired.contains(op) && !op->hasTrait<OpTrait::ConstantLike>())
        others = std::max(others, bytes);

    for (Pair &pair : pairs) {
      int64_t whole = std::max(profile[pair.expand], profile[pair.depthwise]);
      if (whole <= others)
        continue;
      // The expansion's input lives on beside the result.
      int64_t rest = profile[pair.expand] - bytesOf(pair.expanded()) + bytesOf(pair.result());
      int64_t groups = chooseGroups(pair, rest, others);
      if (rest + bytesOf(pair.expanded()) / groups < whole)
        split(pair, groups);
    }
  }

private:
  /// As few groups as bring the pair's need down to `goal`, or as many as there may be.
  int64_t chooseGroups(Pair &pair, int64_t rest, int64_t goal) const {
    // Narrower groups would not fill vectors and register tiles.
    constexpr int64_t kMinChannels = 4;
    int64_t groups = 1, channels = pair.channels();
    for (int64_t n = 2; n <= int64_t(maxGroups) && n * kMinChannels <= channels; ++n) {
      if (rest + bytesOf(pair.expanded()) / groups <= goal)
        break;
      if (channels % n == 0)
        groups = n;
    }
    return groups;
  }

  void split(Pair &pair, int64_t groups) {
    int64_t size = pair.channels() / groups;
    OpBuilder b(pair.depthwise);
    auto type = cast<RankedTensorType>(pair.result().getType());
    Value whole =
        tensor::EmptyOp::create(b, pair.depthwise.getLoc(), type.getShape(), type.getElementType());
    for (int64_t first = 0; first < pair.channels(); first += size) {
      KernelOp expand = clonePart(b, pair.expand, first, size, /*replacedInput=*/nullptr);
      KernelOp depthwise = clonePart(b, pair.depthwise, first, size, expand.getResult(0));
      whole = writeInto(depthwise, whole, first);
    }
    numBytes += bytesOf(pair.expanded()) / groups * (groups - 1);
    ++numSplit;
    pair.result().replaceAllUsesWith(whole);
    pair.depthwise.erase();
    pair.expand.erase();
  }

  /// Channels `first` to `first + size - 1` of a type.
  static RankedTensorType channelsOf(Type type, int64_t first, int64_t size) {
    return sliceType(type, cast<RankedTensorType>(type).getRank() - 1, first, size);
  }

  /// A kernel that computes channels `first` to `first + size - 1` of what `kernel` computes.
  /// `part`, if given, are these channels of the root's input.
  static KernelOp clonePart(OpBuilder &b, KernelOp kernel, int64_t first, int64_t size,
                            Value part) {
    OpBuilder::InsertionGuard guard(b);
    Conv2DOp root = convolutionOf(kernel);
    unsigned inputNumber = cast<BlockArgument>(root.getInput()).getArgNumber();
    SmallVector<Value> inputs(kernel.getInputs());
    if (part)
      inputs[inputNumber] = part;
    auto result = KernelOp::create(
        b, kernel.getLoc(), channelsOf(kernel.getResult(0).getType(), first, size), inputs,
        ValueRange(), kernel.getLabelAttr(),
        b.getI64IntegerAttr(kernel.getMacs() * size /
                            cast<ShapedType>(kernel.getResult(0).getType()).getShape().back()));
    Block *body = b.createBlock(&result.getBody());
    IRMapping map;
    for (auto [arg, input] : llvm::zip(kernel.getKernelBlock()->getArguments(), inputs))
      map.map(arg, body->addArgument(input.getType(), arg.getLoc()));
    for (Operation &op : *kernel.getKernelBlock()) {
      SmallVector<std::pair<Value, Value>> whole;
      for (Value operand : op.getOperands()) {
        auto arg = dyn_cast<BlockArgument>(operand);
        if (!arg || (&op == root && operand == root.getInput()))
          continue;
        // A weight's output channels, else the last dimension.
        bool isDense = &op == root && root.getGroups() == 1;
        whole.emplace_back(operand, map.lookup(operand));
        map.map(operand, sliceOf(b, map.lookup(operand), isDense ? 0 : -1, first, size));
      }
      Operation *clone = b.clone(op, map);
      for (OpResult value : clone->getResults())
        value.setType(channelsOf(value.getType(), first, size));
      if (auto conv = dyn_cast<Conv2DOp>(clone); conv && conv.getGroups() > 1)
        conv.setGroups(size);
      for (auto [operand, mapped] : whole)
        map.map(operand, mapped);
    }
    return result;
  }

  static Value sliceOf(OpBuilder &b, Value value, int64_t dim, int64_t first, int64_t size) {
    auto type = cast<RankedTensorType>(value.getType());
    // A scalar is the same for all channels.
    if (type.getRank() == 0)
      return value;
    if (dim < 0)
      dim += type.getRank();
    SmallVector<int64_t> offsets(type.getRank(), 0), sizes(type.getShape()),
        strides(type.getRank(), 1);
    offsets[dim] = first;
    sizes[dim] = size;
    return SliceOp::create(b, value.getLoc(), value, offsets, sizes, strides);
  }

  /// Makes the kernel write its result to the channels of `whole` from `first` on; returns
  /// the new whole.
  static Value writeInto(KernelOp kernel, Value whole, int64_t first) {
    auto part = cast<RankedTensorType>(kernel.getResult(0).getType());
    OpBuilder b(kernel);
    auto result = KernelOp::create(b, kernel.getLoc(), whole.getType(), kernel.getInputs(), whole,
                                   kernel.getLabelAttr(), kernel.getMacsAttr());
    result.getBody().takeBody(kernel.getBody());
    Block *body = result.getKernelBlock();
    BlockArgument init = body->addArgument(whole.getType(), kernel.getLoc());
    auto yield = cast<YieldOp>(body->getTerminator());
    b.setInsertionPoint(yield);
    MLIRContext *context = b.getContext();
    SmallVector<int64_t> offsets(part.getRank(), 0), strides(part.getRank(), 1);
    offsets.back() = first;
    Value inserted = tensor::InsertSliceOp::create(
        b, kernel.getLoc(), yield.getResults()[0], init, getAsIndexOpFoldResult(context, offsets),
        getAsIndexOpFoldResult(context, part.getShape()), getAsIndexOpFoldResult(context, strides));
    yield.getResultsMutable().assign(inserted);
    kernel.erase();
    return result.getResult(0);
  }
};

} // namespace
