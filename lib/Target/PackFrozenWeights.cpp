//===- PackFrozenWeights.cpp - Layouts of weights that stay as they are ----------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"
#include "lib/Target/Blocking.h"
#include "lib/Target/RowPipeline.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_PACKFROZENWEIGHTS
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

/// How a kernel reads a weight.
struct Layout {
  std::optional<KernelModel::PackedWeights> packed;
  std::optional<int64_t> widenedRun;

  static std::optional<Layout> get(const KernelModel &model, const TargetInfo &info) {
    Layout layout{Blocking::packingOf(model, info), Blocking::wideningOf(model, info)};
    if (!layout.packed && !layout.widenedRun)
      return std::nullopt;
    return layout;
  }

  /// Makes this suit both. Lanes and groups are powers of two: the smallest do.
  bool join(const Layout &other) {
    if (widenedRun != other.widenedRun || packed.has_value() != other.packed.has_value())
      return false;
    if (packed)
      packed = {std::min(packed->lanes, other.packed->lanes),
                std::min(packed->group, other.packed->group)};
    return true;
  }
};

/// A parameter by name: its arguments, and the kernels that read it.
struct Parameter {
  SmallVector<BlockArgument> arguments;
  /// Arguments of kernels that hold kernels.
  SmallVector<BlockArgument> inside;
  SmallVector<std::pair<KernelOp, BlockArgument>> kernels;
  bool isFrozen = true;
  std::optional<Layout> layout;
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
      if (parameter.isFrozen && parameter.layout) {
        mark(parameter);
        ++numPacked;
      }
  }

private:
  /// Looks at all that reads `value`; false where something does not take it as packed weights, or
  /// not in the layout that others take.
  static bool visit(Value value, Parameter &parameter, const TargetInfo &info) {
    for (OpOperand &use : value.getUses()) {
      auto kernel = dyn_cast<KernelOp>(use.getOwner());
      if (!kernel)
        return false;
      BlockArgument inside = kernel.getKernelBlock()->getArgument(use.getOperandNumber());
      if (RowPipeline::isPipeline(kernel)) {
        parameter.inside.push_back(inside);
        if (!visit(inside, parameter, info))
          return false;
        continue;
      }
      FailureOr<KernelModel> model = KernelModel::get(kernel);
      if (failed(model) || model->inputs.size() != 2 || !model->inputs[1] ||
          model->inputs[1]->operand != inside.getArgNumber() || !inside.hasOneUse() ||
          llvm::count(kernel->getOperands(), value) != 1)
        return false;
      std::optional<Layout> layout = Layout::get(*model, info);
      if (!layout || (parameter.layout && !layout->join(*parameter.layout)))
        return false;
      parameter.layout = layout;
      parameter.kernels.push_back({kernel, inside});
    }
    return true;
  }

  void mark(Parameter &parameter) {
    Builder b(&getContext());
    const Layout &layout = *parameter.layout;
    StringRef name = layout.packed ? kPacked : kWidened;
    Attribute attr = b.getI64IntegerAttr(layout.widenedRun.value_or(0));
    if (layout.packed)
      attr = b.getDenseI64ArrayAttr({layout.packed->lanes, layout.packed->group});
    for (BlockArgument arg : parameter.arguments) {
      auto func = cast<func::FuncOp>(arg.getOwner()->getParentOp());
      func.setArgAttr(arg.getArgNumber(), name, attr);
      if (layout.widenedRun) {
        widen(arg);
        func.setType(
            b.getFunctionType(func.getBody().front().getArgumentTypes(), func.getResultTypes()));
      }
    }
    if (layout.widenedRun)
      llvm::for_each(parameter.inside, widen);
    for (auto [kernel, inside] : parameter.kernels) {
      kernel->setAttr(name, attr);
      if (layout.widenedRun)
        readLeading(inside);
    }
  }

  /// Makes room for halfwords.
  static void widen(BlockArgument arg) {
    auto type = cast<ShapedType>(arg.getType());
    SmallVector<int64_t> shape(type.getShape());
    shape.back() = KernelModel::widenedSize(shape.back());
    arg.setType(type.clone(shape));
  }

  /// The kernel goes on to describe what it computes on as many elements as there were.
  static void readLeading(BlockArgument arg) {
    auto type = cast<RankedTensorType>(arg.getType());
    OpBuilder b = OpBuilder::atBlockBegin(arg.getOwner());
    widen(arg);
    SmallVector<OpFoldResult> offsets(type.getRank(), b.getIndexAttr(0)), sizes,
        strides(type.getRank(), b.getIndexAttr(1));
    for (int64_t size : type.getShape())
      sizes.push_back(b.getIndexAttr(size));
    auto leading =
        tensor::ExtractSliceOp::create(b, arg.getLoc(), type, arg, offsets, sizes, strides);
    arg.replaceAllUsesExcept(leading, leading);
  }
};

} // namespace
