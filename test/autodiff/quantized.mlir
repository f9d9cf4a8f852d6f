// RUN: tinytrain-opt %s --tinytrain-autodiff --canonicalize | FileCheck %s

!x = tensor<1x1x1x2x!quant.uniform<i8:f32, 0.5:5>>
!w = tensor<2x1x1x2x!quant.uniform<i8:f32:0, {0.5, 0.25}>>
!b = tensor<2x!quant.uniform<i32:f32:0, {0.25, 0.125}>>
!a = tensor<1x1x1x2x!quant.uniform<i32:f32:3, {0.25, 0.125}>>

// Gradients of stored integers: straight through the rounding, zero where it saturated, times
// s_x s_w / s_y.
// CHECK-LABEL: func.func @layer
// CHECK-SAME: [[G:%[a-z0-9]+]]: tensor<1x1x1x2xf32> {tinytrain.cotangent
// CHECK-DAG: [[M:%.+]] = arith.constant dense<[5.000000e-01, 2.500000e-01]> : tensor<2xf32>
// CHECK-DAG: [[Y:%.+]] = tinytrain.requantize
// CHECK: [[GY:%.+]] = tinytrain.scale [[G]] {factor = 5.000000e-01 : f32}
// CHECK: [[I:%.+]] = tinytrain.clamp_grad [[GY]], [[Y]] {max = 1.270000e+02 : f32, min = -1.280000e+02 : f32}
// CHECK: [[GA:%.+]] = tinytrain.channel_scale [[I]], [[M]] {axis = 3 : i64}
// CHECK: [[GB:%.+]] = tinytrain.reduce_sum [[GA]]
// CHECK: [[GW:%.+]] = tinytrain.conv2d_weight_grad {{.*}}, [[GA]] {{.*}} -> tensor<2x1x1x2xf32>
// CHECK: return {{.*}}, [[GW]], [[GB]]
func.func @layer(%x: !x, %w: !w {tinytrain.needs_grad = true}, %b: !b {tinytrain.needs_grad = true}, %g: tensor<1x1x1x2xf32> {tinytrain.cotangent = 0 : i64}) -> tensor<1x1x1x2xf32> {
  %0 = tinytrain.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (!x, !w) -> !a
  %1 = tinytrain.bias_add %0, %b : (!a, !b) -> !a
  %2 = tinytrain.requantize %1 : (!a) -> !x
  %3 = tinytrain.dequantize %2 : (!x) -> tensor<1x1x1x2xf32>
  return %3 : tensor<1x1x1x2xf32>
}
