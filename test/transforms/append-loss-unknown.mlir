// RUN: tinytrain-opt %s --tinytrain-append-loss=loss=hinge --verify-diagnostics

// expected-error@+1 {{unknown loss 'hinge': expected cross_entropy or mse}}
func.func @step(%x: tensor<1x10xf32>) -> tensor<1x10xf32> {
  return %x : tensor<1x10xf32>
}
