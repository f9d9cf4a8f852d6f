// RUN: tinytrain-opt %s --tinytrain-quantize-gradients | FileCheck %s

!x = tensor<1x4x4x2x!quant.uniform<i8:f32, 0.02:3>>
!w = tensor<3x1x1x2x!quant.uniform<i8:f32:0, {0.5, 0.25, 0.125}>>

// One set of integers for both adjoints and the bias; sums are real again at its scale. A part of
// the gradient is a part of the integers.
// CHECK-LABEL: func.func @adjoints
// CHECK-SAME: [[X:%[a-z0-9]+]]: {{.*}}, [[W:%[a-z0-9]+]]: {{.*}}, [[G:%[a-z0-9]+]]: tensor<1x4x4x3xf32>
// CHECK: [[S:%.+]] = tinytrain.gradient_scale [[G]]
// CHECK: [[Q:%.+]] = tinytrain.quantize_gradient [[G]], [[S]]
// CHECK: [[DX:%.+]] = tinytrain.conv2d_input_grad [[Q]], [[W]] {{.*}} -> tensor<1x4x4x2xi32>
// CHECK: tinytrain.dequantize_gradient [[DX]], [[S]]
// CHECK: [[DW:%.+]] = tinytrain.conv2d_weight_grad [[X]], [[Q]] {{.*}} -> tensor<3x1x1x2xi32>
// CHECK: tinytrain.dequantize_gradient [[DW]], [[S]]
// CHECK: [[DB:%.+]] = tinytrain.reduce_sum [[Q]] {{.*}} -> tensor<3xi32>
// CHECK: tinytrain.dequantize_gradient [[DB]], [[S]]
func.func @adjoints(%x: !x, %w: !w, %g: tensor<1x4x4x3xf32>) -> (tensor<1x4x4x2xf32>, tensor<3x1x1x2xf32>, tensor<3xf32>) {
  %0 = tinytrain.conv2d_input_grad %g, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x4x4x3xf32>, !w) -> tensor<1x4x4x2xf32>
  %1 = tinytrain.conv2d_weight_grad %x, %g {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (!x, tensor<1x4x4x3xf32>) -> tensor<3x1x1x2xf32>
  %2 = tinytrain.reduce_sum %g {dims = array<i64: 0, 1, 2>} : (tensor<1x4x4x3xf32>) -> tensor<3xf32>
  return %0, %1, %2 : tensor<1x4x4x2xf32>, tensor<3x1x1x2xf32>, tensor<3xf32>
}

// The adjoints of a float convolution stay as they are.
// CHECK-LABEL: func.func @real
// CHECK-NOT: gradient
// CHECK: return
func.func @real(%w: tensor<3x1x1x2xf32>, %g: tensor<1x4x4x3xf32>) -> tensor<1x4x4x2xf32> {
  %0 = tinytrain.conv2d_input_grad %g, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x4x4x3xf32>, tensor<3x1x1x2xf32>) -> tensor<1x4x4x2xf32>
  return %0 : tensor<1x4x4x2xf32>
}
