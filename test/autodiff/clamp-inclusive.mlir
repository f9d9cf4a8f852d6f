// An inclusive clamp keeps its input: its output cannot tell a bound from what lies outside.
// RUN: tinytrain-opt %s --tinytrain-autodiff | FileCheck %s

// CHECK-LABEL: func.func @clamp
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK: tinytrain.clamp_grad [[G]], [[X]] {inclusive
func.func @clamp(%x: tensor<4xf32> {tinytrain.needs_grad = true},
                 %g: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<4xf32> {
  %0 = tinytrain.clamp %x {inclusive, min = 0.0 : f32, max = 6.0 : f32} : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
