// RUN: tinytrain-opt %s --tinytrain-append-loss --split-input-file --verify-diagnostics

// expected-error@+1 {{expects one result to compute a loss from, got 2}}
func.func @two_results(%x: tensor<1x10xf32>) -> (tensor<1x10xf32>, tensor<1x10xf32>) {
  return %x, %x : tensor<1x10xf32>, tensor<1x10xf32>
}

// -----

// expected-error@+1 {{cross_entropy expects logits of shape [batch, classes], got 'tensor<1x2x2x10xf32>'}}
func.func @no_logits(%x: tensor<1x2x2x10xf32>) -> tensor<1x2x2x10xf32> {
  return %x : tensor<1x2x2x10xf32>
}
