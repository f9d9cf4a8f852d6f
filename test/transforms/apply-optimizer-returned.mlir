// The update stands before the end of the function where the parameter is returned too.
// RUN: tinytrain-opt %s --tinytrain-apply-optimizer | FileCheck %s

// CHECK-LABEL: func.func @step
// CHECK: [[NEW:%.+]] = tinytrain.sgd_update
// CHECK: return {{%[a-z0-9]+}}, [[NEW]]
func.func @step(%w: tensor<4xf32> {tinytrain.param = "w"}, %dw: tensor<4xf32>)
    -> (tensor<4xf32>, tensor<4xf32> {tinytrain.gradient_of = 0}) {
  return %w, %dw : tensor<4xf32>, tensor<4xf32>
}
