// Each chunk has its own statistics: the arithmetic stands above its function.
// RUN: tinytrain-opt %s --split-input-file --tinytrain-reorder-ops | FileCheck %s
// RUN: tinytrain-opt %s --split-input-file --tinytrain-reorder-ops --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS
// RUN: tinytrain-opt %s --split-input-file --tinytrain-reorder-ops=in-place=false --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | FileCheck %s --check-prefix=APART

// Two branches, of which one holds 256 bytes and the other 128 until they are summed up to 16:
//
//   both, then both sums  256 + 128, and 16 for a sum  400
//   the small one first   128 + 16, 16 + 256 + 16      288
//   the large one first   256 + 16, 16 + 128 + 16      272
//
// No order needs less than what the large sum reads and writes, 272.
// STATS: ReorderOps
// STATS-NEXT: 272 peak-after
// STATS-NEXT: 400 peak-before
// STATS-NEXT: 1 proven-optimal

// CHECK-LABEL: func.func @branches
// CHECK-NEXT: [[LARGE:%.+]] = tinytrain.broadcast {{.*}} -> tensor<16x4xf32>
// CHECK-NEXT: [[A:%.+]] = tinytrain.reduce_sum [[LARGE]]
// CHECK-NEXT: [[SMALL:%.+]] = tinytrain.broadcast {{.*}} -> tensor<8x4xf32>
// CHECK-NEXT: [[B:%.+]] = tinytrain.reduce_sum [[SMALL]]
// CHECK-NEXT: tinytrain.concat [[A]], [[B]]
func.func @branches(%x: tensor<4xf32>) -> tensor<8xf32> {
  %small = tinytrain.broadcast %x {dims = array<i64: 1>} : (tensor<4xf32>) -> tensor<8x4xf32>
  %large = tinytrain.broadcast %x {dims = array<i64: 1>} : (tensor<4xf32>) -> tensor<16x4xf32>
  %a = tinytrain.reduce_sum %large {dims = array<i64: 0>} : (tensor<16x4xf32>) -> tensor<4xf32>
  %b = tinytrain.reduce_sum %small {dims = array<i64: 0>} : (tensor<8x4xf32>) -> tensor<4xf32>
  %y = tinytrain.concat %a, %b {axis = 0 : i64} : (tensor<4xf32>, tensor<4xf32>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----

// What is optimal already stays as it is, declarations too.
// STATS: ReorderOps
// STATS-NEXT: 272 peak-after
// STATS-NEXT: 272 peak-before
// STATS-NEXT: 1 proven-optimal

// CHECK-LABEL: func.func private @declaration
// CHECK-LABEL: func.func @optimal
// CHECK-NEXT: [[LARGE:%.+]] = tinytrain.broadcast {{.*}} -> tensor<16x4xf32>
// CHECK-NEXT: [[A:%.+]] = tinytrain.reduce_sum [[LARGE]]
// CHECK-NEXT: [[SMALL:%.+]] = tinytrain.broadcast {{.*}} -> tensor<8x4xf32>
// CHECK-NEXT: [[B:%.+]] = tinytrain.reduce_sum [[SMALL]]
// CHECK-NEXT: tinytrain.concat [[A]], [[B]]
func.func private @declaration(tensor<4xf32>) -> tensor<4xf32>
func.func @optimal(%x: tensor<4xf32>) -> tensor<8xf32> {
  %large = tinytrain.broadcast %x {dims = array<i64: 1>} : (tensor<4xf32>) -> tensor<16x4xf32>
  %a = tinytrain.reduce_sum %large {dims = array<i64: 0>} : (tensor<16x4xf32>) -> tensor<4xf32>
  %small = tinytrain.broadcast %x {dims = array<i64: 1>} : (tensor<4xf32>) -> tensor<8x4xf32>
  %b = tinytrain.reduce_sum %small {dims = array<i64: 0>} : (tensor<8x4xf32>) -> tensor<4xf32>
  %y = tinytrain.concat %a, %b {axis = 0 : i64} : (tensor<4xf32>, tensor<4xf32>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----

// An update needs no memory and frees its gradient: it runs right behind it. One gradient of 16
// bytes instead of two.
// STATS: ReorderOps
// STATS-NEXT: 16 peak-after
// STATS-NEXT: 32 peak-before
// STATS-NEXT: 1 proven-optimal

// CHECK-LABEL: func.func @updates
// CHECK-SAME: ([[W:%[a-z0-9]+]]: tensor<4xf32> {tinytrain.param = "w"}, [[V:%[a-z0-9]+]]: tensor<4xf32> {tinytrain.param = "v"}
// CHECK-NEXT: [[DW:%.+]] = tinytrain.reduce_sum
// CHECK-NEXT: tinytrain.sgd_update [[W]], [[DW]]
// CHECK-NEXT: [[DV:%.+]] = tinytrain.reduce_max
// CHECK-NEXT: tinytrain.sgd_update [[V]], [[DV]]
func.func @updates(%w: tensor<4xf32> {tinytrain.param = "w"}, %v: tensor<4xf32> {tinytrain.param = "v"},
                   %x: tensor<2x4xf32>, %lr: tensor<f32>)
    -> (tensor<4xf32> {tinytrain.update_of = 0}, tensor<4xf32> {tinytrain.update_of = 1}) {
  %dw = tinytrain.reduce_sum %x {dims = array<i64: 0>} : (tensor<2x4xf32>) -> tensor<4xf32>
  %dv = tinytrain.reduce_max %x {dims = array<i64: 0>} : (tensor<2x4xf32>) -> tensor<4xf32>
  %0 = tinytrain.sgd_update %w, %dw, %lr : (tensor<4xf32>, tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = tinytrain.sgd_update %v, %dv, %lr : (tensor<4xf32>, tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}

// -----

// Not past a reader of the old parameter: the matrix product reads it as it is, the sum as a
// vector. Gradient (64 bytes), sum (4) and product (32) are alive at once: 100 bytes, where an
// update right behind its gradient would need 64. Every order that is allowed needs them.
// STATS: ReorderOps
// STATS-NEXT: 100 peak-after
// STATS-NEXT: 100 peak-before
// STATS-NEXT: 1 proven-optimal

// CHECK-LABEL: func.func @old_parameter
// CHECK-SAME: ([[W:%[a-z0-9]+]]: tensor<2x8xf32>
// CHECK-DAG: [[VIEW:%.+]] = tinytrain.reshape [[W]]
// CHECK-DAG: tinytrain.reduce_sum [[VIEW]]
// CHECK-DAG: tinytrain.matmul {{%.+}}, [[W]]
// CHECK: tinytrain.sgd_update [[W]]
// CHECK-NEXT: return
func.func @old_parameter(%w: tensor<2x8xf32> {tinytrain.param = "w"}, %g: tensor<1x2xf32>, %x: tensor<1x8xf32>, %lr: tensor<f32>)
    -> (tensor<2x8xf32> {tinytrain.update_of = 0}, tensor<1x8xf32>, tensor<f32>) {
  %dw = tinytrain.matmul %g, %x {transpose_lhs} : (tensor<1x2xf32>, tensor<1x8xf32>) -> tensor<2x8xf32>
  %dx = tinytrain.matmul %g, %w : (tensor<1x2xf32>, tensor<2x8xf32>) -> tensor<1x8xf32>
  %v = tinytrain.reshape %w : (tensor<2x8xf32>) -> tensor<16xf32>
  %s = tinytrain.reduce_sum %v {dims = array<i64: 0>} : (tensor<16xf32>) -> tensor<f32>
  %0 = tinytrain.sgd_update %w, %dw, %lr : (tensor<2x8xf32>, tensor<2x8xf32>, tensor<f32>) -> tensor<2x8xf32>
  return %0, %dx, %s : tensor<2x8xf32>, tensor<1x8xf32>, tensor<f32>
}

// -----

// Only the view reads it: the sum still comes first.
// STATS: ReorderOps
// CHECK-LABEL: func.func @old_parameter_as_view
// CHECK: tinytrain.reduce_sum
// CHECK: tinytrain.sgd_update
// CHECK-NEXT: return
func.func @old_parameter_as_view(%w: tensor<2x8xf32> {tinytrain.param = "w"}, %dw: tensor<2x8xf32>, %lr: tensor<f32>)
    -> (tensor<2x8xf32> {tinytrain.update_of = 0}, tensor<f32>) {
  %v = tinytrain.reshape %w : (tensor<2x8xf32>) -> tensor<16xf32>
  %s = tinytrain.reduce_sum %v {dims = array<i64: 0>} : (tensor<16xf32>) -> tensor<f32>
  %0 = tinytrain.sgd_update %w, %dw, %lr : (tensor<2x8xf32>, tensor<2x8xf32>, tensor<f32>) -> tensor<2x8xf32>
  return %0, %s : tensor<2x8xf32>, tensor<f32>
}

// -----

// A slice (16 bytes) of an activation (1024) is all that is kept of it. Late, it keeps the
// activation alive while the layers behind need 16 + 512: 1552. Directly behind the activation,
// that dies after 1024 + 16 + 16 bytes; then 16 + 16 + 512.
// STATS: ReorderOps
// STATS-NEXT: 1056 peak-after
// STATS-NEXT: 1552 peak-before
// STATS-NEXT: 1 proven-optimal

// CHECK-LABEL: func.func @slice
// CHECK-NEXT: [[A:%.+]] = tinytrain.broadcast {{.*}} -> tensor<64x4xf32>
// CHECK-DAG: tinytrain.slice [[A]]
// CHECK-DAG: [[R:%.+]] = tinytrain.reduce_sum [[A]]
// CHECK-NEXT: tinytrain.broadcast [[R]]
func.func @slice(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<1x4xf32>) {
  %a = tinytrain.broadcast %x {dims = array<i64: 1>} : (tensor<4xf32>) -> tensor<64x4xf32>
  %r = tinytrain.reduce_sum %a {dims = array<i64: 0>} : (tensor<64x4xf32>) -> tensor<4xf32>
  %b = tinytrain.broadcast %r {dims = array<i64: 1>} : (tensor<4xf32>) -> tensor<32x4xf32>
  %y = tinytrain.reduce_sum %b {dims = array<i64: 0>} : (tensor<32x4xf32>) -> tensor<4xf32>
  %s = tinytrain.slice %a {offsets = array<i64: 0, 0>, sizes = array<i64: 1, 4>, strides = array<i64: 1, 1>} : (tensor<64x4xf32>) -> tensor<1x4xf32>
  return %y, %s : tensor<4xf32>, tensor<1x4xf32>
}

// -----

// The same with a mask of 8x4 bytes: 1024 + 16 + 32.
// STATS: ReorderOps
// STATS-NEXT: 1072 peak-after
// STATS-NEXT: 1552 peak-before
// STATS-NEXT: 1 proven-optimal

// CHECK-LABEL: func.func @mask
// CHECK-NEXT: [[A:%.+]] = tinytrain.broadcast {{.*}} -> tensor<64x4xf32>
// CHECK-DAG: tinytrain.clamp_mask [[A]]
// CHECK-DAG: [[R:%.+]] = tinytrain.reduce_sum [[A]]
// CHECK-NEXT: tinytrain.broadcast [[R]]
func.func @mask(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<8x4xi8>) {
  %a = tinytrain.broadcast %x {dims = array<i64: 1>} : (tensor<4xf32>) -> tensor<64x4xf32>
  %r = tinytrain.reduce_sum %a {dims = array<i64: 0>} : (tensor<64x4xf32>) -> tensor<4xf32>
  %b = tinytrain.broadcast %r {dims = array<i64: 1>} : (tensor<4xf32>) -> tensor<32x4xf32>
  %y = tinytrain.reduce_sum %b {dims = array<i64: 0>} : (tensor<32x4xf32>) -> tensor<4xf32>
  %m = tinytrain.clamp_mask %a {min = 0.0 : f32, max = 6.0 : f32} : (tensor<64x4xf32>) -> tensor<8x4xi8>
  return %y, %m : tensor<4xf32>, tensor<8x4xi8>
}

// -----

// Results of 128 bytes in place of operands that die: one is alive at a time, also through a
// view. Without that two are.
// STATS: ReorderOps
// STATS-NEXT: 128 peak-after
// STATS-NEXT: 128 peak-before
// STATS-NEXT: 1 proven-optimal
// APART-COUNT-7: ReorderOps
// APART: ReorderOps
// APART-NEXT: 256 peak-after
// APART-NEXT: 256 peak-before
// APART-NEXT: 1 proven-optimal

// CHECK-LABEL: func.func @in_place
func.func @in_place(%x: tensor<4x8xf32>) -> tensor<32xf32> {
  %0 = tinytrain.exp %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = tinytrain.log %0 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = tinytrain.reshape %1 : (tensor<4x8xf32>) -> tensor<32xf32>
  %3 = tinytrain.exp %2 : (tensor<32xf32>) -> tensor<32xf32>
  return %3 : tensor<32xf32>
}

// -----

// A transpose reads other elements than it writes, and an operand that lives on stays: two
// buffers of 64 bytes for each.
// STATS: ReorderOps
// STATS-NEXT: 128 peak-after
// STATS-NEXT: 128 peak-before
// STATS-NEXT: 1 proven-optimal

// CHECK-LABEL: func.func @not_in_place
func.func @not_in_place(%x: tensor<4x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %0 = tinytrain.exp %x : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = tinytrain.transpose %0 {permutation = array<i64: 1, 0>} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %2 = tinytrain.log %1 : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %3 = tinytrain.exp %2 : (tensor<4x4xf32>) -> tensor<4x4xf32>
  return %3, %2 : tensor<4x4xf32>, tensor<4x4xf32>
}
