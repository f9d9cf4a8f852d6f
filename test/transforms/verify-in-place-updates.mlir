// A training step through the pipeline: each update is in its parameter's own buffer, so that
// the results go and the arguments are marked as updated.
// RUN: tinytrain-opt %s --tinytrain-training-graph=momentum=0.9 --tinytrain-form-kernel-graph --tinytrain-bufferize-graph --tinytrain-verify-in-place-updates | FileCheck %s

// CHECK-LABEL: func.func @step
// CHECK-SAME: memref<8x4xf32> {tinytrain.needs_grad = false, tinytrain.param = "0.weight"}
// CHECK-SAME: memref<2x8xf32> {tinytrain.needs_grad = true, tinytrain.param = "1.weight", tinytrain.updated}
// CHECK-SAME: memref<1xi32> {tinytrain.label}
// CHECK-SAME: memref<f32> {tinytrain.learning_rate}
// CHECK-SAME: memref<2x8xf32> {tinytrain.state = "1.weight.velocity", tinytrain.updated})
// CHECK-SAME: -> (memref<f32> {tinytrain.loss}, memref<1x2xf32>)
// CHECK-NOT: memref.copy
// CHECK: return {{%[a-z0-9_]+}}, {{%[a-z0-9_]+}} : memref<f32>, memref<1x2xf32>
func.func @step(%x: tensor<1x4xf32>, %w0: tensor<8x4xf32> {tinytrain.param = "0.weight", tinytrain.needs_grad = false},
                %w1: tensor<2x8xf32> {tinytrain.param = "1.weight", tinytrain.needs_grad = true}) -> tensor<1x2xf32> {
  %0 = tinytrain.matmul %x, %w0 {transpose_rhs} : (tensor<1x4xf32>, tensor<8x4xf32>) -> tensor<1x8xf32>
  %1 = tinytrain.relu %0 : (tensor<1x8xf32>) -> tensor<1x8xf32>
  %2 = tinytrain.matmul %1, %w1 {transpose_rhs} : (tensor<1x8xf32>, tensor<2x8xf32>) -> tensor<1x2xf32>
  return %2 : tensor<1x2xf32>
}

// Of a partly trained weight, too, nothing is copied: the update writes into it.
// CHECK-LABEL: func.func @part
// CHECK-SAME: tinytrain.param = "w", tinytrain.updated}
// CHECK-NOT: memref.copy
// CHECK: return
func.func @part(%x: tensor<4x8xf32>, %w: tensor<2x8xf32> {tinytrain.param = "w", tinytrain.needs_grad = 0.5}) -> tensor<4x2xf32> {
  %0 = tinytrain.matmul %x, %w {transpose_rhs} : (tensor<4x8xf32>, tensor<2x8xf32>) -> tensor<4x2xf32>
  return %0 : tensor<4x2xf32>
}
