//===- PackedProducts.cpp - Sums of products of int8 with the DSP extension ------===//
//
// Four bytes are loaded as a word. SXTAB16 widens two of them to the halves of a register and
// subtracts a zero point in the same instruction; the other two take one more with a rotation.
// Along a reduction SMLAD adds two products to a sum, and which bytes stand together does not
// matter. Where the terms of a factor lie in rows, bytes of two rows are put together first. Along
// a parallel dimension each sum takes its half of either register by SMLABB, SMLABT, SMLATB or
// SMLATT.
//
//===----------------------------------------------------------------------===//

#include "lib/Target/Emitter.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace tinytrain;

namespace {
/// Words in one turn of a loop, and in a loop's place.
constexpr int64_t kWordsPerTurn = 8, kUnrolledWords = 24;
/// Fours of rows in one turn of a loop.
constexpr int64_t kRowsPerTurn = 2;
/// Words that the scheduler may load ahead.
constexpr int64_t kWordsPerFence = 4;
} // namespace

static Value intrinsic(OpBuilder &b, Location loc, const Twine &name, ValueRange arguments) {
  Type i32 = b.getI32Type();
  return LLVM::CallIntrinsicOp::create(b, loc, i32, b.getStringAttr("llvm.arm." + name), arguments)
      .getResult(0);
}

static Value int32(OpBuilder &b, Location loc, int64_t value) {
  return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(value));
}

/// No load moves across: the scheduler would run out of registers.
void Emitter::emitFence() {
  LLVM::InlineAsmOp::create(b, loc, TypeRange(), ValueRange(), "", "~{memory}",
                            /*has_side_effects=*/true, /*is_align_stack=*/false,
                            LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr());
}

/// Two of the bytes of a word, the first and the third if `isEven`, as int16 less a zero point.
static Value widen(OpBuilder &b, Location loc, Value word, bool isEven, int64_t zeroPoint) {
  if (!isEven)
    word = LLVM::FshrOp::create(b, loc, word, word, int32(b, loc, 8));
  if (zeroPoint == 0)
    return intrinsic(b, loc, "sxtb16", word);
  uint32_t half = uint16_t(-zeroPoint);
  return intrinsic(b, loc, "sxtab16", {int32(b, loc, int32_t(half << 16 | half)), word});
}

/// What lies at a distance from the anchor.
Value Emitter::loadPacked(unsigned i, AffineExpr distance, Type type, int64_t alignment) {
  // LLVM loads 64 bits by LDRD where that may be seen from outside.
  unsigned bits = type.getIntOrFloatBitWidth();
  Value &cached = anchored[{i, distance.getAsOpaquePointer(), bits}];
  if (!cached)
    cached = LLVM::LoadOp::create(b, loc, type, pointerTo(anchor->inputs[i], distance), alignment,
                                  /*isVolatile=*/bits == 64);
  return cached;
}

/// Where a byte stands in its run (`KernelModel::widenedRun`).
AffineExpr Emitter::positionInRun(ArrayRef<AffineExpr> index) const {
  if (*model.widenedRun == 1)
    return index.back();
  return index[index.size() - 2] * model.extents[blocking.packedDim] + index.back();
}

/// One of the two registers of a word, or a single halfword.
Value Emitter::loadWidened(unsigned i, ArrayRef<int64_t> offsets, Unit unit, unsigned number) {
  AffineExpr distance = distanceTo(i, offsets);
  if (unit == Unit::Word) {
    Value both = loadPacked(i, distance, b.getI64Type(), kBytesPerWord);
    Value &half = widened[{both.getAsOpaquePointer(), number}];
    if (!half && number)
      both = arith::ShRUIOp::create(b, loc, both,
                                    arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(32)));
    if (!half)
      half = arith::TruncIOp::create(b, loc, b.getI32Type(), both);
    return half;
  }
  AffineExpr position =
      simplifyAffineExpr(positionInRun(placeOf(*model.inputs[i], offsets).second), dims, 0);
  // The halfwords of each four are in the order 0, 2, 1, 3.
  AffineExpr moved = position % 2 * 2 + (position % 4).floorDiv(2) - position % 4;
  Value half = loadPacked(i, simplifyAffineExpr(distance + moved * 2, dims, 0), b.getI16Type(), 2);
  return arith::ExtSIOp::create(b, loc, b.getI32Type(), half);
}

