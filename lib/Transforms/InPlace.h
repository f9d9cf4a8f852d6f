//===- InPlace.h - Which results may take over an operand's buffer ----*- C++ -*-===//

#ifndef TINYTRAIN_LIB_TRANSFORMS_INPLACE_H
#define TINYTRAIN_LIB_TRANSFORMS_INPLACE_H

#include "dialects/TinyTrain.h"

namespace tinytrain {

/// True if `op` is a view: its result is its first operand's buffer.
bool isView(mlir::Operation *op);

/// The same for memrefs: views that start where their buffer does.
bool isBufferView(mlir::Operation *op);

/// The buffer that `value` is a view of.
mlir::Value bufferBehind(mlir::Value value);

/// True if `op` has one result, of the operand's type, and reads each element of the operand
/// only to compute the result's element of the same index.
bool mayOverwrite(mlir::Operation *op, unsigned operand);

} // namespace tinytrain

#endif // TINYTRAIN_LIB_TRANSFORMS_INPLACE_H
