// A scale by one whose quantized result has another scale than its operand requantizes:
// it is no identity.
// RUN: tinytrain-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: func.func @requantize
// CHECK: [[Y:%.+]] = tinytrain.scale
// CHECK: return [[Y]] : tensor<4x!quant.uniform<i8:f32, 2.500000e-01>>
func.func @requantize(%x: tensor<4x!quant.uniform<i8:f32, 0.5>>) -> tensor<4x!quant.uniform<i8:f32, 0.25>> {
  %0 = tinytrain.scale %x {factor = 1.0 : f32} : (tensor<4x!quant.uniform<i8:f32, 0.5>>) -> tensor<4x!quant.uniform<i8:f32, 0.25>>
  return %0 : tensor<4x!quant.uniform<i8:f32, 0.25>>
}
