//===- QuantizeGradients.cpp - int8 gradients of activations ---------------------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_QUANTIZEGRADIENTS
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

/// A gradient as int8, and its scale.
struct Quantized {
  Value integers, scale;
};

struct QuantizeGradients : tinytrain::impl::QuantizeGradientsBase<QuantizeGradients> {
  using QuantizeGradientsBase::QuantizeGradientsBase;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal())
      return;
    known.clear();
    SmallVector<Operation *> adjoints;
    for (Operation &op : func.front())
      if ((isa<Conv2DInputGradOp>(op) && quantizedElement(op.getOperand(1))) ||
          (isa<Conv2DWeightGradOp>(op) && quantizedElement(op.getOperand(0))))
        adjoints.push_back(&op);
    for (Operation *op : adjoints)
      replaceGradient(op->getOpOperand(isa<Conv2DInputGradOp>(op) ? 0 : 1));
    // The bias reads the same integers.
    for (auto &[gradient, quantized] : known)
      for (OpOperand &use : llvm::make_early_inc_range(Value(gradient).getUses()))
        if (isa<ReduceSumOp>(use.getOwner()))
          replaceGradient(use);
    numQuantized += known.size();
  }

private:
  /// Behind the gradient's computation.
  Quantized quantize(Value gradient) {
    auto it = known.find(gradient);
    if (it != known.end())
      return it->second;
    OpBuilder b(gradient.getContext());
    b.setInsertionPointAfterValue(gradient);
    Location loc = gradient.getLoc();
    auto type = cast<RankedTensorType>(gradient.getType());
    Value scale =
        GradientScaleOp::create(b, loc, RankedTensorType::get({}, b.getF32Type()), gradient);
    Value integers = QuantizeGradientOp::create(b, loc, type.clone(b.getI8Type()), gradient, scale);
    return known[gradient] = {integers, scale};
  }

  /// Lets an adjoint compute with integers.
  void replaceGradient(OpOperand &use) {
    Operation *op = use.getOwner();
    Value gradient = use.get();
    // A part of a gradient is one of the whole's integers.
    auto slice = gradient.getDefiningOp<SliceOp>();
    Quantized quantized = quantize(slice ? slice.getInput() : gradient);
    OpBuilder b(op);
    Value integers = quantized.integers;
    if (slice) {
      b.setInsertionPointAfterValue(integers);
      integers = SliceOp::create(b, slice.getLoc(), integers, slice.getOffsets(), slice.getSizes(),
                                 slice.getStrides());
      b.setInsertionPoint(op);
    }
    use.set(integers);
    Value result = op->getResult(0);
    auto type = cast<RankedTensorType>(result.getType());
    result.setType(type.clone(b.getI32Type()));
    b.setInsertionPointAfter(op);
    auto real = DequantizeGradientOp::create(b, op->getLoc(), type, result, quantized.scale);
    result.replaceAllUsesExcept(real, real);
    if (slice && slice->use_empty())
      slice.erase();
  }

  llvm::MapVector<Value, Quantized> known;
};

} // namespace
