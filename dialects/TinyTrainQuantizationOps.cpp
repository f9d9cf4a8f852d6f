//===- TinyTrainQuantizationOps.cpp - Verifiers of changes of scale --------------===//

#include "dialects/TinyTrain.h"

using namespace mlir;
using namespace tinytrain;

/// What the arithmetic needs of a quantized value: signed storage, one zero point.
static LogicalResult verifyStorage(Operation *op, Value value, unsigned maxBits) {
  quant::QuantizedType type = quantizedElement(value);
  bool known = isa<quant::UniformQuantizedType, quant::UniformQuantizedPerAxisType>(type);
  unsigned bits = type.getStorageType().getIntOrFloatBitWidth();
  if (!known || !type.isSigned() || (bits != 8 && bits != 32) || bits > maxBits)
    return op->emitOpError() << "expects signed storage of 8 "
                             << (maxBits == 32 ? "or 32 bit" : "bit") << ", uniform, got "
                             << value.getType();
  auto perAxis = dyn_cast<quant::UniformQuantizedPerAxisType>(type);
  if (!perAxis)
    return success();
  int64_t axis = perAxis.getQuantizedDimension();
  ArrayRef<int64_t> shape = cast<ShapedType>(value.getType()).getShape();
  if (axis >= int64_t(shape.size()) || shape[axis] != int64_t(perAxis.getScales().size()) ||
      !llvm::all_equal(perAxis.getZeroPoints()))
    return op->emitOpError() << "expects one scale per index of dimension " << axis
                             << " and one zero point for all, got " << value.getType();
  return success();
}

LogicalResult QuantizeOp::verify() { return verifyStorage(*this, getOutput(), 8); }
LogicalResult DequantizeOp::verify() { return verifyStorage(*this, getInput(), 32); }

LogicalResult RequantizeOp::verify() {
  if (failed(verifyStorage(*this, getInput(), 32)) || failed(verifyStorage(*this, getOutput(), 8)))
    return failure();
  int64_t last = getInput().getType().getRank() - 1;
  std::optional<int64_t> axis = quantizedAxis(quantizedElement(getInput()));
  if (getInput().getType().getShape() != getOutput().getType().getShape())
    return emitOpError() << "expects operand and result of one shape, got " << getInput().getType()
                         << " and " << getOutput().getType();
  if ((axis && *axis != last) || quantizedAxis(quantizedElement(getOutput())))
    return emitOpError() << "expects scales along the last dimension of its input, and one of its "
                            "result, got "
                         << getInput().getType() << " and " << getOutput().getType();
  return success();
}

SmallVector<float> RequantizeOp::computeMultipliers() {
  double output = scalesOf(quantizedElement(getOutput()))[0];
  return llvm::map_to_vector(scalesOf(quantizedElement(getInput())),
                             [&](double scale) { return float(scale / output); });
}

LogicalResult SGDUpdateOp::verify() {
  if (!quantizedElement(getParam()) == !getRandom())
    return success();
  return emitOpError() << "expects the state of the random generator for a quantized parameter, "
                          "and for no other";
}
