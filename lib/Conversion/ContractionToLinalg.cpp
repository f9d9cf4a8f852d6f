//===- ContractionToLinalg.cpp - Convolution, its adjoints, matrix product -------===//

#include "lib/Conversion/ToLinalg.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace tinytrain;

namespace {

using Exprs = SmallVector<AffineExpr>;

template <typename Op> Window2D windowOf(Op op, ArrayRef<int64_t> weightShape) {
  return *getWindow(weightShape.slice(1, 2), op.getStrides(), op.getPadding(), op.getDilations(),
                    [&] { return op.emitOpError(); });
}

RankedTensorType typeOf(Value v) { return cast<RankedTensorType>(v.getType()); }

/// The channel dimensions of a convolution: one loop dimension per kind, split by
/// group where there are several groups.
enum class Kind { Dense, Depthwise, Grouped };

Kind kindOf(int64_t groups, RankedTensorType x, RankedTensorType w) {
  if (groups == 1)
    return Kind::Dense;
  return isDepthwise(groups, x.getDimSize(3), w.getShape()) ? Kind::Depthwise : Kind::Grouped;
}

/// Splits dimension `d` into [groups, size / groups].
Value splitDim(OpBuilder &b, Location loc, Value v, int64_t d, int64_t groups) {
  RankedTensorType type = typeOf(v);
  SmallVector<int64_t> shape(type.getShape());
  SmallVector<ReassociationIndices> map;
  for (int64_t i = 0, k = 0; i < type.getRank(); ++i) {
    map.emplace_back(1, k++);
    if (i == d)
      map.back().push_back(k++);
  }
  shape[d] = type.getDimSize(d) / groups;
  shape.insert(shape.begin() + d, groups);
  return tensor::ExpandShapeOp::create(b, loc, RankedTensorType::get(shape, type.getElementType()),
                                       v, map);
}

/// Joins dimensions `d` and `d + 1`.
Value joinDims(OpBuilder &b, Location loc, Value v, ArrayRef<int64_t> dims) {
  SmallVector<ReassociationIndices> map;
  for (int64_t i = 0; i < typeOf(v).getRank(); ++i) {
    map.emplace_back(1, i);
    if (llvm::is_contained(dims, i))
      map.back().push_back(++i);
  }
  return tensor::CollapseShapeOp::create(b, loc, v, map);
}

RankedTensorType withShape(RankedTensorType type, ArrayRef<int64_t> shape) {
  return RankedTensorType::get(shape, type.getElementType());
}

/// Pads the image dimensions of an NHWC value by the window's padding.
Value padImage(OpBuilder &b, Location loc, const Product &product, Value x, const Window2D &w) {
  return product.pad(b, loc, x, {0, w.padLow[0], w.padLow[1], 0},
                     {0, w.padHigh[0], w.padHigh[1], 0});
}

struct LowerConv2D : OpRewritePattern<Conv2DOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(Conv2DOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    RankedTensorType xType = typeOf(op.getInput()), wType = typeOf(op.getWeight()),
                     type = typeOf(op);
    int64_t groups = op.getGroups();
    Window2D window = windowOf(op, wType.getShape());
    Product product(b, loc, op.getInput(), op.getWeight());
    Value x = padImage(b, loc, product, product.a, window), w = product.b;
    SmallVector<AffineExpr> d;
    for (unsigned i = 0; i < 8; ++i)
      d.push_back(b.getAffineDimExpr(i));
    auto at = [&](unsigned dim, AffineExpr out, AffineExpr tap) {
      return out * window.stride[dim] + tap * window.dilation[dim];
    };
    Value result;
    switch (kindOf(groups, xType, wType)) {
    case Kind::Dense: // n p q o | h w i
      result = generic(b, loc, {x, w}, product.start(b, loc, type.getShape()), 7,
                       {Exprs{d[0], at(0, d[1], d[4]), at(1, d[2], d[5]), d[6]},
                        Exprs{d[3], d[4], d[5], d[6]}, Exprs{d[0], d[1], d[2], d[3]}},
                       {4, 5, 6}, product.body());
      break;
    case Kind::Depthwise: // n p q c | h w
      result = generic(b, loc, {x, w}, product.start(b, loc, type.getShape()), 6,
                       {Exprs{d[0], at(0, d[1], d[4]), at(1, d[2], d[5]), d[3]},
                        Exprs{b.getAffineConstantExpr(0), d[4], d[5], d[3]},
                        Exprs{d[0], d[1], d[2], d[3]}},
                       {4, 5}, product.body());
      break;
    case Kind::Grouped: { // n p q g o | h w i
      SmallVector<int64_t> split = {type.getDimSize(0), type.getDimSize(1), type.getDimSize(2),
                                    groups, type.getDimSize(3) / groups};
      result = generic(b, loc, {splitDim(b, loc, x, 3, groups), splitDim(b, loc, w, 0, groups)},
                       product.start(b, loc, split), 8,
                       {Exprs{d[0], at(0, d[1], d[5]), at(1, d[2], d[6]), d[3], d[7]},
                        Exprs{d[3], d[4], d[5], d[6], d[7]}, Exprs{d[0], d[1], d[2], d[3], d[4]}},
                       {5, 6, 7}, product.body());
      result = joinDims(b, loc, result, {3});
      break;
    }
    }
    b.replaceOp(op, withType(b, loc, result, op.getType()));
    return success();
  }
};

