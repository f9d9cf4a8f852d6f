//===- MemoryPlanner.cpp - Offsets of buffers in one arena -----------------------===//
//
// A plan follows from an order: each buffer goes to the lowest offset that the buffers placed
// before it leave free. Without overlaps every optimal plan arises from some order; with them, the
// lowest offset may be a poor one, so that an overlap can be left unused. The search starts from
// orders that are good in general and then varies the best one: a buffer that reaches the top
// of the arena, or one that is in its way, moves to another place in the order, or an overlap is
// used or not.
//
//===----------------------------------------------------------------------===//

#include "lib/Transforms/MemoryPlanner.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <functional>
#include <numeric>
#include <random>

using namespace tinytrain;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace {

using Order = SmallVector<unsigned>;

/// What a plan follows from: an order, and which overlaps are not used.
struct Choice {
  Order order;
  llvm::BitVector unused;
};

/// `other` may not start within (low, high) of the buffer it belongs to.
struct Conflict {
  unsigned other;
  int64_t low, high;
  /// The overlap that narrows this to (narrowLow, narrowHigh), if one does.
  std::optional<unsigned> overlap = std::nullopt;
  int64_t narrowLow = 0, narrowHigh = 0;
};

class Planner {
public:
  Planner(const PlanProblem &problem, unsigned rounds, int64_t enough)
      : problem(problem), rounds(rounds), conflicts(problem.buffers.size()),
        bound(std::max(problem.lowerBound(), enough)) {
    findConflicts();
  }

  Plan run() {
    for (const Order &order : generalOrders()) {
      consider({order, llvm::BitVector(problem.overlaps.size())});
      if (isGoodEnough())
        return best;
    }
    improve();
    return best;
  }

private:
  void findConflicts();
  SmallVector<Order> generalOrders() const;
  void improve();
  Plan place(const Choice &choice) const;

  bool isGoodEnough() const { return best.bytes <= bound; }

  /// Keeps the plan of `choice` if it is no worse than the best one.
  void consider(const Choice &choice) {
    Plan plan = place(choice);
    if (!bestChoice.order.empty() && plan.bytes > best.bytes)
      return;
    best = std::move(plan);
    bestChoice = choice;
  }

  const PlanProblem &problem;
  unsigned rounds;
  SmallVector<SmallVector<Conflict>> conflicts;
  int64_t bound; // no smaller plan is looked for
  Plan best;
  Choice bestChoice;
};

} // namespace

void Planner::findConflicts() {
  ArrayRef<PlanProblem::Buffer> buffers = problem.buffers;
  for (unsigned a = 0; a < buffers.size(); ++a)
    for (unsigned b = 0; b < buffers.size(); ++b)
      if (a != b && buffers[a].first <= buffers[b].last && buffers[b].first <= buffers[a].last)
        conflicts[a].push_back({b, -buffers[b].bytes, buffers[a].bytes});
  for (auto [i, overlap] : llvm::enumerate(problem.overlaps)) {
    auto relax = [&, i = unsigned(i)](unsigned of, unsigned other, int64_t low, int64_t high) {
      for (Conflict &conflict : conflicts[of])
        if (conflict.other == other)
          conflict = {other, conflict.low, conflict.high, i, low, high};
    };
    relax(overlap.input, overlap.result, overlap.below, overlap.above);
    relax(overlap.result, overlap.input, -overlap.above, -overlap.below);
  }
}

SmallVector<Order> Planner::generalOrders() const {
  ArrayRef<PlanProblem::Buffer> buffers = problem.buffers;
  auto sorted = [&](llvm::function_ref<int64_t(const PlanProblem::Buffer &)> key) {
    Order order(buffers.size());
    std::iota(order.begin(), order.end(), 0);
    llvm::stable_sort(order,
                      [&](unsigned a, unsigned b) { return key(buffers[a]) > key(buffers[b]); });
    return order;
  };
  using Buffer = PlanProblem::Buffer;
  return {
      sorted([](const Buffer &b) { return b.bytes; }),
      sorted([](const Buffer &b) { return b.bytes * (b.last - b.first + 1); }),
      sorted([](const Buffer &b) { return b.last - b.first; }),
      sorted([](const Buffer &b) { return b.first; }),
      sorted([](const Buffer &b) { return -b.last; }),
      sorted([](const Buffer &b) { return -b.first; }),
      sorted([](const Buffer &b) { return b.last; }),
  };
}

