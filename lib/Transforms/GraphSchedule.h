//===- GraphSchedule.h - A graph's ops as a scheduling problem --------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_TRANSFORMS_GRAPHSCHEDULE_H
#define TINYTRAIN_LIB_TRANSFORMS_GRAPHSCHEDULE_H

#include "lib/Transforms/ScheduleSearch.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "llvm/ADT/MapVector.h"

namespace tinytrain {

/// The ops of a function on tensors as tasks, in the order of `ops`. Views, constants,
/// arguments and updates in place have no buffer; an update follows all other readers of what
/// it overwrites. With `inPlace` an elementwise result takes over an operand that dies.
ScheduleProblem describeSchedule(mlir::func::FuncOp func, llvm::ArrayRef<mlir::Operation *> ops,
                                 bool inPlace);

/// Bytes in use while each op runs, in the order in which they stand.
llvm::MapVector<mlir::Operation *, int64_t> profileInOrder(mlir::func::FuncOp func);

} // namespace tinytrain

#endif // TINYTRAIN_LIB_TRANSFORMS_GRAPHSCHEDULE_H
