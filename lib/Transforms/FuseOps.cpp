//===- FuseOps.cpp - Groups root ops with the elementwise ops after them ---------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_FUSEOPS
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

/// matmul(transpose(a), b) -> matmul(a, b) with the flag flipped, on either side.
struct FoldTransposeIntoMatmul : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  static Value matrixTransposeSource(Value value) {
    auto transpose = value.getDefiningOp<TransposeOp>();
    if (!transpose)
      return nullptr;
    ArrayRef<int64_t> p = transpose.getPermutation();
    int64_t rank = p.size();
    bool swapsLastTwo = p[rank - 1] == rank - 2 && p[rank - 2] == rank - 1;
    return swapsLastTwo ? transpose.getInput() : nullptr;
  }

  LogicalResult matchAndRewrite(MatmulOp op, PatternRewriter &rewriter) const override {
    Value lhs = matrixTransposeSource(op.getLhs()), rhs = matrixTransposeSource(op.getRhs());
    if (!lhs && !rhs)
      return rewriter.notifyMatchFailure(op, "no operand is a matrix transpose");
    rewriter.replaceOpWithNewOp<MatmulOp>(
        op, op.getType(), lhs ? lhs : op.getLhs(), rhs ? rhs : op.getRhs(),
        op.getTransposeLhs() != (lhs != nullptr), op.getTransposeRhs() != (rhs != nullptr));
    return success();
  }
};

/// Ops that become one kernel, and the op whose place the kernel takes.
struct Group {
  SmallVector<Operation *> members;
  Operation *place;
};

/// True for a parameter that is read as the join of its trained and its frozen part.
bool isJoinedParameter(Value value) {
  auto concat = value.getDefiningOp<ConcatOp>();
  return concat && llvm::all_of(concat.getInputs(), llvm::IsaPred<BlockArgument>);
}

/// Calls `visit` with `value`, or with what it joins.
void forEachPart(Value value, function_ref<void(Value)> visit) {
  if (isJoinedParameter(value))
    llvm::for_each(value.getDefiningOp()->getOperands(), visit);
  else
    visit(value);
}

/// The ops that read `value`, alone or joined.
SmallVector<Operation *> readersOf(Value value) {
  SmallVector<Operation *> readers;
  for (Operation *user : value.getUsers())
    if (isa<ConcatOp>(user) && isJoinedParameter(user->getResult(0)))
      llvm::append_range(readers, user->getUsers());
    else
      readers.push_back(user);
  return readers;
}

struct FuseOps : tinytrain::impl::FuseOpsBase<FuseOps> {
  using FuseOpsBase::FuseOpsBase;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal())
      return;
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldTransposeIntoMatmul>(&getContext());
    if (failed(applyPatternsGreedily(func, std::move(patterns))))
      return signalPassFailure();

    Block &block = func.front();
    // Kernels read a requantization's factors from a table.
    for (auto op : block.getOps<RequantizeOp>()) {
      SmallVector<float> factors = op.computeMultipliers();
      if (factors.size() == 1)
        continue;
      OpBuilder b(op);
      auto type = RankedTensorType::get({int64_t(factors.size())}, b.getF32Type());
      op.getMultipliersMutable().assign(arith::ConstantOp::create(
          b, op.getLoc(), type, DenseElementsAttr::get(type, ArrayRef<float>(factors))));
    }
    SmallVector<Operation *> starts;
    for (Operation &op : block)
      if (op.hasTrait<KernelRoot>() || op.hasTrait<ElementwiseOp>())
        starts.push_back(&op);
    // Roots first: an elementwise op belongs to the root it follows.
    llvm::stable_sort(starts, [](Operation *a, Operation *b) {
      return a->hasTrait<KernelRoot>() > b->hasTrait<KernelRoot>();
    });

    DenseSet<Operation *> grouped;
    for (Operation *start : starts) {
      if (grouped.contains(start))
        continue;
      Group group{{start}, start};
      while (Operation *next = fuse ? findConsumer(group, grouped) : nullptr)
        group.members.push_back(next);
      grouped.insert(group.members.begin(), group.members.end());
      numFused += group.members.size() - 1;
      outline(group);
      ++numKernels;
    }
    // Each kernel joins the parts of a parameter itself.
    for (auto concat : llvm::make_early_inc_range(block.getOps<ConcatOp>()))
      if (concat->use_empty())
        concat.erase();
  }

private:
  /// The elementwise op to append to `group`, whose place is moved if need be.
  Operation *findConsumer(Group &group, const DenseSet<Operation *> &grouped);
  static bool canRunAt(Operation *place, Operation *op, const Group &group);
  void outline(Group &group);
};

} // namespace

