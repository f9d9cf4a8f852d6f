//===- OwnInput.cpp - The input's place in the arena -----------------------------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_OWNINPUT
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

struct OwnInput : tinytrain::impl::OwnInputBase<OwnInput> {
  using OwnInputBase::OwnInputBase;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal() || func.isPrivate() || func.getNumArguments() == 0)
      return;
    BlockArgument input = func.getArgument(0);
    auto type = dyn_cast<MemRefType>(input.getType());
    if (!type || input.use_empty())
      return;
    OpBuilder b = OpBuilder::atBlockBegin(&func.front());
    auto own = memref::AllocOp::create(b, input.getLoc(), type);
    own->setAttr(kInput, b.getUnitAttr());
    input.replaceAllUsesWith(own);
    memref::CopyOp::create(b, input.getLoc(), input, own);
  }
};

} // namespace
