//===- ScheduleSearch.h - Orders of least peak memory -----------------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_TRANSFORMS_SCHEDULESEARCH_H
#define TINYTRAIN_LIB_TRANSFORMS_SCHEDULESEARCH_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

#include <cstdint>

namespace tinytrain {

/// Tasks that produce and read buffers. A buffer is alive from its producer to its last
/// reader.
struct ScheduleProblem {
  struct Buffer {
    int64_t bytes;
    unsigned producer;
    llvm::SmallVector<unsigned> readers;
    /// Needed after the last task.
    bool isResult = false;
  };
  llvm::SmallVector<Buffer> buffers;
  /// Per task: the tasks that have to run before it.
  llvm::SmallVector<llvm::SmallVector<unsigned>> predecessors;
  /// Per task: the buffers that its result takes over, if they die there.
  llvm::SmallVector<llvm::SmallVector<unsigned>> overwrites;

  unsigned numTasks() const { return predecessors.size(); }

  /// The number of bytes alive while each task runs, by task, and the largest of them.
  llvm::SmallVector<int64_t> profileOf(llvm::ArrayRef<unsigned> order) const;
  int64_t peakOf(llvm::ArrayRef<unsigned> order) const;
};

struct Schedule {
  llvm::SmallVector<unsigned> order;
  int64_t peak;
  /// True if no order has a smaller peak.
  bool isOptimal;
};

/// The best order found, never worse than the tasks' own, looking at no more than `limit`
/// partial schedules.
Schedule searchSchedule(const ScheduleProblem &problem, unsigned limit);

} // namespace tinytrain

#endif // TINYTRAIN_LIB_TRANSFORMS_SCHEDULESEARCH_H
