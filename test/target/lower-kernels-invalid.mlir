// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg --tinytrain-lower-kernels=target=cortex-m7 --split-input-file --verify-diagnostics

func.func @unbufferized(%x: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error@+1 {{'tinytrain.kernel' op has to be bufferized before it is lowered}}
  %0 = tinytrain.kernel ins(%x) outs() : (tensor<8xf32>) -> tensor<8xf32> {
  ^bb0(%a: tensor<8xf32>):
    %1 = tinytrain.exp %a : (tensor<8xf32>) -> tensor<8xf32>
    tinytrain.yield %1 : tensor<8xf32>
  }
  return %0 : tensor<8xf32>
}

// -----

func.func @second_reduction(%x: memref<4x8xf32>, %y: memref<4xf32>) {
  // expected-error@+1 {{'tinytrain.kernel' op cannot become one loop nest: 'linalg.generic' reduces after the root op}}
  tinytrain.kernel ins(%x) outs(%y) : (memref<4x8xf32>, memref<4xf32>) -> () {
  ^bb0(%a: tensor<4x8xf32>, %e: tensor<4xf32>):
    %0 = tinytrain.exp %a : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %1 = tinytrain.reduce_sum %0 {dims = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>
    tinytrain.yield %1 : tensor<4xf32>
  }
  return
}

// -----

func.func @transposed(%x: memref<4x8xf32>, %y: memref<8x4xf32>) {
  // expected-error@+1 {{'tinytrain.kernel' op cannot become one loop nest: 'linalg.generic' does not follow the root op element by element}}
  tinytrain.kernel ins(%x) outs(%y) : (memref<4x8xf32>, memref<8x4xf32>) -> () {
  ^bb0(%a: tensor<4x8xf32>, %e: tensor<8x4xf32>):
    %0 = tinytrain.exp %a : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %1 = tinytrain.transpose %0 {permutation = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
    tinytrain.yield %1 : tensor<8x4xf32>
  }
  return
}

// -----

func.func @empty(%x: memref<8xf32>, %y: memref<8xf32>) {
  // expected-error@+1 {{'tinytrain.kernel' op holds no linalg op}}
  tinytrain.kernel ins(%x) outs(%y) : (memref<8xf32>, memref<8xf32>) -> () {
  ^bb0(%a: tensor<8xf32>, %e: tensor<8xf32>):
    tinytrain.yield %a : tensor<8xf32>
  }
  return
}

// -----

func.func @argument_yielded(%x: memref<8xf32>, %y: memref<8xf32>) {
  // expected-error@+1 {{'tinytrain.kernel' op yields a value that it does not compute}}
  tinytrain.kernel ins(%x) outs(%y) : (memref<8xf32>, memref<8xf32>) -> () {
  ^bb0(%a: tensor<8xf32>, %e: tensor<8xf32>):
    %0 = tinytrain.exp %a : (tensor<8xf32>) -> tensor<8xf32>
    tinytrain.yield %a : tensor<8xf32>
  }
  return
}

// -----

// Padding is left out, so that it has to be neutral: zero in a sum.
#window = affine_map<(i, j) -> (i + j)>
#out = affine_map<(i, j) -> (i)>
#tap = affine_map<(i, j) -> (j)>
func.func @padding(%x: memref<8xf32>, %w: memref<3xf32>, %y: memref<8xf32>) {
  tinytrain.kernel ins(%x, %w) outs(%y) : (memref<8xf32>, memref<3xf32>, memref<8xf32>) -> () {
  ^bb0(%a: tensor<8xf32>, %k: tensor<3xf32>, %e: tensor<8xf32>):
    %one = arith.constant 1.0 : f32
    %zero = arith.constant 0.0 : f32
    %pad = tensor.pad %a low[1] high[1] {
    ^bb0(%i: index):
      tensor.yield %one : f32
    } : tensor<8xf32> to tensor<10xf32>
    %empty = tensor.empty() : tensor<8xf32>
    %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<8xf32>) -> tensor<8xf32>
    // expected-error@+1 {{'linalg.generic' op reads a padding that would change its result}}
    %0 = linalg.generic {indexing_maps = [#window, #tap, #out], iterator_types = ["parallel", "reduction"]}
        ins(%pad, %k : tensor<10xf32>, tensor<3xf32>) outs(%init : tensor<8xf32>) {
    ^bb0(%p: f32, %q: f32, %acc: f32):
      %m = arith.mulf %p, %q : f32
      %s = arith.addf %acc, %m : f32
      linalg.yield %s : f32
    } -> tensor<8xf32>
    tinytrain.yield %0 : tensor<8xf32>
  }
  return
}

// -----

// Two operands are read as one along a loop; two pairs would have to meet at one place.
func.func @two_joins(%x: memref<4x6xf32>, %w: memref<8x2xf32>, %v: memref<8x4xf32>, %b: memref<3xf32>, %c: memref<5xf32>, %y: memref<4x8xf32>) {
  // expected-error@+1 {{'tinytrain.kernel' op cannot become one loop nest: 'tensor.concat' joins operands at another place than an earlier one}}
  tinytrain.kernel ins(%x, %w, %v, %b, %c) outs(%y) : (memref<4x6xf32>, memref<8x2xf32>, memref<8x4xf32>, memref<3xf32>, memref<5xf32>, memref<4x8xf32>) -> () {
  ^bb0(%a: tensor<4x6xf32>, %p: tensor<8x2xf32>, %q: tensor<8x4xf32>, %r: tensor<3xf32>, %s: tensor<5xf32>, %e: tensor<4x8xf32>):
    %0 = tinytrain.concat %p, %q {axis = 1 : i64} : (tensor<8x2xf32>, tensor<8x4xf32>) -> tensor<8x6xf32>
    %1 = tinytrain.matmul %a, %0 {transpose_rhs} : (tensor<4x6xf32>, tensor<8x6xf32>) -> tensor<4x8xf32>
    %2 = tinytrain.concat %r, %s {axis = 0 : i64} : (tensor<3xf32>, tensor<5xf32>) -> tensor<8xf32>
    %3 = tinytrain.bias_add %1, %2 : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
    tinytrain.yield %3 : tensor<4x8xf32>
  }
  return
}

// -----

func.func @joined_rows(%x: memref<4x6xf32>, %w: memref<2x6xf32>, %v: memref<6x6xf32>, %y: memref<4x8xf32>) {
  // expected-error@+1 {{'tinytrain.kernel' op cannot become one loop nest: 'tensor.concat' does not join two operands along the loop over their last dimension}}
  tinytrain.kernel ins(%x, %w, %v) outs(%y) : (memref<4x6xf32>, memref<2x6xf32>, memref<6x6xf32>, memref<4x8xf32>) -> () {
  ^bb0(%a: tensor<4x6xf32>, %p: tensor<2x6xf32>, %q: tensor<6x6xf32>, %e: tensor<4x8xf32>):
    %0 = tinytrain.concat %p, %q {axis = 0 : i64} : (tensor<2x6xf32>, tensor<6x6xf32>) -> tensor<8x6xf32>
    %1 = tinytrain.matmul %a, %0 {transpose_rhs} : (tensor<4x6xf32>, tensor<8x6xf32>) -> tensor<4x8xf32>
    tinytrain.yield %1 : tensor<4x8xf32>
  }
  return
}

// -----

func.func @folded(%x: memref<4xf32>, %y: memref<4xf32>) {
  // expected-error@+1 {{has 'tinytrain.folded', which is for sums of products of int8 only}}
  tinytrain.kernel ins(%x) outs(%y) attributes {tinytrain.folded = 0 : i64} : (memref<4xf32>, memref<4xf32>) -> () {
  ^bb0(%a: tensor<4xf32>, %e: tensor<4xf32>):
    %empty = tensor.empty() : tensor<4xf32>
    %0 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
        ins(%a : tensor<4xf32>) outs(%empty : tensor<4xf32>) {
    ^bb0(%p: f32, %q: f32):
      %1 = arith.addf %p, %p : f32
      linalg.yield %1 : f32
    } -> tensor<4xf32>
    tinytrain.yield %0 : tensor<4xf32>
  }
  return
}
