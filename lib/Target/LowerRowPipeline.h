//===- LowerRowPipeline.h - The loops of a row pipeline ---------------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_TARGET_LOWERROWPIPELINE_H
#define TINYTRAIN_LIB_TARGET_LOWERROWPIPELINE_H

#include "dialects/TinyTrain.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace tinytrain {

/// Adds a function that runs the stages of a bufferized row pipeline turn by turn; each stage
/// becomes a kernel on memrefs. The function takes the kernel's operands.
mlir::func::FuncOp lowerRowPipeline(mlir::ModuleOp module, KernelOp kernel, llvm::StringRef name);

} // namespace tinytrain

#endif // TINYTRAIN_LIB_TARGET_LOWERROWPIPELINE_H