/// The factor of input `i` at a point: of a whole word, register `number` of the two it fills; else
/// a register, and which of its halves.
Emitter::Factor Emitter::loadFactor(unsigned i, ArrayRef<int64_t> offsets, Unit unit,
                                    unsigned number) {
  int64_t zeroPoint = (*model.zeroPoints)[i];
  SmallVector<int64_t> first(offsets);
  if (unit == Unit::Lane) {
    bool isPacked = llvm::any_of(model.inputs[i]->index, [&](AffineExpr e) {
      return e.isFunctionOfDim(blocking.packedDim);
    });
    number = isPacked ? offsets[blocking.packedDim] % kBytesPerWord : 0;
    first[blocking.packedDim] -= number;
    if (!isPacked)
      unit = Unit::Byte;
  }
  if (auto it = held.find({first, number}); i == 0 && it != held.end())
    return {it->second, false};
  if (isWidened(i))
    return {loadWidened(i, first, unit, number), false};
  Value bytes =
      loadPacked(i, distanceTo(i, first), unit == Unit::Byte ? b.getI8Type() : b.getI32Type());
  Value &wide = widened[{bytes.getAsOpaquePointer(), number % 2}];
  if (!wide && unit == Unit::Byte) {
    wide = arith::ExtSIOp::create(b, loc, b.getI32Type(), bytes);
    if (zeroPoint)
      wide = arith::SubIOp::create(b, loc, wide, int32(b, loc, zeroPoint));
  } else if (!wide) {
    wide = widen(b, loc, bytes, number % 2 == 0, zeroPoint);
  }
  return {wide, unit == Unit::Lane && number / 2 != 0};
}

/// True if the pointers of all operands move along with the innermost loop over tiles: what is held
/// leaves no registers for other addresses.
bool Emitter::hasMovingTiles(unsigned i, Interval range) const {
  unsigned d = blocking.loopDims[i];
  return blocking.holdsInput && i + 1 == blocking.loopDims.size() &&
         range.high - range.low > tile[d];
}

/// The innermost loop over tiles; what it holds of the first input is loaded ahead of it.
void Emitter::emitMovingTiles(unsigned d, Interval range) {
  SmallVector<AffineExpr> oldPosition(position), start(position);
  for (unsigned r : model.reductions)
    start[r] = b.getAffineConstantExpr(0);
  position = start;
  holdInput(d, range.low);
  position[d] = b.getAffineConstantExpr(range.low);
  setAnchor();
  anchor->inputs[0].pointers.clear();
  anchorOthers();
  tilesMove = true;
  position[d] = b.getAffineDimExpr(d);
  emitMovingLoop(d, range, tile[d], tilePoints(), {}, [&](Values) {
    position = oldPosition;
    emitTile();
    position = start;
    return Values();
  });
  position = oldPosition;
  tilesMove = false;
  held.clear();
  anchor.reset();
}

void Emitter::holdInput(unsigned d, int64_t at) {
  SmallVector<AffineExpr> oldPosition(position);
  position[d] = b.getAffineConstantExpr(at);
  for (unsigned d : model.reductions)
    position[d] = b.getAffineConstantExpr(0);
  setAnchor();
  for (SmallVector<int64_t> point : tilePoints())
    for (int64_t from = 0; from < model.extents[blocking.packedDim]; from += kBytesPerWord) {
      point[blocking.packedDim] = from;
      for (unsigned number : {0, 1})
        held[{point, number}] = loadFactor(0, point, Unit::Word, number).halves;
    }
  position = oldPosition;
  anchored.clear();
  widened.clear();
}

SmallVector<Value> Emitter::emitPackedTerms(ArrayRef<SmallVector<int64_t>> points,
                                            Values accumulators, Unit unit) {
  if (unit == Unit::Vector || unit == Unit::HalfVector)
    return emitVectorTerms(points, std::move(accumulators), unit);
  if (unit == Unit::Word && blocking.packing == Blocking::Packing::Rows)
    return emitRowPairs(points, std::move(accumulators));
  if (hasVectorProducts()) {
    // Terms less the zero point: the sums of weights have no part in them.
    for (auto [point, accumulator] : llvm::zip(points, accumulators)) {
      Value x = loadFactor(0, point, unit, 0).halves, w = loadFactor(1, point, unit, 0).halves;
      accumulator = arith::AddIOp::create(b, loc, accumulator, arith::MulIOp::create(b, loc, x, w));
    }
    anchored.clear();
    widened.clear();
    return accumulators;
  }
  // Of the two registers of a word, the first ones are used by all points before the second ones
  // are made. Of widened weights both are loaded at once, and used at once.
  using Step = std::pair<unsigned, unsigned>; // a register, and a point
  SmallVector<Step> steps;
  for (unsigned number = 0; number < (unit == Unit::Word ? 2 : 1); ++number)
    for (unsigned p = 0; p < points.size(); ++p)
      steps.push_back({number, p});
  if (model.widenedRun) {
    unsigned channel = model.parallel.back();
    llvm::stable_sort(steps, [&](const Step &a, const Step &b) {
      return points[a.second][channel] < points[b.second][channel];
    });
  }
  for (auto [number, p] : steps) {
    Factor x = loadFactor(0, points[p], unit, number), y = loadFactor(1, points[p], unit, number);
    StringRef name = unit == Unit::Word   ? "smlad"
                     : x.isTop && y.isTop ? "smlatt"
                     : x.isTop            ? "smlatb"
                     : y.isTop            ? "smlabt"
                                          : "smlabb";
    accumulators[p] = intrinsic(b, loc, name, {x.halves, y.halves, accumulators[p]});
  }
  anchored.clear();
  widened.clear();
  return accumulators;
}

