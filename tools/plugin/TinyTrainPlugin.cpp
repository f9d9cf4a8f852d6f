//===- TinyTrainPlugin.cpp - The dialect and passes for mlir-opt ----------===//
//
//   mlir-opt --load-dialect-plugin=TinyTrainPlugin.so \
//            --load-pass-plugin=TinyTrainPlugin.so ...
//
//===----------------------------------------------------------------------===//

#include "lib/Extensions.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/Compiler.h"

extern "C" LLVM_ATTRIBUTE_VISIBILITY_DEFAULT mlir::DialectPluginLibraryInfo
mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "TinyTrain", LLVM_VERSION_STRING,
          [](mlir::DialectRegistry *registry) { tinytrain::registerTinyTrainDialect(*registry); }};
}

extern "C" LLVM_ATTRIBUTE_VISIBILITY_DEFAULT mlir::PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "TinyTrainPasses", LLVM_VERSION_STRING,
          [] { tinytrain::registerTinyTrainPassesAndPipelines(); }};
}
