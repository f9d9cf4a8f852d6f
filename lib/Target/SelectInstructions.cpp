//===- SelectInstructions.cpp - What a few instructions of a core do -------------===//

#include "lib/Passes.h"
#include "lib/Target/TargetInfo.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
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
      wide = LLVM::InlineAsmOp::create(b, loc, word, wide, "", "=r,0", /*has_side_effects=*/false,
                                       /*is_align_stack=*/false, LLVM::TailCallKind::None,
                                       LLVM::AsmDialectAttr(), ArrayAttr())
                 .getResult(0);
      b.setInsertionPoint(select);
    }
    Value bits = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(0x00010001 << number));
    Value zero = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(0));
    Value both = arith::AndIOp::create(b, loc, wide, bits);
    select.getConditionMutable().assign(
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, both, zero));
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
    if (info->byteProducts != ByteProducts::SMLAD)
      return;
    RewritePatternSet patterns(&getContext());
    patterns.add<AddBeforeClamp>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
    testBits(getOperation());
  }
};

} // namespace
