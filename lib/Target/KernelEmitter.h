//===- KernelEmitter.h - Loop nests from kernels ----------------------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_TARGET_KERNELEMITTER_H
#define TINYTRAIN_LIB_TARGET_KERNELEMITTER_H

#include "lib/Target/Blocking.h"

namespace tinytrain {

/// Emits the loop nest of `model` at the builder's insertion point. `operands` are the
/// kernel's memrefs, inputs then inits.
void emitKernel(mlir::OpBuilder &builder, mlir::Location loc, const KernelModel &model,
                const Blocking &blocking, mlir::ValueRange operands);

} // namespace tinytrain

#endif // TINYTRAIN_LIB_TARGET_KERNELEMITTER_H
