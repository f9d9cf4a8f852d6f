// RUN: tinytrain-opt %s --split-input-file --convert-tinytrain-to-linalg --tinytrain-lower-kernels=target=cortex-m7 | FileCheck %s

// The input gradient with stride 2, channel by channel: nine weights, a loop over rows without padding
// that computes both phases of each, then the last row, for which a row of gradients is missing.
// In a row 16 results have 9 terms for each four, less those right of the image.
// CHECK-LABEL: func.func private @by_channel
// CHECK: scf.for %[[C:[a-z0-9]+]] =
// CHECK-COUNT-9: memref.load %arg1[{{.*}}, %[[C]]] : memref<1x3x3x192xf32>
// CHECK-NOT: memref<1x3x3x192xf32>
// CHECK: scf.for
// CHECK-COUNT-33: arith.mulf
// CHECK-NOT: arith.mulf
// CHECK-COUNT-16: llvm.store
// CHECK: }
// CHECK-NOT: scf.for
// CHECK-COUNT-22: arith.mulf
// CHECK-NOT: arith.mulf
// CHECK-COUNT-16: llvm.store
// CHECK-NOT: iter_args
// CHECK: return
func.func @channels(%g: memref<1x4x4x192xf32>, %w: memref<1x3x3x192xf32>, %dx: memref<1x8x8x192xf32>) {
  tinytrain.kernel label "by_channel" ins(%g, %w) outs(%dx) attributes {tinytrain.order = "channels"} : (memref<1x4x4x192xf32>, memref<1x3x3x192xf32>, memref<1x8x8x192xf32>) -> () {
  ^bb0(%a: tensor<1x4x4x192xf32>, %b: tensor<1x3x3x192xf32>, %e: tensor<1x8x8x192xf32>):
    %0 = tinytrain.conv2d_input_grad %a, %b {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, groups = 192 : i64} : (tensor<1x4x4x192xf32>, tensor<1x3x3x192xf32>) -> tensor<1x8x8x192xf32>
    tinytrain.yield %0 : tensor<1x8x8x192xf32>
  }
  return
}

// -----

// Row by row the results may overlap the gradients, in all but two rows.
// CHECK-LABEL: func.func private @by_row
// CHECK-SAME: tinytrain.overlaps
// CHECK: scf.for %[[ROW:[a-z0-9]+]] =
// CHECK: scf.for %[[C:[a-z0-9]+]] =
// CHECK-COUNT-9: memref.load %arg1[{{.*}}, %[[C]]] : memref<1x3x3x192xf32>
// CHECK-NOT: scf.for
// CHECK-COUNT-33: arith.mulf
func.func @rows(%g: memref<1x4x4x192xf32>, %w: memref<1x3x3x192xf32>, %dx: memref<1x8x8x192xf32>) {
  tinytrain.kernel label "by_row" ins(%g, %w) outs(%dx) attributes {tinytrain.order = "rows"} : (memref<1x4x4x192xf32>, memref<1x3x3x192xf32>, memref<1x8x8x192xf32>) -> () {
  ^bb0(%a: tensor<1x4x4x192xf32>, %b: tensor<1x3x3x192xf32>, %e: tensor<1x8x8x192xf32>):
    %0 = tinytrain.conv2d_input_grad %a, %b {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, groups = 192 : i64} : (tensor<1x4x4x192xf32>, tensor<1x3x3x192xf32>) -> tensor<1x8x8x192xf32>
    tinytrain.yield %0 : tensor<1x8x8x192xf32>
  }
  return
}

// -----

// Too few terms to be worth code without loops, whatever the order.
// CHECK-LABEL: func.func private @small
// CHECK: iter_args
func.func @few(%g: memref<1x4x4x8xf32>, %w: memref<1x3x3x8xf32>, %dx: memref<1x8x8x8xf32>) {
  tinytrain.kernel label "small" ins(%g, %w) outs(%dx) attributes {tinytrain.order = "channels"} : (memref<1x4x4x8xf32>, memref<1x3x3x8xf32>, memref<1x8x8x8xf32>) -> () {
  ^bb0(%a: tensor<1x4x4x8xf32>, %b: tensor<1x3x3x8xf32>, %e: tensor<1x8x8x8xf32>):
    %0 = tinytrain.conv2d_input_grad %a, %b {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, groups = 8 : i64} : (tensor<1x4x4x8xf32>, tensor<1x3x3x8xf32>) -> tensor<1x8x8x8xf32>
    tinytrain.yield %0 : tensor<1x8x8x8xf32>
  }
  return
}
