//===- ApplyOptimizer.cpp - Turns gradients into in-place updates ----------------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_APPLYOPTIMIZER
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

struct ApplyOptimizer : tinytrain::impl::ApplyOptimizerBase<ApplyOptimizer> {
  using ApplyOptimizerBase::ApplyOptimizerBase;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal())
      return;
    auto ret = cast<func::ReturnOp>(func.front().getTerminator());
    OpBuilder b(ret);
    if (!llvm::is_contained({"", "f32", "i16"}, StringRef(master))) {
      func.emitError() << "expects no master, or one of f32 or i16, got '" << master << "'";
      return signalPassFailure();
    }
    if (momentum < 0 || momentum >= 1 || weightDecay < 0) {
      func.emitError() << "expects momentum in [0, 1) and no negative weight decay, got "
                       << momentum << " and " << weightDecay;
      return signalPassFailure();
    }

    SmallVector<unsigned> gradients;
    for (unsigned i = 0; i < func.getNumResults(); ++i)
      if (func.getResultAttr(i, kGradientOf))
        gradients.push_back(i);
    if (gradients.empty())
      return;

    unsigned lrIndex = func.getNumArguments();
    if (failed(func.insertArgument(
            lrIndex, RankedTensorType::get({}, b.getF32Type()),
            DictionaryAttr::get(&getContext(), b.getNamedAttr(kLearningRate, b.getUnitAttr())),
            func.getLoc())))
      return signalPassFailure();
    Value lr = func.getArgument(lrIndex);
    random = nullptr;
    nextRandom = nullptr;
    stream = 0;

    for (unsigned i : gradients) {
      int64_t index = func.getResultAttrOfType<IntegerAttr>(i, kGradientOf).getInt();
      Value param = func.getArgument(index), grad = ret.getOperand(i);
      Location loc = grad.getLoc();
      if (updatesLast)
        b.setInsertionPoint(ret);
      else
        setInsertionPoint(b, param, grad);

      APFloat decay{static_cast<float>(weightDecay)};
      if (momentum > 0) {
        FailureOr<unsigned> state =
            addState(func, nameOf(func, index) + ".velocity", grad.getType());
        if (failed(state))
          return signalPassFailure();
        grad = MomentumUpdateOp::create(b, loc, func.getArgument(*state), grad, param,
                                        APFloat(static_cast<float>(momentum)), decay);
        decay = APFloat(0.0f);
        if (failed(addResult(func, ret, grad, *state)))
          return signalPassFailure();
      }
      FailureOr<Value> updated = update(b, func, ret, index, grad, lr, decay);
      if (failed(updated))
        return signalPassFailure();
      ret.setOperand(i, *updated);
      func.removeResultAttr(i, b.getStringAttr(kGradientOf));
      func.setResultAttr(i, kUpdateOf, b.getI64IntegerAttr(index));
    }
    // All updates read the state of this step.
    if (nextRandom)
      nextRandom->moveBefore(ret);
    // The gradient of a partly trained parameter is smaller than its new value.
    func.setFunctionType(
        FunctionType::get(&getContext(), func.getArgumentTypes(), ret.getOperandTypes()));
  }

private:
  /// Directly after the gradient, but not before the last read of the parameter.
  static void setInsertionPoint(OpBuilder &b, Value param, Value grad) {
    b.setInsertionPointAfterValue(grad);
    Operation *last = grad.getDefiningOp();
    for (Operation *user : param.getUsers())
      if (!user->hasTrait<OpTrait::IsTerminator>() && (!last || last->isBeforeInBlock(user)))
        last = user;
    if (last)
      b.setInsertionPointAfter(last);
  }

  /// The new value of parameter `index`.
  FailureOr<Value> update(OpBuilder &b, func::FuncOp func, func::ReturnOp ret, unsigned index,
                          Value grad, Value lr, APFloat decay) {
    Value param = func.getArgument(index);
    Location loc = grad.getLoc();
    quant::QuantizedType type = quantizedElement(param);
    if (!type)
      return SGDUpdateOp::create(b, loc, param, grad, lr, Value(), decay, 0).getResult();
    bool hasMaster = !master.empty() && type.getStorageType().isInteger(8);
    if (!(hasMaster && master == "f32") && !random && !(random = addRandomState(func, ret)))
      return failure();
    if (!hasMaster)
      return SGDUpdateOp::create(b, loc, param, grad, lr, random, decay, stream++).getResult();

    bool isFloat = master == "f32";
    auto gradType = cast<RankedTensorType>(grad.getType());
    RankedTensorType masterType = gradType;
    if (!isFloat) {
      masterType = gradType.clone(fineType(type));
      grad = ScaleOp::create(b, loc, grad, APFloat(float(kMasterUnits)));
    }
    FailureOr<unsigned> state = addState(func, nameOf(func, index) + ".master", masterType);
    if (failed(state))
      return failure();
    Value updated = SGDUpdateOp::create(b, loc, func.getArgument(*state), grad, lr,
                                        isFloat ? Value() : random, decay, isFloat ? 0 : stream++);
    if (failed(addResult(func, ret, updated, *state)))
      return failure();
    return RoundMasterOp::create(b, loc, param, updated).getResult();
  }

  /// int16 with 8 bits behind the point of the int8 type.
  static Type fineType(quant::QuantizedType type) {
    Type i16 = IntegerType::get(type.getContext(), 16);
    // Only arithmetic on the stored integers is done with it.
    double scale = scalesOf(type)[0] / kMasterUnits;
    return quant::UniformQuantizedType::get(quant::QuantizationFlags::Signed, i16,
                                            type.getExpressedType(), scale, 0, -32768, 32767);
  }

  LogicalResult addResult(func::FuncOp func, func::ReturnOp ret, Value value, unsigned argument) {
    Builder b(&getContext());
    NamedAttribute mark(b.getStringAttr(kUpdateOf), b.getI64IntegerAttr(argument));
    if (failed(func.insertResult(func.getNumResults(), value.getType(),
                                 DictionaryAttr::get(&getContext(), mark))))
      return failure();
    ret->insertOperands(ret.getNumOperands(), value);
    return success();
  }

  static std::string nameOf(func::FuncOp func, unsigned index) {
    auto param = func.getArgAttrOfType<StringAttr>(index, kParam);
    return param ? param.str() : "arg" + std::to_string(index);
  }

  /// Adds optimizer state as an argument and returns its number.
  FailureOr<unsigned> addState(func::FuncOp func, const Twine &name, Type type) {
    unsigned number = func.getNumArguments();
    NamedAttribute mark(StringAttr::get(&getContext(), kState),
                        StringAttr::get(&getContext(), name));
    if (failed(func.insertArgument(number, type, DictionaryAttr::get(&getContext(), mark),
                                   func.getLoc())))
      return failure();
    return number;
  }

  /// Adds the state of the random generator, which every step advances; null on failure.
  Value addRandomState(func::FuncOp func, func::ReturnOp ret) {
    auto type = RankedTensorType::get({}, IntegerType::get(&getContext(), 32));
    FailureOr<unsigned> number = addState(func, kRandomState, type);
    if (failed(number))
      return nullptr;
    Value state = func.getArgument(*number);
    OpBuilder b(ret);
    nextRandom = NextRandomOp::create(b, asBackward(func.getLoc()), state);
    return failed(addResult(func, ret, nextRandom->getResult(0), *number)) ? nullptr : state;
  }

  /// Units of an i16 master in one of its parameter's stored integers.
  static constexpr int kMasterUnits = 256;

  Value random;
  Operation *nextRandom = nullptr;
  int32_t stream = 0;
};

} // namespace
