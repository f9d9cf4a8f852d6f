//===- Passes.h - Pass declarations and registration ------------------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_PASSES_H
#define TINYTRAIN_LIB_PASSES_H

#include "mlir/Pass/Pass.h"

#include <memory>

namespace mlir {
namespace func {
class FuncOp;
}
} // namespace mlir

namespace tinytrain {

#define GEN_PASS_DECL
#include "lib/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "lib/Passes.h.inc"

} // namespace tinytrain

#endif // TINYTRAIN_LIB_PASSES_H
