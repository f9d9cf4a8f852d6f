//===- Extensions.cpp - What this project adds to MLIR ---------------------------===//

#include "lib/Extensions.h"

#include "dialects/TinyTrain.h"
#include "lib/Autodiff/Rules.h"
#include "lib/Passes.h"
#include "lib/Pipelines.h"
#include "lib/Transforms/KernelBufferization.h"

void tinytrain::registerTinyTrainDialect(mlir::DialectRegistry &registry) {
  registry.insert<TinyTrainDialect>();
  registerAutodiffRules(registry);
  registerKernelBufferization(registry);
}

void tinytrain::registerTinyTrainPassesAndPipelines() {
  registerTinyTrainPasses();
  registerTinyTrainPipelines();
}
