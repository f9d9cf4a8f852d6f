// RUN: tinytrain-opt %s --split-input-file --convert-tinytrain-to-linalg --tinytrain-lower-kernels="target=cortex-a72 threads=2" | FileCheck %s

// All threads run the function; between kernels they wait for each other.
// CHECK-LABEL: func.func @two_kernels
// CHECK-SAME: %[[THREAD:[a-z0-9]+]]: index)
// CHECK-NEXT: call @rows({{.*}}, %[[THREAD]])
// CHECK-NEXT: call @barrier()
// CHECK-NEXT: call @total({{.*}}, %[[THREAD]])
// CHECK-NEXT: return
func.func @two_kernels(%x: memref<6x8xf32>, %y: memref<6x8xf32>, %z: memref<f32>) {
  tinytrain.kernel label "rows" ins(%x) outs(%y) : (memref<6x8xf32>, memref<6x8xf32>) -> () {
  ^bb0(%a: tensor<6x8xf32>, %e: tensor<6x8xf32>):
    %0 = tinytrain.exp %a : (tensor<6x8xf32>) -> tensor<6x8xf32>
    tinytrain.yield %0 : tensor<6x8xf32>
  }
  tinytrain.kernel label "total" ins(%y) outs(%z) : (memref<6x8xf32>, memref<f32>) -> () {
  ^bb0(%a: tensor<6x8xf32>, %e: tensor<f32>):
    %0 = tinytrain.reduce_sum %a {dims = array<i64: 0, 1>} : (tensor<6x8xf32>) -> tensor<f32>
    tinytrain.yield %0 : tensor<f32>
  }
  return
}

// Three rows for each thread. What overlaps nothing has no record of it.
// CHECK-LABEL: func.func private @rows
// CHECK-SAME: %[[ROWS_THREAD:[a-z0-9]+]]: index)
// CHECK-NOT: tinytrain.overlaps
// CHECK: %[[SIZE:.*]] = arith.constant 3 : index
// CHECK: %[[BEFORE:.*]] = arith.muli %[[ROWS_THREAD]], %[[SIZE]]
// CHECK: %[[FIRST:.*]] = arith.minsi
// CHECK: %[[END:.*]] = arith.minsi
// CHECK: scf.for %{{.*}} = %[[FIRST]] to %[[END]]

// One result is the first thread's.
// CHECK-LABEL: func.func private @total
// CHECK-SAME: %[[TOTAL_THREAD:[a-z0-9]+]]: index)
// CHECK: %[[ZERO:.*]] = arith.constant 0 : index
// CHECK: %[[FIRST:.*]] = arith.cmpi eq, %[[TOTAL_THREAD]], %[[ZERO]]
// CHECK-NEXT: scf.if %[[FIRST]] {
// CHECK: vector.reduction
// CHECK: memref.store

// -----

// Padding stays in one loop: channels are shared, not rows.
// CHECK-LABEL: func.func private @depthwise
// CHECK-SAME: %[[THREAD:[a-z0-9]+]]: index)
// CHECK: %[[CHANNELS:.*]] = arith.constant 8 : index
// CHECK-NEXT: arith.muli %[[THREAD]], %[[CHANNELS]]
func.func @padded(%x: memref<1x6x6x16xf32>, %w: memref<1x3x3x16xf32>, %y: memref<1x6x6x16xf32>) {
  tinytrain.kernel label "depthwise" ins(%x, %w) outs(%y) : (memref<1x6x6x16xf32>, memref<1x3x3x16xf32>, memref<1x6x6x16xf32>) -> () {
  ^bb0(%a: tensor<1x6x6x16xf32>, %b: tensor<1x3x3x16xf32>, %e: tensor<1x6x6x16xf32>):
    %0 = tinytrain.conv2d %a, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, groups = 16 : i64} : (tensor<1x6x6x16xf32>, tensor<1x3x3x16xf32>) -> tensor<1x6x6x16xf32>
    tinytrain.yield %0 : tensor<1x6x6x16xf32>
  }
  return
}
