//===- TinyTrainOps.cpp - Shape inference and verifiers -------------------------===//

#include "dialects/TinyTrain.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace tinytrain;

bool tinytrain::haveSameShapes(TypeRange lhs, TypeRange rhs) {
  return lhs.size() == rhs.size() && llvm::all_of(llvm::zip(lhs, rhs), [](auto pair) {
           auto l = dyn_cast<ShapedType>(std::get<0>(pair));
           auto r = dyn_cast<ShapedType>(std::get<1>(pair));
           return l && r && l.getShape() == r.getShape();
         });
}

/// A type of int32 sums with these scales, along `axis` if there are several.
static Type accumulatorType(MLIRContext *context, ArrayRef<double> scales, int64_t axis) {
  Type i32 = IntegerType::get(context, 32), f32 = Float32Type::get(context);
  int64_t min = std::numeric_limits<int32_t>::min(), max = std::numeric_limits<int32_t>::max();
  unsigned flags = quant::QuantizationFlags::Signed;
  if (scales.size() == 1)
    return quant::UniformQuantizedType::get(flags, i32, f32, scales[0], 0, min, max);
  SmallVector<int64_t> zeroPoints(scales.size(), 0);
  return quant::UniformQuantizedPerAxisType::get(flags, i32, f32, scales, zeroPoints, axis, min,
                                                 max);
}

FailureOr<Window2D> tinytrain::getWindow(ArrayRef<int64_t> kernel, ArrayRef<int64_t> strides,
                                         ArrayRef<int64_t> padding, ArrayRef<int64_t> dilations,
                                         function_ref<InFlightDiagnostic()> emit) {
  if (strides.size() != 2 || padding.size() != 4 || dilations.size() != 2 || kernel.size() != 2)
    return emit() << "expects 2 kernel sizes, 2 strides, 4 paddings (top, bottom, left, right) and "
                     "2 dilations";
  Window2D w;
  for (unsigned d = 0; d < 2; ++d) {
    w.kernel[d] = kernel[d];
    w.stride[d] = strides[d];
    w.padLow[d] = padding[2 * d];
    w.padHigh[d] = padding[2 * d + 1];
    w.dilation[d] = dilations[d];
    if (w.kernel[d] < 1 || w.stride[d] < 1 || w.dilation[d] < 1 || w.padLow[d] < 0 ||
        w.padHigh[d] < 0)
      return emit() << "expects positive kernel sizes, strides and dilations and no negative "
                       "padding";
  }
  return w;
}

