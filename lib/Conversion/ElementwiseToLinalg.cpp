//===- ElementwiseToLinalg.cpp - Elementwise ops and updates ---------------------===//

#include "lib/Conversion/ToLinalg.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace tinytrain;

namespace {

/// Lowers an op with one result by a function that computes one element from the
/// operands' elements.
template <typename Op, Value (*Element)(Op, OpBuilder &, Location, ValueRange)>
struct LowerElementwise : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &b) const override {
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    b.replaceOp(op, elementwise(b, op.getLoc(), type, op->getOperands(),
                                [&](OpBuilder &nested, Location loc, ValueRange args) {
                                  return Element(op, nested, loc, args);
                                }));
    return success();
  }
};

template <typename Op, typename ArithOp>
Value binary(Op, OpBuilder &b, Location loc, ValueRange args) {
  return ArithOp::create(b, loc, args[0], args[1]);
}
template <typename Op, typename MathOp>
Value unary(Op, OpBuilder &b, Location loc, ValueRange args) {
  return MathOp::create(b, loc, args[0]);
}

Value constantLike(OpBuilder &b, Location loc, const APFloat &value) {
  return floatConstant(b, loc, value.convertToFloat());
}

Value scale(ScaleOp op, OpBuilder &b, Location loc, ValueRange args) {
  return arith::MulFOp::create(b, loc, args[0], constantLike(b, loc, op.getFactor()));
}
Value shift(ShiftOp op, OpBuilder &b, Location loc, ValueRange args) {
  return arith::AddFOp::create(b, loc, args[0], constantLike(b, loc, op.getValue()));
}
Value relu(ReluOp, OpBuilder &b, Location loc, ValueRange args) {
  return atLeast(b, loc, args[0], floatConstant(b, loc, 0));
}
Value clamp(ClampOp op, OpBuilder &b, Location loc, ValueRange args) {
  Value value = args[0];
  if (!op.getMin().isInfinity())
    value = atLeast(b, loc, value, constantLike(b, loc, op.getMin()));
  if (!op.getMax().isInfinity())
    value = atMost(b, loc, value, constantLike(b, loc, op.getMax()));
  return value;
}
Value clampGrad(ClampGradOp op, OpBuilder &b, Location loc, ValueRange args) {
  Value zero = floatConstant(b, loc, 0), result = args[0];
  auto keepWhere = [&](arith::CmpFPredicate predicate, const APFloat &bound) {
    Value inside = arith::CmpFOp::create(b, loc, predicate, args[1], constantLike(b, loc, bound));
    result = arith::SelectOp::create(b, loc, inside, result, zero);
  };
  if (!op.getMin().isInfinity())
    keepWhere(op.getInclusive() ? arith::CmpFPredicate::OGE : arith::CmpFPredicate::OGT,
              op.getMin());
  if (!op.getMax().isInfinity())
    keepWhere(op.getInclusive() ? arith::CmpFPredicate::OLE : arith::CmpFPredicate::OLT,
              op.getMax());
  return result;
}

/// `grad + decay * param`
Value decayed(OpBuilder &b, Location loc, Value grad, Value param, const APFloat &decay) {
  if (decay.isZero())
    return grad;
  Value penalty = arith::MulFOp::create(b, loc, param, constantLike(b, loc, decay));
  return arith::AddFOp::create(b, loc, grad, penalty);
}
Value sgdUpdate(SGDUpdateOp op, OpBuilder &b, Location loc, ValueRange args) {
  Value grad = decayed(b, loc, args[1], args[0], op.getWeightDecay());
  Value step = arith::MulFOp::create(b, loc, args[2], grad);
  return arith::SubFOp::create(b, loc, args[0], step);
}
Value momentumUpdate(MomentumUpdateOp op, OpBuilder &b, Location loc, ValueRange args) {
  Value kept = arith::MulFOp::create(b, loc, args[0], constantLike(b, loc, op.getMomentum()));
  Value grad = decayed(b, loc, args[1], args[2], op.getWeightDecay());
  return arith::AddFOp::create(b, loc, kept, grad);
}

/// The leading part of `x` of the given shape, or `x` if that is all of it.
Value leadingPart(OpBuilder &b, Location loc, Value x, ArrayRef<int64_t> shape) {
  auto type = cast<RankedTensorType>(x.getType());
  if (type.getShape() == shape)
    return x;
  SmallVector<OpFoldResult> zero(shape.size(), b.getIndexAttr(0)),
      one(shape.size(), b.getIndexAttr(1));
  return tensor::ExtractSliceOp::create(b, loc, x, zero,
                                        getAsIndexOpFoldResult(b.getContext(), shape), one);
}

/// Updates the part of the parameter that the gradient covers.
struct LowerSGDUpdate : OpRewritePattern<SGDUpdateOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SGDUpdateOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getGrad().getType());
    ArrayRef<int64_t> shape = type.getShape();
    Value part = leadingPart(b, loc, op.getParam(), shape);
    Value updated = elementwise(b, loc, type, {part, op.getGrad(), op.getLearningRate()},
                                [&](OpBuilder &nested, Location l, ValueRange args) {
                                  return sgdUpdate(op, nested, l, args);
                                });
    if (part != op.getParam()) {
      SmallVector<OpFoldResult> zero(shape.size(), b.getIndexAttr(0)),
          one(shape.size(), b.getIndexAttr(1));
      updated = tensor::InsertSliceOp::create(b, loc, updated, op.getParam(), zero,
                                              getAsIndexOpFoldResult(b.getContext(), shape), one);
    }
    b.replaceOp(op, updated);
    return success();
  }
};

struct LowerMomentumUpdate : OpRewritePattern<MomentumUpdateOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MomentumUpdateOp op, PatternRewriter &b) const override {
    auto type = cast<RankedTensorType>(op.getGrad().getType());
    Value part = leadingPart(b, op.getLoc(), op.getParam(), type.getShape());
    b.replaceOp(op, elementwise(b, op.getLoc(), type, {op.getVelocity(), op.getGrad(), part},
                                [&](OpBuilder &nested, Location l, ValueRange args) {
                                  return momentumUpdate(op, nested, l, args);
                                }));
    return success();
  }
};

} // namespace

void tinytrain::populateElementwiseToLinalg(RewritePatternSet &patterns) {
  patterns.add<LowerElementwise<AddOp, binary<AddOp, arith::AddFOp>>,
               LowerElementwise<BiasAddOp, binary<BiasAddOp, arith::AddFOp>>,
               LowerElementwise<SubOp, binary<SubOp, arith::SubFOp>>,
               LowerElementwise<MulOp, binary<MulOp, arith::MulFOp>>,
               LowerElementwise<DivOp, binary<DivOp, arith::DivFOp>>,
               LowerElementwise<ExpOp, unary<ExpOp, math::ExpOp>>,
               LowerElementwise<LogOp, unary<LogOp, math::LogOp>>, LowerElementwise<ScaleOp, scale>,
               LowerElementwise<ShiftOp, shift>, LowerElementwise<ReluOp, relu>,
               LowerElementwise<ClampOp, clamp>, LowerElementwise<ClampGradOp, clampGrad>,
               LowerSGDUpdate, LowerMomentumUpdate>(patterns.getContext());
}
