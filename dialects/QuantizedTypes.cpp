//===- QuantizedTypes.cpp - What the dialect asks of quantized types -------------===//

#include "dialects/TinyTrain.h"

using namespace mlir;
using namespace tinytrain;

SmallVector<double> tinytrain::scalesOf(quant::QuantizedType type) {
  if (auto perAxis = dyn_cast<quant::UniformQuantizedPerAxisType>(type))
    return llvm::to_vector(perAxis.getScales());
  return {cast<quant::UniformQuantizedType>(type).getScale()};
}

int64_t tinytrain::zeroPointOf(quant::QuantizedType type) {
  if (auto perAxis = dyn_cast<quant::UniformQuantizedPerAxisType>(type))
    return perAxis.getZeroPoints().front();
  return cast<quant::UniformQuantizedType>(type).getZeroPoint();
}

std::optional<int64_t> tinytrain::quantizedAxis(quant::QuantizedType type) {
  if (auto perAxis = dyn_cast<quant::UniformQuantizedPerAxisType>(type))
    return perAxis.getQuantizedDimension();
  return std::nullopt;
}

RankedTensorType tinytrain::storageType(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  auto quantized = quantizedElement(tensor);
  return quantized ? tensor.clone(quantized.getStorageType()) : tensor;
}

RankedTensorType tinytrain::gradientType(Type type) {
  return cast<RankedTensorType>(type).clone(Float32Type::get(type.getContext()));
}

RankedTensorType tinytrain::sliceType(Type type, int64_t dim, int64_t first, int64_t size) {
  auto tensor = cast<RankedTensorType>(type);
  SmallVector<int64_t> shape(tensor.getShape());
  shape[dim] = size;
  Type element = tensor.getElementType();
  auto perAxis = dyn_cast<quant::UniformQuantizedPerAxisType>(element);
  if (perAxis && perAxis.getQuantizedDimension() == dim)
    element = quant::UniformQuantizedPerAxisType::get(
        perAxis.getFlags(), perAxis.getStorageType(), perAxis.getExpressedType(),
        perAxis.getScales().slice(first, size), perAxis.getZeroPoints().slice(first, size),
        perAxis.getQuantizedDimension(), perAxis.getStorageTypeMin(), perAxis.getStorageTypeMax());
  return RankedTensorType::get(shape, element);
}
