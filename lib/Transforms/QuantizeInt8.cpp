//===- QuantizeInt8.cpp - From dequantize and quantize to int8 ops ---------------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_QUANTIZEINT8
#include "lib/Passes.h.inc"
} // namespace tinytrain

/// The stored integers behind a real value, null if it is not dequantized.
static Value integersOf(Value real) {
  auto op = real.getDefiningOp<DequantizeOp>();
  return op ? op.getInput() : Value();
}

/// True if all numbers of the quantized type lie between `min` and `max`, up to half a step.
static bool impliesClamp(quant::QuantizedType type, double min, double max) {
  if (quantizedAxis(type))
    return false;
  double scale = scalesOf(type)[0], zero = zeroPointOf(type);
  return (type.getStorageTypeMin() - zero) * scale >= min - scale / 2 &&
         (type.getStorageTypeMax() - zero) * scale <= max + scale / 2;
}

/// What a clamp, or several, that the range of `type` implies are applied to.
static Value behindClamps(Value real, quant::QuantizedType type) {
  while (Operation *op = real.getDefiningOp()) {
    double min = 0, max = std::numeric_limits<double>::infinity();
    if (auto clamp = dyn_cast<ClampOp>(op)) {
      min = clamp.getMin().convertToFloat();
      max = clamp.getMax().convertToFloat();
    } else if (!isa<ReluOp>(op)) {
      break;
    }
    if (!impliesClamp(type, min, max))
      break;
    real = op->getOperand(0);
  }
  return real;
}

/// The int32 sums of a convolution or matrix product of dequantized operands.
static Value integerProduct(OpBuilder &b, Value real) {
  Operation *op = real.getDefiningOp();
  if (!isa_and_nonnull<Conv2DOp, MatmulOp>(op))
    return nullptr;
  Value x = integersOf(op->getOperand(0)), w = integersOf(op->getOperand(1));
  if (!x || !w)
    return nullptr;
  if (auto conv = dyn_cast<Conv2DOp>(op))
    return Conv2DOp::create(b, op->getLoc(), x, w, conv.getStrides(), conv.getPadding(),
                            conv.getDilations(), conv.getGroups());
  auto matmul = cast<MatmulOp>(op);
  return MatmulOp::create(b, op->getLoc(), x, w, matmul.getTransposeLhs(),
                          matmul.getTransposeRhs());
}

/// The same with a bias, a parameter that nothing else reads.
static Value integerSum(OpBuilder &b, Value real) {
  auto biasAdd = real.getDefiningOp<BiasAddOp>();
  if (!biasAdd)
    return integerProduct(b, real);
  auto bias = dyn_cast<BlockArgument>(biasAdd.getBias());
  if (!bias || !bias.hasOneUse())
    return nullptr;
  Value sum = integerProduct(b, biasAdd.getInput());
  if (!sum)
    return nullptr;
  quant::QuantizedType type = quantizedElement(sum);
  Type element = type;
  if (auto perAxis = dyn_cast<quant::UniformQuantizedPerAxisType>(type))
    element = quant::UniformQuantizedPerAxisType::get(
        perAxis.getFlags(), perAxis.getStorageType(), perAxis.getExpressedType(),
        perAxis.getScales(), perAxis.getZeroPoints(), /*quantizedDimension=*/0,
        perAxis.getStorageTypeMin(), perAxis.getStorageTypeMax());
  bias.setType(cast<RankedTensorType>(bias.getType()).clone(element));
  return BiasAddOp::create(b, biasAdd.getLoc(), sum, bias);
}

namespace {

/// Integer ops in place of a real op whose result is quantized.
struct FoldIntoQuantize : OpRewritePattern<QuantizeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(QuantizeOp op, PatternRewriter &b) const override {
    quant::QuantizedType type = quantizedElement(op.getOutput());
    Value real = behindClamps(op.getInput(), type);
    Location loc = op.getLoc();
    Type result = op.getType();
    if (Value x = integersOf(real)) {
      if (x.getType() == result)
        b.replaceOp(op, x);
      else if (quantizedAxis(quantizedElement(x)) || quantizedAxis(type))
        return failure();
      else
        b.replaceOpWithNewOp<RequantizeOp>(op, result, x, Value());
      return success();
    }
    if (Value sum = integerSum(b, real)) {
      b.replaceOpWithNewOp<RequantizeOp>(op, result, sum, Value());
      return success();
    }
    Operation *def = real.getDefiningOp();
    if (!isa_and_nonnull<AddOp, AvgPoolOp, GlobalAvgPoolOp, ConcatOp>(def))
      return failure();
    SmallVector<Value> operands = llvm::map_to_vector(def->getOperands(), integersOf);
    if (llvm::is_contained(operands, Value()))
      return failure();
    // The parts of a concatenation have its scale.
    if (isa<ConcatOp>(def))
      for (Value &x : operands)
        if (quantizedElement(x) != type)
          x = RequantizeOp::create(b, loc, cast<RankedTensorType>(x.getType()).clone(Type(type)), x,
                                   Value());
    Operation *integer = b.clone(*def);
    integer->setOperands(operands);
    integer->getResult(0).setType(result);
    b.replaceOp(op, integer);
    return success();
  }
};

