//===- FindSpareMemory.cpp - How far results have to overlap operands ------------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"
#include "lib/Target/Overlap.h"
#include "lib/Transforms/InPlace.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_FINDSPAREMEMORY
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

/// Bytes that are alive at an op, and how many of them may overlap at most.
struct Need {
  Operation *op;
  int64_t live = 0, overlap = 0;
};

/// Numbers of the first and the last op that uses a buffer.
struct Lifetime {
  size_t first, last;
};

struct FindSpareMemory : tinytrain::impl::FindSpareMemoryBase<FindSpareMemory> {
  using FindSpareMemoryBase::FindSpareMemoryBase;

  void runOnOperation() override {
    std::optional<TargetInfo> info = lookupTarget(target);
    if (!info) {
      getOperation().emitError() << "unknown target '" << target << "'";
      return signalPassFailure();
    }
    SmallVector<Need> needs;
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func.isDeclaration())
        llvm::append_range(needs, needsOf(func, *info));
    int64_t arena = 0;
    for (const Need &need : needs)
      arena = std::max(arena, need.live - need.overlap);
    // Where much is alive, an overlap more helps the planner to find a place for all.
    arena = arena * 7 / 10;
    Builder b(&getContext());
    for (const Need &need : needs)
      if (need.overlap && need.live > arena) {
        need.op->setAttr(kMustOverlap, b.getI64IntegerAttr(need.live - arena));
        ++numKernels;
      }
  }

private:
  /// Of each op at the function's top level that uses buffers.
  static SmallVector<Need> needsOf(func::FuncOp func, const TargetInfo &info) {
    llvm::MapVector<Value, Lifetime> lifetimes;
    SmallVector<Need> needs;
    for (Operation &op : func.front()) {
      if (isBufferView(&op) || isa<memref::AllocOp>(op))
        continue;
      for (Value operand : op.getOperands()) {
        Value buffer = bufferBehind(operand);
        if (buffer.getDefiningOp<memref::AllocOp>())
          lifetimes.insert({buffer, {needs.size(), 0}}).first->second.last = needs.size();
      }
      needs.push_back({&op});
    }
    for (auto [buffer, lifetime] : lifetimes)
      for (size_t i = lifetime.first; i <= lifetime.last; ++i)
        needs[i].live += bytesOf(buffer);
    for (auto [i, need] : llvm::enumerate(needs))
      if (auto kernel = dyn_cast<KernelOp>(need.op))
        need.overlap = mostOverlap(kernel, i, lifetimes, info);
    return needs;
  }

  /// Bytes that results which appear and operands that die at a kernel may share, whichever do.
  static int64_t mostOverlap(KernelOp kernel, size_t number,
                             const llvm::MapVector<Value, Lifetime> &lifetimes,
                             const TargetInfo &info) {
    auto types = llvm::map_to_vector(kernel->getOperandTypes(),
                                     [](Type type) { return cast<MemRefType>(type); });
    auto is = [&](unsigned operand, size_t Lifetime::*end) {
      auto it = lifetimes.find(bufferBehind(kernel->getOperand(operand)));
      return it != lifetimes.end() && it->second.*end == number;
    };
    int64_t bytes = 0;
    auto add = [&](unsigned input, unsigned result, int64_t most) {
      if (is(input, &Lifetime::last) && is(result, &Lifetime::first))
        bytes += most;
    };
    if (kernel.getKernelBlock()->getOps<KernelOp>().empty()) {
      FailureOr<KernelModel> model = KernelModel::get(kernel);
      if (failed(model))
        return 0;
      for (const Overlap &overlap : findOverlaps(*model, Blocking::choose(*model, info), types))
        add(overlap.input, overlap.result, overlap.mostBytes(types));
      return bytes;
    }
    unsigned numInputs = kernel.getInputs().size();
    for (unsigned result = numInputs; result < types.size(); ++result)
      for (unsigned input = 0; input < numInputs; ++input)
        add(input, result, std::min(bytesOf(types[input]), bytesOf(types[result])));
    return bytes;
  }
};

} // namespace
