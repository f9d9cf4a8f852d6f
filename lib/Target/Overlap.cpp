//===- Overlap.cpp - Where a kernel's result may overlap an operand --------------===//
//
// The outer loops of the nest are walked position by position. For each operand, interval
// arithmetic on the index maps bounds the bytes that are read or written while the loops
// stand there, whatever the inner ones do. A result that starts `d` bytes behind an input is
// safe if what has been written up to any position lies below all that is read from that
// position on (the result trails the reads), or above all of it.
//
//===----------------------------------------------------------------------===//

#include "lib/Target/Overlap.h"

#include <climits>

using namespace mlir;
using namespace tinytrain;

namespace {

/// Both ends included; empty if `low > high`.
struct Interval {
  int64_t low = INT64_MAX, high = INT64_MIN;

  bool isEmpty() const { return low > high; }
  void merge(Interval other) {
    low = std::min(low, other.low);
    high = std::max(high, other.high);
  }
};

Interval evaluate(AffineExpr expr, ArrayRef<Interval> dims) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return {constant.getValue(), constant.getValue()};
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return dims[dim.getPosition()];
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Interval lhs = evaluate(binary.getLHS(), dims), rhs = evaluate(binary.getRHS(), dims);
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return {lhs.low + rhs.low, lhs.high + rhs.high};
  case AffineExprKind::Mul: {
    auto [low, high] = std::minmax(
        {lhs.low * rhs.low, lhs.low * rhs.high, lhs.high * rhs.low, lhs.high * rhs.high});
    return {low, high};
  }
  case AffineExprKind::FloorDiv:
    return {llvm::divideFloorSigned(lhs.low, rhs.low), llvm::divideFloorSigned(lhs.high, rhs.low)};
  case AffineExprKind::CeilDiv:
    return {llvm::divideCeilSigned(lhs.low, rhs.low), llvm::divideCeilSigned(lhs.high, rhs.low)};
  default: { // a remainder by a constant
    int64_t m = rhs.low;
    if (llvm::divideFloorSigned(lhs.low, m) == llvm::divideFloorSigned(lhs.high, m))
      return {llvm::mod(lhs.low, m), llvm::mod(lhs.high, m)};
    return {0, m - 1};
  }
  }
}

class Analysis {
public:
  Analysis(const KernelModel &model, const Blocking &blocking, ArrayRef<MemRefType> operands)
      : model(model), blocking(blocking), operands(operands), reads(operands.size()),
        writes(operands.size()) {
    for (const auto &input : model.inputs)
      addAccess(reads, input);
    for (const auto &start : model.startAccesses)
      addAccess(reads, start);
    for (const EpilogueOp &epilogue : model.epilogue)
      for (const EpilogueOp::Input &input : epilogue.inputs)
        addAccess(reads, input.access);
    for (const KernelModel::Store &store : model.stores)
      addAccess(writes, store.access);
  }

  SmallVector<Overlap> run() {
    SmallVector<Overlap> result;
    walk();
    for (unsigned out = 0; out < operands.size(); ++out)
      for (unsigned in = 0; in < operands.size(); ++in)
        if (in != out && !writes[out].empty() && writes[in].empty() && !reads[in].empty())
          if (std::optional<Overlap> overlap = relate(in, out))
            result.push_back(*overlap);
    return result;
  }

private:
  using Accesses = SmallVector<SmallVector<Access>>;

  void addAccess(Accesses &accesses, const std::optional<Access> &access) {
    if (!access)
      return;
    accesses[access->operand].push_back(*access);
    if (!access->upper)
      return;
    Access upper = *access;
    upper.operand = *access->upper;
    upper.index.back() = upper.index.back() - model.join->at;
    accesses[upper.operand].push_back(upper);
  }

