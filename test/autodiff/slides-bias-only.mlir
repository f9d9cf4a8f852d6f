// Bias-only training, as the lecture has it: the gradient of a bias is a sum of gradients, so that
// no layer keeps its input. Of a relu one bit per element is left, for the gradient to pass.
// RUN: tinytrain-opt %s --tinytrain-training-graph | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-training-graph --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// Each weight's gradient is gone: 16x4, 16x16 and 2x16 over a batch of 8 are 512 + 2048 + 256
// multiply-accumulates, and the gradient of the input another 8x4x16 = 512. An activation of
// 8x16 floats has 512 bytes, its mask 16: 2 * 496 = 992.
// STATS: EliminateDeadGradients
// STATS: 3 gradients-removed
// STATS-NEXT: 3328 macs-removed
// STATS: PackClampMasks
// STATS-NEXT: 992 bytes-removed
// STATS-NEXT: 2 masks

// CHECK-LABEL: func.func @bias
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
// CHECK: [[Y0:%[a-z0-9_]+]] = tinytrain.relu
// CHECK-NEXT: [[M0:%[a-z0-9_]+]] = tinytrain.clamp_mask [[Y0]] {{.*}} -> tensor<1x16xi8>
// CHECK-NEXT: tinytrain.matmul [[Y0]], [[W1]]
// CHECK: [[Y1:%[a-z0-9_]+]] = tinytrain.relu
// CHECK-NEXT: [[M1:%[a-z0-9_]+]] = tinytrain.clamp_mask [[Y1]] {{.*}} -> tensor<1x16xi8>
// CHECK-NEXT: tinytrain.matmul [[Y1]], [[W2]]
// CHECK-NEXT: [[Y2:%[a-z0-9_]+]] = tinytrain.bias_add {{%[a-z0-9_]+}}, [[B2]]
// CHECK-NEXT: tinytrain.cross_entropy [[Y2]], [[LABEL]]
// The backward pass reads weights and masks, and no activation.
// CHECK-NEXT: [[G2:%[a-z0-9_]+]] = tinytrain.cross_entropy_grad {{%[a-z0-9_]+}}, [[Y2]], [[LABEL]]
// CHECK-NEXT: [[DB2:%[a-z0-9_]+]] = tinytrain.reduce_sum [[G2]]
// CHECK-NEXT: tinytrain.sgd_update [[B2]], [[DB2]], [[LR]]
// CHECK-NEXT: [[DY1:%[a-z0-9_]+]] = tinytrain.matmul [[G2]], [[W2]]
// CHECK-NEXT: [[G1:%[a-z0-9_]+]] = tinytrain.mask_grad [[DY1]], [[M1]]
// CHECK-NEXT: [[DB1:%[a-z0-9_]+]] = tinytrain.reduce_sum [[G1]]
// CHECK-NEXT: tinytrain.sgd_update [[B1]], [[DB1]], [[LR]]
// CHECK-NEXT: [[DY0:%[a-z0-9_]+]] = tinytrain.matmul [[G1]], [[W1]]
// CHECK-NEXT: [[G0:%[a-z0-9_]+]] = tinytrain.mask_grad [[DY0]], [[M0]]
// CHECK-NEXT: [[DB0:%[a-z0-9_]+]] = tinytrain.reduce_sum [[G0]]
// CHECK-NEXT: tinytrain.sgd_update [[B0]], [[DB0]], [[LR]]
// CHECK-NEXT: return
func.func @bias(%x: tensor<8x4xf32>, %w0: tensor<16x4xf32> {tinytrain.param = "0.weight", tinytrain.needs_grad = false}, %b0: tensor<16xf32> {tinytrain.param = "0.bias", tinytrain.needs_grad = true},
               %w1: tensor<16x16xf32> {tinytrain.param = "1.weight", tinytrain.needs_grad = false}, %b1: tensor<16xf32> {tinytrain.param = "1.bias", tinytrain.needs_grad = true},
               %w2: tensor<2x16xf32> {tinytrain.param = "2.weight", tinytrain.needs_grad = false}, %b2: tensor<2xf32> {tinytrain.param = "2.bias", tinytrain.needs_grad = true}) -> tensor<8x2xf32> {
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
