//===- EliminateDeadGradients.cpp - Prunes what frozen arguments do not need -----===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_ELIMINATEDEADGRADIENTS
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

struct EliminateDeadGradients
    : tinytrain::impl::EliminateDeadGradientsBase<EliminateDeadGradients> {
  using EliminateDeadGradientsBase::EliminateDeadGradientsBase;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal())
      return;
    auto ret = cast<func::ReturnOp>(func.front().getTerminator());
    for (unsigned i = func.getNumResults(); i-- > 0;) {
      auto arg = func.getResultAttrOfType<IntegerAttr>(i, kGradientOf);
      if (!arg)
        continue;
      auto needed = func.getArgAttrOfType<BoolAttr>(arg.getInt(), kNeedsGrad);
      if (!needed || needed.getValue())
        continue;
      if (failed(func.eraseResult(i)))
        return signalPassFailure();
      ret->eraseOperand(i);
      ++numGradients;
    }

    // All ops are pure, so that what has no use is dead; one reverse sweep meets
    // each op after all its users.
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(func.front()))) {
      if (op.hasTrait<OpTrait::IsTerminator>() || !isOpTriviallyDead(&op))
        continue;
      ++numOps;
      if (auto contraction = dyn_cast<ContractionOpInterface>(op))
        numMACs += contraction.getNumMACs();
      for (Type type : op.getResultTypes())
        if (auto tensor = dyn_cast<RankedTensorType>(type))
          numBytes += bytesOf(tensor);
      op.erase();
    }
  }
};

} // namespace
