// RUN: tinytrain-opt %s --tinytrain-pack-frozen-weights=target=cortex-a76 --split-input-file | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-pack-frozen-weights=target=cortex-m7 --split-input-file | FileCheck %s --check-prefix=DSP
// RUN: tinytrain-opt %s --tinytrain-pack-frozen-weights=target=cortex-m7 --tinytrain-lower-kernels=target=cortex-m7 --split-input-file | FileCheck %s --check-prefix=SMLAD
// RUN: tinytrain-opt %s --tinytrain-pack-frozen-weights=target=cortex-a76 --tinytrain-lower-kernels=target=cortex-a76 --split-input-file | FileCheck %s --check-prefix=SDOT
// RUN: tinytrain-opt %s --tinytrain-pack-frozen-weights=target=cortex-a72 --tinytrain-lower-kernels=target=cortex-a72 --split-input-file | FileCheck %s --check-prefix=SMULL
// RUN: not tinytrain-opt %s --tinytrain-pack-frozen-weights=target=z80 --split-input-file 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// DSP-NOT: tinytrain.packed
// UNKNOWN: error: unknown target 'z80'

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>

// Four output channels a vector, four terms a lane. Behind the four sums of a tile the loop carries
// that of the weights times the zero point.
// CHECK-LABEL: func.func @frozen(
// CHECK-SAME: tinytrain.packed = array<i64: 4, 4>
// CHECK: tinytrain.kernel
// CHECK: {tinytrain.packed = array<i64: 4, 4>}
// SDOT-LABEL: func.func private @products
// SDOT: scf.for
// SDOT: [[X:%.*]] = vector.load %arg0{{.*}} vector<4xi8>
// SDOT: [[W:%.*]] = vector.load {{.*}} : memref<128xi8>, vector<16xi8>
// SDOT: llvm.call_intrinsic "llvm.aarch64.neon.sdot.v4i32.v16i8"({{.*}}, [[W]], {{.*}})
// SDOT: [[ZERO:%.*]] = arith.constant dense<3> : vector<16xi8>
// SDOT: llvm.call_intrinsic "llvm.aarch64.neon.sdot.v4i32.v16i8"({{.*}}, [[W]], [[ZERO]])
// SDOT: arith.subi {{.*}} : vector<4xi32>
// SMULL-LABEL: func.func private @products
// SMULL: llvm.call_intrinsic "llvm.aarch64.neon.smull.v8i16"
// SMULL: llvm.call_intrinsic "llvm.aarch64.neon.saddlp.v4i32.v8i16"
func.func @frozen(%x: memref<4x16xi8>, %w: memref<8x16xi8> {tinytrain.param = "w"}, %y: memref<4x8xi32>) {
  tinytrain.kernel label "products" ins(%x, %w) outs(%y) : (memref<4x16xi8>, memref<8x16xi8>, memref<4x8xi32>) -> () {
  ^bb0(%a: tensor<4x16xi8>, %b: tensor<8x16xi8>, %c: tensor<4x8xi32>):
    %zero = arith.constant 0 : i32
    %z = arith.constant 3 : i32
    %empty = tensor.empty() : tensor<4x8xi32>
    %start = linalg.fill ins(%zero : i32) outs(%empty : tensor<4x8xi32>) -> tensor<4x8xi32>
    %0 = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %b : tensor<4x16xi8>, tensor<8x16xi8>) outs(%start : tensor<4x8xi32>) {
    ^bb0(%p: i8, %q: i8, %acc: i32):
      %1 = arith.extsi %p : i8 to i32
      %2 = arith.subi %1, %z : i32
      %3 = arith.extsi %q : i8 to i32
      %4 = arith.muli %2, %3 : i32
      %5 = arith.addi %acc, %4 : i32
      linalg.yield %5 : i32
    } -> tensor<4x8xi32>
    tinytrain.yield %0 : tensor<4x8xi32>
  }
  return
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>

