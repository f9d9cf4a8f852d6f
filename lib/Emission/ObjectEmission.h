//===- ObjectEmission.h - LLVM dialect to machine code ----------*- C++ -*-===//
//
// Code generation in process: a module in the LLVM dialect becomes optimized
// LLVM IR, assembly or an ELF object for X86, ARM or AArch64.
//
//===----------------------------------------------------------------------===//

#ifndef TINYTRAIN_LIB_EMISSION_OBJECTEMISSION_H
#define TINYTRAIN_LIB_EMISSION_OBJECTEMISSION_H

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace mlir {
class Operation;
} // namespace mlir

namespace tinytrain {

enum class OutputKind { LLVMIR, Assembly, Object };
enum class FloatABI { FromTriple, Soft, Hard };

/// What to generate code for, and how. The defaults are those of `clang -O2`
/// for a relocatable object with one section per function.
struct CodegenOptions {
  std::string triple;
  std::string cpu;
  /// Comma-separated, each with its sign: "+fp-armv8d16,-neon".
  std::string features;
  /// 0 to 3.
  unsigned optLevel = 2;
  /// 0: speed, 1: -Os, 2: -Oz. Not 0 only with optLevel 2.
  unsigned sizeLevel = 0;
  bool positionIndependent = false;
  FloatABI floatABI = FloatABI::FromTriple;
  bool functionSections = true;
  bool dataSections = true;
  bool loopUnrolling = true;
  bool loopVectorization = true;
  bool slpVectorization = true;
  /// Contract a*b+c to one rounding even where the IR does not ask for it.
  bool fuseFloatingPoint = false;
};

/// Registers the code generators, assembly parsers and printers. Thread-safe;
/// the functions below call it themselves.
void initializeTargets();

/// Translates `module` (a builtin.module in the LLVM dialect), optimizes it for
/// the target and returns the output. An error carries the diagnostics. Leaves
/// `module` as it is.
llvm::Expected<llvm::SmallVector<char, 0>>
emitModule(mlir::Operation *module, const CodegenOptions &options, OutputKind kind);

} // namespace tinytrain

#endif // TINYTRAIN_LIB_EMISSION_OBJECTEMISSION_H
