//===- PlanMemory.cpp - One static arena, parameters in globals ------------------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"
#include "lib/Transforms/ArenaProblem.h"
#include "lib/Transforms/InPlace.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_PLANMEMORY
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

struct PlanMemory : tinytrain::impl::PlanMemoryBase<PlanMemory> {
  using PlanMemoryBase::PlanMemoryBase;

  void runOnOperation() override;

private:
  void record(const ArenaProblem &plan);
  void replaceBuffers(const ArenaProblem &plan, memref::GlobalOp arena);
  LogicalResult bindParameters(ArrayRef<ArenaProblem> plans);
  memref::GlobalOp createGlobal(StringRef name, MemRefType type, bool constant, StringRef param);
  MemRefType byteType(int64_t size) {
    return MemRefType::get({size}, IntegerType::get(&getContext(), 8));
  }
  Value viewOf(OpBuilder &b, Location loc, memref::GlobalOp global, int64_t offset,
               MemRefType type) {
    Value base = memref::GetGlobalOp::create(b, loc, global.getType(), global.getSymName());
    Value shift = arith::ConstantIndexOp::create(b, loc, offset);
    return memref::ViewOp::create(b, loc, type, base, shift, ValueRange());
  }

  SmallVector<Attribute> bufferRecords, callRecords;
};

} // namespace

/// True if the called kernel stores to `operand`.
static bool writes(Operation *call, Value operand) {
  func::FuncOp callee = calleeOf(call);
  if (!callee || callee.isDeclaration())
    return true;
  return llvm::any_of(llvm::enumerate(call->getOperands()), [&](auto entry) {
    return entry.value() == operand &&
           llvm::any_of(callee.getArgument(entry.index()).getUses(), [](OpOperand &use) {
             auto effects = dyn_cast<MemoryEffectOpInterface>(use.getOwner());
             return effects && effects.getEffectOnValue<MemoryEffects::Write>(use.get());
           });
  });
}

static std::string textOf(Location loc) {
  std::string text;
  llvm::raw_string_ostream(text) << loc;
  return text;
}

/// The names of the functions that an op calls, directly or not.
static SmallVector<Attribute> functionsOf(Operation *op) {
  llvm::SetVector<Attribute> names;
  std::function<void(Operation *)> visit = [&](Operation *caller) {
    caller->walk([&](func::CallOp call) {
      auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
      if (callee && names.insert(callee.getSymNameAttr()))
        visit(callee);
    });
  };
  visit(op);
  return llvm::to_vector(names);
}

/// Says what each call is, and where each buffer lies, for reports.
void PlanMemory::record(const ArenaProblem &plan) {
  OpBuilder b(&getContext());
  func::FuncOp func = plan.func;
  auto name = b.getStringAttr(func.getSymName());
  auto labelOf = [](Operation *call) {
    if (auto label = call->getAttrOfType<StringAttr>(kKernelLabel))
      return label.getValue();
    return call->getName().stripDialect();
  };
  for (auto [i, call] : llvm::enumerate(plan.calls)) {
    SmallVector<Attribute> updated;
    for (Value operand : call->getOperands())
      if (auto arg = dyn_cast<BlockArgument>(bufferBehind(operand)))
        for (StringRef key : {kParam, kState})
          if (auto param = func.getArgAttrOfType<StringAttr>(arg.getArgNumber(), key);
              param && func.getArgAttr(arg.getArgNumber(), kUpdated) && writes(call, operand))
            updated.push_back(param);
    StringRef phase = isBackward(call->getLoc()) ? "backward" : "forward";
    if (!updated.empty())
      phase = "update";
    auto macs = call->getAttrOfType<IntegerAttr>(kKernelMACs);
    callRecords.push_back(b.getDictionaryAttr({
        b.getNamedAttr("function", name),
        b.getNamedAttr("functions", b.getArrayAttr(functionsOf(call))),
        b.getNamedAttr("label", b.getStringAttr(labelOf(call))),
        b.getNamedAttr("location", b.getStringAttr(textOf(withoutPhase(call->getLoc())))),
        b.getNamedAttr("macs", macs ? macs : b.getI64IntegerAttr(0)),
        b.getNamedAttr("number", b.getI64IntegerAttr(i)),
        b.getNamedAttr("phase", b.getStringAttr(phase)),
        b.getNamedAttr("writes", b.getArrayAttr(updated)),
    }));
  }
  for (const ArenaProblem::Buffer &buffer : plan.buffers) {
    memref::AllocOp alloc = buffer.alloc;
    bufferRecords.push_back(b.getDictionaryAttr({
        b.getNamedAttr("bytes", b.getI64IntegerAttr(buffer.bytes)),
        b.getNamedAttr("first", b.getI64IntegerAttr(buffer.uses.front())),
        b.getNamedAttr("function", name),
        b.getNamedAttr("label", b.getStringAttr(labelOf(plan.calls[buffer.uses.front()]))),
        b.getNamedAttr("last", b.getI64IntegerAttr(buffer.uses.back())),
        b.getNamedAttr("location", b.getStringAttr(textOf(withoutPhase(alloc.getLoc())))),
        b.getNamedAttr("offset", b.getI64IntegerAttr(buffer.offset)),
        b.getNamedAttr("type", TypeAttr::get(alloc.getType())),
        b.getNamedAttr("uses", b.getDenseI64ArrayAttr(buffer.uses)),
    }));
  }
}

