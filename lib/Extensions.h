//===- Extensions.h - What this project adds to MLIR ------------------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_EXTENSIONS_H
#define TINYTRAIN_LIB_EXTENSIONS_H

namespace mlir {
class DialectRegistry;
}

namespace tinytrain {

/// Adds the tinytrain dialect with its derivative rules and interface models.
void registerTinyTrainDialect(mlir::DialectRegistry &registry);

/// Registers the passes and pipelines of this project.
void registerTinyTrainPassesAndPipelines();

} // namespace tinytrain

#endif // TINYTRAIN_LIB_EXTENSIONS_H
