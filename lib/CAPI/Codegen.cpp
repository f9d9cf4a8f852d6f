//===- Codegen.cpp - C API of code generation -----------------------------===//

#include "lib/CAPI/Codegen.h"

#include "lib/Emission/Archive.h"
#include "lib/Emission/InstructionHook.h"
#include "lib/Emission/JitObject.h"
#include "lib/Emission/ObjectEmission.h"
#include "lib/Target/TargetInfo.h"

#include "mlir/CAPI/IR.h"
#include "mlir/CAPI/Support.h"

using namespace tinytrain;

/// Hands the message of `error` to the callback and returns false.
static bool fail(llvm::Error error, MlirStringCallback onError, void *errorUserData) {
  std::string message = llvm::toString(std::move(error));
  onError(wrap(llvm::StringRef(message)), errorUserData);
  return false;
}

bool tinytrainEmitModule(MlirOperation module, TinyTrainOutputKind kind,
                         const TinyTrainCodegenOptions *options, MlirStringCallback onOutput,
                         void *outputUserData, MlirStringCallback onError, void *errorUserData) {
  CodegenOptions codegen;
  codegen.triple = unwrap(options->triple).str();
  codegen.cpu = unwrap(options->cpu).str();
  codegen.features = unwrap(options->features).str();
  codegen.optLevel = options->optLevel;
  codegen.sizeLevel = options->sizeLevel;
  codegen.floatABI = static_cast<FloatABI>(options->floatABI);
  codegen.positionIndependent = options->positionIndependent;
  codegen.functionSections = options->functionSections;
  codegen.dataSections = options->dataSections;
  codegen.loopUnrolling = options->loopUnrolling;
  codegen.loopVectorization = options->loopVectorization;
  codegen.slpVectorization = options->slpVectorization;
  codegen.fuseFloatingPoint = options->fuseFloatingPoint;

  auto output = emitModule(unwrap(module), codegen, static_cast<OutputKind>(kind));
  if (!output)
    return fail(output.takeError(), onError, errorUserData);
  onOutput(mlirStringRefCreate(output->data(), output->size()), outputUserData);
  return true;
}

void tinytrainForEachTarget(void (*callback)(const TinyTrainTarget *, void *), void *userData) {
  for (const TargetInfo &info : getTargets()) {
    TinyTrainTarget target = {wrap(llvm::StringRef(info.name)),
                              wrap(llvm::StringRef(info.triple)),
                              wrap(llvm::StringRef(info.cpu)),
                              wrap(llvm::StringRef(info.features)),
                              info.indexBits,
                              info.isMicrocontroller,
                              info.hasFPU};
    callback(&target, userData);
  }
}

TinyTrainJitObject tinytrainJitObjectCreate(MlirStringRef object, MlirStringCallback onError,
                                            void *errorUserData) {
  auto jit = JitObject::create(unwrap(object));
  if (!jit) {
    fail(jit.takeError(), onError, errorUserData);
    return {nullptr};
  }
  return {jit->release()};
}

void tinytrainJitObjectDestroy(TinyTrainJitObject object) {
  delete static_cast<JitObject *>(object.ptr);
}

bool tinytrainJitObjectLookup(TinyTrainJitObject object, MlirStringRef name, uint64_t *address,
                              MlirStringCallback onError, void *errorUserData) {
  auto result = static_cast<JitObject *>(object.ptr)->lookup(unwrap(name));
  if (!result)
    return fail(result.takeError(), onError, errorUserData);
  *address = *result;
  return true;
}

bool tinytrainWriteArchive(MlirStringRef path, intptr_t numMembers,
                           const TinyTrainArchiveMember *members, MlirStringCallback onError,
                           void *errorUserData) {
  llvm::SmallVector<ArchiveMember> list;
  for (intptr_t i = 0; i < numMembers; ++i)
    list.push_back({unwrap(members[i].name), unwrap(members[i].contents)});
  if (llvm::Error error = writeStaticArchive(unwrap(path), list))
    return fail(std::move(error), onError, errorUserData);
  return true;
}

uint64_t tinytrainGetInstructionHook(void) {
  return reinterpret_cast<uint64_t>(&tinytrainInstructionHook);
}
