// RUN: tinytrain-opt %s --tinytrain-autodiff --tinytrain-eliminate-dead-gradients | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-autodiff --tinytrain-eliminate-dead-gradients --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// Removed in @frozen_prefix: dX of the second layer (32 bytes), its clamp_grad (32) and, of the
// first layer, dX (16), a transpose (32) and dW (128); in @frozen_suffix: a transpose (8), dW
// (64) and dX of the first layer (16); in @inference: the argmax (8) and dX (128).
// Multiply-accumulates: dX of a second layer is 1x2 by 2x8, 16; dX of a first layer 1x8 by 8x4,
// 32, and dW 8x1 by 1x4, 32; dW of the second layer 2x1 by 1x8, 16. So 16 + 32 + 32 in
// @frozen_prefix and 16 + 32 in @frozen_suffix; pooling has none.
// STATS: EliminateDeadGradients
// STATS-DAG: 464 bytes-removed
// STATS-DAG: 3 gradients-removed
// STATS-DAG: 128 macs-removed
// STATS-DAG: 10 ops-removed

// Two layers, of which the first is frozen: nothing flows back further than the second one's
// weight.
// CHECK-LABEL: func.func @frozen_prefix
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<1x4xf32>
// CHECK-SAME: [[W0:%[a-z0-9_]+]]: tensor<8x4xf32>
// CHECK-SAME: [[W1:%[a-z0-9_]+]]: tensor<2x8xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<1x2xf32>
// CHECK-SAME: {tinytrain.gradient_of = 2 : i64}
// CHECK-NEXT: [[MATMUL:%[a-z0-9_]+]] = tinytrain.matmul [[X]], [[W0]] {transpose_rhs}
// CHECK-NEXT: [[RELU:%[a-z0-9_]+]] = tinytrain.relu [[MATMUL]]
// CHECK-NEXT: [[MATMUL2:%[a-z0-9_]+]] = tinytrain.matmul [[RELU]], [[W1]] {transpose_rhs}
// CHECK-NEXT: [[TRANSPOSE:%[a-z0-9_]+]] = tinytrain.transpose [[G]] {permutation = array<i64: 1, 0>}
// CHECK-NEXT: [[MATMUL3:%[a-z0-9_]+]] = tinytrain.matmul [[TRANSPOSE]], [[RELU]]
// CHECK-NEXT: return [[MATMUL2]], [[MATMUL3]]
func.func @frozen_prefix(%x: tensor<1x4xf32>, %w0: tensor<8x4xf32> {tinytrain.needs_grad = false},
                         %w1: tensor<2x8xf32> {tinytrain.needs_grad = true},
                         %g: tensor<1x2xf32> {tinytrain.cotangent = 0}) -> tensor<1x2xf32> {
  %0 = tinytrain.matmul %x, %w0 {transpose_rhs} : (tensor<1x4xf32>, tensor<8x4xf32>) -> tensor<1x8xf32>
  %1 = tinytrain.relu %0 : (tensor<1x8xf32>) -> tensor<1x8xf32>
  %2 = tinytrain.matmul %1, %w1 {transpose_rhs} : (tensor<1x8xf32>, tensor<2x8xf32>) -> tensor<1x2xf32>
  return %2 : tensor<1x2xf32>
}

// The other way round the gradient has to flow through the frozen layer.
// CHECK-LABEL: func.func @frozen_suffix
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<1x4xf32>
// CHECK-SAME: [[W0:%[a-z0-9_]+]]: tensor<8x4xf32>
// CHECK-SAME: [[W1:%[a-z0-9_]+]]: tensor<2x8xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<1x2xf32>
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[MATMUL:%[a-z0-9_]+]] = tinytrain.matmul [[X]], [[W0]] {transpose_rhs}
// CHECK-NEXT: [[RELU:%[a-z0-9_]+]] = tinytrain.relu [[MATMUL]]
// CHECK-NEXT: [[MATMUL2:%[a-z0-9_]+]] = tinytrain.matmul [[RELU]], [[W1]] {transpose_rhs}
// CHECK-NEXT: [[MATMUL3:%[a-z0-9_]+]] = tinytrain.matmul [[G]], [[W1]]
// CHECK-NEXT: [[CLAMP_GRAD:%[a-z0-9_]+]] = tinytrain.clamp_grad [[MATMUL3]], [[RELU]] {max = 0x7F800000 : f32, min = 0.000000e+00 : f32}
// CHECK-NEXT: [[TRANSPOSE:%[a-z0-9_]+]] = tinytrain.transpose [[CLAMP_GRAD]] {permutation = array<i64: 1, 0>}
// CHECK-NEXT: [[MATMUL4:%[a-z0-9_]+]] = tinytrain.matmul [[TRANSPOSE]], [[X]]
// CHECK-NEXT: return [[MATMUL2]], [[MATMUL4]]
func.func @frozen_suffix(%x: tensor<1x4xf32>, %w0: tensor<8x4xf32> {tinytrain.needs_grad = true},
                         %w1: tensor<2x8xf32> {tinytrain.needs_grad = false},
                         %g: tensor<1x2xf32> {tinytrain.cotangent = 0}) -> tensor<1x2xf32> {
  %0 = tinytrain.matmul %x, %w0 {transpose_rhs} : (tensor<1x4xf32>, tensor<8x4xf32>) -> tensor<1x8xf32>
  %1 = tinytrain.relu %0 : (tensor<1x8xf32>) -> tensor<1x8xf32>
  %2 = tinytrain.matmul %1, %w1 {transpose_rhs} : (tensor<1x8xf32>, tensor<2x8xf32>) -> tensor<1x2xf32>
  return %2 : tensor<1x2xf32>
}

// All frozen: the forward pass is left, without its bookkeeping.
// CHECK-LABEL: func.func @inference
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<1x4x4x2xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<1x2x2x2xf32>
// CHECK-NEXT: [[MAX_POOL:%[a-z0-9_]+]] = tinytrain.max_pool [[X]] {kernel = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>, strides = array<i64: 2, 2>}
// CHECK-NEXT: return [[MAX_POOL]]
func.func @inference(%x: tensor<1x4x4x2xf32> {tinytrain.needs_grad = false}, %g: tensor<1x2x2x2xf32> {tinytrain.cotangent = 0})
    -> tensor<1x2x2x2xf32> {
  %0 = tinytrain.max_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<1x4x4x2xf32>) -> tensor<1x2x2x2xf32>
  return %0 : tensor<1x2x2x2xf32>
}

// A part of a parameter counts as needed.
// CHECK-LABEL: func.func @partly
// CHECK-SAME: [[W:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[EXP:%[a-z0-9_]+]] = tinytrain.exp [[W]]
// CHECK-NEXT: [[MUL:%[a-z0-9_]+]] = tinytrain.mul [[G]], [[EXP]]
// CHECK-NEXT: return [[EXP]], [[MUL]]
func.func @partly(%w: tensor<4xf32> {tinytrain.needs_grad = 0.5}, %g: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<4xf32> {
  %0 = tinytrain.exp %w : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
