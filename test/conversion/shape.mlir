// Ops that only move elements.
// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg --mlir-print-local-scope | FileCheck %s

// Through the flat tensor.
// CHECK-LABEL: func.func @reshape
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[COLLAPSE:%[a-z0-9_]+]] = tensor.collapse_shape [[X]] {{\[\[}}0, 1{{\]\]}}{{.*}} into tensor<32xf32>
// CHECK: [[EXPAND:%[a-z0-9_]+]] = tensor.expand_shape [[COLLAPSE]] {{\[\[}}0, 1{{\]\]}}{{.*}} into tensor<2x16xf32>
// CHECK: return [[EXPAND]]
func.func @reshape(%x: tensor<4x8xf32>) -> tensor<2x16xf32> {
  %0 = tinytrain.reshape %x : (tensor<4x8xf32>) -> tensor<2x16xf32>
  return %0 : tensor<2x16xf32>
}

// CHECK-LABEL: func.func @flatten
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[COLLAPSE:%[a-z0-9_]+]] = tensor.collapse_shape [[X]] {{\[\[}}0, 1{{\]\]}}{{.*}} into tensor<32xf32>
// CHECK: return [[COLLAPSE]]
func.func @flatten(%x: tensor<4x8xf32>) -> tensor<32xf32> {
  %0 = tinytrain.reshape %x : (tensor<4x8xf32>) -> tensor<32xf32>
  return %0 : tensor<32xf32>
}

// CHECK-LABEL: func.func @scalar_to_matrix
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<f32>)
// CHECK: [[EXPAND:%[a-z0-9_]+]] = tensor.expand_shape [[X]] []{{.*}} into tensor<1xf32>
// CHECK: [[EXPAND2:%[a-z0-9_]+]] = tensor.expand_shape [[EXPAND]] {{\[\[}}0, 1{{\]\]}}{{.*}} into tensor<1x1xf32>
// CHECK: return [[EXPAND2]]
func.func @scalar_to_matrix(%x: tensor<f32>) -> tensor<1x1xf32> {
  %0 = tinytrain.reshape %x : (tensor<f32>) -> tensor<1x1xf32>
  return %0 : tensor<1x1xf32>
}

// CHECK-LABEL: func.func @matrix_to_scalar
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<1x1xf32>)
// CHECK: [[COLLAPSE:%[a-z0-9_]+]] = tensor.collapse_shape [[X]] {{\[\[}}0, 1{{\]\]}}{{.*}} into tensor<1xf32>
// CHECK: [[COLLAPSE2:%[a-z0-9_]+]] = tensor.collapse_shape [[COLLAPSE]] []{{.*}} into tensor<f32>
// CHECK: return [[COLLAPSE2]]
func.func @matrix_to_scalar(%x: tensor<1x1xf32>) -> tensor<f32> {
  %0 = tinytrain.reshape %x : (tensor<1x1xf32>) -> tensor<f32>
  return %0 : tensor<f32>
}

// y[i, j, k] = x[j, k, i]
// CHECK-LABEL: func.func @transpose
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<2x3x4xf32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d1, d2, d0)>
// CHECK-SAME: -> (d0, d1, d2)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel"]
// CHECK-SAME: ins([[X]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x2x3xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: linalg.yield [[IN]]
// CHECK: return [[Y]]
func.func @transpose(%x: tensor<2x3x4xf32>) -> tensor<4x2x3xf32> {
  %0 = tinytrain.transpose %x {permutation = array<i64: 2, 0, 1>} : (tensor<2x3x4xf32>) -> tensor<4x2x3xf32>
  return %0 : tensor<4x2x3xf32>
}

