//===- VerifyInPlaceUpdates.cpp - Fails if a parameter is copied -----------------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"
#include "lib/Transforms/InPlace.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_VERIFYINPLACEUPDATES
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

struct VerifyInPlaceUpdates : tinytrain::impl::VerifyInPlaceUpdatesBase<VerifyInPlaceUpdates> {
  using VerifyInPlaceUpdatesBase::VerifyInPlaceUpdatesBase;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal())
      return;
    auto ret = cast<func::ReturnOp>(func.front().getTerminator());
    auto nameOf = [&](unsigned arg) -> std::string {
      for (StringRef key : {kParam, kState})
        if (auto name = func.getArgAttrOfType<StringAttr>(arg, key))
          return name.str();
      return "argument " + std::to_string(arg);
    };
    WalkResult result = func.walk([&](memref::CopyOp copy) {
      for (Value side : {copy.getSource(), copy.getTarget()})
        if (auto arg = dyn_cast<BlockArgument>(bufferBehind(side)))
          if (func.getArgAttr(arg.getArgNumber(), kParam) ||
              func.getArgAttr(arg.getArgNumber(), kState)) {
            copy.emitOpError() << "copies the parameter '" << nameOf(arg.getArgNumber())
                               << "': its update is not in place, because its old value is read "
                                  "after the update";
            return WalkResult::interrupt();
          }
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return signalPassFailure();

    for (unsigned i = func.getNumResults(); i-- > 0;) {
      auto updated = func.getResultAttrOfType<IntegerAttr>(i, kUpdateOf);
      if (!updated)
        continue;
      if (bufferBehind(ret.getOperand(i)) != func.getArgument(updated.getInt())) {
        func.emitError() << "the new value of '" << nameOf(updated.getInt())
                         << "' is not in the parameter's own buffer";
        return signalPassFailure();
      }
      func.setArgAttr(updated.getInt(), kUpdated, UnitAttr::get(&getContext()));
      if (failed(func.eraseResult(i)))
        return signalPassFailure();
      ret->eraseOperand(i);
    }
  }
};

} // namespace