/// True if `op` may run at `place`, which stands at or before it: its operands
/// exist there and a parameter it overwrites is read by nobody in between.
bool FuseOps::canRunAt(Operation *place, Operation *op, const Group &group) {
  for (Value operand : op->getOperands()) {
    Operation *def = operand.getDefiningOp();
    if (def && !llvm::is_contained(group.members, def) && !def->isBeforeInBlock(place))
      return false;
  }
  if (!op->hasTrait<InPlaceUpdate>())
    return true;
  return llvm::all_of(readersOf(op->getOperand(0)), [&](Operation *user) {
    return user == op || llvm::is_contained(group.members, user) || user->isBeforeInBlock(place);
  });
}

Operation *FuseOps::findConsumer(Group &group, const DenseSet<Operation *> &grouped) {
  Operation *last = group.members.back();
  if (last->getNumResults() != 1)
    return nullptr;
  Value value = last->getResult(0);
  Operation *consumer = nullptr;
  for (Operation *user : value.getUsers()) {
    if (user->hasTrait<OpTrait::IsTerminator>())
      continue;
    if (consumer && consumer != user)
      return nullptr;
    consumer = user;
  }
  if (!consumer || grouped.contains(consumer) || !consumer->hasTrait<ElementwiseOp>() ||
      isa<BroadcastOp>(consumer) ||
      (!consumer->hasTrait<InPlaceUpdate>() &&
       !haveSameShapes(value.getType(), consumer->getResult(0).getType())))
    return nullptr;
  // A bias, a factor or a mask has the result's shape by chance only.
  if (isa<BiasAddOp, ChannelScaleOp, DequantizeGradientOp, MaskGradOp, QuantizeGradientOp>(
          consumer) &&
      consumer->getOperand(0) != value)
    return nullptr;
  if (canRunAt(group.place, consumer, group))
    return consumer;

  // The group has to run later, at the consumer: not past an update of a parameter that it
  // reads. Updates inside kernels formed earlier show as kernels that take the parameter.
  bool isOverwritten = false;
  for (Operation *member : group.members)
    for (Value operand : member->getOperands())
      forEachPart(operand, [&](Value part) {
        for (Operation *user : part.getUsers())
          isOverwritten |= user != consumer && user->isBeforeInBlock(consumer) &&
                           ((user->hasTrait<InPlaceUpdate>() && user->getOperand(0) == part) ||
                            (isa<KernelOp>(user) && isa<BlockArgument>(part) &&
                             group.place->isBeforeInBlock(user)));
      });
  if (isOverwritten)
    return nullptr;
  group.place = consumer;
  return consumer;
}

void FuseOps::outline(Group &group) {
  llvm::SetVector<Value> inputs;
  SmallVector<Value> results;
  std::string label;
  int64_t macs = 0;
  for (Operation *op : group.members) {
    if (auto contraction = dyn_cast<ContractionOpInterface>(op))
      macs += contraction.getNumMACs();
    label += (label.empty() ? "" : "_") + op->getName().stripDialect().str();
    for (Value operand : op->getOperands())
      if (!llvm::is_contained(group.members, operand.getDefiningOp()))
        forEachPart(operand, [&](Value part) { inputs.insert(part); });
    for (Value result : op->getResults()) {
      if (llvm::any_of(result.getUsers(),
                       [&](Operation *user) { return !llvm::is_contained(group.members, user); }))
        results.push_back(result);
      else
        numBytes += bytesOf(result);
    }
  }
  OpBuilder b(group.place);
  Location loc = group.members.front()->getLoc();
  auto kernel = KernelOp::create(b, loc, ValueRange(results).getTypes(), inputs.getArrayRef(),
                                 ValueRange(), b.getStringAttr(label), macs);
  Block *body = b.createBlock(&kernel.getBody());
  IRMapping map;
  for (Value input : inputs)
    map.map(input, body->addArgument(input.getType(), input.getLoc()));
  SmallVector<Value> yields;
  for (Operation *op : group.members) {
    for (Value operand : op->getOperands())
      if (isJoinedParameter(operand) && !map.contains(operand))
        b.clone(*operand.getDefiningOp(), map);
    b.clone(*op, map);
  }
  for (Value result : results)
    yields.push_back(map.lookup(result));
  YieldOp::create(b, loc, yields);
  for (auto [result, replacement] : llvm::zip(results, kernel.getResults()))
    result.replaceAllUsesWith(replacement);
  for (Operation *op : llvm::reverse(group.members))
    op->erase();
}
