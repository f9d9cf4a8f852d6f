//===- LowerKernels.cpp - One function per distinct kernel -----------------------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"
#include "lib/Target/KernelEmitter.h"
#include "lib/Target/LowerRowPipeline.h"
#include "lib/Target/Overlap.h"
#include "lib/Target/RowPipeline.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/OperationSupport.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_LOWERKERNELS
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

/// Kernels that stand for one function, and the function.
struct Shared {
  KernelOp kernel;
  func::FuncOp function;
};

struct LowerKernels : tinytrain::impl::LowerKernelsBase<LowerKernels> {
  using LowerKernelsBase::LowerKernelsBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    std::optional<TargetInfo> info = lookupTarget(target);
    if (!info) {
      module.emitError() << "unknown target '" << target << "'";
      return signalPassFailure();
    }
    names.clear();
    module.walk([&](SymbolOpInterface symbol) { names.insert(symbol.getName()); });
    SmallVector<KernelOp> pipelines, kernels;
    module.walk([&](KernelOp kernel) {
      if (RowPipeline::isPipeline(kernel))
        pipelines.push_back(kernel);
    });
    for (KernelOp kernel : pipelines) {
      auto function = lowerRowPipeline(module, kernel, uniqueName(labelOf(kernel)));
      callInstead(kernel, function);
      kernel.erase();
    }
    module.walk([&](KernelOp kernel) { kernels.push_back(kernel); });
    SmallVector<Shared> known;
    for (KernelOp kernel : kernels) {
      if (kernel.getNumResults() != 0) {
        kernel.emitOpError() << "has to be bufferized before it is lowered";
        return signalPassFailure();
      }
      func::FuncOp function = find(known, kernel);
      if (!function) {
        FailureOr<func::FuncOp> created = create(module, kernel, *info);
        if (failed(created))
          return signalPassFailure();
        function = *created;
        known.push_back({kernel, function});
        ++numFunctions;
      }
      callInstead(kernel, function);
    }
    for (KernelOp kernel : kernels)
      kernel.erase();
  }

private:
  void callInstead(KernelOp kernel, func::FuncOp function) {
    OpBuilder b(kernel);
    auto call = func::CallOp::create(b, kernel.getLoc(), function, kernel->getOperands());
    call->setAttr(kKernelLabel, b.getStringAttr(labelOf(kernel)));
    call->setAttr(kKernelMACs, kernel.getMacsAttr());
    ++numCalls;
  }

  std::string uniqueName(StringRef label) {
    std::string name = label.str();
    for (unsigned i = 2; !names.insert(name).second; ++i)
      name = (label + "_" + std::to_string(i)).str();
    return name;
  }

  static func::FuncOp find(ArrayRef<Shared> known, KernelOp kernel) {
    for (const Shared &entry : known) {
      KernelOp other = entry.kernel;
      if (other->getOperandTypes() == kernel->getOperandTypes() &&
          other.getInputs().size() == kernel.getInputs().size() &&
          other->getAttr(kPacked) == kernel->getAttr(kPacked) &&
          other->getAttr(kWidened) == kernel->getAttr(kWidened) &&
          OperationEquivalence::isRegionEquivalentTo(&other.getBody(), &kernel.getBody(),
                                                     OperationEquivalence::IgnoreLocations))
        return entry.function;
    }
    return nullptr;
  }

  static StringRef labelOf(KernelOp kernel) { return kernel.getLabel().value_or("kernel"); }

  FailureOr<func::FuncOp> create(ModuleOp module, KernelOp kernel, const TargetInfo &info) {
    FailureOr<KernelModel> model = KernelModel::get(kernel);
    if (failed(model))
      return failure();
    OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
    std::string name = uniqueName(labelOf(kernel));
    auto type = b.getFunctionType(kernel->getOperandTypes(), {});
    auto function = func::FuncOp::create(b, kernel.getLoc(), name, type);
    function.setPrivate();
    function->setAttr("tinytrain.kernel", b.getUnitAttr());
    Block *body = function.addEntryBlock();
    b.setInsertionPointToStart(body);
    Blocking blocking = Blocking::choose(*model, info);
    emitKernel(b, kernel.getLoc(), *model, blocking, body->getArguments());
    func::ReturnOp::create(b, kernel.getLoc());
    auto types = llvm::map_to_vector(kernel->getOperandTypes(),
                                     [](Type operand) { return cast<MemRefType>(operand); });
    SmallVector<Attribute> overlaps;
    for (const Overlap &overlap : findOverlaps(*model, blocking, types))
      overlaps.push_back(
          b.getDenseI64ArrayAttr({overlap.input, overlap.result, overlap.below, overlap.above}));
    if (!overlaps.empty())
      function->setAttr(kOverlaps, b.getArrayAttr(overlaps));
    return function;
  }

  llvm::StringSet<> names;
};

} // namespace
