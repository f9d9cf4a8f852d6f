// The VJPs of the ops that only move elements.
// RUN: tinytrain-opt %s --tinytrain-autodiff | FileCheck %s

// Back to the operand's shape.
// CHECK-LABEL: func.func @reshape
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4x6xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<24xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[RESHAPE:%[a-z0-9_]+]] = tinytrain.reshape [[X]] : {{.*}} -> tensor<24xf32>
// CHECK-NEXT: [[RESHAPE2:%[a-z0-9_]+]] = tinytrain.reshape [[G]] : {{.*}} -> tensor<4x6xf32>
// CHECK-NEXT: return [[RESHAPE]], [[RESHAPE2]]
func.func @reshape(%x: tensor<4x6xf32> {tinytrain.needs_grad = true}, %g: tensor<24xf32> {tinytrain.cotangent = 0}) -> tensor<24xf32> {
  %y = tinytrain.reshape %x : (tensor<4x6xf32>) -> tensor<24xf32>
  return %y : tensor<24xf32>
}

// The inverse of the permutation [2, 0, 1] is [1, 2, 0].
// CHECK-LABEL: func.func @transpose
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<2x3x4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4x2x3xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[TRANSPOSE:%[a-z0-9_]+]] = tinytrain.transpose [[X]] {permutation = array<i64: 2, 0, 1>}
// CHECK-NEXT: [[TRANSPOSE2:%[a-z0-9_]+]] = tinytrain.transpose [[G]] {permutation = array<i64: 1, 2, 0>}
// CHECK-NEXT: return [[TRANSPOSE]], [[TRANSPOSE2]]
func.func @transpose(%x: tensor<2x3x4xf32> {tinytrain.needs_grad = true}, %g: tensor<4x2x3xf32> {tinytrain.cotangent = 0}) -> tensor<4x2x3xf32> {
  %y = tinytrain.transpose %x {permutation = array<i64: 2, 0, 1>} : (tensor<2x3x4xf32>) -> tensor<4x2x3xf32>
  return %y : tensor<4x2x3xf32>
}

// Zeros come back where elements were left out: 4 - 1 - (2 - 1) * 1 - 1 = 1 behind the rows,
// 6 - 0 - (3 - 1) * 2 - 1 = 1 behind the columns and one between two of them.
// CHECK-LABEL: func.func @slice
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4x6xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<2x3xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[SLICE:%[a-z0-9_]+]] = tinytrain.slice [[X]] {offsets = array<i64: 1, 0>, sizes = array<i64: 2, 3>, strides = array<i64: 1, 2>}
// CHECK-NEXT: [[PAD:%[a-z0-9_]+]] = tinytrain.pad [[G]] {high = array<i64: 1, 1>, interior = array<i64: 0, 1>, low = array<i64: 1, 0>}
// CHECK-NEXT: return [[SLICE]], [[PAD]]
func.func @slice(%x: tensor<4x6xf32> {tinytrain.needs_grad = true}, %g: tensor<2x3xf32> {tinytrain.cotangent = 0}) -> tensor<2x3xf32> {
  %y = tinytrain.slice %x {offsets = array<i64: 1, 0>, sizes = array<i64: 2, 3>, strides = array<i64: 1, 2>} : (tensor<4x6xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// The padding takes no gradient: a slice with a stride of interior + 1.
// CHECK-LABEL: func.func @pad
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4x6xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<5x16xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[PAD:%[a-z0-9_]+]] = tinytrain.pad [[X]] {high = array<i64: 0, 3>, interior = array<i64: 0, 1>, low = array<i64: 1, 2>, value = 5.000000e+00 : f32}
// CHECK-NEXT: [[SLICE:%[a-z0-9_]+]] = tinytrain.slice [[G]] {offsets = array<i64: 1, 2>, sizes = array<i64: 4, 6>, strides = array<i64: 1, 2>}
// CHECK-NEXT: return [[PAD]], [[SLICE]]
func.func @pad(%x: tensor<4x6xf32> {tinytrain.needs_grad = true}, %g: tensor<5x16xf32> {tinytrain.cotangent = 0}) -> tensor<5x16xf32> {
  %y = tinytrain.pad %x {low = array<i64: 1, 2>, high = array<i64: 0, 3>, interior = array<i64: 0, 1>, value = 5.0 : f32} : (tensor<4x6xf32>) -> tensor<5x16xf32>
  return %y : tensor<5x16xf32>
}

// One slice per operand, at offsets 0 and 6.
// CHECK-LABEL: func.func @concat
// CHECK-SAME: [[A:%[a-z0-9_]+]]: tensor<4x6xf32>
// CHECK-SAME: [[B:%[a-z0-9_]+]]: tensor<4x2xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4x8xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[CONCAT:%[a-z0-9_]+]] = tinytrain.concat [[A]], [[B]] {axis = 1 : i64}
// CHECK-NEXT: [[SLICE:%[a-z0-9_]+]] = tinytrain.slice [[G]] {offsets = array<i64: 0, 0>, sizes = array<i64: 4, 6>, strides = array<i64: 1, 1>}
// CHECK-NEXT: [[SLICE2:%[a-z0-9_]+]] = tinytrain.slice [[G]] {offsets = array<i64: 0, 6>, sizes = array<i64: 4, 2>, strides = array<i64: 1, 1>}
// CHECK-NEXT: return [[CONCAT]], [[SLICE]], [[SLICE2]]
func.func @concat(%a: tensor<4x6xf32> {tinytrain.needs_grad = true}, %b: tensor<4x2xf32> {tinytrain.needs_grad = true}, %g: tensor<4x8xf32> {tinytrain.cotangent = 0}) -> tensor<4x8xf32> {
  %y = tinytrain.concat %a, %b {axis = 1 : i64} : (tensor<4x6xf32>, tensor<4x2xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// The new dimensions, 0 and 2, are summed.
// CHECK-LABEL: func.func @broadcast
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<2x4x3xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[BROADCAST:%[a-z0-9_]+]] = tinytrain.broadcast [[X]] {dims = array<i64: 1>} : {{.*}} -> tensor<2x4x3xf32>
// CHECK-NEXT: [[REDUCE_SUM:%[a-z0-9_]+]] = tinytrain.reduce_sum [[G]] {dims = array<i64: 0, 2>}
// CHECK-NEXT: return [[BROADCAST]], [[REDUCE_SUM]]
func.func @broadcast(%x: tensor<4xf32> {tinytrain.needs_grad = true}, %g: tensor<2x4x3xf32> {tinytrain.cotangent = 0}) -> tensor<2x4x3xf32> {
  %y = tinytrain.broadcast %x {dims = array<i64: 1>} : (tensor<4xf32>) -> tensor<2x4x3xf32>
  return %y : tensor<2x4x3xf32>
}
