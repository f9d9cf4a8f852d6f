//===- SliceSparseUpdates.cpp - Gradients of partly trained parameters -----------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"

#include <cmath>

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_SLICESPARSEUPDATES
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

struct SliceSparseUpdates : tinytrain::impl::SliceSparseUpdatesBase<SliceSparseUpdates> {
  using SliceSparseUpdatesBase::SliceSparseUpdatesBase;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal())
      return;
    auto ret = cast<func::ReturnOp>(func.front().getTerminator());
    for (unsigned i = 0; i < func.getNumResults(); ++i) {
      auto arg = func.getResultAttrOfType<IntegerAttr>(i, kGradientOf);
      if (!arg)
        continue;
      FailureOr<int64_t> count = trainedChannels(func, arg.getInt());
      if (failed(count))
        return signalPassFailure();
      Value gradient = ret.getOperand(i);
      auto type = cast<RankedTensorType>(gradient.getType());
      if (type.getRank() == 0 || *count == type.getShape().back())
        continue;
      Value sliced = sliceProducer(gradient, *count);
      ret.setOperand(i, sliced);
      ++numSliced;
      numBytes += bytesOf(gradient) - bytesOf(sliced);
    }
    func.setFunctionType(
        FunctionType::get(&getContext(), func.getArgumentTypes(), ret.getOperandTypes()));
  }

private:
  /// How many of the leading channels of an argument are trained.
  static FailureOr<int64_t> trainedChannels(func::FuncOp func, unsigned arg) {
    auto type = cast<RankedTensorType>(func.getArgument(arg).getType());
    int64_t size = type.getRank() ? type.getShape().back() : 1;
    Attribute attr = func.getArgAttr(arg, kNeedsGrad);
    if (auto fraction = dyn_cast_or_null<FloatAttr>(attr))
      return std::clamp<int64_t>(std::llround(fraction.getValueAsDouble() * size), 1, size);
    auto channels = dyn_cast_or_null<DenseI64ArrayAttr>(attr);
    if (!channels)
      return size;
    if (channels.empty() || channels.asArrayRef().back() + 1 != channels.size())
      return func.emitError() << "argument #" << arg
                              << " trains channels that are not the first ones: permute the "
                                 "producing layer's channels so that they are";
    return channels.size();
  }

  static Value slice(OpBuilder &b, Value value, int64_t count) {
    auto type = cast<RankedTensorType>(value.getType());
    SmallVector<int64_t> offsets(type.getRank(), 0), strides(type.getRank(), 1);
    SmallVector<int64_t> sizes(type.getShape());
    sizes.back() = count;
    return SliceOp::create(b, value.getLoc(), value, offsets, sizes, strides);
  }

  /// The leading `count` channels of a gradient: computed as such where the op that produces it
  /// can, else cut off afterwards.
  static Value sliceProducer(Value gradient, int64_t count) {
    OpBuilder b(gradient.getContext());
    b.setInsertionPointAfterValue(gradient);
    Operation *producer = gradient.getDefiningOp();
    auto sliceable = dyn_cast_or_null<SliceableOpInterface>(producer);
    SmallVector<unsigned> operands;
    if (sliceable && producer->hasOneUse())
      operands = sliceable.getSlicedOperands();
    if (operands.empty())
      return slice(b, gradient, count);
    IRMapping map;
    Operation *clone = b.clone(*producer, map);
    for (unsigned i : operands) {
      // Directly behind the activation, so that the rest of it dies.
      OpBuilder::InsertionGuard guard(b);
      Value operand = producer->getOperand(i);
      b.setInsertionPointAfterValue(operand);
      clone->setOperand(i, slice(b, operand, count));
    }
    auto type = cast<RankedTensorType>(gradient.getType());
    SmallVector<int64_t> shape(type.getShape());
    shape.back() = count;
    clone->getResult(0).setType(RankedTensorType::get(shape, type.getElementType()));
    if (auto conv = dyn_cast<Conv2DWeightGradOp>(clone); conv && conv.getGroups() > 1)
      conv.setGroups(count);
    return clone->getResult(0);
  }
};

} // namespace