namespace {

using Emit = function_ref<InFlightDiagnostic()>;

ArrayRef<int64_t> shapeOf(Value value) { return cast<ShapedType>(value.getType()).getShape(); }

/// A tensor of `shape` with the element type of `like`.
Type tensorLike(Value like, ArrayRef<int64_t> shape) {
  return RankedTensorType::get(shape, cast<ShapedType>(like.getType()).getElementType());
}

/// Emits an op error at an optional location, for use in type inference.
auto errorAt(MLIRContext *context, std::optional<Location> loc, StringRef op) {
  return [context, loc, op]() {
    return emitError(loc ? *loc : UnknownLoc::get(context)) << "'tinytrain." << op << "' op ";
  };
}

LogicalResult inferConv(ArrayRef<int64_t> x, ArrayRef<int64_t> w, ArrayRef<int64_t> strides,
                        ArrayRef<int64_t> padding, ArrayRef<int64_t> dilations, int64_t groups,
                        Emit emit, SmallVector<int64_t> &y) {
  if (x.size() != 4 || w.size() != 4)
    return emit() << "expects an NHWC input and an OHWI weight of rank 4, got ranks " << x.size()
                  << " and " << w.size();
  FailureOr<Window2D> window = getWindow(w.slice(1, 2), strides, padding, dilations, emit);
  if (failed(window))
    return failure();
  int64_t channels;
  if (isDepthwise(groups, x[3], w)) {
    channels = groups;
  } else {
    if (groups < 1 || x[3] % groups || w[0] % groups || w[3] != x[3] / groups)
      return emit() << "expects " << x[3] << " input channels to match a weight of " << w[3]
                    << " input and " << w[0] << " output channels in " << groups << " groups";
    channels = w[0];
  }
  y = {x[0], window->positions(0, x[1]), window->positions(1, x[2]), channels};
  if (y[1] < 1 || y[2] < 1)
    return emit() << "has a window larger than the padded input of " << x[1] << "x" << x[2];
  return success();
}

/// The element type of a product of two tensors: `sum (x - z_x) * w`, with the scales of `w`
/// along the result's last dimension. The scales of `w` must lie along `outputAxis`.
FailureOr<Type> inferProduct(Value x, Value w, int64_t outputAxis, int64_t rank, Emit emit) {
  quant::QuantizedType qx = quantizedElement(x), qw = quantizedElement(w);
  if (!qx && !qw)
    return cast<ShapedType>(x.getType()).getElementType();
  if (!qx || !qw)
    return emit() << "expects both operands quantized or none, got " << x.getType() << " and "
                  << w.getType();
  for (quant::QuantizedType type : {qx, qw})
    if (!type.getStorageType().isInteger(8) || !type.isSigned() ||
        !isa<quant::UniformQuantizedType, quant::UniformQuantizedPerAxisType>(type))
      return emit() << "expects operands of signed 8 bit, uniform, got " << type;
  std::optional<int64_t> axis = quantizedAxis(qw);
  if (quantizedAxis(qx) || (axis && *axis != outputAxis))
    return emit() << "expects an input with one scale, and a weight with one or with one per "
                     "index of dimension "
                  << outputAxis << ", got " << x.getType() << " and " << w.getType();
  if (zeroPointOf(qw) != 0)
    return emit() << "expects a weight with zero point 0, got " << w.getType();
  SmallVector<double> scales = scalesOf(qw);
  for (double &scale : scales)
    scale *= scalesOf(qx)[0];
  return accumulatorType(x.getContext(), scales, rank - 1);
}

LogicalResult inferPool(ArrayRef<int64_t> x, ArrayRef<int64_t> kernel, ArrayRef<int64_t> strides,
                        ArrayRef<int64_t> padding, Emit emit, SmallVector<int64_t> &y) {
  if (x.size() != 4)
    return emit() << "expects an NHWC input of rank 4, got rank " << x.size();
  FailureOr<Window2D> window = getWindow(kernel, strides, padding, {1, 1}, emit);
  if (failed(window))
    return failure();
  for (unsigned d = 0; d < 2; ++d)
    if (window->padLow[d] >= kernel[d] || window->padHigh[d] >= kernel[d])
      return emit() << "expects a padding smaller than the kernel";
  y = {x[0], window->positions(0, x[1]), window->positions(1, x[2]), x[3]};
  if (y[1] < 1 || y[2] < 1)
    return emit() << "has a window larger than the padded input of " << x[1] << "x" << x[2];
  return success();
}

LogicalResult inferReduce(Value input, ArrayRef<int64_t> dims, Emit emit,
                          SmallVectorImpl<Type> &types) {
  ArrayRef<int64_t> x = shapeOf(input);
  if (!llvm::is_sorted(dims) || std::adjacent_find(dims.begin(), dims.end()) != dims.end() ||
      llvm::any_of(dims, [&](int64_t d) { return d < 0 || d >= int64_t(x.size()); }))
    return emit() << "expects ascending dims within [0, " << x.size() << ")";
  SmallVector<int64_t> y;
  for (auto [i, size] : llvm::enumerate(x))
    if (!llvm::is_contained(dims, int64_t(i)))
      y.push_back(size);
  types.push_back(tensorLike(input, y));
  return success();
}

LogicalResult expectSameShape(Value a, Value b, Emit emit) {
  if (shapeOf(a) == shapeOf(b))
    return success();
  return emit() << "expects operands of one shape, got " << a.getType() << " and " << b.getType();
}

LogicalResult verifyGradShape(ArrayRef<int64_t> expected, Value grad, Operation *op) {
  if (expected == shapeOf(grad))
    return success();
  return op->emitOpError() << "expects a gradient of shape [" << expected << "], got "
                           << grad.getType();
}

} // namespace

#define INFER(Op)                                                                                  \
  LogicalResult Op::inferReturnTypes(MLIRContext *context, std::optional<Location> location,       \
                                     Adaptor adaptor, SmallVectorImpl<Type> &types)