struct LowerConv2DWeightGrad : OpRewritePattern<Conv2DWeightGradOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(Conv2DWeightGradOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    RankedTensorType xType = typeOf(op.getInput()), type = typeOf(op);
    int64_t groups = op.getGroups();
    Window2D window = windowOf(op, type.getShape());
    Product product(b, loc, op.getInput(), op.getGrad());
    Value x = padImage(b, loc, product, product.a, window), g = product.b;
    SmallVector<AffineExpr> d;
    for (unsigned i = 0; i < 8; ++i)
      d.push_back(b.getAffineDimExpr(i));
    auto at = [&](unsigned dim, AffineExpr out, AffineExpr tap) {
      return out * window.stride[dim] + tap * window.dilation[dim];
    };
    Value result;
    switch (kindOf(groups, xType, type)) {
    case Kind::Dense: // o h w i | n p q
      result = generic(b, loc, {x, g}, product.start(b, loc, type.getShape()), 7,
                       {Exprs{d[4], at(0, d[5], d[1]), at(1, d[6], d[2]), d[3]},
                        Exprs{d[4], d[5], d[6], d[0]}, Exprs{d[0], d[1], d[2], d[3]}},
                       {4, 5, 6}, product.body());
      break;
    case Kind::Depthwise: { // h w c | n p q
      result = generic(b, loc, {x, g}, product.start(b, loc, type.getShape().drop_front()), 6,
                       {Exprs{d[3], at(0, d[4], d[0]), at(1, d[5], d[1]), d[2]},
                        Exprs{d[3], d[4], d[5], d[2]}, Exprs{d[0], d[1], d[2]}},
                       {3, 4, 5}, product.body());
      SmallVector<ReassociationIndices> map = {{0, 1}, {2}, {3}};
      result = tensor::ExpandShapeOp::create(
          b, loc, RankedTensorType::get(type.getShape(), product.element), result, map);
      break;
    }
    case Kind::Grouped: { // g o h w i | n p q
      SmallVector<int64_t> split = {groups, type.getDimSize(0) / groups, type.getDimSize(1),
                                    type.getDimSize(2), type.getDimSize(3)};
      result = generic(b, loc, {splitDim(b, loc, x, 3, groups), splitDim(b, loc, g, 3, groups)},
                       product.start(b, loc, split), 8,
                       {Exprs{d[5], at(0, d[6], d[2]), at(1, d[7], d[3]), d[0], d[4]},
                        Exprs{d[5], d[6], d[7], d[0], d[1]}, Exprs{d[0], d[1], d[2], d[3], d[4]}},
                       {5, 6, 7}, product.body());
      result = joinDims(b, loc, result, {0});
      break;
    }
    }
    b.replaceOp(op, withType(b, loc, result, op.getType()));
    return success();
  }
};

/// Loop dimensions n qh rh qw rw, then channels, then jh jw and the reduced channel:
/// a stride-1 correlation in every phase (rh, rw) of the image.
struct LowerConv2DInputGrad : OpRewritePattern<Conv2DInputGradOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(Conv2DInputGradOp op, PatternRewriter &b) const override {
    Location loc = op.getLoc();
    RankedTensorType type = typeOf(op), wType = typeOf(op.getWeight()),
                     gType = typeOf(op.getGrad());
    int64_t groups = op.getGroups();
    Window2D window = windowOf(op, wType.getShape());
    for (unsigned d = 0; d < 2; ++d)
      if (window.stride[d] > 1 && window.dilation[d] > 1)
        return op.emitOpError() << "has stride and dilation above one: spread the gradient with "
                                   "tinytrain.pad {interior} first";
    int64_t n = type.getDimSize(0), channels = type.getDimSize(3);
    Phases h(window, 0, type.getDimSize(1)), w(window, 1, type.getDimSize(2));

    // With stride 1 a dilated tap k reaches position x + p - k * dilation.
    auto lowPad = [&](const Phases &p, unsigned d) {
      return p.stride > 1
                 ? p.lowPad()
                 : std::max<int64_t>(0, (window.kernel[d] - 1) * window.dilation[d] - p.pad);
    };
    auto highPad = [&](const Phases &p, unsigned d) {
      return p.stride > 1 ? p.highPad(gType.getDimSize(d + 1))
                          : std::max<int64_t>(0, type.getDimSize(d + 1) - 1 + p.pad -
                                                     (gType.getDimSize(d + 1) - 1));
    };
    auto position = [&](const Phases &p, unsigned d, AffineExpr q, AffineExpr r, AffineExpr j) {
      return p.stride > 1 ? p.position(q, r, j)
                          : q + r - j * window.dilation[d] + (p.pad + lowPad(p, d));
    };
    Product product(b, loc, op.getGrad(), op.getWeight());
    Value g = product.pad(b, loc, product.a, {0, lowPad(h, 0), lowPad(w, 1), 0},
                          {0, highPad(h, 0), highPad(w, 1), 0});
    Value weight = product.pad(
        b, loc, product.b, {0, 0, 0, 0},
        {0, h.taps * h.stride - window.kernel[0], w.taps * w.stride - window.kernel[1], 0});

