// Ops inside a kernel stay inside it.
// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg | FileCheck %s

// CHECK-LABEL: func.func @kernel
// CHECK-NEXT: tinytrain.kernel
// CHECK-NEXT: ^bb0([[A:%[a-z0-9]+]]: tensor<8xf32>):
// CHECK: [[Y:%.+]] = linalg.generic {{.*}} ins([[A]] :
// CHECK: math.exp
// CHECK: tinytrain.yield [[Y]]
func.func @kernel(%x: tensor<8xf32>) -> tensor<8xf32> {
  %y = tinytrain.kernel ins(%x) outs() : (tensor<8xf32>) -> tensor<8xf32> {
  ^bb0(%a: tensor<8xf32>):
    %0 = tinytrain.exp %a : (tensor<8xf32>) -> tensor<8xf32>
    tinytrain.yield %0 : tensor<8xf32>
  }
  return %y : tensor<8xf32>
}
