//===- TinyTrainQuantizationOps.td - Changes of scale ------*- tablegen -*-===//
//
// Included by TinyTrainOps.td.
//
//===----------------------------------------------------------------------===//

#ifndef TINYTRAIN_QUANTIZATION_OPS_TD
#define TINYTRAIN_QUANTIZATION_OPS_TD

def TT_QuantizeOp : TT_Op<"quantize", [ElementwiseOp, SameOperandsAndResultShape]> {
  let summary = "Real numbers to stored integers";
  let description = [{
    `y = clamp(rne(x * f32(1 / s)) + z)`: the product is rounded to f32, then to the nearest
    integer, ties to even; the clamp is to the range of the storage type. Of not a number the
    result is unspecified.
  }];
  let arguments = (ins TT_FloatTensor:$input);
  let results = (outs TT_QuantizedTensor:$output);
  let hasVerifier = 1;
}

def TT_DequantizeOp : TT_Op<"dequantize", [ElementwiseOp, SameOperandsAndResultShape]> {
  let summary = "Stored integers to real numbers";
  let description = [{
    `y = f32(x - z) * f32(s)`
  }];
  let arguments = (ins TT_QuantizedTensor:$input);
  let results = (outs TT_FloatTensor:$output);
  let hasVerifier = 1;
}

def TT_RequantizeOp : TT_Op<"requantize", [ElementwiseOp]> {
  let summary = "Stored integers of one scale to those of another: ends an integer convolution";
  let description = [{
    `y = clamp(rne(f32(x - z_x) * m[c]) + z_y)` with `m[c] = f32(s_x[c] / s_y)`: the difference
    is rounded to f32, the product with m is exact, and one rounding to the nearest integer, ties
    to even, follows. The clamp is to the range of the storage type: where the zero point is the
    range's lower end it is a ReLU. `multipliers`, added when kernels are formed, holds m where it
    differs between channels.

    ```mlir
    %y = tinytrain.requantize %acc : (tensor<1x8x8x2x!quant.uniform<i32:f32:3, {1.0e-4, 2.0e-4}>>)
        -> tensor<1x8x8x2x!quant.uniform<i8:f32, 2.0e-2:-128>>
    ```
  }];
  let arguments = (ins TT_QuantizedTensor:$input, Optional<TT_FloatTensor>:$multipliers);
  let results = (outs TT_QuantizedTensor:$output);
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The factor of each channel, or one for all.
    ::llvm::SmallVector<float> computeMultipliers();
  }];
}

def TT_GradientScaleOp : TT_Op<"gradient_scale", [KernelRoot]> {
  let summary = "The scale at which int8 holds all of a gradient";
  let description = [{
    `y = max(max_i |x[i]|, 2^-100) * f32(1 / 127)`
  }];
  let arguments = (ins TT_FloatTensor:$input);
  let results = (outs TT_Scalar:$output);
}

def TT_QuantizeGradientOp : TT_Op<"quantize_gradient", [ElementwiseOp]> {
  let summary = "A gradient as int8 at a scale of the moment";
  let description = [{
    `y[i] = clamp(rne(x[i] * (1 / scale)), -127, 127)`
  }];
  let arguments = (ins TT_FloatTensor:$input, TT_Scalar:$scale);
  let results = (outs StaticShapeTensorOf<[I8]>:$output);
}

def TT_DequantizeGradientOp : TT_Op<"dequantize_gradient", [ElementwiseOp]> {
  let summary = "Integer sums of an int8 gradient as real numbers";
  let description = [{
    `y[i] = f32(x[i]) * scale`
  }];
  let arguments = (ins TT_GradientTensor:$input, TT_Scalar:$scale);
  let results = (outs TT_FloatTensor:$output);
}

#endif // TINYTRAIN_QUANTIZATION_OPS_TD
