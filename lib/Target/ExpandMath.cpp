//===- ExpandMath.cpp - exp, log and fused multiply-add --------------------------===//
//
// No libm on a microcontroller, and not every FPU can round to an integer: only
// arithmetic, comparisons and conversions are used. Coefficients: Cephes expf and logf.
//
//===----------------------------------------------------------------------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"
#include "lib/Target/TargetInfo.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_EXPANDMATH
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

/// Arithmetic on f32 values or vectors of one type.
struct F32 {
  OpBuilder &b;
  Location loc;
  Type type;

  Type withElement(Type element) const {
    if (auto vector = dyn_cast<VectorType>(type))
      return vector.clone(element);
    return element;
  }
  Value constant(Type t, TypedAttr value) const {
    if (auto shaped = dyn_cast<VectorType>(t))
      return arith::ConstantOp::create(b, loc, shaped, DenseElementsAttr::get(shaped, value));
    return arith::ConstantOp::create(b, loc, value);
  }
  Value f(float value) const { return constant(type, b.getF32FloatAttr(value)); }
  Type intType() const { return withElement(b.getI32Type()); }
  Value i(int32_t value) const { return constant(intType(), b.getI32IntegerAttr(value)); }
  Value add(Value x, Value y) const { return arith::AddFOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) const { return arith::SubFOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) const { return arith::MulFOp::create(b, loc, x, y); }
  /// `x * y + z`, rounded once, on every target.
  Value fma(Value x, Value y, Value z) const { return math::FmaOp::create(b, loc, x, y, z); }
  Value select(Value c, Value x, Value y) const { return arith::SelectOp::create(b, loc, c, x, y); }
  Value less(Value x, Value y) const {
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, x, y);
  }
  /// Horner's scheme, highest coefficient first.
  Value polynomial(Value x, ArrayRef<float> coefficients) const {
    Value result = f(coefficients.front());
    for (float c : coefficients.drop_front())
      result = fma(result, x, f(c));
    return result;
  }
};

/// exp(x) = 2^n exp(r), n the integer nearest to x / ln 2.
struct ExpandExp : OpRewritePattern<math::ExpOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(math::ExpOp op, PatternRewriter &b) const override {
    F32 m{b, op.getLoc(), op.getType()};
    if (!getElementTypeOrSelf(op.getType()).isF32())
      return b.notifyMatchFailure(op, "not f32");
    Value x = op.getOperand();
    Value low = m.f(-87.3f), high = m.f(88.7f);
    x = m.select(m.less(x, low), low, x);
    x = m.select(m.less(high, x), high, x);
    Value scaled = m.mul(x, m.f(1.44269504f));
    Value half = m.select(m.less(scaled, m.f(0)), m.f(-0.5f), m.f(0.5f));
    Value n = arith::FPToSIOp::create(b, m.loc, m.intType(), m.add(scaled, half));
    Value whole = arith::SIToFPOp::create(b, m.loc, m.type, n);
    Value r = m.fma(whole, m.f(2.12194440e-4f), m.fma(whole, m.f(-0.693359375f), x));
    Value p = m.polynomial(r, {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                               4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f});
    p = m.add(m.fma(m.mul(p, r), r, r), m.f(1));
    // Twice 2^(n/2), so that n = 128 and n = -126 stay in range.
    Value lowHalf = arith::ShRSIOp::create(b, m.loc, n, m.i(1));
    Value highHalf = arith::SubIOp::create(b, m.loc, n, lowHalf);
    for (Value part : {lowHalf, highHalf}) {
      Value biased = arith::AddIOp::create(b, m.loc, part, m.i(127));
      Value bits = arith::ShLIOp::create(b, m.loc, biased, m.i(23));
      p = m.mul(p, arith::BitcastOp::create(b, m.loc, m.type, bits));
    }
    b.replaceOp(op, p);
    return success();
  }
};

/// log(x) = n ln 2 + log(r) with r in [sqrt(1/2), sqrt(2)), for positive normal x.
struct ExpandLog : OpRewritePattern<math::LogOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(math::LogOp op, PatternRewriter &b) const override {
    F32 m{b, op.getLoc(), op.getType()};
    if (!getElementTypeOrSelf(op.getType()).isF32())
      return b.notifyMatchFailure(op, "not f32");
    Value bits = arith::BitcastOp::create(b, m.loc, m.intType(), op.getOperand());
    // Moves the exponent's step from 1 to sqrt(1/2).
    Value shifted = arith::SubIOp::create(b, m.loc, bits, m.i(0x3f3504f3));
    Value n = arith::ShRSIOp::create(b, m.loc, shifted, m.i(23));
    Value exponent = arith::ShLIOp::create(b, m.loc, n, m.i(23));
    Value rBits = arith::SubIOp::create(b, m.loc, bits, exponent);
    Value r = m.sub(arith::BitcastOp::create(b, m.loc, m.type, rBits), m.f(1));
    Value z = m.mul(r, r);
    Value y = m.polynomial(r, {7.0376836292e-2f, -1.1514610310e-1f, 1.1676998740e-1f,
                               -1.2420140846e-1f, 1.4249322787e-1f, -1.6668057665e-1f,
                               2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f});
    y = m.mul(m.mul(y, r), z);
    Value whole = arith::SIToFPOp::create(b, m.loc, m.type, n);
    y = m.fma(whole, m.f(-2.12194440e-4f), y);
    y = m.fma(z, m.f(-0.5f), y);
    Value result = m.add(r, y);
    b.replaceOp(op, m.fma(whole, m.f(0.693359375f), result));
    return success();
  }
};

