//===- KernelEmitter.cpp - Loop nests from kernels -------------------------------===//
//
// The nest has three layers. Parallel dimensions become loops over register tiles; a
// dimension that meets padding is split into its border, one element at a time, and its
// interior, where all padding conditions hold. Within a tile the reduction loops carry
// the accumulators; a padding condition on a reduction dimension becomes its loop bound.
// Then the elementwise ops are applied and each result is stored once.
//
//===----------------------------------------------------------------------===//

#include "lib/Target/KernelEmitter.h"

#include "lib/Target/AccessAnalysis.h"
#include "lib/Target/Emitter.h"

#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace tinytrain;

//===----------------------------------------------------------------------===//
// Index arithmetic
//===----------------------------------------------------------------------===//

AffineExpr Emitter::at(AffineExpr expr, ArrayRef<int64_t> offsets) const {
  SmallVector<AffineExpr> replacements(position);
  for (unsigned d = 0; d < dims && !offsets.empty(); ++d)
    replacements[d] = replacements[d] + offsets[d];
  return simplifyAffineExpr(expr.replaceDims(replacements), dims, 0);
}

std::optional<Linear> Emitter::linearOrNone(AffineExpr expr, std::optional<unsigned> free) const {
  SmallVector<AffineExpr> replacements(position);
  if (free)
    replacements[*free] = b.getAffineDimExpr(*free);
  return Linear::get(simplifyAffineExpr(expr.replaceDims(replacements), dims, 0), dims);
}

bool Emitter::alwaysHolds(const Guard &guard) const {
  Linear e = linear(guard.expr);
  int64_t low = e.constant, high = e.constant;
  for (unsigned d = 0; d < dims; ++d) {
    int64_t c = e.coefficients[d], first = ranges[d].low, last = ranges[d].high - 1;
    low += std::min(c * first, c * last);
    high += std::max(c * first, c * last);
  }
  return low >= 0 && high < guard.size;
}

/// The values of `d` within `range` for which all guards on it hold, whatever the others are.
Interval Emitter::interior(unsigned d, Interval range) {
  SmallVector<Guard> guards;
  for (const auto &input : model.inputs)
    if (input)
      llvm::copy_if(input->guards, std::back_inserter(guards),
                    [&](const Guard &guard) { return linear(guard.expr).coefficients[d] != 0; });
  Interval saved = ranges[d], result{range.high, range.low};
  for (int64_t v = range.low; v < range.high; ++v) {
    ranges[d] = {v, v + 1};
    if (!llvm::all_of(guards, [&](const Guard &guard) { return alwaysHolds(guard); }))
      continue;
    result.low = std::min(result.low, v);
    result.high = std::max(result.high, v + 1);
  }
  ranges[d] = saved;
  return result.low < result.high ? result : Interval{range.low, range.low};
}

/// The values of a parallel dimension whose results are stored.
Interval Emitter::storedRange(unsigned d) const {
  Interval range{0, model.extents[d]};
  for (const auto &store : model.stores)
    for (const Guard &guard : store.access.guards) {
      Linear e = linear(guard.expr);
      int64_t c = e.coefficients[d];
      if (c > 0)
        range.high =
            std::min(range.high, llvm::divideFloorSigned(guard.size - 1 - e.constant, c) + 1);
    }
  return range;
}

Value Emitter::expand(AffineExpr expr) {
  SmallVector<Value> dimValues;
  for (Value iv : ivs)
    dimValues.push_back(iv ? iv : Value());
  return affine::expandAffineExpr(b, loc, expr, dimValues, {});
}

