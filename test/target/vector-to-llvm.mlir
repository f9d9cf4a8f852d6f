// Vector ops become LLVM ones that address memory with the target's pointer size.
// RUN: tinytrain-opt %s --tinytrain-vector-to-llvm=index-bits=32 | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-vector-to-llvm | FileCheck %s --check-prefix=WIDE

// CHECK-LABEL: func.func @load
// CHECK-NOT: vector.load
// CHECK: llvm.getelementptr {{.*}} : (!llvm.ptr, i32) -> !llvm.ptr, f32
// CHECK-NEXT: llvm.load {{.*}} -> vector<4xf32>

// WIDE-LABEL: func.func @load
// WIDE: llvm.getelementptr {{.*}} : (!llvm.ptr, i64) -> !llvm.ptr, f32
// WIDE-NEXT: llvm.load {{.*}} -> vector<4xf32>
func.func @load(%x: memref<16xf32>, %i: index) -> vector<4xf32> {
  %0 = vector.load %x[%i] : memref<16xf32>, vector<4xf32>
  return %0 : vector<4xf32>
}

// A sum over lanes may be computed in any order where the op says so.
// CHECK-LABEL: func.func @sum
// CHECK: llvm.intr.vector.reduce.fadd{{.*}}reassoc
func.func @sum(%x: vector<4xf32>) -> f32 {
  %0 = vector.reduction <add>, %x fastmath<reassoc> : vector<4xf32> into f32
  return %0 : f32
}
