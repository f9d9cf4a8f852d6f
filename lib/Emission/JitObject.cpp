//===- JitObject.cpp - Run an object file in this process -----------------===//

#include "lib/Emission/JitObject.h"

#include "lib/Emission/ObjectEmission.h"

#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace tinytrain;

JitObject::JitObject(std::unique_ptr<llvm::orc::LLJIT> jit) : jit(std::move(jit)) {}

JitObject::~JitObject() = default;

llvm::Expected<std::unique_ptr<JitObject>> JitObject::create(llvm::StringRef object) {
  initializeTargets();
  // Generated code has no static initializers, so no platform support either.
  auto jit = llvm::orc::LLJITBuilder().setPlatformSetUp(llvm::orc::setUpInactivePlatform).create();
  if (!jit)
    return jit.takeError();
  if (llvm::Error error =
          (*jit)->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(object, "tinytrain.o")))
    return std::move(error);
  return std::unique_ptr<JitObject>(new JitObject(std::move(*jit)));
}

llvm::Expected<uint64_t> JitObject::lookup(llvm::StringRef name) {
  auto address = jit->lookup(name);
  if (!address)
    return address.takeError();
  return address->getValue();
}
