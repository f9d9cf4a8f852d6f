//===- ReductionRules.cpp - VJP of reductions, softmax and losses ----------------===//

#include "lib/Autodiff/Rules.h"

using namespace mlir;
using namespace tinytrain;

/// Repeats the gradient of a reduction over the reduced dimensions.
static Value spread(OpBuilder &b, Location loc, Value g, Value input, ArrayRef<int64_t> reduced) {
  SmallVector<int64_t> kept;
  for (int64_t d = 0, e = cast<RankedTensorType>(input.getType()).getRank(); d < e; ++d)
    if (!llvm::is_contained(reduced, d))
      kept.push_back(d);
  return BroadcastOp::create(b, loc, input.getType(), g, kept);
}

static Cotangents reduceSum(ReduceSumOp op, OpBuilder &b, Value g) {
  return SmallVector<Value>{spread(b, op.getLoc(), g, op.getInput(), op.getDims())};
}

static Cotangents reduceMean(ReduceMeanOp op, OpBuilder &b, Value g) {
  auto x = cast<RankedTensorType>(op.getInput().getType());
  float count = 1;
  for (int64_t d : op.getDims())
    count *= x.getDimSize(d);
  Value scaled = ScaleOp::create(b, op.getLoc(), g, APFloat(1.0f / count));
  return SmallVector<Value>{spread(b, op.getLoc(), scaled, op.getInput(), op.getDims())};
}

static Cotangents softmax(SoftmaxOp op, OpBuilder &b, Value g) {
  return SmallVector<Value>{SoftmaxGradOp::create(b, op.getLoc(), g, op.getOutput())};
}

static Cotangents logSoftmax(LogSoftmaxOp op, OpBuilder &b, Value g) {
  return SmallVector<Value>{LogSoftmaxGradOp::create(b, op.getLoc(), g, op.getOutput())};
}

static Cotangents crossEntropy(CrossEntropyOp op, OpBuilder &b, Value g) {
  return SmallVector<Value>{
      CrossEntropyGradOp::create(b, op.getLoc(), g, op.getLogits(), op.getLabels()), nullptr};
}

static Cotangents mse(MSEOp op, OpBuilder &b, Value g) {
  Value grad = MSEGradOp::create(b, op.getLoc(), g, op.getPrediction(), op.getTarget());
  return SmallVector<Value>{grad, ScaleOp::create(b, op.getLoc(), grad, APFloat(-1.0f))};
}

void tinytrain::attachReductionRules(MLIRContext *context) {
  Attach<reduceSum>::to(context);
  Attach<reduceMean>::to(context);
  Attach<softmax>::to(context);
  Attach<logSoftmax>::to(context);
  Attach<crossEntropy>::to(context);
  Attach<mse>::to(context);
}
