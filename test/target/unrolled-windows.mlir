// RUN: tinytrain-opt %s --tinytrain-lower-kernels=target=cortex-m7 --split-input-file | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-lower-kernels=target=cortex-a72 --split-input-file | FileCheck %s --check-prefix=VECTORS

// Where many terms are computed, a scalar core gets the nine of a window without a loop: here for a
// tile of four pixels.
// CHECK-LABEL: func.func private @many
// CHECK-NOT: iter_args
// CHECK-COUNT-36: arith.mulf
// CHECK-NOT: iter_args
// CHECK: memref.store
// VECTORS-LABEL: func.func private @many
// VECTORS: iter_args
func.func @large(%x: memref<1x34x34x2xf32>, %w: memref<1x3x3x2xf32>, %y: memref<1x32x32x2xf32>) {
  tinytrain.kernel label "many" ins(%x, %w) outs(%y) : (memref<1x34x34x2xf32>, memref<1x3x3x2xf32>, memref<1x32x32x2xf32>) -> () {
  ^bb0(%a: tensor<1x34x34x2xf32>, %b: tensor<1x3x3x2xf32>, %c: tensor<1x32x32x2xf32>):
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<1x32x32x2xf32>
    %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<1x32x32x2xf32>) -> tensor<1x32x32x2xf32>
    %0 = linalg.generic {
        indexing_maps = [affine_map<(n, p, q, c, r, s) -> (n, p + r, q + s, c)>, affine_map<(n, p, q, c, r, s) -> (0, r, s, c)>, affine_map<(n, p, q, c, r, s) -> (n, p, q, c)>],
        iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]}
        ins(%a, %b : tensor<1x34x34x2xf32>, tensor<1x3x3x2xf32>) outs(%start : tensor<1x32x32x2xf32>) {
    ^bb0(%p: f32, %q: f32, %acc: f32):
      %1 = arith.mulf %p, %q : f32
      %2 = arith.addf %acc, %1 : f32
      linalg.yield %2 : f32
    } -> tensor<1x32x32x2xf32>
    tinytrain.yield %0 : tensor<1x32x32x2xf32>
  }
  return
}

// -----

// A small kernel keeps its loops: the code would take more flash than it saves time.
// CHECK-LABEL: func.func private @few
// CHECK: iter_args
func.func @small(%x: memref<1x6x6x2xf32>, %w: memref<1x3x3x2xf32>, %y: memref<1x4x4x2xf32>) {
  tinytrain.kernel label "few" ins(%x, %w) outs(%y) : (memref<1x6x6x2xf32>, memref<1x3x3x2xf32>, memref<1x4x4x2xf32>) -> () {
  ^bb0(%a: tensor<1x6x6x2xf32>, %b: tensor<1x3x3x2xf32>, %c: tensor<1x4x4x2xf32>):
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<1x4x4x2xf32>
    %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xf32>
    %0 = linalg.generic {
        indexing_maps = [affine_map<(n, p, q, c, r, s) -> (n, p + r, q + s, c)>, affine_map<(n, p, q, c, r, s) -> (0, r, s, c)>, affine_map<(n, p, q, c, r, s) -> (n, p, q, c)>],
        iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]}
        ins(%a, %b : tensor<1x6x6x2xf32>, tensor<1x3x3x2xf32>) outs(%start : tensor<1x4x4x2xf32>) {
    ^bb0(%p: f32, %q: f32, %acc: f32):
      %1 = arith.mulf %p, %q : f32
      %2 = arith.addf %acc, %1 : f32
      linalg.yield %2 : f32
    } -> tensor<1x4x4x2xf32>
    tinytrain.yield %0 : tensor<1x4x4x2xf32>
  }
  return
}
