//===- AssignDestinations.cpp - Gives every kernel result its buffer -------------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"
#include "lib/Transforms/InPlace.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_ASSIGNDESTINATIONS
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

struct AssignDestinations : tinytrain::impl::AssignDestinationsBase<AssignDestinations> {
  using AssignDestinationsBase::AssignDestinationsBase;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal())
      return;
    auto ret = cast<func::ReturnOp>(func.front().getTerminator());
    DenseMap<Value, Value> updated; // new value -> the argument it replaces
    for (unsigned i = 0; i < func.getNumResults(); ++i)
      if (auto arg = func.getResultAttrOfType<IntegerAttr>(i, kUpdateOf))
        updated[ret.getOperand(i)] = func.getArgument(arg.getInt());

    for (KernelOp kernel : llvm::to_vector(func.front().getOps<KernelOp>())) {
      if (!kernel.getInits().empty())
        continue;
      OpBuilder b(kernel);
      SmallVector<Value> inits;
      for (Value result : kernel.getResults()) {
        Value init = updated.lookup(result);
        auto type = cast<RankedTensorType>(result.getType());
        if (!init && inPlace && (init = findDyingOperand(kernel)))
          numBytes += bytesOf(type);
        if (init) {
          ++numInPlace;
        } else {
          init =
              tensor::EmptyOp::create(b, kernel.getLoc(), type.getShape(), type.getElementType());
        }
        inits.push_back(init);
      }
      moveToInits(kernel, inits);
    }
  }

private:
  /// True if the kernel is the last to read `value`, its views, and what it is a view of.
  static bool diesAt(Value value, KernelOp kernel) {
    SmallVector<Value> worklist = {value};
    DenseSet<Value> seen;
    while (!worklist.empty()) {
      Value v = worklist.pop_back_val();
      if (!seen.insert(v).second)
        continue;
      Operation *def = v.getDefiningOp();
      if (!def || isa<arith::ConstantOp>(def))
        return false; // an argument or a constant is not ours to overwrite
      if (isView(def))
        worklist.push_back(def->getOperand(0));
      for (Operation *user : v.getUsers()) {
        if (user != kernel && !user->isBeforeInBlock(kernel))
          return false;
        if (isView(user))
          worklist.push_back(user->getResult(0));
      }
    }
    return true;
  }

  static Value findDyingOperand(KernelOp kernel) {
    for (auto [i, operand] : llvm::enumerate(kernel.getInputs()))
      if (mayOverwrite(kernel, i) && diesAt(operand, kernel))
        return operand;
    return nullptr;
  }

  /// Appends `inits` and takes those among the inputs out of there.
  static void moveToInits(KernelOp kernel, ArrayRef<Value> inits) {
    Block *body = kernel.getKernelBlock();
    SmallVector<Value> inputs(kernel.getInputs());
    for (Value init : inits) {
      BlockArgument arg = body->addArgument(init.getType(), init.getLoc());
      auto *it = llvm::find(inputs, init);
      if (it == inputs.end())
        continue;
      unsigned index = it - inputs.begin();
      body->getArgument(index).replaceAllUsesWith(arg);
      body->eraseArgument(index);
      inputs.erase(it);
    }
    kernel.getInputsMutable().assign(inputs);
    kernel.getInitsMutable().assign(inits);
  }
};

} // namespace
