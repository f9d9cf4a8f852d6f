//===- SelectSaturation.cpp - Clamps that one instruction does -------------------===//

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
#define GEN_PASS_DEF_SELECTSATURATION
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

struct SelectSaturation : tinytrain::impl::SelectSaturationBase<SelectSaturation> {
  using SelectSaturationBase::SelectSaturationBase;

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
  }
};

} // namespace
