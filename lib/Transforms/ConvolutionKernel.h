//===- ConvolutionKernel.h - Kernels of one convolution ---------------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_TRANSFORMS_CONVOLUTIONKERNEL_H
#define TINYTRAIN_LIB_TRANSFORMS_CONVOLUTIONKERNEL_H

#include "dialects/TinyTrain.h"

namespace tinytrain {

/// The convolution of a kernel that holds nothing else but a chain of elementwise ops; null for
/// other kernels.
Conv2DOp convolutionOf(KernelOp kernel);

} // namespace tinytrain

#endif // TINYTRAIN_LIB_TRANSFORMS_CONVOLUTIONKERNEL_H
