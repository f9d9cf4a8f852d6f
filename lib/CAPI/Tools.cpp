//===- Tools.cpp - C API of the command line tools ------------------------===//

#include "lib/CAPI/Tools.h"

#include "lib/Registration.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int tinytrainOptMain(int argc, char **argv) {
  tinytrain::registerAllPasses();
  mlir::DialectRegistry registry;
  tinytrain::registerAll(registry);
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "tinytrain optimizer driver\n", registry));
}
