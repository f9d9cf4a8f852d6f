//===- PackFrozenWeights.cpp - Layouts of weights that stay as they are ----------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"
#include "lib/Target/Blocking.h"
#include "lib/Target/FrozenParameters.h"

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

/// A kernel that reads a parameter, and how it had best lie for it.
struct Read {
  KernelOp kernel;
  BlockArgument inside;
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
    for (auto &[name, parameter] : findFrozenParameters(getOperation())) {
      SmallVector<Read> reads;
      for (auto [kernel, operand] : parameter.reads) {
        BlockArgument inside = KernelOp(kernel).getKernelBlock()->getArgument(operand);
        reads.push_back({kernel, inside, layoutOf(kernel, inside, *info)});
      }
      if (std::optional<Layout> layout = commonLayout(reads)) {
        mark(parameter.arguments, parameter.inside, reads, *layout);
        ++numPacked;
      } else if (!info->isMicrocontroller) {
        markCopy(name, parameter.arguments, reads);
      }
    }
  }

private:
  static std::optional<Layout> layoutOf(KernelOp kernel, BlockArgument inside,
                                        const TargetInfo &info) {
    Value value = kernel->getOperand(inside.getArgNumber());
    FailureOr<KernelModel> model = KernelModel::get(kernel);
    if (failed(model) || model->inputs.size() != 2 || !model->inputs[1] ||
        model->inputs[1]->operand != inside.getArgNumber() || !inside.hasOneUse() ||
        llvm::count(kernel->getOperands(), value) != 1)
      return std::nullopt;
    return Layout::get(*model, info);
  }

  /// A layout that suits all, if there is one.
  static std::optional<Layout> commonLayout(ArrayRef<Read> reads) {
    std::optional<Layout> result;
    for (const Read &read : reads) {
      if (!read.layout || (result && !result->join(*read.layout)))
        return std::nullopt;
      if (!result)
        result = read.layout;
    }
    return result;
  }

  /// Has the kernels that would read packed weights read a copy.
  void markCopy(StringAttr name, ArrayRef<BlockArgument> arguments, ArrayRef<Read> all) {
    auto operandOf = [](const Read &read) {
      return KernelOp(read.kernel)->getOperand(read.inside.getArgNumber());
    };
    SmallVector<Read> reads;
    llvm::copy_if(all, std::back_inserter(reads), [&](const Read &read) {
      return read.layout && read.layout->packed && llvm::is_contained(arguments, operandOf(read));
    });
    std::optional<Layout> layout = commonLayout(reads);
    if (!layout)
      return;
    auto named = StringAttr::get(&getContext(), name.getValue() + kPackedCopy);
    auto attrs = DictionaryAttr::get(&getContext(),
                                     NamedAttribute(StringAttr::get(&getContext(), kParam), named));
    SmallVector<BlockArgument> copies;
    for (BlockArgument arg : arguments) {
      auto func = cast<func::FuncOp>(arg.getOwner()->getParentOp());
      unsigned last = func.getNumArguments();
      if (failed(func.insertArgument(last, arg.getType(), attrs, arg.getLoc())))
        return signalPassFailure();
      copies.push_back(func.getArgument(last));
      for (const Read &read : reads)
        if (operandOf(read) == arg)
          KernelOp(read.kernel)->setOperand(read.inside.getArgNumber(), copies.back());
    }
    mark(copies, /*inside=*/{}, reads, *layout);
    ++numCopies;
  }

  void mark(ArrayRef<BlockArgument> arguments, ArrayRef<BlockArgument> inside, ArrayRef<Read> reads,
            const Layout &layout) {
    Builder b(&getContext());
    StringRef name = layout.packed ? kPacked : kWidened;
    Attribute attr = b.getI64IntegerAttr(layout.widenedRun.value_or(0));
    if (layout.packed)
      attr = b.getDenseI64ArrayAttr({layout.packed->lanes, layout.packed->group});
    for (BlockArgument arg : arguments) {
      auto func = cast<func::FuncOp>(arg.getOwner()->getParentOp());
      func.setArgAttr(arg.getArgNumber(), name, attr);
      if (layout.widenedRun) {
        widen(arg);
        func.setType(
            b.getFunctionType(func.getBody().front().getArgumentTypes(), func.getResultTypes()));
      }
    }
    if (layout.widenedRun)
      llvm::for_each(inside, widen);
    for (const Read &read : reads) {
      KernelOp(read.kernel)->setAttr(name, attr);
      if (layout.widenedRun)
        readLeading(read.inside);
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
