// The conventional order, for comparison: all gradients, then all updates, unfused.
// RUN: tinytrain-opt %s --tinytrain-apply-optimizer=updates-last --tinytrain-fuse-ops=fuse=false | FileCheck %s

// CHECK-LABEL: func.func @step
// CHECK: tinytrain.kernel label "reduce_sum"
// CHECK: tinytrain.kernel label "reduce_sum"
// CHECK: tinytrain.kernel label "sgd_update"
// CHECK: tinytrain.kernel label "sgd_update"
func.func @step(%a: tensor<4xf32> {tinytrain.param = "a"}, %b: tensor<4xf32> {tinytrain.param = "b"},
                %x: tensor<2x4xf32>, %y: tensor<2x4xf32>)
    -> (tensor<4xf32> {tinytrain.gradient_of = 0}, tensor<4xf32> {tinytrain.gradient_of = 1}) {
  %0 = tinytrain.reduce_sum %x {dims = array<i64: 0>} : (tensor<2x4xf32>) -> tensor<4xf32>
  %1 = tinytrain.reduce_sum %y {dims = array<i64: 0>} : (tensor<2x4xf32>) -> tensor<4xf32>
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}