// A weight that another function updates stays as it is.
// CHECK-LABEL: func.func @learning(
// CHECK-NOT: tinytrain.packed
// CHECK-LABEL: func.func @update(
// CHECK-NOT: tinytrain.packed
func.func @learning(%x: memref<4x16xf32>, %w: memref<8x16xf32> {tinytrain.param = "w"}, %y: memref<4x8xf32>) {
  tinytrain.kernel ins(%x, %w) outs(%y) : (memref<4x16xf32>, memref<8x16xf32>, memref<4x8xf32>) -> () {
  ^bb0(%a: tensor<4x16xf32>, %b: tensor<8x16xf32>, %c: tensor<4x8xf32>):
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<4x8xf32>
    %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<4x8xf32>) -> tensor<4x8xf32>
    %0 = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %b : tensor<4x16xf32>, tensor<8x16xf32>) outs(%start : tensor<4x8xf32>) {
    ^bb0(%p: f32, %q: f32, %acc: f32):
      %1 = arith.mulf %p, %q : f32
      %2 = arith.addf %acc, %1 : f32
      linalg.yield %2 : f32
    } -> tensor<4x8xf32>
    tinytrain.yield %0 : tensor<4x8xf32>
  }
  return
}
func.func @update(%w: memref<8x16xf32> {tinytrain.param = "w", tinytrain.updated}) {
  return
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>

// One of two kernels reads the last four channels only; floats have no groups.
// CHECK-LABEL: func.func @slices(
// CHECK-SAME: tinytrain.packed = array<i64: 4, 1>
func.func @slices(%x: memref<4x16xf32>, %w: memref<8x16xf32> {tinytrain.param = "w"}, %y: memref<4x4xf32>) {
  tinytrain.kernel ins(%x, %w) outs(%y) : (memref<4x16xf32>, memref<8x16xf32>, memref<4x4xf32>) -> () {
  ^bb0(%a: tensor<4x16xf32>, %b: tensor<8x16xf32>, %c: tensor<4x4xf32>):
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<4x4xf32>
    %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<4x4xf32>) -> tensor<4x4xf32>
    %last = tensor.extract_slice %b[4, 0] [4, 16] [1, 1] : tensor<8x16xf32> to tensor<4x16xf32>
    %0 = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %last : tensor<4x16xf32>, tensor<4x16xf32>) outs(%start : tensor<4x4xf32>) {
    ^bb0(%p: f32, %q: f32, %acc: f32):
      %1 = arith.mulf %p, %q : f32
      %2 = arith.addf %acc, %1 : f32
      linalg.yield %2 : f32
    } -> tensor<4x4xf32>
    tinytrain.yield %0 : tensor<4x4xf32>
  }
  return
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>

// With the DSP extension: halfwords, where each weight has many results. Two registers of them are
// loaded at a time, and none is widened; what is read of the other factor stays in four registers
// while the loop over outputs runs.
// DSP-LABEL: func.func @halfwords(
// DSP-SAME: memref<16x16xi8> {tinytrain.param = "w", tinytrain.widened = 1 : i64}
// DSP: tensor.extract_slice %{{.*}}[0, 0] [16, 8] [1, 1] : tensor<16x16xi8> to tensor<16x8xi8>
// SMLAD-LABEL: func.func private @held
// SMLAD: scf.for
// SMLAD-COUNT-4: "llvm.arm.sxtab16"
// SMLAD: scf.for
// SMLAD-NOT: sxt
// SMLAD: llvm.load volatile {{.*}} {alignment = 4 : i64} : !llvm.ptr -> i64
// SMLAD-COUNT-4: "llvm.arm.smlad"
// SMLAD: llvm.store
// SMLAD-NOT: scf.for
// SMLAD: return
func.func @halfwords(%x: memref<64x8xi8>, %w: memref<16x8xi8> {tinytrain.param = "w"}, %y: memref<64x16xi32>) {
  tinytrain.kernel label "held" ins(%x, %w) outs(%y) : (memref<64x8xi8>, memref<16x8xi8>, memref<64x16xi32>) -> () {
  ^bb0(%a: tensor<64x8xi8>, %b: tensor<16x8xi8>, %c: tensor<64x16xi32>):
    %zero = arith.constant 0 : i32
    %z = arith.constant 3 : i32
    %empty = tensor.empty() : tensor<64x16xi32>
    %start = linalg.fill ins(%zero : i32) outs(%empty : tensor<64x16xi32>) -> tensor<64x16xi32>
    %0 = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %b : tensor<64x8xi8>, tensor<16x8xi8>) outs(%start : tensor<64x16xi32>) {
    ^bb0(%p: i8, %q: i8, %acc: i32):
      %1 = arith.extsi %p : i8 to i32
      %2 = arith.subi %1, %z : i32
      %3 = arith.extsi %q : i8 to i32
      %4 = arith.muli %2, %3 : i32
      %5 = arith.addi %acc, %4 : i32
      linalg.yield %5 : i32
    } -> tensor<64x16xi32>
    tinytrain.yield %0 : tensor<64x16xi32>
  }
  return
}

