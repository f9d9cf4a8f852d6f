// A kernel may be named like a function of the module.
// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg --tinytrain-lower-kernels=target=cortex-m7 | FileCheck %s

// CHECK-LABEL: func.func @exp(
// CHECK-NEXT: call @exp_2(
// CHECK: func.func private @exp_2(
func.func @exp(%x: memref<8xf32>, %y: memref<8xf32>) {
  tinytrain.kernel label "exp" ins(%x) outs(%y) : (memref<8xf32>, memref<8xf32>) -> () {
  ^bb0(%a: tensor<8xf32>, %e: tensor<8xf32>):
    %0 = tinytrain.exp %a : (tensor<8xf32>) -> tensor<8xf32>
    tinytrain.yield %0 : tensor<8xf32>
  }
  return
}
