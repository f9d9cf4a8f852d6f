// RUN: tinytrain-opt %s --tinytrain-select-instructions=target=cortex-m7 | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-select-instructions=target=cortex-m55 | FileCheck %s --check-prefix=HELIUM
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

// Two integers that are scaled move to neighbouring registers at once. What is computed from the first
// one stands behind.
// CHECK-LABEL: func.func @scaled
// CHECK-SAME: ([[X:%.*]]: i32, [[Y:%.*]]: i32, [[A:%.*]]: f32, [[B:%.*]]: f32)
// CHECK: [[MAGIC:%.*]] = arith.constant 0x4B400000 : f32
// CHECK: [[BOTH:%.*]] = llvm.inline_asm "vmov s0, s1, $2, $3\0Avcvt.f32.s32 s0, s0\0Avcvt.f32.s32 s1, s1\0Avmov.f32 s2, $6\0Avmov.f32 s3, $6\0Avfma.f32 s2, s0, $4\0Avfma.f32 s3, s1, $5\0Avmov $0, $1, s2, s3\0A", "=r,=r,0,1,t,t,t,~{s0},~{s1},~{s2},~{s3}" [[X]], [[Y]], [[A]], [[B]], [[MAGIC]]
// CHECK-DAG: [[FIRST:%.*]] = llvm.extractvalue [[BOTH]][0]
// CHECK-DAG: [[SECOND:%.*]] = llvm.extractvalue [[BOTH]][1]
// CHECK: [[SUM:%.*]] = arith.addi [[FIRST]]
// CHECK: return [[SUM]], [[SECOND]]
// SAME-LABEL: func.func @scaled
// SAME-NOT: inline_asm
func.func @scaled(%x: i32, %y: i32, %a: f32, %b: f32) -> (i32, i32) {
  %magic = arith.constant 0x4B400000 : f32
  %one = arith.constant 1 : i32
  %0 = arith.sitofp %x : i32 to f32
  %1 = math.fma %0, %a, %magic : f32
  %2 = arith.bitcast %1 : f32 to i32
  %3 = arith.addi %2, %one : i32
  %4 = arith.sitofp %y : i32 to f32
  %5 = math.fma %4, %b, %magic : f32
  %6 = arith.bitcast %5 : f32 to i32
  return %3, %6 : i32, i32
}

// What a store lies between stays apart.
// CHECK-LABEL: func.func @apart
// CHECK-NOT: inline_asm
// CHECK: return
func.func @apart(%x: i32, %y: i32, %a: f32, %m: memref<i32>) -> i32 {
  %magic = arith.constant 0x4B400000 : f32
  %0 = arith.sitofp %x : i32 to f32
  %1 = math.fma %0, %a, %magic : f32
  %2 = arith.bitcast %1 : f32 to i32
  memref.store %2, %m[] : memref<i32>
  %4 = arith.sitofp %y : i32 to f32
  %5 = math.fma %4, %a, %magic : f32
  %6 = arith.bitcast %5 : f32 to i32
  return %6 : i32
}

// One that is computed from another cannot move with it.
// CHECK-LABEL: func.func @chain
// CHECK-NOT: inline_asm
// CHECK: return
func.func @chain(%x: i32, %a: f32) -> i32 {
  %magic = arith.constant 0x4B400000 : f32
  %0 = arith.sitofp %x : i32 to f32
  %1 = math.fma %0, %a, %magic : f32
  %2 = arith.bitcast %1 : f32 to i32
  %3 = arith.subi %2, %x : i32
  %4 = arith.sitofp %3 : i32 to f32
  %5 = math.fma %4, %a, %magic : f32
  %6 = arith.bitcast %5 : f32 to i32
  return %6 : i32
}

// With Helium, LLVM must not see that a product with a power of two follows a conversion.
// HELIUM-LABEL: func.func @fraction(
// HELIUM: [[REAL:%.*]] = arith.sitofp
// HELIUM: [[HIDDEN:%.*]] = llvm.inline_asm "", "=w,0" [[REAL]]
// HELIUM: arith.mulf [[HIDDEN]]
// CHECK-LABEL: func.func @fraction(
// CHECK-NOT: llvm.inline_asm
// CHECK: return
func.func @fraction(%x: vector<4xi32>) -> vector<4xf32> {
  %c = arith.constant dense<0.5> : vector<4xf32>
  %0 = arith.sitofp %x : vector<4xi32> to vector<4xf32>
  %1 = arith.mulf %0, %c : vector<4xf32>
  return %1 : vector<4xf32>
}
