//===- PoolingToLinalg.cpp - Pooling and its adjoints ----------------------------===//

#include "lib/Conversion/ToLinalg.h"

#include <limits>

using namespace mlir;
using namespace tinytrain;

namespace {

using Exprs = SmallVector<AffineExpr>;

RankedTensorType typeOf(Value v) { return cast<RankedTensorType>(v.getType()); }

template <typename Op> Window2D windowOf(Op op) {
  return *getWindow(op.getKernel(), op.getStrides(), op.getPadding(), {1, 1},
                    [&] { return op.emitOpError(); });
}

/// Loop dimensions n p q c | h w of a pooling over padded `x`: the index expressions of
/// input, shape-only window and result.
struct PoolLoops {
  Value window;
  SmallVector<Exprs> exprs;

  PoolLoops(OpBuilder &b, Location loc, const Window2D &w, Type element) {
    SmallVector<AffineExpr> d;
    for (unsigned i = 0; i < 6; ++i)
      d.push_back(b.getAffineDimExpr(i));
    window = emptyTensor(b, loc, RankedTensorType::get({w.kernel[0], w.kernel[1]}, element));
    exprs = {{d[0], d[1] * w.stride[0] + d[4], d[2] * w.stride[1] + d[5], d[3]},
             {d[4], d[5]},
             {d[0], d[1], d[2], d[3]}};
  }
};

Value padImage(OpBuilder &b, Location loc, Value x, const Window2D &w, TypedAttr value) {
  return padTensor(b, loc, x, {0, w.padLow[0], w.padLow[1], 0}, {0, w.padHigh[0], w.padHigh[1], 0},
                   value);
}

/// The smallest value of a float or of a stored integer.
TypedAttr lowest(OpBuilder &b, Type element) {
  if (auto integer = dyn_cast<IntegerType>(element))
    return b.getIntegerAttr(element, APInt::getSignedMinValue(integer.getWidth()));
  return b.getFloatAttr(element, -std::numeric_limits<double>::infinity());
}

/// `a > b`
Value isGreater(OpBuilder &b, Location loc, Value lhs, Value rhs) {
  if (lhs.getType().isInteger())
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sgt, lhs, rhs);
  return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, lhs, rhs);
}

struct LowerMaxPool : OpRewritePattern<MaxPoolOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MaxPoolOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    Window2D w = windowOf(op);
    Type element = typeOf(op).getElementType();
    Value x = padImage(b, loc, op.getInput(), w, lowest(b, element));
    PoolLoops loops(b, loc, w, element);
    Value init = filledTensor(b, loc, typeOf(op), lowest(b, element));
    b.replaceOp(op, generic(b, loc, {x, loops.window}, init, 6, loops.exprs, {4, 5},
                            [](OpBuilder &nested, Location l, ValueRange args) -> Value {
                              if (args[0].getType().isInteger())
                                return arith::MaxSIOp::create(nested, l, args[2], args[0]);
                              return atLeast(nested, l, args[2], args[0]);
                            }));
    return success();
  }
};

