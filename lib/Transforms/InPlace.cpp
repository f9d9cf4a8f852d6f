//===- InPlace.cpp - Which results may take over an operand's buffer -------------===//

#include "lib/Transforms/InPlace.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace tinytrain;

bool tinytrain::isView(Operation *op) {
  return isa<ReshapeOp, tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op);
}

bool tinytrain::isBufferView(Operation *op) {
  return isa<memref::CastOp, memref::ExpandShapeOp, memref::CollapseShapeOp>(op);
}

Value tinytrain::bufferBehind(Value value) {
  while (Operation *def = value.getDefiningOp()) {
    if (!isBufferView(def))
      break;
    value = def->getOperand(0);
  }
  return value;
}

/// True if the kernel reads `arg` only at the index it then writes.
static bool isReadElementwise(BlockArgument arg) {
  return llvm::all_of(arg.getUses(), [](OpOperand &use) {
    auto op = dyn_cast<linalg::GenericOp>(use.getOwner());
    return op && op.getNumParallelLoops() == op.getNumLoops() &&
           op.getMatchingIndexingMap(&use).isIdentity() &&
           op.getIndexingMapsArray().back().isIdentity();
  });
}

bool tinytrain::mayOverwrite(Operation *op, unsigned operand) {
  // With several results, one would be overwritten before its last use.
  if (op->getNumResults() != 1 || op->getOperand(operand).getType() != op->getResult(0).getType())
    return false;
  if (auto kernel = dyn_cast<KernelOp>(op))
    return operand < kernel.getInputs().size() &&
           isReadElementwise(kernel.getKernelBlock()->getArgument(operand));
  return op->hasTrait<ElementwiseOp>() && !op->hasTrait<InPlaceUpdate>();
}
