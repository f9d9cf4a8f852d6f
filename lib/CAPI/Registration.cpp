//===- Registration.cpp - C API of the registration -----------------------===//

#include "lib/CAPI/Registration.h"

#include "dialects/TinyTrain.h"
#include "lib/Registration.h"

#include "mlir/CAPI/Registration.h"

MLIR_DEFINE_CAPI_DIALECT_REGISTRATION(TinyTrain, tinytrain, tinytrain::TinyTrainDialect)

void tinytrainRegisterAllDialects(MlirDialectRegistry registry) {
  tinytrain::registerAll(*unwrap(registry));
}

void tinytrainRegisterAllPasses(void) { tinytrain::registerAllPasses(); }