#define INFER_SAME_AS(Op, operand)                                                                 \
  INFER(Op) {                                                                                      \
    types.push_back(adaptor.operand().getType());                                                  \
    return success();                                                                              \
  }

INFER_SAME_AS(AddOp, getLhs)
INFER_SAME_AS(SubOp, getLhs)
INFER_SAME_AS(MulOp, getLhs)
INFER_SAME_AS(DivOp, getLhs)
INFER_SAME_AS(ScaleOp, getInput)
INFER_SAME_AS(ShiftOp, getInput)
INFER_SAME_AS(ExpOp, getInput)
INFER_SAME_AS(LogOp, getInput)
INFER_SAME_AS(ReluOp, getInput)
INFER_SAME_AS(ClampOp, getInput)
INFER_SAME_AS(SoftmaxOp, getInput)
INFER_SAME_AS(LogSoftmaxOp, getInput)

#define INFER_SAME_SHAPED(Op, a, b)                                                                \
  INFER(Op) {                                                                                      \
    if (failed(                                                                                    \
            expectSameShape(adaptor.a(), adaptor.b(),                                              \
                            errorAt(context, location, Op::getOperationName().drop_front(10)))))   \
      return failure();                                                                            \
    types.push_back(adaptor.a().getType());                                                        \
    return success();                                                                              \
  }

INFER_SAME_AS(NextRandomOp, getState)
INFER_SAME_SHAPED(ClampGradOp, getGrad, getResult)
INFER_SAME_SHAPED(SoftmaxGradOp, getGrad, getResult)
INFER_SAME_SHAPED(LogSoftmaxGradOp, getGrad, getResult)

/// True if `part` is the leading part of `whole` along the last dimension.
static bool isLeadingPart(ArrayRef<int64_t> part, ArrayRef<int64_t> whole) {
  return part.size() == whole.size() &&
         (part.empty() || (part.drop_back() == whole.drop_back() && part.back() <= whole.back()));
}

INFER(SGDUpdateOp) {
  if (!isLeadingPart(shapeOf(adaptor.getGrad()), shapeOf(adaptor.getParam())))
    return errorAt(context, location, "sgd_update")()
           << "expects a gradient of the shape of " << adaptor.getParam().getType()
           << ", or shorter along the last dimension, got " << adaptor.getGrad().getType();
  types.push_back(adaptor.getParam().getType());
  return success();
}

INFER(RoundMasterOp) {
  if (!isLeadingPart(shapeOf(adaptor.getMaster()), shapeOf(adaptor.getParam())))
    return errorAt(context, location, "round_master")()
           << "expects a master of the shape of " << adaptor.getParam().getType()
           << ", or shorter along the last dimension, got " << adaptor.getMaster().getType();
  types.push_back(adaptor.getParam().getType());
  return success();
}

INFER(MomentumUpdateOp) {
  ArrayRef<int64_t> velocity = shapeOf(adaptor.getVelocity());
  if (velocity != shapeOf(adaptor.getGrad()) ||
      !isLeadingPart(velocity, shapeOf(adaptor.getParam())))
    return errorAt(context, location, "momentum_update")()
           << "expects velocity and gradient of one shape, that of the parameter or shorter along "
              "the last dimension, got "
           << adaptor.getVelocity().getType() << ", " << adaptor.getGrad().getType() << " and "
           << adaptor.getParam().getType();
  types.push_back(adaptor.getVelocity().getType());
  return success();
}

SmallVector<unsigned> Conv2DWeightGradOp::getSlicedOperands() {
  ArrayRef<int64_t> x = shapeOf(getInput()), w = getOutput().getType().getShape();
  if (getGroups() == 1)
    return {0};
  // The channels of a depthwise convolution; those of a grouped one do not lead.
  return isDepthwise(getGroups(), x[3], w) ? SmallVector<unsigned>{0, 1} : SmallVector<unsigned>{};
}
/// Each gradient element meets each weight element of its channel once.
static int64_t macsOf(Value image, Value weight) {
  ArrayRef<int64_t> x = shapeOf(image);
  return x[0] * x[1] * x[2] * cast<ShapedType>(weight.getType()).getNumElements();
}
int64_t Conv2DOp::getNumMACs() { return macsOf(getOutput(), getWeight()); }
int64_t Conv2DInputGradOp::getNumMACs() { return macsOf(getGrad(), getWeight()); }
int64_t Conv2DWeightGradOp::getNumMACs() { return macsOf(getGrad(), getOutput()); }
int64_t MatmulOp::getNumMACs() {
  ArrayRef<int64_t> lhs = shapeOf(getLhs());
  return cast<ShapedType>(getOutput().getType()).getNumElements() *
         lhs[lhs.size() - (getTransposeLhs() ? 2 : 1)];
}

