//===- ToLinalg.cpp - The pass, and what the patterns share ----------------------===//

#include "lib/Conversion/ToLinalg.h"
#include "lib/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
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
    if (getOperation().isExternal())
      return;
    if (failed(checkQuantizedTypes()))
      return signalPassFailure();
    // First what looks at scales; then nothing but stored integers is left.
    RewritePatternSet quantized(&getContext());
    populateContractionToLinalg(quantized);
    populateQuantizedToLinalg(quantized);
    if (failed(convert(std::move(quantized), /*all=*/false)))
      return signalPassFailure();
    dropQuantizedTypes();
    RewritePatternSet patterns(&getContext());
    populateElementwiseToLinalg(patterns);
    populatePoolingToLinalg(patterns);
    populateReductionToLinalg(patterns);
    populateShapeToLinalg(patterns);
    if (failed(convert(std::move(patterns), /*all=*/true)))
      return signalPassFailure();
    getOperation().walk([&](KernelOp kernel) { hoistTables(kernel); });
    if (exact)
      getOperation().walk(
          [](linalg::GenericOp op) { op->setAttr(kExact, UnitAttr::get(op.getContext())); });
  }

private:
  /// Converts all ops, or only contractions and those that look at scales.
  LogicalResult convert(RewritePatternSet patterns, bool all) {
    ConversionTarget target(getContext());
    target.addLegalDialect<arith::ArithDialect, linalg::LinalgDialect, math::MathDialect,
                           quant::QuantDialect, tensor::TensorDialect>();
    target.addDynamicallyLegalDialect<TinyTrainDialect>(
        [=](Operation *op) { return !all && !dependsOnScales(op); });
    target.addLegalOp<JoinRowsOp, KernelOp, RowWindowOp, YieldOp>();
    return applyPartialConversion(getOperation(), target, std::move(patterns));
  }

  static bool dependsOnScales(Operation *op) {
    if (isa<ContractionOpInterface, GradientScaleOp, QuantizeGradientOp, DequantizeGradientOp>(op))
      return true;
    // These move, compare or add stored integers.
    if (isa<BiasAddOp, ClampGradOp, ClampMaskOp, ConcatOp, JoinRowsOp, MaxPoolArgmaxOp, MaxPoolOp,
            MomentumUpdateOp, ReduceSumOp, ReshapeOp, RowWindowOp, SliceOp, TransposeOp>(op))
      return false;
    auto isQuantized = [](Type type) {
      return isa<ShapedType>(type) && quantizedElement(type) != nullptr;
    };
    return llvm::any_of(op->getOperandTypes(), isQuantized) ||
           llvm::any_of(op->getResultTypes(), isQuantized);
  }

  /// The arithmetic is that of signed integers with one zero point for all channels.
  LogicalResult checkQuantizedTypes() {
    WalkResult result = getOperation().walk([](Operation *op) {
      for (Type type : llvm::concat<Type>(op->getOperandTypes(), op->getResultTypes())) {
        auto tensor = dyn_cast<RankedTensorType>(type);
        quant::QuantizedType element = tensor ? quantizedElement(tensor) : nullptr;
        if (!element)
          continue;
        auto perAxis = dyn_cast<quant::UniformQuantizedPerAxisType>(element);
        bool isKnown = perAxis ? llvm::all_equal(perAxis.getZeroPoints())
                               : isa<quant::UniformQuantizedType>(element);
        if (!isKnown || !element.isSigned()) {
          op->emitOpError() << "cannot compute with " << element
                            << ": quantize to signed integers with one zero point for all channels";
          return WalkResult::interrupt();
        }
      }
      return WalkResult::advance();
    });
    return failure(result.wasInterrupted());
  }

  /// Makes every quantized value one of stored integers.
  void dropQuantizedTypes() {
    func::FuncOp func = getOperation();
    auto drop = [](Value value) {
      if (auto tensor = dyn_cast<RankedTensorType>(value.getType()))
        value.setType(storageType(tensor));
    };
    func.walk([&](Operation *op) {
      llvm::for_each(op->getResults(), drop);
      for (Region &region : op->getRegions())
        for (Block &block : region)
          llvm::for_each(block.getArguments(), drop);
    });
    func.walk([](quant::StorageCastOp cast) {
      cast.getResult().replaceAllUsesWith(cast.getInput());
      cast.erase();
    });
    func.setFunctionType(FunctionType::get(&getContext(), func.front().getArgumentTypes(),
                                           func.front().getTerminator()->getOperandTypes()));
  }

  /// A kernel reads tables from memory: they become operands.
  static void hoistTables(KernelOp kernel) {
    for (auto constant :
         llvm::make_early_inc_range(kernel.getKernelBlock()->getOps<arith::ConstantOp>())) {
      if (!isa<ShapedType>(constant.getType()))
        continue;
      OpBuilder b(kernel);
      Value table = b.clone(*constant)->getResult(0);
      unsigned index = kernel.getInputs().size();
      kernel.getInputsMutable().append(table);
      constant.replaceAllUsesWith(
          kernel.getKernelBlock()->insertArgument(index, table.getType(), constant.getLoc()));
      constant.erase();
    }
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

Value tinytrain::leadingPart(OpBuilder &b, Location loc, Value x, ArrayRef<int64_t> shape) {
  auto type = cast<RankedTensorType>(x.getType());
  if (type.getShape() == shape)
    return x;
  SmallVector<OpFoldResult> zero(shape.size(), b.getIndexAttr(0)),
      one(shape.size(), b.getIndexAttr(1));
  return tensor::ExtractSliceOp::create(b, loc, x, zero,
                                        getAsIndexOpFoldResult(b.getContext(), shape), one);
}

Value tinytrain::withLeadingPart(OpBuilder &b, Location loc, Value x, Value part) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(part.getType()).getShape();
  if (cast<RankedTensorType>(x.getType()).getShape() == shape)
    return part;
  SmallVector<OpFoldResult> zero(shape.size(), b.getIndexAttr(0)),
      one(shape.size(), b.getIndexAttr(1));
  return tensor::InsertSliceOp::create(b, loc, part, x, zero,
                                       getAsIndexOpFoldResult(b.getContext(), shape), one);
}

