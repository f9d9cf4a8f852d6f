// RUN: tinytrain-opt %s --tinytrain-own-input | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-own-input --tinytrain-plan-memory | FileCheck %s --check-prefix=PLAN

// The copy lies at the start of the arena.
// CHECK-LABEL: func.func @infer
// CHECK-SAME: ([[X:%[a-z0-9]+]]: memref<8xi8>, [[Y:%[a-z0-9]+]]: memref<8xi8>)
// CHECK: [[OWN:%.+]] = memref.alloc() {tinytrain.input} : memref<8xi8>
// CHECK: memref.copy [[X]], [[OWN]]
// CHECK: call @kernel([[OWN]], [[Y]])
// PLAN: [[OWN:%.+]] = memref.view
// PLAN: [[FROM:%.+]] = memref.extract_aligned_pointer_as_index %arg0
// PLAN: [[TO:%.+]] = memref.extract_aligned_pointer_as_index [[OWN]]
// PLAN: [[ELSEWHERE:%.+]] = arith.cmpi ne, [[FROM]], [[TO]] : index
// PLAN: scf.if [[ELSEWHERE]] {
// PLAN-NEXT: memref.copy %arg0, [[OWN]]
// PLAN-NEXT: }
// PLAN-NEXT: call @kernel([[OWN]]
// PLAN-NOT: memref.alloc
func.func private @kernel(memref<8xi8>, memref<8xi8>)
func.func @infer(%x: memref<8xi8>, %y: memref<8xi8>) {
  call @kernel(%x, %y) : (memref<8xi8>, memref<8xi8>) -> ()
  return
}