SmallVector<unsigned> MatmulOp::getSlicedOperands() {
  return getTransposeRhs() ? SmallVector<unsigned>{} : SmallVector<unsigned>{1};
}
SmallVector<unsigned> ReduceSumOp::getSlicedOperands() {
  int64_t last = int64_t(shapeOf(getInput()).size()) - 1;
  return llvm::is_contained(getDims(), last) ? SmallVector<unsigned>{} : SmallVector<unsigned>{0};
}
INFER_SAME_SHAPED(MSEGradOp, getPrediction, getTarget)

INFER(Conv2DOp) {
  SmallVector<int64_t> y;
  if (failed(inferConv(shapeOf(adaptor.getInput()), shapeOf(adaptor.getWeight()),
                       adaptor.getStrides(), adaptor.getPadding(), adaptor.getDilations(),
                       adaptor.getGroups(), errorAt(context, location, "conv2d"), y)))
    return failure();
  ArrayRef<int64_t> w = shapeOf(adaptor.getWeight());
  bool depthwise = isDepthwise(adaptor.getGroups(), shapeOf(adaptor.getInput())[3], w);
  FailureOr<Type> element = inferProduct(adaptor.getInput(), adaptor.getWeight(), depthwise ? 3 : 0,
                                         4, errorAt(context, location, "conv2d"));
  if (failed(element))
    return failure();
  types.push_back(RankedTensorType::get(y, *element));
  return success();
}

template <typename Op> static LogicalResult verifyInterval(Op op) {
  if (op.getMin() <= op.getMax())
    return success();
  return op.emitOpError() << "expects min <= max, got " << op.getMin().convertToFloat() << " and "
                          << op.getMax().convertToFloat();
}

INFER(ClampMaskOp) {
  ArrayRef<int64_t> x = shapeOf(adaptor.getInput());
  if (x.size() != 2)
    return errorAt(context, location, "clamp_mask")()
           << "expects rows of channels, got " << adaptor.getInput().getType();
  int64_t bytes = llvm::divideCeil(x[0], 8);
  types.push_back(RankedTensorType::get({bytes, x[1]}, IntegerType::get(context, 8)));
  return success();
}

LogicalResult ClampMaskOp::verify() {
  if (!getOutput().getType().getElementType().isInteger(8))
    return emitOpError() << "expects bytes of bits, got " << getOutput().getType();
  return verifyInterval(*this);
}

INFER(MaskGradOp) {
  ArrayRef<int64_t> grad = shapeOf(adaptor.getGrad()), mask = shapeOf(adaptor.getMask());
  auto emit = errorAt(context, location, "mask_grad");
  if (grad.empty())
    return emit() << "expects a gradient with channels, got a scalar";
  int64_t bytes = llvm::divideCeil(llvm::product_of(grad.drop_back()), 8);
  if (mask != ArrayRef<int64_t>{bytes, grad.back()} ||
      !cast<ShapedType>(adaptor.getMask().getType()).getElementType().isInteger(8))
    return emit() << "expects a mask of " << bytes << "x" << grad.back() << " bytes for "
                  << adaptor.getGrad().getType() << ", got " << adaptor.getMask().getType();
  types.push_back(adaptor.getGrad().getType());
  return success();
}

/// Integer gradients meet integers and give int32 sums.
template <typename Op> static LogicalResult verifyGradTypes(Op op, Value other) {
  Type grad = cast<ShapedType>(op.getGrad().getType()).getElementType(),
       result = op.getOutput().getType().getElementType();
  bool isInteger = grad.isInteger(8) && quantizedElement(other);
  if (isInteger ? result.isInteger(32) : grad.isF32() && result.isF32())
    return success();
  return op.emitOpError() << "expects f32 gradients and an f32 result, or int8 gradients, a "
                             "quantized operand and an int32 result, got "
                          << op.getGrad().getType() << ", " << other.getType() << " and "
                          << op.getOutput().getType();
}

