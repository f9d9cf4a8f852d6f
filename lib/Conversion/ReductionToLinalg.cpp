//===- ReductionToLinalg.cpp - Reductions, softmax and losses --------------------===//

#include "lib/Conversion/ToLinalg.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <limits>

using namespace mlir;
using namespace tinytrain;

namespace {

using Exprs = SmallVector<AffineExpr>;

RankedTensorType typeOf(Value v) { return cast<RankedTensorType>(v.getType()); }

/// Reduces floats.
Value reduceFloats(OpBuilder &b, Location loc, Value x, ArrayRef<int64_t> dims, double start,
                   ScalarBody body) {
  return reduce(b, loc, x, dims, b.getF32FloatAttr(start), body);
}

/// Sums of int8 are int32.
Value sum(OpBuilder &b, Location loc, Value x, ArrayRef<int64_t> dims) {
  if (typeOf(x).getElementType().isInteger())
    return reduce(b, loc, x, dims, b.getI32IntegerAttr(0),
                  [](OpBuilder &nested, Location l, ValueRange args) -> Value {
                    Value wide = arith::ExtSIOp::create(nested, l, nested.getI32Type(), args[0]);
                    return arith::AddIOp::create(nested, l, args[1], wide);
                  });
  return reduceFloats(b, loc, x, dims, 0,
                      [](OpBuilder &nested, Location l, ValueRange args) -> Value {
                        return arith::AddFOp::create(nested, l, args[1], args[0]);
                      });
}

Value max(OpBuilder &b, Location loc, Value x, ArrayRef<int64_t> dims) {
  return reduceFloats(b, loc, x, dims, -std::numeric_limits<double>::infinity(),
                      [](OpBuilder &nested, Location l, ValueRange args) {
                        return atLeast(nested, l, args[1], args[0]);
                      });
}

Value scaled(OpBuilder &b, Location loc, Value x, double factor) {
  if (factor == 1.0)
    return x;
  return elementwise(
      b, loc, typeOf(x), x, [&](OpBuilder &nested, Location l, ValueRange args) -> Value {
        return arith::MulFOp::create(nested, l, args[0], floatConstant(nested, l, factor));
      });
}

int64_t lastDim(Value x) { return typeOf(x).getRank() - 1; }

/// Elementwise over `type` with inputs of its rank, or of one rank less: those repeat
/// along the last dimension.
Value alongRows(OpBuilder &b, Location loc, RankedTensorType type, ValueRange inputs,
                ScalarBody body) {
  Exprs identity;
  for (int64_t d = 0; d < type.getRank(); ++d)
    identity.push_back(b.getAffineDimExpr(d));
  SmallVector<Exprs> exprs;
  for (Value input : inputs)
    exprs.push_back(llvm::to_vector(ArrayRef(identity).take_front(typeOf(input).getRank())));
  exprs.push_back(identity);
  return generic(b, loc, inputs, emptyTensor(b, loc, type), type.getRank(), exprs, {}, body);
}

/// log(sum(exp(x))) of each row, shifted by the row's maximum.
Value logSumExp(OpBuilder &b, Location loc, Value x) {
  Value rowMax = max(b, loc, x, {lastDim(x)});
  Value shifted = alongRows(b, loc, typeOf(x), {x, rowMax},
                            [](OpBuilder &nested, Location l, ValueRange args) -> Value {
                              Value d = arith::SubFOp::create(nested, l, args[0], args[1]);
                              return math::ExpOp::create(nested, l, d);
                            });
  Value total = sum(b, loc, shifted, {lastDim(x)});
  return elementwise(b, loc, typeOf(total), {total, rowMax},
                     [](OpBuilder &nested, Location l, ValueRange args) -> Value {
                       Value log = math::LogOp::create(nested, l, args[0]);
                       return arith::AddFOp::create(nested, l, log, args[1]);
                     });
}

template <typename Op, Value (*Reduce)(OpBuilder &, Location, Value, ArrayRef<int64_t>)>
struct LowerReduce : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &b) const override {
    b.replaceOp(op, Reduce(b, op.getLoc(), op.getInput(), op.getDims()));
    return success();
  }
};

