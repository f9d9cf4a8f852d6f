//===- SelectInstructions.cpp - What a few instructions of a core do -------------===//

#include "lib/Passes.h"
#include "lib/Target/InlineAssembly.h"
#include "lib/Target/TargetInfo.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_SELECTINSTRUCTIONS
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

/// `value` as `base + offset`, through additions of constants.
std::pair<Value, int64_t> splitOffset(Value value) {
  int64_t offset = 0;
  APInt constant;
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<arith::AddIOp, arith::SubIOp>(op) ||
        !matchPattern(op->getOperand(1), m_ConstantInt(&constant)))
      break;
    offset += isa<arith::AddIOp>(op) ? constant.getSExtValue() : -constant.getSExtValue();
    value = op->getOperand(0);
  }
  return {value, offset};
}

/// clamp(x, low, high) + c is clamp(x + c, low + c, high + c) where the sum saturates.
struct AddBeforeClamp : OpRewritePattern<arith::TruncIOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::TruncIOp op, PatternRewriter &b) const override {
    auto [clamped, offset] = splitOffset(op.getIn());
    auto min = clamped.getDefiningOp<arith::MinSIOp>();
    auto max = min ? min.getLhs().getDefiningOp<arith::MaxSIOp>() : nullptr;
    APInt low, high;
    if (!op.getIn().getType().isInteger(32) || offset == 0 || !max ||
        !matchPattern(min.getRhs(), m_ConstantInt(&high)) ||
        !matchPattern(max.getRhs(), m_ConstantInt(&low)))
      return b.notifyMatchFailure(op, "not an int32 clamped to constants, then shifted");
    int64_t newLow = low.getSExtValue() + offset, newHigh = high.getSExtValue() + offset;
    if (newLow != ~newHigh || !llvm::isPowerOf2_64(newHigh + 1) || !llvm::isInt<32>(offset))
      return b.notifyMatchFailure(op, "not the range of an integer type");
    auto constant = [&](int64_t value) -> Value {
      return arith::ConstantOp::create(b, op.getLoc(), b.getI32IntegerAttr(value));
    };
    Value sum = LLVM::SAddSat::create(b, op.getLoc(), max.getLhs(), constant(offset));
    sum = arith::MaxSIOp::create(b, op.getLoc(), sum, constant(newLow));
    sum = arith::MinSIOp::create(b, op.getLoc(), sum, constant(newHigh));
    b.replaceOpWithNewOp<arith::TruncIOp>(op, op.getType(), sum);
    return success();
  }
};

/// `value` modulo a power of two, where constants decide it.
std::optional<int64_t> remainderOf(Value value, int64_t modulus) {
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return constant.getSExtValue() & (modulus - 1);
  Operation *op = value.getDefiningOp();
  if (!op)
    return std::nullopt;
  if (isa<arith::IndexCastOp, arith::TruncIOp>(op))
    return remainderOf(op->getOperand(0), modulus);
  if (!isa<arith::AddIOp, arith::MulIOp, arith::AndIOp>(op))
    return std::nullopt;
  std::optional<int64_t> a = remainderOf(op->getOperand(0), modulus),
                         b = remainderOf(op->getOperand(1), modulus);
  if (isa<arith::MulIOp>(op) && (a == 0 || b == 0))
    return 0;
  if (isa<arith::AndIOp>(op) && b == modulus - 1)
    return a;
  if (!a || !b)
    return std::nullopt;
  int64_t result = isa<arith::AddIOp>(op) ? *a + *b : isa<arith::MulIOp>(op) ? *a * *b : *a & *b;
  return result & (modulus - 1);
}

/// A byte of which one bit is tested, and which one.
std::optional<std::pair<Value, int64_t>> testedBit(Value condition) {
  auto compare = condition.getDefiningOp<arith::CmpIOp>();
  if (!compare || compare.getPredicate() != arith::CmpIPredicate::ne ||
      !matchPattern(compare.getRhs(), m_Zero()))
    return std::nullopt;
  auto bit = compare.getLhs().getDefiningOp<arith::AndIOp>();
  if (!bit || !bit.getType().isInteger(8) || !matchPattern(bit.getRhs(), m_One()))
    return std::nullopt;
  auto shift = bit.getLhs().getDefiningOp<arith::ShRUIOp>();
  if (!shift)
    return std::make_pair(bit.getLhs(), int64_t(0));
  std::optional<int64_t> amount = remainderOf(shift.getRhs(), 8);
  if (!amount)
    return std::nullopt;
  return std::make_pair(shift.getLhs(), *amount);
}