LogicalResult Conv2DInputGradOp::verify() {
  SmallVector<int64_t> y;
  if (failed(inferConv(
          getOutput().getType().getShape(), shapeOf(getWeight()), getStrides(), getPadding(),
          getDilations(), getGroups(), [&] { return emitOpError(); }, y)))
    return failure();
  return failed(verifyGradShape(y, getGrad(), *this)) ? failure()
                                                      : verifyGradTypes(*this, getWeight());
}

LogicalResult Conv2DWeightGradOp::verify() {
  SmallVector<int64_t> y;
  if (failed(inferConv(
          shapeOf(getInput()), getOutput().getType().getShape(), getStrides(), getPadding(),
          getDilations(), getGroups(), [&] { return emitOpError(); }, y)))
    return failure();
  return failed(verifyGradShape(y, getGrad(), *this)) ? failure()
                                                      : verifyGradTypes(*this, getInput());
}

INFER(MatmulOp) {
  auto emit = errorAt(context, location, "matmul");
  SmallVector<int64_t> a(shapeOf(adaptor.getLhs())), b(shapeOf(adaptor.getRhs()));
  size_t rank = a.size();
  if (rank != b.size() || rank < 2 || rank > 3)
    return emit() << "expects two matrices or two batches of matrices, got ranks " << rank
                  << " and " << b.size();
  if (adaptor.getTransposeLhs())
    std::swap(a[rank - 2], a[rank - 1]);
  if (adaptor.getTransposeRhs())
    std::swap(b[rank - 2], b[rank - 1]);
  if (a[rank - 1] != b[rank - 2] || (rank == 3 && a[0] != b[0]))
    return emit() << "expects matching inner and batch dimensions, got "
                  << adaptor.getLhs().getType() << " and " << adaptor.getRhs().getType();
  a[rank - 1] = b[rank - 1];
  bool isAdjoint = !quantizedElement(adaptor.getLhs()) != !quantizedElement(adaptor.getRhs());
  FailureOr<Type> element = Type(Float32Type::get(context));
  if (!isAdjoint)
    element = inferProduct(adaptor.getLhs(), adaptor.getRhs(),
                           rank - (adaptor.getTransposeRhs() ? 2 : 1), rank, emit);
  if (failed(element))
    return failure();
  types.push_back(RankedTensorType::get(a, *element));
  return success();
}

INFER(BiasAddOp) {
  ArrayRef<int64_t> x = shapeOf(adaptor.getInput()), b = shapeOf(adaptor.getBias());
  if (x.empty() || b.size() != 1 || b[0] != x.back())
    return errorAt(context, location, "bias_add")()
           << "expects a vector as long as the last dimension of " << adaptor.getInput().getType()
           << ", got " << adaptor.getBias().getType();
  if (!quantizedElement(adaptor.getInput()) != !quantizedElement(adaptor.getBias()))
    return errorAt(context, location, "bias_add")()
           << "expects both operands quantized or none, got " << adaptor.getInput().getType()
           << " and " << adaptor.getBias().getType();
  types.push_back(adaptor.getInput().getType());
  return success();
}

INFER(ChannelScaleOp) {
  ArrayRef<int64_t> x = shapeOf(adaptor.getInput()), factors = shapeOf(adaptor.getFactors());
  uint64_t axis = adaptor.getAxis();
  if (axis >= x.size() || factors != ArrayRef<int64_t>(x[axis]))
    return errorAt(context, location, "channel_scale")()
           << "expects one factor per index of dimension " << axis << " of "
           << adaptor.getInput().getType() << ", got " << adaptor.getFactors().getType();
  types.push_back(adaptor.getInput().getType());
  return success();
}

LogicalResult ClampOp::verify() { return verifyInterval(*this); }

#define INFER_POOL(Op, name, element)                                                              \
  INFER(Op) {                                                                                      \
    SmallVector<int64_t> y;                                                                        \
    if (failed(inferPool(shapeOf(adaptor.getInput()), adaptor.getKernel(), adaptor.getStrides(),   \
                         adaptor.getPadding(), errorAt(context, location, name), y)))              \
      return failure();                                                                            \
    types.push_back(RankedTensorType::get(y, element));                                            \
    return success();                                                                              \
  }

