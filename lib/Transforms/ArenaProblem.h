//===- ArenaProblem.h - What of a function lies in the arena ----------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_TRANSFORMS_ARENAPROBLEM_H
#define TINYTRAIN_LIB_TRANSFORMS_ARENAPROBLEM_H

#include "lib/Target/Overlap.h"
#include "lib/Transforms/MemoryPlanner.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace tinytrain {

/// The calls and buffers of one function. A call is an op at the function's top level that reads or
/// writes memory: a kernel, or what it was lowered to.
struct ArenaProblem {
  struct Buffer {
    mlir::memref::AllocOp alloc;
    int64_t bytes;
    /// Numbers of the calls that read or write it.
    llvm::SmallVector<int64_t> uses;
    int64_t offset = 0;
  };
  mlir::func::FuncOp func;
  llvm::SmallVector<mlir::Operation *> calls;
  llvm::SmallVector<Buffer> buffers;
  /// Without overlaps.
  PlanProblem problem;

  /// A buffer that cannot be placed is an error.
  static mlir::FailureOr<ArenaProblem> get(mlir::func::FuncOp func);

  /// Of what a kernel says of its operands, what holds at call number `call`: results that appear
  /// and operands that die there.
  llvm::SmallVector<PlanProblem::Overlap> overlapsAt(int64_t call,
                                                     llvm::ArrayRef<Overlap> overlaps) const;
};

/// The function that is called, if any.
mlir::func::FuncOp calleeOf(mlir::Operation *call);

/// What the function that is called says of its operands.
llvm::SmallVector<Overlap> recordedOverlaps(mlir::Operation *call);

} // namespace tinytrain

#endif // TINYTRAIN_LIB_TRANSFORMS_ARENAPROBLEM_H
