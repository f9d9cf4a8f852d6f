//===- TinyTrainDialect.cpp - Dialect registration and attribute verifiers ------===//

#include "dialects/TinyTrain.h"

using namespace mlir;
using namespace tinytrain;

#include "dialects/TinyTrainDialect.cpp.inc"

void TinyTrainDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/TinyTrainOps.cpp.inc"
      >();
}

Operation *TinyTrainDialect::materializeConstant(OpBuilder &builder, Attribute value, Type type,
                                                 Location loc) {
  return arith::ConstantOp::materialize(builder, value, type, loc);
}

//===----------------------------------------------------------------------===//
// Locations
//===----------------------------------------------------------------------===//

static constexpr StringLiteral kBackward = "tinytrain.backward";

Location tinytrain::asBackward(Location loc) {
  return isBackward(loc) ? loc : NameLoc::get(StringAttr::get(loc.getContext(), kBackward), loc);
}

bool tinytrain::isBackward(Location loc) {
  if (auto fused = dyn_cast<FusedLoc>(loc))
    return llvm::any_of(fused.getLocations(), isBackward);
  auto name = dyn_cast<NameLoc>(loc);
  return name && name.getName() == kBackward;
}

Location tinytrain::withoutPhase(Location loc) {
  if (auto fused = dyn_cast<FusedLoc>(loc))
    return withoutPhase(fused.getLocations().front());
  auto name = dyn_cast<NameLoc>(loc);
  return name && name.getName() == kBackward ? Location(name.getChildLoc()) : loc;
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

static LogicalResult verifyNeedsGrad(Operation *op, Type type, Attribute attr) {
  auto tensor = dyn_cast<ShapedType>(type);
  if (!tensor || !tensor.hasRank())
    return op->emitOpError() << "'" << kNeedsGrad << "' stands on a tensor argument, not on "
                             << type;
  // Stored integers: what becomes of quantized types.
  Type element = tensor.getElementType();
  if (!isa<FloatType, quant::QuantizedType>(element) && !element.isInteger(8) &&
      !element.isInteger(32))
    return op->emitOpError() << "'" << kNeedsGrad << "' stands on floats, not on " << type;
  if (isa<BoolAttr>(attr))
    return success();
  if (auto fraction = dyn_cast<FloatAttr>(attr)) {
    double r = fraction.getValueAsDouble();
    if (r > 0 && r <= 1)
      return success();
    return op->emitOpError() << "'" << kNeedsGrad << "' as a fraction must lie in (0, 1], got "
                             << r;
  }
  if (auto channels = dyn_cast<DenseI64ArrayAttr>(attr)) {
    if (tensor.getRank() == 0)
      return op->emitOpError() << "'" << kNeedsGrad << "' as a channel set needs a dimension";
    int64_t size = tensor.getShape().back(), previous = -1;
    for (int64_t c : channels.asArrayRef()) {
      if (c <= previous || c >= size)
        return op->emitOpError() << "'" << kNeedsGrad
                                 << "' as a channel set must be ascending, without repetition and "
                                    "within [0, "
                                 << size << "), got " << c;
      previous = c;
    }
    return success();
  }
  return op->emitOpError() << "'" << kNeedsGrad
                           << "' must be true, false, a fraction or an i64 array of channels, got "
                           << attr;
}

/// Lanes divide the first dimension, a group the last one.
static LogicalResult verifyPacked(Operation *op, Type type, Attribute value) {
  auto shaped = dyn_cast<ShapedType>(type);
  auto layout = dyn_cast<DenseI64ArrayAttr>(value);
  if (shaped && shaped.getRank() > 1 && layout && layout.size() == 2 && layout[0] > 0 &&
      layout[1] > 0 && shaped.getShape().front() % layout[0] == 0 &&
      shaped.getShape().back() % layout[1] == 0)
    return success();
  return op->emitOpError() << "'" << kPacked
                           << "' must be lanes that divide the first dimension and a group that "
                              "divides the last one of "
                           << type << ", got " << value;
}

LogicalResult TinyTrainDialect::verifyRegionArgAttribute(Operation *op, unsigned, unsigned argIndex,
                                                         NamedAttribute attr) {
  auto func = dyn_cast<FunctionOpInterface>(op);
  if (!func)
    return op->emitOpError() << "'" << attr.getName() << "' stands on function arguments only";
  Type type = func.getArgumentTypes()[argIndex];
  StringRef name = attr.getName();
  if (name == kNeedsGrad)
    return verifyNeedsGrad(op, type, attr.getValue());
  if (name == kParam || name == kState)
    return isa<StringAttr>(attr.getValue())
               ? success()
               : op->emitOpError() << "'" << name << "' must be a string, got " << attr.getValue();
  if (name == kCotangent) {
    auto index = dyn_cast<IntegerAttr>(attr.getValue());
    if (index && index.getInt() >= 0 && index.getInt() < func.getNumResults() &&
        func.getResultTypes()[index.getInt()] == type)
      return success();
    return op->emitOpError() << "'" << name
                             << "' must be the number of a result of the argument's type, got "
                             << attr.getValue();
  }
  if (name == kPacked)
    return verifyPacked(op, type, attr.getValue());
  if (name == kWidened)
    return isa<IntegerAttr>(attr.getValue())
               ? success()
               : op->emitOpError()
                     << "'" << name << "' must be a number of dimensions, got " << attr.getValue();
  if (name == kFolded) {
    auto folded = dyn_cast<DictionaryAttr>(attr.getValue());
    return folded && folded.getAs<StringAttr>("weight") && folded.getAs<IntegerAttr>("amount")
               ? success()
               : op->emitOpError()
                     << "'" << name << "' must be {weight, amount}, got " << attr.getValue();
  }
  // A result's attribute stays with it when it becomes an output argument.
  if (name == kLabel || name == kLearningRate || name == kUpdated || name == kLoss)
    return success();
  return op->emitOpError() << "has an unknown argument attribute '" << name << "'";
}

LogicalResult TinyTrainDialect::verifyRegionResultAttribute(Operation *op, unsigned,
                                                            unsigned resultIndex,
                                                            NamedAttribute attr) {
  auto func = cast<FunctionOpInterface>(op);
  Type type = func.getResultTypes()[resultIndex];
  StringRef name = attr.getName();
  if (name == kLoss) {
    auto tensor = dyn_cast<ShapedType>(type);
    if (tensor && tensor.getRank() == 0)
      return success();
    return op->emitOpError() << "'" << name << "' stands on a scalar tensor result, not on "
                             << type;
  }
  if (name == kGradientOf || name == kUpdateOf) {
    auto index = dyn_cast<IntegerAttr>(attr.getValue());
    if (index && index.getInt() >= 0 && index.getInt() < func.getNumArguments())
      return success();
    return op->emitOpError() << "'" << name << "' must be the number of an argument, got "
                             << attr.getValue();
  }
  return op->emitOpError() << "has an unknown result attribute '" << name << "'";
}

LogicalResult TinyTrainDialect::verifyOperationAttribute(Operation *op, NamedAttribute attr) {
  // What the passes record for reports stands on modules, functions and calls.
  StringRef name = attr.getName();
  if (name == kOrder) {
    auto order = dyn_cast<StringAttr>(attr.getValue());
    if (order && (order == "rows" || order == "channels"))
      return success();
    return op->emitOpError() << "'" << name << "' must be \"rows\" or \"channels\", got "
                             << attr.getValue();
  }
  if (llvm::is_contained({StringRef("tinytrain.arena_bytes"), StringRef("tinytrain.parameters"),
                          StringRef("tinytrain.buffers"), StringRef("tinytrain.ops"),
                          StringRef("tinytrain.global"), StringRef("tinytrain.kernel"),
                          StringRef(kOverlaps), StringRef(kKernelLabel), StringRef(kKernelMACs),
                          StringRef(kExact), StringRef(kInput), StringRef(kPacked),
                          StringRef(kWidened), StringRef(kFolded)},
                         name))
    return success();
  return op->emitOpError() << "has an unknown attribute '" << name << "'";
}
