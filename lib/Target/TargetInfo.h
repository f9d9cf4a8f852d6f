//===- TargetInfo.h - What code generation needs to know of a target --*- C++ -*-===//

#ifndef TINYTRAIN_LIB_TARGET_TARGETINFO_H
#define TINYTRAIN_LIB_TARGET_TARGETINFO_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <optional>
#include <string>

namespace tinytrain {

/// What multiplies int8 and adds the products to a sum of 32 bits, apart from plain arithmetic.
enum class ByteProducts {
  Plain,
  /// DSP extension: two products of 16 bits.
  SMLAD,
  /// A lane adds four products, of unsigned and signed bytes.
  VPDPBUSD,
  /// A lane adds four products of signed bytes.
  SDOT,
  /// Eight products, then a lane adds two of them.
  SMULL,
  /// The products of two vectors, all added to one sum.
  VMLADAV,
};

/// What is added to the bytes of the first factor before they are multiplied: VPDPBUSD takes them
/// as unsigned.
inline int64_t byteOffset(ByteProducts products) {
  return products == ByteProducts::VPDPBUSD ? 128 : 0;
}

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
  ByteProducts byteProducts;
  /// Weighs code size: loops are unrolled only where many terms are computed.
  bool isMicrocontroller;
  /// Floats are computed by an FPU, with fused multiply-add; else by functions of the Arm run-time
  /// ABI, which compilers bring along.
  bool hasFPU = true;

  /// Lanes of a vector of `elementBits` each; 1 on a scalar core.
  unsigned lanes(unsigned elementBits) const { return vectorBits ? vectorBits / elementBits : 1; }

  /// Bits of the shortest vector whose lanes add several products.
  unsigned minGroupBits() const { return byteProducts == ByteProducts::SDOT ? 64 : 128; }

  /// Products of bytes that a lane of 32 bits adds at a time.
  unsigned productsPerLane() const {
    switch (byteProducts) {
    case ByteProducts::VPDPBUSD:
    case ByteProducts::SDOT:
      return 4;
    case ByteProducts::SMULL:
      return 2;
    case ByteProducts::Plain:
    case ByteProducts::SMLAD:
    case ByteProducts::VMLADAV:
      break;
    }
    return 1;
  }
};

/// All targets; the host is described as detected.
llvm::ArrayRef<TargetInfo> getTargets();

/// The target called `name`.
std::optional<TargetInfo> lookupTarget(llvm::StringRef name);

} // namespace tinytrain

#endif // TINYTRAIN_LIB_TARGET_TARGETINFO_H
