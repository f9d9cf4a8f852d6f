// RUN: tinytrain-opt %s --tinytrain-quantize-int8 --canonicalize --split-input-file --verify-diagnostics | FileCheck %s

!x = tensor<1x4x4x2x!quant.uniform<i8:f32, 0.02:3>>
!w = tensor<3x1x1x2x!quant.uniform<i8:f32:0, {0.5, 0.25, 0.125}>>
!y = tensor<1x4x4x3x!quant.uniform<i8:f32, 0.04:-128>>

// A convolution with bias and ReLU: int32 sums and a requantization. Input, weight and bias
// become stored integers, the bias at the scale of the sums.
// CHECK-LABEL: func.func @convolution
// CHECK-SAME: [[X:%[a-z0-9]+]]: tensor<1x4x4x2x!quant.uniform<i8:f32, 2.000000e-02:3>>
// CHECK-SAME: [[W:%[a-z0-9]+]]: tensor<3x1x1x2x!quant.uniform<i8:f32:0, {5.000000e-01,2.500000e-01,1.250000e-01}>> {tinytrain.param = "w"}
// CHECK-SAME: [[B:%[a-z0-9]+]]: tensor<3x!quant.uniform<i32:f32:0, {1.000000e-02,5.000000e-03,2.500000e-03}>> {tinytrain.param = "b"}
// CHECK: [[ACC:%.+]] = tinytrain.conv2d [[X]], [[W]]
// CHECK: [[SUM:%.+]] = tinytrain.bias_add [[ACC]], [[B]]
// CHECK: [[Y:%.+]] = tinytrain.requantize [[SUM]]
// CHECK-NOT: tinytrain.relu
// CHECK: [[REAL:%.+]] = tinytrain.dequantize [[Y]]
// CHECK: return [[REAL]]
func.func @convolution(%x: tensor<1x4x4x2xf32>, %w: tensor<3x1x1x2xf32> {tinytrain.param = "w"}, %b: tensor<3xf32> {tinytrain.param = "b"}) -> tensor<1x4x4x3xf32> {
  %0 = tinytrain.quantize %x : (tensor<1x4x4x2xf32>) -> !x
  %1 = tinytrain.dequantize %0 : (!x) -> tensor<1x4x4x2xf32>
  %2 = tinytrain.quantize %w : (tensor<3x1x1x2xf32>) -> !w
  %3 = tinytrain.dequantize %2 : (!w) -> tensor<3x1x1x2xf32>
  %4 = tinytrain.conv2d %1, %3 {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x4x4x2xf32>, tensor<3x1x1x2xf32>) -> tensor<1x4x4x3xf32>
  %5 = tinytrain.bias_add %4, %b : (tensor<1x4x4x3xf32>, tensor<3xf32>) -> tensor<1x4x4x3xf32>
  %6 = tinytrain.relu %5 : (tensor<1x4x4x3xf32>) -> tensor<1x4x4x3xf32>
  %7 = tinytrain.quantize %6 : (tensor<1x4x4x3xf32>) -> !y
  %8 = tinytrain.dequantize %7 : (!y) -> tensor<1x4x4x3xf32>
  return %8 : tensor<1x4x4x3xf32>
}

// -----

!x = tensor<1x4x4x2x!quant.uniform<i8:f32, 0.02:3>>
!p = tensor<1x2x2x2x!quant.uniform<i8:f32, 0.02:3>>
!s = tensor<1x4x4x2x!quant.uniform<i8:f32, 0.04>>
!m = tensor<1x2x!quant.uniform<i8:f32, 0.04>>

// Sums and means take quantized operands; a maximum runs before the dequantization, and what is
// quantized again at its own scale is the same.
// CHECK-LABEL: func.func @others
// CHECK: [[S:%.+]] = tinytrain.add %arg0, %arg0 : (tensor<1x4x4x2x!quant
// CHECK: [[M:%.+]] = tinytrain.global_avg_pool [[S]]
// CHECK: [[P:%.+]] = tinytrain.max_pool %arg0
// CHECK-NOT: tinytrain.quantize
// CHECK: return [[M]], [[P]]
func.func @others(%x: !x) -> (!m, !p) {
  %0 = tinytrain.dequantize %x : (!x) -> tensor<1x4x4x2xf32>
  %1 = tinytrain.add %0, %0 : (tensor<1x4x4x2xf32>, tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xf32>
  %2 = tinytrain.quantize %1 : (tensor<1x4x4x2xf32>) -> !s
  %3 = tinytrain.dequantize %2 : (!s) -> tensor<1x4x4x2xf32>
  %4 = tinytrain.global_avg_pool %3 : (tensor<1x4x4x2xf32>) -> tensor<1x2xf32>
  %5 = tinytrain.quantize %4 : (tensor<1x2xf32>) -> !m
  %6 = tinytrain.max_pool %0 {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<1x4x4x2xf32>) -> tensor<1x2x2x2xf32>
  %7 = tinytrain.quantize %6 : (tensor<1x2x2x2xf32>) -> !p
  return %5, %7 : !m, !p
}

// -----

!x = tensor<1x4x!quant.uniform<i8:f32, 0.02:3>>
!w = tensor<2x4x!quant.uniform<i8:f32, 0.5>>

// Sums that are not quantized again are int32 to the end.
// CHECK-LABEL: func.func @head
// CHECK: [[ACC:%.+]] = tinytrain.matmul %arg0, %arg1 {transpose_rhs}
// CHECK: [[SUM:%.+]] = tinytrain.bias_add [[ACC]], %arg2
// CHECK: tinytrain.dequantize [[SUM]]
func.func @head(%x: !x, %w: !w, %b: tensor<2xf32>) -> tensor<1x2xf32> {
  %0 = tinytrain.dequantize %x : (!x) -> tensor<1x4xf32>
  %1 = tinytrain.dequantize %w : (!w) -> tensor<2x4xf32>
  %2 = tinytrain.matmul %0, %1 {transpose_rhs} : (tensor<1x4xf32>, tensor<2x4xf32>) -> tensor<1x2xf32>
  %3 = tinytrain.bias_add %2, %b : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  return %3 : tensor<1x2xf32>
}

// -----

!x = tensor<1x4x4x2x!quant.uniform<i8:f32, 0.02:3>>

func.func @real_weight(%x: !x, %w: tensor<3x1x1x2xf32>) -> tensor<1x4x4x3xf32> {
  %0 = tinytrain.dequantize %x : (!x) -> tensor<1x4x4x2xf32>
  // expected-error @+1 {{reads a quantized input, but its weight is real: quantize the weight too, or leave the input in f32}}
  %1 = tinytrain.conv2d %0, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x4x4x2xf32>, tensor<3x1x1x2xf32>) -> tensor<1x4x4x3xf32>
  return %1 : tensor<1x4x4x3xf32>
}

// -----

!x = tensor<4x!quant.uniform<i8:f32, 0.1>>

func.func @range_beyond_the_clamp(%x: !x) -> !x {
  %0 = tinytrain.dequantize %x : (!x) -> tensor<4xf32>
  // expected-error @+1 {{has a quantized result whose range goes beyond its own}}
  %1 = tinytrain.clamp %0 {min = 0.0 : f32, max = 6.0 : f32} : (tensor<4xf32>) -> tensor<4xf32>
  %2 = tinytrain.quantize %1 : (tensor<4xf32>) -> !x
  return %2 : !x
}
