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
constexpr int64_t kWordsPerTurn = 2, kUnrolledWords = 6;
} // namespace

static Value intrinsic(OpBuilder &b, Location loc, const Twine &name, ValueRange arguments) {
  Type i32 = b.getI32Type();
  return LLVM::CallIntrinsicOp::create(b, loc, i32, b.getStringAttr("llvm.arm." + name), arguments)
      .getResult(0);
}

static Value int32(OpBuilder &b, Location loc, int64_t value) {
  return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(value));
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

Value Emitter::loadWord(Value buffer, ArrayRef<AffineExpr> index) {
  auto bytes = VectorType::get({kBytesPerWord}, b.getI8Type());
  Value loaded = vector::LoadOp::create(b, loc, bytes, buffer, expand(index));
  return LLVM::BitcastOp::create(b, loc, b.getI32Type(), loaded);
}

/// The factor of input `i` at a point: a register, and which of its halves; with
/// `Packing::Pairs` register `which` of the two that a word fills.
Emitter::Factor Emitter::loadFactor(unsigned i, ArrayRef<int64_t> offsets, unsigned which) {
  const Access &access = *model.inputs[i];
  int64_t zeroPoint = (*model.zeroPoints)[i];
  SmallVector<int64_t> first(offsets);
  unsigned lane = which;
  if (!inWords) {
    bool dependsOnLane = llvm::any_of(
        access.index, [&](AffineExpr e) { return e.isFunctionOfDim(blocking.packedDim); });
    if (!dependsOnLane) {
      Value byte = load(access, offsets);
      auto key = std::make_pair(byte.getAsOpaquePointer(), 0u);
      Value &wide = widened[key];
      if (!wide) {
        wide = arith::ExtSIOp::create(b, loc, b.getI32Type(), byte);
        if (zeroPoint)
          wide = arith::SubIOp::create(b, loc, wide, int32(b, loc, zeroPoint));
      }
      return {wide, false};
    }
    lane = offsets[blocking.packedDim] % kBytesPerWord;
    first[blocking.packedDim] -= lane;
  }
  auto [buffer, index] = placeOf(access, first);
  Value &word = loaded[keyOf(buffer, index)];
  if (!word)
    word = loadWord(buffer, index);
  Value &wide = widened[{word.getAsOpaquePointer(), lane % 2}];
  if (!wide)
    wide = widen(b, loc, word, lane % 2 == 0, zeroPoint);
  return {wide, lane / 2 != 0};
}

SmallVector<Value> Emitter::emitPackedTerms(ArrayRef<SmallVector<int64_t>> points,
                                            Values accumulators) {
  loaded.clear();
  widened.clear();
  for (unsigned which = 0; which < (inWords ? 2 : 1); ++which)
    for (auto [point, accumulator] : llvm::zip_equal(points, accumulators)) {
      Factor x = loadFactor(0, point, which), y = loadFactor(1, point, which);
      StringRef name = inWords               ? "smlad"
                       : x.isTop && y.isTop ? "smlatt"
                       : x.isTop            ? "smlatb"
                       : y.isTop            ? "smlabt"
                                            : "smlabb";
      accumulator = intrinsic(b, loc, name, {x.halves, y.halves, accumulator});
    }
  loaded.clear();
  widened.clear();
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
    inWords = true;
    for (int64_t i = 0; i < count; ++i)
      sums = emitPackedTerms(shifted(from + i * kBytesPerWord), std::move(sums));
    inWords = false;
    return sums;
  };
  int64_t size = range.high - range.low, numWords = size / kBytesPerWord, done = 0;
  AffineExpr oldPosition = position[d];
  if (numWords > kUnrolledWords) {
    constexpr int64_t step = kWordsPerTurn * kBytesPerWord;
    done = size / step * step;
    accumulators = emitCarriedLoop(
        d, indexConstant(range.low), indexConstant(range.low + done), step,
        std::move(accumulators), [&](Values carried) { return words(0, kWordsPerTurn, carried); });
  }
  position[d] = b.getAffineConstantExpr(range.low);
  int64_t rest = (size - done) / kBytesPerWord;
  accumulators = words(done, rest, std::move(accumulators));
  for (done += rest * kBytesPerWord; done < size; ++done)
    accumulators = emitTerms(shifted(done), accumulators);
  position[d] = oldPosition;
  return accumulators;
}
