// RUN: tinytrain-opt %s --tinytrain-apply-qas --split-input-file | FileCheck %s

!w = tensor<2x1x1x3x!quant.uniform<i8:f32:0, {0.5, 0.25}>>
!b = tensor<2x!quant.uniform<i32:f32:0, {0.05, 0.1}>>

// Weights by s_w^-2, biases by (s_w s_x)^-2, channel by channel; floats stay.
// CHECK-LABEL: func.func @scaled
// CHECK-SAME: [[GW:%[a-z0-9]+]]: tensor<2x1x1x3xf32>, [[GB:%[a-z0-9]+]]: tensor<2xf32>, [[GF:%[a-z0-9]+]]: tensor<4xf32>
// CHECK-DAG: [[W:%.+]] = arith.constant dense<[4.000000e+00, 1.600000e+01]> : tensor<2xf32>
// CHECK-DAG: [[B:%.+]] = arith.constant dense<[4.000000e+02, 1.000000e+02]> : tensor<2xf32>
// CHECK-DAG: [[SW:%.+]] = tinytrain.channel_scale [[GW]], [[W]] {axis = 0 : i64}
// CHECK-DAG: [[SB:%.+]] = tinytrain.channel_scale [[GB]], [[B]] {axis = 0 : i64}
// CHECK: return [[SW]], [[SB]], [[GF]]
func.func @scaled(%w: !w, %b: !b, %f: tensor<4xf32>, %gw: tensor<2x1x1x3xf32>, %gb: tensor<2xf32>, %gf: tensor<4xf32>)
    -> (tensor<2x1x1x3xf32> {tinytrain.gradient_of = 0 : i64}, tensor<2xf32> {tinytrain.gradient_of = 1 : i64},
        tensor<4xf32> {tinytrain.gradient_of = 2 : i64}) {
  return %gw, %gb, %gf : tensor<2x1x1x3xf32>, tensor<2xf32>, tensor<4xf32>
}

// -----

!d = tensor<1x3x3x4x!quant.uniform<i8:f32:3, {0.5, 0.25, 0.125, 1.0}>>
!t = tensor<4x!quant.uniform<i8:f32, 0.1>>

// The leading channels of a depthwise weight have their own scales; one scale is one factor.
// CHECK-LABEL: func.func @leading_channels
// CHECK-DAG: [[D:%.+]] = arith.constant dense<[4.000000e+00, 1.600000e+01]> : tensor<2xf32>
// CHECK-DAG: tinytrain.channel_scale {{.*}}, [[D]] {axis = 3 : i64}
// CHECK-DAG: tinytrain.scale {{.*}} {factor = 1.000000e+02 : f32}
func.func @leading_channels(%d: !d, %t: !t, %gd: tensor<1x3x3x2xf32>, %gt: tensor<4xf32>)
    -> (tensor<1x3x3x2xf32> {tinytrain.gradient_of = 0 : i64}, tensor<4xf32> {tinytrain.gradient_of = 1 : i64}) {
  return %gd, %gt : tensor<1x3x3x2xf32>, tensor<4xf32>
}
