//===- QuantizedToLinalg.cpp - Arithmetic on stored integers ---------------------===//
//
// Integers are rounded from f32 by adding 1.5 * 2^23: the sum's last bits are the integer,
// rounded once, ties to even. As the bits of a sum grow with it, they are clamped as integers;
// that is exact for every sum, infinities included.
//
//===----------------------------------------------------------------------===//

#include "lib/Conversion/ToLinalg.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace tinytrain;

namespace {

constexpr float kMagic = 12582912.0f; // 1.5 * 2^23
constexpr int32_t kMagicBits = 0x4B400000;

RankedTensorType typeOf(Value v) { return cast<RankedTensorType>(v.getType()); }

Value intConstant(OpBuilder &b, Location loc, int64_t value) {
  return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(value));
}

/// `x - zeroPoint` as int32.
Value widened(OpBuilder &b, Location loc, Value x, int64_t zeroPoint) {
  if (!x.getType().isInteger(32))
    x = arith::ExtSIOp::create(b, loc, b.getI32Type(), x);
  return zeroPoint ? arith::SubIOp::create(b, loc, x, intConstant(b, loc, zeroPoint)).getResult()
                   : x;
}

Value toFloat(OpBuilder &b, Location loc, Value x) {
  return arith::SIToFPOp::create(b, loc, b.getF32Type(), x);
}

Value clampInt(OpBuilder &b, Location loc, Value x, int64_t min, int64_t max) {
  x = arith::MaxSIOp::create(b, loc, x, intConstant(b, loc, min));
  return arith::MinSIOp::create(b, loc, x, intConstant(b, loc, max));
}

/// From `shifted`, which is v + 1.5 * 2^23: `clamp(rne(v), min, max)` as int32.
Value roundedInt(OpBuilder &b, Location loc, Value shifted, int64_t min, int64_t max) {
  Value bits = arith::BitcastOp::create(b, loc, b.getI32Type(), shifted);
  bits = clampInt(b, loc, bits, kMagicBits + min, kMagicBits + max);
  return arith::SubIOp::create(b, loc, bits, intConstant(b, loc, kMagicBits));
}

/// From v + 1.5 * 2^23, `clamp(rne(v) + z)` as the stored integer of `type`.
Value saturated(OpBuilder &b, Location loc, Value shifted, quant::QuantizedType type) {
  int64_t zero = zeroPointOf(type);
  Value n =
      roundedInt(b, loc, shifted, type.getStorageTypeMin() - zero, type.getStorageTypeMax() - zero);
  if (zero)
    n = arith::AddIOp::create(b, loc, n, intConstant(b, loc, zero));
  return arith::TruncIOp::create(b, loc, type.getStorageType(), n);
}

Value addMagic(OpBuilder &b, Location loc, Value v) {
  return arith::AddFOp::create(b, loc, v, floatConstant(b, loc, kMagic));
}

/// An int32 value times `factor`, exactly, rounded to the stored integer of `type`.
Value requantized(OpBuilder &b, Location loc, Value acc, Value factor, quant::QuantizedType type) {
  Value shifted =
      math::FmaOp::create(b, loc, toFloat(b, loc, acc), factor, floatConstant(b, loc, kMagic));
  return saturated(b, loc, shifted, type);
}

/// An elementwise op on stored integers whose floating-point operations are not rearranged.
Value exact(OpBuilder &b, Location loc, RankedTensorType type, ValueRange inputs, ScalarBody body) {
  SmallVector<Value> operands;
  for (Value input : inputs)
    operands.push_back(stored(b, loc, input));
  Value result = elementwise(b, loc, type, operands, body);
  result.getDefiningOp()->setAttr(kExact, b.getUnitAttr());
  return result;
}

/// The same of the type of an op's result.
Value exactElementwise(OpBuilder &b, Operation *op, ValueRange inputs, ScalarBody body) {
  Type type = op->getResult(0).getType();
  Location loc = op->getLoc();
  return withType(b, loc, exact(b, loc, storageType(type), inputs, body), type);
}

