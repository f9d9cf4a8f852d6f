//===- PackedProducts.cpp - Sums of products of int8 with the DSP extension ------===//
//
// Four bytes are loaded as a word. SXTAB16 widens two of them to the halves of a register and
// subtracts a zero point in the same instruction; the other two take one more with a rotation.
// Along a reduction SMLAD adds two products to a sum, and which bytes stand together does not
// matter. Along a parallel dimension each sum takes its half of either register by SMLABB,
// SMLABT, SMLATB or SMLATT.
//
//===----------------------------------------------------------------------===//

#include "lib/Target/Emitter.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace tinytrain;

namespace {
constexpr int64_t kBytesPerWord = 4;
/// Words in one turn of a loop, and in a loop's place.
constexpr int64_t kWordsPerTurn = 8, kUnrolledWords = 24;
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
static void fence(OpBuilder &b, Location loc) {
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

/// A byte, or a word of four.
Value Emitter::loadPacked(unsigned i, ArrayRef<int64_t> offsets, Type type) {
  AffineExpr distance = distanceTo(i, offsets);
  Value &cached = anchored[{i, distance.getAsOpaquePointer(), type.getIntOrFloatBitWidth()}];
  if (!cached)
    cached = LLVM::LoadOp::create(b, loc, type, pointerTo(i, distance), /*alignment=*/1);
  return cached;
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
  Value bytes = loadPacked(i, first, unit == Unit::Byte ? b.getI8Type() : b.getI32Type());
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

/// Loads what all turns of the innermost loop read of the first input.
void Emitter::holdInput() {
  SmallVector<AffineExpr> oldPosition(position);
  position[blocking.loopDims.back()] = b.getAffineConstantExpr(0);
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
  for (unsigned number = 0; number < (unit == Unit::Word ? 2 : 1); ++number)
    for (auto [point, accumulator] : llvm::zip_equal(points, accumulators)) {
      Factor x = loadFactor(0, point, unit, number), y = loadFactor(1, point, unit, number);
      StringRef name = unit == Unit::Word   ? "smlad"
                       : x.isTop && y.isTop ? "smlatt"
                       : x.isTop            ? "smlatb"
                       : y.isTop            ? "smlabt"
                                            : "smlabb";
      accumulator = intrinsic(b, loc, name, {x.halves, y.halves, accumulator});
    }
  anchored.clear();
  widened.clear();
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
  auto words = [&](int64_t from, int64_t count, Values sums) {
    for (int64_t i = 0; i < count; ++i) {
      if (i && i % kWordsPerFence == 0)
        fence(b, loc);
      sums = emitPackedTerms(shifted(from + i * kBytesPerWord), std::move(sums), Unit::Word);
    }
    return sums;
  };
  int64_t size = range.high - range.low, numWords = size / kBytesPerWord, done = 0;
  AffineExpr oldPosition = position[d];
  Anchor oldAnchor = *anchor;
  position[d] = b.getAffineConstantExpr(range.low);
  if (anchor->inUpper != inUpper)
    setAnchor();
  if (numWords > kUnrolledWords) {
    constexpr int64_t step = kWordsPerTurn * kBytesPerWord;
    done = size / step * step;
    accumulators =
        emitMovingLoop(d, {range.low, range.low + done}, step, points, std::move(accumulators),
                       [&](Values carried) { return words(0, kWordsPerTurn, std::move(carried)); });
  }
  int64_t rest = (size - done) / kBytesPerWord;
  accumulators = words(done, rest, std::move(accumulators));
  for (done += rest * kBytesPerWord; done < size; ++done)
    accumulators = emitPackedTerms(shifted(done), std::move(accumulators), Unit::Byte);
  anchor = oldAnchor;
  position[d] = oldPosition;
  return accumulators;
}
