// A value written to two places is computed twice: memory is never copied.
// RUN: tinytrain-opt %s --tinytrain-form-kernel-graph | FileCheck %s

// CHECK-LABEL: func.func @twice
// CHECK-COUNT-2: tensor.insert_slice {{.*}} : tensor<2xf32> into tensor<4xf32>
// CHECK: tinytrain.yield
// CHECK-NEXT: }
// CHECK-NEXT: return
func.func @twice(%x: tensor<2xf32>) -> tensor<4xf32> {
  %0 = tinytrain.concat %x, %x {axis = 0 : i64} : (tensor<2xf32>, tensor<2xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
