// Every folder and every canonicalization pattern, and where they do not apply.
// RUN: tinytrain-opt %s --canonicalize | FileCheck %s

// x + 0, 0 + x, x - 0, x * 1, 1 * x and x / 1 are x.
// CHECK-LABEL: func.func @neutral
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<4xf32>)
// CHECK-NOT: tinytrain.
// CHECK: return [[X]] : tensor<4xf32>
func.func @neutral(%x: tensor<4xf32>) -> tensor<4xf32> {
  %zero = arith.constant dense<0.0> : tensor<4xf32>
  %one = arith.constant dense<1.0> : tensor<4xf32>
  %0 = tinytrain.add %x, %zero : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %1 = tinytrain.add %zero, %0 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %2 = tinytrain.sub %1, %zero : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %3 = tinytrain.mul %2, %one : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %4 = tinytrain.mul %one, %3 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %5 = tinytrain.div %4, %one : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %5 : tensor<4xf32>
}

// 0 - x and 1 / x stay, and so does a constant that is not a splat.
// CHECK-LABEL: func.func @not_neutral
// CHECK: [[N:%.+]] = tinytrain.sub
// CHECK: [[Q:%.+]] = tinytrain.div {{.*}}, [[N]]
// CHECK: [[S:%.+]] = tinytrain.add [[Q]]
// CHECK: return [[S]]
func.func @not_neutral(%x: tensor<2xf32>) -> tensor<2xf32> {
  %zero = arith.constant dense<0.0> : tensor<2xf32>
  %one = arith.constant dense<1.0> : tensor<2xf32>
  %some = arith.constant dense<[0.0, 1.0]> : tensor<2xf32>
  %0 = tinytrain.sub %zero, %x : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  %1 = tinytrain.div %one, %0 : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  %2 = tinytrain.add %1, %some : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return %2 : tensor<2xf32>
}

// CHECK-LABEL: func.func @identities
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<4x6xf32>)
// CHECK-NOT: tinytrain.
// CHECK: return [[X]]
func.func @identities(%x: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %0 = tinytrain.scale %x {factor = 1.0 : f32} : (tensor<4x6xf32>) -> tensor<4x6xf32>
  %1 = tinytrain.shift %0 {value = 0.0 : f32} : (tensor<4x6xf32>) -> tensor<4x6xf32>
  // From minus to plus infinity.
  %2 = tinytrain.clamp %1 {min = 0xFF800000 : f32, max = 0x7F800000 : f32} : (tensor<4x6xf32>) -> tensor<4x6xf32>
  %3 = tinytrain.reshape %2 : (tensor<4x6xf32>) -> tensor<4x6xf32>
  %4 = tinytrain.transpose %3 {permutation = array<i64: 0, 1>} : (tensor<4x6xf32>) -> tensor<4x6xf32>
  %5 = tinytrain.slice %4 {offsets = array<i64: 0, 0>, sizes = array<i64: 4, 6>, strides = array<i64: 1, 1>} : (tensor<4x6xf32>) -> tensor<4x6xf32>
  %6 = tinytrain.pad %5 {low = array<i64: 0, 0>, high = array<i64: 0, 0>, interior = array<i64: 0, 0>} : (tensor<4x6xf32>) -> tensor<4x6xf32>
  %7 = tinytrain.concat %6 {axis = 0 : i64} : (tensor<4x6xf32>) -> tensor<4x6xf32>
  %8 = tinytrain.broadcast %7 {dims = array<i64: 0, 1>} : (tensor<4x6xf32>) -> tensor<4x6xf32>
  return %8 : tensor<4x6xf32>
}

