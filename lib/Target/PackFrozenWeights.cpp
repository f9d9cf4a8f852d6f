//===- PackFrozenWeights.cpp - Layouts of weights that stay as they are ----------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"
#include "lib/Target/Blocking.h"
#include "lib/Target/RowPipeline.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_PACKFROZENWEIGHTS
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

/// A parameter by name: its arguments, and the kernels that read it.
struct Parameter {
  SmallVector<BlockArgument> arguments;
  SmallVector<KernelOp> kernels;
  bool isFrozen = true;
  std::optional<KernelModel::PackedWeights> layout;
};

struct PackFrozenWeights : tinytrain::impl::PackFrozenWeightsBase<PackFrozenWeights> {
  using PackFrozenWeightsBase::PackFrozenWeightsBase;

  void runOnOperation() override {
    std::optional<TargetInfo> info = lookupTarget(target);
    if (!info) {
      getOperation().emitError() << "unknown target '" << target << "'";
      return signalPassFailure();
    }
    llvm::MapVector<StringAttr, Parameter> parameters;
    for (auto func : getOperation().getOps<func::FuncOp>())
      for (BlockArgument arg : func.getArguments())
        if (auto name = func.getArgAttrOfType<StringAttr>(arg.getArgNumber(), kParam)) {
          Parameter &parameter = parameters[name];
          parameter.arguments.push_back(arg);
          if (func.getArgAttr(arg.getArgNumber(), kUpdated) || !visit(arg, parameter, *info))
            parameter.isFrozen = false;
        }
    for (auto &[name, parameter] : parameters)
      if (parameter.isFrozen && parameter.layout)
        mark(parameter);
  }

private:
  /// Looks at all that reads `value`; false where something does not take it as packed weights.
  /// Lanes and groups are powers of two: the smallest suit all.
  static bool visit(Value value, Parameter &parameter, const TargetInfo &info) {
    for (OpOperand &use : value.getUses()) {
      auto kernel = dyn_cast<KernelOp>(use.getOwner());
      if (!kernel)
        return false;
      BlockArgument inside = kernel.getKernelBlock()->getArgument(use.getOperandNumber());
      if (RowPipeline::isPipeline(kernel)) {
        if (!visit(inside, parameter, info))
          return false;
        continue;
      }
      FailureOr<KernelModel> model = KernelModel::get(kernel);
      if (failed(model) || model->inputs.size() != 2 || !model->inputs[1] ||
          model->inputs[1]->operand != inside.getArgNumber() || !inside.hasOneUse() ||
          llvm::count(kernel->getOperands(), value) != 1)
        return false;
      std::optional<KernelModel::PackedWeights> layout = Blocking::packingOf(*model, info);
      if (!layout)
        return false;
      if (parameter.layout)
        layout = {std::min(layout->lanes, parameter.layout->lanes),
                  std::min(layout->group, parameter.layout->group)};
      parameter.layout = layout;
      parameter.kernels.push_back(kernel);
    }
    return true;
  }

  void mark(Parameter &parameter) {
    auto layout =
        DenseI64ArrayAttr::get(&getContext(), {parameter.layout->lanes, parameter.layout->group});
    for (BlockArgument arg : parameter.arguments)
      cast<func::FuncOp>(arg.getOwner()->getParentOp())
          .setArgAttr(arg.getArgNumber(), kPacked, layout);
    for (KernelOp kernel : parameter.kernels)
      kernel->setAttr(kPacked, layout);
    ++numPacked;
  }
};

} // namespace
