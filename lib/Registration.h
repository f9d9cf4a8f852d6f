//===- Registration.h - Dialects and passes in one place --------*- C++ -*-===//
//
// The dialects, interface implementations, translations and passes that
// tinytrain-opt and the Python bindings offer: the whole way from tinytrain ops
// to LLVM IR, and nothing for accelerators or other code generators.
//
//===----------------------------------------------------------------------===//

#ifndef TINYTRAIN_LIB_REGISTRATION_H
#define TINYTRAIN_LIB_REGISTRATION_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace tinytrain {

/// Adds every dialect in use, with its external interface models, conversion
/// interfaces and translations to LLVM IR.
void registerAll(mlir::DialectRegistry &registry);

/// Registers the passes of this project and the upstream passes it is used
/// with. Safe to call more than once.
void registerAllPasses();

} // namespace tinytrain

#endif // TINYTRAIN_LIB_REGISTRATION_H
