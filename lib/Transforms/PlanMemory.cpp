//===- PlanMemory.cpp - One static arena, parameters in globals ------------------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
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

/// A buffer of one function: alive from op number `first` to `last`, both included.
struct Buffer {
  memref::AllocOp alloc;
  int64_t bytes, first, last;
  int64_t offset = 0;

  bool livesWith(const Buffer &other) const { return first <= other.last && other.first <= last; }
};

int64_t bytesOf(MemRefType type) {
  return type.getNumElements() * llvm::divideCeil(type.getElementTypeBitWidth(), 8);
}

struct PlanMemory : tinytrain::impl::PlanMemoryBase<PlanMemory> {
  using PlanMemoryBase::PlanMemoryBase;

  void runOnOperation() override;

private:
  LogicalResult collect(func::FuncOp func, SmallVector<Buffer> &buffers);
  int64_t place(SmallVector<Buffer> &buffers);
  static int64_t lowerBound(ArrayRef<Buffer> buffers);
  void replaceBuffers(func::FuncOp func, ArrayRef<Buffer> buffers, memref::GlobalOp arena);
  LogicalResult bindParameters(ArrayRef<func::FuncOp> funcs);
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

  SmallVector<Attribute> records;
};

} // namespace

/// Finds all buffers and their lifetimes, through views.
LogicalResult PlanMemory::collect(func::FuncOp func, SmallVector<Buffer> &buffers) {
  DenseMap<Operation *, int64_t> number;
  for (auto [i, op] : llvm::enumerate(func.front()))
    number[&op] = i;
  WalkResult result = func.walk([&](memref::AllocOp alloc) {
    if (alloc->getParentOp() != func || !alloc.getType().hasStaticShape()) {
      alloc.emitOpError() << "cannot be placed: buffers must be static and at the function's top "
                             "level";
      return WalkResult::interrupt();
    }
    Buffer buffer{alloc, bytesOf(alloc.getType()), INT64_MAX, -1};
    SmallVector<Value> views = {alloc.getResult()};
    while (!views.empty()) {
      Value view = views.pop_back_val();
      for (Operation *user : view.getUsers()) {
        Operation *top = func.front().findAncestorOpInBlock(*user);
        if (isa<ViewLikeOpInterface, memref::CastOp>(user)) {
          views.push_back(user->getResult(0));
          continue;
        }
        buffer.first = std::min(buffer.first, number[top]);
        buffer.last = std::max(buffer.last, number[top]);
      }
    }
    if (buffer.last >= 0)
      buffers.push_back(buffer);
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

/// Largest first, each at the lowest offset that no buffer alive at the same time covers.
int64_t PlanMemory::place(SmallVector<Buffer> &buffers) {
  SmallVector<Buffer *> order;
  for (Buffer &buffer : buffers)
    order.push_back(&buffer);
  llvm::stable_sort(order, [](Buffer *a, Buffer *b) { return a->bytes > b->bytes; });
  int64_t total = 0;
  SmallVector<Buffer *> placed;
  for (Buffer *buffer : order) {
    SmallVector<Buffer *> conflicts = llvm::to_vector(
        llvm::make_filter_range(placed, [&](Buffer *other) { return buffer->livesWith(*other); }));
    llvm::sort(conflicts, [](Buffer *a, Buffer *b) { return a->offset < b->offset; });
    int64_t offset = 0;
    for (Buffer *other : conflicts) {
      if (offset + buffer->bytes <= other->offset)
        break;
      offset = std::max<int64_t>(offset, llvm::alignTo(other->offset + other->bytes, alignment));
    }
    buffer->offset = offset;
    total = std::max(total, offset + buffer->bytes);
    placed.push_back(buffer);
  }
  return total;
}

int64_t PlanMemory::lowerBound(ArrayRef<Buffer> buffers) {
  int64_t bound = 0;
  for (const Buffer &at : buffers) {
    int64_t live = 0;
    for (const Buffer &buffer : buffers)
      if (buffer.first <= at.first && at.first <= buffer.last)
        live += buffer.bytes;
    bound = std::max(bound, live);
  }
  return bound;
}

void PlanMemory::replaceBuffers(func::FuncOp func, ArrayRef<Buffer> buffers,
                                memref::GlobalOp arena) {
  OpBuilder b(&getContext());
  for (Buffer buffer : buffers) {
    b.setInsertionPoint(buffer.alloc);
    Location loc = buffer.alloc.getLoc();
    std::string where;
    llvm::raw_string_ostream os(where);
    loc->print(os);
    records.push_back(b.getDictionaryAttr({
        b.getNamedAttr("function", b.getStringAttr(func.getSymName())),
        b.getNamedAttr("location", b.getStringAttr(where)),
        b.getNamedAttr("type", TypeAttr::get(buffer.alloc.getType())),
        b.getNamedAttr("offset", b.getI64IntegerAttr(buffer.offset)),
        b.getNamedAttr("bytes", b.getI64IntegerAttr(buffer.bytes)),
        b.getNamedAttr("first", b.getI64IntegerAttr(buffer.first)),
        b.getNamedAttr("last", b.getI64IntegerAttr(buffer.last)),
    }));
    buffer.alloc.replaceAllUsesWith(viewOf(b, loc, arena, buffer.offset, buffer.alloc.getType()));
    buffer.alloc.erase();
  }
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
LogicalResult PlanMemory::bindParameters(ArrayRef<func::FuncOp> funcs) {
  struct Parameter {
    MemRefType type;
    bool isMutable = false;
    SmallVector<BlockArgument> uses;
  };
  llvm::MapVector<StringRef, Parameter> parameters;
  for (func::FuncOp func : funcs)
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
  for (func::FuncOp func : funcs) {
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
  records.clear();
  if (alignment < 1 || !llvm::isPowerOf2_64(alignment)) {
    module.emitError() << "expects an alignment that is a power of two, got "
                       << alignment.getValue();
    return signalPassFailure();
  }
  SmallVector<func::FuncOp> funcs;
  for (auto func : module.getOps<func::FuncOp>())
    if (!func.isPrivate() && !func.isDeclaration())
      funcs.push_back(func);

  SmallVector<SmallVector<Buffer>> plans;
  int64_t size = 0;
  for (func::FuncOp func : funcs) {
    plans.emplace_back();
    if (failed(collect(func, plans.back())))
      return signalPassFailure();
    int64_t bytes = place(plans.back());
    if (bytes >= size)
      boundBytes = lowerBound(plans.back());
    size = std::max(size, bytes);
    numBuffers += plans.back().size();
  }
  arenaBytes = size;
  if (size) {
    memref::GlobalOp arena = createGlobal("arena", byteType(size), /*constant=*/false, "");
    for (auto [func, plan] : llvm::zip(funcs, plans))
      replaceBuffers(func, plan, arena);
  }
  if (failed(bindParameters(funcs)))
    return signalPassFailure();
  OpBuilder b(&getContext());
  module->setAttr("tinytrain.arena_bytes", b.getI64IntegerAttr(size));
  module->setAttr("tinytrain.buffers", b.getArrayAttr(records));
}
