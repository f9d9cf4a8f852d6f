// RUN: tinytrain-opt %s --tinytrain-autodiff --tinytrain-slice-sparse-updates --split-input-file --verify-diagnostics

// expected-error@+1 {{argument #0 trains channels that are not the first ones: permute the producing layer's channels so that they are}}
func.func @gap(%x: tensor<4xf32> {tinytrain.needs_grad = array<i64: 0, 2>}, %g: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<4xf32> {
  %0 = tinytrain.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
