//===- FormKernels.cpp - Puts the remaining linalg ops into kernels --------------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/IRMapping.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_FORMKERNELS
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

struct FormKernels : tinytrain::impl::FormKernelsBase<FormKernels> {
  using FormKernelsBase::FormKernelsBase;

  void runOnOperation() override {
    if (getOperation().isExternal())
      return;
    Block &block = getOperation().front();
    // A value written to several places is computed at each: nothing is copied in memory.
    for (auto insert : block.getOps<tensor::InsertSliceOp>()) {
      auto source = insert.getSource().getDefiningOp<linalg::GenericOp>();
      if (source && !source->hasOneUse()) {
        OpBuilder b(insert);
        insert.getSourceMutable().assign(b.clone(*source)->getResult(0));
      }
    }
    for (linalg::GenericOp op : llvm::to_vector(block.getOps<linalg::GenericOp>()))
      outline(op);
    // What the kernels copied, and the constants no graph op needs any more.
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (!op.hasTrait<OpTrait::IsTerminator>() && isOpTriviallyDead(&op))
        op.erase();
  }

private:
  /// True for what a kernel holds itself instead of reading it from memory.
  static bool isInternal(Operation *op) {
    if (!op)
      return false;
    if (auto constant = dyn_cast<arith::ConstantOp>(op))
      return !isa<ShapedType>(constant.getType());
    return isa<tensor::EmptyOp, linalg::FillOp, tensor::ExtractSliceOp>(op);
  }

  static void outline(linalg::GenericOp op) {
    llvm::SetVector<Value> inputs, inits;
    llvm::SetVector<Operation *> internal;
    std::function<void(Value)> addInternal = [&](Value value) {
      Operation *def = value.getDefiningOp();
      if (!isInternal(def)) {
        inputs.insert(value);
        return;
      }
      for (Value operand : def->getOperands())
        addInternal(operand);
      internal.insert(def);
    };
    for (OpOperand &operand : op->getOpOperands()) {
      Value value = operand.get();
      if (isInternal(value.getDefiningOp()))
        addInternal(value);
      else if (op.isDpsInit(&operand))
        inits.insert(value);
      else
        inputs.insert(value);
    }
    op.getRegion().walk([&](Operation *nested) {
      for (Value operand : nested->getOperands())
        if (Operation *def = operand.getDefiningOp(); def && !op->isAncestor(def))
          addInternal(operand);
    });
    // What is written into a part of a tensor is one kernel with the write.
    Operation *last = op;
    if (op->hasOneUse())
      if (auto insert = dyn_cast<tensor::InsertSliceOp>(*op->user_begin());
          insert && insert.getSource() == op->getResult(0)) {
        last = insert;
        inits.insert(insert.getDest());
      }
    OpBuilder b(last);
    auto kernel = KernelOp::create(b, op.getLoc(), last->getResultTypes(), inputs.getArrayRef(),
                                   inits.getArrayRef(), StringAttr());
    Block *body = b.createBlock(&kernel.getBody());
    IRMapping map;
    for (Value operand : kernel->getOperands())
      map.map(operand, body->addArgument(operand.getType(), operand.getLoc()));
    for (Operation *def : internal)
      b.clone(*def, map);
    Operation *clone = b.clone(*op, map);
    if (last != op)
      clone = b.clone(*last, map);
    YieldOp::create(b, op.getLoc(), clone->getResults());
    last->replaceAllUsesWith(kernel.getResults());
    if (last != op)
      last->erase();
    op.erase();
  }
};

} // namespace