/// `x * y + z` in f64, rounded once to f32: the product is exact, and so is the error of the sum,
/// by Knuth's TwoSum. Where there is one, the sum's last bit is made odd, so that the second
/// rounding sees on which side of a tie the result lies (S. Boldo, G. Melquiond, "Emulation of
/// FMA and correctly rounded sums", IEEE Transactions on Computers 57, 2008).
void buildFusedMultiplyAdd(func::FuncOp function) {
  OpBuilder b = OpBuilder::atBlockBegin(function.addEntryBlock());
  Location loc = function.getLoc();
  SmallVector<Value> wide = llvm::map_to_vector(function.getArguments(), [&](Value v) -> Value {
    return arith::ExtFOp::create(b, loc, b.getF64Type(), v);
  });
  auto add = [&](Value x, Value y) -> Value { return arith::AddFOp::create(b, loc, x, y); };
  auto sub = [&](Value x, Value y) -> Value { return arith::SubFOp::create(b, loc, x, y); };
  auto compare = [&](arith::CmpFPredicate predicate, Value x, Value y) -> Value {
    return arith::CmpFOp::create(b, loc, predicate, x, y);
  };
  auto integer = [&](int64_t value) -> Value {
    return arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(value));
  };
  Value zero = arith::ConstantOp::create(b, loc, b.getF64FloatAttr(0));
  Value product = arith::MulFOp::create(b, loc, wide[0], wide[1]);
  Value sum = add(product, wide[2]), back = sub(sum, product);
  Value error = add(sub(product, sub(sum, back)), sub(wide[2], back));
  // Not true for infinities, whose error is no number.
  Value isInexact = compare(arith::CmpFPredicate::ONE, error, zero);
  Value bits = arith::BitcastOp::create(b, loc, b.getI64Type(), sum);
  Value isEven = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                       arith::AndIOp::create(b, loc, bits, integer(1)), integer(0));
  Value grows = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                      compare(arith::CmpFPredicate::OGT, error, zero),
                                      compare(arith::CmpFPredicate::OGT, sum, zero));
  Value odd = arith::AddIOp::create(
      b, loc, bits, arith::SelectOp::create(b, loc, grows, integer(1), integer(-1)));
  bits =
      arith::SelectOp::create(b, loc, arith::AndIOp::create(b, loc, isInexact, isEven), odd, bits);
  Value result = arith::BitcastOp::create(b, loc, b.getF64Type(), bits);
  func::ReturnOp::create(b, loc,
                         arith::TruncFOp::create(b, loc, b.getF32Type(), result).getResult());
}

struct ExpandMath : tinytrain::impl::ExpandMathBase<ExpandMath> {
  using ExpandMathBase::ExpandMathBase;

  void runOnOperation() override {
    std::optional<TargetInfo> info = lookupTarget(target);
    if (!info) {
      getOperation().emitError() << "unknown target '" << target << "'";
      return signalPassFailure();
    }
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandExp, ExpandLog>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    if (!info->hasFPU)
      callFusedMultiplyAdd();
  }

private:
  void callFusedMultiplyAdd() {
    SmallVector<math::FmaOp> ops;
    getOperation().walk([&](math::FmaOp op) {
      if (op.getType().isF32()) // such cores have no vectors
        ops.push_back(op);
    });
    if (ops.empty())
      return;
    OpBuilder b = OpBuilder::atBlockEnd(getOperation().getBody());
    Type f32 = b.getF32Type();
    auto function = func::FuncOp::create(b, getOperation().getLoc(), "fused_multiply_add",
                                         b.getFunctionType({f32, f32, f32}, f32));
    function.setPrivate();
    SymbolTable(getOperation()).insert(function); // under another name if that one is taken
    buildFusedMultiplyAdd(function);
    for (math::FmaOp op : ops) {
      b.setInsertionPoint(op);
      auto call = func::CallOp::create(b, op.getLoc(), function, op->getOperands());
      op.replaceAllUsesWith(call.getResult(0));
      op.erase();
    }
  }
};

} // namespace
