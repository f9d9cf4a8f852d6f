//===- ApplyQAS.cpp - Quantization-aware scaling ---------------------------------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_APPLYQAS
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

struct ApplyQAS : tinytrain::impl::ApplyQASBase<ApplyQAS> {
  using ApplyQASBase::ApplyQASBase;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal())
      return;
    auto ret = cast<func::ReturnOp>(func.front().getTerminator());
    for (unsigned i = 0; i < func.getNumResults(); ++i) {
      auto arg = func.getResultAttrOfType<IntegerAttr>(i, kGradientOf);
      if (!arg)
        continue;
      Value param = func.getArgument(arg.getInt());
      if (quant::QuantizedType type = quantizedElement(param)) {
        ret.setOperand(i, scale(ret.getOperand(i), type));
        ++numScaled;
      }
    }
  }

private:
  /// `gradient`, which may cover leading channels only, times s^-2.
  static Value scale(Value gradient, quant::QuantizedType type) {
    SmallVector<float> factors = llvm::map_to_vector(
        scalesOf(type), [](double s) { return float(std::min(1.0 / (s * s), 1e38)); });
    Location loc = gradient.getLoc();
    OpBuilder b(gradient.getContext());
    b.setInsertionPointAfterValue(gradient);
    std::optional<int64_t> axis = quantizedAxis(type);
    if (!axis)
      return ScaleOp::create(b, loc, gradient, APFloat(factors[0]));
    factors.resize(cast<RankedTensorType>(gradient.getType()).getDimSize(*axis));
    auto tableType = RankedTensorType::get({int64_t(factors.size())}, b.getF32Type());
    Value table = arith::ConstantOp::create(
        b, loc, tableType, DenseElementsAttr::get(tableType, ArrayRef<float>(factors)));
    return ChannelScaleOp::create(b, loc, gradient, table, *axis);
  }
};

} // namespace
