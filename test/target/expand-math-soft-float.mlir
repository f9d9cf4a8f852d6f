// RUN: tinytrain-opt %s --tinytrain-expand-math=target=cortex-m0plus | FileCheck %s
// RUN: not tinytrain-opt %s --tinytrain-expand-math=target=z80 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// UNKNOWN: error: unknown target 'z80'

// Without an FPU: the product in f64 is exact, the sum's error known, its last bit odd where there
// is one.
// CHECK-LABEL: func.func @fused
// CHECK: call @fused_multiply_add(
// CHECK-NOT: math.fma
// CHECK-LABEL: func.func private @fused_multiply_add
// CHECK-COUNT-3: arith.extf {{.*}} : f32 to f64
// CHECK: arith.mulf {{.*}} : f64
// CHECK: arith.cmpf one
// CHECK: arith.truncf {{.*}} : f64 to f32
func.func @fused(%x: f32, %y: f32, %z: f32) -> f32 {
  %0 = math.fma %x, %y, %z : f32
  return %0 : f32
}
