//===- AppendLoss.cpp - Appends a loss to a forward graph ------------------------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_APPENDLOSS
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

struct AppendLoss : tinytrain::impl::AppendLossBase<AppendLoss> {
  using AppendLossBase::AppendLossBase;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal())
      return;
    auto ret = cast<func::ReturnOp>(func.front().getTerminator());
    if (ret.getNumOperands() != 1) {
      func.emitError() << "expects one result to compute a loss from, got " << ret.getNumOperands();
      return signalPassFailure();
    }
    Value prediction = ret.getOperand(0);
    auto type = dyn_cast<RankedTensorType>(prediction.getType());
    if (!type) {
      func.emitError() << "expects a tensor to compute a loss from, got " << prediction.getType();
      return signalPassFailure();
    }
    OpBuilder b(ret);

    RankedTensorType labelType;
    if (loss == "cross_entropy") {
      if (type.getRank() != 2) {
        func.emitError() << "cross_entropy expects logits of shape [batch, classes], got " << type;
        return signalPassFailure();
      }
      labelType = RankedTensorType::get({type.getDimSize(0)}, b.getI32Type());
    } else if (loss == "mse") {
      labelType = type;
    } else {
      func.emitError() << "unknown loss '" << loss << "': expected cross_entropy or mse";
      return signalPassFailure();
    }

    unsigned labelIndex = func.getNumArguments();
    auto labelAttr = DictionaryAttr::get(&getContext(), b.getNamedAttr(kLabel, b.getUnitAttr()));
    if (failed(func.insertArgument(labelIndex, labelType, labelAttr, func.getLoc())) ||
        failed(func.insertResult(
            0, RankedTensorType::get({}, b.getF32Type()),
            DictionaryAttr::get(&getContext(), b.getNamedAttr(kLoss, b.getUnitAttr())))))
      return signalPassFailure();

    Value label = func.getArgument(labelIndex);
    Value value = loss == "mse"
                      ? MSEOp::create(b, ret.getLoc(), prediction, label).getLoss()
                      : CrossEntropyOp::create(b, ret.getLoc(), prediction, label).getLoss();
    if (keepPrediction) {
      ret->setOperands({value, prediction});
      return;
    }
    ret->setOperands(value);
    if (failed(func.eraseResult(1)))
      signalPassFailure();
  }
};

} // namespace
