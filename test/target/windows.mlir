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

// -----

// Gradients in int8: nine weights are converted once, and sums of f32 hold the products exactly.
// CHECK-LABEL: func.func private @of_int8
// CHECK: scf.for
// CHECK-COUNT-9: arith.sitofp
// CHECK: scf.for
// CHECK: arith.sitofp
// CHECK: math.fma
// CHECK: arith.fptosi
// CHECK-NOT: arith.muli {{.*}} : i32
// CHECK: return
func.func @int8(%g: memref<1x8x8x64xi8>, %w: memref<1x3x3x64xi8>, %dx: memref<1x8x8x64xi32>) {
  tinytrain.kernel label "of_int8" ins(%g, %w) outs(%dx) attributes {tinytrain.order = "channels"} : (memref<1x8x8x64xi8>, memref<1x3x3x64xi8>, memref<1x8x8x64xi32>) -> () {
  ^bb0(%a: tensor<1x8x8x64xi8>, %b: tensor<1x3x3x64xi8>, %e: tensor<1x8x8x64xi32>):
    %zero = arith.constant 0 : i32
    %empty = tensor.empty() : tensor<1x8x8x64xi32>
    %start = linalg.fill ins(%zero : i32) outs(%empty : tensor<1x8x8x64xi32>) -> tensor<1x8x8x64xi32>
    %none = arith.constant 0 : i8
    %padded = tensor.pad %a low[0, 1, 1, 0] high[0, 1, 1, 0] {
    ^bb0(%i: index, %j: index, %k: index, %l: index):
      tensor.yield %none : i8
    } : tensor<1x8x8x64xi8> to tensor<1x10x10x64xi8>
    %0 = linalg.generic {
        indexing_maps = [affine_map<(n, p, q, c, h, w) -> (n, p + h, q + w, c)>, affine_map<(n, p, q, c, h, w) -> (0, h, w, c)>, affine_map<(n, p, q, c, h, w) -> (n, p, q, c)>],
        iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]}
        ins(%padded, %b : tensor<1x10x10x64xi8>, tensor<1x3x3x64xi8>) outs(%start : tensor<1x8x8x64xi32>) {
    ^bb0(%p: i8, %q: i8, %acc: i32):
      %1 = arith.extsi %p : i8 to i32
      %3 = arith.extsi %q : i8 to i32
      %4 = arith.muli %1, %3 : i32
      %5 = arith.addi %acc, %4 : i32
      linalg.yield %5 : i32
    } -> tensor<1x8x8x64xi32>
    tinytrain.yield %0 : tensor<1x8x8x64xi32>
  }
  return
}

// -----

// The gradient of a depthwise weight: three taps of a row are summed together, over the rows that they
// meet; of eight columns each tap at the side meets seven.
// CHECK-LABEL: func.func private @of_weight
// CHECK: scf.for
// CHECK: scf.for
// CHECK: scf.for {{.*}} iter_args({{.*}}, {{.*}}, {{.*}}) -> (f32, f32, f32)
// CHECK-COUNT-22: arith.mulf
// CHECK-NOT: arith.mulf
// CHECK: scf.yield {{.*}} : f32, f32, f32
// CHECK-COUNT-3: memref.store
// CHECK-NOT: memref.store
// CHECK: return
func.func @weight(%x: memref<1x8x8x64xf32>, %g: memref<1x8x8x64xf32>, %dw: memref<1x3x3x64xf32>) {
  tinytrain.kernel label "of_weight" ins(%x, %g) outs(%dw) : (memref<1x8x8x64xf32>, memref<1x8x8x64xf32>, memref<1x3x3x64xf32>) -> () {
  ^bb0(%a: tensor<1x8x8x64xf32>, %b: tensor<1x8x8x64xf32>, %e: tensor<1x3x3x64xf32>):
    %0 = tinytrain.conv2d_weight_grad %a, %b {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, groups = 64 : i64} : (tensor<1x8x8x64xf32>, tensor<1x8x8x64xf32>) -> tensor<1x3x3x64xf32>
    tinytrain.yield %0 : tensor<1x3x3x64xf32>
  }
  return
}
