// RUN: tinytrain-opt %s --tinytrain-autodiff --tinytrain-slice-sparse-updates --tinytrain-eliminate-dead-gradients | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-autodiff --tinytrain-slice-sparse-updates --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// Not computed, or cut off: 20 x 5 elements in @matmul, 2 x 3 x 3 x 3 in @conv2d, 3 x 3 x 2 in
// @depthwise, 6 x 3 x 3 x 1 in @grouped and 3 in @at_least_one: 229 of 4 bytes each.
// STATS: SliceSparseUpdates
// STATS-DAG: 916 bytes-removed
// STATS-DAG: 5 gradients-sliced

// The example of the pass description: round(0.5 * 10) = 5 input channels are trained.
// CHECK-LABEL: func.func @matmul
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<10x10xf32>
// CHECK-SAME: [[W:%[a-z0-9_]+]]: tensor<20x10xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<10x20xf32>
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[SLICE:%[a-z0-9_]+]] = tinytrain.slice [[X]] {offsets = array<i64: 0, 0>, sizes = array<i64: 10, 5>, strides = array<i64: 1, 1>}
// CHECK-NEXT: [[MATMUL:%[a-z0-9_]+]] = tinytrain.matmul [[X]], [[W]] {transpose_rhs}
// CHECK-NEXT: [[TRANSPOSE:%[a-z0-9_]+]] = tinytrain.transpose [[G]] {permutation = array<i64: 1, 0>}
// CHECK-NEXT: [[MATMUL2:%[a-z0-9_]+]] = tinytrain.matmul [[TRANSPOSE]], [[SLICE]]
// CHECK-NEXT: return [[MATMUL]], [[MATMUL2]]
func.func @matmul(%x: tensor<10x10xf32>, %w: tensor<20x10xf32> {tinytrain.needs_grad = 0.5},
                  %g: tensor<10x20xf32> {tinytrain.cotangent = 0}) -> tensor<10x20xf32> {
  %0 = tinytrain.matmul %x, %w {transpose_rhs} : (tensor<10x10xf32>, tensor<20x10xf32>) -> tensor<10x20xf32>
  return %0 : tensor<10x20xf32>
}

// Of the activation only what the weight gradient needs is kept: the slice stands where it is
// produced.
// CHECK-LABEL: func.func @conv2d
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<1x8x8x4xf32>
// CHECK-SAME: [[W:%[a-z0-9_]+]]: tensor<2x3x3x4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<1x6x6x2xf32>
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[RELU:%[a-z0-9_]+]] = tinytrain.relu [[X]]
// CHECK-NEXT: [[SLICE:%[a-z0-9_]+]] = tinytrain.slice [[RELU]] {offsets = array<i64: 0, 0, 0, 0>, sizes = array<i64: 1, 8, 8, 1>, strides = array<i64: 1, 1, 1, 1>}
// CHECK-NEXT: [[CONV2D:%[a-z0-9_]+]] = tinytrain.conv2d [[RELU]], [[W]] {dilations = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>}
// CHECK-NEXT: [[EXP:%[a-z0-9_]+]] = tinytrain.exp [[CONV2D]]
// CHECK-NEXT: [[MUL:%[a-z0-9_]+]] = tinytrain.mul [[G]], [[EXP]]
// CHECK-NEXT: [[CONV2D_WEIGHT_GRAD:%[a-z0-9_]+]] = tinytrain.conv2d_weight_grad [[SLICE]], [[MUL]] {dilations = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : {{.*}} -> tensor<2x3x3x1xf32>
// CHECK-NEXT: return [[EXP]], [[CONV2D_WEIGHT_GRAD]]
func.func @conv2d(%x: tensor<1x8x8x4xf32>, %w: tensor<2x3x3x4xf32> {tinytrain.needs_grad = array<i64: 0>},
                  %g: tensor<1x6x6x2xf32> {tinytrain.cotangent = 0}) -> tensor<1x6x6x2xf32> {
  %0 = tinytrain.relu %x : (tensor<1x8x8x4xf32>) -> tensor<1x8x8x4xf32>
  %1 = tinytrain.conv2d %0, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x8x8x4xf32>, tensor<2x3x3x4xf32>) -> tensor<1x6x6x2xf32>
  %2 = tinytrain.exp %1 : (tensor<1x6x6x2xf32>) -> tensor<1x6x6x2xf32>
  return %2 : tensor<1x6x6x2xf32>
}