struct LowerQuantize : OpRewritePattern<QuantizeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(QuantizeOp op, PatternRewriter &b) const override {
    quant::QuantizedType type = quantizedElement(op.getOutput());
    if (quantizedAxis(type))
      return op.emitOpError() << "cannot be computed with one scale per channel: only parameters "
                                 "have such types";
    float factor = 1.0 / scalesOf(type)[0];
    b.replaceOp(
        op, exactElementwise(b, op, op.getInput(), [&](OpBuilder &n, Location l, ValueRange args) {
          Value v = arith::MulFOp::create(n, l, args[0], floatConstant(n, l, factor));
          return saturated(n, l, addMagic(n, l, v), type);
        }));
    return success();
  }
};

struct LowerDequantize : OpRewritePattern<DequantizeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DequantizeOp op, PatternRewriter &b) const override {
    quant::QuantizedType type = quantizedElement(op.getInput());
    SmallVector<double> scales = scalesOf(type);
    SmallVector<Value> inputs = {op.getInput()};
    std::optional<int64_t> axis = quantizedAxis(type);
    if (axis) {
      if (*axis != typeOf(op.getInput()).getRank() - 1)
        return op.emitOpError() << "expects scales along the last dimension, got "
                                << op.getInput().getType();
      SmallVector<float> table(scales.begin(), scales.end());
      auto tableType = RankedTensorType::get({int64_t(table.size())}, b.getF32Type());
      inputs.push_back(arith::ConstantOp::create(
          b, op.getLoc(), tableType, DenseElementsAttr::get(tableType, ArrayRef<float>(table))));
    }
    b.replaceOp(op, exactElementwise(
                        b, op, inputs, [&](OpBuilder &n, Location l, ValueRange args) -> Value {
                          Value x = toFloat(n, l, widened(n, l, args[0], zeroPointOf(type)));
                          Value s = axis ? args[1] : floatConstant(n, l, scales[0]);
                          return arith::MulFOp::create(n, l, x, s);
                        }));
    return success();
  }
};

struct LowerRequantize : OpRewritePattern<RequantizeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RequantizeOp op, PatternRewriter &b) const override {
    SmallVector<float> factors = op.computeMultipliers();
    SmallVector<Value> inputs = {op.getInput()};
    Value table = op.getMultipliers();
    if (!table && factors.size() > 1) {
      auto type = RankedTensorType::get({int64_t(factors.size())}, b.getF32Type());
      table = arith::ConstantOp::create(b, op.getLoc(), type,
                                        DenseElementsAttr::get(type, ArrayRef<float>(factors)));
    }
    if (table)
      inputs.push_back(table);
    int64_t zero = zeroPointOf(quantizedElement(op.getInput()));
    quant::QuantizedType type = quantizedElement(op.getOutput());
    b.replaceOp(op, exactElementwise(b, op, inputs, [&](OpBuilder &n, Location l, ValueRange args) {
                  Value factor = table ? args[1] : floatConstant(n, l, factors[0]);
                  return requantized(n, l, widened(n, l, args[0], zero), factor, type);
                }));
    return success();
  }
};

struct LowerQuantizedAdd : OpRewritePattern<AddOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AddOp op, PatternRewriter &b) const override {
    quant::QuantizedType type = quantizedElement(op.getOutput());
    b.replaceOp(op, exactElementwise(
                        b, op, op->getOperands(), [&](OpBuilder &n, Location l, ValueRange args) {
                          auto term = [&](Value arg, Value operand) -> Value {
                            quant::QuantizedType from = quantizedElement(operand);
                            float factor = scalesOf(from)[0] / scalesOf(type)[0];
                            Value x = toFloat(n, l, widened(n, l, arg, zeroPointOf(from)));
                            return arith::MulFOp::create(n, l, x, floatConstant(n, l, factor));
                          };
                          Value lhs = term(args[0], op.getLhs()), rhs = term(args[1], op.getRhs());
                          Value v = arith::AddFOp::create(n, l, lhs, rhs);
                          return saturated(n, l, addMagic(n, l, v), type);
                        }));
    return success();
  }
};