/// A caller that wrote the input to its place has nothing to copy.
static void copyFromElsewhere(memref::CopyOp copy) {
  OpBuilder b(copy);
  Location loc = copy.getLoc();
  Value from = memref::ExtractAlignedPointerAsIndexOp::create(b, loc, copy.getSource());
  Value to = memref::ExtractAlignedPointerAsIndexOp::create(b, loc, copy.getTarget());
  Value elsewhere = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, from, to);
  auto guarded = scf::IfOp::create(b, loc, elsewhere, /*withElseRegion=*/false);
  copy->moveBefore(guarded.thenBlock()->getTerminator());
}

void PlanMemory::replaceBuffers(const ArenaProblem &plan, memref::GlobalOp arena) {
  OpBuilder b(&getContext());
  for (const ArenaProblem::Buffer &buffer : plan.buffers) {
    memref::AllocOp alloc = buffer.alloc;
    b.setInsertionPoint(alloc);
    Value place = viewOf(b, alloc.getLoc(), arena, buffer.offset, alloc.getType());
    alloc.replaceAllUsesWith(place);
    if (alloc->hasAttr(kInput))
      for (Operation *user : llvm::make_early_inc_range(place.getUsers()))
        if (auto copy = dyn_cast<memref::CopyOp>(user))
          copyFromElsewhere(copy);
    alloc.erase();
  }
  func::FuncOp func = plan.func;
  for (auto alloc : llvm::make_early_inc_range(func.front().getOps<memref::AllocOp>()))
    if (alloc.use_empty())
      alloc.erase();
}

memref::GlobalOp PlanMemory::createGlobal(StringRef name, MemRefType type, bool constant,
                                          StringRef param) {
  ModuleOp module = getOperation();
  OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
  auto global = memref::GlobalOp::create(b, module.getLoc(), name, b.getStringAttr("private"), type,
                                         constant ? Attribute() : Attribute(b.getUnitAttr()),
                                         constant, b.getI64IntegerAttr(alignment));
  global->setAttr("tinytrain.global", b.getStringAttr(param));
  return global;
}