Plan Planner::place(const Choice &choice) const {
  Plan plan;
  plan.offsets.assign(problem.buffers.size(), -1);
  SmallVector<std::pair<int64_t, int64_t>> taken;
  if (problem.first) {
    plan.offsets[*problem.first] = 0;
    plan.bytes = problem.buffers[*problem.first].bytes;
  }
  for (unsigned buffer : choice.order) {
    if (buffer == problem.first)
      continue;
    // Where `buffer` may not start because of those placed already.
    taken.clear();
    for (const Conflict &conflict : conflicts[buffer]) {
      int64_t other = plan.offsets[conflict.other];
      bool isNarrow = conflict.overlap && !choice.unused[*conflict.overlap];
      int64_t low = isNarrow ? conflict.narrowLow : conflict.low;
      int64_t high = isNarrow ? conflict.narrowHigh : conflict.high;
      if (other >= 0 && low < high)
        taken.emplace_back(other - high, other - low);
    }
    llvm::sort(taken);
    int64_t offset = 0;
    for (auto [low, high] : taken)
      if (low < offset && offset < high)
        offset = llvm::alignTo(high, problem.alignment);
    plan.offsets[buffer] = offset;
    plan.bytes = std::max(plan.bytes, offset + problem.buffers[buffer].bytes);
  }
  return plan;
}

void Planner::improve() {
  size_t count = problem.buffers.size();
  if (count < 2)
    return;
  // Not a standard distribution: its values differ between libraries.
  std::mt19937 random(1);
  auto below = [&](size_t n) { return size_t(random() % n); };
  for (unsigned round = 0; round < rounds && !isGoodEnough(); ++round) {
    SmallVector<unsigned> top;
    for (unsigned b = 0; b < count; ++b)
      if (best.offsets[b] + problem.buffers[b].bytes == best.bytes)
        top.push_back(b);
    unsigned moved = top[below(top.size())];
    if (random() % 2 && !conflicts[moved].empty())
      moved = conflicts[moved][below(conflicts[moved].size())].other;
    Choice choice = bestChoice;
    if (!choice.unused.empty() && random() % 8 == 0)
      choice.unused.flip(below(choice.unused.size()));
    Order &order = choice.order;
    for (unsigned moves = 1 + random() % 3; moves-- > 0; moved = order[below(count)]) {
      order.erase(llvm::find(order, moved));
      order.insert(order.begin() + below(count), moved);
    }
    consider(choice);
  }
}

int64_t PlanProblem::lowerBound() const {
  int64_t bound = 0;
  for (const Buffer &at : buffers) {
    int64_t call = at.first, live = 0;
    for (const Buffer &buffer : buffers)
      if (buffer.first <= call && call <= buffer.last)
        live += buffer.bytes;
    for (const Overlap &overlap : overlaps) {
      if (buffers[overlap.result].first != call)
        continue;
      int64_t in = buffers[overlap.input].bytes, out = buffers[overlap.result].bytes, most = 0;
      for (int64_t d : {overlap.below, overlap.above, std::min<int64_t>(0, in - out),
                        std::max<int64_t>(0, in - out)})
        if (d <= overlap.below || d >= overlap.above)
          most = std::max(most, std::min(in, d + out) - std::max<int64_t>(0, d));
      live -= most;
    }
    bound = std::max(bound, live);
  }
  return bound;
}

Plan tinytrain::planBuffers(const PlanProblem &problem, unsigned rounds, int64_t enough) {
  return Planner(problem, rounds, enough).run();
}
