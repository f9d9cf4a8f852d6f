/*===- Tools.h - C API of the command line tools -------------------*- C -*-===*/

#ifndef TINYTRAIN_LIB_CAPI_TOOLS_H
#define TINYTRAIN_LIB_CAPI_TOOLS_H

#include "mlir-c/Support.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The main function of tinytrain-opt. It is in this library so that the tool
   and the Python bindings share one copy of MLIR. */
MLIR_CAPI_EXPORTED int tinytrainOptMain(int argc, char **argv);

#ifdef __cplusplus
}
#endif

#endif /* TINYTRAIN_LIB_CAPI_TOOLS_H */
