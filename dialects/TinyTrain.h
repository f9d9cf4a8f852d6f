//===- TinyTrain.h - The tinytrain dialect ----------------------------*- C++ -*-===//

#ifndef TINYTRAIN_DIALECTS_TINYTRAIN_H
#define TINYTRAIN_DIALECTS_TINYTRAIN_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "llvm/Support/MathExtras.h"

namespace tinytrain {

/// Names of the attributes on a graph's arguments and results; the dialect's
/// description says what each means.
/// Of a frozen weight and the kernels that read it: `KernelModel::PackedWeights`.
inline constexpr llvm::StringLiteral kPacked = "tinytrain.packed";
/// Likewise: `KernelModel::widenedRun`.
inline constexpr llvm::StringLiteral kWidened = "tinytrain.widened";
/// Of a kernel: the zero point that is left of its first input's. Of the frozen bias that took the
/// rest: the weight, and the amount that each of its elements stands for.
inline constexpr llvm::StringLiteral kFolded = "tinytrain.folded";
/// What kernels and frozen parameters agree on.
inline constexpr llvm::StringLiteral kLayouts[] = {kPacked, kWidened, kFolded};
inline constexpr llvm::StringLiteral kParam = "tinytrain.param";
inline constexpr llvm::StringLiteral kNeedsGrad = "tinytrain.needs_grad";
inline constexpr llvm::StringLiteral kState = "tinytrain.state";
inline constexpr llvm::StringLiteral kUpdated = "tinytrain.updated";
inline constexpr llvm::StringLiteral kLabel = "tinytrain.label";
inline constexpr llvm::StringLiteral kLearningRate = "tinytrain.learning_rate";
inline constexpr llvm::StringLiteral kCotangent = "tinytrain.cotangent";
inline constexpr llvm::StringLiteral kLoss = "tinytrain.loss";
inline constexpr llvm::StringLiteral kGradientOf = "tinytrain.gradient_of";
inline constexpr llvm::StringLiteral kUpdateOf = "tinytrain.update_of";
/// Name of the state of the random generator.
inline constexpr llvm::StringLiteral kRandomState = "random_state";
/// Ends the name of a parameter's frozen part.
inline constexpr llvm::StringLiteral kFrozenPart = "#frozen";
/// Ends the name of a copy of a frozen parameter, in another layout.
inline constexpr llvm::StringLiteral kPackedCopy = "#packed";
/// Names of the attributes on kernel functions and their calls.
inline constexpr llvm::StringLiteral kOverlaps = "tinytrain.overlaps";
inline constexpr llvm::StringLiteral kKernelLabel = "tinytrain.kernel_label";
inline constexpr llvm::StringLiteral kKernelMACs = "tinytrain.macs";
/// On a kernel: the order of its loops (`Blocking::Order`), "rows" or "channels".
inline constexpr llvm::StringLiteral kOrder = "tinytrain.order";
/// On a buffer: it holds the function's input, at the start of the arena.
inline constexpr llvm::StringLiteral kInput = "tinytrain.input";
/// On a linalg op: floating-point operations keep their order and their roundings.
inline constexpr llvm::StringLiteral kExact = "tinytrain.exact";

/// Marks a location as part of the backward pass; the location in the user's model stays.
mlir::Location asBackward(mlir::Location loc);
bool isBackward(mlir::Location loc);
/// The location in the user's model.
mlir::Location withoutPhase(mlir::Location loc);

template <typename ConcreteType>
class KernelRoot : public mlir::OpTrait::TraitBase<ConcreteType, KernelRoot> {};
template <typename ConcreteType>
class ElementwiseOp : public mlir::OpTrait::TraitBase<ConcreteType, ElementwiseOp> {};
template <typename ConcreteType>
class InPlaceUpdate : public mlir::OpTrait::TraitBase<ConcreteType, InPlaceUpdate> {};

/// True if the types are pairwise shaped types of one shape.
bool haveSameShapes(mlir::TypeRange lhs, mlir::TypeRange rhs);

/// Bytes of a tensor or memref of static shape; an element of less than a byte takes one.
inline int64_t bytesOf(mlir::ShapedType type) {
  mlir::Type element = type.getElementType();
  if (auto quantized = mlir::dyn_cast<mlir::quant::QuantizedType>(element))
    element = quantized.getStorageType();
  return type.getNumElements() * llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
}

inline int64_t bytesOf(mlir::Value value) {
  return bytesOf(mlir::cast<mlir::ShapedType>(value.getType()));
}

/// The quantized element type of a tensor, null if it has none.
inline mlir::quant::QuantizedType quantizedElement(mlir::Type type) {
  return mlir::dyn_cast<mlir::quant::QuantizedType>(
      mlir::cast<mlir::ShapedType>(type).getElementType());
}
inline mlir::quant::QuantizedType quantizedElement(mlir::Value value) {
  return quantizedElement(value.getType());
}

/// Scales of a quantized type: one, or one per channel.
llvm::SmallVector<double> scalesOf(mlir::quant::QuantizedType type);
/// The zero point, which all channels share.
int64_t zeroPointOf(mlir::quant::QuantizedType type);
/// The dimension whose indices have scales of their own.
std::optional<int64_t> quantizedAxis(mlir::quant::QuantizedType type);

/// A tensor of stored integers; other tensors stay as they are.
mlir::RankedTensorType storageType(mlir::Type type);
/// The type of a tensor's gradient: f32, of the same shape.
mlir::RankedTensorType gradientType(mlir::Type type);
/// `size` indices from `first` on along dimension `dim`, with their scales.
mlir::RankedTensorType sliceType(mlir::Type type, int64_t dim, int64_t first, int64_t size);

/// Strides, padding and dilations of a 2-D window; `kernel` counts elements.
struct Window2D {
  int64_t kernel[2], stride[2], padLow[2], padHigh[2], dilation[2];

  /// Number of window positions along dimension `d` of an image of `size`.
  int64_t positions(unsigned d, int64_t size) const {
    int64_t room = size + padLow[d] + padHigh[d] - dilation[d] * (kernel[d] - 1) - 1;
    return room < 0 ? 0 : room / stride[d] + 1;
  }
};

/// The verified window of a convolution or pooling, or an error on `emit`.
mlir::FailureOr<Window2D> getWindow(llvm::ArrayRef<int64_t> kernel, llvm::ArrayRef<int64_t> strides,
                                    llvm::ArrayRef<int64_t> padding,
                                    llvm::ArrayRef<int64_t> dilations,
                                    llvm::function_ref<mlir::InFlightDiagnostic()> emit);

/// True if a convolution with `groups` over `inputChannels` has the weight
/// layout `1xKHxKWxC`.
inline bool isDepthwise(int64_t groups, int64_t inputChannels, llvm::ArrayRef<int64_t> weight) {
  return groups > 1 && groups == inputChannels && weight[0] == 1 && weight[3] == groups;
}

} // namespace tinytrain

#include "dialects/TinyTrainDialect.h.inc"
#include "dialects/TinyTrainInterfaces.h.inc"
#define GET_OP_CLASSES
#include "dialects/TinyTrainOps.h.inc"

#endif // TINYTRAIN_DIALECTS_TINYTRAIN_H
