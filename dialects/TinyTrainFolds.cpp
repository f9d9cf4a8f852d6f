//===- TinyTrainFolds.cpp - Folders and canonicalization patterns ----------------===//

#include "dialects/TinyTrain.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

#include <limits>

using namespace mlir;
using namespace tinytrain;

/// True if `attr` is a float splat of `value`.
static bool isSplatOf(Attribute attr, double value) {
  auto dense = dyn_cast_or_null<DenseFPElementsAttr>(attr);
  return dense && dense.isSplat() && dense.getSplatValue<APFloat>().convertToDouble() == value;
}

static bool allOf(ArrayRef<int64_t> values, int64_t value) {
  return llvm::all_of(values, [=](int64_t v) { return v == value; });
}

/// `value` where it can stand for the result: quantized types may differ in scale.
template <typename Op> static OpFoldResult orNone(Op op, Value value) {
  return value.getType() == op.getType() ? OpFoldResult(value) : OpFoldResult();
}

OpFoldResult AddOp::fold(FoldAdaptor adaptor) {
  if (isSplatOf(adaptor.getRhs(), 0))
    return orNone(*this, getLhs());
  return isSplatOf(adaptor.getLhs(), 0) ? orNone(*this, getRhs()) : OpFoldResult();
}
OpFoldResult SubOp::fold(FoldAdaptor adaptor) {
  return isSplatOf(adaptor.getRhs(), 0) ? orNone(*this, getLhs()) : OpFoldResult();
}
OpFoldResult MulOp::fold(FoldAdaptor adaptor) {
  if (isSplatOf(adaptor.getRhs(), 1))
    return orNone(*this, getLhs());
  return isSplatOf(adaptor.getLhs(), 1) ? orNone(*this, getRhs()) : OpFoldResult();
}
OpFoldResult DivOp::fold(FoldAdaptor adaptor) {
  return isSplatOf(adaptor.getRhs(), 1) ? orNone(*this, getLhs()) : OpFoldResult();
}
OpFoldResult ScaleOp::fold(FoldAdaptor) {
  return getFactor().convertToFloat() == 1.0f ? orNone(*this, getInput()) : OpFoldResult();
}
OpFoldResult ShiftOp::fold(FoldAdaptor) {
  return getValue().convertToFloat() == 0.0f ? orNone(*this, getInput()) : OpFoldResult();
}
OpFoldResult ReluOp::fold(FoldAdaptor) {
  return getInput().getDefiningOp<ReluOp>() ? orNone(*this, getInput()) : OpFoldResult();
}
OpFoldResult ClampOp::fold(FoldAdaptor) {
  bool unbounded = getMin().isInfinity() && getMin().isNegative() && getMax().isInfinity() &&
                   !getMax().isNegative();
  return unbounded ? orNone(*this, getInput()) : OpFoldResult();
}
OpFoldResult ReshapeOp::fold(FoldAdaptor) { return orNone(*this, getInput()); }
OpFoldResult TransposeOp::fold(FoldAdaptor) {
  return llvm::equal(getPermutation(), llvm::seq<int64_t>(0, getPermutation().size()))
             ? orNone(*this, getInput())
             : OpFoldResult();
}
OpFoldResult SliceOp::fold(FoldAdaptor) { return orNone(*this, getInput()); }
OpFoldResult PadOp::fold(FoldAdaptor) {
  return allOf(getLow(), 0) && allOf(getHigh(), 0) && allOf(getInterior(), 0)
             ? orNone(*this, getInput())
             : OpFoldResult();
}
OpFoldResult ConcatOp::fold(FoldAdaptor) {
  return getInputs().size() == 1 ? orNone(*this, getInputs().front()) : OpFoldResult();
}
OpFoldResult BroadcastOp::fold(FoldAdaptor) { return orNone(*this, getInput()); }

namespace {

/// scale(scale(x, a), b) -> scale(x, a * b)
struct MergeScales : OpRewritePattern<ScaleOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ScaleOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<ScaleOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "operand is no scale");
    rewriter.replaceOpWithNewOp<ScaleOp>(op, op.getType(), inner.getInput(),
                                         inner.getFactor() * op.getFactor());
    return success();
  }
};

/// shift(shift(x, a), b) -> shift(x, a + b)
struct MergeShifts : OpRewritePattern<ShiftOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ShiftOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<ShiftOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "operand is no shift");
    rewriter.replaceOpWithNewOp<ShiftOp>(op, op.getType(), inner.getInput(),
                                         inner.getValue() + op.getValue());
    return success();
  }
};

/// clamp(relu(x)) and clamp(clamp(x)) -> one clamp, where the intervals meet.
struct MergeClamps : OpRewritePattern<ClampOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ClampOp op, PatternRewriter &rewriter) const override {
    if (op.getInclusive())
      return rewriter.notifyMatchFailure(op, "its derivative at the bounds differs");
    APFloat low(0.0f), high = APFloat::getInf(APFloat::IEEEsingle());
    Value input;
    if (auto relu = op.getInput().getDefiningOp<ReluOp>()) {
      input = relu.getInput();
    } else if (auto clamp = op.getInput().getDefiningOp<ClampOp>();
               clamp && !clamp.getInclusive()) {
      input = clamp.getInput();
      low = clamp.getMin();
      high = clamp.getMax();
    } else {
      return rewriter.notifyMatchFailure(op, "operand is neither relu nor clamp");
    }
    low = llvm::maxnum(low, op.getMin());
    high = llvm::minnum(high, op.getMax());
    if (low > high)
      return rewriter.notifyMatchFailure(op, "intervals do not meet");
    rewriter.replaceOpWithNewOp<ClampOp>(op, op.getType(), input, low, high, false);
    return success();
  }
};

/// reshape(reshape(x)) -> reshape(x)
struct MergeReshapes : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<ReshapeOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "operand is no reshape");
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), inner.getInput());
    return success();
  }
};

/// transpose(transpose(x)) -> transpose(x)
struct MergeTransposes : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<TransposeOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "operand is no transpose");
    SmallVector<int64_t> permutation;
    for (int64_t d : op.getPermutation())
      permutation.push_back(inner.getPermutation()[d]);
    rewriter.replaceOpWithNewOp<TransposeOp>(op, op.getType(), inner.getInput(), permutation);
    return success();
  }
};

} // namespace

void ScaleOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MergeScales>(context);
}
void ShiftOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MergeShifts>(context);
}
void ClampOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MergeClamps>(context);
}
void ReshapeOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MergeReshapes>(context);
}
void TransposeOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MergeTransposes>(context);
}
