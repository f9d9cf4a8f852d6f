//===- Overlap.h - Where a kernel's result may overlap an operand -----*- C++ -*-===//

#ifndef TINYTRAIN_LIB_TARGET_OVERLAP_H
#define TINYTRAIN_LIB_TARGET_OVERLAP_H

#include "lib/Target/Blocking.h"

namespace tinytrain {

/// The result in operand `result` may overlap operand `input`, whose contents nobody needs
/// after the kernel, where `address(result) - address(input)` in bytes is at most `below` or
/// at least `above`.
struct Overlap {
  unsigned input, result;
  int64_t below, above;
};

/// All pairs that may overlap more than not at all, given the kernel's operand types. An
/// element is written only after every element at its address has been read, which the order
/// of the loop nest and the index maps of all reads and writes decide.
llvm::SmallVector<Overlap> findOverlaps(const KernelModel &model, const Blocking &blocking,
                                        llvm::ArrayRef<mlir::MemRefType> operands);

} // namespace tinytrain

#endif // TINYTRAIN_LIB_TARGET_OVERLAP_H
