//===- ChooseOrders.cpp - Orders of loops that the arena has room for ------------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"
#include "lib/Transforms/ArenaProblem.h"

#include <vector>

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_CHOOSEORDERS
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

using Order = Blocking::Order;

/// A kernel that may run in another order than pixel by pixel.
struct Candidate {
  KernelOp kernel;
  uint64_t macs;
  int64_t call;
  /// The other orders, the fastest one first, with what may overlap then.
  SmallVector<std::pair<Order, SmallVector<PlanProblem::Overlap>>> others;
};

/// A function's buffers, and what may overlap at each call.
struct Function {
  ArenaProblem arena;
  SmallVector<SmallVector<PlanProblem::Overlap>> overlaps;
  SmallVector<Candidate> candidates;

  PlanProblem problem() const {
    PlanProblem result = arena.problem;
    for (const auto &at : overlaps)
      llvm::append_range(result.overlaps, at);
    return result;
  }
};

struct ChooseOrders : tinytrain::impl::ChooseOrdersBase<ChooseOrders> {
  using ChooseOrdersBase::ChooseOrdersBase;

  void runOnOperation() override {
    std::optional<TargetInfo> info = lookupTarget(target);
    if (!info) {
      getOperation().emitError() << "unknown target '" << target << "'";
      return signalPassFailure();
    }
    std::vector<Function> functions;
    bool hasCandidates = false;
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (func.isPrivate() || func.isDeclaration())
        continue;
      FailureOr<Function> read = get(func, *info);
      if (failed(read))
        return signalPassFailure();
      hasCandidates |= !read->candidates.empty();
      functions.push_back(std::move(*read));
    }
    if (!hasCandidates)
      return;
    if (!overlap) {
      // Nothing overlaps in any order: all may take the fastest one.
      for (Function &function : functions)
        for (Candidate &candidate : function.candidates)
          take(candidate.kernel, candidate.others.front().first);
      return;
    }
    int64_t arenaBytes = 0;
    for (const Function &function : functions)
      arenaBytes = std::max(arenaBytes, planBuffers(function.problem(), rounds).bytes);
    for (Function &function : functions) {
      // What computes most chooses first.
      llvm::stable_sort(function.candidates,
                        [](const Candidate &a, const Candidate &b) { return a.macs > b.macs; });
      for (Candidate &candidate : function.candidates)
        choose(function, candidate, arenaBytes);
    }
  }

private:
  FailureOr<Function> get(func::FuncOp func, const TargetInfo &info) const {
    FailureOr<ArenaProblem> arena = ArenaProblem::get(func);
    if (failed(arena))
      return failure();
    Function result{std::move(*arena), {}, {}};
    result.arena.problem.alignment = alignment;
    for (auto [i, call] : llvm::enumerate(result.arena.calls)) {
      result.overlaps.emplace_back();
      auto kernel = dyn_cast<KernelOp>(call);
      if (!kernel) {
        if (overlap)
          result.overlaps.back() = result.arena.overlapsAt(i, recordedOverlaps(call));
        continue;
      }
      FailureOr<KernelModel> model = KernelModel::get(kernel);
      if (failed(model))
        return failure();
      auto types = llvm::map_to_vector(kernel->getOperandTypes(),
                                       [](Type type) { return cast<MemRefType>(type); });
      auto overlapsOf = [&](const Blocking &blocking) {
        SmallVector<PlanProblem::Overlap> found;
        if (overlap)
          found = result.arena.overlapsAt(i, findOverlaps(*model, blocking, types));
        return found;
      };
      result.overlaps.back() = overlapsOf(Blocking::choose(*model, info));
      Candidate candidate{kernel, kernel.getMacs(), int64_t(i), {}};
      for (Order order : {Order::Channels, Order::Rows})
        if (Blocking blocking = Blocking::choose(*model, info, order); blocking.window)
          candidate.others.push_back({order, overlapsOf(blocking)});
      if (!candidate.others.empty())
        result.candidates.push_back(std::move(candidate));
    }
    return result;
  }

  /// Takes the first order with which all of the function's buffers still have a place.
  void choose(Function &function, Candidate &candidate, int64_t arenaBytes) {
    auto saved = function.overlaps[candidate.call];
    for (auto &[order, overlaps] : candidate.others) {
      function.overlaps[candidate.call] = overlaps;
      PlanProblem problem = function.problem();
      if (problem.lowerBound() > arenaBytes ||
          planBuffers(problem, rounds, arenaBytes).bytes > arenaBytes)
        continue;
      return take(candidate.kernel, order);
    }
    function.overlaps[candidate.call] = saved;
  }

  void take(KernelOp kernel, Order order) {
    kernel->setAttr(kOrder,
                    StringAttr::get(&getContext(), order == Order::Rows ? "rows" : "channels"));
    ++numKernels;
  }
};

} // namespace