// CHECK-LABEL: func.func @slice
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x6xf32>)
// CHECK: [[EXTRACT:%[a-z0-9_]+]] = tensor.extract_slice [[X]][1, 0] [2, 3] [1, 2]{{.*}} to tensor<2x3xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[EXTRACT]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<2x3xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: linalg.yield [[IN]]
// CHECK: return [[Y]]
func.func @slice(%x: tensor<4x6xf32>) -> tensor<2x3xf32> {
  %0 = tinytrain.slice %x {offsets = array<i64: 1, 0>, sizes = array<i64: 2, 3>, strides = array<i64: 1, 2>} : (tensor<4x6xf32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// The background first, then the elements over it.
// CHECK-LABEL: func.func @pad
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x6xf32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<5x16xf32>)
// CHECK-NEXT: ^bb0([[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[C:%[a-z0-9_]+]] = arith.constant 5.000000e+00 : f32
// CHECK-NEXT: linalg.yield [[C]]
// CHECK: [[Y2:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[X]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x6xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT2:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: linalg.yield [[IN]]
// CHECK: [[INSERT_SLICE:%[a-z0-9_]+]] = tensor.insert_slice [[Y2]] into [[Y]][1, 2] [4, 6] [1, 2]
// CHECK: return [[INSERT_SLICE]]
func.func @pad(%x: tensor<4x6xf32>) -> tensor<5x16xf32> {
  %0 = tinytrain.pad %x {low = array<i64: 1, 2>, high = array<i64: 0, 3>, interior = array<i64: 0, 1>, value = 5.0 : f32} : (tensor<4x6xf32>) -> tensor<5x16xf32>
  return %0 : tensor<5x16xf32>
}

// CHECK-LABEL: func.func @broadcast
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4xf32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d1)>
// CHECK-SAME: -> (d0, d1, d2)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel"]
// CHECK-SAME: ins([[X]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<2x4x3xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: linalg.yield [[IN]]
// CHECK: return [[Y]]
func.func @broadcast(%x: tensor<4xf32>) -> tensor<2x4x3xf32> {
  %0 = tinytrain.broadcast %x {dims = array<i64: 1>} : (tensor<4xf32>) -> tensor<2x4x3xf32>
  return %0 : tensor<2x4x3xf32>
}

// A leading part, as the updates of partly trained parameters need it.
// CHECK-LABEL: func.func @slice_leading
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x6xf32>)
// CHECK: [[EXTRACT:%[a-z0-9_]+]] = tensor.extract_slice [[X]][0, 0] [4, 3] [1, 1]{{.*}} to tensor<4x3xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[EXTRACT]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x3xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: linalg.yield [[IN]]
// CHECK: return [[Y]]
func.func @slice_leading(%x: tensor<4x6xf32>) -> tensor<4x3xf32> {
  %0 = tinytrain.slice %x {offsets = array<i64: 0, 0>, sizes = array<i64: 4, 3>, strides = array<i64: 1, 1>} : (tensor<4x6xf32>) -> tensor<4x3xf32>
  return %0 : tensor<4x3xf32>
}

// Padding on one side only, as the gradient of a leading part needs it.
// CHECK-LABEL: func.func @pad_behind
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x6xf32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK-NEXT: linalg.yield [[C]]
// CHECK: [[Y2:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[X]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x6xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT2:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: linalg.yield [[IN]]
// CHECK: [[INSERT_SLICE:%[a-z0-9_]+]] = tensor.insert_slice [[Y2]] into [[Y]][0, 0] [4, 6] [1, 1]
// CHECK: return [[INSERT_SLICE]]
func.func @pad_behind(%x: tensor<4x6xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.pad %x {low = array<i64: 0, 0>, high = array<i64: 0, 2>, interior = array<i64: 0, 0>} : (tensor<4x6xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// Each operand is copied behind the one before.
// CHECK-LABEL: func.func @concat
// CHECK-SAME: ([[A:%[a-z0-9_]+]]: tensor<4x6xf32>, [[B:%[a-z0-9_]+]]: tensor<4x2xf32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[A]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x6xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: linalg.yield [[IN]]
// CHECK: [[INSERT_SLICE:%[a-z0-9_]+]] = tensor.insert_slice [[Y]] into {{%[a-z0-9_]+}}[0, 0] [4, 6] [1, 1]
// CHECK: [[Y2:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[B]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x2xf32>)
// CHECK-NEXT: ^bb0([[IN2:%[a-z0-9_]+]]: f32, [[OUT2:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: linalg.yield [[IN2]]
// CHECK: [[INSERT_SLICE2:%[a-z0-9_]+]] = tensor.insert_slice [[Y2]] into [[INSERT_SLICE]][0, 6] [4, 2] [1, 1]
// CHECK: return [[INSERT_SLICE2]]
func.func @concat(%a: tensor<4x6xf32>, %b: tensor<4x2xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.concat %a, %b {axis = 1 : i64} : (tensor<4x6xf32>, tensor<4x2xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}