/// Carries the maximum along with its position; only the position is a result.
struct LowerMaxPoolArgmax : OpRewritePattern<MaxPoolArgmaxOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MaxPoolArgmaxOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    Window2D w = windowOf(op);
    RankedTensorType type = typeOf(op);
    Type element = typeOf(op.getInput()).getElementType();
    Value x = padImage(b, loc, op.getInput(), w, lowest(b, element));
    PoolLoops loops(b, loc, w, element);
    Value max =
        filledTensor(b, loc, RankedTensorType::get(type.getShape(), element), lowest(b, element));
    Value position = filledTensor(b, loc, type, b.getI8IntegerAttr(0));
    loops.exprs.push_back(loops.exprs.back());
    SmallVector<AffineMap> maps;
    for (const Exprs &e : loops.exprs)
      maps.push_back(AffineMap::get(6, 0, e, b.getContext()));
    SmallVector<utils::IteratorType> iterators(6, utils::IteratorType::parallel);
    iterators[4] = iterators[5] = utils::IteratorType::reduction;
    auto result = linalg::GenericOp::create(
        b, loc, TypeRange{max.getType(), type}, ValueRange{x, loops.window},
        ValueRange{max, position}, maps, iterators,
        [&](OpBuilder &nested, Location l, ValueRange args) {
          Value greater = isGreater(nested, l, args[0], args[2]);
          Value row = linalg::IndexOp::create(nested, l, 4);
          Value column = linalg::IndexOp::create(nested, l, 5);
          Value width = arith::ConstantIndexOp::create(nested, l, w.kernel[1]);
          Value here = arith::AddIOp::create(nested, l,
                                             arith::MulIOp::create(nested, l, row, width), column);
          Value byte = arith::IndexCastOp::create(nested, l, nested.getI8Type(), here);
          Value newMax = arith::SelectOp::create(nested, l, greater, args[0], args[2]);
          Value newPosition = arith::SelectOp::create(nested, l, greater, byte, args[3]);
          linalg::YieldOp::create(nested, l, ValueRange{newMax, newPosition});
        });
    b.replaceOp(op, result.getResult(1));
    return success();
  }
};

struct LowerAvgPool : OpRewritePattern<AvgPoolOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AvgPoolOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    Window2D w = windowOf(op);
    Value x = padImage(b, loc, op.getInput(), w, b.getF32FloatAttr(0));
    PoolLoops loops(b, loc, w, b.getF32Type());
    Value init = filledTensor(b, loc, typeOf(op), b.getF32FloatAttr(0));
    Value sum = generic(b, loc, {x, loops.window}, init, 6, loops.exprs, {4, 5},
                        [](OpBuilder &nested, Location l, ValueRange args) -> Value {
                          return arith::AddFOp::create(nested, l, args[2], args[0]);
                        });
    double factor = 1.0 / (w.kernel[0] * w.kernel[1]);
    b.replaceOp(op, elementwise(b, loc, typeOf(op), sum,
                                [&](OpBuilder &nested, Location l, ValueRange args) -> Value {
                                  return arith::MulFOp::create(nested, l, args[0],
                                                               floatConstant(nested, l, factor));
                                }));
    return success();
  }
};