/// Requantizes the int32 sums of `count` terms each.
Value meanOf(OpBuilder &b, Operation *op, Value sums, int64_t count) {
  quant::QuantizedType from = quantizedElement(op->getOperand(0)),
                       to = quantizedElement(op->getResult(0));
  float factor = scalesOf(from)[0] / (scalesOf(to)[0] * count);
  return exactElementwise(b, op, sums, [&](OpBuilder &n, Location l, ValueRange args) {
    return requantized(n, l, args[0], floatConstant(n, l, factor), to);
  });
}

struct LowerQuantizedGlobalAvgPool : OpRewritePattern<GlobalAvgPoolOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(GlobalAvgPoolOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    Value x = stored(b, loc, op.getInput());
    int64_t zero = zeroPointOf(quantizedElement(op.getInput()));
    Value sums = reduce(b, loc, x, {1, 2}, b.getI32IntegerAttr(0),
                        [&](OpBuilder &n, Location l, ValueRange args) -> Value {
                          return arith::AddIOp::create(n, l, args[1], widened(n, l, args[0], zero));
                        });
    b.replaceOp(op, meanOf(b, op, sums, typeOf(x).getDimSize(1) * typeOf(x).getDimSize(2)));
    return success();
  }
};

struct LowerQuantizedAvgPool : OpRewritePattern<AvgPoolOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AvgPoolOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    Window2D w = *getWindow(op.getKernel(), op.getStrides(), op.getPadding(), {1, 1},
                            [&] { return op.emitOpError(); });
    int64_t zero = zeroPointOf(quantizedElement(op.getInput()));
    Value x = padTensor(b, loc, stored(b, loc, op.getInput()), {0, w.padLow[0], w.padLow[1], 0},
                        {0, w.padHigh[0], w.padHigh[1], 0}, b.getI8IntegerAttr(zero));
    SmallVector<AffineExpr> d;
    for (unsigned i = 0; i < 6; ++i)
      d.push_back(b.getAffineDimExpr(i));
    Value window =
        emptyTensor(b, loc, RankedTensorType::get({w.kernel[0], w.kernel[1]}, b.getI8Type()));
    auto type = RankedTensorType::get(op.getType().getShape(), b.getI32Type());
    Value sums =
        generic(b, loc, {x, window}, filledTensor(b, loc, type, b.getI32IntegerAttr(0)), 6,
                {{d[0], d[1] * w.stride[0] + d[4], d[2] * w.stride[1] + d[5], d[3]},
                 {d[4], d[5]},
                 {d[0], d[1], d[2], d[3]}},
                {4, 5}, [&](OpBuilder &n, Location l, ValueRange args) -> Value {
                  return arith::AddIOp::create(n, l, args[2], widened(n, l, args[0], zero));
                });
    b.replaceOp(op, meanOf(b, op, sums, w.kernel[0] * w.kernel[1]));
    return success();
  }
};

