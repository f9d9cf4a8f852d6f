// The VJPs of pooling.
// RUN: tinytrain-opt %s --tinytrain-autodiff | FileCheck %s

// The position of each maximum is taken in the forward pass, directly after the pooling:
// neither operand nor result is kept for the backward pass.
// CHECK-LABEL: func.func @max_pool
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<1x8x8x4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<1x4x4x4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[MAX_POOL:%[a-z0-9_]+]] = tinytrain.max_pool [[X]] {kernel = array<i64: 3, 2>, padding = array<i64: 1, 0, 0, 0>, strides = array<i64: 2, 2>}
// CHECK-NEXT: [[MAX_POOL_ARGMAX:%[a-z0-9_]+]] = tinytrain.max_pool_argmax [[X]] {kernel = array<i64: 3, 2>, padding = array<i64: 1, 0, 0, 0>, strides = array<i64: 2, 2>}
// CHECK-NEXT: [[EXP:%[a-z0-9_]+]] = tinytrain.exp [[MAX_POOL]]
// CHECK-NEXT: [[MUL:%[a-z0-9_]+]] = tinytrain.mul [[G]], [[EXP]]
// CHECK-NEXT: [[MAX_POOL_GRAD:%[a-z0-9_]+]] = tinytrain.max_pool_grad [[MUL]], [[MAX_POOL_ARGMAX]] {kernel = array<i64: 3, 2>, padding = array<i64: 1, 0, 0, 0>, strides = array<i64: 2, 2>} : {{.*}} -> tensor<1x8x8x4xf32>
// CHECK-NEXT: return [[EXP]], [[MAX_POOL_GRAD]]
func.func @max_pool(%x: tensor<1x8x8x4xf32> {tinytrain.needs_grad = true}, %g: tensor<1x4x4x4xf32> {tinytrain.cotangent = 0}) -> tensor<1x4x4x4xf32> {
  %y = tinytrain.max_pool %x {kernel = array<i64: 3, 2>, strides = array<i64: 2, 2>, padding = array<i64: 1, 0, 0, 0>} : (tensor<1x8x8x4xf32>) -> tensor<1x4x4x4xf32>
  %z = tinytrain.exp %y : (tensor<1x4x4x4xf32>) -> tensor<1x4x4x4xf32>
  return %z : tensor<1x4x4x4xf32>
}

// Windows may overlap; the adjoint carries the same window.
// CHECK-LABEL: func.func @avg_pool
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<1x8x8x4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<1x4x4x4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[AVG_POOL:%[a-z0-9_]+]] = tinytrain.avg_pool [[X]] {kernel = array<i64: 3, 2>, padding = array<i64: 1, 0, 0, 0>, strides = array<i64: 2, 2>}
// CHECK-NEXT: [[AVG_POOL_GRAD:%[a-z0-9_]+]] = tinytrain.avg_pool_grad [[G]] {kernel = array<i64: 3, 2>, padding = array<i64: 1, 0, 0, 0>, strides = array<i64: 2, 2>} : {{.*}} -> tensor<1x8x8x4xf32>
// CHECK-NEXT: return [[AVG_POOL]], [[AVG_POOL_GRAD]]
func.func @avg_pool(%x: tensor<1x8x8x4xf32> {tinytrain.needs_grad = true}, %g: tensor<1x4x4x4xf32> {tinytrain.cotangent = 0}) -> tensor<1x4x4x4xf32> {
  %y = tinytrain.avg_pool %x {kernel = array<i64: 3, 2>, strides = array<i64: 2, 2>, padding = array<i64: 1, 0, 0, 0>} : (tensor<1x8x8x4xf32>) -> tensor<1x4x4x4xf32>
  return %y : tensor<1x4x4x4xf32>
}

// 1 / (8 * 8) of the gradient at each position.
// CHECK-LABEL: func.func @global_avg_pool
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<1x8x8x4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<1x4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[GLOBAL_AVG_POOL:%[a-z0-9_]+]] = tinytrain.global_avg_pool [[X]]
// CHECK-NEXT: [[SCALE:%[a-z0-9_]+]] = tinytrain.scale [[G]] {factor = 1.562500e-02 : f32}
// CHECK-NEXT: [[BROADCAST:%[a-z0-9_]+]] = tinytrain.broadcast [[SCALE]] {dims = array<i64: 0, 3>} : {{.*}} -> tensor<1x8x8x4xf32>
// CHECK-NEXT: return [[GLOBAL_AVG_POOL]], [[BROADCAST]]
func.func @global_avg_pool(%x: tensor<1x8x8x4xf32> {tinytrain.needs_grad = true}, %g: tensor<1x4xf32> {tinytrain.cotangent = 0}) -> tensor<1x4xf32> {
  %y = tinytrain.global_avg_pool %x : (tensor<1x8x8x4xf32>) -> tensor<1x4xf32>
  return %y : tensor<1x4xf32>
}
