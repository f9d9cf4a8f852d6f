//===- ToLinalg.h - What the lowering patterns share ------------------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_CONVERSION_TOLINALG_H
#define TINYTRAIN_LIB_CONVERSION_TOLINALG_H

#include "dialects/TinyTrain.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/PatternMatch.h"

namespace tinytrain {

void populateContractionToLinalg(mlir::RewritePatternSet &patterns);
void populateElementwiseToLinalg(mlir::RewritePatternSet &patterns);
void populatePoolingToLinalg(mlir::RewritePatternSet &patterns);
/// Ops whose arithmetic depends on the scales and zero points of quantized types.
void populateQuantizedToLinalg(mlir::RewritePatternSet &patterns);
void populateReductionToLinalg(mlir::RewritePatternSet &patterns);
void populateShapeToLinalg(mlir::RewritePatternSet &patterns);

using ScalarBody =
    llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Location, mlir::ValueRange)>;

/// A tensor.empty of the static `type`.
mlir::Value emptyTensor(mlir::OpBuilder &b, mlir::Location loc, mlir::RankedTensorType type);

/// A tensor of `type` filled with `value`: the start of a reduction.
mlir::Value filledTensor(mlir::OpBuilder &b, mlir::Location loc, mlir::RankedTensorType type,
                         mlir::TypedAttr value);

/// A linalg.generic with one result. `exprs` holds the index expressions of each
/// input and, last, of `init`, over `dims` loop dimensions, of which those in
/// `reductions` reduce.
mlir::Value generic(mlir::OpBuilder &b, mlir::Location loc, mlir::ValueRange inputs,
                    mlir::Value init, unsigned dims,
                    llvm::ArrayRef<llvm::SmallVector<mlir::AffineExpr>> exprs,
                    llvm::ArrayRef<unsigned> reductions, ScalarBody body);

/// An elementwise linalg.generic over the shape of `type`. An input of lower rank
/// is aligned with the last dimensions.
mlir::Value elementwise(mlir::OpBuilder &b, mlir::Location loc, mlir::RankedTensorType type,
                        mlir::ValueRange inputs, ScalarBody body);

/// The stored integers of a quantized tensor; other tensors as they are.
mlir::Value stored(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);
/// A result as the op that is replaced had it: stored integers become quantized again.
mlir::Value withType(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, mlir::Type type);

/// `sum (a - zeroPoint) * (b - zeroPointB)` of floats or integers: sums of integers are int32,
/// others f32.
struct Product {
  mlir::Value a, b;
  int64_t zeroPoint = 0, zeroPointB = 0;
  mlir::Type element;

  Product(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value a, mlir::Value b);
  /// Zero of the sum.
  mlir::TypedAttr zero() const;
  /// A tensor of zero sums.
  mlir::Value start(mlir::OpBuilder &builder, mlir::Location loc,
                    llvm::ArrayRef<int64_t> shape) const;
  /// Surrounds an operand with what contributes nothing.
  mlir::Value pad(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value operand,
                  llvm::ArrayRef<int64_t> low, llvm::ArrayRef<int64_t> high) const;
  /// `args.back()` plus the product of `args[0]` and `args[1]`.
  mlir::Value multiplyAdd(mlir::OpBuilder &builder, mlir::Location loc,
                          mlir::ValueRange args) const;
  /// The body of a linalg.generic.
  auto body() const {
    return [this](mlir::OpBuilder &builder, mlir::Location loc, mlir::ValueRange args) {
      return multiplyAdd(builder, loc, args);
    };
  }
};

/// Reduces the dimensions `dims` of `x` from `start` on with `body`, which takes the element and
/// the accumulator.
mlir::Value reduce(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x,
                   llvm::ArrayRef<int64_t> dims, mlir::TypedAttr start, ScalarBody body);

/// Surrounds `x` with a constant where `low` or `high` is positive.
mlir::Value padTensor(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x,
                      llvm::ArrayRef<int64_t> low, llvm::ArrayRef<int64_t> high,
                      mlir::TypedAttr value);

/// The leading part of `x` of the given shape, or `x` if that is all of it.
mlir::Value leadingPart(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x,
                        llvm::ArrayRef<int64_t> shape);
/// `x` with its leading part replaced.
mlir::Value withLeadingPart(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x,
                            mlir::Value part);

mlir::Value floatConstant(mlir::OpBuilder &b, mlir::Location loc, double value);
/// `a < b ? b : a`, which keeps a NaN in `a`.
mlir::Value atLeast(mlir::OpBuilder &b, mlir::Location loc, mlir::Value a, mlir::Value bound);
mlir::Value atMost(mlir::OpBuilder &b, mlir::Location loc, mlir::Value a, mlir::Value bound);

/// Index expressions of the adjoint of a strided window along one dimension. The
/// image index is `s * q + r` with phase `r`; only taps `k = s * j + (r + p) mod s`
/// of a window reach it, from window position `q + (r + p) floordiv s - j`.
struct Phases {
  int64_t stride, pad, taps, quotients;

  Phases(const Window2D &w, unsigned d, int64_t imageSize)
      : stride(w.stride[d]), pad(w.padLow[d]), taps((w.kernel[d] + stride - 1) / stride),
        quotients((imageSize + stride - 1) / stride) {}
  mlir::AffineExpr tap(mlir::AffineExpr r, mlir::AffineExpr j) const {
    return j * stride + (r + pad) % stride;
  }
  /// Offset by `lowPad()` so that it is never negative.
  mlir::AffineExpr position(mlir::AffineExpr q, mlir::AffineExpr r, mlir::AffineExpr j) const {
    return q + (r + pad).floorDiv(stride) - j + lowPad();
  }
  int64_t lowPad() const { return std::max<int64_t>(0, taps - 1 - pad / stride); }
  /// Padding behind the last of `size` window positions.
  int64_t highPad(int64_t size) const {
    int64_t last = quotients - 1 + (stride - 1 + pad) / stride;
    return std::max<int64_t>(0, last - (size - 1));
  }
};

} // namespace tinytrain

#endif // TINYTRAIN_LIB_CONVERSION_TOLINALG_H