INFER_POOL(MaxPoolOp, "max_pool", cast<ShapedType>(adaptor.getInput().getType()).getElementType())
INFER_POOL(AvgPoolOp, "avg_pool", cast<ShapedType>(adaptor.getInput().getType()).getElementType())
LogicalResult MaxPoolArgmaxOp::verify() {
  if (getKernel()[0] * getKernel()[1] > 127)
    return emitOpError() << "expects a window of at most 127 elements";
  return success();
}
INFER_POOL(MaxPoolArgmaxOp, "max_pool_argmax", IntegerType::get(context, 8))

LogicalResult MaxPoolGradOp::verify() {
  SmallVector<int64_t> y;
  if (failed(inferPool(
          getOutput().getType().getShape(), getKernel(), getStrides(), getPadding(),
          [&] { return emitOpError(); }, y)))
    return failure();
  if (getKernel()[0] * getKernel()[1] > 127)
    return emitOpError() << "expects a window of at most 127 elements";
  if (shapeOf(getArgmax()) != ArrayRef<int64_t>(y))
    return emitOpError() << "expects one argmax per window";
  return verifyGradShape(y, getGrad(), *this);
}

LogicalResult AvgPoolGradOp::verify() {
  SmallVector<int64_t> y;
  if (failed(inferPool(
          getOutput().getType().getShape(), getKernel(), getStrides(), getPadding(),
          [&] { return emitOpError(); }, y)))
    return failure();
  return verifyGradShape(y, getGrad(), *this);
}

INFER(GlobalAvgPoolOp) {
  ArrayRef<int64_t> x = shapeOf(adaptor.getInput());
  if (x.size() != 4)
    return errorAt(context, location, "global_avg_pool")()
           << "expects an NHWC input of rank 4, got " << adaptor.getInput().getType();
  types.push_back(tensorLike(adaptor.getInput(), {x[0], x[3]}));
  return success();
}

LogicalResult ReshapeOp::verify() {
  auto x = cast<RankedTensorType>(getInput().getType());
  auto y = cast<RankedTensorType>(getOutput().getType());
  if (x.getNumElements() == y.getNumElements() && x.getElementType() == y.getElementType())
    return success();
  return emitOpError() << "expects as many elements of the same type, got " << x << " and " << y;
}

INFER(TransposeOp) {
  ArrayRef<int64_t> x = shapeOf(adaptor.getInput()), p = adaptor.getPermutation();
  SmallVector<int64_t> sorted(p), y;
  llvm::sort(sorted);
  if (!llvm::equal(sorted, llvm::seq<int64_t>(0, x.size())))
    return errorAt(context, location, "transpose")()
           << "expects a permutation of " << x.size() << " dimensions";
  for (int64_t d : p)
    y.push_back(x[d]);
  types.push_back(tensorLike(adaptor.getInput(), y));
  return success();
}

INFER(SliceOp) {
  ArrayRef<int64_t> x = shapeOf(adaptor.getInput()), sizes = adaptor.getSizes();
  ArrayRef<int64_t> offsets = adaptor.getOffsets(), strides = adaptor.getStrides();
  bool fits = sizes.size() == x.size() && offsets.size() == x.size() && strides.size() == x.size();
  for (size_t i = 0; fits && i < x.size(); ++i)
    fits = offsets[i] >= 0 && sizes[i] > 0 && strides[i] > 0 &&
           offsets[i] + (sizes[i] - 1) * strides[i] < x[i];
  if (!fits)
    return errorAt(context, location, "slice")()
           << "expects offsets, sizes and strides inside " << adaptor.getInput().getType();
  Type type = adaptor.getInput().getType();
  for (auto [d, size] : llvm::enumerate(sizes))
    if (strides[d] == 1)
      type = sliceType(type, d, offsets[d], size);
  types.push_back(RankedTensorType::get(sizes, cast<RankedTensorType>(type).getElementType()));
  return success();
}

