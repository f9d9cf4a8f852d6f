//===- FrozenParameters.cpp - What reads the parameters that stay as they are ----===//

#include "lib/Target/FrozenParameters.h"

#include "lib/Target/RowPipeline.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace tinytrain;

/// Looks at all that reads `value`; false where something else than a kernel does.
static bool visit(Value value, FrozenParameter &parameter) {
  for (OpOperand &use : value.getUses()) {
    auto kernel = dyn_cast<KernelOp>(use.getOwner());
    if (!kernel)
      return false;
    unsigned operand = use.getOperandNumber();
    if (!RowPipeline::isPipeline(kernel)) {
      parameter.reads.push_back({kernel, operand});
      continue;
    }
    BlockArgument inside = kernel.getKernelBlock()->getArgument(operand);
    parameter.inside.push_back(inside);
    if (!visit(inside, parameter))
      return false;
  }
  return true;
}

llvm::MapVector<StringAttr, FrozenParameter> tinytrain::findFrozenParameters(ModuleOp module) {
  llvm::MapVector<StringAttr, FrozenParameter> result;
  llvm::SmallDenseSet<StringAttr> others;
  for (auto func : module.getOps<func::FuncOp>())
    for (BlockArgument arg : func.getArguments())
      if (auto name = func.getArgAttrOfType<StringAttr>(arg.getArgNumber(), kParam)) {
        FrozenParameter &parameter = result[name];
        parameter.arguments.push_back(arg);
        if (func.getArgAttr(arg.getArgNumber(), kUpdated) || !visit(arg, parameter))
          others.insert(name);
      }
  result.remove_if([&](auto &entry) { return others.contains(entry.first); });
  return result;
}