SmallVector<Value> Emitter::expand(ArrayRef<AffineExpr> exprs) {
  return llvm::map_to_vector(exprs, [&](AffineExpr e) { return expand(e); });
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

void Emitter::emitLoop(unsigned d, int64_t low, int64_t high, int64_t step,
                       function_ref<void()> body) {
  if (low >= high)
    return;
  AffineExpr oldPosition = position[d];
  if (sharedDim == d) {
    auto [first, end] = shareOf(low, high, step);
    emitLoop(d, first, end, step, body);
  } else if (high - low <= step) {
    position[d] = b.getAffineConstantExpr(low);
    body();
  } else {
    emitLoop(d, indexConstant(low), indexConstant(high), step, body);
  }
  position[d] = oldPosition;
}

void Emitter::emitLoop(unsigned d, Value low, Value high, int64_t step, function_ref<void()> body) {
  auto loop = scf::ForOp::create(b, loc, low, high, indexConstant(step));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  ivs[d] = loop.getInductionVar();
  body();
  ivs[d] = Value();
}

SmallVector<Value> Emitter::emitCarriedLoop(unsigned d, Value low, Value high, int64_t step,
                                            Values carried, function_ref<Values(Values)> body) {
  auto loop = scf::ForOp::create(b, loc, low, high, indexConstant(step), carried);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  ivs[d] = loop.getInductionVar();
  Values results = body(llvm::to_vector_of<Value>(loop.getRegionIterArgs()));
  scf::YieldOp::create(b, loc, results);
  ivs[d] = Value();
  return llvm::to_vector_of<Value>(loop.getResults());
}

void Emitter::emit() {
  if (blocking.window)
    return emitWindows();
  if (share)
    sharedDim = findSharedDim();
  if (!share || sharedDim)
    return emitRows(0);
  // Too little to share: the first thread does all of it.
  Value isFirst =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, share->thread, indexConstant(0));
  auto only = scf::IfOp::create(b, loc, isFirst, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(only.thenBlock());
  emitRows(0);
}

void Emitter::emitRows(unsigned i) {
  if (i == blocking.rowDims.size())
    return emitPhases(0);
  unsigned d = blocking.rowDims[i];
  emitLoop(d, 0, model.extents[d], 1, [&] { emitRows(i + 1); });
}

void Emitter::emitPhases(unsigned i) {
  if (i == blocking.phases.size())
    return emitParallel(0);
  unsigned d = blocking.phases[i];
  for (int64_t v = 0; v < model.extents[d]; ++v) {
    position[d] = b.getAffineConstantExpr(v);
    ranges[d] = {v, v + 1};
    emitPhases(i + 1);
  }
}

void Emitter::emitParallel(unsigned i) {
  if (i == blocking.loopDims.size())
    return emitTile();
  unsigned d = blocking.loopDims[i];
  forEachPart(d, storedRange(d), [&](Interval part) { emitRange(i, part); });
}

/// Calls `body` with `range`, or with what lies on either side of where joined operands meet.
void Emitter::forEachPart(unsigned d, Interval range, function_ref<void(Interval)> body) {
  if (!model.join || model.join->dim != d)
    return body(range);
  int64_t middle = std::clamp(model.join->at, range.low, range.high);
  inUpper = false;
  body({range.low, middle});
  inUpper = true;
  body({middle, range.high});
  inUpper = false;
}

void Emitter::emitRange(unsigned i, Interval all) {
  unsigned d = blocking.loopDims[i];
  int64_t step = blocking.tile[d];
  if (blocking.tapRow && d == blocking.tapRow->taps)
    return emitInterior(i, all);
  Interval inside = all;
  bool isKnown = bordersAreKnown(d);
  if (step > 1 || isUnrolled(0) || isKnown) {
    inside = interior(d, all);
    inside.high = inside.low + (inside.high - inside.low) / step * step;
  }
  if (inside.low == inside.high)
    inside = {all.high, all.high};
  Interval before{all.low, inside.low}, after{inside.high, all.high};
  // Positions ascend, so that a result may overlap an operand (Overlap.h).
  if (isKnown) {
    // Where the position is known, so is which terms lie in the padding.
    for (int64_t v = before.low; v < before.high; ++v)
      emitBorder(i, {v, v + 1});
    emitInterior(i, inside);
    for (int64_t v = after.low; v < after.high; ++v)
      emitBorder(i, {v, v + 1});
    return;
  }
  if (before.low < before.high && after.low < after.high)
    return emitBetweenBorders(i, before, inside, after);
  emitBorder(i, before);
  emitInterior(i, inside);
  emitBorder(i, after);
}

/// True if each position in the border of `d` has code of its own, in which the padding is known:
/// of small images, which are mostly border, and behind tiles of packed lanes. Along long sums what
/// finds out costs little.
bool Emitter::bordersAreKnown(unsigned d) const {
  constexpr int64_t kPositions = 4, kTerms = 64;
  if (!blocking.unrollsWindows || blocking.packsTerms() || !isAnyInputGuarded(model, d))
    return false;
  bool isLast = llvm::none_of(blocking.loopDims, [&](unsigned other) {
    return other > d && isAnyInputGuarded(model, other);
  });
  if (blocking.packing == Blocking::Packing::Lanes && isLast && blocking.tile[d] > 1)
    return true;
  int64_t terms = 1;
  for (unsigned r : model.reductions)
    terms *= model.extents[r];
  return model.extents[d] <= kPositions && terms <= kTerms;
}

/// One element at a time: padding conditions are checked.
void Emitter::emitBorder(unsigned i, Interval range) {
  unsigned d = blocking.loopDims[i];
  tile[d] = 1;
  ranges[d] = range;
  emitLoop(d, range.low, range.high, 1, [&] { emitParallel(i + 1); });
  ranges[d] = {0, model.extents[d]};
}

/// Whole tiles: padding conditions on this dimension hold.
void Emitter::emitInterior(unsigned i, Interval range) {
  unsigned d = blocking.loopDims[i];
  tile[d] = blocking.tile[d];
  ranges[d] = range;
  if (hasMovingTiles(i, range))
    emitMovingTiles(d, range);
  else
    emitLoop(d, range.low, range.high, tile[d], [&] { emitParallel(i + 1); });
  ranges[d] = {0, model.extents[d]};
}

/// Both borders share one loop's code: in pass 0 it runs before the interior, in pass 1 behind
/// it, where the interior has no iteration left.
void Emitter::emitBetweenBorders(unsigned i, Interval before, Interval inside, Interval after) {
  unsigned d = blocking.loopDims[i];
  auto pass = scf::ForOp::create(b, loc, indexConstant(0), indexConstant(2), indexConstant(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(pass.getBody());
  Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, pass.getInductionVar(),
                                        indexConstant(0));
  auto either = [&](int64_t first, int64_t second) -> Value {
    return arith::SelectOp::create(b, loc, isFirst, indexConstant(first), indexConstant(second));
  };
  auto loop = [&](Value low, Value high, int64_t step) {
    tile[d] = step;
    emitLoop(d, low, high, step, [&] { emitParallel(i + 1); });
  };
  ranges[d] = {before.low, after.high};
  loop(either(before.low, after.low), either(before.high, after.high), 1);
  ranges[d] = inside;
  loop(indexConstant(inside.low), either(inside.high, inside.low), blocking.tile[d]);
  ranges[d] = {0, model.extents[d]};
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

/// The offsets of a tile's points, over all dimensions; every so many along the vector.
SmallVector<SmallVector<int64_t>> Emitter::tilePoints(int64_t lanes) const {
  SmallVector<SmallVector<int64_t>> points = {SmallVector<int64_t>(dims, 0)};
  for (unsigned d : blocking.loopDims) {
    int64_t step = blocking.vectorDim == d ? lanes : 1;
    SmallVector<SmallVector<int64_t>> next;
    for (const auto &point : points)
      for (int64_t offset = 0; offset < tile[d]; offset += step) {
        next.push_back(point);
        next.back()[d] = offset;
      }
    points = std::move(next);
  }
  return points;
}

void Emitter::emitTile() {
  SmallVector<SmallVector<int64_t>> points = tilePoints();
  if (blocking.usesPointers() && !tilesMove)
    setAnchor();
  if (held.empty())
    return emitPoints(points);
  // What is held leaves few registers: one pair of results after another.
  for (ArrayRef<SmallVector<int64_t>> rest(points); !rest.empty();) {
    emitPoints(rest.take_front(2));
    rest = rest.drop_front(std::min<size_t>(2, rest.size()));
    if (!rest.empty())
      emitFence();
  }
}

/// Computes results and stores them.
void Emitter::emitPoints(ArrayRef<SmallVector<int64_t>> points) {
  loaded.clear();
  vectorMode = blocking.vectorDim && !hasVectorProducts();
  Values accumulators;
  for (const auto &point : points)
    for (unsigned r = 0; r < model.numRootResults(); ++r) {
      if (startsFromBias())
        accumulators.push_back(load(*model.bias, point));
      else if (model.startAccesses[r])
        accumulators.push_back(load(*model.startAccesses[r], point));
      else if (model.startValues[r])
        accumulators.push_back(constant(model.startValues[r]));
      else
        accumulators.push_back(Value());
    }
  if (inLanes())
    accumulators = emitEveryOtherLane(points, std::move(accumulators));
  else if (blocking.packing == Blocking::Packing::Groups || hasVectorProducts())
    accumulators = emitSumOfStored(points, std::move(accumulators));
  else
    accumulators = emitReduction(0, points, std::move(accumulators));

  if (vectorMode && !vectorIsParallel()) {
    for (Value &value : accumulators) {
      bool isFloat = isa<FloatType>(cast<VectorType>(value.getType()).getElementType());
      auto flags = isFloat ? arith::FastMathFlags::reassoc | arith::FastMathFlags::contract
                           : arith::FastMathFlags::none;
      value = vector::ReductionOp::create(b, loc, vector::CombiningKind::ADD, value, flags);
    }
    vectorMode = false;
  }
  loaded.clear();
  if (hasVectorProducts() && blocking.vectorDim) {
    vectorMode = true;
    emitResults(tilePoints(blocking.lanes), gatherLanes(points, std::move(accumulators)));
  } else {
    emitResults(points, accumulators);
  }
  loaded.clear();
}

/// The bounds of a reduction loop that keep all its guards.
std::pair<Value, Value> Emitter::reductionBounds(unsigned d, Interval range) {
  Value low = indexConstant(range.low), high = indexConstant(range.high);
  for (const auto &input : model.inputs) {
    if (!input)
      continue;
    for (const Guard &guard : input->guards) {
      Linear e = linear(guard.expr);
      int64_t c = e.coefficients[d];
      if (c == 0 || alwaysHolds(guard))
        continue;
      // 0 <= rest + c * i < size
      AffineExpr rest = at(guard.expr, {}) - getAffineDimExpr(d, b.getContext()) * c;
      rest = simplifyAffineExpr(rest, dims, 0);
      int64_t magnitude = std::abs(c);
      AffineExpr first = c > 0 ? -rest : rest - (guard.size - 1);
      AffineExpr last = c > 0 ? -rest + (guard.size - 1) : rest;
      auto divide = [&](AffineExpr numerator, bool up) -> Value {
        Value n = expand(simplifyAffineExpr(numerator, dims, 0));
        if (magnitude == 1)
          return n;
        Value m = indexConstant(magnitude);
        return up ? arith::CeilDivSIOp::create(b, loc, n, m).getResult()
                  : arith::FloorDivSIOp::create(b, loc, n, m).getResult();
      };
      low = arith::MaxSIOp::create(b, loc, low, divide(first, true));
      Value end = arith::AddIOp::create(b, loc, divide(last, false), indexConstant(1));
      high = arith::MinSIOp::create(b, loc, high, end);
    }
  }
  return {low, high};
}

SmallVector<Value> Emitter::emitReduction(unsigned i, ArrayRef<SmallVector<int64_t>> points,
                                          Values accumulators) {
  if (i == model.reductions.size()) {
    if (blocking.packing == Blocking::Packing::Groups)
      return emitGroups(points, std::move(accumulators));
    if (!blocking.usesPointers())
      return emitTerms(points, accumulators);
    return emitPackedTerms(points, std::move(accumulators), inLanes() ? Unit::Lane : Unit::Byte);
  }
  unsigned d = model.reductions[i];
  forEachPart(d, {0, model.extents[d]}, [&](Interval part) {
    accumulators = emitReductionRange(i, part, points, std::move(accumulators));
  });
  return accumulators;
}

/// True if no other loop that runs has part in a condition.
bool Emitter::dependsOnOnly(const Guard &guard, unsigned d) const {
  Linear e = linear(guard.expr);
  for (unsigned other = 0; other < dims; ++other)
    if (other != d && e.coefficients[other])
      return false;
  return e.coefficients[d] != 0;
}

/// The values of a reduction that meet the conditions on nothing else.
Interval Emitter::knownRange(unsigned d, Interval range) const {
  for (const auto &input : model.inputs)
    for (const Guard &guard : input ? ArrayRef(input->guards) : ArrayRef<Guard>()) {
      if (!dependsOnOnly(guard, d))
        continue;
      Linear e = linear(guard.expr);
      auto holds = [&](int64_t v) {
        int64_t value = e.constant + e.coefficients[d] * v;
        return value >= 0 && value < guard.size;
      };
      while (range.low < range.high && !holds(range.low))
        ++range.low;
      while (range.low < range.high && !holds(range.high - 1))
        --range.high;
    }
  return range;
}

/// True if the loops over the reductions from number `i` on are short enough to need no loop.
bool Emitter::isUnrolled(unsigned i) const {
  constexpr int64_t kTerms = 9; // as many as a window of 3x3 has
  if (!blocking.unrollsWindows)
    return false;
  int64_t terms = 1;
  for (unsigned d : ArrayRef(model.reductions).drop_front(i))
    terms *= model.extents[d];
  if (blocking.packsTerms())
    terms = llvm::divideCeil(terms, 4);
  return terms <= kTerms;
}

SmallVector<Value> Emitter::emitReductionRange(unsigned i, Interval range,
                                               ArrayRef<SmallVector<int64_t>> points,
                                               Values accumulators) {
  unsigned d = model.reductions[i];
  if (blocking.tapRow && d == blocking.tapRow->columns)
    return emitColumns(range, points, std::move(accumulators));
  int64_t step = blocking.vectorDim == d            ? blocking.lanes
                 : i + 1 == model.reductions.size() ? blocking.group
                                                    : 1;
  if (step == 1)
    range = knownRange(d, range);
  bool guarded = llvm::any_of(model.inputs, [&](const std::optional<Access> &input) {
    return input && llvm::any_of(input->guards, [&](const Guard &guard) {
             return linear(guard.expr).coefficients[d] != 0 && !alwaysHolds(guard) &&
                    !dependsOnOnly(guard, d);
           });
  });
  if (blocking.packsTerms()) {
    if (d == blocking.joinedDim && !guarded) {
      AffineExpr oldPosition = position[d];
      position[d] = b.getAffineConstantExpr(range.low);
      int64_t size = (range.high - range.low) * model.extents[blocking.packedDim];
      accumulators = emitNeighbours({0, size}, points, std::move(accumulators));
      position[d] = oldPosition;
      return accumulators;
    }
    if (d == blocking.packedDim && !blocking.joinedDim)
      return emitNeighbours(range, points, std::move(accumulators));
  }
  if (!guarded && (range.high - range.low == step || isUnrolled(i))) {
    AffineExpr oldPosition = position[d];
    bool isAroundRuns = blocking.joinedDim && i + 3 == model.reductions.size();
    if (isAroundRuns)
      unrolledRuns = range;
    for (int64_t v = range.low; v < range.high; v += step) {
      position[d] = b.getAffineConstantExpr(v);
      accumulators = emitReduction(i + 1, points, std::move(accumulators));
    }
    if (isAroundRuns)
      unrolledRuns.reset();
    position[d] = oldPosition;
    return accumulators;
  }
  int64_t stride = step;
  auto terms = [&](Values carried) {
    SmallVector<SmallVector<int64_t>> shifted(points);
    for (int64_t term = 0; term < step; term += stride) {
      carried = emitReduction(i + 1, shifted, std::move(carried));
      for (SmallVector<int64_t> &point : shifted)
        point[d] += stride;
    }
    return carried;
  };
  if (!guarded && blocking.termsPerTurn > 1 && i + 1 == model.reductions.size() &&
      (range.high - range.low) % blocking.termsPerTurn == 0) {
    step *= blocking.termsPerTurn;
    std::optional<Anchor> oldAnchor;
    std::swap(anchor, oldAnchor);
    setAnchor();
    accumulators = emitMovingLoop(d, range, step, points, std::move(accumulators), terms);
    std::swap(anchor, oldAnchor);
    return accumulators;
  }
  auto [low, high] = reductionBounds(d, range);
  return emitCarriedLoop(d, low, high, step, std::move(accumulators), terms);
}

/// Adds the term at one point to each of the root's results.
SmallVector<Value> Emitter::emitTerm(ArrayRef<int64_t> point, ValueRange accumulators) {
  linalg::GenericOp root = model.root;
  SmallVector<AffineExpr> index;
  for (unsigned d = 0; d < dims; ++d)
    index.push_back(b.getAffineDimExpr(d));
  IRMapping map;
  for (auto [i, arg, access] : llvm::enumerate(root.getRegionInputArgs(), model.inputs))
    if (access)
      map.map(arg, anchor && (i == 0 || weights.empty()) ? loadAnchored(i, point)
                                                         : load(*access, point));
  for (auto [arg, accumulator] : llvm::zip(root.getRegionOutputArgs(), accumulators))
    if (accumulator)
      map.map(arg, accumulator);
  return emitBody(root, map, index, point);
}

SmallVector<Value> Emitter::emitTerms(ArrayRef<SmallVector<int64_t>> points,
                                      ValueRange accumulators) {
  loaded.clear();
  unsigned numResults = model.numRootResults();
  Values results;
  for (auto [p, point] : llvm::enumerate(points))
    if (blocking.packing == Blocking::Packing::Halves)
      results.push_back(emitHalvesTerm(point, accumulators[p]));
    else
      llvm::append_range(results, emitTerm(point, accumulators.slice(p * numResults, numResults)));
  loaded.clear();
  anchored.clear();
  return results;
}

void Emitter::emitResults(ArrayRef<SmallVector<int64_t>> points, ValueRange accumulators) {
  unsigned numResults = model.numRootResults();
  SmallVector<Values> computed;
  for (auto [p, point] : llvm::enumerate(points)) {
    Values values(accumulators.slice(p * numResults, numResults));
    for (const EpilogueOp &epilogue : model.epilogue) {
      if (startsFromBias() && values.size() == 1) {
        values.push_back(values[0]);
        continue;
      }
      linalg::GenericOp op = epilogue.op;
      IRMapping map;
      for (auto [arg, input] : llvm::zip(op.getRegionInputArgs(), epilogue.inputs)) {
        if (input.computed)
          map.map(arg, values[*input.computed]);
        else if (input.access)
          map.map(arg, load(*input.access, point));
      }
      llvm::append_range(values, emitBody(op, map, epilogue.index, point));
    }
    computed.push_back(std::move(values));
  }
  for (auto [point, values] : llvm::zip(points, computed))
    for (const auto &s : model.stores)
      store(values[s.computed], s.access, point);
}

void tinytrain::emitKernel(OpBuilder &builder, Location loc, const KernelModel &model,
                           const Blocking &blocking, ValueRange operands,
                           std::optional<Share> share) {
  Emitter(builder, loc, model, blocking, operands, share).emit();
}
