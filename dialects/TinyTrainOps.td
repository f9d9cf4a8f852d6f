//===- TinyTrainOps.td - Operations of the tinytrain dialect -----*- tablegen -*-===//

#ifndef TINYTRAIN_OPS_TD
#define TINYTRAIN_OPS_TD

include "dialects/TinyTrainDialect.td"
include "dialects/TinyTrainInterfaces.td"
include "mlir/Dialect/Quant/IR/QuantBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

//===----------------------------------------------------------------------===//
// Types and base classes
//===----------------------------------------------------------------------===//

/// Values of the graph: f32, or int8 behind a quantized type.
def TT_Tensor : StaticShapeTensorOf<[F32, quant_QuantizedType]>;
def TT_FloatTensor : StaticShapeTensorOf<[F32]>;
def TT_QuantizedTensor : StaticShapeTensorOf<[quant_QuantizedType]>;
def TT_Scalar : 0DTensorOf<[F32]>;
/// A gradient: f32, or integers whose scale stands beside it.
def TT_GradientTensor : StaticShapeTensorOf<[F32, I8, I32]>;
/// 32 bits of a random generator.
def TT_RandomState : 0DTensorOf<[I32]>;
def TT_IndexTensor : StaticShapeTensorOf<[I8, I32]>;
def TT_AnyTensor : StaticShapeTensorOf<[F32, I8, I32, quant_QuantizedType]>;

class TT_Op<string mnemonic, list<Trait> traits = []>
    : Op<TinyTrain_Dialect, mnemonic, !listconcat([Pure], traits)> {
  let assemblyFormat = [{
    operands attr-dict `:` functional-type(operands, results)
  }];
}

/// The result shape follows from operands and attributes; quantized results
/// keep their own scale, so that only shapes are compared.
class TT_InferredOp<string mnemonic, list<Trait> traits = []>
    : TT_Op<mnemonic, !listconcat([InferTypeOpAdaptorWithIsCompatible], traits)> {
  let extraClassDefinition = [{
    bool $cppClass::isCompatibleReturnTypes(::mlir::TypeRange l, ::mlir::TypeRange r) {
      return ::tinytrain::haveSameShapes(l, r);
    }
  }];
}

/// `y[i] = f(x[i])`
class TT_UnaryOp<string mnemonic, list<Trait> traits = []>
    : TT_InferredOp<mnemonic, !listconcat([ElementwiseOp], traits)> {
  let arguments = (ins TT_Tensor:$input);
  let results = (outs TT_Tensor:$output);
}

/// `y[i] = f(a[i], b[i])`, both operands of the result's shape.
class TT_BinaryOp<string mnemonic, list<Trait> traits = []>
    : TT_InferredOp<mnemonic, !listconcat([ElementwiseOp, SameOperandsShape], traits)> {
  let arguments = (ins TT_Tensor:$lhs, TT_Tensor:$rhs);
  let results = (outs TT_Tensor:$output);
}

//===----------------------------------------------------------------------===//
// Convolution and matrix product
//===----------------------------------------------------------------------===//

defvar ConvAttributes = (ins
  DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$padding,
  DenseI64ArrayAttr:$dilations, DefaultValuedAttr<I64Attr, "1">:$groups);

def TT_Conv2DOp : TT_InferredOp<"conv2d", [
    KernelRoot, DeclareOpInterfaceMethods<ContractionOpInterface>]> {
  let summary = "2-D convolution (cross-correlation), NHWC by OHWI";
  let description = [{
    `y[n,p,q,o] = sum_{h,w,i} x[n, p*sh + h*dh - top, q*sw + w*dw - left, i] * weight[o,h,w,i]`

    Outside the image x is zero. `padding` is `[top, bottom, left, right]`.
    With `groups` > 1 the weight is `O x KH x KW x (I / groups)`; where
    `groups` equals both channel counts the convolution is *depthwise* and the
    weight is `1 x KH x KW x C`.

    A quantized input and weight give int32 sums of `(x - z_x) * w` with scale s_x * s_w[o];
    the weight's zero point is 0.

    ```mlir
    %y = tinytrain.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>,
        dilations = array<i64: 1, 1>} : (tensor<1x8x8x3xf32>, tensor<16x3x3x3xf32>) -> tensor<1x8x8x16xf32>
    ```
  }];
  let arguments = !con((ins TT_Tensor:$input, TT_Tensor:$weight), ConvAttributes);
  let results = (outs TT_Tensor:$output);
}

