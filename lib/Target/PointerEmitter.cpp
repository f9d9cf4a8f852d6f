//===- PointerEmitter.cpp - Pointers that move along with a loop -----------------===//
//
// LLVM rewrites the addresses of a loop as it sees fit: one counter, and a sum of base and counter
// for each operand. On a core with a dozen registers and small constants in its loads, a few
// pointers that move are better. They are made opaque, so that they stay.
//
//===----------------------------------------------------------------------===//

#include "lib/Target/Emitter.h"
#include "lib/Target/InlineAssembly.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace tinytrain;

/// The distance of an element from the start of input `i`; of one that is widened, in bytes, as if
/// the halfwords were in order.
AffineExpr Emitter::offsetIn(unsigned i, MemRefType type, ArrayRef<AffineExpr> index) const {
  unsigned outer = index.size() - (isWidened(i) ? *model.widenedRun : 0);
  AffineExpr offset = b.getAffineConstantExpr(0);
  for (unsigned d = 0; d < outer; ++d)
    offset = offset * type.getDimSize(d) + index[d];
  if (!isWidened(i))
    return offset;
  for (int64_t size : type.getShape().drop_front(outer))
    offset = offset * size;
  return offset + positionInRun(index) * 2;
}

static int64_t sizeOf(Type element) { return element.getIntOrFloatBitWidth() / 8; }

/// Bytes behind a pointer that a load reaches: LDR has twelve bits, VLDR eight for words.
static int64_t reachOf(Type element) { return isa<FloatType>(element) ? 1020 : 4095; }

/// Where the inputs lie at the current position, from the first terms of the sums on.
void Emitter::setAnchor() {
  anchor = Anchor();
  anchor->position = position;
  anchor->inUpper = inUpper;
  for (unsigned d : model.reductions)
    if (!ivs[d] && isa<AffineDimExpr>(position[d]))
      anchor->position[d] = b.getAffineConstantExpr(0);
  for (const std::optional<Access> &input : model.inputs) {
    Anchor::Input &entry = anchor->inputs.emplace_back();
    if (input)
      entry = anchorOf(*input, anchor->inputs.size() - 1);
  }
}

/// A pointer to an element at the anchor's position; `i` is the number of a root input.
Emitter::Anchor::Input Emitter::anchorOf(const Access &access, unsigned i) {
  Anchor::Input entry;
  auto [buffer, index] = placeOf(access, {});
  auto type = cast<MemRefType>(buffer.getType());
  entry.element = type.getElementType();
  entry.offset = offsetIn(i, type, access.index);
  AffineExpr start = offsetIn(i, type, index).replaceDims(anchor->position) * sizeOf(entry.element);
  Value address =
      arith::AddIOp::create(b, loc, memref::ExtractAlignedPointerAsIndexOp::create(b, loc, buffer),
                            expand(simplifyAffineExpr(start, dims, 0)));
  Value word = arith::IndexCastOp::create(b, loc, b.getI32Type(), address);
  auto pointerType = LLVM::LLVMPointerType::get(b.getContext());
  entry.pointers = {{0, opaque(b, loc, LLVM::IntToPtrOp::create(b, loc, pointerType, word))}};
  return entry;
}

/// What is stored, from the anchor's position on.
void Emitter::anchorStores() {
  for (const auto &s : model.stores)
    anchorOther(s.access);
}

void Emitter::anchorOther(const Access &access) {
  if (access.guards.empty() && !anchor->others.count(access.operand) &&
      (blocking.window || model.offsetOf(access)))
    anchor->others[access.operand] = anchorOf(access, ~0u);
}

/// What is read behind the root op, and stored, from the anchor's position on.
void Emitter::anchorOthers() {
  if (model.bias)
    anchorOther(*model.bias);
  for (const EpilogueOp &epilogue : model.epilogue)
    for (const auto &input : epilogue.inputs)
      if (input.access)
        anchorOther(*input.access);
  anchorStores();
}

/// A pointer to an element of another operand, if it lies at a constant distance.
Value Emitter::pointerToOther(const Access &access, ArrayRef<int64_t> offsets) {
  if (!anchor)
    return {};
  auto it = anchor->others.find(access.operand);
  if (it == anchor->others.end())
    return {};
  AffineExpr distance = distanceTo(it->second, offsets);
  return isa<AffineConstantExpr>(distance) ? pointerTo(it->second, distance) : Value();
}

/// How far the element of an operand at `offsets` from the current position lies from the anchor.
AffineExpr Emitter::distanceTo(const Anchor::Input &entry, ArrayRef<int64_t> offsets) const {
  AffineExpr offset = entry.offset;
  return simplifyAffineExpr(at(offset, offsets) - offset.replaceDims(anchor->position), dims, 0);
}

