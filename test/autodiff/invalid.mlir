// RUN: tinytrain-opt %s --tinytrain-autodiff --split-input-file --verify-diagnostics

// expected-error@+1 {{has nothing to differentiate: mark a scalar result with 'tinytrain.loss' or an argument with 'tinytrain.cotangent'}}
func.func @no_seed(%x: tensor<4xf32> {tinytrain.needs_grad = true}) -> tensor<4xf32> {
  %y = tinytrain.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @no_rule(%x: tensor<4x8xf32> {tinytrain.needs_grad = true}, %g: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<4xf32> {
  // expected-error@+1 {{'tinytrain.reduce_max' op has no derivative rule: freeze the parameters it depends on, or attach DifferentiableOpInterface to it}}
  %y = tinytrain.reduce_max %x {dims = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// Off the path an op needs no rule: here its operand depends on no argument with `needs_grad` ...
func.func @inactive(%x: tensor<4x8xf32>, %y: tensor<4xf32> {tinytrain.needs_grad = true}, %g: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<4xf32> {
  %0 = tinytrain.reduce_max %x {dims = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>
  %1 = tinytrain.mul %0, %y : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// -----

// ... and here no gradient flows into its result.
func.func @no_gradient(%x: tensor<1x4x4x2xf32> {tinytrain.needs_grad = true}, %g: tensor<1x4x4x2xf32> {tinytrain.cotangent = 0})
    -> (tensor<1x4x4x2xf32>, tensor<1x2x2x2xi8>) {
  %0 = tinytrain.max_pool_argmax %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<1x4x4x2xf32>) -> tensor<1x2x2x2xi8>
  %1 = tinytrain.exp %x : (tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xf32>
  return %1, %0 : tensor<1x4x4x2xf32>, tensor<1x2x2x2xi8>
}

// -----

// A second derivative: the adjoints have no rules.
func.func @adjoint(%x: tensor<4xf32> {tinytrain.needs_grad = true}, %g: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<4xf32> {
  // expected-error@+1 {{'tinytrain.clamp_grad' op has no derivative rule}}
  %y = tinytrain.clamp_grad %x, %x {min = 0.0 : f32, max = 6.0 : f32} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
