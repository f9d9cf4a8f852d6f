// RUN: tinytrain-opt %s --tinytrain-select-instructions=target=cortex-m7 | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-select-instructions=target=cortex-a72 | FileCheck %s --check-prefix=SAME
// RUN: not tinytrain-opt %s --tinytrain-select-instructions=target=z80 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// UNKNOWN: error: unknown target 'z80'

// 1262485504 are the bits of 1.5 * 2^23.
// CHECK-LABEL: func.func @rounded
// CHECK-SAME: ([[BITS:%.*]]: i32)
// CHECK-DAG: [[LOW:%.*]] = arith.constant -128 : i32
// CHECK-DAG: [[HIGH:%.*]] = arith.constant 127 : i32
// CHECK-DAG: [[ZERO:%.*]] = arith.constant -1262485504 : i32
// CHECK: [[SUM:%.*]] = llvm.intr.sadd.sat([[BITS]], [[ZERO]])
// CHECK: [[MAX:%.*]] = arith.maxsi [[SUM]], [[LOW]]
// CHECK: [[MIN:%.*]] = arith.minsi [[MAX]], [[HIGH]]
// CHECK: arith.trunci [[MIN]] : i32 to i8
// SAME-LABEL: func.func @rounded
// SAME-NOT: sadd.sat
func.func @rounded(%bits: i32) -> i8 {
  %low = arith.constant 1262485376 : i32
  %high = arith.constant 1262485631 : i32
  %zero = arith.constant 1262485504 : i32
  %0 = arith.maxsi %bits, %low : i32
  %1 = arith.minsi %0, %high : i32
  %2 = arith.subi %1, %zero : i32
  %3 = arith.trunci %2 : i32 to i8
  return %3 : i8
}

// A zero point is added behind.
// CHECK-LABEL: func.func @zero_point
// CHECK-DAG: [[ZERO:%.*]] = arith.constant -1262485501 : i32
// CHECK: llvm.intr.sadd.sat({{.*}}, [[ZERO]])
func.func @zero_point(%bits: i32) -> i8 {
  %low = arith.constant 1262485373 : i32
  %high = arith.constant 1262485628 : i32
  %zero = arith.constant 1262485504 : i32
  %point = arith.constant 3 : i32
  %0 = arith.maxsi %bits, %low : i32
  %1 = arith.minsi %0, %high : i32
  %2 = arith.subi %1, %zero : i32
  %3 = arith.addi %2, %point : i32
  %4 = arith.trunci %3 : i32 to i8
  return %4 : i8
}

// No integer type has this range: no instruction clamps to it.
// CHECK-LABEL: func.func @narrow
// CHECK-NOT: sadd.sat
func.func @narrow(%bits: i32) -> i8 {
  %low = arith.constant 900 : i32
  %high = arith.constant 1100 : i32
  %zero = arith.constant 1000 : i32
  %0 = arith.maxsi %bits, %low : i32
  %1 = arith.minsi %0, %high : i32
  %2 = arith.subi %1, %zero : i32
  %3 = arith.trunci %2 : i32 to i8
  return %3 : i8
}

// A float that a bit of a mask chooses: of a row that starts at a multiple of eight, the sixth one.
// CHECK-LABEL: func.func @masked
// CHECK-SAME: ([[MASK:%.*]]: i8, [[ROW:%.*]]: index, [[X:%.*]]: f32)
// CHECK: [[WIDE:%.*]] = arith.extui [[MASK]] : i8 to i32
// CHECK: [[OPAQUE:%.*]] = llvm.inline_asm
// CHECK-SAME: [[WIDE]]
// CHECK: [[BIT:%.*]] = arith.constant 2097184 : i32
// CHECK: [[AND:%.*]] = arith.andi [[OPAQUE]], [[BIT]]
// CHECK: [[TEST:%.*]] = arith.cmpi ne, [[AND]]
// CHECK: arith.select [[TEST]], [[X]]
// SAME-LABEL: func.func @masked
// SAME-NOT: inline_asm
func.func @masked(%mask: i8, %row: index, %x: f32) -> f32 {
  %zero = arith.constant 0.0 : f32
  %none = arith.constant 0 : i8
  %one = arith.constant 1 : i8
  %c5 = arith.constant 5 : index
  %c7 = arith.constant 7 : index
  %c32 = arith.constant 32 : index
  %0 = arith.muli %row, %c32 : index
  %1 = arith.addi %0, %c5 : index
  %2 = arith.andi %1, %c7 : index
  %3 = arith.index_cast %2 : index to i8
  %4 = arith.shrui %mask, %3 : i8
  %5 = arith.andi %4, %one : i8
  %6 = arith.cmpi ne, %5, %none : i8
  %7 = arith.select %6, %x, %zero : f32
  return %7 : f32
}

// Which bit it is depends on the row: nothing to choose ahead.
// CHECK-LABEL: func.func @unknown_bit
// CHECK-NOT: inline_asm
func.func @unknown_bit(%mask: i8, %row: i8, %x: f32) -> f32 {
  %zero = arith.constant 0.0 : f32
  %none = arith.constant 0 : i8
  %one = arith.constant 1 : i8
  %4 = arith.shrui %mask, %row : i8
  %5 = arith.andi %4, %one : i8
  %6 = arith.cmpi ne, %5, %none : i8
  %7 = arith.select %6, %x, %zero : f32
  return %7 : f32
}
