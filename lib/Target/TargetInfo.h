//===- TargetInfo.h - What code generation needs to know of a target --*- C++ -*-===//

#ifndef TINYTRAIN_LIB_TARGET_TARGETINFO_H
#define TINYTRAIN_LIB_TARGET_TARGETINFO_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <optional>
#include <string>

namespace tinytrain {

/// A core that programs are compiled for. This is the only place that describes targets:
/// blocking, object emission and the Python package read it.
struct TargetInfo {
  std::string name;
  /// LLVM target triple, CPU and features; empty for the host: the machine's own.
  std::string triple, cpu, features;
  /// Bits of a pointer.
  unsigned indexBits;
  /// Bits of a vector register; 0 for a scalar core.
  unsigned vectorBits;
  /// Bits of the shortest vector that code is generated for.
  unsigned minVectorBits;
  /// Registers that hold floats: vectors, or scalars on a scalar core.
  unsigned floatRegisters;
  /// Has the DSP extension: two 16-bit products added to a 32-bit sum in one instruction.
  bool hasPairProducts;
  /// Favours code size over speed: no loop unrolling beyond register blocking.
  bool isMicrocontroller;

  /// Lanes of a vector of `elementBits` each; 1 on a scalar core.
  unsigned lanes(unsigned elementBits) const { return vectorBits ? vectorBits / elementBits : 1; }
};

/// All targets; the host is described as detected.
llvm::ArrayRef<TargetInfo> getTargets();

/// The target called `name`.
std::optional<TargetInfo> lookupTarget(llvm::StringRef name);

} // namespace tinytrain

#endif // TINYTRAIN_LIB_TARGET_TARGETINFO_H