/// A number from (-0.5, 0.5) per element; see `sgd_update`.
Value uniform(OpBuilder &b, Location loc, Value state, int64_t stream, ArrayRef<int64_t> shape) {
  auto constant = [&](uint32_t v) { return intConstant(b, loc, int32_t(v)); };
  Value index = arith::ConstantIndexOp::create(b, loc, 0);
  for (auto [d, size] : llvm::enumerate(shape)) {
    index = arith::MulIOp::create(b, loc, index, arith::ConstantIndexOp::create(b, loc, size));
    index = arith::AddIOp::create(b, loc, index, linalg::IndexOp::create(b, loc, d));
  }
  Value i = arith::IndexCastOp::create(b, loc, b.getI32Type(), index);
  Value key = arith::AddIOp::create(b, loc, state, constant(uint32_t(stream) * 0x85EBCA6Bu));
  Value h =
      arith::AddIOp::create(b, loc, arith::MulIOp::create(b, loc, i, constant(0x9E3779B1u)), key);
  auto mix = [&](int64_t shift, uint32_t factor) {
    h = arith::XOrIOp::create(b, loc, h,
                              arith::ShRUIOp::create(b, loc, h, intConstant(b, loc, shift)));
    if (factor)
      h = arith::MulIOp::create(b, loc, h, constant(factor));
  };
  mix(16, 0x7FEB352Du);
  mix(15, 0x846CA68Bu);
  mix(16, 0);
  // 23 bits behind the point, and half a unit.
  Value mantissa = arith::ShRUIOp::create(b, loc, h, intConstant(b, loc, 9));
  Value unit = arith::SIToFPOp::create(b, loc, b.getF32Type(), mantissa);
  unit = arith::MulFOp::create(b, loc, unit, floatConstant(b, loc, 0x1p-23));
  return arith::AddFOp::create(b, loc, unit, floatConstant(b, loc, 0x1p-24 - 0.5));
}

/// `rne(v)` within +-2^29; from 2^22 on the fraction, a half at most, is cut off.
Value roundedWide(OpBuilder &b, Location loc, Value v) {
  constexpr double kLimit = 1 << 29, kSmall = 1 << 22;
  Value near = roundedInt(b, loc, addMagic(b, loc, v), -(1 << 22), 1 << 22);
  v = atMost(b, loc, atLeast(b, loc, v, floatConstant(b, loc, -kLimit)),
             floatConstant(b, loc, kLimit));
  Value far = arith::FPToSIOp::create(b, loc, b.getI32Type(), v);
  Value magnitude = math::AbsFOp::create(b, loc, v);
  Value isNear = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, magnitude,
                                       floatConstant(b, loc, kSmall));
  return arith::SelectOp::create(b, loc, isNear, near, far);
}

/// Updates the part of the stored integers that the gradient covers.
struct LowerQuantizedUpdate : OpRewritePattern<SGDUpdateOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SGDUpdateOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    ArrayRef<int64_t> shape = typeOf(op.getGrad()).getShape();
    Value whole = stored(b, loc, op.getParam()), part = leadingPart(b, loc, whole, shape);
    Value updated =
        exact(b, loc, typeOf(part), {part, op.getGrad(), op.getLearningRate(), op.getRandom()},
              [&](OpBuilder &n, Location l, ValueRange args) {
                return updatedElement(op, n, l, args, shape);
              });
    updated = withLeadingPart(b, loc, whole, updated);
    b.replaceOp(op, withType(b, loc, updated, op.getType()));
    return success();
  }

  static Value updatedElement(SGDUpdateOp op, OpBuilder &b, Location loc, ValueRange args,
                              ArrayRef<int64_t> shape) {
    Value param = widened(b, loc, args[0], 0), grad = args[1];
    if (!op.getWeightDecay().isZero()) {
      Value decay = floatConstant(b, loc, op.getWeightDecay().convertToFloat());
      Value penalty = arith::MulFOp::create(b, loc, toFloat(b, loc, param), decay);
      grad = arith::AddFOp::create(b, loc, grad, penalty);
    }
    Value step = arith::MulFOp::create(b, loc, args[2], grad);
    Value u = uniform(b, loc, args[3], op.getStream(), shape);
    Value v = arith::SubFOp::create(b, loc, u, step);
    if (args[0].getType().isInteger(32))
      return clampInt(b, loc,
                      arith::AddIOp::create(b, loc, param, roundedWide(b, loc, v)).getResult(),
                      -(1 << 30), 1 << 30);
    quant::QuantizedType type = quantizedElement(op.getParam());
    int64_t range = type.getStorageTypeMax() - type.getStorageTypeMin() + 1;
    Value n = roundedInt(b, loc, addMagic(b, loc, v), -range, range);
    Value sum = clampInt(b, loc, arith::AddIOp::create(b, loc, param, n).getResult(),
                         type.getStorageTypeMin(), type.getStorageTypeMax());
    return arith::TruncIOp::create(b, loc, args[0].getType(), sum);
  }
};

