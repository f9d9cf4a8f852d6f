//===- GraphSchedule.cpp - A graph's ops as a scheduling problem -----------------===//

#include "lib/Transforms/GraphSchedule.h"

#include "dialects/TinyTrain.h"
#include "lib/Transforms/InPlace.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace tinytrain;

/// The value whose buffer `value` lies in: behind views and kernels that go on writing one.
static Value bufferOf(Value value) {
  while (Operation *def = value.getDefiningOp()) {
    auto kernel = dyn_cast<KernelOp>(def);
    if (isView(def))
      value = def->getOperand(0);
    else if (kernel && !kernel.getInits().empty())
      value = kernel.getInits()[cast<OpResult>(value).getResultNumber()];
    else
      break;
  }
  return value;
}

ScheduleProblem tinytrain::describeSchedule(func::FuncOp func, ArrayRef<Operation *> ops,
                                            bool inPlace) {
  auto ret = cast<func::ReturnOp>(func.front().getTerminator());
  DenseMap<Operation *, unsigned> number;
  for (auto [i, op] : llvm::enumerate(ops))
    number[op] = i;

  ScheduleProblem problem;
  SmallVector<llvm::SetVector<unsigned>> predecessors(ops.size());
  for (auto [i, op] : llvm::enumerate(ops))
    for (Value operand : op->getOperands())
      if (Operation *def = operand.getDefiningOp())
        predecessors[i].insert(number[def]);
  // An update in place has no buffer of its own, and overwrites what others read.
  DenseSet<Value> updates;
  for (auto [i, value] : llvm::enumerate(ret.getOperands())) {
    auto arg = func.getResultAttrOfType<IntegerAttr>(i, kUpdateOf);
    Operation *update = value.getDefiningOp();
    if (!arg || !update)
      continue;
    updates.insert(value);
    SmallVector<Value> views = {func.getArgument(arg.getInt())};
    while (!views.empty())
      for (Operation *reader : views.pop_back_val().getUsers()) {
        if (reader == update || reader == ret)
          continue;
        predecessors[number[update]].insert(number[reader]);
        if (isView(reader))
          views.push_back(reader->getResult(0));
      }
  }
  for (const auto &set : predecessors)
    problem.predecessors.push_back(llvm::to_vector(set));

  DenseMap<Value, unsigned> bufferNumber;
  for (auto [i, op] : llvm::enumerate(ops)) {
    if (op->hasTrait<OpTrait::ConstantLike>())
      continue;
    for (Value result : op->getResults()) {
      if (!isa<ShapedType>(result.getType()) || bufferOf(result) != result ||
          updates.contains(result))
        continue;
      bufferNumber[result] = problem.buffers.size();
      problem.buffers.push_back({bytesOf(result), unsigned(i), {}});
    }
  }
  problem.overwrites.resize(ops.size());
  for (auto [i, op] : llvm::enumerate(ops)) {
    if (isView(op))
      continue;
    llvm::SetVector<unsigned> read;
    for (auto [k, operand] : llvm::enumerate(op->getOperands())) {
      auto it = bufferNumber.find(bufferOf(operand));
      if (it == bufferNumber.end())
        continue;
      read.insert(it->second);
      if (inPlace && !updates.contains(op->getResult(0)) && mayOverwrite(op, k))
        problem.overwrites[i].push_back(it->second);
    }
    for (unsigned b : read)
      problem.buffers[b].readers.push_back(i);
  }
  for (Value value : ret.getOperands()) {
    auto it = bufferNumber.find(bufferOf(value));
    if (it != bufferNumber.end())
      problem.buffers[it->second].isResult = true;
  }
  return problem;
}

llvm::MapVector<Operation *, int64_t> tinytrain::profileInOrder(func::FuncOp func) {
  SmallVector<Operation *> ops;
  for (Operation &op : func.front().without_terminator())
    ops.push_back(&op);
  auto order = llvm::to_vector(llvm::seq<unsigned>(0, ops.size()));
  SmallVector<int64_t> bytes = describeSchedule(func, ops, /*inPlace=*/true).profileOf(order);
  llvm::MapVector<Operation *, int64_t> profile;
  for (auto [op, size] : llvm::zip(ops, bytes))
    profile[op] = size;
  return profile;
}
