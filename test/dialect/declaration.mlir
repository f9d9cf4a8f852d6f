// The attributes of a signature may stand on a declaration, which has no body.
// RUN: tinytrain-opt %s | FileCheck %s

// CHECK: func.func private @step(tensor<4xf32> {tinytrain.needs_grad = true, tinytrain.param = "w"}) -> tensor<4xf32>
func.func private @step(tensor<4xf32> {tinytrain.param = "w", tinytrain.needs_grad = true}) -> tensor<4xf32>