/// Two terms of input `i`, which lie in the first and third of four rows, or in the others: two
/// bytes of either row are put into one word.
Value Emitter::loadRowPair(unsigned i, ArrayRef<int64_t> offsets, unsigned number) {
  SmallVector<int64_t> point(offsets);
  int64_t &along = point[*blocking.alongRow[i]], lane = along % kBytesPerHalf;
  along -= lane;
  auto load = [&](int64_t row) -> Value {
    SmallVector<int64_t> there(point);
    there[blocking.packedDim] += row;
    return loadPacked(i, distanceTo(i, there), b.getI16Type());
  };
  Value first = load(number);
  Value &word = rows[first.getAsOpaquePointer()];
  if (!word) {
    Value second = arith::ExtUIOp::create(b, loc, b.getI32Type(), load(number + 2));
    word = arith::OrIOp::create(b, loc, arith::ExtUIOp::create(b, loc, b.getI32Type(), first),
                                arith::ShLIOp::create(b, loc, second, int32(b, loc, 16)));
  }
  Value &wide = widened[{word.getAsOpaquePointer(), lane}];
  if (!wide)
    wide = widen(b, loc, word, lane == 0, model.zeroPoints->at(i));
  return wide;
}

/// Four terms each, of which two are multiplied at a time.
SmallVector<Value> Emitter::emitRowPairs(ArrayRef<SmallVector<int64_t>> points,
                                         Values accumulators) {
  for (unsigned number : {0, 1})
    for (auto [point, accumulator] : llvm::zip_equal(points, accumulators)) {
      auto load = [&, at = ArrayRef<int64_t>(point)](unsigned i) {
        return blocking.alongRow[i] ? loadRowPair(i, at, number)
                                    : loadFactor(i, at, Unit::Word, number).halves;
      };
      Value x = load(0), w = load(1);
      accumulator = intrinsic(b, loc, "smlad", {x, w, accumulator});
    }
  anchored.clear();
  widened.clear();
  rows.clear();
  return accumulators;
}

/// The last terms of a run and of the next one.
SmallVector<Value> Emitter::emitTailPair(ArrayRef<SmallVector<int64_t>> points,
                                         Values accumulators) {
  int64_t zeroPoint = (*model.zeroPoints)[0];
  std::map<const void *, Value> pairs;
  auto loadPair = [&](ArrayRef<int64_t> point) {
    SmallVector<int64_t> next(point);
    ++next[model.reductions[model.reductions.size() - 3]];
    Value first = loadPacked(0, distanceTo(0, point), b.getI8Type());
    Value &pair = pairs[first.getAsOpaquePointer()];
    if (pair)
      return pair;
    Value second = loadPacked(0, distanceTo(0, next), b.getI8Type());
    first = arith::ExtSIOp::create(b, loc, b.getI32Type(), first);
    second = arith::ExtSIOp::create(b, loc, b.getI32Type(), second);
    first = arith::AndIOp::create(b, loc, first, int32(b, loc, 0xffff));
    second = arith::ShLIOp::create(b, loc, second, int32(b, loc, 16));
    pair = arith::OrIOp::create(b, loc, first, second);
    if (zeroPoint) {
      uint32_t half = uint16_t(zeroPoint);
      pair = intrinsic(b, loc, "ssub16", {pair, int32(b, loc, int32_t(half << 16 | half))});
    }
    return pair;
  };
  for (auto [point, accumulator] : llvm::zip_equal(points, accumulators)) {
    Value w = loadPacked(1, distanceTo(1, point), b.getI32Type(), kBytesPerWord);
    accumulator = intrinsic(b, loc, "smlad", {loadPair(point), w, accumulator});
  }
  anchored.clear();
  return accumulators;
}

