//===- ArenaProblem.cpp - What of a function lies in the arena -------------------===//

#include "lib/Transforms/ArenaProblem.h"

#include "lib/Transforms/InPlace.h"

#include "mlir/IR/SymbolTable.h"

#include <set>

using namespace mlir;
using namespace tinytrain;

static bool isCall(Operation &op) {
  return isa<KernelOp>(op) ||
         (!isa<memref::AllocOp>(op) && op.getNumRegions() == 0 && op.getNumResults() == 0 &&
          !op.hasTrait<OpTrait::IsTerminator>() && !isBufferView(&op) &&
          llvm::any_of(op.getOperandTypes(), llvm::IsaPred<MemRefType>));
}

func::FuncOp tinytrain::calleeOf(Operation *call) {
  auto op = dyn_cast<func::CallOp>(call);
  return op ? SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(op, op.getCalleeAttr()) : nullptr;
}

SmallVector<Overlap> tinytrain::recordedOverlaps(Operation *call) {
  SmallVector<Overlap> result;
  func::FuncOp callee = calleeOf(call);
  if (auto overlaps = callee ? callee->getAttrOfType<ArrayAttr>(kOverlaps) : nullptr)
    for (auto o : overlaps.getAsRange<DenseI64ArrayAttr>())
      result.push_back({unsigned(o[0]), unsigned(o[1]), o[2], o[3]});
  return result;
}

FailureOr<ArenaProblem> ArenaProblem::get(func::FuncOp func) {
  ArenaProblem result;
  result.func = func;
  DenseMap<Operation *, int64_t> number;
  for (Operation &op : func.front())
    if (isCall(op)) {
      number[&op] = result.calls.size();
      result.calls.push_back(&op);
    }
  WalkResult walked = func.walk([&](memref::AllocOp alloc) {
    if (alloc->getParentOp() != func || !alloc.getType().hasStaticShape()) {
      alloc.emitOpError() << "cannot be placed: buffers must be static and at the function's top "
                             "level";
      return WalkResult::interrupt();
    }
    std::set<int64_t> uses;
    SmallVector<Value> views = {alloc.getResult()};
    while (!views.empty()) {
      Value view = views.pop_back_val();
      for (Operation *user : view.getUsers()) {
        if (isBufferView(user)) {
          views.push_back(user->getResult(0));
          continue;
        }
        auto it = number.find(user);
        if (it == number.end()) {
          alloc.emitOpError() << "cannot be placed: '" << user->getName()
                              << "' uses it, where only calls at the function's top level may";
          return WalkResult::interrupt();
        }
        uses.insert(it->second);
      }
    }
    if (uses.empty())
      return WalkResult::advance();
    Buffer buffer{alloc, bytesOf(alloc.getType()), SmallVector<int64_t>(uses.begin(), uses.end())};
    if (alloc->hasAttr(kInput))
      result.problem.first = result.buffers.size();
    result.problem.buffers.push_back({buffer.bytes, buffer.uses.front(), buffer.uses.back()});
    result.buffers.push_back(std::move(buffer));
    return WalkResult::advance();
  });
  if (walked.wasInterrupted())
    return failure();
  return result;
}

SmallVector<PlanProblem::Overlap> ArenaProblem::overlapsAt(int64_t call,
                                                           ArrayRef<Overlap> overlaps) const {
  SmallVector<PlanProblem::Overlap> result;
  Operation *op = calls[call];
  auto bufferAt = [&](unsigned operand) -> std::optional<unsigned> {
    Value source = bufferBehind(op->getOperand(operand));
    const Buffer *it = llvm::find_if(buffers, [&](const Buffer &buffer) {
      memref::AllocOp alloc = buffer.alloc;
      return alloc.getResult() == source;
    });
    // As two operands it would be read in two ways.
    if (it == buffers.end() || llvm::count_if(op->getOperands(), [&](Value other) {
                                 return bufferBehind(other) == source;
                               }) != 1)
      return std::nullopt;
    return it - buffers.begin();
  };
  for (const Overlap &overlap : overlaps) {
    std::optional<unsigned> input = bufferAt(overlap.input), output = bufferAt(overlap.result);
    if (input && output && buffers[*input].uses.back() == call &&
        buffers[*output].uses.front() == call)
      result.push_back({*input, *output, overlap.below, overlap.above});
  }
  return result;
}
