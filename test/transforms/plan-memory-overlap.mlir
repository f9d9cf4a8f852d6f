// Results that overlap dying operands, as `tinytrain.overlaps` of the called kernel allows.
// RUN: tinytrain-opt %s --split-input-file --tinytrain-plan-memory | FileCheck %s
// RUN: tinytrain-opt %s --split-input-file --tinytrain-plan-memory --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS
// RUN: tinytrain-opt %s --split-input-file --tinytrain-plan-memory=overlap=false --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | FileCheck %s --check-prefix=APART
// RUN: tinytrain-opt %s --split-input-file --tinytrain-plan-memory=rounds=0 --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | FileCheck %s --check-prefix=ORDERS

// Two buffers of 64 bytes, both alive at call 1, where the first one dies. The result may start
// 16 bytes before it: b at 0, a at 16. They share 48 bytes; 128 - 48 = 80, which is the bound.
// STATS: PlanMemory
// STATS-NEXT: 80 arena-bytes
// STATS-NEXT: 80 bound-bytes
// STATS-NEXT: 2 buffers
// STATS-NEXT: 48 overlap-bytes
// APART: PlanMemory
// APART-NEXT: 128 arena-bytes
// APART-NEXT: 128 bound-bytes
// APART-NEXT: 2 buffers
// APART-NEXT: 0 overlap-bytes

// CHECK-LABEL: module
// CHECK-SAME: last = 1 : i64, {{[^}]*}}, offset = 16 : i64, type = memref<16xf32>, uses = array<i64: 0, 1>}
// CHECK-SAME: first = 1 : i64, {{[^}]*}}, offset = 0 : i64, type = memref<16xf32>, uses = array<i64: 1, 2>}
module {
  func.func private @fill(memref<16xf32>)
  func.func private @trail(%a: memref<16xf32>, %b: memref<16xf32>) attributes {tinytrain.kernel, tinytrain.overlaps = [array<i64: 0, 1, -16, 64>]} {
    return
  }
  func.func @dies() {
    %a = memref.alloc() : memref<16xf32>
    %b = memref.alloc() : memref<16xf32>
    call @fill(%a) : (memref<16xf32>) -> ()
    call @trail(%a, %b) : (memref<16xf32>, memref<16xf32>) -> ()
    call @fill(%b) : (memref<16xf32>) -> ()
    return
  }
}

// -----

// A result may also start 32 bytes or more behind an operand whose end is not read at the end:
// 64 bytes at 32 reach to 96. Through a view it is the same operand.
// STATS: PlanMemory
// STATS-NEXT: 96 arena-bytes
// STATS-NEXT: 96 bound-bytes
// STATS-NEXT: 2 buffers
// STATS-NEXT: 32 overlap-bytes

// CHECK-LABEL: module
// CHECK-SAME: offset = 0 : i64, type = memref<16xf32>
// CHECK-SAME: offset = 32 : i64, type = memref<16xf32>
module {
  func.func private @fill(memref<16xf32>)
  func.func private @lead(%a: memref<4x4xf32>, %b: memref<16xf32>) attributes {tinytrain.kernel, tinytrain.overlaps = [array<i64: 0, 1, -64, 32>]} {
    return
  }
  func.func @behind() {
    %a = memref.alloc() : memref<16xf32>
    %b = memref.alloc() : memref<16xf32>
    %v = memref.expand_shape %a [[0, 1]] output_shape [4, 4] : memref<16xf32> into memref<4x4xf32>
    call @fill(%a) : (memref<16xf32>) -> ()
    call @lead(%v, %b) : (memref<4x4xf32>, memref<16xf32>) -> ()
    call @fill(%b) : (memref<16xf32>) -> ()
    return
  }
}

// -----

// Offsets are multiples of 16: 4 bytes before means 16 before, 20 behind means 32 behind. Both
// share 48 or 32 bytes of 64; 80 it is, where the bound, which knows no alignment, is
// 128 - 60 = 68.
// STATS: PlanMemory
// STATS-NEXT: 80 arena-bytes
// STATS-NEXT: 68 bound-bytes
// STATS-NEXT: 2 buffers
// STATS-NEXT: 48 overlap-bytes

// CHECK-LABEL: module
module {
  func.func private @fill(memref<16xf32>)
  func.func private @element(%a: memref<16xf32>, %b: memref<16xf32>) attributes {tinytrain.kernel, tinytrain.overlaps = [array<i64: 0, 1, -4, 20>]} {
    return
  }
  func.func @aligned() {
    %a = memref.alloc() : memref<16xf32>
    %b = memref.alloc() : memref<16xf32>
    call @fill(%a) : (memref<16xf32>) -> ()
    call @element(%a, %b) : (memref<16xf32>, memref<16xf32>) -> ()
    call @fill(%b) : (memref<16xf32>) -> ()
    return
  }
}

// -----

// Not where the operand is read later.
// STATS: PlanMemory
// STATS-NEXT: 128 arena-bytes
// STATS-NEXT: 128 bound-bytes
// STATS-NEXT: 2 buffers
// STATS-NEXT: 0 overlap-bytes

// CHECK-LABEL: module
module {
  func.func private @fill(memref<16xf32>)
  func.func private @trail(%a: memref<16xf32>, %b: memref<16xf32>) attributes {tinytrain.kernel, tinytrain.overlaps = [array<i64: 0, 1, -16, 64>]} {
    return
  }
  func.func @lives_on() {
    %a = memref.alloc() : memref<16xf32>
    %b = memref.alloc() : memref<16xf32>
    call @fill(%a) : (memref<16xf32>) -> ()
    call @trail(%a, %b) : (memref<16xf32>, memref<16xf32>) -> ()
    call @fill(%a) : (memref<16xf32>) -> ()
    call @fill(%b) : (memref<16xf32>) -> ()
    return
  }
}