/// The lanes that lie in even bytes, then the others: their sums do not fit the registers all at
/// once.
SmallVector<Value> Emitter::emitEveryOtherLane(ArrayRef<SmallVector<int64_t>> points,
                                               Values accumulators) {
  for (int64_t parity : {0, 1}) {
    SmallVector<SmallVector<int64_t>> some;
    Values sums;
    for (auto [point, accumulator] : llvm::zip_equal(points, accumulators))
      if (point[blocking.packedDim] % 2 == parity) {
        some.push_back(point);
        sums.push_back(accumulator);
      }
    sums = emitReduction(0, some, std::move(sums));
    Value *next = sums.begin();
    for (auto [point, accumulator] : llvm::zip_equal(points, accumulators))
      if (point[blocking.packedDim] % 2 == parity)
        accumulator = *next++;
  }
  return accumulators;
}

/// Terms of neighbours along the packed dimension, or along it and the one around it: words,
/// then what is left one by one.
SmallVector<Value> Emitter::emitNeighbours(Interval range, ArrayRef<SmallVector<int64_t>> points,
                                           Values accumulators) {
  unsigned d = blocking.packedDim;
  auto shifted = [&](int64_t by) {
    SmallVector<SmallVector<int64_t>> result(points);
    for (SmallVector<int64_t> &point : result) {
      if (blocking.joinedDim)
        point[*blocking.joinedDim] += by / model.extents[d];
      point[d] += blocking.joinedDim ? by % model.extents[d] : by;
    }
    return result;
  };
  int64_t wordBytes = hasVectorProducts() ? kBytesPerVector : kBytesPerWord;
  auto words = [&](int64_t from, int64_t count, Values sums) {
    for (int64_t i = 0; i < count; ++i) {
      if (i && i % kWordsPerFence == 0)
        emitFence();
      sums = emitPackedTerms(shifted(from + i * wordBytes), std::move(sums),
                             hasVectorProducts() ? Unit::Vector : Unit::Word);
    }
    return sums;
  };
  // Halfwords stand in fours from the start of a run.
  int64_t start =
      blocking.joinedDim
          ? cast<AffineConstantExpr>(position[*blocking.joinedDim]).getValue() * model.extents[d]
          : range.low;
  bool hasWords = !model.widenedRun || start % kBytesPerWord == 0;
  int64_t size = range.high - range.low, done = 0;
  int64_t numWords = hasWords ? size / wordBytes : 0;
  AffineExpr oldPosition = position[d];
  Anchor oldAnchor = *anchor;
  position[d] = b.getAffineConstantExpr(range.low);
  if (anchor->inUpper != inUpper)
    setAnchor();
  bool isRows = blocking.packing == Blocking::Packing::Rows;
  int64_t perTurn = isRows ? kRowsPerTurn : kWordsPerTurn;
  if (numWords > (isRows ? kRowsPerTurn : kUnrolledWords)) {
    int64_t step = perTurn * wordBytes;
    done = size / step * step;
    accumulators =
        emitMovingLoop(d, {range.low, range.low + done}, step, points, std::move(accumulators),
                       [&](Values carried) { return words(0, perTurn, std::move(carried)); });
  }
  int64_t rest = hasWords ? (size - done) / wordBytes : 0;
  accumulators = words(done, rest, std::move(accumulators));
  done += rest * wordBytes;
  if (hasVectorProducts() && size - done >= kBytesPerVector / 2) {
    accumulators = emitPackedTerms(shifted(done), std::move(accumulators), Unit::HalfVector);
    done += kBytesPerVector / 2;
  }
  // What is left of two runs is multiplied at once: the weights of both stand together.
  if (unrolledRuns && model.widenedRun && size - done == 1 &&
      size == model.extents[d] * model.extents[*blocking.joinedDim]) {
    unsigned around = model.reductions[model.reductions.size() - 3];
    int64_t run = cast<AffineConstantExpr>(position[around]).getValue();
    bool isSecond = (run - unrolledRuns->low) % 2 != 0;
    if (!isSecond && run + 1 < unrolledRuns->high)
      accumulators = emitTailPair(shifted(done), std::move(accumulators));
    if (isSecond || run + 1 < unrolledRuns->high)
      ++done;
  }
  for (; done < size; ++done)
    accumulators = emitPackedTerms(shifted(done), std::move(accumulators), Unit::Byte);
  anchor = oldAnchor;
  position[d] = oldPosition;
  return accumulators;
}
