// RUN: tinytrain-opt %s --tinytrain-apply-optimizer=weight-decay=-0.5 --verify-diagnostics

// expected-error@+1 {{expects momentum in [0, 1) and no negative weight decay, got 0.000000e+00 and -5.000000e-01}}
func.func @step(%w: tensor<4xf32>, %dw: tensor<4xf32>) -> (tensor<4xf32> {tinytrain.gradient_of = 0}) {
  return %dw : tensor<4xf32>
}
