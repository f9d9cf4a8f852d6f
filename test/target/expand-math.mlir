// exp and log become polynomials in arithmetic that every target has, on scalars and vectors.
// RUN: tinytrain-opt %s --tinytrain-expand-math | FileCheck %s

// x is clamped, n is the integer nearest to x / ln 2, found without a rounding instruction.
// CHECK-LABEL: func.func @exp
// CHECK-SAME: ([[X:%[a-z0-9]+]]: f32)
// CHECK-NOT: math.{{exp|log}}
// CHECK-DAG: [[LOW:%.+]] = arith.constant -8.730000e+01 : f32
// CHECK-DAG: [[HIGH:%.+]] = arith.constant 88.6999969 : f32
// CHECK-DAG: [[LOG2E:%.+]] = arith.constant 1.44269502 : f32
// CHECK-DAG: [[ZERO:%.+]] = arith.constant 0.000000e+00 : f32
// CHECK-DAG: [[DOWN:%.+]] = arith.constant -5.000000e-01 : f32
// CHECK-DAG: [[UP:%.+]] = arith.constant 5.000000e-01 : f32
// CHECK-DAG: [[BIAS:%.+]] = arith.constant 127 : i32
// CHECK-DAG: [[MANTISSA:%.+]] = arith.constant 23 : i32
// CHECK: arith.cmpf olt, [[X]], [[LOW]]
// CHECK: arith.cmpf olt, [[HIGH]],
// CHECK: [[SCALED:%.+]] = arith.mulf {{.*}}, [[LOG2E]]
// CHECK: [[NEGATIVE:%.+]] = arith.cmpf olt, [[SCALED]], [[ZERO]]
// CHECK: [[HALF:%.+]] = arith.select [[NEGATIVE]], [[DOWN]], [[UP]]
// CHECK: [[SUM:%.+]] = arith.addf [[SCALED]], [[HALF]]
// CHECK: [[N:%.+]] = arith.fptosi [[SUM]] : f32 to i32
// Then the polynomial, and 2^n put into the exponent in two steps, so that both stay in range.
// CHECK: [[LOWHALF:%.+]] = arith.shrsi [[N]]
// CHECK: [[HIGHHALF:%.+]] = arith.subi [[N]], [[LOWHALF]]
// CHECK: [[E:%.+]] = arith.addi [[LOWHALF]], [[BIAS]]
// CHECK: [[BITS:%.+]] = arith.shli [[E]], [[MANTISSA]]
// CHECK: arith.bitcast [[BITS]] : i32 to f32
// CHECK: arith.addi [[HIGHHALF]], [[BIAS]]
// CHECK-NOT: math.{{exp|log}}
// CHECK: return
func.func @exp(%x: f32) -> f32 {
  %0 = math.exp %x : f32
  return %0 : f32
}

// CHECK-LABEL: func.func @log
// CHECK-SAME: ([[X:%[a-z0-9]+]]: f32)
// CHECK-NOT: math.{{exp|log}}
// CHECK: [[BITS:%.+]] = arith.bitcast [[X]] : f32 to i32
// CHECK: [[SHIFTED:%.+]] = arith.subi [[BITS]]
// CHECK: [[N:%.+]] = arith.shrsi [[SHIFTED]]
// CHECK: [[EXPONENT:%.+]] = arith.shli [[N]]
// CHECK: arith.subi [[BITS]], [[EXPONENT]]
// CHECK: arith.sitofp [[N]]
// CHECK-NOT: math.{{exp|log}}
// CHECK: return
func.func @log(%x: f32) -> f32 {
  %0 = math.log %x : f32
  return %0 : f32
}

// CHECK-LABEL: func.func @vectors
// CHECK-NOT: math.{{exp|log}}
// CHECK: arith.fptosi {{.*}} : vector<4xf32> to vector<4xi32>
// CHECK: arith.bitcast {{.*}} : vector<4xi32> to vector<4xf32>
// CHECK-NOT: math.{{exp|log}}
// CHECK: return
func.func @vectors(%x: vector<4xf32>) -> vector<4xf32> {
  %0 = math.exp %x : vector<4xf32>
  %1 = math.log %0 : vector<4xf32>
  return %1 : vector<4xf32>
}

// Other types stay.
// CHECK-LABEL: func.func @double
// CHECK: math.exp
func.func @double(%x: f64) -> f64 {
  %0 = math.exp %x : f64
  return %0 : f64
}
