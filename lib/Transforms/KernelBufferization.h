//===- KernelBufferization.h - Bufferization of tinytrain.kernel ------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_TRANSFORMS_KERNELBUFFERIZATION_H
#define TINYTRAIN_LIB_TRANSFORMS_KERNELBUFFERIZATION_H

namespace mlir {
class DialectRegistry;
}

namespace tinytrain {

/// Attaches the bufferization model of `tinytrain.kernel`.
void registerKernelBufferization(mlir::DialectRegistry &registry);

} // namespace tinytrain

#endif // TINYTRAIN_LIB_TRANSFORMS_KERNELBUFFERIZATION_H
