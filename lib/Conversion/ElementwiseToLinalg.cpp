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

/// Floats, or int32 sums.
Value biasAdd(BiasAddOp, OpBuilder &b, Location loc, ValueRange args) {
  if (args[0].getType().isInteger())
    return arith::AddIOp::create(b, loc, args[0], args[1]);
  return arith::AddFOp::create(b, loc, args[0], args[1]);
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

/// Calls `visit` with each condition for `x`, a float or a stored integer, to lie inside the
/// interval of a clamp.
template <typename Op>
void forEachBound(Op op, OpBuilder &b, Location loc, Value x, function_ref<void(Value)> visit) {
  auto compare = [&](arith::CmpFPredicate real, arith::CmpIPredicate integer,
                     const APFloat &bound) {
    if (bound.isInfinity())
      return;
    if (!x.getType().isInteger())
      return visit(arith::CmpFOp::create(b, loc, real, x, constantLike(b, loc, bound)));
    auto value = b.getIntegerAttr(x.getType(), int64_t(bound.convertToFloat()));
    visit(arith::CmpIOp::create(b, loc, integer, x, arith::ConstantOp::create(b, loc, value)));
  };
  bool inclusive = op.getInclusive();
  compare(inclusive ? arith::CmpFPredicate::OGE : arith::CmpFPredicate::OGT,
          inclusive ? arith::CmpIPredicate::sge : arith::CmpIPredicate::sgt, op.getMin());
  compare(inclusive ? arith::CmpFPredicate::OLE : arith::CmpFPredicate::OLT,
          inclusive ? arith::CmpIPredicate::sle : arith::CmpIPredicate::slt, op.getMax());
}

Value clampGrad(ClampGradOp op, OpBuilder &b, Location loc, ValueRange args) {
  Value zero = floatConstant(b, loc, 0), result = args[0];
  forEachBound(op, b, loc, args[1], [&](Value inside) {
    result = arith::SelectOp::create(b, loc, inside, result, zero);
  });
  return result;
}

Value integerConstant(OpBuilder &b, Location loc, int64_t value) {
  return arith::ConstantOp::create(b, loc, b.getI8IntegerAttr(value));
}

/// Loop dimensions: byte, channel, bit.
struct LowerClampMask : OpRewritePattern<ClampMaskOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ClampMaskOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getType()),
         xType = cast<RankedTensorType>(op.getInput().getType());
    Value x =
        padTensor(b, loc, op.getInput(), {0, 0}, {type.getDimSize(0) * 8 - xType.getDimSize(0), 0},
                  cast<TypedAttr>(b.getZeroAttr(xType.getElementType())));
    // The extent of the bits follows from no operand: a shape-only one says it.
    Value bits = emptyTensor(b, loc, RankedTensorType::get({8}, type.getElementType()));
    AffineExpr byte = b.getAffineDimExpr(0), channel = b.getAffineDimExpr(1),
               bit = b.getAffineDimExpr(2);
    Value init = filledTensor(b, loc, type, b.getI8IntegerAttr(0));
    auto body = [&](OpBuilder &nested, Location l, ValueRange args) -> Value {
      Value inside;
      forEachBound(op, nested, l, args[0], [&](Value condition) {
        inside =
            inside ? arith::AndIOp::create(nested, l, inside, condition).getResult() : condition;
      });
      if (!inside)
        inside = arith::ConstantOp::create(nested, l, nested.getBoolAttr(true));
      Value one = arith::ExtUIOp::create(nested, l, nested.getI8Type(), inside);
      Value position = arith::IndexCastOp::create(nested, l, nested.getI8Type(),
                                                  linalg::IndexOp::create(nested, l, 2));
      Value shifted = arith::ShLIOp::create(nested, l, one, position);
      return arith::AddIOp::create(nested, l, args[2], shifted);
    };
    b.replaceOp(op, generic(b, loc, {x, bits}, init, 3,
                            {{byte * 8 + bit, channel}, {bit}, {byte, channel}}, {2}, body));
    return success();
  }
};

