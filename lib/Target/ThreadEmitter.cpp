//===- ThreadEmitter.cpp - A thread's share of a loop nest -----------------------===//

#include "lib/Target/AccessAnalysis.h"
#include "lib/Target/Emitter.h"

using namespace mlir;
using namespace tinytrain;

/// The dimension whose tiles the threads share most evenly, the outermost one of several: without
/// padding, so that all of it is one loop over whole tiles. None if some thread would have nothing
/// to do.
std::optional<unsigned> Emitter::findSharedDim() const {
  std::optional<unsigned> best;
  double bestShare = 1; // of the results, the largest one
  for (unsigned d : llvm::concat<const unsigned>(blocking.rowDims, blocking.loopDims)) {
    int64_t extent = model.extents[d], step = blocking.tile[d];
    if (extent % step || extent / step < share->threads || (model.join && model.join->dim == d) ||
        isAnyInputGuarded(model, d) || isAnyStoreGuarded(model, d))
      continue;
    double most = llvm::divideCeil(extent / step, share->threads);
    if (most * step / extent < bestShare) {
      bestShare = most * step / extent;
      best = d;
    }
  }
  return best;
}

/// The steps of a loop that are the thread's own.
std::pair<Value, Value> Emitter::shareOf(int64_t low, int64_t high, int64_t step) {
  int64_t size = llvm::divideCeil(llvm::divideCeil(high - low, step), share->threads) * step;
  Value end = indexConstant(high);
  Value before = arith::MulIOp::create(b, loc, share->thread, indexConstant(size));
  Value first = arith::AddIOp::create(b, loc, before, indexConstant(low));
  first = arith::MinSIOp::create(b, loc, first, end);
  Value next = arith::AddIOp::create(b, loc, first, indexConstant(size));
  return {first, arith::MinSIOp::create(b, loc, next, end)};
}
