//===- DetachFrozenParts.cpp - Frozen channels of partly trained parameters ------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_DETACHFROZENPARTS
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

struct DetachFrozenParts : tinytrain::impl::DetachFrozenPartsBase<DetachFrozenParts> {
  using DetachFrozenPartsBase::DetachFrozenPartsBase;

  void runOnOperation() override {
    llvm::StringMap<int64_t> trained;
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func.isExternal())
        findPartlyTrained(func, trained);
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func.isExternal())
        dropUnsuitable(func, trained);
    if (trained.empty())
      return;
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func.isExternal() && failed(detach(func, trained)))
        return signalPassFailure();
  }

private:
  /// Adds the parameters of which only leading channels are updated, and how many.
  static void findPartlyTrained(func::FuncOp func, llvm::StringMap<int64_t> &trained) {
    for (Operation &update : func.front()) {
      if (!isa<SGDUpdateOp, RoundMasterOp>(update))
        continue;
      auto arg = dyn_cast<BlockArgument>(update.getOperand(0));
      auto name = arg ? func.getArgAttrOfType<StringAttr>(arg.getArgNumber(), kParam) : nullptr;
      ArrayRef<int64_t> shape = cast<ShapedType>(update.getOperand(1).getType()).getShape();
      if (name && !shape.empty() &&
          shape.back() < cast<ShapedType>(arg.getType()).getShape().back())
        trained[name] = shape.back();
    }
  }

  /// Removes the parameters that other ops than convolutions and matrix products read, or that
  /// meet another parameter in one: a kernel joins one pair of operands, which has to be worth
  /// it.
  static void dropUnsuitable(func::FuncOp func, llvm::StringMap<int64_t> &trained) {
    auto nameOf = [&](Value value) {
      auto arg = dyn_cast<BlockArgument>(value);
      return arg ? func.getArgAttrOfType<StringAttr>(arg.getArgNumber(), kParam) : nullptr;
    };
    for (BlockArgument arg : func.getArguments()) {
      StringAttr name = nameOf(arg);
      if (name && !llvm::all_of(arg.getUsers(), [&](Operation *user) {
            return isa<SGDUpdateOp, RoundMasterOp, MomentumUpdateOp>(user) ||
                   (isa<ContractionOpInterface>(user) &&
                    llvm::count_if(user->getOperands(), nameOf) == 1);
          }))
        trained.erase(name);
    }
  }

  LogicalResult detach(func::FuncOp func, const llvm::StringMap<int64_t> &trained) {
    for (unsigned i = 0, count = func.getNumArguments(); i < count; ++i) {
      auto name = func.getArgAttrOfType<StringAttr>(i, kParam);
      auto it = name ? trained.find(name.getValue()) : trained.end();
      if (it != trained.end() && failed(detachArgument(func, i, name, it->second)))
        return failure();
    }
    auto ret = cast<func::ReturnOp>(func.front().getTerminator());
    func.setFunctionType(
        FunctionType::get(&getContext(), func.front().getArgumentTypes(), ret.getOperandTypes()));
    return success();
  }

  /// Makes argument `index` the trained part, and a new last argument the frozen one.
  LogicalResult detachArgument(func::FuncOp func, unsigned index, StringAttr name, int64_t count) {
    BlockArgument arg = func.getArgument(index);
    auto whole = cast<RankedTensorType>(arg.getType());
    int64_t last = whole.getRank() - 1, rest = whole.getShape().back() - count;
    RankedTensorType trained = sliceType(whole, last, 0, count),
                     kept = sliceType(whole, last, count, rest);
    NamedAttribute mark(StringAttr::get(&getContext(), kParam),
                        StringAttr::get(&getContext(), name.getValue() + kFrozenPart));
    if (failed(func.insertArgument(func.getNumArguments(), kept,
                                   DictionaryAttr::get(&getContext(), mark), arg.getLoc())))
      return failure();
    arg.setType(trained);
    if (func.getArgAttr(index, kNeedsGrad))
      func.setArgAttr(index, kNeedsGrad, BoolAttr::get(&getContext(), true));

    SmallVector<OpOperand *> readers;
    for (OpOperand &use : arg.getUses())
      if (isa<SGDUpdateOp, RoundMasterOp>(use.getOwner()))
        use.getOwner()->getResult(0).setType(trained);
      else if (!isa<MomentumUpdateOp>(use.getOwner()))
        readers.push_back(&use);
    OpBuilder b = OpBuilder::atBlockBegin(&func.front());
    Value frozen = func.getArgument(func.getNumArguments() - 1);
    Value joined = ConcatOp::create(b, arg.getLoc(), whole, ValueRange{arg, frozen}, last);
    for (OpOperand *reader : readers)
      reader->set(joined);
    ++numDetached;
    numBytes += bytesOf(kept);
    return success();
  }
};

} // namespace
