//===- ObjectEmission.cpp - LLVM dialect to machine code ------------------===//

#include "lib/Emission/ObjectEmission.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Operation.h"
#include "mlir/Target/LLVMIR/Export.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include "llvm/TargetParser/SubtargetFeature.h"
#include "llvm/TargetParser/Triple.h"

#include <mutex>

// The targets a training step is compiled for. Declared here rather than taken
// from llvm/Support/TargetSelect.h, which asks for all targets of the kit.
#define TINYTRAIN_FOR_EACH_TARGET(X) X(X86) X(ARM) X(AArch64)
#define TINYTRAIN_DECLARE_TARGET(T)                                                                \
  extern "C" void LLVMInitialize##T##TargetInfo();                                                 \
  extern "C" void LLVMInitialize##T##Target();                                                     \
  extern "C" void LLVMInitialize##T##TargetMC();                                                   \
  extern "C" void LLVMInitialize##T##AsmParser();                                                  \
  extern "C" void LLVMInitialize##T##AsmPrinter();
TINYTRAIN_FOR_EACH_TARGET(TINYTRAIN_DECLARE_TARGET)

using namespace tinytrain;

void tinytrain::initializeTargets() {
  static std::once_flag once;
  std::call_once(once, [] {
#define TINYTRAIN_INITIALIZE_TARGET(T)                                                             \
  LLVMInitialize##T##TargetInfo();                                                                 \
  LLVMInitialize##T##Target();                                                                     \
  LLVMInitialize##T##TargetMC();                                                                   \
  LLVMInitialize##T##AsmParser();                                                                  \
  LLVMInitialize##T##AsmPrinter();
    TINYTRAIN_FOR_EACH_TARGET(TINYTRAIN_INITIALIZE_TARGET)
  });
}

namespace {

template <typename... Args> llvm::Error makeError(const char *format, const Args &...args) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), format, args...);
}

/// Collects what LLVM reports through the context instead of letting it print,
/// or end the process.
struct DiagnosticCollector : llvm::DiagnosticHandler {
  explicit DiagnosticCollector(std::string &messages) : messages(messages) {}

  bool handleDiagnostics(const llvm::DiagnosticInfo &info) override {
    if (info.getSeverity() != llvm::DS_Error)
      return true;
    llvm::raw_string_ostream stream(messages);
    llvm::DiagnosticPrinterRawOStream printer(stream);
    if (!messages.empty())
      stream << '\n';
    info.print(printer);
    return true;
  }

  std::string &messages;
};

llvm::Expected<std::unique_ptr<llvm::Module>> translate(mlir::Operation *module,
                                                        llvm::LLVMContext &context) {
  std::string messages;
  std::unique_ptr<llvm::Module> llvmModule;
  {
    mlir::ScopedDiagnosticHandler handler(module->getContext(), [&](mlir::Diagnostic &diagnostic) {
      if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error) {
        llvm::raw_string_ostream stream(messages);
        stream << (messages.empty() ? "" : "\n") << diagnostic.getLocation() << ": " << diagnostic;
      }
    });
    llvmModule = mlir::translateModuleToLLVMIR(module, context, "tinytrain");
  }
  if (!llvmModule)
    return makeError("translation to LLVM IR failed: %s", messages.c_str());
  return llvmModule;
}

llvm::CodeGenOptLevel getCodeGenOptLevel(unsigned level) {
  switch (level) {
  case 0:
    return llvm::CodeGenOptLevel::None;
  case 1:
    return llvm::CodeGenOptLevel::Less;
  case 2:
    return llvm::CodeGenOptLevel::Default;
  default:
    return llvm::CodeGenOptLevel::Aggressive;
  }
}

llvm::Expected<llvm::OptimizationLevel> getOptimizationLevel(const CodegenOptions &options) {
  if (options.optLevel > 3 || options.sizeLevel > 2 ||
      (options.sizeLevel != 0 && options.optLevel != 2))
    return makeError("no such optimization level: speed %u, size %u", options.optLevel,
                     options.sizeLevel);
  if (options.sizeLevel != 0)
    return options.sizeLevel == 1 ? llvm::OptimizationLevel::Os : llvm::OptimizationLevel::Oz;
  const llvm::OptimizationLevel levels[] = {
      llvm::OptimizationLevel::O0, llvm::OptimizationLevel::O1, llvm::OptimizationLevel::O2,
      llvm::OptimizationLevel::O3};
  return levels[options.optLevel];
}

llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
createTargetMachine(const CodegenOptions &options) {
  llvm::Triple triple(llvm::Triple::normalize(options.triple));
  std::string message;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, message);
  if (!target)
    return makeError("%s", message.c_str());

  // An unknown CPU or feature is only a warning on stderr to LLVM; refuse it.
  std::unique_ptr<llvm::MCSubtargetInfo> subtarget(target->createMCSubtargetInfo(triple, "", ""));
  if (!options.cpu.empty() && !subtarget->isCPUStringValid(options.cpu))
    return makeError("unknown CPU '%s' for target '%s'", options.cpu.c_str(),
                     options.triple.c_str());
  llvm::SubtargetFeatures features(options.features);
  for (const std::string &feature : features.getFeatures()) {
    llvm::StringRef name = llvm::SubtargetFeatures::StripFlag(feature);
    bool known = llvm::any_of(subtarget->getAllProcessorFeatures(),
                              [&](const llvm::SubtargetFeatureKV &kv) { return name == kv.Key; });
    if (!known)
      return makeError("unknown feature '%s' for target '%s'", feature.c_str(),
                       options.triple.c_str());
  }

  llvm::TargetOptions targetOptions;
  targetOptions.FunctionSections = options.functionSections;
  targetOptions.DataSections = options.dataSections;
  if (options.floatABI != FloatABI::FromTriple)
    targetOptions.FloatABIType =
        options.floatABI == FloatABI::Hard ? llvm::FloatABI::Hard : llvm::FloatABI::Soft;
  if (options.fuseFloatingPoint)
    targetOptions.AllowFPOpFusion = llvm::FPOpFusion::Fast;

  std::unique_ptr<llvm::TargetMachine> machine(target->createTargetMachine(
      triple, options.cpu, options.features, targetOptions,
      options.positionIndependent ? llvm::Reloc::PIC_ : llvm::Reloc::Static,
      /*CM=*/std::nullopt, getCodeGenOptLevel(options.optLevel)));
  if (!machine)
    return makeError("cannot generate code for target '%s'", options.triple.c_str());
  return machine;
}

void optimize(llvm::Module &module, llvm::TargetMachine &machine, llvm::OptimizationLevel level,
              const CodegenOptions &options) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopUnrolling = options.loopUnrolling;
  tuning.LoopVectorization = options.loopVectorization;
  tuning.LoopInterleaving = options.loopVectorization;
  tuning.SLPVectorization = options.slpVectorization;

  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine, tuning);
  // Registered first, so that it takes precedence over the builder's.
  functions.registerPass([&] {
    return llvm::TargetLibraryAnalysis(llvm::TargetLibraryInfoImpl(module.getTargetTriple()));
  });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.buildPerModuleDefaultPipeline(level).run(module, modules);
}

} // namespace

llvm::Expected<llvm::SmallVector<char, 0>>
tinytrain::emitModule(mlir::Operation *module, const CodegenOptions &options, OutputKind kind) {
  initializeTargets();
  auto level = getOptimizationLevel(options);
  if (!level)
    return level.takeError();
  auto machine = createTargetMachine(options);
  if (!machine)
    return machine.takeError();

  std::string messages;
  llvm::LLVMContext context;
  context.setDiagnosticHandler(std::make_unique<DiagnosticCollector>(messages));
  auto llvmModule = translate(module, context);
  if (!llvmModule)
    return llvmModule.takeError();
  (*llvmModule)->setTargetTriple((*machine)->getTargetTriple());
  (*llvmModule)->setDataLayout((*machine)->createDataLayout());
  if (options.positionIndependent)
    (*llvmModule)->setPICLevel(llvm::PICLevel::BigPIC);
  optimize(**llvmModule, **machine, *level, options);

  llvm::SmallVector<char, 0> output;
  llvm::raw_svector_ostream stream(output);
  if (kind == OutputKind::LLVMIR) {
    (*llvmModule)->print(stream, /*AAW=*/nullptr);
  } else {
    llvm::legacy::PassManager passes;
    passes.add(new llvm::TargetLibraryInfoWrapperPass(
        llvm::TargetLibraryInfoImpl((*machine)->getTargetTriple())));
    if ((*machine)->addPassesToEmitFile(passes, stream, /*DwoOut=*/nullptr,
                                        kind == OutputKind::Object
                                            ? llvm::CodeGenFileType::ObjectFile
                                            : llvm::CodeGenFileType::AssemblyFile))
      return makeError("target '%s' cannot emit this kind of file", options.triple.c_str());
    passes.run(**llvmModule);
  }
  if (!messages.empty())
    return makeError("code generation failed: %s", messages.c_str());
  return output;
}
