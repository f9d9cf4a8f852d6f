//===- FrozenParameters.h - What reads the parameters that stay as they are -*- C++ -*-===//

#ifndef TINYTRAIN_LIB_TARGET_FROZENPARAMETERS_H
#define TINYTRAIN_LIB_TARGET_FROZENPARAMETERS_H

#include "dialects/TinyTrain.h"

#include "llvm/ADT/MapVector.h"

namespace tinytrain {

/// A parameter that no function updates and only kernels read.
struct FrozenParameter {
  /// Of functions.
  llvm::SmallVector<mlir::BlockArgument> arguments;
  /// Of kernels that hold kernels.
  llvm::SmallVector<mlir::BlockArgument> inside;
  /// Kernels, also inside others, and the numbers of their operands.
  llvm::SmallVector<std::pair<KernelOp, unsigned>> reads;
};

/// By name.
llvm::MapVector<mlir::StringAttr, FrozenParameter> findFrozenParameters(mlir::ModuleOp module);

} // namespace tinytrain

#endif // TINYTRAIN_LIB_TARGET_FROZENPARAMETERS_H
