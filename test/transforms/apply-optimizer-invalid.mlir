// RUN: tinytrain-opt %s --tinytrain-apply-optimizer=momentum=1 --verify-diagnostics

// expected-error@+1 {{expects momentum in [0, 1) and no negative weight decay, got 1.000000e+00 and 0.000000e+00}}
func.func @step(%w: tensor<4xf32>, %dw: tensor<4xf32>) -> (tensor<4xf32> {tinytrain.gradient_of = 0}) {
  return %dw : tensor<4xf32>
}
