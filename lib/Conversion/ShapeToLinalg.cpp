//===- ShapeToLinalg.cpp - Ops that only move elements ---------------------------===//

#include "lib/Conversion/ToLinalg.h"

#include "mlir/Dialect/Utils/ReshapeOpsUtils.h"

using namespace mlir;
using namespace tinytrain;

namespace {

using Exprs = SmallVector<AffineExpr>;

RankedTensorType typeOf(Value v) { return cast<RankedTensorType>(v.getType()); }

Exprs identity(OpBuilder &b, unsigned rank) {
  Exprs exprs;
  for (unsigned d = 0; d < rank; ++d)
    exprs.push_back(b.getAffineDimExpr(d));
  return exprs;
}

Value first(OpBuilder &, Location, ValueRange args) { return args[0]; }

Value copy(OpBuilder &b, Location loc, Value x) {
  RankedTensorType type = typeOf(x);
  Exprs exprs = identity(b, type.getRank());
  return generic(b, loc, x, emptyTensor(b, loc, type), type.getRank(), {exprs, exprs}, {}, first);
}

/// Copies `x` into `init` at `offset + stride * index`.
Value scatter(OpBuilder &b, Location loc, Value x, Value init, ArrayRef<int64_t> offsets,
              ArrayRef<int64_t> strides) {
  MLIRContext *context = b.getContext();
  return tensor::InsertSliceOp::create(b, loc, copy(b, loc, x), init,
                                       getAsIndexOpFoldResult(context, offsets),
                                       getAsIndexOpFoldResult(context, typeOf(x).getShape()),
                                       getAsIndexOpFoldResult(context, strides));
}

/// A view, through the flat tensor where the shapes do not nest.
struct LowerReshape : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    RankedTensorType from = typeOf(op.getInput()), to = typeOf(op);
    auto flatType = RankedTensorType::get({from.getNumElements()}, from.getElementType());
    auto allDims = [](RankedTensorType type) {
      SmallVector<ReassociationIndices> map(1);
      llvm::append_range(map[0], llvm::seq<int64_t>(0, type.getRank()));
      if (map[0].empty())
        map.clear();
      return map;
    };
    Value flat = op.getInput();
    if (from.getRank() != 1) {
      if (from.getRank() == 0)
        flat = tensor::ExpandShapeOp::create(b, loc, flatType, flat, allDims(from));
      else
        flat = tensor::CollapseShapeOp::create(b, loc, flatType, flat, allDims(from));
    }
    Value result = flat;
    if (to.getRank() == 0)
      result = tensor::CollapseShapeOp::create(b, loc, to, flat, allDims(to));
    else if (to.getRank() != 1)
      result = tensor::ExpandShapeOp::create(b, loc, to, flat, allDims(to));
    b.replaceOp(op, result);
    return success();
  }
};

struct LowerTranspose : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &b) const override {
    RankedTensorType type = typeOf(op);
    Exprs out = identity(b, type.getRank()), in(type.getRank());
    for (auto [i, d] : llvm::enumerate(op.getPermutation()))
      in[d] = out[i];
    b.replaceOp(op, generic(b, op.getLoc(), op.getInput(), emptyTensor(b, op.getLoc(), type),
                            type.getRank(), {in, out}, {}, first));
    return success();
  }
};

struct LowerSlice : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp op, PatternRewriter &b) const override {
    MLIRContext *context = b.getContext();
    Value part = tensor::ExtractSliceOp::create(b, op.getLoc(), op.getInput(),
                                                getAsIndexOpFoldResult(context, op.getOffsets()),
                                                getAsIndexOpFoldResult(context, op.getSizes()),
                                                getAsIndexOpFoldResult(context, op.getStrides()));
    // A kernel reads the part where it lies.
    b.replaceOp(op, op->getParentOfType<KernelOp>() ? part : copy(b, op.getLoc(), part));
    return success();
  }
};

struct LowerPad : OpRewritePattern<PadOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PadOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    Value background =
        elementwise(b, loc, typeOf(op), {}, [&](OpBuilder &nested, Location l, ValueRange) {
          return floatConstant(nested, l, op.getValue().convertToFloat());
        });
    SmallVector<int64_t> strides;
    for (int64_t interior : op.getInterior())
      strides.push_back(interior + 1);
    b.replaceOp(op, scatter(b, loc, op.getInput(), background, op.getLow(), strides));
    return success();
  }
};

struct LowerConcat : OpRewritePattern<ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConcatOp op, PatternRewriter &b) const override {
    RankedTensorType type = typeOf(op);
    // A kernel reads the parts where they lie.
    if (op->getParentOfType<KernelOp>()) {
      b.replaceOpWithNewOp<tensor::ConcatOp>(op, type, op.getAxis(), op.getInputs());
      return success();
    }
    SmallVector<int64_t> offsets(type.getRank(), 0), strides(type.getRank(), 1);
    Value result = emptyTensor(b, op.getLoc(), type);
    for (Value input : op.getInputs()) {
      result = scatter(b, op.getLoc(), input, result, offsets, strides);
      offsets[op.getAxis()] += typeOf(input).getDimSize(op.getAxis());
    }
    b.replaceOp(op, result);
    return success();
  }
};

struct LowerBroadcast : OpRewritePattern<BroadcastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(BroadcastOp op, PatternRewriter &b) const override {
    RankedTensorType type = typeOf(op);
    Exprs out = identity(b, type.getRank()), in;
    for (int64_t d : op.getDims())
      in.push_back(out[d]);
    b.replaceOp(op, generic(b, op.getLoc(), op.getInput(), emptyTensor(b, op.getLoc(), type),
                            type.getRank(), {in, out}, {}, first));
    return success();
  }
};

} // namespace

void tinytrain::populateShapeToLinalg(RewritePatternSet &patterns) {
  patterns.add<LowerReshape, LowerTranspose, LowerSlice, LowerPad, LowerConcat, LowerBroadcast>(
      patterns.getContext());
}
