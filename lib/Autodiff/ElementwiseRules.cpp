//===- ElementwiseRules.cpp - VJP of elementwise ops -----------------------------===//

#include "lib/Autodiff/Rules.h"

#include <limits>

using namespace mlir;
using namespace tinytrain;

static Cotangents biasAddVJP(BiasAddOp op, OpBuilder &b, Value g) {
  int64_t rank = cast<RankedTensorType>(g.getType()).getRank();
  SmallVector<int64_t> leading = llvm::to_vector(llvm::seq<int64_t>(0, rank - 1));
  return SmallVector<Value>{g, ReduceSumOp::create(b, op.getLoc(), g, leading)};
}

static Cotangents addVJP(AddOp op, OpBuilder &b, Value g) {
  quant::QuantizedType y = quantizedElement(op.getOutput());
  if (!y)
    return SmallVector<Value>{g, g};
  g = saturationVJP(b, op.getLoc(), g, op.getOutput());
  auto scaled = [&](Value operand) -> Value {
    float factor = scalesOf(quantizedElement(operand))[0] / scalesOf(y)[0];
    return ScaleOp::create(b, op.getLoc(), g, APFloat(factor));
  };
  Value dLhs = scaled(op.getLhs());
  return SmallVector<Value>{dLhs, scaled(op.getRhs())};
}

static Cotangents subVJP(SubOp op, OpBuilder &b, Value g) {
  return SmallVector<Value>{g, ScaleOp::create(b, op.getLoc(), g, APFloat(-1.0f))};
}

static Cotangents mulVJP(MulOp op, OpBuilder &b, Value g) {
  Value dLhs = MulOp::create(b, op.getLoc(), g, op.getRhs());
  Value dRhs = MulOp::create(b, op.getLoc(), g, op.getLhs());
  return SmallVector<Value>{dLhs, dRhs};
}

/// d(l / r) = g / r, -g (l / r) / r
static Cotangents divVJP(DivOp op, OpBuilder &b, Value g) {
  Location loc = op.getLoc();
  Value dLhs = DivOp::create(b, loc, g, op.getRhs());
  Value product = MulOp::create(b, loc, dLhs, op.getOutput());
  Value dRhs = ScaleOp::create(b, loc, product, APFloat(-1.0f));
  return SmallVector<Value>{dLhs, dRhs};
}

static Cotangents scaleVJP(ScaleOp op, OpBuilder &b, Value g) {
  return SmallVector<Value>{ScaleOp::create(b, op.getLoc(), g, op.getFactor())};
}

static Cotangents shiftVJP(ShiftOp, OpBuilder &, Value g) { return SmallVector<Value>{g}; }

static Cotangents expVJP(ExpOp op, OpBuilder &b, Value g) {
  return SmallVector<Value>{MulOp::create(b, op.getLoc(), g, op.getOutput())};
}

static Cotangents logVJP(LogOp op, OpBuilder &b, Value g) {
  return SmallVector<Value>{DivOp::create(b, op.getLoc(), g, op.getInput())};
}

static Cotangents reluVJP(ReluOp op, OpBuilder &b, Value g) {
  return SmallVector<Value>{ClampGradOp::create(b, op.getLoc(), g, op.getOutput(), APFloat(0.0f),
                                                APFloat::getInf(APFloat::IEEEsingle()), false)};
}

static Cotangents clampVJP(ClampOp op, OpBuilder &b, Value g) {
  return SmallVector<Value>{ClampGradOp::create(b, op.getLoc(), g,
                                                op.getInclusive() ? op.getInput() : op.getOutput(),
                                                op.getMin(), op.getMax(), op.getInclusive())};
}

void tinytrain::attachElementwiseRules(MLIRContext *context) {
  Attach<biasAddVJP>::to(context);
  Attach<addVJP>::to(context);
  Attach<subVJP>::to(context);
  Attach<mulVJP>::to(context);
  Attach<divVJP>::to(context);
  Attach<scaleVJP>::to(context);
  Attach<shiftVJP>::to(context);
  Attach<expVJP>::to(context);
  Attach<logVJP>::to(context);
  Attach<reluVJP>::to(context);
  Attach<clampVJP>::to(context);
}
