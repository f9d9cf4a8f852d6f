//===- PointerEmitter.cpp - Pointers that move along with a loop -----------------===//
//
// LLVM rewrites the addresses of a loop as it sees fit: one counter, and a sum of base and counter
// for each operand. On a core with a dozen registers and small constants in its loads, a few
// pointers that move are better. They are made opaque, so that they stay.
//
//===----------------------------------------------------------------------===//

#include "lib/Target/Emitter.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace tinytrain;

/// The same pointer, of which LLVM knows nothing.
static Value opaque(OpBuilder &b, Location loc, Value pointer) {
  return LLVM::InlineAsmOp::create(b, loc, pointer.getType(), pointer, "", "=r,0",
                                   /*has_side_effects=*/false, /*is_align_stack=*/false,
                                   LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr())
      .getResult(0);
}

/// The distance of an element from the start of its operand.
static AffineExpr offsetIn(MemRefType type, ArrayRef<AffineExpr> index) {
  AffineExpr offset = getAffineConstantExpr(0, type.getContext());
  for (auto [expr, size] : llvm::zip_equal(index, type.getShape()))
    offset = offset * size + expr;
  return offset;
}

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
    if (!input)
      continue;
    auto [buffer, index] = placeOf(*input, {});
    auto type = cast<MemRefType>(buffer.getType());
    entry.element = type.getElementType();
    entry.offset = offsetIn(type, input->index);
    AffineExpr start = offsetIn(type, index).replaceDims(anchor->position) *
                       (entry.element.getIntOrFloatBitWidth() / 8);
    Value address = arith::AddIOp::create(
        b, loc, memref::ExtractAlignedPointerAsIndexOp::create(b, loc, buffer),
        expand(simplifyAffineExpr(start, dims, 0)));
    Value word = arith::IndexCastOp::create(b, loc, b.getI32Type(), address);
    auto pointerType = LLVM::LLVMPointerType::get(b.getContext());
    entry.pointers = {{0, opaque(b, loc, LLVM::IntToPtrOp::create(b, loc, pointerType, word))}};
  }
}

/// How far the element of input `i` at `offsets` from the current position lies from the anchor.
AffineExpr Emitter::distanceTo(unsigned i, ArrayRef<int64_t> offsets) const {
  AffineExpr offset = anchor->inputs[i].offset;
  return simplifyAffineExpr(at(offset, offsets) - offset.replaceDims(anchor->position), dims, 0);
}

/// A pointer at a distance from the anchor of input `i`, in elements.
Value Emitter::pointerTo(unsigned i, AffineExpr distance) {
  const Anchor::Input &input = anchor->inputs[i];
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
  if (distance != b.getAffineConstantExpr(0))
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
    cached = LLVM::LoadOp::create(b, loc, anchor->inputs[i].element, pointerTo(i, distance));
  return cached;
}

/// A loop over a reduction in which the pointers of the inputs move along: so many that all
/// `points` of a turn are within reach.
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
  for (auto [i, input] : llvm::enumerate(moving.inputs)) {
    if (input.pointers.empty())
      continue;
    AffineExpr start = distanceTo(i, SmallVector<int64_t>(dims, 0));
    std::set<int64_t> distances;
    for (SmallVector<int64_t> point : points)
      for (int64_t last : {int64_t(0), step - 1}) {
        point[d] += last;
        AffineExpr from = simplifyAffineExpr(distanceTo(i, point) - start, dims, 0);
        distances.insert(cast<AffineConstantExpr>(from).getValue());
        point[d] -= last;
      }
    input.pointers.clear();
    int64_t reach = reachOf(input.element) * 8 / input.element.getIntOrFloatBitWidth();
    for (int64_t distance : distances)
      if (input.pointers.empty() || distance - input.pointers.back().first > reach)
        input.pointers.push_back({distance, opaque(b, loc, pointerTo(i, start + distance))});
  }
  position[d] = oldPosition;
  anchor = std::move(moving);

  auto take = [&](Values &carried) {
    for (Anchor::Input &input : llvm::reverse(anchor->inputs))
      for (auto &entry : llvm::reverse(input.pointers))
        entry.second = carried.pop_back_val();
  };
  for (Anchor::Input &input : anchor->inputs)
    for (auto &entry : input.pointers)
      accumulators.push_back(entry.second);
  AffineExpr positionInside = position[d];
  if (isa<AffineConstantExpr>(positionInside))
    position[d] = b.getAffineDimExpr(d);
  anchor->position[d] = position[d];
  accumulators = emitCarriedLoop(
      d, indexConstant(range.low), indexConstant(range.high), step, std::move(accumulators),
      [&](Values carried) {
        take(carried);
        carried = body(std::move(carried));
        SmallVector<int64_t> next(dims, 0);
        next[d] = step;
        for (auto [i, input] : llvm::enumerate(anchor->inputs)) {
          if (input.pointers.empty())
            continue;
          AffineExpr by = distanceTo(i, next);
          for (auto [distance, pointer] : input.pointers)
            carried.push_back(
                opaque(b, loc,
                       LLVM::GEPOp::create(b, loc, pointer.getType(), input.element, pointer,
                                           ArrayRef<LLVM::GEPArg>{
                                               int32_t(cast<AffineConstantExpr>(by).getValue())})));
        }
        return carried;
      });
  take(accumulators);
  position[d] = positionInside;
  anchor->position[d] = b.getAffineConstantExpr(range.high);
  return accumulators;
}