// -----

// Not where the result has contents before.
// STATS: PlanMemory
// STATS-NEXT: 128 arena-bytes
// STATS-NEXT: 128 bound-bytes
// STATS-NEXT: 2 buffers
// STATS-NEXT: 0 overlap-bytes

// CHECK-LABEL: module
module {
  func.func private @fill(memref<16xf32>)
  func.func private @trail(%a: memref<16xf32>, %b: memref<16xf32>) attributes {tinytrain.kernel, tinytrain.overlaps = [array<i64: 0, 1, -16, 64>]} {
    return
  }
  func.func @lives_before() {
    %a = memref.alloc() : memref<16xf32>
    %b = memref.alloc() : memref<16xf32>
    call @fill(%b) : (memref<16xf32>) -> ()
    call @fill(%a) : (memref<16xf32>) -> ()
    call @trail(%a, %b) : (memref<16xf32>, memref<16xf32>) -> ()
    call @fill(%b) : (memref<16xf32>) -> ()
    return
  }
}

// -----

// Not where a buffer is two operands, here as it is and as a view: what holds for each of them
// need not hold for both.
// STATS: PlanMemory
// STATS-NEXT: 128 arena-bytes
// STATS-NEXT: 128 bound-bytes
// STATS-NEXT: 2 buffers
// STATS-NEXT: 0 overlap-bytes

// CHECK-LABEL: module
module {
  func.func private @fill(memref<16xf32>)
  func.func private @both(%a: memref<16xf32>, %b: memref<4x4xf32>, %c: memref<16xf32>) attributes {tinytrain.kernel, tinytrain.overlaps = [array<i64: 0, 2, -16, 64>, array<i64: 1, 2, -64, 16>]} {
    return
  }
  func.func @twice() {
    %a = memref.alloc() : memref<16xf32>
    %b = memref.alloc() : memref<16xf32>
    %v = memref.expand_shape %a [[0, 1]] output_shape [4, 4] : memref<16xf32> into memref<4x4xf32>
    call @fill(%a) : (memref<16xf32>) -> ()
    call @both(%a, %v, %b) : (memref<16xf32>, memref<4x4xf32>, memref<16xf32>) -> ()
    call @fill(%b) : (memref<16xf32>) -> ()
    return
  }
}

// -----

// An argument is in the caller's memory: nothing to overlap, 64 bytes for the other two.
// STATS: PlanMemory
// STATS-NEXT: 64 arena-bytes
// STATS-NEXT: 64 bound-bytes
// STATS-NEXT: 2 buffers
// STATS-NEXT: 0 overlap-bytes

// CHECK-LABEL: module
module {
  func.func private @fill(memref<16xf32>)
  func.func private @trail(%a: memref<16xf32>, %b: memref<16xf32>) attributes {tinytrain.kernel, tinytrain.overlaps = [array<i64: 0, 1, -16, 64>]} {
    return
  }
  func.func @argument(%x: memref<16xf32>, %y: memref<16xf32>) {
    %a = memref.alloc() : memref<16xf32>
    %b = memref.alloc() : memref<16xf32>
    call @trail(%x, %a) : (memref<16xf32>, memref<16xf32>) -> ()
    call @trail(%a, %y) : (memref<16xf32>, memref<16xf32>) -> ()
    call @fill(%b) : (memref<16xf32>) -> ()
    return
  }
}

// -----

// Largest first wastes memory:
//
//   buffer  bytes   alive   largest first            best
//   a          32  [0, 2]   over b and c: 64            0
//   b          64  [0, 1]   0                          32
//   c          48  [2, 4]   b is dead: 0               64
//   d          32  [2, 2]   no room in [48, 64): 96    32
//   e          48  [4, 4]   over c: 48                  0
//
// 128 bytes, and each of the other fixed orders needs at least as many. a, c and d are alive at
// call 2: no plan needs less than 32 + 48 + 32 = 112, which the search finds.
// STATS: PlanMemory
// STATS-NEXT: 112 arena-bytes
// STATS-NEXT: 112 bound-bytes
// STATS-NEXT: 5 buffers
// STATS-NEXT: 0 overlap-bytes
// ORDERS-COUNT-7: PlanMemory
// ORDERS: PlanMemory
// ORDERS-NEXT: 128 arena-bytes
// ORDERS-NEXT: 112 bound-bytes

// CHECK-LABEL: module
// CHECK-SAME: tinytrain.arena_bytes = 112
module {
  func.func private @f0(memref<8xf32>, memref<16xf32>)
  func.func private @f1(memref<16xf32>)
  func.func private @f2(memref<8xf32>, memref<12xf32>, memref<8xf32>)
  func.func private @f3(memref<12xf32>)
  func.func private @f4(memref<12xf32>, memref<12xf32>)
  func.func @search() {
    %a = memref.alloc() : memref<8xf32>
    %b = memref.alloc() : memref<16xf32>
    %c = memref.alloc() : memref<12xf32>
    %d = memref.alloc() : memref<8xf32>
    %e = memref.alloc() : memref<12xf32>
    call @f0(%a, %b) : (memref<8xf32>, memref<16xf32>) -> ()
    call @f1(%b) : (memref<16xf32>) -> ()
    call @f2(%a, %c, %d) : (memref<8xf32>, memref<12xf32>, memref<8xf32>) -> ()
    call @f3(%c) : (memref<12xf32>) -> ()
    call @f4(%c, %e) : (memref<12xf32>, memref<12xf32>) -> ()
    return
  }
}
