//===- WindowEmitter.cpp - Small windows on small images, without loops ----------===//
//
// For f32, and gradients in int8, on cores without vectors: depthwise convolutions and their input
// gradients, where a result has few terms and a loop's own instructions, weights that are converted
// again and again and conditions on the padding would cost more than the terms. The weights of a
// channel are loaded first, then each row of results is computed in tiles of neighbours that have
// code of their own: which terms lie in the padding is known. An input gradient with a stride has
// all its phases in one tile, as they read the same gradients. Rows away from the border share one
// loop.
//
// Likewise the gradient of a depthwise weight: all taps of a row share the pixels of a row, which
// are loaded once.
//
//===----------------------------------------------------------------------===//

#include "lib/Target/Emitter.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace tinytrain;

/// True if `guard` holds at `offsets` in the row at hand.
bool Emitter::holds(const Guard &guard, ArrayRef<int64_t> offsets) const {
  Linear e = *Linear::get(at(guard.expr, offsets), dims);
  unsigned row = blocking.window->rows;
  int64_t value = e.constant + e.coefficients[row] * ranges[row].low;
  return value >= 0 && value < guard.size;
}

/// True if a term at `offsets` counts: it lies in no padding.
bool Emitter::isTerm(ArrayRef<int64_t> offsets) const {
  return llvm::all_of(model.inputs, [&](const std::optional<Access> &input) {
    return !input ||
           llvm::all_of(input->guards, [&](const Guard &guard) { return holds(guard, offsets); });
  });
}

/// All values of some dimensions, added to a place.
static SmallVector<SmallVector<int64_t>>
product(SmallVector<int64_t> place, ArrayRef<unsigned> dimensions, ArrayRef<Interval> ranges) {
  SmallVector<SmallVector<int64_t>> result = {place};
  for (unsigned d : dimensions) {
    SmallVector<SmallVector<int64_t>> next;
    for (const auto &point : result)
      for (int64_t v = ranges[d].low; v < ranges[d].high; ++v) {
        next.push_back(point);
        next.back()[d] += v;
      }
    result = std::move(next);
  }
  return result;
}

/// The dimensions that the terms of a result run over.
static SmallVector<unsigned> termDims(const KernelModel &model, const Blocking &blocking) {
  SmallVector<unsigned> result(blocking.phases);
  llvm::append_range(result, model.reductions);
  return result;
}

void Emitter::emitWindows() {
  // What code is written for value by value stands at zero, and its values are offsets.
  for (unsigned d : termDims(model, blocking))
    position[d] = b.getAffineConstantExpr(0);
  emitWindowImages(0);
}

void Emitter::emitWindowImages(unsigned i) {
  if (i < blocking.rowDims.size()) {
    unsigned d = blocking.rowDims[i];
    return emitLoop(d, 0, model.extents[d], 1, [&] { emitWindowImages(i + 1); });
  }
  if (blocking.loopDims.front() == blocking.window->channels)
    emitWindowChannels([&] { emitWindowRows([&] { emitWindowRow(); }); });
  else
    emitWindowRows([&] { emitWindowChannels([&] { emitWindowRow(); }); });
}

void Emitter::emitWindowChannels(function_ref<void()> body) {
  unsigned c = blocking.window->channels;
  emitLoop(c, 0, model.extents[c], 1, [&] {
    holdWeights();
    body();
    weights.clear();
  });
}

/// Rows in the border have code of their own.
void Emitter::emitWindowRows(function_ref<void()> body) {
  unsigned d = blocking.window->rows;
  Interval inside = interiorRows();
  auto rows = [&](Interval range) {
    ranges[d] = {range.low, range.low + 1}; // stands for all of them
    emitLoop(d, range.low, range.high, 1, body);
    ranges[d] = {0, model.extents[d]};
  };
  for (int64_t v = 0; v < inside.low; ++v)
    rows({v, v + 1});
  rows(inside);
  for (int64_t v = inside.high; v < model.extents[d]; ++v)
    rows({v, v + 1});
}

/// The rows that meet no padding above or below: all terms are the same ones.
Interval Emitter::interiorRows() {
  const Blocking::Window &window = *blocking.window;
  SmallVector<unsigned> known = termDims(model, blocking);
  known.push_back(window.columns);
  auto places = product(SmallVector<int64_t>(dims, 0), known, ranges);
  AffineExpr oldPosition = position[window.columns];
  position[window.columns] = b.getAffineConstantExpr(0);
  unsigned d = window.rows;
  auto terms = [&](int64_t row) {
    ranges[d] = {row, row + 1};
    return llvm::map_to_vector(places, [&](const auto &place) { return isTerm(place); });
  };
  // A middle row is as good as any.
  Interval result{model.extents[d] / 2, model.extents[d] / 2 + 1};
  auto middle = terms(result.low);
  while (result.low > 0 && terms(result.low - 1) == middle)
    --result.low;
  while (result.high < model.extents[d] && terms(result.high) == middle)
    ++result.high;
  ranges[d] = {0, model.extents[d]};
  position[window.columns] = oldPosition;
  return result;
}

