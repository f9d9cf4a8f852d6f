// RUN: tinytrain-opt %s --split-input-file --verify-diagnostics

func.func @half_quantized(%x: tensor<1x4x4x2x!quant.uniform<i8:f32, 0.02:5>>, %w: tensor<3x1x1x2xf32>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{'tinytrain.conv2d' op expects both operands quantized or none}}
  %0 = tinytrain.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>}
      : (tensor<1x4x4x2x!quant.uniform<i8:f32, 0.02:5>>, tensor<3x1x1x2xf32>) -> tensor<1x4x4x3xf32>
  return
}

// -----

func.func @weight_with_zero_point(%x: tensor<1x4x4x2x!quant.uniform<i8:f32, 0.02:5>>, %w: tensor<3x1x1x2x!quant.uniform<i8:f32, 0.5:1>>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{'tinytrain.conv2d' op expects a weight with zero point 0}}
  %0 = tinytrain.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>}
      : (tensor<1x4x4x2x!quant.uniform<i8:f32, 0.02:5>>, tensor<3x1x1x2x!quant.uniform<i8:f32, 0.5:1>>) -> tensor<1x4x4x3x!quant.uniform<i32:f32, 0.01>>
  return
}

// -----

func.func @unsigned(%x: tensor<4x!quant.uniform<u8:f32, 0.02:5>>) {
  // expected-error @+1 {{expects signed storage of 8 or 32 bit, uniform}}
  %0 = tinytrain.dequantize %x : (tensor<4x!quant.uniform<u8:f32, 0.02:5>>) -> tensor<4xf32>
  return
}

// -----

func.func @scales_for_other_channels(%x: tensor<4x3x!quant.uniform<i32:f32:1, {0.1, 0.2}>>) {
  // expected-error @+1 {{expects one scale per index of dimension 1 and one zero point for all}}
  %0 = tinytrain.requantize %x : (tensor<4x3x!quant.uniform<i32:f32:1, {0.1, 0.2}>>) -> tensor<4x3x!quant.uniform<i8:f32, 0.02>>
  return
}

// -----

func.func @no_random_state(%w: tensor<4x!quant.uniform<i8:f32, 0.02>>, %g: tensor<4xf32>, %lr: tensor<f32>) {
  // expected-error @+1 {{expects the state of the random generator for a quantized parameter, and for no other}}
  %0 = tinytrain.sgd_update %w, %g, %lr : (tensor<4x!quant.uniform<i8:f32, 0.02>>, tensor<4xf32>, tensor<f32>) -> tensor<4x!quant.uniform<i8:f32, 0.02>>
  return
}

// -----

func.func @integer_gradient_of_floats(%g: tensor<1x4x4x3xi8>, %w: tensor<3x1x1x2xf32>) {
  // expected-error @+1 {{expects f32 gradients and an f32 result, or int8 gradients, a quantized operand and an int32 result}}
  %0 = tinytrain.conv2d_input_grad %g, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>}
      : (tensor<1x4x4x3xi8>, tensor<3x1x1x2xf32>) -> tensor<1x4x4x2xf32>
  return
}

// -----

func.func @factors(%x: tensor<4x3xf32>, %f: tensor<4xf32>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{'tinytrain.channel_scale' op expects one factor per index of dimension 1}}
  %0 = tinytrain.channel_scale %x, %f {axis = 1 : i64} : (tensor<4x3xf32>, tensor<4xf32>) -> tensor<4x3xf32>
  return
}
