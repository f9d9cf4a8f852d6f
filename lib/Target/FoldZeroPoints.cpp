//===- FoldZeroPoints.cpp - What sums of weights contribute, in constant biases --===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"
#include "lib/Target/Blocking.h"
#include "lib/Target/FrozenParameters.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_FOLDZEROPOINTS
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

/// What a bias can take over from a kernel.
struct Fold {
  StringAttr weight;
  /// What every weight is multiplied with.
  int64_t amount;
  /// The zero point that is left.
  int64_t zeroPoint;

  bool operator==(const Fold &other) const {
    return weight == other.weight && amount == other.amount && zeroPoint == other.zeroPoint;
  }
};

struct FoldZeroPoints : tinytrain::impl::FoldZeroPointsBase<FoldZeroPoints> {
  using FoldZeroPointsBase::FoldZeroPointsBase;

  void runOnOperation() override {
    std::optional<TargetInfo> info = lookupTarget(target);
    if (!info) {
      getOperation().emitError() << "unknown target '" << target << "'";
      return signalPassFailure();
    }
    auto parameters = findFrozenParameters(getOperation());
    for (auto &[name, parameter] : parameters)
      for (auto [kernel, operand] : parameter.reads)
        constants[{kernel, operand}] = name;
    for (auto &[name, parameter] : parameters)
      if (std::optional<Fold> fold = foldOf(parameter, *info)) {
        mark(parameter, *fold);
        ++numFolded;
      }
    constants.clear();
  }

private:
  /// The same of all kernels that read a bias, or none.
  std::optional<Fold> foldOf(const FrozenParameter &parameter, const TargetInfo &info) const {
    std::optional<Fold> result;
    for (auto [kernel, operand] : parameter.reads) {
      std::optional<Fold> fold = foldOf(kernel, operand, info);
      if (!fold || (result && !(*fold == *result)))
        return std::nullopt;
      result = fold;
    }
    return result;
  }

  /// What operand number `bias` of a kernel can take over: where all products are of stored bytes
  /// with all weights of an output channel.
  std::optional<Fold> foldOf(KernelOp kernel, unsigned bias, const TargetInfo &info) const {
    FailureOr<KernelModel> model = KernelModel::get(kernel);
    if (failed(model) || !model->bias || model->bias->operand != bias || model->join ||
        !kernel.getKernelBlock()->getArgument(bias).hasOneUse() ||
        !model->inputs[0]->guards.empty() || !model->inputs[1]->guards.empty())
      return std::nullopt;
    Blocking::Packing packing = Blocking::choose(*model, info).packing;
    if (packing != Blocking::Packing::Vectors && packing != Blocking::Packing::Groups)
      return std::nullopt;
    const Access &w = *model->inputs[1];
    auto weight = constants.find({kernel, w.operand});
    int64_t terms = 1, left = -byteOffset(info.byteProducts), zeroPoint = model->zeroPoints->at(0);
    for (unsigned d : model->reductions)
      terms *= model->extents[d];
    ArrayRef<int64_t> shape = model->operandTypes[w.operand].getShape();
    if (weight == constants.end() || zeroPoint == left ||
        model->bias->index != ArrayRef(w.index).take_front() ||
        terms != ShapedType::getNumElements(shape.drop_front()))
      return std::nullopt;
    return Fold{weight->second, zeroPoint - left, left};
  }

  void mark(FrozenParameter &parameter, const Fold &fold) {
    Builder b(&getContext());
    auto taken = b.getDictionaryAttr({b.getNamedAttr("weight", fold.weight),
                                      b.getNamedAttr("amount", b.getI64IntegerAttr(fold.amount))});
    for (BlockArgument arg : parameter.arguments)
      cast<func::FuncOp>(arg.getOwner()->getParentOp())
          .setArgAttr(arg.getArgNumber(), kFolded, taken);
    for (auto [kernel, operand] : parameter.reads)
      kernel->setAttr(kFolded, b.getI64IntegerAttr(fold.zeroPoint));
  }

  /// Names of the frozen parameters that kernels read, by operand.
  llvm::DenseMap<std::pair<Operation *, unsigned>, StringAttr> constants;
};

} // namespace
