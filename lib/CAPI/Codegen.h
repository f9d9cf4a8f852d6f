/*===- Codegen.h - C API of code generation ------------------------*- C -*-===*/
/*                                                                            */
/* Functions that can fail return false and pass the message to `onError`.    */
/* Strings and bytes given to a callback live as long as the call.            */
/*                                                                            */
/*===----------------------------------------------------------------------===*/

#ifndef TINYTRAIN_LIB_CAPI_CODEGEN_H
#define TINYTRAIN_LIB_CAPI_CODEGEN_H

#include "mlir-c/IR.h"
#include "mlir-c/Support.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  TinyTrainOutputLLVMIR,
  TinyTrainOutputAssembly,
  TinyTrainOutputObject
} TinyTrainOutputKind;

typedef enum {
  TinyTrainFloatABIFromTriple,
  TinyTrainFloatABISoft,
  TinyTrainFloatABIHard
} TinyTrainFloatABI;

/* See tinytrain::CodegenOptions. */
typedef struct {
  MlirStringRef triple;
  MlirStringRef cpu;
  MlirStringRef features;
  unsigned optLevel;
  unsigned sizeLevel;
  TinyTrainFloatABI floatABI;
  bool positionIndependent;
  bool functionSections;
  bool dataSections;
  bool loopUnrolling;
  bool loopVectorization;
  bool slpVectorization;
  bool fuseFloatingPoint;
} TinyTrainCodegenOptions;

/* Translates, optimizes and emits a module in the LLVM dialect. */
MLIR_CAPI_EXPORTED bool tinytrainEmitModule(MlirOperation module, TinyTrainOutputKind kind,
                                            const TinyTrainCodegenOptions *options,
                                            MlirStringCallback onOutput, void *outputUserData,
                                            MlirStringCallback onError, void *errorUserData);

/* See tinytrain::TargetInfo. */
typedef struct {
  MlirStringRef name;
  MlirStringRef triple;
  MlirStringRef cpu;
  MlirStringRef features;
  unsigned indexBits;
  bool isMicrocontroller;
  bool hasFPU;
} TinyTrainTarget;

/* Calls back once per target. */
MLIR_CAPI_EXPORTED void tinytrainForEachTarget(void (*callback)(const TinyTrainTarget *, void *),
                                               void *userData);

typedef struct {
  void *ptr;
} TinyTrainJitObject;

/* Returns a null object on failure. */
MLIR_CAPI_EXPORTED TinyTrainJitObject tinytrainJitObjectCreate(MlirStringRef object,
                                                               MlirStringCallback onError,
                                                               void *errorUserData);
MLIR_CAPI_EXPORTED void tinytrainJitObjectDestroy(TinyTrainJitObject object);
MLIR_CAPI_EXPORTED bool tinytrainJitObjectLookup(TinyTrainJitObject object, MlirStringRef name,
                                                 uint64_t *address, MlirStringCallback onError,
                                                 void *errorUserData);

typedef struct {
  MlirStringRef name;
  MlirStringRef contents;
} TinyTrainArchiveMember;

MLIR_CAPI_EXPORTED bool tinytrainWriteArchive(MlirStringRef path, intptr_t numMembers,
                                              const TinyTrainArchiveMember *members,
                                              MlirStringCallback onError, void *errorUserData);

/* The address of tinytrainInstructionHook, a block hook for Unicorn. */
MLIR_CAPI_EXPORTED uint64_t tinytrainGetInstructionHook(void);

#ifdef __cplusplus
}
#endif

#endif /* TINYTRAIN_LIB_CAPI_CODEGEN_H */
