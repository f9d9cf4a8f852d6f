//===- TinyTrainKernelOps.cpp - Verifiers and effects of kernels -----------------===//

#include "dialects/TinyTrain.h"

using namespace mlir;
using namespace tinytrain;

/// The tensor type a kernel's region sees of an operand.
static Type tensorTypeOf(Type type) {
  auto shaped = cast<ShapedType>(type);
  return RankedTensorType::get(shaped.getShape(), shaped.getElementType());
}

LogicalResult KernelOp::verify() {
  Block *block = getKernelBlock();
  if (block->getNumArguments() != getNumOperands())
    return emitOpError() << "expects one region argument per operand, got "
                         << block->getNumArguments() << " for " << getNumOperands();
  for (auto [arg, operand] : llvm::zip(block->getArguments(), getOperands()))
    if (arg.getType() != tensorTypeOf(operand.getType()))
      return emitOpError() << "region argument #" << arg.getArgNumber() << " has type "
                           << arg.getType() << " where its operand has " << operand.getType();
  auto yield = dyn_cast<YieldOp>(block->getTerminator());
  if (!yield)
    return emitOpError() << "expects its region to end in tinytrain.yield";
  bool bufferized = llvm::any_of(getInits(), [](Value v) { return isa<MemRefType>(v.getType()); });
  if (!getInits().empty()) {
    if (getInits().size() != yield.getNumOperands())
      return emitOpError() << "expects one init per yielded value";
    for (auto [init, value] : llvm::zip(getInits(), yield.getResults()))
      if (tensorTypeOf(init.getType()) != value.getType())
        return emitOpError() << "yields " << value.getType() << " into an init of type "
                             << init.getType();
  }
  if (bufferized)
    return getNumResults() == 0 ? success()
                                : emitOpError() << "on memrefs writes its inits and has no results";
  if (yield.getOperandTypes() != getResultTypes())
    return emitOpError() << "yields types that differ from its result types";
  return success();
}

void KernelOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  for (OpOperand &operand : getOperation()->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    unsigned i = operand.getOperandNumber();
    bool isInit = i >= getInputs().size();
    // While a kernel is built it has no body yet.
    bool isRead = getBody().empty() || !getKernelBlock()->getArgument(i).use_empty();
    if (!isInit || isRead)
      effects.emplace_back(MemoryEffects::Read::get(), &operand);
    if (isInit)
      effects.emplace_back(MemoryEffects::Write::get(), &operand);
  }
}
