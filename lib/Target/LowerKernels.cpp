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
#define GEN_PASS_DEF_LOWERROWPIPELINES
#include "lib/Passes.h.inc"
} // namespace tinytrain

/// The function by which threads wait for each other.
static constexpr llvm::StringLiteral kBarrier = "barrier";

namespace {

StringRef labelOf(KernelOp kernel) { return kernel.getLabel().value_or("kernel"); }

/// The symbols of a module.
class Names {
public:
  explicit Names(ModuleOp module) {
    names.insert(kBarrier);
    module.walk([&](SymbolOpInterface symbol) { names.insert(symbol.getName()); });
  }

  /// A new one.
  std::string unique(StringRef label) {
    std::string name = label.str();
    for (unsigned i = 2; !names.insert(name).second; ++i)
      name = (label + "_" + std::to_string(i)).str();
    return name;
  }

private:
  llvm::StringSet<> names;
};

void callInstead(KernelOp kernel, func::FuncOp function, ValueRange operands) {
  OpBuilder b(kernel);
  auto call = func::CallOp::create(b, kernel.getLoc(), function, operands);
  call->setAttr(kKernelLabel, b.getStringAttr(labelOf(kernel)));
  call->setAttr(kKernelMACs, kernel.getMacsAttr());
}

struct LowerRowPipelines : tinytrain::impl::LowerRowPipelinesBase<LowerRowPipelines> {
  using LowerRowPipelinesBase::LowerRowPipelinesBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    Names names(module);
    SmallVector<KernelOp> pipelines;
    module.walk([&](KernelOp kernel) {
      if (RowPipeline::isPipeline(kernel))
        pipelines.push_back(kernel);
    });
    for (KernelOp kernel : pipelines) {
      auto function = lowerRowPipeline(module, kernel, names.unique(labelOf(kernel)));
      callInstead(kernel, function, kernel->getOperands());
      kernel.erase();
    }
  }
};

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
    Names names(module);
    if (threads < 1) {
      module.emitError() << "expects a number of threads above 0";
      return signalPassFailure();
    }
    if (threads > 1 && failed(takeThread(module)))
      return signalPassFailure();
    SmallVector<KernelOp> kernels;
    module.walk([&](KernelOp kernel) { kernels.push_back(kernel); });
    SmallVector<Shared> known;
    for (KernelOp kernel : kernels) {
      if (kernel.getNumResults() != 0) {
        kernel.emitOpError() << "has to be bufferized before it is lowered";
        return signalPassFailure();
      }
      func::FuncOp function = find(known, kernel);
      if (!function) {
        FailureOr<func::FuncOp> created =
            create(module, kernel, names.unique(labelOf(kernel)), *info);
        if (failed(created))
          return signalPassFailure();
        function = *created;
        known.push_back({kernel, function});
        ++numFunctions;
      }
      SmallVector<Value> operands(kernel->getOperands());
      if (threads > 1)
        operands.push_back(kernel->getParentOfType<func::FuncOp>().getArguments().back());
      callInstead(kernel, function, operands);
      ++numCalls;
    }
    for (KernelOp kernel : kernels)
      kernel.erase();
    if (threads > 1)
      addBarriers(module);
  }

private:
  /// Each public function gets the number of the thread that runs it.
  static LogicalResult takeThread(ModuleOp module) {
    auto index = IndexType::get(module.getContext());
    for (auto func : module.getOps<func::FuncOp>()) {
      if (func.isPrivate() || func.isDeclaration())
        continue;
      for (auto call : func.getOps<func::CallOp>())
        return call.emitOpError() << "is run by one thread: several cannot share it";
      (void)func.insertArgument(func.getNumArguments(), index, {}, func.getLoc());
    }
    return success();
  }

  /// Between kernels the threads wait for each other.
  static void addBarriers(ModuleOp module) {
    OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
    auto barrier = func::FuncOp::create(b, module.getLoc(), kBarrier, b.getFunctionType({}, {}));
    barrier.setPrivate();
    for (auto func : module.getOps<func::FuncOp>()) {
      if (func.isPrivate())
        continue;
      bool isFirst = true;
      for (Operation &op : func.getOps()) {
        if (!isa<func::CallOp, memref::CopyOp>(op))
          continue;
        b.setInsertionPoint(&op);
        if (!isFirst)
          func::CallOp::create(b, op.getLoc(), barrier, ValueRange());
        isFirst = false;
      }
    }
  }

  static func::FuncOp find(ArrayRef<Shared> known, KernelOp kernel) {
    for (const Shared &entry : known) {
      KernelOp other = entry.kernel;
      if (other->getOperandTypes() == kernel->getOperandTypes() &&
          other.getInputs().size() == kernel.getInputs().size() &&
          other->getAttr(kOrder) == kernel->getAttr(kOrder) &&
          llvm::all_of(
              kLayouts,
              [&](StringRef name) { return other->getAttr(name) == kernel->getAttr(name); }) &&
          OperationEquivalence::isRegionEquivalentTo(&other.getBody(), &kernel.getBody(),
                                                     OperationEquivalence::IgnoreLocations))
        return entry.function;
    }
    return nullptr;
  }

  static Blocking::Order orderOf(KernelOp kernel) {
    auto order = kernel->getAttrOfType<StringAttr>(kOrder);
    return !order                ? Blocking::Order::Pixels
           : order == "channels" ? Blocking::Order::Channels
                                 : Blocking::Order::Rows;
  }

  FailureOr<func::FuncOp> create(ModuleOp module, KernelOp kernel, StringRef name,
                                 const TargetInfo &info) {
    FailureOr<KernelModel> model = KernelModel::get(kernel);
    if (failed(model))
      return failure();
    OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
    SmallVector<Type> inputs(kernel->getOperandTypes());
    if (threads > 1)
      inputs.push_back(b.getIndexType());
    auto type = b.getFunctionType(inputs, {});
    auto function = func::FuncOp::create(b, kernel.getLoc(), name, type);
    function.setPrivate();
    function->setAttr("tinytrain.kernel", b.getUnitAttr());
    Block *body = function.addEntryBlock();
    b.setInsertionPointToStart(body);
    auto types = llvm::map_to_vector(kernel->getOperandTypes(),
                                     [](Type operand) { return cast<MemRefType>(operand); });
    Blocking::Order order = threads > 1 ? Blocking::Order::Pixels : orderOf(kernel);
    Blocking blocking = Blocking::choose(*model, info, order);
    std::optional<Share> share;
    if (threads > 1)
      share = {body->getArguments().back(), int64_t(threads)};
    emitKernel(b, kernel.getLoc(), *model, blocking,
               body->getArguments().take_front(kernel->getNumOperands()), share);
    func::ReturnOp::create(b, kernel.getLoc());
    // What one thread has read, another one may not have.
    if (threads > 1)
      return function;
    SmallVector<Attribute> overlaps;
    for (const Overlap &overlap : findOverlaps(*model, blocking, types))
      overlaps.push_back(
          b.getDenseI64ArrayAttr({overlap.input, overlap.result, overlap.below, overlap.above}));
    if (!overlaps.empty())
      function->setAttr(kOverlaps, b.getArrayAttr(overlaps));
    return function;
  }
};

} // namespace