/// The adjoint of a pooling, gathered: loop dimensions n qh rh qw rw c | jh jw as for
/// the input gradient of a strided depthwise convolution. `element` computes a window's
/// contribution from the inputs' elements and the tap's row and column.
Value gatherAdjoint(OpBuilder &b, Location loc, const Window2D &window, RankedTensorType type,
                    ValueRange inputs,
                    function_ref<Value(OpBuilder &, Location, ValueRange, Value, Value)> element) {
  Phases h(window, 0, type.getDimSize(1)), w(window, 1, type.getDimSize(2));
  SmallVector<AffineExpr> d;
  for (unsigned i = 0; i < 8; ++i)
    d.push_back(b.getAffineDimExpr(i));
  SmallVector<Value> operands;
  SmallVector<Exprs> exprs;
  for (Value input : inputs) {
    RankedTensorType t = typeOf(input);
    operands.push_back(padTensor(b, loc, input, {0, h.lowPad(), w.lowPad(), 0},
                                 {0, h.highPad(t.getDimSize(1)), w.highPad(t.getDimSize(2)), 0},
                                 cast<TypedAttr>(b.getZeroAttr(t.getElementType()))));
    exprs.push_back({d[0], h.position(d[1], d[2], d[6]), w.position(d[3], d[4], d[7]), d[5]});
  }
  operands.push_back(emptyTensor(b, loc, RankedTensorType::get({h.taps, w.taps}, b.getF32Type())));
  exprs.push_back({d[6], d[7]});
  exprs.push_back({d[0], d[1], d[2], d[3], d[4], d[5]});
  auto split = RankedTensorType::get(
      {type.getDimSize(0), h.quotients, h.stride, w.quotients, w.stride, type.getDimSize(3)},
      type.getElementType());
  auto tapValue = [&](OpBuilder &nested, Location l, const Phases &p, unsigned r, unsigned j) {
    auto constant = [&](int64_t v) -> Value {
      return arith::ConstantIndexOp::create(nested, l, v);
    };
    Value phase =
        arith::AddIOp::create(nested, l, linalg::IndexOp::create(nested, l, r), constant(p.pad));
    Value rest = arith::RemUIOp::create(nested, l, phase, constant(p.stride));
    Value base =
        arith::MulIOp::create(nested, l, linalg::IndexOp::create(nested, l, j), constant(p.stride));
    return arith::AddIOp::create(nested, l, base, rest).getResult();
  };
  Value result = generic(
      b, loc, operands, filledTensor(b, loc, split, b.getF32FloatAttr(0)), 8, exprs, {6, 7},
      [&](OpBuilder &nested, Location l, ValueRange args) -> Value {
        Value row = tapValue(nested, l, h, 2, 6), column = tapValue(nested, l, w, 4, 7);
        Value value = element(nested, l, args, row, column);
        // Taps beyond the window exist only where the stride does not divide it.
        Value zero = floatConstant(nested, l, 0);
        for (auto [p, tap, size] :
             {std::tuple(h, row, window.kernel[0]), std::tuple(w, column, window.kernel[1])}) {
          if (p.taps * p.stride == size)
            continue;
          Value inside = arith::CmpIOp::create(nested, l, arith::CmpIPredicate::ult, tap,
                                               arith::ConstantIndexOp::create(nested, l, size));
          value = arith::SelectOp::create(nested, l, inside, value, zero);
        }
        return arith::AddFOp::create(nested, l, args.back(), value);
      });
  SmallVector<ReassociationIndices> map = {{0}, {1, 2}, {3, 4}, {5}};
  result = tensor::CollapseShapeOp::create(b, loc, result, map);
  if (typeOf(result) == type)
    return result;
  SmallVector<OpFoldResult> zero(4, b.getIndexAttr(0)), one(4, b.getIndexAttr(1));
  return tensor::ExtractSliceOp::create(
      b, loc, type, result, zero, getAsIndexOpFoldResult(b.getContext(), type.getShape()), one);
}

struct LowerMaxPoolGrad : OpRewritePattern<MaxPoolGradOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MaxPoolGradOp op, PatternRewriter &b) const override {
    Window2D window = windowOf(op);
    b.replaceOp(
        op,
        gatherAdjoint(
            b, op.getLoc(), window, typeOf(op), {op.getGrad(), op.getArgmax()},
            [&](OpBuilder &nested, Location l, ValueRange args, Value row, Value column) -> Value {
              Value width = arith::ConstantIndexOp::create(nested, l, window.kernel[1]);
              Value tap = arith::AddIOp::create(
                  nested, l, arith::MulIOp::create(nested, l, row, width), column);
              Value byte = arith::IndexCastOp::create(nested, l, nested.getI8Type(), tap);
              Value here =
                  arith::CmpIOp::create(nested, l, arith::CmpIPredicate::eq, args[1], byte);
              return arith::SelectOp::create(nested, l, here, args[0], floatConstant(nested, l, 0));
            }));
    return success();
  }
};

struct LowerAvgPoolGrad : OpRewritePattern<AvgPoolGradOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AvgPoolGradOp op, PatternRewriter &b) const override {
    Window2D window = windowOf(op);
    double factor = 1.0 / (window.kernel[0] * window.kernel[1]);
    Value sum =
        gatherAdjoint(b, op.getLoc(), window, typeOf(op), op.getGrad(),
                      [](OpBuilder &, Location, ValueRange args, Value, Value) { return args[0]; });
    b.replaceOp(op, elementwise(b, op.getLoc(), typeOf(op), sum,
                                [&](OpBuilder &nested, Location l, ValueRange args) -> Value {
                                  return arith::MulFOp::create(nested, l, args[0],
                                                               floatConstant(nested, l, factor));
                                }));
    return success();
  }
};

} // namespace

void tinytrain::populatePoolingToLinalg(RewritePatternSet &patterns) {
  patterns.add<LowerMaxPool, LowerMaxPoolArgmax, LowerAvgPool, LowerMaxPoolGrad, LowerAvgPoolGrad>(
      patterns.getContext());
}
