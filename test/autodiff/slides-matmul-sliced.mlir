// The matrix product with needs_grad = 0.5 on the weight: the activation is sliced, the
// gradient is half as wide. The forward pass and the other gradients stay.
// RUN: tinytrain-opt %s --tinytrain-autodiff --tinytrain-slice-sparse-updates --tinytrain-eliminate-dead-gradients | FileCheck %s

// CHECK-LABEL: func.func @matmul
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<10x10xf32>
// CHECK-SAME: [[W:%[a-z0-9_]+]]: tensor<20x10xf32>
// CHECK-SAME: [[B:%[a-z0-9_]+]]: tensor<20xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<10x20xf32>
// CHECK-SAME: tensor<20x5xf32> {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[KEPT:%[a-z0-9_]+]] = tinytrain.slice [[X]] {offsets = array<i64: 0, 0>, sizes = array<i64: 10, 5>, strides = array<i64: 1, 1>}
// CHECK-NEXT: [[XW:%[a-z0-9_]+]] = tinytrain.matmul [[X]], [[W]] {transpose_rhs}
// CHECK-NEXT: [[Y:%[a-z0-9_]+]] = tinytrain.bias_add [[XW]], [[B]]
// CHECK-NEXT: [[DB:%[a-z0-9_]+]] = tinytrain.reduce_sum [[G]] {dims = array<i64: 0>}
// CHECK-NEXT: [[DX:%[a-z0-9_]+]] = tinytrain.matmul [[G]], [[W]]
// CHECK-NEXT: [[GT:%[a-z0-9_]+]] = tinytrain.transpose [[G]] {permutation = array<i64: 1, 0>}
// CHECK-NEXT: [[DW:%[a-z0-9_]+]] = tinytrain.matmul [[GT]], [[KEPT]] : (tensor<20x10xf32>, tensor<10x5xf32>) -> tensor<20x5xf32>
// CHECK-NEXT: return [[Y]], [[DX]], [[DW]], [[DB]]
func.func @matmul(%x: tensor<10x10xf32> {tinytrain.needs_grad = true},
                  %weight: tensor<20x10xf32> {tinytrain.needs_grad = 5.000000e-01 : f32},
                  %bias: tensor<20xf32> {tinytrain.needs_grad = true},
                  %grad: tensor<10x20xf32> {tinytrain.cotangent = 0}) -> tensor<10x20xf32> {
  %0 = tinytrain.matmul %x, %weight {transpose_rhs} : (tensor<10x10xf32>, tensor<20x10xf32>) -> tensor<10x20xf32>
  %1 = tinytrain.bias_add %0, %bias : (tensor<10x20xf32>, tensor<20xf32>) -> tensor<10x20xf32>
  return %1 : tensor<10x20xf32>
}
