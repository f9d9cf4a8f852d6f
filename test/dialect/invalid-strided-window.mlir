// A window larger than the padded input is an error whatever its stride.
// RUN: tinytrain-opt %s --split-input-file --verify-diagnostics

func.func @pool(%x: tensor<1x1x8x4xf32>) {
  // expected-error@+2 {{'tinytrain.max_pool' op has a window larger than the padded input of 1x8}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.max_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<1x1x8x4xf32>) -> tensor<1x1x4x4xf32>
  return
}

// -----

func.func @conv(%x: tensor<1x2x8x3xf32>, %w: tensor<4x3x3x3xf32>) {
  // expected-error@+2 {{'tinytrain.conv2d' op has a window larger than the padded input of 2x8}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.conv2d %x, %w {strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x2x8x3xf32>, tensor<4x3x3x3xf32>) -> tensor<1x1x3x4xf32>
  return
}
