//===- Autodiff.cpp - The reverse walk (knows no op names) -----------------------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_AUTODIFF
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

/// Marks what is inserted behind the forward pass.
struct BackwardMarker : OpBuilder::Listener {
  explicit BackwardMarker(Operation *lastForward) : lastForward(lastForward) {}

  void notifyOperationInserted(Operation *op, OpBuilder::InsertPoint) override {
    if (!lastForward || lastForward->isBeforeInBlock(op))
      op->setLoc(asBackward(op->getLoc()));
  }

  Operation *lastForward;
};

struct Autodiff : tinytrain::impl::AutodiffBase<Autodiff> {
  using AutodiffBase::AutodiffBase;

  void runOnOperation() override;

private:
  /// Adds `contribution` to the cotangent of `value`.
  void accumulate(OpBuilder &b, Value value, Value contribution) {
    Value &sum = cotangents[value];
    if (!sum) {
      sum = contribution;
      return;
    }
    sum = AddOp::create(b, contribution.getLoc(), sum, contribution);
    ++numSums;
  }

  LogicalResult seed(func::FuncOp func, OpBuilder &b);
  LogicalResult differentiate(Operation *op, OpBuilder &b);

  DenseMap<Value, Value> cotangents;
  /// Values that depend on an argument whose gradient is asked for.
  DenseSet<Value> active;
};

} // namespace

LogicalResult Autodiff::seed(func::FuncOp func, OpBuilder &b) {
  auto ret = cast<func::ReturnOp>(func.front().getTerminator());
  bool seeded = false;
  for (unsigned i = 0; i < func.getNumResults(); ++i) {
    if (!func.getResultAttr(i, kLoss))
      continue;
    auto type = cast<RankedTensorType>(ret.getOperand(i).getType());
    auto one = DenseElementsAttr::get(type, 1.0f);
    accumulate(b, ret.getOperand(i), arith::ConstantOp::create(b, ret.getLoc(), type, one));
    seeded = true;
  }
  for (BlockArgument arg : func.getArguments()) {
    if (auto result = func.getArgAttrOfType<IntegerAttr>(arg.getArgNumber(), kCotangent)) {
      accumulate(b, ret.getOperand(result.getInt()), arg);
      seeded = true;
    }
  }
  if (!seeded)
    return func.emitError() << "has nothing to differentiate: mark a scalar result with '" << kLoss
                            << "' or an argument with '" << kCotangent << "'";
  return success();
}

LogicalResult Autodiff::differentiate(Operation *op, OpBuilder &b) {
  SmallVector<Value> results;
  for (Value result : op->getResults())
    results.push_back(cotangents.lookup(result));
  if (llvm::none_of(results, [](Value v) { return v != nullptr; }) ||
      llvm::none_of(op->getResults(), [&](Value v) { return active.contains(v); }))
    return success();

  auto rule = dyn_cast<DifferentiableOpInterface>(op);
  if (!rule)
    return op->emitOpError() << "has no derivative rule: freeze the parameters it depends on, or "
                                "attach DifferentiableOpInterface to it";
  FailureOr<SmallVector<Value>> operands = rule.buildVJP(b, results);
  if (failed(operands))
    return op->emitOpError() << "failed to build its vector-Jacobian product";
  if (operands->size() != op->getNumOperands())
    return op->emitOpError() << "has a derivative rule that returns " << operands->size()
                             << " cotangents for " << op->getNumOperands() << " operands";
  ++numRules;
  for (auto [operand, cotangent] : llvm::zip(op->getOperands(), *operands)) {
    if (!cotangent || !active.contains(operand))
      continue;
    if (!haveSameShapes(cotangent.getType(), operand.getType()))
      return op->emitOpError() << "has a derivative rule that returns a cotangent of type "
                               << cotangent.getType() << " for an operand of type "
                               << operand.getType();
    accumulate(b, operand, cotangent);
  }
  return success();
}

void Autodiff::runOnOperation() {
  func::FuncOp func = getOperation();
  if (func.isExternal())
    return;
  cotangents.clear();
  active.clear();

  SmallVector<unsigned> wanted;
  for (BlockArgument arg : func.getArguments()) {
    if (!func.getArgAttr(arg.getArgNumber(), kNeedsGrad))
      continue;
    wanted.push_back(arg.getArgNumber());
    active.insert(arg);
  }
  SmallVector<Operation *> forward;
  for (Operation &op : func.front().without_terminator()) {
    forward.push_back(&op);
    if (llvm::any_of(op.getOperands(), [&](Value v) { return active.contains(v); }))
      active.insert(op.result_begin(), op.result_end());
  }

  auto ret = cast<func::ReturnOp>(func.front().getTerminator());
  BackwardMarker marker(forward.empty() ? nullptr : forward.back());
  OpBuilder b(ret);
  b.setListener(&marker);
  if (failed(seed(func, b)))
    return signalPassFailure();
  for (Operation *op : llvm::reverse(forward))
    if (failed(differentiate(op, b)))
      return signalPassFailure();

  for (unsigned arg : wanted) {
    Value value = func.getArgument(arg), gradient = cotangents.lookup(value);
    if (!gradient) {
      RankedTensorType type = gradientType(value.getType());
      gradient =
          arith::ConstantOp::create(b, ret.getLoc(), type, DenseElementsAttr::get(type, 0.0f));
    }
    NamedAttribute mark(b.getStringAttr(kGradientOf), b.getI64IntegerAttr(arg));
    if (failed(func.insertResult(func.getNumResults(), gradient.getType(),
                                 DictionaryAttr::get(&getContext(), mark))))
      return signalPassFailure();
    ret->insertOperands(ret.getNumOperands(), gradient);
  }
}
