//===- KernelEmitter.h - Loop nests from kernels ----------------------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_TARGET_KERNELEMITTER_H
#define TINYTRAIN_LIB_TARGET_KERNELEMITTER_H

#include "lib/Target/Blocking.h"

namespace tinytrain {

/// A thread that computes its share of a kernel's results: its number, an index below `threads`.
struct Share {
  mlir::Value thread;
  int64_t threads;
};

/// Emits the loop nest of `model` at the builder's insertion point. `operands` are the
/// kernel's memrefs, inputs then inits. With a share, each result is computed by one thread.
void emitKernel(mlir::OpBuilder &builder, mlir::Location loc, const KernelModel &model,
                const Blocking &blocking, mlir::ValueRange operands,
                std::optional<Share> share = std::nullopt);

} // namespace tinytrain

#endif // TINYTRAIN_LIB_TARGET_KERNELEMITTER_H
