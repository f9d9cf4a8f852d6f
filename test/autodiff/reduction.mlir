// The VJPs of reductions, softmax and losses.
// RUN: tinytrain-opt %s --tinytrain-autodiff | FileCheck %s

// The gradient repeats along the dimensions that were summed.
// CHECK-LABEL: func.func @reduce_sum
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<2x3x4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<3xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[REDUCE_SUM:%[a-z0-9_]+]] = tinytrain.reduce_sum [[X]] {dims = array<i64: 0, 2>}
// CHECK-NEXT: [[BROADCAST:%[a-z0-9_]+]] = tinytrain.broadcast [[G]] {dims = array<i64: 1>} : {{.*}} -> tensor<2x3x4xf32>
// CHECK-NEXT: return [[REDUCE_SUM]], [[BROADCAST]]
func.func @reduce_sum(%x: tensor<2x3x4xf32> {tinytrain.needs_grad = true}, %g: tensor<3xf32> {tinytrain.cotangent = 0}) -> tensor<3xf32> {
  %y = tinytrain.reduce_sum %x {dims = array<i64: 0, 2>} : (tensor<2x3x4xf32>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}

// 1 / (2 * 4) of it.
// CHECK-LABEL: func.func @reduce_mean
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<2x3x4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<3xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[REDUCE_MEAN:%[a-z0-9_]+]] = tinytrain.reduce_mean [[X]] {dims = array<i64: 0, 2>}
// CHECK-NEXT: [[SCALE:%[a-z0-9_]+]] = tinytrain.scale [[G]] {factor = 1.250000e-01 : f32}
// CHECK-NEXT: [[BROADCAST:%[a-z0-9_]+]] = tinytrain.broadcast [[SCALE]] {dims = array<i64: 1>} : {{.*}} -> tensor<2x3x4xf32>
// CHECK-NEXT: return [[REDUCE_MEAN]], [[BROADCAST]]
func.func @reduce_mean(%x: tensor<2x3x4xf32> {tinytrain.needs_grad = true}, %g: tensor<3xf32> {tinytrain.cotangent = 0}) -> tensor<3xf32> {
  %y = tinytrain.reduce_mean %x {dims = array<i64: 0, 2>} : (tensor<2x3x4xf32>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}

// The results of softmax and log_softmax are kept, not their operands.
// CHECK-LABEL: func.func @softmax
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<2x4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<2x4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[SOFTMAX:%[a-z0-9_]+]] = tinytrain.softmax [[X]]
// CHECK-NEXT: [[SOFTMAX_GRAD:%[a-z0-9_]+]] = tinytrain.softmax_grad [[G]], [[SOFTMAX]]
// CHECK-NEXT: return [[SOFTMAX]], [[SOFTMAX_GRAD]]
func.func @softmax(%x: tensor<2x4xf32> {tinytrain.needs_grad = true}, %g: tensor<2x4xf32> {tinytrain.cotangent = 0}) -> tensor<2x4xf32> {
  %y = tinytrain.softmax %x : (tensor<2x4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// CHECK-LABEL: func.func @log_softmax
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<2x4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<2x4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[LOG_SOFTMAX:%[a-z0-9_]+]] = tinytrain.log_softmax [[X]]
// CHECK-NEXT: [[LOG_SOFTMAX_GRAD:%[a-z0-9_]+]] = tinytrain.log_softmax_grad [[G]], [[LOG_SOFTMAX]]
// CHECK-NEXT: return [[LOG_SOFTMAX]], [[LOG_SOFTMAX_GRAD]]
func.func @log_softmax(%x: tensor<2x4xf32> {tinytrain.needs_grad = true}, %g: tensor<2x4xf32> {tinytrain.cotangent = 0}) -> tensor<2x4xf32> {
  %y = tinytrain.log_softmax %x : (tensor<2x4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// The walk starts with one at the loss; labels have no derivative.
// CHECK-LABEL: func.func @cross_entropy
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<2x4xf32>
// CHECK-SAME: [[LABEL:%[a-z0-9_]+]]: tensor<2xi32>
// CHECK-SAME: {tinytrain.loss}
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[CROSS_ENTROPY:%[a-z0-9_]+]] = tinytrain.cross_entropy [[X]], [[LABEL]]
// CHECK-NEXT: [[C:%[a-z0-9_]+]] = arith.constant dense<1.000000e+00> : tensor<f32>
// CHECK-NEXT: [[CROSS_ENTROPY_GRAD:%[a-z0-9_]+]] = tinytrain.cross_entropy_grad [[C]], [[X]], [[LABEL]]
// CHECK-NEXT: return [[CROSS_ENTROPY]], [[CROSS_ENTROPY_GRAD]]
func.func @cross_entropy(%x: tensor<2x4xf32> {tinytrain.needs_grad = true}, %label: tensor<2xi32> {tinytrain.label})
    -> (tensor<f32> {tinytrain.loss}) {
  %loss = tinytrain.cross_entropy %x, %label : (tensor<2x4xf32>, tensor<2xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// Where the target depends on an argument too, it takes the opposite gradient.
// CHECK-LABEL: func.func @mse
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<2x4xf32>
// CHECK-SAME: [[T:%[a-z0-9_]+]]: tensor<2x4xf32>
// CHECK-SAME: {tinytrain.loss}
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[MSE:%[a-z0-9_]+]] = tinytrain.mse [[X]], [[T]]
// CHECK-NEXT: [[C:%[a-z0-9_]+]] = arith.constant dense<1.000000e+00> : tensor<f32>
// CHECK-NEXT: [[MSE_GRAD:%[a-z0-9_]+]] = tinytrain.mse_grad [[C]], [[X]], [[T]]
// CHECK-NEXT: [[SCALE:%[a-z0-9_]+]] = tinytrain.scale [[MSE_GRAD]] {factor = -1.000000e+00 : f32}
// CHECK-NEXT: return [[MSE]], [[MSE_GRAD]], [[SCALE]]
func.func @mse(%x: tensor<2x4xf32> {tinytrain.needs_grad = true}, %t: tensor<2x4xf32> {tinytrain.needs_grad = true})
    -> (tensor<f32> {tinytrain.loss}) {
  %loss = tinytrain.mse %x, %t : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<f32>
  return %loss : tensor<f32>
}
