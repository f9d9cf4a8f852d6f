//===- ContractionRules.cpp - VJP of convolution and matrix product --------------===//

#include "lib/Autodiff/Rules.h"

using namespace mlir;
using namespace tinytrain;

/// The input gradient. Where stride and dilation both exceed one, the gradient is
/// first spread over the stride-1 positions.
static Value conv2dInputGrad(Conv2DOp op, OpBuilder &b, Value g) {
  auto x = cast<RankedTensorType>(op.getInput().getType());
  auto w = cast<RankedTensorType>(op.getWeight().getType());
  ArrayRef<int64_t> padding = op.getPadding(), dilations = op.getDilations();
  SmallVector<int64_t> strides(op.getStrides()), high(4, 0), interior(4, 0);
  for (unsigned d = 0; d < 2; ++d) {
    if (strides[d] == 1 || dilations[d] == 1)
      continue;
    int64_t size = cast<RankedTensorType>(g.getType()).getDimSize(d + 1);
    int64_t positions = x.getDimSize(d + 1) + padding[2 * d] + padding[2 * d + 1] -
                        dilations[d] * (w.getDimSize(d + 1) - 1);
    interior[d + 1] = strides[d] - 1;
    high[d + 1] = positions - ((size - 1) * strides[d] + 1);
    strides[d] = 1;
  }
  if (interior[1] || interior[2])
    g = PadOp::create(b, op.getLoc(), g, SmallVector<int64_t>(4, 0), high, interior, APFloat(0.0f));
  return Conv2DInputGradOp::create(b, op.getLoc(), gradientType(x), g, op.getWeight(), strides,
                                   padding, dilations, op.getGroups());
}

static Cotangents conv2d(Conv2DOp op, OpBuilder &b, Value g) {
  Value dx = conv2dInputGrad(op, b, g);
  Value dw = Conv2DWeightGradOp::create(b, op.getLoc(), gradientType(op.getWeight().getType()),
                                        op.getInput(), g, op.getStrides(), op.getPadding(),
                                        op.getDilations(), op.getGroups());
  return SmallVector<Value>{dx, dw};
}

/// Swaps the last two dimensions.
static Value transposeMatrix(OpBuilder &b, Location loc, Value x) {
  int64_t rank = cast<RankedTensorType>(x.getType()).getRank();
  SmallVector<int64_t> permutation = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  std::swap(permutation[rank - 1], permutation[rank - 2]);
  return TransposeOp::create(b, loc, x, permutation);
}

/// With y = op(a) op(b): d op(a) = g op(b)^T and d op(b) = op(a)^T g, written so
/// that the result has the operand's own orientation.
static Cotangents matmul(MatmulOp op, OpBuilder &b, Value g) {
  Location loc = op.getLoc();
  Value lhs = op.getLhs(), rhs = op.getRhs();
  bool ta = op.getTransposeLhs(), tb = op.getTransposeRhs();
  auto product = [&](Value x, Value y, bool tx, bool ty) -> Value {
    return MatmulOp::create(b, loc, tx ? transposeMatrix(b, loc, x) : x, y, false, ty);
  };
  Value da = ta ? product(rhs, g, tb, true) : product(g, rhs, false, !tb);
  Value db = tb ? product(g, lhs, true, ta) : product(lhs, g, !ta, false);
  return SmallVector<Value>{da, db};
}

void tinytrain::attachContractionRules(MLIRContext *context) {
  Attach<conv2d>::to(context);
  Attach<matmul>::to(context);
}