/// A pointer at a distance from the anchor of an operand, in elements. Where code is written for
/// each place, the pointers that are needed to reach it are kept.
Value Emitter::pointerTo(Anchor::Input &input, AffineExpr distance) {
  std::optional<Linear> linear = Linear::get(distance, dims);
  int64_t elements = linear ? linear->constant : 0;
  distance = simplifyAffineExpr(distance - elements, dims, 0);
  int64_t start = input.pointers.front().first;
  Value pointer = input.pointers.front().second;
  for (auto [other, candidate] : input.pointers)
    if (other <= elements) {
      start = other;
      pointer = candidate;
    }
  auto advance = [&](LLVM::GEPArg by) {
    pointer = LLVM::GEPOp::create(b, loc, pointer.getType(), input.element, pointer, by);
  };
  bool isConstant = distance == b.getAffineConstantExpr(0);
  if ((blocking.window || blocking.tapRow) && isConstant &&
      elements - start > reachOf(input.element) / sizeOf(input.element)) {
    advance(int32_t(elements - start));
    pointer = opaque(b, loc, pointer);
    input.pointers.push_back({elements, pointer});
    llvm::sort(input.pointers, llvm::less_first());
    return pointer;
  }
  if (!isConstant)
    advance(arith::IndexCastOp::create(b, loc, b.getI32Type(), expand(distance)).getResult());
  if (elements != start)
    advance(int32_t(elements - start));
  return pointer;
}

/// An element of root input `i`, from the anchor's pointers.
Value Emitter::loadAnchored(unsigned i, ArrayRef<int64_t> offsets) {
  AffineExpr distance = distanceTo(i, offsets);
  Value &cached = anchored[{i, distance.getAsOpaquePointer(), 0}];
  if (!cached)
    cached = LLVM::LoadOp::create(b, loc, anchor->inputs[i].element,
                                  pointerTo(anchor->inputs[i], distance));
  return cached;
}

/// A loop over `d` in which the pointers of the inputs, and of other operands that are anchored,
/// move along: so many that all `points` of a turn are within reach.
SmallVector<Value> Emitter::emitMovingLoop(unsigned d, Interval range, int64_t step,
                                           ArrayRef<SmallVector<int64_t>> points,
                                           Values accumulators, function_ref<Values(Values)> body) {
  AffineExpr oldPosition = position[d];
  position[d] = b.getAffineConstantExpr(range.low);
  Anchor moving = *anchor;
  moving.position = position;
  for (unsigned r : model.reductions)
    if (!ivs[r] && isa<AffineDimExpr>(position[r]))
      moving.position[r] = b.getAffineConstantExpr(0);
  auto place = [&](Anchor::Input &input) {
    if (input.pointers.empty())
      return;
    Anchor::Input old = input;
    AffineExpr start = distanceTo(old, SmallVector<int64_t>(dims, 0));
    std::set<int64_t> distances;
    for (SmallVector<int64_t> point : points)
      for (int64_t last : {int64_t(0), step - 1}) {
        point[d] += last;
        AffineExpr from = simplifyAffineExpr(distanceTo(old, point) - start, dims, 0);
        distances.insert(cast<AffineConstantExpr>(from).getValue());
        point[d] -= last;
      }
    SmallVector<int64_t> next(dims, 0);
    next[d] = step;
    AffineExpr by = simplifyAffineExpr(distanceTo(old, next) - start, dims, 0);
    input.step = cast<AffineConstantExpr>(by).getValue();
    input.pointers.clear();
    int64_t reach = reachOf(input.element) / sizeOf(input.element);
    for (int64_t distance : distances)
      if (input.pointers.empty() || distance - input.pointers.back().first > reach)
        input.pointers.push_back({distance, opaque(b, loc, pointerTo(old, start + distance))});
  };
  moving.forEach(place);
  position[d] = oldPosition;
  anchor = std::move(moving);

  auto forEachPointer = [&](function_ref<void(Anchor::Input &, Value &)> use) {
    anchor->forEach([&](Anchor::Input &input) {
      if (input.step)
        for (auto &entry : input.pointers)
          use(input, entry.second);
    });
  };
  unsigned numAccumulators = accumulators.size();
  auto take = [&](Values &carried) {
    Value *next = carried.begin() + numAccumulators;
    forEachPointer([&](Anchor::Input &, Value &pointer) { pointer = *next++; });
    carried.truncate(numAccumulators);
  };
  forEachPointer([&](Anchor::Input &, Value &pointer) { accumulators.push_back(pointer); });
  AffineExpr positionInside = position[d];
  if (isa<AffineConstantExpr>(positionInside))
    position[d] = b.getAffineDimExpr(d);
  anchor->position[d] = position[d];
  accumulators = emitCarriedLoop(d, indexConstant(range.low), indexConstant(range.high), step,
                                 std::move(accumulators), [&](Values carried) {
                                   take(carried);
                                   carried = body(std::move(carried));
                                   forEachPointer([&](Anchor::Input &input, Value &pointer) {
                                     Value next = LLVM::GEPOp::create(
                                         b, loc, pointer.getType(), input.element, pointer,
                                         ArrayRef<LLVM::GEPArg>{int32_t(input.step)});
                                     carried.push_back(opaque(b, loc, next));
                                   });
                                   return carried;
                                 });
  take(accumulators);
  position[d] = positionInside;
  anchor->position[d] = b.getAffineConstantExpr(range.high);
  return accumulators;
}