  /// The outer loops that are walked: while each step is one element, one further loop.
  SmallVector<unsigned> outerDims() const {
    constexpr int64_t kMaxPositions = 1 << 14;
    SmallVector<unsigned> result;
    int64_t positions = 1;
    SmallVector<unsigned> all(blocking.rowDims);
    if (!blocking.window) // else all phases are in the innermost tile
      llvm::append_range(all, blocking.phases);
    all.append(blocking.loopDims.begin(), blocking.loopDims.end());
    for (unsigned d : all) {
      positions *= model.extents[d];
      if (positions > kMaxPositions)
        break;
      result.push_back(d);
      if (blocking.tile[d] > 1)
        break;
    }
    return result;
  }

  /// Bytes of the operand that one access may touch while the loops stand at `dims`.
  Interval touched(const Access &access, ArrayRef<Interval> dims) const {
    MemRefType type = operands[access.operand];
    Interval bytes{0, 0};
    int64_t stride = bytesOf(type) / std::max<int64_t>(1, type.getNumElements());
    bytes.high = stride - 1;
    for (unsigned d = type.getRank(); d-- > 0;) {
      Interval index = evaluate(access.index[d], dims);
      // Elements outside belong to the padding and are not touched.
      index.low = std::max<int64_t>(index.low, 0);
      index.high = std::min(index.high, type.getDimSize(d) - 1);
      if (index.isEmpty())
        return {};
      bytes.low += index.low * stride;
      bytes.high += index.high * stride;
      stride *= type.getDimSize(d);
    }
    return bytes;
  }

  void walk() {
    SmallVector<unsigned> outer = outerDims();
    SmallVector<Interval> dims;
    for (int64_t extent : model.extents)
      dims.push_back({0, extent - 1});
    // A tile of the innermost walked loop is in flight as a whole.
    inFlight = outer.empty() ? 1 : blocking.tile[outer.back()];
    readAt.resize(operands.size());
    writtenAt.resize(operands.size());
    std::function<void(unsigned)> visit = [&](unsigned i) {
      if (i == outer.size())
        return record(dims);
      for (int64_t v = 0; v < model.extents[outer[i]]; ++v) {
        dims[outer[i]] = {v, v};
        visit(i + 1);
      }
    };
    visit(0);
  }

  void record(ArrayRef<Interval> dims) {
    auto merge = [&](const SmallVector<Access> &accesses) {
      Interval all;
      for (const Access &access : accesses)
        all.merge(touched(access, dims));
      return all;
    };
    for (unsigned i = 0; i < operands.size(); ++i) {
      readAt[i].push_back(merge(reads[i]));
      writtenAt[i].push_back(merge(writes[i]));
    }
  }

  std::optional<Overlap> relate(unsigned in, unsigned out) const {
    int64_t positions = readAt[in].size();
    SmallVector<Interval> stillRead(positions + 1);
    for (int64_t k = positions; k-- > 0;) {
      stillRead[k] = stillRead[k + 1];
      stillRead[k].merge(readAt[in][k]);
    }
    int64_t inBytes = bytesOf(operands[in]), outBytes = bytesOf(operands[out]);
    int64_t below = INT64_MAX, above = INT64_MIN;
    Interval written;
    for (int64_t k = 0, next = 0; k < positions; ++k) {
      for (; next < std::min(positions, k + inFlight); ++next)
        written.merge(writtenAt[out][next]);
      if (stillRead[k].isEmpty() || written.isEmpty())
        continue;
      below = std::min(below, stillRead[k].low - (written.high + 1));
      above = std::max(above, stillRead[k].high + 1 - written.low);
    }
    below = std::clamp(below, -outBytes, inBytes);
    above = std::clamp(above, -outBytes, inBytes);
    if (below == -outBytes && above == inBytes)
      return std::nullopt;
    return Overlap{in, out, below, above};
  }

  const KernelModel &model;
  const Blocking &blocking;
  ArrayRef<MemRefType> operands;
  Accesses reads, writes;
  /// Per operand and position.
  SmallVector<SmallVector<Interval>> readAt, writtenAt;
  int64_t inFlight = 1;
};

} // namespace

SmallVector<Overlap> tinytrain::findOverlaps(const KernelModel &model, const Blocking &blocking,
                                             ArrayRef<MemRefType> operands) {
  return Analysis(model, blocking, operands).run();
}
