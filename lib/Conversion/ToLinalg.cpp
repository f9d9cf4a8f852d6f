//===- ToLinalg.cpp - The pass, and what the patterns share ----------------------===//

#include "lib/Conversion/ToLinalg.h"
#include "lib/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Transforms/DialectConversion.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_CONVERTTINYTRAINTOLINALG
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

struct ConvertTinyTrainToLinalg
    : tinytrain::impl::ConvertTinyTrainToLinalgBase<ConvertTinyTrainToLinalg> {
  using ConvertTinyTrainToLinalgBase::ConvertTinyTrainToLinalgBase;

  void runOnOperation() override {
    ConversionTarget target(getContext());
    target.addLegalDialect<arith::ArithDialect, linalg::LinalgDialect, math::MathDialect,
                           tensor::TensorDialect>();
    target.addIllegalDialect<TinyTrainDialect>();
    target.addLegalOp<KernelOp, YieldOp>();
    RewritePatternSet patterns(&getContext());
    populateContractionToLinalg(patterns);
    populateElementwiseToLinalg(patterns);
    populatePoolingToLinalg(patterns);
    populateReductionToLinalg(patterns);
    populateShapeToLinalg(patterns);
    if (failed(applyPartialConversion(getOperation(), target, std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace

Value tinytrain::emptyTensor(OpBuilder &b, Location loc, RankedTensorType type) {
  return tensor::EmptyOp::create(b, loc, type.getShape(), type.getElementType());
}

Value tinytrain::filledTensor(OpBuilder &b, Location loc, RankedTensorType type, TypedAttr value) {
  Value scalar = arith::ConstantOp::create(b, loc, value);
  return linalg::FillOp::create(b, loc, scalar, emptyTensor(b, loc, type)).getResult(0);
}

Value tinytrain::generic(OpBuilder &b, Location loc, ValueRange inputs, Value init, unsigned dims,
                         ArrayRef<SmallVector<AffineExpr>> exprs, ArrayRef<unsigned> reductions,
                         ScalarBody body) {
  SmallVector<AffineMap> maps;
  for (ArrayRef<AffineExpr> e : exprs)
    maps.push_back(AffineMap::get(dims, 0, e, b.getContext()));
  SmallVector<utils::IteratorType> iterators(dims, utils::IteratorType::parallel);
  for (unsigned d : reductions)
    iterators[d] = utils::IteratorType::reduction;
  auto op = linalg::GenericOp::create(b, loc, init.getType(), inputs, init, maps, iterators,
                                      [&](OpBuilder &nested, Location l, ValueRange args) {
                                        linalg::YieldOp::create(nested, l, body(nested, l, args));
                                      });
  return op.getResult(0);
}

Value tinytrain::elementwise(OpBuilder &b, Location loc, RankedTensorType type, ValueRange inputs,
                             ScalarBody body) {
  unsigned rank = type.getRank();
  SmallVector<AffineExpr> identity;
  for (unsigned d = 0; d < rank; ++d)
    identity.push_back(b.getAffineDimExpr(d));
  SmallVector<SmallVector<AffineExpr>> exprs;
  for (Value input : inputs) {
    unsigned inputRank = cast<RankedTensorType>(input.getType()).getRank();
    exprs.push_back(llvm::to_vector(ArrayRef(identity).take_back(inputRank)));
  }
  exprs.push_back(identity);
  return generic(b, loc, inputs, emptyTensor(b, loc, type), rank, exprs, {}, body);
}

Value tinytrain::padTensor(OpBuilder &b, Location loc, Value x, ArrayRef<int64_t> low,
                           ArrayRef<int64_t> high, TypedAttr value) {
  auto isZero = [](int64_t v) { return v == 0; };
  if (llvm::all_of(low, isZero) && llvm::all_of(high, isZero))
    return x;
  Value scalar = arith::ConstantOp::create(b, loc, value);
  return tensor::PadOp::create(b, loc, Type(), x, getAsIndexOpFoldResult(b.getContext(), low),
                               getAsIndexOpFoldResult(b.getContext(), high), scalar,
                               /*nofold=*/false);
}

Value tinytrain::floatConstant(OpBuilder &b, Location loc, double value) {
  return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value));
}

Value tinytrain::atLeast(OpBuilder &b, Location loc, Value a, Value bound) {
  Value below = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, a, bound);
  return arith::SelectOp::create(b, loc, below, bound, a);
}

Value tinytrain::atMost(OpBuilder &b, Location loc, Value a, Value bound) {
  Value above = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, a, bound);
  return arith::SelectOp::create(b, loc, above, bound, a);
}