// A half-open interval is a relu, not the identity.
// CHECK-LABEL: func.func @half_open
// CHECK: tinytrain.clamp
func.func @half_open(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = tinytrain.clamp %x {min = 0.0 : f32, max = 0x7F800000 : f32} : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// CHECK-LABEL: func.func @relu_of_relu
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<4xf32>)
// CHECK-NEXT: [[Y:%.+]] = tinytrain.relu [[X]]
// CHECK-NEXT: return [[Y]]
func.func @relu_of_relu(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = tinytrain.relu %x : (tensor<4xf32>) -> tensor<4xf32>
  %1 = tinytrain.relu %0 : (tensor<4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// 0.5 * 4 = 2
// CHECK-LABEL: func.func @merge_scales
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<4xf32>)
// CHECK-NEXT: [[Y:%.+]] = tinytrain.scale [[X]] {factor = 2.000000e+00 : f32}
// CHECK-NEXT: return [[Y]]
func.func @merge_scales(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = tinytrain.scale %x {factor = 0.5 : f32} : (tensor<4xf32>) -> tensor<4xf32>
  %1 = tinytrain.scale %0 {factor = 4.0 : f32} : (tensor<4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// 3 - 1 = 2
// CHECK-LABEL: func.func @merge_shifts
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<4xf32>)
// CHECK-NEXT: [[Y:%.+]] = tinytrain.shift [[X]] {value = 2.000000e+00 : f32}
// CHECK-NEXT: return [[Y]]
func.func @merge_shifts(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = tinytrain.shift %x {value = 3.0 : f32} : (tensor<4xf32>) -> tensor<4xf32>
  %1 = tinytrain.shift %0 {value = -1.0 : f32} : (tensor<4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// [0, inf) and [-1, 6] meet in [0, 6].
// CHECK-LABEL: func.func @clamp_of_relu
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<4xf32>)
// CHECK-NEXT: [[Y:%.+]] = tinytrain.clamp [[X]] {max = 6.000000e+00 : f32, min = 0.000000e+00 : f32}
// CHECK-NEXT: return [[Y]]
func.func @clamp_of_relu(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = tinytrain.relu %x : (tensor<4xf32>) -> tensor<4xf32>
  %1 = tinytrain.clamp %0 {min = -1.0 : f32, max = 6.0 : f32} : (tensor<4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// [-2, 4] and [1, 8] meet in [1, 4].
// CHECK-LABEL: func.func @clamp_of_clamp
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<4xf32>)
// CHECK-NEXT: [[Y:%.+]] = tinytrain.clamp [[X]] {max = 4.000000e+00 : f32, min = 1.000000e+00 : f32}
// CHECK-NEXT: return [[Y]]
func.func @clamp_of_clamp(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = tinytrain.clamp %x {min = -2.0 : f32, max = 4.0 : f32} : (tensor<4xf32>) -> tensor<4xf32>
  %1 = tinytrain.clamp %0 {min = 1.0 : f32, max = 8.0 : f32} : (tensor<4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// [0, 1] and [2, 3] do not meet: both clamps stay.
// CHECK-LABEL: func.func @clamps_apart
// CHECK-COUNT-2: tinytrain.clamp
func.func @clamps_apart(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = tinytrain.clamp %x {min = 0.0 : f32, max = 1.0 : f32} : (tensor<4xf32>) -> tensor<4xf32>
  %1 = tinytrain.clamp %0 {min = 2.0 : f32, max = 3.0 : f32} : (tensor<4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// CHECK-LABEL: func.func @merge_reshapes
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<4x6xf32>)
// CHECK-NEXT: [[Y:%.+]] = tinytrain.reshape [[X]] : (tensor<4x6xf32>) -> tensor<3x8xf32>
// CHECK-NEXT: return [[Y]]
func.func @merge_reshapes(%x: tensor<4x6xf32>) -> tensor<3x8xf32> {
  %0 = tinytrain.reshape %x : (tensor<4x6xf32>) -> tensor<24xf32>
  %1 = tinytrain.reshape %0 : (tensor<24xf32>) -> tensor<3x8xf32>
  return %1 : tensor<3x8xf32>
}

// There and back again is nothing.
// CHECK-LABEL: func.func @reshape_back
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<4x6xf32>)
// CHECK-NEXT: return [[X]]
func.func @reshape_back(%x: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %0 = tinytrain.reshape %x : (tensor<4x6xf32>) -> tensor<24xf32>
  %1 = tinytrain.reshape %0 : (tensor<24xf32>) -> tensor<4x6xf32>
  return %1 : tensor<4x6xf32>
}

// The permutations compose: dimension i of the result is dimension first[second[i]].
// first = [2, 0, 1], second = [0, 2, 1]: [2, 1, 0].
// CHECK-LABEL: func.func @merge_transposes
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<2x3x4xf32>)
// CHECK-NEXT: [[Y:%.+]] = tinytrain.transpose [[X]] {permutation = array<i64: 2, 1, 0>} : (tensor<2x3x4xf32>) -> tensor<4x3x2xf32>
// CHECK-NEXT: return [[Y]]
func.func @merge_transposes(%x: tensor<2x3x4xf32>) -> tensor<4x3x2xf32> {
  %0 = tinytrain.transpose %x {permutation = array<i64: 2, 0, 1>} : (tensor<2x3x4xf32>) -> tensor<4x2x3xf32>
  %1 = tinytrain.transpose %0 {permutation = array<i64: 0, 2, 1>} : (tensor<4x2x3xf32>) -> tensor<4x3x2xf32>
  return %1 : tensor<4x3x2xf32>
}

// CHECK-LABEL: func.func @transpose_back
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<2x3xf32>)
// CHECK-NEXT: return [[X]]
func.func @transpose_back(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = tinytrain.transpose %x {permutation = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %1 = tinytrain.transpose %0 {permutation = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// A mask and its adjoint stay, also where the mask is that of the gradient's own clamp.
// CHECK-LABEL: func.func @masks
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<8x4xf32>, [[G:%[a-z0-9]+]]: tensor<8x4xf32>)
// CHECK-NEXT: [[Y:%.+]] = tinytrain.relu [[X]]
// CHECK-NEXT: [[M:%.+]] = tinytrain.clamp_mask [[Y]]
// CHECK-NEXT: [[D:%.+]] = tinytrain.mask_grad [[G]], [[M]]
// CHECK-NEXT: [[E:%.+]] = tinytrain.mask_grad [[D]], [[M]]
// CHECK-NEXT: return [[E]]
func.func @masks(%x: tensor<8x4xf32>, %g: tensor<8x4xf32>) -> tensor<8x4xf32> {
  %y = tinytrain.relu %x : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %m = tinytrain.clamp_mask %y {min = 0.0 : f32, max = 0x7F800000 : f32} : (tensor<8x4xf32>) -> tensor<1x4xi8>
  %d = tinytrain.mask_grad %g, %m : (tensor<8x4xf32>, tensor<1x4xi8>) -> tensor<8x4xf32>
  %e = tinytrain.mask_grad %d, %m : (tensor<8x4xf32>, tensor<1x4xi8>) -> tensor<8x4xf32>
  return %e : tensor<8x4xf32>
}
