//===- ConvolutionKernel.cpp - Kernels of one convolution ------------------------===//

#include "lib/Transforms/ConvolutionKernel.h"

using namespace mlir;
using namespace tinytrain;

Conv2DOp tinytrain::convolutionOf(KernelOp kernel) {
  if (kernel.getNumResults() != 1 || !kernel.getInits().empty())
    return nullptr;
  Operation *previous = nullptr;
  for (Operation &op : *kernel.getKernelBlock()) {
    if (previous && !llvm::is_contained(op.getOperands(), previous->getResult(0)))
      return nullptr;
    if (!previous && !isa<Conv2DOp>(op))
      return nullptr;
    previous = &op;
  }
  return cast<Conv2DOp>(kernel.getKernelBlock()->front());
}
