//===- PackClampMasks.cpp - One bit per element for a clamp's adjoint ------------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"
#include "lib/Transforms/InPlace.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_PACKCLAMPMASKS
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

struct PackClampMasks : tinytrain::impl::PackClampMasksBase<PackClampMasks> {
  using PackClampMasksBase::PackClampMasksBase;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal())
      return;
    masks.clear();
    released.clear();
    Operation *lastForward = findLastForwardOp(func);
    for (ClampGradOp op : llvm::to_vector(func.front().getOps<ClampGradOp>())) {
      auto kept = cast<TypedValue<RankedTensorType>>(op.getResult());
      if (kept.getType().getRank() == 0 || isKeptAnyway(kept, lastForward))
        continue;
      pack(op, kept);
    }
  }

private:
  /// The op behind which everything is backward pass; null if there is no forward pass.
  static Operation *findLastForwardOp(func::FuncOp func) {
    Operation *last = nullptr;
    for (auto [i, value] : llvm::enumerate(func.front().getTerminator()->getOperands())) {
      Operation *def = value.getDefiningOp();
      bool isBackward = func.getResultAttr(i, kGradientOf) || func.getResultAttr(i, kUpdateOf);
      if (def && !isBackward && (!last || last->isBeforeInBlock(def)))
        last = def;
    }
    return last;
  }

  /// True if an argument or a constant, or read by the backward pass for another reason, maybe
  /// through a view.
  static bool isKeptAnyway(Value value, Operation *lastForward) {
    Operation *def = value.getDefiningOp();
    if (!def || def->hasTrait<OpTrait::ConstantLike>() || !lastForward ||
        lastForward->isBeforeInBlock(def))
      return true;
    return llvm::any_of(value.getUsers(), [&](Operation *user) {
      if (isView(user) && isKeptAnyway(user->getResult(0), lastForward))
        return true;
      return !isa<ClampGradOp>(user) && lastForward->isBeforeInBlock(user);
    });
  }

  void pack(ClampGradOp op, TypedValue<RankedTensorType> kept) {
    auto interval =
        ArrayAttr::get(&getContext(), {op.getMinAttr(), op.getMaxAttr(),
                                       BoolAttr::get(&getContext(), op.getInclusive())});
    // Whatever the number of masks, the activation is no longer kept.
    if (released.insert(kept).second)
      numBytes += bytesOf(kept);
    Value &mask = masks[{kept, interval}];
    if (!mask) {
      mask = createMask(op, kept);
      ++numMasks;
      numBytes -= bytesOf(mask);
    }
    OpBuilder b(op);
    op.replaceAllUsesWith(MaskGradOp::create(b, op.getLoc(), op.getGrad(), mask).getResult());
    op.erase();
  }

  static Value createMask(ClampGradOp op, TypedValue<RankedTensorType> kept) {
    OpBuilder b(op.getContext());
    b.setInsertionPointAfterValue(kept);
    Location loc = kept.getLoc();
    RankedTensorType type = kept.getType();
    int64_t channels = type.getShape().back();
    auto rows =
        RankedTensorType::get({type.getNumElements() / channels, channels}, type.getElementType());
    Value flat = kept;
    if (rows != type)
      flat = ReshapeOp::create(b, loc, rows, kept);
    return ClampMaskOp::create(b, loc, flat, op.getMin(), op.getMax(), op.getInclusive());
  }

  /// By activation and interval.
  DenseMap<std::pair<Value, Attribute>, Value> masks;
  DenseSet<Value> released;
};

} // namespace