/// Lets TST and VSEL choose between floats by a bit. LLVM would shift the bit to the sign and leave
/// no condition that VSEL takes. What it takes for two bits of a word is left as it is; the upper
/// one is never set.
void testBits(Operation *root) {
  DenseMap<Value, Value> words;
  root->walk([&](arith::SelectOp select) {
    auto tested = testedBit(select.getCondition());
    if (!select.getType().isF32() || !tested)
      return;
    auto [byte, number] = *tested;
    Location loc = select.getLoc();
    OpBuilder b(select);
    Type word = b.getI32Type();
    Value &wide = words[byte];
    if (!wide) {
      b.setInsertionPointAfterValue(byte);
      wide = arith::ExtUIOp::create(b, loc, word, byte);
      wide = opaque(b, loc, wide);
      b.setInsertionPoint(select);
    }
    Value bits = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(0x00010001 << number));
    Value zero = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(0));
    Value both = arith::AndIOp::create(b, loc, wide, bits);
    select.getConditionMutable().assign(
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, both, zero));
  });
}

/// An integer that is scaled and rounded: the bits of `float(value) * scale + magic`.
struct Scaled {
  arith::BitcastOp bits;
  math::FmaOp sum;
  Value value;

  static std::optional<Scaled> get(Operation *op) {
    auto bits = dyn_cast<arith::BitcastOp>(op);
    auto sum = bits ? bits.getIn().getDefiningOp<math::FmaOp>() : nullptr;
    auto real = sum ? sum.getA().getDefiningOp<arith::SIToFPOp>() : nullptr;
    if (!real || !bits.getType().isInteger(32) || !sum.getType().isF32() ||
        !real.getIn().getType().isInteger(32) || !sum->hasOneUse() ||
        !matchPattern(sum.getC(), m_Constant()))
      return std::nullopt;
    return Scaled{bits, sum, real.getIn()};
  }
};

/// True if an operand was computed by one of `ops`.
bool dependsOn(Operation *op, const DenseSet<Operation *> &ops) {
  return llvm::any_of(op->getOperands(),
                      [&](Value value) { return ops.contains(value.getDefiningOp()); });
}

/// Computes some of them at once: VMOV moves two integers to or from neighbouring registers of
/// floats, which LLVM does not know to use.
void scaleAtOnce(ArrayRef<Scaled> group) {
  unsigned n = group.size();
  Scaled back = group.back();
  Operation *last = back.bits;
  Location loc = last->getLoc();
  OpBuilder b(last);
  std::string text, constraints;
  llvm::raw_string_ostream asmText(text), list(constraints);
  SmallVector<Value> operands, scales;
  for (unsigned i = 0; i < n; ++i) {
    list << "=r,";
    Scaled scaled = group[i];
    operands.push_back(scaled.value);
    scales.push_back(scaled.sum.getB());
  }
  for (unsigned i = 0; i < n; ++i)
    list << i << ",";
  for (unsigned i = 0; i <= n; ++i)
    list << "t,";
  for (unsigned i = 0; i < 2 * n; ++i)
    list << (i ? "," : "") << "~{s" << i << "}";
  for (unsigned i = 0; i < n; i += 2)
    asmText << "vmov s" << i << ", s" << i + 1 << ", $" << n + i << ", $" << n + i + 1 << "\n";
  for (unsigned i = 0; i < n; ++i)
    asmText << "vcvt.f32.s32 s" << i << ", s" << i << "\n";
  for (unsigned i = 0; i < n; ++i)
    asmText << "vmov.f32 s" << n + i << ", $" << 3 * n << "\n";
  for (unsigned i = 0; i < n; ++i)
    asmText << "vfma.f32 s" << n + i << ", s" << i << ", $" << 2 * n + i << "\n";
  for (unsigned i = 0; i < n; i += 2)
    asmText << "vmov $" << i << ", $" << i + 1 << ", s" << n + i << ", s" << n + i + 1 << "\n";
  llvm::append_range(operands, scales);
  Scaled first = group.front();
  operands.push_back(first.sum.getC());
  auto type =
      LLVM::LLVMStructType::getLiteral(b.getContext(), SmallVector<Type>(n, b.getI32Type()));
  Value all = assembly(b, loc, type, operands, text, constraints);
  SmallVector<Value> results;
  for (unsigned i = 0; i < n; ++i)
    results.push_back(LLVM::ExtractValueOp::create(b, loc, all, i));
  // What was computed from the first ones ahead of the last one follows.
  DenseSet<Operation *> later;
  for (Scaled scaled : group.drop_back())
    later.insert(scaled.bits);
  SmallVector<Operation *> moved;
  for (Operation *op = first.bits->getNextNode(); op != last; op = op->getNextNode())
    if (dependsOn(op, later)) {
      later.insert(op);
      moved.push_back(op);
    }
  Operation *after = last;
  for (Operation *op : moved) {
    op->moveAfter(after);
    after = op;
  }
  for (unsigned i = 0; i < n; ++i) {
    Scaled scaled = group[i];
    scaled.bits.replaceAllUsesWith(results[i]);
    scaled.bits.erase();
  }
}

