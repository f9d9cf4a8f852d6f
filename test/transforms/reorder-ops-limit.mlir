// With no partial schedule to look at, the order stays and nothing is proven. The order itself
// needs 400 bytes, the best one 272 (see reorder-ops.mlir).
// RUN: tinytrain-opt %s --tinytrain-reorder-ops=limit=1 | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-reorder-ops=limit=1 --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// STATS: ReorderOps
// STATS-NEXT: 400 peak-after
// STATS-NEXT: 400 peak-before
// STATS-NEXT: 0 proven-optimal

// CHECK-LABEL: func.func @branches
// CHECK-NEXT: [[SMALL:%.+]] = tinytrain.broadcast {{.*}} -> tensor<8x4xf32>
// CHECK-NEXT: [[LARGE:%.+]] = tinytrain.broadcast {{.*}} -> tensor<16x4xf32>
// CHECK-NEXT: [[A:%.+]] = tinytrain.reduce_sum [[LARGE]]
// CHECK-NEXT: [[B:%.+]] = tinytrain.reduce_sum [[SMALL]]
func.func @branches(%x: tensor<4xf32>) -> tensor<8xf32> {
  %small = tinytrain.broadcast %x {dims = array<i64: 1>} : (tensor<4xf32>) -> tensor<8x4xf32>
  %large = tinytrain.broadcast %x {dims = array<i64: 1>} : (tensor<4xf32>) -> tensor<16x4xf32>
  %a = tinytrain.reduce_sum %large {dims = array<i64: 0>} : (tensor<16x4xf32>) -> tensor<4xf32>
  %b = tinytrain.reduce_sum %small {dims = array<i64: 0>} : (tensor<8x4xf32>) -> tensor<4xf32>
  %y = tinytrain.concat %a, %b {axis = 0 : i64} : (tensor<4xf32>, tensor<4xf32>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}
