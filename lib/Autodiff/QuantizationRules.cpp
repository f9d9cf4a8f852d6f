//===- QuantizationRules.cpp - VJP of changes of scale ---------------------------===//
//
// The gradient of a quantized value is that with respect to its stored integers. Rounding counts
// as the identity; where a result saturates the gradient is zero.
//
//===----------------------------------------------------------------------===//

#include "lib/Autodiff/Rules.h"

using namespace mlir;
using namespace tinytrain;

Value tinytrain::saturationVJP(OpBuilder &b, Location loc, Value g, Value result) {
  quant::QuantizedType type = quantizedElement(result);
  return ClampGradOp::create(b, loc, g, result, APFloat(float(type.getStorageTypeMin())),
                             APFloat(float(type.getStorageTypeMax())), false);
}

static Cotangents quantizeVJP(QuantizeOp op, OpBuilder &b, Value g) {
  float factor = 1.0 / scalesOf(quantizedElement(op.getOutput()))[0];
  Value masked = saturationVJP(b, op.getLoc(), g, op.getOutput());
  return SmallVector<Value>{ScaleOp::create(b, op.getLoc(), masked, APFloat(factor))};
}

static Cotangents dequantizeVJP(DequantizeOp op, OpBuilder &b, Value g) {
  float factor = scalesOf(quantizedElement(op.getInput()))[0];
  return SmallVector<Value>{ScaleOp::create(b, op.getLoc(), g, APFloat(factor))};
}

static Cotangents requantizeVJP(RequantizeOp op, OpBuilder &b, Value g) {
  Location loc = op.getLoc();
  Value masked = saturationVJP(b, loc, g, op.getOutput());
  SmallVector<float> factors = op.computeMultipliers();
  if (factors.size() == 1)
    return SmallVector<Value>{ScaleOp::create(b, loc, masked, APFloat(factors[0]))};
  auto type = RankedTensorType::get({int64_t(factors.size())}, b.getF32Type());
  Value table = arith::ConstantOp::create(b, loc, type,
                                          DenseElementsAttr::get(type, ArrayRef<float>(factors)));
  int64_t last = cast<RankedTensorType>(g.getType()).getRank() - 1;
  return SmallVector<Value>{ChannelScaleOp::create(b, loc, masked, table, last)};
}

void tinytrain::attachQuantizationRules(MLIRContext *context) {
  Attach<quantizeVJP>::to(context);
  Attach<dequantizeVJP>::to(context);
  Attach<requantizeVJP>::to(context);
}