Value tinytrain::reduce(OpBuilder &b, Location loc, Value x, ArrayRef<int64_t> dims,
                        TypedAttr start, ScalarBody body) {
  auto type = cast<RankedTensorType>(x.getType());
  SmallVector<AffineExpr> in, out;
  SmallVector<int64_t> shape;
  SmallVector<unsigned> reductions;
  for (unsigned d = 0; d < type.getRank(); ++d) {
    in.push_back(b.getAffineDimExpr(d));
    if (llvm::is_contained(dims, int64_t(d))) {
      reductions.push_back(d);
      continue;
    }
    out.push_back(in.back());
    shape.push_back(type.getDimSize(d));
  }
  Value init = filledTensor(b, loc, RankedTensorType::get(shape, start.getType()), start);
  return generic(b, loc, x, init, type.getRank(), {in, out}, reductions, body);
}

Value tinytrain::stored(OpBuilder &b, Location loc, Value x) {
  return withType(b, loc, x, storageType(x.getType()));
}

Value tinytrain::withType(OpBuilder &b, Location loc, Value x, Type type) {
  return x.getType() == type ? x : quant::StorageCastOp::create(b, loc, type, x).getResult();
}

Product::Product(OpBuilder &builder, Location loc, Value a, Value b)
    : a(stored(builder, loc, a)), b(stored(builder, loc, b)) {
  if (quant::QuantizedType type = quantizedElement(a))
    zeroPoint = zeroPointOf(type);
  if (quant::QuantizedType type = quantizedElement(b))
    zeroPointB = zeroPointOf(type);
  auto isInteger = [](Value v) {
    return cast<RankedTensorType>(v.getType()).getElementType().isInteger();
  };
  element = isInteger(this->a) && isInteger(this->b) ? Type(builder.getI32Type())
                                                     : Type(builder.getF32Type());
}

TypedAttr Product::zero() const {
  Builder builder(element.getContext());
  return cast<TypedAttr>(builder.getZeroAttr(element));
}

Value Product::start(OpBuilder &builder, Location loc, ArrayRef<int64_t> shape) const {
  return filledTensor(builder, loc, RankedTensorType::get(shape, element), zero());
}

Value Product::pad(OpBuilder &builder, Location loc, Value operand, ArrayRef<int64_t> low,
                   ArrayRef<int64_t> high) const {
  Type type = cast<RankedTensorType>(operand.getType()).getElementType();
  auto nothing =
      type.isInteger()
          ? TypedAttr(builder.getIntegerAttr(type, operand == a ? zeroPoint : zeroPointB))
          : TypedAttr(builder.getFloatAttr(type, 0));
  return padTensor(builder, loc, operand, low, high, nothing);
}

Value Product::multiplyAdd(OpBuilder &builder, Location loc, ValueRange args) const {
  bool isInteger = element.isInteger();
  auto load = [&](Value x, int64_t zero) -> Value {
    if (!x.getType().isInteger())
      return x;
    Value wide = arith::ExtSIOp::create(builder, loc, builder.getI32Type(), x);
    if (zero)
      wide = arith::SubIOp::create(
          builder, loc, wide,
          arith::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(zero)));
    return isInteger ? wide : arith::SIToFPOp::create(builder, loc, element, wide).getResult();
  };
  Value x = load(args[0], zeroPoint), y = load(args[1], zeroPointB);
  if (isInteger)
    return arith::AddIOp::create(builder, loc, args.back(),
                                 arith::MulIOp::create(builder, loc, x, y));
  return arith::AddFOp::create(builder, loc, args.back(),
                               arith::MulFOp::create(builder, loc, x, y));
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