struct LowerRoundMaster : OpRewritePattern<RoundMasterOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RoundMasterOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    Value whole = stored(b, loc, op.getParam()), master = op.getMaster();
    quant::QuantizedType type = quantizedElement(op.getParam());
    auto partType = RankedTensorType::get(typeOf(master).getShape(), type.getStorageType());
    Value rounded =
        exact(b, loc, partType, master, [&](OpBuilder &n, Location l, ValueRange args) -> Value {
          if (!args[0].getType().isInteger())
            return saturated(n, l, addMagic(n, l, args[0]), type);
          Value wide = arith::ExtSIOp::create(n, l, n.getI32Type(), args[0]);
          wide = arith::AddIOp::create(n, l, wide, intConstant(n, l, 128));
          wide = arith::ShRSIOp::create(n, l, wide, intConstant(n, l, 8));
          wide = clampInt(n, l, wide, type.getStorageTypeMin(), type.getStorageTypeMax());
          return arith::TruncIOp::create(n, l, type.getStorageType(), wide);
        });
    b.replaceOp(op, withType(b, loc, withLeadingPart(b, loc, whole, rounded), op.getType()));
    return success();
  }
};

constexpr double kSmallestGradient = 0x1p-100;

struct LowerGradientScale : OpRewritePattern<GradientScaleOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(GradientScaleOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    auto all = llvm::to_vector(llvm::seq<int64_t>(0, typeOf(op.getInput()).getRank()));
    Value largest = reduce(b, loc, op.getInput(), all, b.getF32FloatAttr(kSmallestGradient),
                           [](OpBuilder &n, Location l, ValueRange args) {
                             Value magnitude = math::AbsFOp::create(n, l, args[0]);
                             return atLeast(n, l, args[1], magnitude);
                           });
    b.replaceOp(
        op,
        exactElementwise(b, op, largest, [](OpBuilder &n, Location l, ValueRange args) -> Value {
          return arith::MulFOp::create(n, l, args[0], floatConstant(n, l, 1.0 / 127));
        }));
    return success();
  }
};

struct LowerQuantizeGradient : OpRewritePattern<QuantizeGradientOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(QuantizeGradientOp op, PatternRewriter &b) const override {
    b.replaceOp(op, exactElementwise(b, op, op->getOperands(),
                                     [](OpBuilder &n, Location l, ValueRange args) -> Value {
                                       Value inverse = arith::DivFOp::create(
                                           n, l, floatConstant(n, l, 1), args[1]);
                                       Value v = arith::MulFOp::create(n, l, args[0], inverse);
                                       Value q = roundedInt(n, l, addMagic(n, l, v), -127, 127);
                                       return arith::TruncIOp::create(n, l, n.getI8Type(), q);
                                     }));
    return success();
  }
};

struct LowerDequantizeGradient : OpRewritePattern<DequantizeGradientOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DequantizeGradientOp op, PatternRewriter &b) const override {
    b.replaceOp(op, exactElementwise(b, op, op->getOperands(),
                                     [](OpBuilder &n, Location l, ValueRange args) -> Value {
                                       Value x = toFloat(n, l, widened(n, l, args[0], 0));
                                       return arith::MulFOp::create(n, l, x, args[1]);
                                     }));
    return success();
  }
};

} // namespace

void tinytrain::populateQuantizedToLinalg(RewritePatternSet &patterns) {
  patterns
      .add<LowerQuantize, LowerDequantize, LowerRequantize, LowerQuantizedAdd,
           LowerQuantizedGlobalAvgPool, LowerQuantizedAvgPool, LowerQuantizedUpdate,
           LowerRoundMaster, LowerGradientScale, LowerQuantizeGradient, LowerDequantizeGradient>(
          patterns.getContext());
}
