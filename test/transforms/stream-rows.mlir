// RUN: tinytrain-opt %s --pass-pipeline='builtin.module(func.func(tinytrain-fuse-ops),tinytrain-stream-rows)' --split-input-file | FileCheck %s

!x = tensor<1x16x16x2x!quant.uniform<i8:f32, 0.02:3>>
!e = tensor<8x1x1x2x!quant.uniform<i8:f32, 0.5>>
!d = tensor<1x3x3x8x!quant.uniform<i8:f32, 0.5>>
!a = tensor<1x16x16x8x!quant.uniform<i32:f32, 0.01>>
!h = tensor<1x16x16x8x!quant.uniform<i8:f32, 0.02:-128>>
!b = tensor<1x8x8x8x!quant.uniform<i32:f32, 0.01>>
!y = tensor<1x8x8x8x!quant.uniform<i8:f32, 0.04:-128>>

// The widened image exists as a line buffer: three rows, of which two are new in each turn. Above
// and below the image lies its zero point.
// CHECK-LABEL: func.func @expand_and_shrink
// CHECK: tinytrain.kernel label "row_pipeline" ins(%arg0, %arg1, %arg2)
// CHECK-SAME: -> (tensor<1x8x8x8x!quant.uniform<i8:f32, 4.000000e-02:-128>>, tensor<384xi8>)
// CHECK: [[X:%.+]] = tinytrain.row_window {{.*}} {fill = 3 : i64, height = 16 : i64, offset = 0 : i64, rows = 1 : i64, step = 1 : i64}
// CHECK: [[E:%.+]] = tinytrain.kernel {{.*}} ins([[X]],
// CHECK: [[L:%.+]] = tinytrain.row_window [[E]] {fill = -128 : i64, height = 16 : i64, offset = -1 : i64, rows = 3 : i64, step = 2 : i64}
// CHECK: [[D:%.+]] = tinytrain.kernel {{.*}} ins([[L]],
// CHECK: padding = array<i64: 0, 0, 1, 1>
// CHECK: tinytrain.join_rows [[D]]
func.func @expand_and_shrink(%x: !x, %e: !e, %d: !d) -> !y {
  %0 = tinytrain.conv2d %x, %e {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (!x, !e) -> !a
  %1 = tinytrain.requantize %0 : (!a) -> !h
  %2 = tinytrain.conv2d %1, %d {groups = 8 : i64, strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (!h, !d) -> !b
  %3 = tinytrain.requantize %2 : (!b) -> !y
  return %3 : !y
}

// -----

!x = tensor<1x16x16x2x!quant.uniform<i8:f32, 0.02:3>>
!e = tensor<8x1x1x2x!quant.uniform<i8:f32, 0.5>>
!d = tensor<1x3x3x8x!quant.uniform<i8:f32, 0.5>>
!a = tensor<1x16x16x8x!quant.uniform<i32:f32, 0.01>>
!h = tensor<1x16x16x8x!quant.uniform<i8:f32, 0.02:-128>>
!b = tensor<1x8x8x8x!quant.uniform<i32:f32, 0.01>>
!y = tensor<1x8x8x8x!quant.uniform<i8:f32, 0.04:-128>>

// What something else reads has to exist.
// CHECK-LABEL: func.func @read_twice
// CHECK-NOT: row_window
// CHECK: return
func.func @read_twice(%x: !x, %e: !e, %d: !d) -> (!y, !h) {
  %0 = tinytrain.conv2d %x, %e {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (!x, !e) -> !a
  %1 = tinytrain.requantize %0 : (!a) -> !h
  %2 = tinytrain.conv2d %1, %d {groups = 8 : i64, strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (!h, !d) -> !b
  %3 = tinytrain.requantize %2 : (!b) -> !y
  return %3, %1 : !y, !h
}