/// Groups of four or two of which none depends on another, with nothing between them that has
/// effects but loads.
void scaleInGroups(Block &block) {
  SmallVector<Scaled> waiting;
  DenseSet<Operation *> dependent; // on those that wait
  auto flush = [&] {
    ArrayRef<Scaled> rest(waiting);
    for (unsigned size : {4, 2})
      while (rest.size() >= size) {
        scaleAtOnce(rest.take_front(size));
        rest = rest.drop_front(size);
      }
    waiting.clear();
    dependent.clear();
  };
  for (Operation &op : llvm::make_early_inc_range(block)) {
    bool depends = dependsOn(&op, dependent);
    if (depends)
      dependent.insert(&op);
    std::optional<Scaled> scaled = Scaled::get(&op);
    if (!scaled) {
      if (op.getNumRegions() || (!isPure(&op) && !isa<memref::LoadOp, LLVM::LoadOp>(op)))
        flush();
      continue;
    }
    if (depends || (!waiting.empty() && waiting.front().sum.getC() != scaled->sum.getC()))
      flush();
    waiting.push_back(*scaled);
    dependent.insert(&op);
    if (waiting.size() == 4)
      flush();
  }
  flush();
}

/// LLVM makes a vector's conversion to float and its product with a power of two one VCVT with bits
/// behind the point, which it fails to encode (22.1, an assertion): it must not see both.
void separateConversions(Operation *root) {
  root->walk([](arith::MulFOp op) {
    if (!isa<VectorType>(op.getType()) ||
        llvm::none_of(op->getOperands(), [](Value v) { return matchPattern(v, m_Constant()); }))
      return;
    for (OpOperand &operand : op->getOpOperands())
      if (isa_and_nonnull<arith::SIToFPOp, arith::UIToFPOp>(operand.get().getDefiningOp())) {
        OpBuilder b(op);
        operand.set(opaque(b, op.getLoc(), operand.get(), /*constraints=*/"=w,0"));
      }
  });
}

struct SelectInstructions : tinytrain::impl::SelectInstructionsBase<SelectInstructions> {
  using SelectInstructionsBase::SelectInstructionsBase;

  void runOnOperation() override {
    std::optional<TargetInfo> info = lookupTarget(target);
    if (!info) {
      getOperation()->emitError() << "unknown target '" << target << "'";
      return signalPassFailure();
    }
    if (info->byteProducts == ByteProducts::VMLADAV)
      separateConversions(getOperation());
    if (info->byteProducts != ByteProducts::SMLAD)
      return;
    RewritePatternSet patterns(&getContext());
    patterns.add<AddBeforeClamp>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    testBits(getOperation());
    SmallVector<Block *> blocks;
    getOperation()->walk([&](Block *block) { blocks.push_back(block); });
    llvm::for_each(blocks, [](Block *block) { scaleInGroups(*block); });
  }
};

} // namespace