/// Loads the weights of the channel at hand, each once.
void Emitter::holdWeights() {
  const Access &access = *model.inputs[1];
  for (const auto &place :
       product(SmallVector<int64_t>(dims, 0), termDims(model, blocking), ranges))
    if (llvm::all_of(access.guards, [&](const Guard &g) { return holds(g, place); })) {
      auto [buffer, index] = placeOf(access, place);
      Value weight = load(access, place);
      weights[keyOf(buffer, index)] = model.zeroPoints ? asFloat(weight) : weight;
    }
  loaded.clear();
}

/// A stored integer as f32, which holds sums of a few products of them exactly.
Value Emitter::asFloat(Value value) {
  return arith::SIToFPOp::create(b, loc, b.getF32Type(), value);
}

Value Emitter::emitWindowTerm(ArrayRef<int64_t> point, Value sum) {
  if (!model.zeroPoints)
    return emitTerm(point, sum).front();
  Value x = asFloat(loadAnchored(0, point)), w = load(*model.inputs[1], point);
  return math::FmaOp::create(b, loc, x, w, sum);
}

/// A row of results, or as many rows as there are phases.
void Emitter::emitWindowRow() {
  unsigned d = blocking.window->columns;
  AffineExpr oldPosition = position[d];
  position[d] = b.getAffineConstantExpr(0);
  for (int64_t first = 0; first < model.extents[d]; first += blocking.tile[d]) {
    ranges[d] = {first, std::min(first + blocking.tile[d], model.extents[d])};
    SmallVector<unsigned> known = {d};
    llvm::append_range(known, blocking.phases);
    llvm::sort(known);
    emitWindowTile(product(SmallVector<int64_t>(dims, 0), known, ranges));
  }
  ranges[d] = {0, model.extents[d]};
  position[d] = oldPosition;
}

void Emitter::emitWindowTile(ArrayRef<SmallVector<int64_t>> points) {
  loaded.clear();
  anchor = Anchor();
  anchor->position = position;
  anchor->inputs = {anchorOf(*model.inputs[0], 0)};
  anchorStores();
  // A first term is added to -0, which changes nothing.
  Value none = constant(b.getF32FloatAttr(-0.0));
  Values sums(points.size(), none);
  unsigned last = model.reductions.back();
  for (const auto &outer :
       product(SmallVector<int64_t>(dims, 0), ArrayRef(model.reductions).drop_back(), ranges))
    for (int64_t v = 0; v < model.extents[last]; ++v)
      for (auto [point, sum] : llvm::zip_equal(points, sums)) {
        SmallVector<int64_t> place(point);
        for (unsigned d : model.reductions)
          place[d] = d == last ? v : outer[d];
        if (isTerm(place))
          sum = emitWindowTerm(place, sum);
      }
  for (Value &sum : sums)
    if (sum == none)
      sum = constant(model.startValues[0]);
    else if (model.zeroPoints)
      sum = arith::FPToSIOp::create(b, loc, b.getI32Type(), sum);
  emitResults(points, sums);
  loaded.clear();
  anchored.clear();
  anchor.reset();
}

/// True if a term at `offsets` lies in no padding to the left or right; that above and below is
/// none of the loops' values.
bool Emitter::isInRow(ArrayRef<int64_t> offsets) const {
  return llvm::all_of(model.inputs[0]->guards, [&](const Guard &guard) {
    auto value = dyn_cast<AffineConstantExpr>(at(guard.expr, offsets));
    return !value || (value.getValue() >= 0 && value.getValue() < guard.size);
  });
}

/// The terms of a row of pixels.
SmallVector<Value> Emitter::emitColumns(Interval range, ArrayRef<SmallVector<int64_t>> points,
                                        Values accumulators) {
  unsigned d = blocking.tapRow->columns;
  AffineExpr oldPosition = position[d];
  position[d] = b.getAffineConstantExpr(0);
  setAnchor();
  for (int64_t v = range.low; v < range.high; ++v)
    for (auto [point, accumulator] : llvm::zip_equal(points, accumulators)) {
      SmallVector<int64_t> place(point);
      place[d] = v;
      if (isInRow(place))
        accumulator = emitTerm(place, accumulator).front();
    }
  position[d] = oldPosition;
  loaded.clear();
  anchored.clear();
  anchor.reset();
  return accumulators;
}
