//===- JitObject.h - Run an object file in this process ---------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_EMISSION_JITOBJECT_H
#define TINYTRAIN_LIB_EMISSION_JITOBJECT_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <memory>

namespace llvm::orc {
class LLJIT;
} // namespace llvm::orc

namespace tinytrain {

/// A relocatable object for the host, linked into this process. Undefined
/// symbols resolve to those of the process (memcpy, memset, ...). The code and
/// its data live as long as the JitObject. Emit the object position
/// independent: it may land far from the process's own code.
class JitObject {
public:
  /// Takes a copy of `object`.
  static llvm::Expected<std::unique_ptr<JitObject>> create(llvm::StringRef object);
  ~JitObject();

  llvm::Expected<uint64_t> lookup(llvm::StringRef name);

private:
  explicit JitObject(std::unique_ptr<llvm::orc::LLJIT> jit);

  std::unique_ptr<llvm::orc::LLJIT> jit;
};

} // namespace tinytrain

#endif // TINYTRAIN_LIB_EMISSION_JITOBJECT_H