struct LowerMaskGrad : OpRewritePattern<MaskGradOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MaskGradOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getType());
    unsigned rank = type.getRank();
    SmallVector<AffineExpr> identity;
    AffineExpr row = b.getAffineConstantExpr(0);
    for (unsigned d = 0; d < rank; ++d) {
      identity.push_back(b.getAffineDimExpr(d));
      if (d + 1 < rank)
        row = row * type.getDimSize(d) + identity[d];
    }
    auto body = [&](OpBuilder &nested, Location l, ValueRange args) -> Value {
      auto index = [&](int64_t value) { return arith::ConstantIndexOp::create(nested, l, value); };
      Value position = index(0);
      for (unsigned d = 0; d + 1 < rank; ++d) {
        position = arith::MulIOp::create(nested, l, position, index(type.getDimSize(d)));
        position =
            arith::AddIOp::create(nested, l, position, linalg::IndexOp::create(nested, l, d));
      }
      position = arith::AndIOp::create(nested, l, position, index(7));
      position = arith::IndexCastOp::create(nested, l, nested.getI8Type(), position);
      Value bit = arith::ShRUIOp::create(nested, l, args[1], position);
      bit = arith::AndIOp::create(nested, l, bit, integerConstant(nested, l, 1));
      Value isSet = arith::CmpIOp::create(nested, l, arith::CmpIPredicate::ne, bit,
                                          integerConstant(nested, l, 0));
      return arith::SelectOp::create(nested, l, isSet, args[0], floatConstant(nested, l, 0));
    };
    b.replaceOp(op, generic(b, loc, op->getOperands(), emptyTensor(b, loc, type), rank,
                            {identity, {row.floorDiv(8), identity.back()}, identity}, {}, body));
    return success();
  }
};

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
  Value param = args[2];
  if (param.getType().isInteger())
    param = arith::SIToFPOp::create(b, loc, b.getF32Type(), param);
  Value kept = arith::MulFOp::create(b, loc, args[0], constantLike(b, loc, op.getMomentum()));
  Value grad = decayed(b, loc, args[1], param, op.getWeightDecay());
  return arith::AddFOp::create(b, loc, kept, grad);
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
    b.replaceOp(op, withLeadingPart(b, loc, op.getParam(), updated));
    return success();
  }
};

struct LowerChannelScale : OpRewritePattern<ChannelScaleOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ChannelScaleOp op, PatternRewriter &b) const override {
    unsigned rank = op.getType().getRank();
    SmallVector<AffineExpr> identity;
    for (unsigned d = 0; d < rank; ++d)
      identity.push_back(b.getAffineDimExpr(d));
    b.replaceOp(op, generic(b, op.getLoc(), op->getOperands(),
                            emptyTensor(b, op.getLoc(), op.getType()), rank,
                            {identity, {identity[op.getAxis()]}, identity}, {},
                            [](OpBuilder &n, Location l, ValueRange args) -> Value {
                              return arith::MulFOp::create(n, l, args[0], args[1]);
                            }));
    return success();
  }
};

struct LowerNextRandom : OpRewritePattern<NextRandomOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(NextRandomOp op, PatternRewriter &b) const override {
    b.replaceOp(op, elementwise(b, op.getLoc(), op.getType(), op.getState(),
                                [](OpBuilder &n, Location l, ValueRange args) -> Value {
                                  auto constant = [&](int32_t v) -> Value {
                                    return arith::ConstantOp::create(n, l, n.getI32IntegerAttr(v));
                                  };
                                  Value next =
                                      arith::MulIOp::create(n, l, args[0], constant(1664525));
                                  return arith::AddIOp::create(n, l, next, constant(1013904223));
                                }));
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
  patterns.add<
      LowerElementwise<AddOp, binary<AddOp, arith::AddFOp>>, LowerElementwise<BiasAddOp, biasAdd>,
      LowerElementwise<SubOp, binary<SubOp, arith::SubFOp>>,
      LowerElementwise<MulOp, binary<MulOp, arith::MulFOp>>,
      LowerElementwise<DivOp, binary<DivOp, arith::DivFOp>>,
      LowerElementwise<ExpOp, unary<ExpOp, math::ExpOp>>,
      LowerElementwise<LogOp, unary<LogOp, math::LogOp>>, LowerElementwise<ScaleOp, scale>,
      LowerElementwise<ShiftOp, shift>, LowerElementwise<ReluOp, relu>,
      LowerElementwise<ClampOp, clamp>, LowerElementwise<ClampGradOp, clampGrad>, LowerClampMask,
      LowerMaskGrad, LowerSGDUpdate, LowerChannelScale, LowerNextRandom, LowerMomentumUpdate>(
      patterns.getContext());
}
