// Lifetimes in, offsets and total out.
// RUN: tinytrain-opt %s --tinytrain-plan-memory | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-plan-memory=alignment=64 | FileCheck %s --check-prefix=WIDE
// RUN: tinytrain-opt %s --tinytrain-plan-memory --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// @step numbers its calls 0 to 4; allocations count for nothing:
//
//   buffer  bytes   alive
//   a          64  [0, 1]  largest: at 0
//   b          32  [1, 2]  not over a: at 64
//   c          32  [2, 3]  not over b, but a is dead: at 0
//   d          12  [3, 4]  not over c: at 32
//
// Total: 64 + 32 = 96, as much as a and b need at 1, so that the plan is optimal. @other
// needs 12 and 8 bytes at a time, the second buffer at the next multiple of 16: 24. The two
// never run at the same time: the arena has max(96, 24) = 96 bytes.

// With an alignment of 64, d stands at 64 and the second buffer of @other too: 64 + 8 = 72.

// CHECK: module attributes {tinytrain.arena_bytes = 96 : i64
// CHECK-SAME: {bytes = 64 : i64, first = 0 : i64, function = "step", label = "call", last = 1 : i64, {{[^}]*}}, offset = 0 : i64, type = memref<16xf32>, uses = array<i64: 0, 1>}
// CHECK-SAME: {bytes = 32 : i64, first = 1 : i64, function = "step", label = "call", last = 2 : i64, {{[^}]*}}, offset = 64 : i64, type = memref<8xf32>, uses = array<i64: 1, 2>}
// CHECK-SAME: {bytes = 32 : i64, first = 2 : i64, function = "step", label = "call", last = 3 : i64, {{[^}]*}}, offset = 0 : i64, type = memref<8xf32>, uses = array<i64: 2, 3>}
// CHECK-SAME: {bytes = 12 : i64, first = 3 : i64, function = "step", label = "call", last = 4 : i64, {{[^}]*}}, offset = 32 : i64, type = memref<3xf32>, uses = array<i64: 3, 4>}
// CHECK-SAME: {bytes = 12 : i64, first = 0 : i64, function = "other", label = "call", last = 1 : i64, {{[^}]*}}, offset = 0 : i64, type = memref<1x3xf32>, uses = array<i64: 0, 1>}
// CHECK-SAME: {bytes = 8 : i64, first = 0 : i64, function = "other", label = "call", last = 0 : i64, {{[^}]*}}, offset = 16 : i64, type = memref<8xi8>, uses = array<i64: 0>}]
// Each call has a record, in order, numbered per function.
// CHECK-SAME: tinytrain.ops = [{function = "step", functions = ["{{[a-z]+}}"], label = "call", {{[^}]*}}, macs = 0 : i64, number = 0 : i64, phase = "forward", writes = []}
// CHECK-SAME: {function = "step", {{[^}]*}}, number = 4 : i64, {{[^}]*}}}
// CHECK-SAME: {function = "other", {{[^}]*}}, number = 0 : i64, {{[^}]*}}}
// CHECK-SAME: {function = "other", {{[^}]*}}, number = 1 : i64, {{[^}]*}}}]
// CHECK: memref.global "private" @arena : memref<96xi8> = uninitialized {alignment = 16 : i64

// WIDE: module attributes {tinytrain.arena_bytes = 96 : i64
// WIDE-SAME: function = "step", {{.*}}, offset = 64 : i64, type = memref<3xf32>,
// WIDE-SAME: function = "other", {{.*}}, offset = 64 : i64, type = memref<8xi8>,
// WIDE: memref.global "private" @arena : memref<96xi8> = uninitialized {alignment = 64 : i64

// The buffer without a use is none.
// STATS: PlanMemory
// STATS-DAG: 96 arena-bytes
// STATS-DAG: 96 bound-bytes
// STATS-DAG: 6 buffers
// STATS-DAG: 0 overlap-bytes

func.func private @load(memref<16xf32>, memref<16xf32>)
func.func private @shrink(memref<16xf32>, memref<8xf32>)
func.func private @keep(memref<8xf32>, memref<8xf32>)
func.func private @reduce(memref<8xf32>, memref<3xf32>)
func.func private @save(memref<3xf32>, memref<3xf32>)
func.func private @bytes(memref<3xf32>, memref<8xi8>)

// Inputs and outputs stay arguments.
// CHECK-LABEL: func.func @step
// CHECK-SAME: ([[X:%[a-z0-9]+]]: memref<16xf32>, [[Y:%[a-z0-9]+]]: memref<3xf32>)
// CHECK-NOT: memref.alloc
// CHECK-NEXT: [[ARENA:%.+]] = memref.get_global @arena : memref<96xi8>
// CHECK-NEXT: [[OFFSETA:%.+]] = arith.constant 0 : index
// CHECK-NEXT: [[A:%.+]] = memref.view [[ARENA]][[[OFFSETA]]][] : memref<96xi8> to memref<16xf32>
// CHECK: [[OFFSETB:%.+]] = arith.constant 64 : index
// CHECK-NEXT: [[B:%.+]] = memref.view {{%.+}}[[[OFFSETB]]][] : memref<96xi8> to memref<8xf32>
// CHECK: [[OFFSETC:%.+]] = arith.constant 0 : index
// CHECK-NEXT: [[C:%.+]] = memref.view {{%.+}}[[[OFFSETC]]][] : memref<96xi8> to memref<8xf32>
// CHECK: [[OFFSETD:%.+]] = arith.constant 32 : index
// CHECK-NEXT: [[D:%.+]] = memref.view {{%.+}}[[[OFFSETD]]][] : memref<96xi8> to memref<3xf32>
// CHECK: call @load([[X]], [[A]])
// CHECK: call @shrink([[A]], [[B]])
// CHECK: call @keep([[B]], [[C]])
// CHECK: call @reduce([[C]], [[D]])
// CHECK: call @save([[D]], [[Y]])
func.func @step(%x: memref<16xf32>, %y: memref<3xf32>) {
  %a = memref.alloc() : memref<16xf32>
  %b = memref.alloc() : memref<8xf32>
  %c = memref.alloc() : memref<8xf32>
  %d = memref.alloc() : memref<3xf32>
  call @load(%x, %a) : (memref<16xf32>, memref<16xf32>) -> ()
  call @shrink(%a, %b) : (memref<16xf32>, memref<8xf32>) -> ()
  call @keep(%b, %c) : (memref<8xf32>, memref<8xf32>) -> ()
  call @reduce(%c, %d) : (memref<8xf32>, memref<3xf32>) -> ()
  call @save(%d, %y) : (memref<3xf32>, memref<3xf32>) -> ()
  return
}

// A use through a view keeps the buffer alive.
// CHECK-LABEL: func.func @other
// CHECK-NOT: memref.alloc
// CHECK: memref.get_global @arena
// CHECK: call @bytes
func.func @other(%x: memref<3xf32>) {
  %unused = memref.alloc() : memref<64xf32>
  %a = memref.alloc() : memref<1x3xf32>
  %b = memref.alloc() : memref<8xi8>
  %v = memref.collapse_shape %a [[0, 1]] : memref<1x3xf32> into memref<3xf32>
  call @bytes(%v, %b) : (memref<3xf32>, memref<8xi8>) -> ()
  call @save(%v, %x) : (memref<3xf32>, memref<3xf32>) -> ()
  return
}