INFER(PadOp) {
  ArrayRef<int64_t> x = shapeOf(adaptor.getInput());
  ArrayRef<int64_t> low = adaptor.getLow(), high = adaptor.getHigh(),
                    interior = adaptor.getInterior();
  bool fits = low.size() == x.size() && high.size() == x.size() && interior.size() == x.size();
  SmallVector<int64_t> y;
  for (size_t i = 0; fits && i < x.size(); ++i) {
    fits = low[i] >= 0 && high[i] >= 0 && interior[i] >= 0;
    y.push_back(low[i] + high[i] + x[i] + interior[i] * (x[i] - 1));
  }
  if (!fits)
    return errorAt(context, location, "pad")()
           << "expects one non-negative low, high and interior padding per dimension";
  types.push_back(tensorLike(adaptor.getInput(), y));
  return success();
}

INFER(ConcatOp) {
  auto emit = errorAt(context, location, "concat");
  if (adaptor.getInputs().empty())
    return emit() << "expects at least one input";
  SmallVector<int64_t> y(shapeOf(adaptor.getInputs().front()));
  uint64_t axis = adaptor.getAxis();
  if (axis >= y.size())
    return emit() << "expects an axis within [0, " << y.size() << ")";
  y[axis] = 0;
  for (Value input : adaptor.getInputs()) {
    SmallVector<int64_t> x(shapeOf(input));
    if (x.size() != y.size())
      return emit() << "expects inputs of one rank";
    y[axis] += x[axis];
    x[axis] = y[axis];
    if (x != y)
      return emit() << "expects inputs that differ along the axis only";
  }
  types.push_back(tensorLike(adaptor.getInputs().front(), y));
  return success();
}

LogicalResult BroadcastOp::verify() {
  ArrayRef<int64_t> x = shapeOf(getInput()), y = shapeOf(getOutput()), dims = getDims();
  bool fits = dims.size() == x.size();
  for (size_t i = 0; fits && i < x.size(); ++i)
    fits = dims[i] >= 0 && dims[i] < int64_t(y.size()) && y[dims[i]] == x[i] &&
           (i == 0 || dims[i - 1] < dims[i]);
  if (fits)
    return success();
  return emitOpError() << "expects ascending dims that map " << getInput().getType() << " into "
                       << getOutput().getType();
}

INFER(ReduceSumOp) {
  if (failed(inferReduce(adaptor.getInput(), adaptor.getDims(),
                         errorAt(context, location, "reduce_sum"), types)))
    return failure();
  if (cast<ShapedType>(types[0]).getElementType().isInteger(8))
    types[0] = cast<RankedTensorType>(types[0]).clone(IntegerType::get(context, 32));
  return success();
}
INFER(ReduceMeanOp) {
  return inferReduce(adaptor.getInput(), adaptor.getDims(),
                     errorAt(context, location, "reduce_mean"), types);
}
INFER(ReduceMaxOp) {
  return inferReduce(adaptor.getInput(), adaptor.getDims(),
                     errorAt(context, location, "reduce_max"), types);
}

static LogicalResult checkLogits(Value logits, Value labels, Emit emit) {
  ArrayRef<int64_t> x = shapeOf(logits), l = shapeOf(labels);
  if (x.size() == 2 && l.size() == 1 && l[0] == x[0])
    return success();
  return emit() << "expects logits [N, classes] and N labels, got " << logits.getType() << " and "
                << labels.getType();
}

INFER(CrossEntropyOp) {
  if (failed(checkLogits(adaptor.getLogits(), adaptor.getLabels(),
                         errorAt(context, location, "cross_entropy"))))
    return failure();
  types.push_back(tensorLike(adaptor.getLogits(), {}));
  return success();
}
INFER(CrossEntropyGradOp) {
  if (failed(checkLogits(adaptor.getLogits(), adaptor.getLabels(),
                         errorAt(context, location, "cross_entropy_grad"))))
    return failure();
  types.push_back(adaptor.getLogits().getType());
  return success();
}
INFER(MSEOp) {
  if (failed(expectSameShape(adaptor.getPrediction(), adaptor.getTarget(),
                             errorAt(context, location, "mse"))))
    return failure();
  types.push_back(tensorLike(adaptor.getPrediction(), {}));
  return success();
}

#include "dialects/TinyTrainInterfaces.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/TinyTrainOps.cpp.inc"