Value mean(OpBuilder &b, Location loc, Value x, ArrayRef<int64_t> dims) {
  double count = 1;
  for (int64_t d : dims)
    count *= typeOf(x).getDimSize(d);
  return scaled(b, loc, sum(b, loc, x, dims), 1.0 / count);
}

struct LowerGlobalAvgPool : OpRewritePattern<GlobalAvgPoolOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(GlobalAvgPoolOp op, PatternRewriter &b) const override {
    b.replaceOp(op, mean(b, op.getLoc(), op.getInput(), {1, 2}));
    return success();
  }
};

struct LowerSoftmax : OpRewritePattern<SoftmaxOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SoftmaxOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    Value x = op.getInput(), rowMax = max(b, loc, x, {lastDim(x)});
    Value e = alongRows(b, loc, typeOf(x), {x, rowMax},
                        [](OpBuilder &nested, Location l, ValueRange args) -> Value {
                          Value d = arith::SubFOp::create(nested, l, args[0], args[1]);
                          return math::ExpOp::create(nested, l, d);
                        });
    Value total = sum(b, loc, e, {lastDim(x)});
    b.replaceOp(op, alongRows(b, loc, typeOf(x), {e, total},
                              [](OpBuilder &nested, Location l, ValueRange args) -> Value {
                                return arith::DivFOp::create(nested, l, args[0], args[1]);
                              }));
    return success();
  }
};

struct LowerSoftmaxGrad : OpRewritePattern<SoftmaxGradOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SoftmaxGradOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    Value g = op.getGrad(), y = op.getResult();
    Value product = elementwise(b, loc, typeOf(g), {g, y},
                                [](OpBuilder &nested, Location l, ValueRange args) -> Value {
                                  return arith::MulFOp::create(nested, l, args[0], args[1]);
                                });
    Value total = sum(b, loc, product, {lastDim(g)});
    b.replaceOp(op, alongRows(b, loc, typeOf(g), {g, y, total},
                              [](OpBuilder &nested, Location l, ValueRange args) -> Value {
                                Value d = arith::SubFOp::create(nested, l, args[0], args[2]);
                                return arith::MulFOp::create(nested, l, args[1], d);
                              }));
    return success();
  }
};

struct LowerLogSoftmax : OpRewritePattern<LogSoftmaxOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(LogSoftmaxOp op, PatternRewriter &b) const override {
    Value x = op.getInput(), lse = logSumExp(b, op.getLoc(), x);
    b.replaceOp(op, alongRows(b, op.getLoc(), typeOf(x), {x, lse},
                              [](OpBuilder &nested, Location l, ValueRange args) -> Value {
                                return arith::SubFOp::create(nested, l, args[0], args[1]);
                              }));
    return success();
  }
};

struct LowerLogSoftmaxGrad : OpRewritePattern<LogSoftmaxGradOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(LogSoftmaxGradOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    Value g = op.getGrad(), total = sum(b, loc, g, {lastDim(g)});
    b.replaceOp(op, alongRows(b, loc, typeOf(g), {g, op.getResult(), total},
                              [](OpBuilder &nested, Location l, ValueRange args) -> Value {
                                Value p = math::ExpOp::create(nested, l, args[1]);
                                Value d = arith::MulFOp::create(nested, l, p, args[2]);
                                return arith::SubFOp::create(nested, l, args[0], d);
                              }));
    return success();
  }
};

/// True where the column (loop dimension 1) is the row's label.
Value isLabel(OpBuilder &b, Location loc, Value label) {
  Value column =
      arith::IndexCastOp::create(b, loc, label.getType(), linalg::IndexOp::create(b, loc, 1));
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, column, label);
}

struct LowerCrossEntropy : OpRewritePattern<CrossEntropyOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CrossEntropyOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    Value x = op.getLogits(), lse = logSumExp(b, loc, x);
    AffineExpr row = b.getAffineDimExpr(0), column = b.getAffineDimExpr(1);
    Value init = filledTensor(b, loc, typeOf(op), b.getF32FloatAttr(0));
    Value total = generic(b, loc, {x, lse, op.getLabels()}, init, 2,
                          {Exprs{row, column}, Exprs{row}, Exprs{row}, Exprs{}}, {0, 1},
                          [](OpBuilder &nested, Location l, ValueRange args) -> Value {
                            Value loss = arith::SubFOp::create(nested, l, args[1], args[0]);
                            loss = arith::SelectOp::create(nested, l, isLabel(nested, l, args[2]),
                                                           loss, floatConstant(nested, l, 0));
                            return arith::AddFOp::create(nested, l, args[3], loss);
                          });
    b.replaceOp(op, scaled(b, loc, total, 1.0 / typeOf(x).getDimSize(0)));
    return success();
  }
};

