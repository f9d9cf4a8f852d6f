//===- PoolingRules.cpp - VJP of pooling ops -------------------------------------===//

#include "lib/Autodiff/Rules.h"

using namespace mlir;
using namespace tinytrain;

/// Keeps the position of each maximum, taken when the pooling runs, and not the
/// input.
static Cotangents maxPool(MaxPoolOp op, OpBuilder &b, Value g) {
  Value argmax;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointAfter(op);
    argmax = MaxPoolArgmaxOp::create(b, op.getLoc(), op.getInput(), op.getKernel(), op.getStrides(),
                                     op.getPadding());
  }
  return SmallVector<Value>{
      MaxPoolGradOp::create(b, op.getLoc(), gradientType(op.getInput().getType()), g, argmax,
                            op.getKernel(), op.getStrides(), op.getPadding())};
}

/// Through the change of scale of a pooling's quantized result. A mean of values of one type does
/// not saturate.
template <typename Op> static Value rescaled(Op op, OpBuilder &b, Value g) {
  quant::QuantizedType x = quantizedElement(op.getInput()), y = quantizedElement(op.getOutput());
  if (x == y)
    return g;
  float factor = scalesOf(x)[0] / scalesOf(y)[0];
  g = saturationVJP(b, op.getLoc(), g, op.getOutput());
  return ScaleOp::create(b, op.getLoc(), g, APFloat(factor));
}

static Cotangents avgPool(AvgPoolOp op, OpBuilder &b, Value g) {
  return SmallVector<Value>{
      AvgPoolGradOp::create(b, op.getLoc(), gradientType(op.getInput().getType()),
                            rescaled(op, b, g), op.getKernel(), op.getStrides(), op.getPadding())};
}

static Cotangents globalAvgPool(GlobalAvgPoolOp op, OpBuilder &b, Value g) {
  auto x = cast<RankedTensorType>(op.getInput().getType());
  float size = x.getDimSize(1) * x.getDimSize(2);
  Value mean = ScaleOp::create(b, op.getLoc(), rescaled(op, b, g), APFloat(1.0f / size));
  return SmallVector<Value>{
      BroadcastOp::create(b, op.getLoc(), gradientType(x), mean, ArrayRef<int64_t>{0, 3})};
}

void tinytrain::attachPoolingRules(MLIRContext *context) {
  Attach<maxPool>::to(context);
  Attach<avgPool>::to(context);
  Attach<globalAvgPool>::to(context);
}
