// Contributions to one value are summed, once per use.
// RUN: tinytrain-opt %s --tinytrain-autodiff | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-autodiff --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// Rules: 3 in @skip, 2 in @two_results, 1 in each other function; sums: 1 in each of the first
// three functions.
// STATS: Autodiff
// STATS-DAG: 8 rules-applied
// STATS-DAG: 3 sums

// A skip connection: x reaches y directly and through a matrix product.
// CHECK-LABEL: func.func @skip
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4x8xf32>
// CHECK-SAME: [[W:%[a-z0-9_]+]]: tensor<8x8xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4x8xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[RELU:%[a-z0-9_]+]] = tinytrain.relu [[X]]
// CHECK-NEXT: [[MATMUL:%[a-z0-9_]+]] = tinytrain.matmul [[RELU]], [[W]] {transpose_rhs}
// CHECK-NEXT: [[ADD:%[a-z0-9_]+]] = tinytrain.add [[MATMUL]], [[RELU]]
// CHECK-NEXT: [[MATMUL2:%[a-z0-9_]+]] = tinytrain.matmul [[G]], [[W]]
// CHECK-NEXT: [[TRANSPOSE:%[a-z0-9_]+]] = tinytrain.transpose [[G]] {permutation = array<i64: 1, 0>}
// CHECK-NEXT: [[MATMUL3:%[a-z0-9_]+]] = tinytrain.matmul [[TRANSPOSE]], [[RELU]]
// CHECK-NEXT: [[ADD2:%[a-z0-9_]+]] = tinytrain.add [[G]], [[MATMUL2]]
// CHECK-NEXT: [[CLAMP_GRAD:%[a-z0-9_]+]] = tinytrain.clamp_grad [[ADD2]], [[RELU]] {max = 0x7F800000 : f32, min = 0.000000e+00 : f32}
// CHECK-NEXT: return [[ADD]], [[CLAMP_GRAD]]
func.func @skip(%x: tensor<4x8xf32> {tinytrain.needs_grad = true}, %w: tensor<8x8xf32>, %g: tensor<4x8xf32> {tinytrain.cotangent = 0})
    -> tensor<4x8xf32> {
  %0 = tinytrain.relu %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = tinytrain.matmul %0, %w {transpose_rhs} : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
  %2 = tinytrain.add %1, %0 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}

// One op uses the value twice.
// CHECK-LABEL: func.func @square
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[MUL:%[a-z0-9_]+]] = tinytrain.mul [[X]], [[X]]
// CHECK-NEXT: [[MUL2:%[a-z0-9_]+]] = tinytrain.mul [[G]], [[X]]
// CHECK-NEXT: [[MUL3:%[a-z0-9_]+]] = tinytrain.mul [[G]], [[X]]
// CHECK-NEXT: [[ADD:%[a-z0-9_]+]] = tinytrain.add [[MUL2]], [[MUL3]]
// CHECK-NEXT: return [[MUL]], [[ADD]]
func.func @square(%x: tensor<4xf32> {tinytrain.needs_grad = true}, %g: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<4xf32> {
  %0 = tinytrain.mul %x, %x : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// Two cotangents, one of which belongs to a value that the other one's op reads.
// CHECK-LABEL: func.func @two_results
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[H:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[EXP:%[a-z0-9_]+]] = tinytrain.exp [[X]]
// CHECK-NEXT: [[EXP2:%[a-z0-9_]+]] = tinytrain.exp [[EXP]]
// CHECK-NEXT: [[MUL:%[a-z0-9_]+]] = tinytrain.mul [[H]], [[EXP2]]
// CHECK-NEXT: [[ADD:%[a-z0-9_]+]] = tinytrain.add [[G]], [[MUL]]
// CHECK-NEXT: [[MUL2:%[a-z0-9_]+]] = tinytrain.mul [[ADD]], [[EXP]]
// CHECK-NEXT: return [[EXP]], [[EXP2]], [[MUL2]]
func.func @two_results(%x: tensor<4xf32> {tinytrain.needs_grad = true}, %g: tensor<4xf32> {tinytrain.cotangent = 0},
                       %h: tensor<4xf32> {tinytrain.cotangent = 1}) -> (tensor<4xf32>, tensor<4xf32>) {
  %0 = tinytrain.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %1 = tinytrain.exp %0 : (tensor<4xf32>) -> tensor<4xf32>
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}

// Nothing flows back to an argument that the result does not depend on: its gradient is zero.
// CHECK-LABEL: func.func @unused
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[Y:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[EXP:%[a-z0-9_]+]] = tinytrain.exp [[X]]
// CHECK-NEXT: [[MUL:%[a-z0-9_]+]] = tinytrain.mul [[G]], [[EXP]]
// CHECK-NEXT: [[C:%[a-z0-9_]+]] = arith.constant dense<0.000000e+00> : tensor<4xf32>
// CHECK-NEXT: return [[EXP]], [[MUL]], [[C]]
func.func @unused(%x: tensor<4xf32> {tinytrain.needs_grad = true}, %y: tensor<4xf32> {tinytrain.needs_grad = true},
                  %g: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<4xf32> {
  %0 = tinytrain.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// An argument without `needs_grad` gets no gradient and ops that depend on such only no rule.
// CHECK-LABEL: func.func @inactive
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[Y:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[EXP:%[a-z0-9_]+]] = tinytrain.exp [[X]]
// CHECK-NEXT: [[MUL:%[a-z0-9_]+]] = tinytrain.mul [[EXP]], [[Y]]
// CHECK-NEXT: [[MUL2:%[a-z0-9_]+]] = tinytrain.mul [[G]], [[Y]]
// CHECK-NEXT: [[MUL3:%[a-z0-9_]+]] = tinytrain.mul [[G]], [[EXP]]
// CHECK-NEXT: return [[MUL]], [[MUL3]]
func.func @inactive(%x: tensor<4xf32>, %y: tensor<4xf32> {tinytrain.needs_grad = true},
                    %g: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<4xf32> {
  %0 = tinytrain.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %1 = tinytrain.mul %0, %y : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}
