//===- MemoryPlanner.h - Offsets of buffers in one arena --------------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_TRANSFORMS_MEMORYPLANNER_H
#define TINYTRAIN_LIB_TRANSFORMS_MEMORYPLANNER_H

#include "llvm/ADT/SmallVector.h"

#include <cstdint>
#include <optional>

namespace tinytrain {

/// Buffers to place, and what may share memory.
struct PlanProblem {
  /// Alive from call number `first` to `last`, both included.
  struct Buffer {
    int64_t bytes, first, last;
  };
  /// Buffer `result`, written at the call where `input` is read for the last time, may lie at
  /// most `below` or at least `above` bytes behind it.
  struct Overlap {
    unsigned input, result;
    int64_t below, above;
  };
  llvm::SmallVector<Buffer> buffers;
  llvm::SmallVector<Overlap> overlaps;
  /// The buffer that lies at offset 0, if one must.
  std::optional<unsigned> first;
  int64_t alignment = 1;

  /// The largest sum of bytes alive at a call, less what results and operands may share there:
  /// no plan needs less.
  int64_t lowerBound() const;
};

struct Plan {
  llvm::SmallVector<int64_t> offsets;
  int64_t bytes = 0;
};

/// The best plan found in at most `rounds` orders of placement, or the first one that needs at most
/// `enough` bytes; always the same one.
Plan planBuffers(const PlanProblem &problem, unsigned rounds, int64_t enough = 0);

} // namespace tinytrain

#endif // TINYTRAIN_LIB_TRANSFORMS_MEMORYPLANNER_H