def TT_Conv2DInputGradOp : TT_Op<"conv2d_input_grad", [
    KernelRoot, DeclareOpInterfaceMethods<ContractionOpInterface>]> {
  let summary = "Adjoint of conv2d with respect to its input (transposed convolution)";
  let description = [{
    The gradient of `conv2d` in its input, as large as the result type says:
    `dx[n,y,x,i] = sum grad[n,p,q,o] * weight[o,h,w,i]` over all p, h with `p*sh + h*dh - top = y` and q, w
    likewise. Stride and dilation may not both exceed one along a dimension. Of int8 gradients
    and a quantized weight the sums are int32.
  }];
  let arguments = !con((ins TT_GradientTensor:$grad, TT_Tensor:$weight), ConvAttributes);
  let results = (outs TT_GradientTensor:$output);
  let hasVerifier = 1;
}

def TT_Conv2DWeightGradOp : TT_Op<"conv2d_weight_grad", [
    KernelRoot, DeclareOpInterfaceMethods<ContractionOpInterface>,
    DeclareOpInterfaceMethods<SliceableOpInterface>]> {
  let summary = "Adjoint of conv2d with respect to its weight (correlation of input and gradient)";
  let description = [{
    The result may hold fewer input channels than the convolution: then the
    input is the slice of the activation that was kept. Of a quantized input and int8 gradients
    the sums are int32.
  }];
  let arguments = !con((ins TT_Tensor:$input, TT_GradientTensor:$grad), ConvAttributes);
  let results = (outs TT_GradientTensor:$output);
  let hasVerifier = 1;
}

