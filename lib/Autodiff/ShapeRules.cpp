//===- ShapeRules.cpp - VJP of ops that only move elements -----------------------===//

#include "lib/Autodiff/Rules.h"

using namespace mlir;
using namespace tinytrain;

static Cotangents reshape(ReshapeOp op, OpBuilder &b, Value g) {
  return SmallVector<Value>{
      ReshapeOp::create(b, op.getLoc(), gradientType(op.getInput().getType()), g)};
}

static Cotangents transpose(TransposeOp op, OpBuilder &b, Value g) {
  SmallVector<int64_t> inverse(op.getPermutation().size());
  for (auto [i, d] : llvm::enumerate(op.getPermutation()))
    inverse[d] = i;
  return SmallVector<Value>{TransposeOp::create(b, op.getLoc(), g, inverse)};
}

static Cotangents slice(SliceOp op, OpBuilder &b, Value g) {
  ArrayRef<int64_t> x = cast<RankedTensorType>(op.getInput().getType()).getShape();
  SmallVector<int64_t> high, interior;
  for (auto [size, offset, count, stride] :
       llvm::zip(x, op.getOffsets(), op.getSizes(), op.getStrides())) {
    high.push_back(size - offset - (count - 1) * stride - 1);
    interior.push_back(stride - 1);
  }
  return SmallVector<Value>{
      PadOp::create(b, op.getLoc(), g, op.getOffsets(), high, interior, APFloat(0.0f))};
}

static Cotangents pad(PadOp op, OpBuilder &b, Value g) {
  SmallVector<int64_t> strides;
  for (int64_t interior : op.getInterior())
    strides.push_back(interior + 1);
  ArrayRef<int64_t> x = cast<RankedTensorType>(op.getInput().getType()).getShape();
  return SmallVector<Value>{SliceOp::create(b, op.getLoc(), g, op.getLow(), x, strides)};
}

static Cotangents concat(ConcatOp op, OpBuilder &b, Value g) {
  ArrayRef<int64_t> y = cast<RankedTensorType>(g.getType()).getShape();
  SmallVector<int64_t> offsets(y.size(), 0), strides(y.size(), 1);
  SmallVector<Value> result;
  for (Value input : op.getInputs()) {
    ArrayRef<int64_t> x = cast<RankedTensorType>(input.getType()).getShape();
    result.push_back(SliceOp::create(b, op.getLoc(), g, offsets, x, strides));
    offsets[op.getAxis()] += x[op.getAxis()];
  }
  return result;
}

static Cotangents broadcast(BroadcastOp op, OpBuilder &b, Value g) {
  SmallVector<int64_t> repeated;
  for (int64_t d = 0, e = cast<RankedTensorType>(g.getType()).getRank(); d < e; ++d)
    if (!llvm::is_contained(op.getDims(), d))
      repeated.push_back(d);
  return SmallVector<Value>{ReduceSumOp::create(b, op.getLoc(), g, repeated)};
}

void tinytrain::attachShapeRules(MLIRContext *context) {
  Attach<reshape>::to(context);
  Attach<transpose>::to(context);
  Attach<slice>::to(context);
  Attach<pad>::to(context);
  Attach<concat>::to(context);
  Attach<broadcast>::to(context);
}
