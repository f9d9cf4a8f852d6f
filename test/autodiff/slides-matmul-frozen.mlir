// The linear layer of the lecture, y = x w^T + b, with the weight frozen: its gradient goes,
// and with it the transpose and the product that only it needed.
// RUN: tinytrain-opt %s --tinytrain-autodiff --tinytrain-eliminate-dead-gradients | FileCheck %s

// CHECK-LABEL: func.func @linear
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<10x10xf32>
// CHECK-SAME: [[WEIGHT:%[a-z0-9_]+]]: tensor<10x10xf32>
// CHECK-SAME: [[BIAS:%[a-z0-9_]+]]: tensor<10xf32>
// CHECK-SAME: [[GRAD:%[a-z0-9_]+]]: tensor<10x10xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-SAME: {tinytrain.gradient_of = 2 : i64}
// CHECK-NEXT: [[MATMUL:%[a-z0-9_]+]] = tinytrain.matmul [[X]], [[WEIGHT]] {transpose_rhs}
// CHECK-NEXT: [[BIAS_ADD:%[a-z0-9_]+]] = tinytrain.bias_add [[MATMUL]], [[BIAS]]
// CHECK-NEXT: [[REDUCE_SUM:%[a-z0-9_]+]] = tinytrain.reduce_sum [[GRAD]] {dims = array<i64: 0>}
// CHECK-NEXT: [[MATMUL2:%[a-z0-9_]+]] = tinytrain.matmul [[GRAD]], [[WEIGHT]]
// CHECK-NEXT: return [[BIAS_ADD]], [[MATMUL2]], [[REDUCE_SUM]]
func.func @linear(%x: tensor<10x10xf32> {tinytrain.needs_grad = true},
                  %weight: tensor<10x10xf32> {tinytrain.needs_grad = false},
                  %bias: tensor<10xf32> {tinytrain.needs_grad = true},
                  %grad: tensor<10x10xf32> {tinytrain.cotangent = 0}) -> tensor<10x10xf32> {
  %0 = tinytrain.matmul %x, %weight {transpose_rhs} : (tensor<10x10xf32>, tensor<10x10xf32>) -> tensor<10x10xf32>
  %1 = tinytrain.bias_add %0, %bias : (tensor<10x10xf32>, tensor<10xf32>) -> tensor<10x10xf32>
  return %1 : tensor<10x10xf32>
}