// A depthwise convolution has as many groups as channels: both operands are sliced.
// CHECK-LABEL: func.func @depthwise
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<1x8x8x4xf32>
// CHECK-SAME: [[W:%[a-z0-9_]+]]: tensor<1x3x3x4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<1x6x6x4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[SLICE:%[a-z0-9_]+]] = tinytrain.slice [[G]] {offsets = array<i64: 0, 0, 0, 0>, sizes = array<i64: 1, 6, 6, 2>, strides = array<i64: 1, 1, 1, 1>}
// CHECK-NEXT: [[SLICE2:%[a-z0-9_]+]] = tinytrain.slice [[X]] {offsets = array<i64: 0, 0, 0, 0>, sizes = array<i64: 1, 8, 8, 2>, strides = array<i64: 1, 1, 1, 1>}
// CHECK-NEXT: [[CONV2D:%[a-z0-9_]+]] = tinytrain.conv2d [[X]], [[W]] {dilations = array<i64: 1, 1>, groups = 4 : i64, padding = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>}
// CHECK-NEXT: [[CONV2D_WEIGHT_GRAD:%[a-z0-9_]+]] = tinytrain.conv2d_weight_grad [[SLICE2]], [[SLICE]] {dilations = array<i64: 1, 1>, groups = 2 : i64, padding = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : {{.*}} -> tensor<1x3x3x2xf32>
// CHECK-NEXT: return [[CONV2D]], [[CONV2D_WEIGHT_GRAD]]
func.func @depthwise(%x: tensor<1x8x8x4xf32>, %w: tensor<1x3x3x4xf32> {tinytrain.needs_grad = 0.5},
                     %g: tensor<1x6x6x4xf32> {tinytrain.cotangent = 0}) -> tensor<1x6x6x4xf32> {
  %0 = tinytrain.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 4 : i64} : (tensor<1x8x8x4xf32>, tensor<1x3x3x4xf32>) -> tensor<1x6x6x4xf32>
  return %0 : tensor<1x6x6x4xf32>
}

// A grouped one: the gradient is cut off afterwards.
// CHECK-LABEL: func.func @grouped
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<1x8x8x4xf32>
// CHECK-SAME: [[W:%[a-z0-9_]+]]: tensor<6x3x3x2xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<1x6x6x6xf32>
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[CONV2D:%[a-z0-9_]+]] = tinytrain.conv2d [[X]], [[W]] {dilations = array<i64: 1, 1>, groups = 2 : i64, padding = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>}
// CHECK-NEXT: [[CONV2D_WEIGHT_GRAD:%[a-z0-9_]+]] = tinytrain.conv2d_weight_grad [[X]], [[G]] {dilations = array<i64: 1, 1>, groups = 2 : i64, padding = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : {{.*}} -> tensor<6x3x3x2xf32>
// CHECK-NEXT: [[SLICE:%[a-z0-9_]+]] = tinytrain.slice [[CONV2D_WEIGHT_GRAD]] {offsets = array<i64: 0, 0, 0, 0>, sizes = array<i64: 6, 3, 3, 1>, strides = array<i64: 1, 1, 1, 1>}
// CHECK-NEXT: return [[CONV2D]], [[SLICE]]
func.func @grouped(%x: tensor<1x8x8x4xf32>, %w: tensor<6x3x3x2xf32> {tinytrain.needs_grad = 0.5},
                     %g: tensor<1x6x6x6xf32> {tinytrain.cotangent = 0}) -> tensor<1x6x6x6xf32> {
  %0 = tinytrain.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x8x8x4xf32>, tensor<6x3x3x2xf32>) -> tensor<1x6x6x6xf32>
  return %0 : tensor<1x6x6x6xf32>
}

// At least one channel is trained, whatever the fraction.
// CHECK-LABEL: func.func @at_least_one
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[EXP:%[a-z0-9_]+]] = tinytrain.exp [[X]]
// CHECK-NEXT: [[MUL:%[a-z0-9_]+]] = tinytrain.mul [[G]], [[EXP]]
// CHECK-NEXT: [[SLICE:%[a-z0-9_]+]] = tinytrain.slice [[MUL]] {offsets = array<i64: 0>, sizes = array<i64: 1>, strides = array<i64: 1>}
// CHECK-NEXT: return [[EXP]], [[SLICE]]
func.func @at_least_one(%x: tensor<4xf32> {tinytrain.needs_grad = 0.01}, %g: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<4xf32> {
  %0 = tinytrain.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// All of it: nothing is sliced.
// CHECK-LABEL: func.func @all
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[EXP:%[a-z0-9_]+]] = tinytrain.exp [[X]]
// CHECK-NEXT: [[MUL:%[a-z0-9_]+]] = tinytrain.mul [[G]], [[EXP]]
// CHECK-NEXT: return [[EXP]], [[MUL]]
func.func @all(%x: tensor<4xf32> {tinytrain.needs_grad = 1.0}, %g: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<4xf32> {
  %0 = tinytrain.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
