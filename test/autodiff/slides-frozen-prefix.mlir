// A frozen prefix, as the lecture has it: below the first trained layer there is no backward pass
// at all, and no activation is kept but that layer's input.
// RUN: tinytrain-opt %s --tinytrain-training-graph | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-training-graph --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// Gone are the gradients of the first two weights over a batch of 8 (16x4 and 16x16: 512 + 2048
// multiply-accumulates) and of all layers' inputs (4, 16 and 16 wide, from 16, 16 and 2: 512 +
// 2048 + 256), and with them the need for masks.
// STATS: EliminateDeadGradients
// STATS: 4 gradients-removed
// STATS-NEXT: 5376 macs-removed
// STATS: PackClampMasks
// STATS-NEXT: 0 bytes-removed
// STATS-NEXT: 0 masks

// CHECK-LABEL: func.func @prefix
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<8x4xf32>
// CHECK-SAME: [[W0:%[a-z0-9_]+]]: tensor<16x4xf32>
// CHECK-SAME: [[B0:%[a-z0-9_]+]]: tensor<16xf32>
// CHECK-SAME: [[W1:%[a-z0-9_]+]]: tensor<16x16xf32>
// CHECK-SAME: [[B1:%[a-z0-9_]+]]: tensor<16xf32>
// CHECK-SAME: [[W2:%[a-z0-9_]+]]: tensor<2x16xf32>
// CHECK-SAME: [[B2:%[a-z0-9_]+]]: tensor<2xf32>
// CHECK-SAME: [[LABEL:%[a-z0-9_]+]]: tensor<8xi32> {tinytrain.label}
// CHECK-SAME: [[LR:%[a-z0-9_]+]]: tensor<f32> {tinytrain.learning_rate}
// The forward pass.
// CHECK: tinytrain.matmul [[X]], [[W0]]
// CHECK-NEXT: tinytrain.bias_add {{%[a-z0-9_]+}}, [[B0]]
// CHECK-NEXT: [[Y0:%[a-z0-9_]+]] = tinytrain.relu
// CHECK-NEXT: tinytrain.matmul [[Y0]], [[W1]]
// CHECK-NEXT: tinytrain.bias_add {{%[a-z0-9_]+}}, [[B1]]
// CHECK-NEXT: [[Y1:%[a-z0-9_]+]] = tinytrain.relu
// CHECK-NEXT: tinytrain.matmul [[Y1]], [[W2]]
// CHECK-NEXT: [[Y2:%[a-z0-9_]+]] = tinytrain.bias_add {{%[a-z0-9_]+}}, [[B2]]
// CHECK-NEXT: tinytrain.cross_entropy [[Y2]], [[LABEL]]
// The backward pass of the last layer ends at its parameters.
// CHECK-NEXT: [[G:%[a-z0-9_]+]] = tinytrain.cross_entropy_grad {{%[a-z0-9_]+}}, [[Y2]], [[LABEL]]
// CHECK-NEXT: [[DB:%[a-z0-9_]+]] = tinytrain.reduce_sum [[G]]
// CHECK-NEXT: tinytrain.sgd_update [[B2]], [[DB]], [[LR]]
// CHECK-NEXT: [[GT:%[a-z0-9_]+]] = tinytrain.transpose [[G]]
// CHECK-NEXT: [[DW:%[a-z0-9_]+]] = tinytrain.matmul [[GT]], [[Y1]]
// CHECK-NEXT: tinytrain.sgd_update [[W2]], [[DW]], [[LR]]
// CHECK-NEXT: return
func.func @prefix(%x: tensor<8x4xf32>, %w0: tensor<16x4xf32> {tinytrain.param = "0.weight", tinytrain.needs_grad = false}, %b0: tensor<16xf32> {tinytrain.param = "0.bias", tinytrain.needs_grad = false},
               %w1: tensor<16x16xf32> {tinytrain.param = "1.weight", tinytrain.needs_grad = false}, %b1: tensor<16xf32> {tinytrain.param = "1.bias", tinytrain.needs_grad = false},
               %w2: tensor<2x16xf32> {tinytrain.param = "2.weight", tinytrain.needs_grad = true}, %b2: tensor<2xf32> {tinytrain.param = "2.bias", tinytrain.needs_grad = true}) -> tensor<8x2xf32> {
  %0 = tinytrain.matmul %x, %w0 {transpose_rhs} : (tensor<8x4xf32>, tensor<16x4xf32>) -> tensor<8x16xf32>
  %1 = tinytrain.bias_add %0, %b0 : (tensor<8x16xf32>, tensor<16xf32>) -> tensor<8x16xf32>
  %2 = tinytrain.relu %1 : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %3 = tinytrain.matmul %2, %w1 {transpose_rhs} : (tensor<8x16xf32>, tensor<16x16xf32>) -> tensor<8x16xf32>
  %4 = tinytrain.bias_add %3, %b1 : (tensor<8x16xf32>, tensor<16xf32>) -> tensor<8x16xf32>
  %5 = tinytrain.relu %4 : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %6 = tinytrain.matmul %5, %w2 {transpose_rhs} : (tensor<8x16xf32>, tensor<2x16xf32>) -> tensor<8x2xf32>
  %7 = tinytrain.bias_add %6, %b2 : (tensor<8x2xf32>, tensor<2xf32>) -> tensor<8x2xf32>
  return %7 : tensor<8x2xf32>
}
