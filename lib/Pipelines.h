//===- Pipelines.h - One pipeline per stage ---------------------------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_PIPELINES_H
#define TINYTRAIN_LIB_PIPELINES_H

namespace tinytrain {

/// Registers `tinytrain-training-graph`, `tinytrain-form-kernel-graph`,
/// `tinytrain-bufferize`, `tinytrain-codegen` and `tinytrain-to-llvm`.
void registerTinyTrainPipelines();

} // namespace tinytrain

#endif // TINYTRAIN_LIB_PIPELINES_H