/// Replaces parameters, optimizer state and the learning rate by globals.
LogicalResult PlanMemory::bindParameters(ArrayRef<ArenaProblem> plans) {
  struct Parameter {
    MemRefType type;
    bool isMutable = false;
    NamedAttrList layout; // of frozen weights
    SmallVector<BlockArgument> uses;
  };
  llvm::MapVector<StringRef, Parameter> parameters;
  for (func::FuncOp func : llvm::map_range(plans, [](const ArenaProblem &p) { return p.func; }))
    for (BlockArgument arg : func.getArguments()) {
      unsigned i = arg.getArgNumber();
      StringAttr name = func.getArgAttrOfType<StringAttr>(i, kParam);
      bool isState = false;
      if (!name) {
        name = func.getArgAttrOfType<StringAttr>(i, kState);
        isState = name != nullptr;
      }
      if (!name && func.getArgAttr(i, kLearningRate)) {
        name = StringAttr::get(&getContext(), "learning_rate");
        isState = true;
      }
      if (!name)
        continue;
      Parameter &parameter = parameters[name];
      auto type = dyn_cast<MemRefType>(arg.getType());
      if (!type || (parameter.type && parameter.type != type))
        return func.emitError() << "'" << name.getValue() << "' has type " << arg.getType()
                                << " where a memref of one type in all functions is expected";
      parameter.type = type;
      parameter.isMutable |= isState || func.getArgAttr(i, kUpdated) != nullptr;
      for (StringRef name : kLayouts)
        if (Attribute attr = func.getArgAttr(i, name))
          parameter.layout.set(name, attr);
      parameter.uses.push_back(arg);
    }

  int64_t size = 0;
  SmallVector<std::pair<StringRef, int64_t>> offsets;
  OpBuilder b(&getContext());
  SmallVector<Attribute> layout;
  for (auto &[name, parameter] : parameters) {
    if (!parameter.isMutable)
      continue;
    size = llvm::alignTo(size, alignment);
    offsets.emplace_back(name, size);
    layout.push_back(b.getDictionaryAttr({
        b.getNamedAttr("name", b.getStringAttr(name)),
        b.getNamedAttr("type", TypeAttr::get(parameter.type)),
        b.getNamedAttr("offset", b.getI64IntegerAttr(size)),
        b.getNamedAttr("bytes", b.getI64IntegerAttr(bytesOf(parameter.type))),
    }));
    size += bytesOf(parameter.type);
  }
  getOperation()->setAttr("tinytrain.parameters", b.getArrayAttr(layout));
  memref::GlobalOp params;
  if (size)
    params = createGlobal("params", byteType(size), /*constant=*/false, "");

  SymbolTable symbols(getOperation());
  for (auto &[name, parameter] : parameters) {
    memref::GlobalOp global = params;
    int64_t offset = -1;
    for (auto &[other, o] : offsets)
      if (other == name)
        offset = o;
    if (offset < 0)
      global = createGlobal(("const." + name).str(), parameter.type, /*constant=*/true, name);
    for (NamedAttribute attr : parameter.layout)
      global->setAttr(attr.getName(), attr.getValue());
    for (BlockArgument arg : parameter.uses) {
      b.setInsertionPointToStart(arg.getOwner());
      Value value;
      if (offset < 0)
        value = memref::GetGlobalOp::create(b, arg.getLoc(), parameter.type, global.getSymName());
      else
        value = viewOf(b, arg.getLoc(), params, offset, parameter.type);
      arg.replaceAllUsesWith(value);
    }
  }
  for (func::FuncOp func : llvm::map_range(plans, [](const ArenaProblem &p) { return p.func; })) {
    llvm::BitVector erased(func.getNumArguments());
    for (unsigned i = 0; i < func.getNumArguments(); ++i)
      if (func.getArgAttr(i, kParam) || func.getArgAttr(i, kState) ||
          func.getArgAttr(i, kLearningRate))
        erased.set(i);
    if (failed(func.eraseArguments(erased)))
      return failure();
  }
  return success();
}

void PlanMemory::runOnOperation() {
  ModuleOp module = getOperation();
  bufferRecords.clear();
  callRecords.clear();
  if (alignment < 1 || !llvm::isPowerOf2_64(alignment)) {
    module.emitError() << "expects an alignment that is a power of two, got "
                       << alignment.getValue();
    return signalPassFailure();
  }
  std::vector<ArenaProblem> plans;
  for (auto func : module.getOps<func::FuncOp>())
    if (!func.isPrivate() && !func.isDeclaration()) {
      FailureOr<ArenaProblem> plan = ArenaProblem::get(func);
      if (failed(plan))
        return signalPassFailure();
      plans.push_back(std::move(*plan));
    }

  int64_t size = 0;
  for (ArenaProblem &plan : plans) {
    for (auto [i, call] : llvm::enumerate(plan.calls))
      if (overlap)
        llvm::append_range(plan.problem.overlaps, plan.overlapsAt(i, recordedOverlaps(call)));
    plan.problem.alignment = alignment;
    Plan placed = planBuffers(plan.problem, rounds);
    for (auto [buffer, offset] : llvm::zip(plan.buffers, placed.offsets))
      buffer.offset = offset;
    if (placed.bytes >= size)
      boundBytes = plan.problem.lowerBound();
    size = std::max(size, placed.bytes);
    numBuffers += plan.buffers.size();
    for (const PlanProblem::Overlap &overlap : plan.problem.overlaps) {
      const ArenaProblem::Buffer &in = plan.buffers[overlap.input],
                                 &out = plan.buffers[overlap.result];
      overlapBytes += std::max<int64_t>(0, std::min(in.offset + in.bytes, out.offset + out.bytes) -
                                               std::max(in.offset, out.offset));
    }
    record(plan);
  }
  arenaBytes = size;
  if (size) {
    memref::GlobalOp arena = createGlobal("arena", byteType(size), /*constant=*/false, "");
    for (const ArenaProblem &plan : plans)
      replaceBuffers(plan, arena);
  }
  if (failed(bindParameters(plans)))
    return signalPassFailure();
  OpBuilder b(&getContext());
  module->setAttr("tinytrain.arena_bytes", b.getI64IntegerAttr(size));
  module->setAttr("tinytrain.buffers", b.getArrayAttr(bufferRecords));
  module->setAttr("tinytrain.ops", b.getArrayAttr(callRecords));
}
