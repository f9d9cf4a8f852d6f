// RUN: tinytrain-opt %s --pass-pipeline='builtin.module(tinytrain-form-kernel-graph,tinytrain-bufferize,tinytrain-lower-row-pipelines)' | FileCheck %s

!x = tensor<1x16x16x2x!quant.uniform<i8:f32, 0.02:3>>
!e = tensor<8x1x1x2x!quant.uniform<i8:f32, 0.5>>
!d = tensor<1x3x3x8x!quant.uniform<i8:f32, 0.5>>
!a = tensor<1x16x16x8x!quant.uniform<i32:f32, 0.01>>
!h = tensor<1x16x16x8x!quant.uniform<i8:f32, 0.02:-128>>
!b = tensor<1x8x8x8x!quant.uniform<i32:f32, 0.01>>
!y = tensor<1x8x8x8x!quant.uniform<i8:f32, 0.04:-128>>

// The chain is one call; the function behind it has a kernel for each stage inside the loop over
// turns, which moves the line buffer, and says how its result may overlap the image.
// CHECK-LABEL: func.func @chain
// CHECK-NOT: tinytrain.kernel{{ }}
// CHECK: call @row_pipeline({{.*}}) {tinytrain.kernel_label = "row_pipeline"
// CHECK: return
// CHECK-LABEL: func.func private @row_pipeline
// CHECK-SAME: tinytrain.overlaps
// CHECK: scf.for
// CHECK: tinytrain.kernel label "conv2d_requantize" {{.*}}memref<1x1x16x8xi8
// CHECK: tinytrain.kernel label "conv2d_requantize" {{.*}}memref<1x1x8x8xi8
func.func @chain(%x: !x, %e: !e, %d: !d) -> !y {
  %0 = tinytrain.conv2d %x, %e {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (!x, !e) -> !a
  %1 = tinytrain.requantize %0 : (!a) -> !h
  %2 = tinytrain.conv2d %1, %d {groups = 8 : i64, strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (!h, !d) -> !b
  %3 = tinytrain.requantize %2 : (!b) -> !y
  return %3 : !y
}