def TT_MatmulOp : TT_InferredOp<"matmul", [
    KernelRoot, DeclareOpInterfaceMethods<ContractionOpInterface>,
    DeclareOpInterfaceMethods<SliceableOpInterface>]> {
  let summary = "Matrix product of two matrices, or of two batches of matrices";
  let description = [{
    `y = op(lhs) * op(rhs)`, where `op` transposes the last two dimensions if
    `transpose_lhs` or `transpose_rhs` is set. A linear layer with a PyTorch
    weight `[out, in]` is `matmul %x, %w {transpose_rhs}`. Quantized operands as in `conv2d`; of
    one quantized and one f32 operand, a gradient, the result is the f32 product with `x - z_x`.
  }];
  let arguments = (ins TT_Tensor:$lhs, TT_Tensor:$rhs,
                       UnitAttr:$transpose_lhs, UnitAttr:$transpose_rhs);
  let results = (outs TT_Tensor:$output);
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

def TT_BiasAddOp : TT_InferredOp<"bias_add", [ElementwiseOp]> {
  let summary = "Adds a vector along the last dimension";
  let description = [{
    `y[..., c] = input[..., c] + bias[c]`
  }];
  let arguments = (ins TT_Tensor:$input, TT_Tensor:$bias);
  let results = (outs TT_Tensor:$output);
}

def TT_AddOp : TT_BinaryOp<"add", [Commutative]> {
  let summary = "Elementwise sum";
  let description = [{
    `y[i] = lhs[i] + rhs[i]`; the operands have one shape, `broadcast` makes them so.
    On quantized tensors, each with a scale of its own:
    `y = clamp(rne(f32(a - z_a) * f32(s_a / s_y) + f32(b - z_b) * f32(s_b / s_y)) + z_y)`, with
    f32 arithmetic that rounds after each operation.
  }];
  let hasFolder = 1;
}
def TT_SubOp : TT_BinaryOp<"sub"> {
  let summary = "Elementwise difference";
  let description = [{
    `y[i] = lhs[i] - rhs[i]`; the operands have one shape, `broadcast` makes them so.
  }];
  let hasFolder = 1;
}
def TT_MulOp : TT_BinaryOp<"mul", [Commutative]> {
  let summary = "Elementwise product";
  let description = [{
    `y[i] = lhs[i] * rhs[i]`; the operands have one shape, `broadcast` makes them so.
  }];
  let hasFolder = 1;
}
def TT_DivOp : TT_BinaryOp<"div"> {
  let summary = "Elementwise quotient";
  let description = [{
    `y[i] = lhs[i] / rhs[i]`; the operands have one shape, `broadcast` makes them so.
  }];
  let hasFolder = 1;
}

def TT_ScaleOp : TT_UnaryOp<"scale"> {
  let summary = "Product with a constant: `y = factor * x`";
  let description = [{
    `y[i] = factor * input[i]`. Two in a row merge.
  }];
  let arguments = (ins TT_Tensor:$input, F32Attr:$factor);
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}
def TT_ShiftOp : TT_UnaryOp<"shift"> {
  let summary = "Sum with a constant: `y = x + value`";
  let description = [{
    `y[i] = input[i] + value`. Two in a row merge.
  }];
  let arguments = (ins TT_Tensor:$input, F32Attr:$value);
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}
def TT_ExpOp : TT_UnaryOp<"exp"> {
  let summary = "Exponential (polynomial, within 2 ulp; no libm)";
  let description = [{
    `y[i] = e^input[i]`, by a polynomial after range reduction; saturates instead of
    overflowing at 88.7.
  }];
}
def TT_LogOp : TT_UnaryOp<"log"> {
  let summary = "Natural logarithm of positive normal numbers (polynomial; no libm)";
  let description = [{
    `y[i] = ln(input[i])`, by a polynomial after range reduction. Other inputs than positive
    normal numbers give an unspecified result.
  }];
}

def TT_ReluOp : TT_UnaryOp<"relu"> {
  let summary = "Rectified linear unit: `y = max(x, 0)`";
  let description = [{
    `y[i] = input[i] < 0 ? 0 : input[i]`, which keeps a NaN.
  }];
  let hasFolder = 1;
}
def TT_ClampOp : TT_UnaryOp<"clamp"> {
  let summary = "Clamp to an interval; ReLU6 is `clamp {min = 0, max = 6}`";
  let description = [{
    With `inclusive` the gradient passes at the bounds too, as for `torch.clamp`; then the
    adjoint keeps the input. Without, as for ReLU6, it keeps the output.
  }];
  let arguments = (ins TT_Tensor:$input, F32Attr:$min, F32Attr:$max, UnitAttr:$inclusive);
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def TT_ClampGradOp : TT_InferredOp<"clamp_grad", [ElementwiseOp]> {
  let summary = "Adjoint of relu and clamp: passes the gradient inside the interval";
  let description = [{
    `y = grad` where `min < result < max`, else 0: the subgradient PyTorch
    takes. `result` is the clamp's own result, so that its input need not be kept. With
    `inclusive` it is the clamp's input, and the bounds belong to the interval. For a quantized
    `result` the bounds are stored integers: those of the storage type's range are the adjoint of
    its saturation.
  }];
  let arguments = (ins TT_FloatTensor:$grad, TT_Tensor:$result, F32Attr:$min, F32Attr:$max,
                       UnitAttr:$inclusive);
  let results = (outs TT_FloatTensor:$output);
}

def TT_ClampMaskOp : TT_InferredOp<"clamp_mask", [KernelRoot]> {
  let summary = "Where relu and clamp pass the gradient, one bit per element";
  let description = [{
    Bit j of `y[b, c]` says whether `input[8 * b + j, c]` lies inside the interval, as
    `clamp_grad` means it. Rows behind the last one have zeros.
  }];
  let arguments = (ins TT_Tensor:$input, F32Attr:$min, F32Attr:$max, UnitAttr:$inclusive);
  let results = (outs TT_IndexTensor:$output);
  let hasVerifier = 1;
}

def TT_MaskGradOp : TT_InferredOp<"mask_grad", [ElementwiseOp]> {
  let summary = "Adjoint of relu and clamp by their mask: passes the gradient where the bit is set";
  let description = [{
    With all dimensions of `grad` but the last flattened to rows:
    `y[r, c] = grad[r, c]` where bit `r mod 8` of `mask[r floordiv 8, c]` is set, else 0.
  }];
  let arguments = (ins TT_FloatTensor:$grad, TT_IndexTensor:$mask);
  let results = (outs TT_FloatTensor:$output);
}

def TT_ChannelScaleOp : TT_InferredOp<"channel_scale", [ElementwiseOp]> {
  let summary = "Product with one constant per channel";
  let description = [{
    `y[..., c, ...] = factors[c] * input[..., c, ...]`, c being the index along dimension `axis`.
  }];
  let arguments = (ins TT_FloatTensor:$input, TT_FloatTensor:$factors, I64Attr:$axis);
  let results = (outs TT_FloatTensor:$output);
}

include "dialects/TinyTrainQuantizationOps.td"

//===----------------------------------------------------------------------===//
// Pooling
//===----------------------------------------------------------------------===//

defvar PoolAttributes = (ins
  DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
  DenseI64ArrayAttr:$padding);

def TT_MaxPoolOp : TT_InferredOp<"max_pool", [KernelRoot]> {
  let summary = "Maximum over windows, NHWC; padding counts as minus infinity";
  let description = [{
    `y[n,p,q,c]` is the largest `input[n, p*sh + h - top, q*sw + w - left, c]` over the
    window; a window lies at least partly in the image.
  }];
  let arguments = !con((ins TT_Tensor:$input), PoolAttributes);
  let results = (outs TT_Tensor:$output);
}

def TT_MaxPoolArgmaxOp : TT_InferredOp<"max_pool_argmax", [KernelRoot]> {
  let summary = "Position in each window of its first maximum, row major";
  let description = [{
    One byte per window is all that the adjoint of `max_pool` keeps of the
    forward pass. Windows have at most 127 elements.
  }];
  let arguments = !con((ins TT_Tensor:$input), PoolAttributes);
  let results = (outs TT_IndexTensor:$output);
  let hasVerifier = 1;
}

def TT_MaxPoolGradOp : TT_Op<"max_pool_grad", [KernelRoot]> {
  let summary = "Adjoint of max_pool: adds each gradient at its window's maximum";
  let description = [{
    Each gradient is added to the element of its window that `argmax` names.
  }];
  let arguments = !con((ins TT_FloatTensor:$grad, TT_IndexTensor:$argmax), PoolAttributes);
  let results = (outs TT_FloatTensor:$output);
  let hasVerifier = 1;
}

def TT_AvgPoolOp : TT_InferredOp<"avg_pool", [KernelRoot]> {
  let summary = "Mean over windows, NHWC; padding counts as zeros";
  let description = [{
    `y[n,p,q,c]` is the sum of the window, divided by its size. On quantized tensors the int32 sum
    of `x - z_x` is requantized by `f32(s_x / (s_y * size))`.
  }];
  let arguments = !con((ins TT_Tensor:$input), PoolAttributes);
  let results = (outs TT_Tensor:$output);
}

def TT_AvgPoolGradOp : TT_Op<"avg_pool_grad", [KernelRoot]> {
  let summary = "Adjoint of avg_pool: spreads each gradient over its window";
  let description = [{
    Each gradient, divided by the size of its window, is added to all its elements.
  }];
  let arguments = !con((ins TT_FloatTensor:$grad), PoolAttributes);
  let results = (outs TT_FloatTensor:$output);
  let hasVerifier = 1;
}

def TT_GlobalAvgPoolOp : TT_InferredOp<"global_avg_pool", [KernelRoot]> {
  let summary = "Mean over height and width: NHWC to NC";
  let description = [{
    `y[n,c] = sum_{h,w} input[n,h,w,c] / (H * W)`; quantized tensors as in `avg_pool`.
  }];
  let arguments = (ins TT_Tensor:$input);
  let results = (outs TT_Tensor:$output);
}

//===----------------------------------------------------------------------===//
// Shape
//===----------------------------------------------------------------------===//

def TT_ReshapeOp : TT_Op<"reshape"> {
  let summary = "The same elements, row major, in another shape (flatten, squeeze, view)";
  let description = [{
    A view: no element moves. Two in a row merge, one that changes nothing folds.
  }];
  let arguments = (ins TT_AnyTensor:$input);
  let results = (outs TT_AnyTensor:$output);
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def TT_TransposeOp : TT_InferredOp<"transpose"> {
  let summary = "Permutes dimensions: result dimension i is operand dimension permutation[i]";
  let description = [{
    `y[i0, i1, ...] = input` at the index whose component `permutation[k]` is `ik`. Two in a
    row merge; next to a matmul it becomes one of its flags.
  }];
  let arguments = (ins TT_Tensor:$input, DenseI64ArrayAttr:$permutation);
  let results = (outs TT_Tensor:$output);
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def TT_SliceOp : TT_InferredOp<"slice"> {
  let summary = "Strided sub-tensor";
  let description = [{
    `y[i] = input[offsets + strides * i]`, a copy, so that the rest of the input can die.
  }];
  let arguments = (ins TT_AnyTensor:$input, DenseI64ArrayAttr:$offsets,
                       DenseI64ArrayAttr:$sizes, DenseI64ArrayAttr:$strides);
  let results = (outs TT_AnyTensor:$output);
  let hasFolder = 1;
}

def TT_PadOp : TT_InferredOp<"pad"> {
  let summary = "Surrounds a tensor, and optionally spreads its elements, with a constant";
  let description = [{
    `low` and `high` elements are added at each end of a dimension, `interior`
    ones between two elements; none may be negative.
  }];
  let arguments = (ins TT_Tensor:$input, DenseI64ArrayAttr:$low, DenseI64ArrayAttr:$high,
                       DenseI64ArrayAttr:$interior, DefaultValuedAttr<F32Attr, "0.0f">:$value);
  let results = (outs TT_Tensor:$output);
  let hasFolder = 1;
}

def TT_ConcatOp : TT_InferredOp<"concat"> {
  let summary = "Joins tensors along one dimension";
  let description = [{
    Each input is copied to its place in the result.
  }];
  let arguments = (ins Variadic<TT_Tensor>:$inputs, I64Attr:$axis);
  let results = (outs TT_Tensor:$output);
  let hasFolder = 1;
}

def TT_BroadcastOp : TT_Op<"broadcast", [ElementwiseOp]> {
  let summary = "Repeats a tensor along new dimensions";
  let description = [{
    Operand dimension i is result dimension `dims[i]` (ascending, equal sizes);
    the other result dimensions repeat.
  }];
  let arguments = (ins TT_Tensor:$input, DenseI64ArrayAttr:$dims);
  let results = (outs TT_Tensor:$output);
  let hasVerifier = 1;
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Reductions, softmax and losses
//===----------------------------------------------------------------------===//

class TT_ReduceOp<string mnemonic, list<Trait> traits = []>
    : TT_InferredOp<mnemonic, !listconcat([KernelRoot], traits)> {
  let arguments = (ins TT_Tensor:$input, DenseI64ArrayAttr:$dims);
  let results = (outs TT_Tensor:$output);
}
def TT_ReduceSumOp : TT_InferredOp<"reduce_sum", [
    KernelRoot, DeclareOpInterfaceMethods<SliceableOpInterface>]> {
  let summary = "Sum over dimensions, which disappear";
  let description = [{
    The sum of the elements whose other indices agree; `dims` are ascending. Sums of int8
    gradients are int32.
  }];
  let arguments = (ins AnyTypeOf<[TT_Tensor, TT_GradientTensor]>:$input, DenseI64ArrayAttr:$dims);
  let results = (outs AnyTypeOf<[TT_Tensor, TT_GradientTensor]>:$output);
}
def TT_ReduceMeanOp : TT_ReduceOp<"reduce_mean"> {
  let summary = "Mean over dimensions, which disappear";
  let description = [{
    The mean of the elements whose other indices agree; `dims` are ascending.
  }];
}
def TT_ReduceMaxOp : TT_ReduceOp<"reduce_max"> {
  let summary = "Maximum over dimensions, which disappear";
  let description = [{
    The maximum of the elements whose other indices agree; `dims` are ascending.
  }];
}

def TT_SoftmaxOp : TT_InferredOp<"softmax"> {
  let summary = "Softmax over the last dimension, shifted by its maximum";
  let description = [{
    `y[..., c] = exp(x[..., c] - max) / sum_k exp(x[..., k] - max)`
  }];
  let arguments = (ins TT_Tensor:$input);
  let results = (outs TT_Tensor:$output);
}
def TT_SoftmaxGradOp : TT_InferredOp<"softmax_grad"> {
  let summary = "Adjoint of softmax: `y * (g - sum(g * y))`";
  let description = [{
    `result` is the softmax itself.
  }];
  let arguments = (ins TT_FloatTensor:$grad, TT_FloatTensor:$result);
  let results = (outs TT_FloatTensor:$output);
}
def TT_LogSoftmaxOp : TT_InferredOp<"log_softmax"> {
  let summary = "Logarithm of softmax over the last dimension";
  let description = [{
    `y[..., c] = x[..., c] - max - log(sum_k exp(x[..., k] - max))`
  }];
  let arguments = (ins TT_Tensor:$input);
  let results = (outs TT_Tensor:$output);
}
def TT_LogSoftmaxGradOp : TT_InferredOp<"log_softmax_grad"> {
  let summary = "Adjoint of log_softmax: `g - exp(y) * sum(g)`";
  let description = [{
    `result` is the log softmax itself.
  }];
  let arguments = (ins TT_FloatTensor:$grad, TT_FloatTensor:$result);
  let results = (outs TT_FloatTensor:$output);
}

def TT_CrossEntropyOp : TT_InferredOp<"cross_entropy"> {
  let summary = "Mean over the batch of -log softmax(logits)[label]";
  let description = [{
    Classes are counted from zero; a label out of range contributes zero.
  }];
  let arguments = (ins TT_FloatTensor:$logits, TT_IndexTensor:$labels);
  let results = (outs TT_Scalar:$loss);
}
def TT_CrossEntropyGradOp : TT_InferredOp<"cross_entropy_grad"> {
  let summary = "Adjoint of cross_entropy: `g * (softmax(logits) - onehot(label)) / N`";
  let description = [{
    `grad` is the gradient of the loss, a scalar.
  }];
  let arguments = (ins TT_Scalar:$grad, TT_FloatTensor:$logits, TT_IndexTensor:$labels);
  let results = (outs TT_FloatTensor:$output);
}
def TT_MSEOp : TT_InferredOp<"mse"> {
  let summary = "Mean squared error over all elements";
  let description = [{
    `sum (prediction - target)^2 / N`, N the number of elements.
  }];
  let arguments = (ins TT_FloatTensor:$prediction, TT_FloatTensor:$target);
  let results = (outs TT_Scalar:$loss);
}
def TT_MSEGradOp : TT_InferredOp<"mse_grad"> {
  let summary = "Adjoint of mse with respect to the prediction: `g * 2 (prediction - target) / N`";
  let description = [{
    `grad` is the gradient of the loss, a scalar.
  }];
  let arguments = (ins TT_Scalar:$grad, TT_FloatTensor:$prediction, TT_FloatTensor:$target);
  let results = (outs TT_FloatTensor:$output);
}

//===----------------------------------------------------------------------===//
// Updates
//===----------------------------------------------------------------------===//

def TT_SGDUpdateOp : TT_InferredOp<"sgd_update", [ElementwiseOp, InPlaceUpdate]> {
  let summary = "In-place gradient step: `param - lr * (grad + weight_decay * param)`";
  let description = [{
    The result takes the parameter's place; the pipeline fails where it would
    have to copy it. A gradient with a shorter last dimension updates the
    leading part of the parameter; the rest stays.

    A quantized parameter is stored integers p, rounded stochastically:
    `n = rne(u - lr * (grad + weight_decay * p))` with u from (-0.5, 0.5), then `p + n`, which
    saturates: int8 and int16 at the ends of their range, int32 at +-2^30. Of an int32 parameter n is at most
    2^29 in magnitude, and from 2^22 on its fraction is cut off instead of rounded. For the element
    of row-major index i in the gradient, modulo 2^32:
    `h = i * 0x9E3779B1 + random + stream * 0x85EBCA6B`, `h ^= h >> 16`, `h *= 0x7FEB352D`,
    `h ^= h >> 15`, `h *= 0x846CA68B`, `h ^= h >> 16`, and
    `u = (h >> 9) * 2^-23 + 2^-24 - 0.5`. A gradient of zero changes nothing.
  }];
  let arguments = (ins TT_Tensor:$param, TT_FloatTensor:$grad, TT_Scalar:$learning_rate,
                       Optional<TT_RandomState>:$random,
                       DefaultValuedAttr<F32Attr, "0.0f">:$weight_decay,
                       DefaultValuedAttr<I32Attr, "0">:$stream);
  let results = (outs TT_Tensor:$output);
  let hasVerifier = 1;
}

def TT_RoundMasterOp : TT_InferredOp<"round_master", [ElementwiseOp, InPlaceUpdate]> {
  let summary = "In-place copy of a master's values to the int8 parameter it stands for";
  let description = [{
    `y = clamp(rne(master))` of an f32 master in units of the parameter's stored integers; of an
    i16 master, which has 8 bits behind the point, `y = clamp(floor((master + 128) / 256))`.
    A master with a shorter last dimension covers the leading part of the parameter.
  }];
  let arguments = (ins TT_QuantizedTensor:$param, TT_Tensor:$master);
  let results = (outs TT_QuantizedTensor:$output);
}

def TT_NextRandomOp : TT_InferredOp<"next_random", [InPlaceUpdate, ElementwiseOp]> {
  let summary = "State of the random generator for the next step";
  let description = [{
    `1664525 * state + 1013904223` modulo 2^32.
  }];
  let arguments = (ins TT_RandomState:$state);
  let results = (outs TT_RandomState:$output);
}

def TT_MomentumUpdateOp : TT_InferredOp<"momentum_update", [ElementwiseOp, InPlaceUpdate]> {
  let summary = "In-place velocity step: `momentum * velocity + grad + weight_decay * param`";
  let description = [{
    PyTorch's SGD with momentum is this op followed by `sgd_update` with the
    new velocity as gradient. Of a parameter with a longer last dimension than
    the gradient, only the leading part is read.
  }];
  let arguments = (ins TT_FloatTensor:$velocity, TT_FloatTensor:$grad, TT_Tensor:$param,
                       F32Attr:$momentum,
                       DefaultValuedAttr<F32Attr, "0.0f">:$weight_decay);
  let results = (outs TT_FloatTensor:$output);
}

include "dialects/TinyTrainKernelOps.td"

#endif // TINYTRAIN_OPS_TD