/// Ops that move or select elements run on the integers.
struct MoveBeforeDequantize : RewritePattern {
  explicit MoveBeforeDequantize(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &b) const override {
    if (!isa<MaxPoolOp, ReshapeOp, SliceOp, TransposeOp>(op))
      return failure();
    Value x = integersOf(op->getOperand(0));
    if (!x || quantizedAxis(quantizedElement(x)))
      return failure();
    Operation *integer = b.clone(*op);
    integer->setOperand(0, x);
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    integer->getResult(0).setType(type.clone(Type(quantizedElement(x))));
    b.replaceOpWithNewOp<DequantizeOp>(op, type, integer->getResult(0));
    return success();
  }
};

/// Sums that are not quantized again.
template <typename Op> struct DequantizeSum : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &b) const override {
    if (op->hasOneUse() && isa<BiasAddOp>(*op->user_begin()))
      return failure();
    Value sum = integerSum(b, op->getResult(0));
    if (!sum)
      return failure();
    b.replaceOpWithNewOp<DequantizeOp>(op, op.getType(), sum);
    return success();
  }
};

struct QuantizeInt8 : tinytrain::impl::QuantizeInt8Base<QuantizeInt8> {
  using QuantizeInt8Base::QuantizeInt8Base;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal())
      return;
    for (BlockArgument arg : func.getArguments())
      quantizeArgument(arg);
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldIntoQuantize, MoveBeforeDequantize>(&getContext());
    if (failed(applyPatternsGreedily(func, std::move(patterns))))
      return signalPassFailure();
    RewritePatternSet sums(&getContext());
    sums.add<DequantizeSum<BiasAddOp>, DequantizeSum<Conv2DOp>, DequantizeSum<MatmulOp>>(
        &getContext());
    if (failed(applyPatternsGreedily(func, std::move(sums))))
      return signalPassFailure();
    func.setFunctionType(FunctionType::get(&getContext(), func.front().getArgumentTypes(),
                                           func.front().getTerminator()->getOperandTypes()));
    if (failed(check(func)))
      return signalPassFailure();
  }

private:
  /// An argument that is only read quantized, in one way, holds the integers.
  static void quantizeArgument(BlockArgument arg) {
    Type type;
    for (Operation *user : arg.getUsers()) {
      auto quantize = dyn_cast<QuantizeOp>(user);
      if (!quantize || (type && type != quantize.getType()))
        return;
      type = quantize.getType();
    }
    if (!type)
      return;
    arg.setType(type);
    for (Operation *user : llvm::make_early_inc_range(arg.getUsers())) {
      user->getResult(0).replaceAllUsesWith(arg);
      user->erase();
    }
  }

  /// A convolution left between quantized values would run in f32 without anybody's wish.
  LogicalResult check(func::FuncOp func) {
    for (Operation &op : func.front()) {
      if (llvm::any_of(op.getOperandTypes(), [](Type type) {
            return isa<ShapedType>(type) && quantizedElement(type) != nullptr;
          }))
        ++numInteger;
      if (isa<Conv2DOp>(op) && integersOf(op.getOperand(0)))
        return op.emitOpError() << "reads a quantized input, but its weight is real: quantize the "
                                   "weight too, or leave the input in f32";
      auto quantize = dyn_cast<QuantizeOp>(op);
      Operation *clamp = quantize ? quantize.getInput().getDefiningOp() : nullptr;
      if (isa_and_nonnull<ReluOp, ClampOp>(clamp) && clamp->hasOneUse())
        return clamp->emitOpError() << "has a quantized result whose range goes beyond its own: "
                                       "calibrate with inputs for which it does not";
    }
    return success();
  }
};

} // namespace