// -----

#g = affine_map<(m, n, k) -> (m, k)>
#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#t = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// Another kernel reads the weight across its rows: where there is no flash to save, the first one reads
// a packed copy.
// CHECK-LABEL: func.func @both_ways(
// CHECK-SAME: %[[W:[a-z0-9]+]]: memref<8x16xf32> {tinytrain.param = "w"}
// CHECK-SAME: %[[COPY:[a-z0-9]+]]: memref<8x16xf32> {tinytrain.packed = array<i64: 4, 1>, tinytrain.param = "w#packed"}
// CHECK: tinytrain.kernel ins(%{{.*}}, %[[COPY]])
// CHECK: tinytrain.kernel ins(%{{.*}}, %[[W]])
// DSP-LABEL: func.func @both_ways(
// DSP-NOT: w#packed
// DSP: return
func.func @both_ways(%x: memref<4x16xf32>, %w: memref<8x16xf32> {tinytrain.param = "w"}, %y: memref<4x8xf32>, %dx: memref<4x16xf32>) {
  tinytrain.kernel ins(%x, %w) outs(%y) : (memref<4x16xf32>, memref<8x16xf32>, memref<4x8xf32>) -> () {
  ^bb0(%a: tensor<4x16xf32>, %b: tensor<8x16xf32>, %c: tensor<4x8xf32>):
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<4x8xf32>
    %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<4x8xf32>) -> tensor<4x8xf32>
    %0 = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %b : tensor<4x16xf32>, tensor<8x16xf32>) outs(%start : tensor<4x8xf32>) {
    ^bb0(%p: f32, %q: f32, %acc: f32):
      %1 = arith.mulf %p, %q : f32
      %2 = arith.addf %acc, %1 : f32
      linalg.yield %2 : f32
    } -> tensor<4x8xf32>
    tinytrain.yield %0 : tensor<4x8xf32>
  }
  tinytrain.kernel ins(%y, %w) outs(%dx) : (memref<4x8xf32>, memref<8x16xf32>, memref<4x16xf32>) -> () {
  ^bb0(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %c: tensor<4x16xf32>):
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<4x16xf32>
    %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<4x16xf32>) -> tensor<4x16xf32>
    %0 = linalg.generic {indexing_maps = [#g, #t, #y], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %b : tensor<4x8xf32>, tensor<8x16xf32>) outs(%start : tensor<4x16xf32>) {
    ^bb0(%p: f32, %q: f32, %acc: f32):
      %1 = arith.mulf %p, %q : f32
      %2 = arith.addf %acc, %1 : f32
      linalg.yield %2 : f32
    } -> tensor<4x16xf32>
    tinytrain.yield %0 : tensor<4x16xf32>
  }
  return
}