struct LowerCrossEntropyGrad : OpRewritePattern<CrossEntropyGradOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CrossEntropyGradOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    Value x = op.getLogits(), lse = logSumExp(b, loc, x);
    double factor = 1.0 / typeOf(x).getDimSize(0);
    AffineExpr row = b.getAffineDimExpr(0), column = b.getAffineDimExpr(1);
    Value init = emptyTensor(b, loc, typeOf(x));
    b.replaceOp(op,
                generic(b, loc, {op.getGrad(), x, lse, op.getLabels()}, init, 2,
                        {Exprs{}, Exprs{row, column}, Exprs{row}, Exprs{row}, Exprs{row, column}},
                        {}, [&](OpBuilder &nested, Location l, ValueRange args) -> Value {
                          Value d = arith::SubFOp::create(nested, l, args[1], args[2]);
                          Value p = math::ExpOp::create(nested, l, d);
                          Value one = floatConstant(nested, l, 1);
                          Value q = arith::SubFOp::create(nested, l, p, one);
                          p = arith::SelectOp::create(nested, l, isLabel(nested, l, args[3]), q, p);
                          Value f = arith::MulFOp::create(nested, l, args[0],
                                                          floatConstant(nested, l, factor));
                          return arith::MulFOp::create(nested, l, p, f);
                        }));
    return success();
  }
};

struct LowerMSE : OpRewritePattern<MSEOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MSEOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    RankedTensorType type = typeOf(op.getPrediction());
    Exprs identity;
    SmallVector<unsigned> reductions;
    for (unsigned d = 0; d < type.getRank(); ++d) {
      identity.push_back(b.getAffineDimExpr(d));
      reductions.push_back(d);
    }
    Value init = filledTensor(b, loc, typeOf(op), b.getF32FloatAttr(0));
    Value total = generic(b, loc, {op.getPrediction(), op.getTarget()}, init, type.getRank(),
                          {identity, identity, Exprs{}}, reductions,
                          [](OpBuilder &nested, Location l, ValueRange args) -> Value {
                            Value d = arith::SubFOp::create(nested, l, args[0], args[1]);
                            Value square = arith::MulFOp::create(nested, l, d, d);
                            return arith::AddFOp::create(nested, l, args[2], square);
                          });
    b.replaceOp(op, scaled(b, loc, total, 1.0 / type.getNumElements()));
    return success();
  }
};

struct LowerMSEGrad : OpRewritePattern<MSEGradOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MSEGradOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    RankedTensorType type = typeOf(op.getPrediction());
    double factor = 2.0 / type.getNumElements();
    b.replaceOp(op, elementwise(b, loc, type, {op.getGrad(), op.getPrediction(), op.getTarget()},
                                [&](OpBuilder &nested, Location l, ValueRange args) -> Value {
                                  Value d = arith::SubFOp::create(nested, l, args[1], args[2]);
                                  Value f = arith::MulFOp::create(nested, l, args[0],
                                                                  floatConstant(nested, l, factor));
                                  return arith::MulFOp::create(nested, l, d, f);
                                }));
    return success();
  }
};

} // namespace

void tinytrain::populateReductionToLinalg(RewritePatternSet &patterns) {
  patterns.add<LowerReduce<ReduceSumOp, sum>, LowerReduce<ReduceMaxOp, max>,
               LowerReduce<ReduceMeanOp, mean>, LowerGlobalAvgPool, LowerSoftmax, LowerSoftmaxGrad,
               LowerLogSoftmax, LowerLogSoftmaxGrad, LowerCrossEntropy, LowerCrossEntropyGrad,
               LowerMSE, LowerMSEGrad>(patterns.getContext());
}
