/*===- Registration.h - C API of the registration ------------------*- C -*-===*/

#ifndef TINYTRAIN_LIB_CAPI_REGISTRATION_H
#define TINYTRAIN_LIB_CAPI_REGISTRATION_H

#include "mlir-c/IR.h"

#ifdef __cplusplus
extern "C" {
#endif

MLIR_DECLARE_CAPI_DIALECT_REGISTRATION(TinyTrain, tinytrain);

/* Adds the dialects of tinytrain::registerAll to the registry. */
MLIR_CAPI_EXPORTED void tinytrainRegisterAllDialects(MlirDialectRegistry registry);

/* Registers the passes of tinytrain::registerAllPasses. */
MLIR_CAPI_EXPORTED void tinytrainRegisterAllPasses(void);

#ifdef __cplusplus
}
#endif

#endif /* TINYTRAIN_LIB_CAPI_REGISTRATION_H */
