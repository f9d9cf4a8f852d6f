//===- ScheduleSearch.cpp - Orders of least peak memory --------------------------===//
//
// Depth-first search for an order whose peak stays within a budget; the budget starts at the
// peak of the given order and shrinks below each order found, until none is left. Two facts
// keep the search small. A task that fits the budget and frees at least what it allocates can
// run at once: running it later cannot help, because what it frees only grows with what has
// run before. And the memory in use depends only on the set of tasks that have run, so that a
// set needs to be searched once.
//
//===----------------------------------------------------------------------===//

#include "lib/Transforms/ScheduleSearch.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"

#include <numeric>
#include <random>

using namespace tinytrain;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace {

/// The state after some tasks have run; tasks are run and taken back.
class State {
public:
  explicit State(const ScheduleProblem &problem)
      : problem(problem), reads(problem.numTasks()), writes(problem.numTasks()),
        successors(problem.numTasks()) {
    for (auto [b, buffer] : llvm::enumerate(problem.buffers)) {
      writes[buffer.producer].push_back(b);
      unreadBy.push_back(buffer.readers.size());
      for (unsigned reader : buffer.readers)
        reads[reader].push_back(b);
    }
    for (unsigned task = 0; task < problem.numTasks(); ++task) {
      waitingFor.push_back(problem.predecessors[task].size());
      for (unsigned before : problem.predecessors[task])
        successors[before].push_back(task);
      if (problem.predecessors[task].empty())
        ready.push_back(task);
    }
    std::mt19937_64 random(0);
    for (unsigned task = 0; task < problem.numTasks(); ++task)
      keys.push_back(random());
  }

  ArrayRef<unsigned> getReady() const { return ready; }
  ArrayRef<unsigned> getOrder() const { return order; }
  uint64_t getKey() const { return key; }

  /// Bytes alive while `task` runs.
  int64_t during(unsigned task) const {
    int64_t bytes = live;
    for (unsigned b : writes[task])
      bytes += problem.buffers[b].bytes;
    for (unsigned b : problem.overwrites[task])
      if (dies(b))
        return bytes - problem.buffers[b].bytes;
    return bytes;
  }

  /// What `task` allocates for later, less what it frees.
  int64_t growth(unsigned task) const {
    int64_t bytes = 0;
    for (unsigned b : writes[task])
      if (problem.buffers[b].isResult || !problem.buffers[b].readers.empty())
        bytes += problem.buffers[b].bytes;
    for (unsigned b : reads[task])
      if (dies(b))
        bytes -= problem.buffers[b].bytes;
    return bytes;
  }

  void run(unsigned task) {
    live += growth(task);
    for (unsigned b : reads[task])
      --unreadBy[b];
    ready.erase(llvm::find(ready, task));
    for (unsigned next : successors[task])
      if (--waitingFor[next] == 0)
        ready.push_back(next);
    key ^= keys[task];
    order.push_back(task);
  }

  void takeBack() {
    unsigned task = order.pop_back_val();
    key ^= keys[task];
    for (unsigned next : successors[task])
      if (waitingFor[next]++ == 0)
        ready.erase(llvm::find(ready, next));
    ready.push_back(task);
    for (unsigned b : reads[task])
      ++unreadBy[b];
    live -= growth(task);
  }

private:
  /// True if only one reader of the buffer has not run yet.
  bool dies(unsigned b) const { return unreadBy[b] == 1 && !problem.buffers[b].isResult; }

  const ScheduleProblem &problem;
  SmallVector<SmallVector<unsigned>> reads, writes, successors;
  SmallVector<unsigned> unreadBy, waitingFor, ready, order;
  SmallVector<uint64_t> keys;
  uint64_t key = 0;
  int64_t live = 0;
};

class Search {
public:
  Search(const ScheduleProblem &problem, unsigned limit) : problem(problem), limit(limit) {}

  Schedule run() {
    SmallVector<unsigned> given(problem.numTasks());
    std::iota(given.begin(), given.end(), 0);
    int64_t bound = lowerBound(), peak = problem.peakOf(given);
    Schedule best{given, peak, peak == bound};
    // Not better at first: the same peak, but what frees memory runs early.
    budget = best.peak;
    for (bool isFirst = true; isFirst || !best.isOptimal; isFirst = false, budget = best.peak - 1) {
      State state(problem);
      failedSets.clear();
      if (!extend(state)) {
        best.isOptimal |= visited < limit;
        break;
      }
      best.order = SmallVector<unsigned>(state.getOrder());
      best.peak = problem.peakOf(best.order);
      best.isOptimal = best.peak == bound;
    }
    return best;
  }

private:
  /// No order runs a task with less than what it reads and writes.
  int64_t lowerBound() const {
    int64_t bound = 0;
    SmallVector<int64_t> bytes(problem.numTasks(), 0);
    for (const auto &buffer : problem.buffers) {
      bytes[buffer.producer] += buffer.bytes;
      for (unsigned reader : buffer.readers)
        bytes[reader] += buffer.bytes;
    }
    for (auto [task, own] : llvm::enumerate(bytes)) {
      int64_t saved = 0;
      for (unsigned b : problem.overwrites[task])
        saved = std::max(saved, problem.buffers[b].bytes);
      bound = std::max(bound, own - saved);
    }
    return bound;
  }

  /// Completes `state` within the budget; else leaves it as it was.
  bool extend(State &state) {
    size_t depth = state.getOrder().size();
    auto fail = [&] {
      while (state.getOrder().size() > depth)
        state.takeBack();
      return false;
    };
    while (std::optional<unsigned> task = findFree(state))
      state.run(*task);
    if (state.getOrder().size() == problem.numTasks())
      return true;
    if (failedSets.contains(state.getKey()) || ++visited >= limit)
      return fail();

    struct Candidate {
      int64_t growth;
      unsigned task;
      bool operator<(const Candidate &other) const {
        return std::tie(growth, task) < std::tie(other.growth, other.task);
      }
    };
    SmallVector<Candidate> candidates;
    for (unsigned task : state.getReady())
      if (state.during(task) <= budget)
        candidates.push_back({state.growth(task), task});
    llvm::sort(candidates);
    uint64_t key = state.getKey();
    for (const Candidate &candidate : candidates) {
      state.run(candidate.task);
      if (extend(state))
        return true;
      state.takeBack();
      if (visited >= limit)
        return fail();
    }
    failedSets.insert(key);
    return fail();
  }

  /// The first task that fits the budget and does not need memory for later.
  std::optional<unsigned> findFree(const State &state) const {
    std::optional<unsigned> result;
    for (unsigned task : state.getReady())
      if ((!result || task < *result) && state.growth(task) <= 0 && state.during(task) <= budget)
        result = task;
    return result;
  }

  const ScheduleProblem &problem;
  unsigned limit, visited = 0;
  int64_t budget = 0;
  llvm::DenseSet<uint64_t> failedSets;
};

} // namespace

SmallVector<int64_t> ScheduleProblem::profileOf(ArrayRef<unsigned> order) const {
  State state(*this);
  SmallVector<int64_t> profile(numTasks(), 0);
  for (unsigned task : order) {
    profile[task] = state.during(task);
    state.run(task);
  }
  return profile;
}

int64_t ScheduleProblem::peakOf(ArrayRef<unsigned> order) const {
  SmallVector<int64_t> profile = profileOf(order);
  return profile.empty() ? 0 : *llvm::max_element(profile);
}

Schedule tinytrain::searchSchedule(const ScheduleProblem &problem, unsigned limit) {
  return Search(problem, limit).run();
}
