// RUN: tinytrain-opt %s --tinytrain-form-kernels --mlir-print-local-scope | FileCheck %s

#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>

// A reduction: start value and constants move into the kernel; nothing is left outside.
// CHECK-LABEL: func.func @reduction
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<4x8xf32>)
// CHECK-NEXT: [[Y:%.+]] = tinytrain.kernel ins([[X]]) outs() : (tensor<4x8xf32>) -> tensor<4xf32> {
// CHECK-NEXT: ^bb0([[A:%[a-z0-9]+]]: tensor<4x8xf32>):
// CHECK-DAG: [[ZERO:%.+]] = arith.constant 0.000000e+00 : f32
// CHECK-DAG: [[EMPTY:%.+]] = tensor.empty() : tensor<4xf32>
// CHECK: [[INIT:%.+]] = linalg.fill ins([[ZERO]] : f32) outs([[EMPTY]] : tensor<4xf32>)
// CHECK: [[R:%.+]] = linalg.generic {{.*}} ins([[A]] : tensor<4x8xf32>) outs([[INIT]] : tensor<4xf32>)
// CHECK: arith.addf
// CHECK: tinytrain.yield [[R]]
// CHECK: return [[Y]]
func.func @reduction(%x: tensor<4x8xf32>) -> tensor<4xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<4xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<4xf32>) -> tensor<4xf32>
  %y = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<4x8xf32>) outs(%init : tensor<4xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %0 = arith.addf %acc, %a : f32
    linalg.yield %0 : f32
  } -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// A constant that the body reads from outside moves along, an operand used twice is one input,
// and an init that holds a value stays an init.
// CHECK-LABEL: func.func @init
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<4x8xf32>, [[Y:%[a-z0-9]+]]: tensor<4x8xf32>)
// CHECK-NOT: arith.constant
// CHECK: tinytrain.kernel ins([[X]]) outs([[Y]])
// CHECK-NEXT: ^bb0([[A:%[a-z0-9]+]]: tensor<4x8xf32>, [[B:%[a-z0-9]+]]: tensor<4x8xf32>):
// CHECK-NEXT: [[TWO:%.+]] = arith.constant 2.000000e+00
// CHECK-NEXT: linalg.generic {{.*}} ins([[A]], [[A]] : {{.*}}) outs([[B]] : {{.*}})
// CHECK: arith.mulf {{.*}}, [[TWO]]
func.func @init(%x: tensor<4x8xf32>, %y: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %two = arith.constant 2.0 : f32
  %z = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %x : tensor<4x8xf32>, tensor<4x8xf32>) outs(%y : tensor<4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %0 = arith.mulf %a, %two : f32
    %1 = arith.addf %acc, %0 : f32
    %2 = arith.addf %1, %b : f32
    linalg.yield %2 : f32
  } -> tensor<4x8xf32>
  return %z : tensor<4x8xf32>
}

// A kernel that exists already stays as it is.
// CHECK-LABEL: func.func @kernel
// CHECK-COUNT-1: tinytrain.kernel label "relu"
// CHECK-NOT: tinytrain.kernel
// CHECK: return
func.func @kernel(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %y = tinytrain.kernel label "relu" ins(%x) outs() : (tensor<4x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>):
    %empty = tensor.empty() : tensor<4x8xf32>
    %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
        ins(%a : tensor<4x8xf32>) outs(%empty : tensor<4x8xf32>) {
    ^bb0(%e: f32, %o: f32):
      %1 = arith.negf %e : f32
      linalg.yield %1 : f32
    } -> tensor<4x8xf32>
    tinytrain.yield %0 : tensor<4x8xf32>
  }
  return %y : tensor<4x8xf32>
}
