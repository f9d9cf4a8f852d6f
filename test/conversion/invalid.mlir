// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg --verify-diagnostics

func.func @input_grad(%g: tensor<1x2x6x4xf32>, %w: tensor<4x3x3x3xf32>) -> tensor<1x8x8x3xf32> {
  // expected-error@+2 {{failed to legalize operation}}
  // expected-error@+1 {{'tinytrain.conv2d_input_grad' op has stride and dilation above one: spread the gradient with tinytrain.pad {interior} first}}
  %y = tinytrain.conv2d_input_grad %g, %w {strides = array<i64: 2, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 2, 1>} : (tensor<1x2x6x4xf32>, tensor<4x3x3x3xf32>) -> tensor<1x8x8x3xf32>
  return %y : tensor<1x8x8x3xf32>
}
