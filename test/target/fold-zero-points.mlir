// RUN: tinytrain-opt %s --tinytrain-fold-zero-points=target=cortex-m55 --split-input-file | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-pack-frozen-weights=target=cortex-a76 --tinytrain-fold-zero-points=target=cortex-a76 --split-input-file | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-fold-zero-points=target=cortex-m7 --split-input-file | FileCheck %s --check-prefix=DSP
// RUN: tinytrain-opt %s --tinytrain-fold-zero-points=target=cortex-m55 --tinytrain-lower-kernels=target=cortex-m55 --split-input-file | FileCheck %s --check-prefix=MVE
// RUN: not tinytrain-opt %s --tinytrain-fold-zero-points=target=z80 --split-input-file 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// UNKNOWN: error: unknown target 'z80'
// The DSP extension subtracts the zero point as it widens.
// DSP-NOT: tinytrain.folded

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>
#b = affine_map<(m, n) -> (n)>
#i = affine_map<(m, n) -> (m, n)>

// CHECK-LABEL: func.func @frozen(
// CHECK-SAME: tinytrain.folded = {amount = 3 : i64, weight = "w"}, tinytrain.param = "b"
// CHECK: {tinytrain.folded = 0 : i64
// Each of eight sums starts from its bias; nothing is subtracted, and four of them are stored at a time.
// MVE-LABEL: func.func private @products
// MVE-COUNT-8: llvm.call_intrinsic "llvm.arm.mve.vmldava.v16i8"
// MVE-NOT: llvm.call_intrinsic
// MVE: vector.from_elements {{.*}} : vector<4xi32>
// MVE: vector.store {{.*}} vector<4xi32>
func.func @frozen(%x: memref<4x16xi8>, %w: memref<8x16xi8> {tinytrain.param = "w"}, %b: memref<8xi32> {tinytrain.param = "b"}, %y: memref<4x8xi32>) {
  tinytrain.kernel label "products" ins(%x, %w, %b) outs(%y) : (memref<4x16xi8>, memref<8x16xi8>, memref<8xi32>, memref<4x8xi32>) -> () {
  ^bb0(%a: tensor<4x16xi8>, %c: tensor<8x16xi8>, %d: tensor<8xi32>, %e: tensor<4x8xi32>):
    %zero = arith.constant 0 : i32
    %z = arith.constant 3 : i32
    %empty = tensor.empty() : tensor<4x8xi32>
    %start = linalg.fill ins(%zero : i32) outs(%empty : tensor<4x8xi32>) -> tensor<4x8xi32>
    %0 = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %c : tensor<4x16xi8>, tensor<8x16xi8>) outs(%start : tensor<4x8xi32>) {
    ^bb0(%p: i8, %q: i8, %acc: i32):
      %1 = arith.extsi %p : i8 to i32
      %2 = arith.subi %1, %z : i32
      %3 = arith.extsi %q : i8 to i32
      %4 = arith.muli %2, %3 : i32
      %5 = arith.addi %acc, %4 : i32
      linalg.yield %5 : i32
    } -> tensor<4x8xi32>
    %sum = linalg.generic {indexing_maps = [#i, #b, #i], iterator_types = ["parallel", "parallel"]}
        ins(%0, %d : tensor<4x8xi32>, tensor<8xi32>) outs(%empty : tensor<4x8xi32>) {
    ^bb0(%p: i32, %q: i32, %out: i32):
      %1 = arith.addi %p, %q : i32
      linalg.yield %1 : i32
    } -> tensor<4x8xi32>
    tinytrain.yield %sum : tensor<4x8xi32>
  }
  return
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>
#b = affine_map<(m, n) -> (n)>
#i = affine_map<(m, n) -> (m, n)>

// A bias that learns stays as it is: behind eight sums the weights' own are carried.
// CHECK-LABEL: func.func @learning(
// CHECK-NOT: tinytrain.folded
// MVE-LABEL: func.func private @products
// MVE: arith.constant dense<3> : vector<16xi8>
// MVE: arith.subi
func.func @learning(%x: memref<4x16xi8>, %w: memref<8x16xi8> {tinytrain.param = "w"}, %b: memref<8xi32> {tinytrain.param = "b", tinytrain.updated}, %y: memref<4x8xi32>) {
  tinytrain.kernel label "products" ins(%x, %w, %b) outs(%y) : (memref<4x16xi8>, memref<8x16xi8>, memref<8xi32>, memref<4x8xi32>) -> () {
  ^bb0(%a: tensor<4x16xi8>, %c: tensor<8x16xi8>, %d: tensor<8xi32>, %e: tensor<4x8xi32>):
    %zero = arith.constant 0 : i32
    %z = arith.constant 3 : i32
    %empty = tensor.empty() : tensor<4x8xi32>
    %start = linalg.fill ins(%zero : i32) outs(%empty : tensor<4x8xi32>) -> tensor<4x8xi32>
    %0 = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %c : tensor<4x16xi8>, tensor<8x16xi8>) outs(%start : tensor<4x8xi32>) {
    ^bb0(%p: i8, %q: i8, %acc: i32):
      %1 = arith.extsi %p : i8 to i32
      %2 = arith.subi %1, %z : i32
      %3 = arith.extsi %q : i8 to i32
      %4 = arith.muli %2, %3 : i32
      %5 = arith.addi %acc, %4 : i32
      linalg.yield %5 : i32
    } -> tensor<4x8xi32>
    %sum = linalg.generic {indexing_maps = [#i, #b, #i], iterator_types = ["parallel", "parallel"]}
        ins(%0, %d : tensor<4x8xi32>, tensor<8xi32>) outs(%empty : tensor<4x8xi32>) {
    ^bb0(%p: i32, %q: i32, %out: i32):
      %1 = arith.addi %p, %q : i32
      linalg.yield %1 : i32
    } -> tensor<4x8xi32>
    tinytrain.yield %sum : tensor<4x8xi32>
  }
  return
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>
#b = affine_map<(m, n) -> (n)>
#i = affine_map<(m, n) -> (m, n)>

// Twice the same weights with another zero point each: their bias cannot take over both.
// CHECK-LABEL: func.func @twice(
// CHECK-NOT: tinytrain.folded
func.func @twice(%x: memref<4x16xi8>, %w: memref<8x16xi8> {tinytrain.param = "w"}, %b: memref<8xi32> {tinytrain.param = "b"}, %y: memref<4x8xi32>, %y2: memref<4x8xi32>) {
  tinytrain.kernel ins(%x, %w, %b) outs(%y) : (memref<4x16xi8>, memref<8x16xi8>, memref<8xi32>, memref<4x8xi32>) -> () {
  ^bb0(%a: tensor<4x16xi8>, %c: tensor<8x16xi8>, %d: tensor<8xi32>, %e: tensor<4x8xi32>):
    %zero = arith.constant 0 : i32
    %z = arith.constant 3 : i32
    %empty = tensor.empty() : tensor<4x8xi32>
    %start = linalg.fill ins(%zero : i32) outs(%empty : tensor<4x8xi32>) -> tensor<4x8xi32>
    %0 = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %c : tensor<4x16xi8>, tensor<8x16xi8>) outs(%start : tensor<4x8xi32>) {
    ^bb0(%p: i8, %q: i8, %acc: i32):
      %1 = arith.extsi %p : i8 to i32
      %2 = arith.subi %1, %z : i32
      %3 = arith.extsi %q : i8 to i32
      %4 = arith.muli %2, %3 : i32
      %5 = arith.addi %acc, %4 : i32
      linalg.yield %5 : i32
    } -> tensor<4x8xi32>
    %sum = linalg.generic {indexing_maps = [#i, #b, #i], iterator_types = ["parallel", "parallel"]}
        ins(%0, %d : tensor<4x8xi32>, tensor<8xi32>) outs(%empty : tensor<4x8xi32>) {
    ^bb0(%p: i32, %q: i32, %out: i32):
      %1 = arith.addi %p, %q : i32
      linalg.yield %1 : i32
    } -> tensor<4x8xi32>
    tinytrain.yield %sum : tensor<4x8xi32>
  }
  tinytrain.kernel ins(%x, %w, %b) outs(%y2) : (memref<4x16xi8>, memref<8x16xi8>, memref<8xi32>, memref<4x8xi32>) -> () {
  ^bb0(%a: tensor<4x16xi8>, %c: tensor<8x16xi8>, %d: tensor<8xi32>, %e: tensor<4x8xi32>):
    %zero = arith.constant 0 : i32
    %z = arith.constant 4 : i32
    %empty = tensor.empty() : tensor<4x8xi32>
    %start = linalg.fill ins(%zero : i32) outs(%empty : tensor<4x8xi32>) -> tensor<4x8xi32>
    %0 = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %c : tensor<4x16xi8>, tensor<8x16xi8>) outs(%start : tensor<4x8xi32>) {
    ^bb0(%p: i8, %q: i8, %acc: i32):
      %1 = arith.extsi %p : i8 to i32
      %2 = arith.subi %1, %z : i32
      %3 = arith.extsi %q : i8 to i32
      %4 = arith.muli %2, %3 : i32
      %5 = arith.addi %acc, %4 : i32
      linalg.yield %5 : i32
    } -> tensor<4x8xi32>
    %sum = linalg.generic {indexing_maps = [#i, #b, #i], iterator_types = ["parallel", "parallel"]}
        ins(%0, %d : tensor<4x8xi32>, tensor<8xi32>) outs(%empty : tensor<4x8xi32>) {
    ^bb0(%p: i32, %q: i32, %out: i32):
      %1 = arith.addi %p, %q : i32
      linalg.yield %1 : i32
    } -> tensor<4x8xi32>
    tinytrain.yield %sum : tensor<4x8xi32>
  }
  return
}
