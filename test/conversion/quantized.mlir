// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg --split-input-file --verify-diagnostics | FileCheck %s

// Stored integers, int32 sums of x - z_x times w, and padding with the zero point.
// CHECK-LABEL: func.func @conv
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<1x4x4x2xi8>, [[W:%[a-z0-9]+]]: tensor<3x3x3x2xi8>) -> tensor<1x4x4x3xi32>
// CHECK: [[Z:%.+]] = arith.constant 5 : i8
// CHECK: tensor.pad [[X]] low[0, 1, 1, 0] high[0, 1, 1, 0]
// CHECK: tensor.yield [[Z]]
// CHECK: linalg.generic
// CHECK: [[XI:%.+]] = arith.extsi
// CHECK: [[D:%.+]] = arith.subi [[XI]], %c5_i32
// CHECK: [[WI:%.+]] = arith.extsi
// CHECK: [[P:%.+]] = arith.muli [[D]], [[WI]]
// CHECK: arith.addi {{.*}}, [[P]]
func.func @conv(%x: tensor<1x4x4x2x!quant.uniform<i8:f32, 0.02:5>>, %w: tensor<3x3x3x2x!quant.uniform<i8:f32, 0.5>>)
    -> tensor<1x4x4x3x!quant.uniform<i32:f32, 0.01>> {
  %0 = tinytrain.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>}
      : (tensor<1x4x4x2x!quant.uniform<i8:f32, 0.02:5>>, tensor<3x3x3x2x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x4x4x3x!quant.uniform<i32:f32, 0.01>>
  return %0 : tensor<1x4x4x3x!quant.uniform<i32:f32, 0.01>>
}

// -----

// One rounding: the product with 1.5 * 2^23 behind it; the bits are clamped as integers.
// CHECK-LABEL: func.func @requantize
// CHECK: [[M:%.+]] = arith.constant dense<[5.000000e-01, 2.500000e-01]> : tensor<2xf32>
// CHECK: linalg.generic {{.*}} ins({{.*}}, [[M]]
// CHECK-SAME: attrs = {tinytrain.exact}
// CHECK: [[F:%.+]] = arith.sitofp
// CHECK: [[V:%.+]] = math.fma [[F]], {{.*}}, %{{.*}} : f32
// CHECK: [[BITS:%.+]] = arith.bitcast [[V]] : f32 to i32
// CHECK: arith.maxsi [[BITS]]
// CHECK: arith.minsi
// CHECK: arith.trunci {{.*}} : i32 to i8
func.func @requantize(%x: tensor<4x2x!quant.uniform<i32:f32:1, {0.01, 0.005}>>) -> tensor<4x2x!quant.uniform<i8:f32, 0.02:-3>> {
  %0 = tinytrain.requantize %x : (tensor<4x2x!quant.uniform<i32:f32:1, {0.01, 0.005}>>) -> tensor<4x2x!quant.uniform<i8:f32, 0.02:-3>>
  return %0 : tensor<4x2x!quant.uniform<i8:f32, 0.02:-3>>
}

// -----

// Each product and the sum are rounded, in this order.
// CHECK-LABEL: func.func @add
// CHECK: linalg.generic {{.*}} attrs = {tinytrain.exact}
// CHECK-COUNT-2: arith.mulf
// CHECK: arith.addf
func.func @add(%x: tensor<4x!quant.uniform<i8:f32, 0.01:1>>, %y: tensor<4x!quant.uniform<i8:f32, 0.02>>) -> tensor<4x!quant.uniform<i8:f32, 0.03>> {
  %0 = tinytrain.add %x, %y : (tensor<4x!quant.uniform<i8:f32, 0.01:1>>, tensor<4x!quant.uniform<i8:f32, 0.02>>) -> tensor<4x!quant.uniform<i8:f32, 0.03>>
  return %0 : tensor<4x!quant.uniform<i8:f32, 0.03>>
}

// -----

func.func @unsigned(%x: tensor<4x!quant.uniform<u8:f32, 0.01:1>>) -> tensor<4x!quant.uniform<u8:f32, 0.03>> {
  // expected-error @+1 {{cannot compute with '!quant.uniform<u8:f32, 1.000000e-02:1>': quantize to signed integers with one zero point for all channels}}
  %0 = tinytrain.add %x, %x : (tensor<4x!quant.uniform<u8:f32, 0.01:1>>, tensor<4x!quant.uniform<u8:f32, 0.01:1>>) -> tensor<4x!quant.uniform<u8:f32, 0.03>>
  return %0 : tensor<4x!quant.uniform<u8:f32, 0.03>>
}

// -----

// Saturation masks and sums of int8 gradients need no scales: integers are compared and added.
// CHECK-LABEL: func.func @integers
// CHECK: arith.cmpi sgt, {{.*}}, %c-128_i8
// CHECK: arith.cmpi slt, {{.*}}, %c127_i8
// CHECK: arith.extsi {{.*}} : i8 to i32
// CHECK: arith.addi
func.func @integers(%g: tensor<8x2xf32>, %y: tensor<8x2x!quant.uniform<i8:f32, 0.01:1>>, %q: tensor<8x2xi8>) -> (tensor<8x2xf32>, tensor<2xi32>) {
  %0 = tinytrain.clamp_grad %g, %y {min = -128.0 : f32, max = 127.0 : f32} : (tensor<8x2xf32>, tensor<8x2x!quant.uniform<i8:f32, 0.01:1>>) -> tensor<8x2xf32>
  %1 = tinytrain.reduce_sum %q {dims = array<i64: 0>} : (tensor<8x2xi8>) -> tensor<2xi32>
  return %0, %1 : tensor<8x2xf32>, tensor<2xi32>
}