    SmallVector<AffineExpr> d;
    for (unsigned i = 0; i < 10; ++i)
      d.push_back(b.getAffineDimExpr(i));
    Kind kind = kindOf(groups, type, wType);
    bool grouped = kind == Kind::Grouped;
    unsigned j = grouped ? 7 : 6; // the first tap dimension
    AffineExpr ph = position(h, 0, d[1], d[2], d[j]), pw = position(w, 1, d[3], d[4], d[j + 1]);
    AffineExpr th = h.tap(d[2], d[j]), tw = w.tap(d[4], d[j + 1]);
    // The extents of the tap dimensions follow from no operand: a shape-only one says them.
    Value taps = emptyTensor(b, loc, withShape(type, {h.taps, w.taps}));
    SmallVector<int64_t> shape = {n, h.quotients, h.stride, w.quotients, w.stride};
    Exprs out(d.begin(), d.begin() + 5);
    auto build = [&](ArrayRef<int64_t> channelShape, Value gIn, Value wIn, Exprs gMap, Exprs wMap,
                     SmallVector<unsigned> reductions) {
      llvm::append_range(shape, channelShape);
      for (unsigned c = 0; c < channelShape.size(); ++c)
        out.push_back(d[5 + c]);
      Value init = product.start(b, loc, shape);
      unsigned dims = j + reductions.size();
      return generic(b, loc, {gIn, wIn, taps}, init, dims, {gMap, wMap, Exprs{d[j], d[j + 1]}, out},
                     reductions, product.body());
    };
    Value result;
    switch (kind) {
    case Kind::Dense: // ... i | jh jw o
      result = build({channels}, g, weight, {d[0], ph, pw, d[8]}, {d[8], th, tw, d[5]}, {6, 7, 8});
      break;
    case Kind::Depthwise: // ... c | jh jw
      result = build({channels}, g, weight, {d[0], ph, pw, d[5]},
                     {b.getAffineConstantExpr(0), th, tw, d[5]}, {6, 7});
      break;
    case Kind::Grouped: // ... g i | jh jw o
      result = build({groups, channels / groups}, splitDim(b, loc, g, 3, groups),
                     splitDim(b, loc, weight, 0, groups), {d[0], ph, pw, d[5], d[9]},
                     {d[5], d[9], th, tw, d[6]}, {7, 8, 9});
      break;
    }
    SmallVector<int64_t> joined = {1, 3};
    if (grouped)
      joined.push_back(5);
    result = joinDims(b, loc, result, joined);
    if (typeOf(result).getShape() != type.getShape()) {
      SmallVector<OpFoldResult> zero(4, b.getIndexAttr(0)), one(4, b.getIndexAttr(1));
      result = tensor::ExtractSliceOp::create(
          b, loc, result, zero, getAsIndexOpFoldResult(b.getContext(), type.getShape()), one);
    }
    b.replaceOp(op, withType(b, loc, result, op.getType()));
    return success();
  }
};

struct LowerMatmul : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatmulOp op, PatternRewriter &b) const override {
    RankedTensorType type = typeOf(op);
    unsigned batch = type.getRank() - 2;
    Exprs lhs, rhs, out;
    for (unsigned i = 0; i < batch; ++i)
      for (Exprs *e : {&lhs, &rhs, &out})
        e->push_back(b.getAffineDimExpr(i));
    AffineExpr m = b.getAffineDimExpr(batch), n = b.getAffineDimExpr(batch + 1),
               k = b.getAffineDimExpr(batch + 2);
    auto append = [](Exprs &e, AffineExpr row, AffineExpr column, bool transpose) {
      e.push_back(transpose ? column : row);
      e.push_back(transpose ? row : column);
    };
    append(lhs, m, k, op.getTransposeLhs());
    append(rhs, k, n, op.getTransposeRhs());
    append(out, m, n, false);
    Product product(b, op.getLoc(), op.getLhs(), op.getRhs());
    Value result = generic(b, op.getLoc(), {product.a, product.b},
                           product.start(b, op.getLoc(), type.getShape()), batch + 3,
                           {lhs, rhs, out}, {batch + 2}, product.body());
    b.replaceOp(op, withType(b, op.getLoc(), result, type));
    return success();
  }
};

} // namespace

void tinytrain::populateContractionToLinalg(RewritePatternSet &patterns) {
  patterns.add<LowerConv2D, LowerConv2DWeightGrad, LowerConv2DInputGrad, LowerMatmul>(
      patterns.getContext());
}
