// RUN: tinytrain-opt %s --tinytrain-lower-kernels=target=cortex-m7 --canonicalize --split-input-file | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-lower-kernels=target=cortex-m55 --split-input-file | FileCheck %s --check-prefix=MVE
// RUN: tinytrain-opt %s --tinytrain-lower-kernels=target=cortex-a72 --split-input-file | FileCheck %s --check-prefix=OTHER

// OTHER-NOT: llvm.arm

// Along what is summed, two products an instruction: of each factor a word is loaded and widened
// to two registers, less the zero point; a tile of two by two sums shares them. -131075 is -3 in
// both halves.
// With Helium sixteen terms are added to a sum in a scalar register, and the weights times the zero
// point to another one, which is subtracted.
// MVE-LABEL: func.func private @pairs
// MVE: [[X:%.*]] = llvm.load {{.*}} : !llvm.ptr -> vector<16xi8>
// MVE: [[W:%.*]] = llvm.load {{.*}} : !llvm.ptr -> vector<16xi8>
// MVE: "llvm.arm.mve.vmldava.v16i8"({{.*}}, [[X]], [[W]])
// MVE: [[ZERO:%.*]] = arith.constant dense<3> : vector<16xi8>
// MVE: "llvm.arm.mve.vmldava.v16i8"({{.*}}, [[ZERO]], [[W]])
// MVE: arith.subi
// CHECK-LABEL: func.func private @pairs
// CHECK-DAG: [[ZERO:%.*]] = arith.constant -131075 : i32
// CHECK: scf.for
// CHECK: llvm.load {{.*}} {alignment = 1 : i64} : !llvm.ptr -> i32
// CHECK: llvm.call_intrinsic "llvm.arm.sxtab16"([[ZERO]], {{.*}})
// CHECK: llvm.call_intrinsic "llvm.arm.sxtb16"
// CHECK-COUNT-4: llvm.call_intrinsic "llvm.arm.smlad"
// CHECK: llvm.intr.fshr
// CHECK-COUNT-4: llvm.call_intrinsic "llvm.arm.smlad"
// CHECK-NOT: arith.muli
// CHECK: return
func.func @sums(%x: memref<4x16xi8>, %w: memref<8x16xi8>, %y: memref<4x8xi32>) {
  tinytrain.kernel label "pairs" ins(%x, %w) outs(%y) : (memref<4x16xi8>, memref<8x16xi8>, memref<4x8xi32>) -> () {
  ^bb0(%a: tensor<4x16xi8>, %b: tensor<8x16xi8>, %c: tensor<4x8xi32>):
    %zero = arith.constant 0 : i32
    %z = arith.constant 3 : i32
    %empty = tensor.empty() : tensor<4x8xi32>
    %start = linalg.fill ins(%zero : i32) outs(%empty : tensor<4x8xi32>) -> tensor<4x8xi32>
    %0 = linalg.generic {
        indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
        iterator_types = ["parallel", "parallel", "reduction"]}
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

// Along what is stored, each sum takes its half of the registers: first the lanes in even bytes,
// then the others. The terms of a small window are unrolled.
// With vectors of int16, eight products fill two vectors of sums.
// OTHER-LABEL: func.func private @lanes
// OTHER: arith.extsi {{.*}} : vector<8xi8> to vector<8xi16>
// OTHER: arith.extsi {{.*}} : vector<8xi16> to vector<8xi32>
// OTHER: arith.muli {{.*}} : vector<8xi32>
// CHECK-LABEL: func.func private @lanes
// CHECK: llvm.call_intrinsic "llvm.arm.smlabb"
// CHECK-NEXT: {{.*}}llvm.call_intrinsic "llvm.arm.smlatt"
// CHECK: llvm.intr.fshr
// CHECK: llvm.call_intrinsic "llvm.arm.smlabb"
// CHECK-NOT: llvm.arm.smlad
// CHECK: return
func.func @depthwise(%x: memref<3x8xi8>, %w: memref<3x8xi8>, %y: memref<8xi32>) {
  tinytrain.kernel label "lanes" ins(%x, %w) outs(%y) : (memref<3x8xi8>, memref<3x8xi8>, memref<8xi32>) -> () {
  ^bb0(%a: tensor<3x8xi8>, %b: tensor<3x8xi8>, %c: tensor<8xi32>):
    %zero = arith.constant 0 : i32
    %empty = tensor.empty() : tensor<8xi32>
    %start = linalg.fill ins(%zero : i32) outs(%empty : tensor<8xi32>) -> tensor<8xi32>
    %0 = linalg.generic {
        indexing_maps = [affine_map<(c, k) -> (k, c)>, affine_map<(c, k) -> (k, c)>, affine_map<(c, k) -> (c)>],
        iterator_types = ["parallel", "reduction"]}
        ins(%a, %b : tensor<3x8xi8>, tensor<3x8xi8>) outs(%start : tensor<8xi32>) {
    ^bb0(%p: i8, %q: i8, %acc: i32):
      %1 = arith.extsi %p : i8 to i32
      %2 = arith.extsi %q : i8 to i32
      %3 = arith.muli %1, %2 : i32
      %4 = arith.addi %acc, %3 : i32
      linalg.yield %4 : i32
    } -> tensor<8xi32>
    tinytrain.yield %0 : tensor<8xi32>
  }
  return
}

// -----

// Terms of one factor lie in a row each. Two bytes of the first row and two of the third are put
// together, so that its registers have halves that fit those of the other factor's words; then
// the second row and the fourth.
// CHECK-LABEL: func.func private @rows
// CHECK: scf.for
// CHECK: [[WORD:%.*]] = llvm.load {{.*}} {alignment = 1 : i64} : !llvm.ptr -> i32
// CHECK: [[X:%.*]] = llvm.call_intrinsic "llvm.arm.sxtb16"([[WORD]])
// CHECK: llvm.load {{.*}} {alignment = 1 : i64} : !llvm.ptr -> i16
// CHECK: llvm.load {{.*}} {alignment = 1 : i64} : !llvm.ptr -> i16
// CHECK: arith.shli
// CHECK: [[ROWS:%.*]] = arith.ori
// CHECK: [[W:%.*]] = llvm.call_intrinsic "llvm.arm.sxtb16"([[ROWS]])
// CHECK: llvm.call_intrinsic "llvm.arm.smlad"([[X]], [[W]], {{.*}})
// CHECK-COUNT-7: llvm.call_intrinsic "llvm.arm.smlad"
// CHECK-NOT: llvm.arm.smlabb
// CHECK: return
func.func @input_gradient(%g: memref<4x16xi8>, %w: memref<16x8xi8>, %y: memref<4x8xi32>) {
  tinytrain.kernel label "rows" ins(%g, %w) outs(%y) : (memref<4x16xi8>, memref<16x8xi8>, memref<4x8xi32>) -> () {
  ^bb0(%a: tensor<4x16xi8>, %b: tensor<16x8xi8>, %c: tensor<4x8xi32>):
    %zero = arith.constant 0 : i32
    %empty = tensor.empty() : tensor<4x8xi32>
    %start = linalg.fill ins(%zero : i32) outs(%empty : tensor<4x8xi32>) -> tensor<4x8xi32>
    %0 = linalg.generic {
        indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
        iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %b : tensor<4x16xi8>, tensor<16x8xi8>) outs(%start : tensor<4x8xi32>) {
    ^bb0(%p: i8, %q: i8, %acc: i32):
      %1 = arith.extsi %p : i8 to i32
      %3 = arith.extsi %q : i8 to i32
      %4 = arith.muli %1, %3 : i32
      %5 = arith.addi %acc, %4 : i32
      linalg.yield %5 : i32
    } -> tensor<4x8xi32>
    tinytrain.yield %0 : tensor<4x8xi32>
  }
  return
}

// -----

// Terms of both factors lie in rows; one of them has a zero point, -3 in both halves.
// CHECK-LABEL: func.func private @both
// CHECK-DAG: [[ZERO:%.*]] = arith.constant -131075 : i32
// CHECK: scf.for
// CHECK: [[A:%.*]] = arith.ori
// CHECK: [[X:%.*]] = llvm.call_intrinsic "llvm.arm.sxtab16"([[ZERO]], [[A]])
// CHECK: [[B:%.*]] = arith.ori
// CHECK: [[W:%.*]] = llvm.call_intrinsic "llvm.arm.sxtb16"([[B]])
// CHECK: llvm.call_intrinsic "llvm.arm.smlad"([[X]], [[W]], {{.*}})
// CHECK-COUNT-7: llvm.call_intrinsic "llvm.arm.smlad"
// CHECK-NOT: llvm.arm.smlabb
// CHECK: return
func.func @weight_gradient(%x: memref<16x4xi8>, %g: memref<16x8xi8>, %y: memref<8x4xi32>) {
  tinytrain.kernel label "both" ins(%x, %g) outs(%y) : (memref<16x4xi8>, memref<16x8xi8>, memref<8x4xi32>) -> () {
  ^bb0(%a: tensor<16x4xi8>, %b: tensor<16x8xi8>, %c: tensor<8x4xi32>):
    %zero = arith.constant 0 : i32
    %z = arith.constant 3 : i32
    %empty = tensor.empty() : tensor<8x4xi32>
    %start = linalg.fill ins(%zero : i32) outs(%empty : tensor<8x4xi32>) -> tensor<8x4xi32>
    %0 = linalg.generic {
        indexing_maps = [affine_map<(o, i, p) -> (p, i)>, affine_map<(o, i, p) -> (p, o)>, affine_map<(o, i, p) -> (o, i)>],
        iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %b : tensor<16x4xi8>, tensor<16x8xi8>) outs(%start : tensor<8x4xi32>) {
    ^bb0(%p: i8, %q: i8, %acc: i32):
      %1 = arith.extsi %p : i8 to i32
      %2 = arith.subi %1, %z : i32
      %3 = arith.extsi %q : i8 to i32
      %4 = arith.muli %2, %3 : i32
      %5 = arith.addi %acc, %4 : i32
      linalg.yield %5 : i32
    } -> tensor<8x4xi32>
    tinytrain.yield %0 : tensor<8x4xi32>
  }
  return
}
