//===- ReorderOps.cpp - Schedules ops for the smallest peak of live bytes --------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"
#include "lib/Transforms/GraphSchedule.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_REORDEROPS
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

struct ReorderOps : tinytrain::impl::ReorderOpsBase<ReorderOps> {
  using ReorderOpsBase::ReorderOpsBase;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal())
      return;
    SmallVector<Operation *> ops;
    for (Operation &op : func.front().without_terminator())
      ops.push_back(&op);
    ScheduleProblem problem = describeSchedule(func, ops, inPlace);
    SmallVector<unsigned> given = llvm::to_vector(llvm::seq<unsigned>(0, ops.size()));
    Schedule schedule = searchSchedule(problem, limit);
    peakBefore = std::max<int64_t>(peakBefore, problem.peakOf(given));
    peakAfter = std::max<int64_t>(peakAfter, schedule.peak);
    proven += schedule.isOptimal;
    Operation *terminator = func.front().getTerminator();
    for (unsigned task : schedule.order)
      ops[task]->moveBefore(terminator);
  }
};

} // namespace
