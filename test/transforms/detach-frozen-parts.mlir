// The frozen channels of a partly trained weight become an argument of their own.
// RUN: tinytrain-opt %s --tinytrain-detach-frozen-parts --split-input-file | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-detach-frozen-parts --split-input-file --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// Three of the five columns are frozen: 4 * 3 floats, in each of two functions.
// STATS: DetachFrozenParts
// STATS-DAG: 96 bytes-removed
// STATS-DAG: 2 parameters-detached

// CHECK-LABEL: func.func @infer
// CHECK-SAME: [[W:%[a-z0-9]+]]: tensor<4x2xf32> {tinytrain.param = "w"}, [[REST:%[a-z0-9]+]]: tensor<4x3xf32> {tinytrain.param = "w#frozen"}
// CHECK: [[JOINED:%.+]] = tinytrain.concat [[W]], [[REST]] {axis = 1 : i64}
// CHECK: tinytrain.matmul %{{.+}}, [[JOINED]] {transpose_rhs}
func.func @infer(%x: tensor<1x5xf32>, %w: tensor<4x5xf32> {tinytrain.param = "w"}) -> tensor<1x4xf32> {
  %y = tinytrain.matmul %x, %w {transpose_rhs} : (tensor<1x5xf32>, tensor<4x5xf32>) -> tensor<1x4xf32>
  return %y : tensor<1x4xf32>
}

// The update sees the trained part only.
// CHECK-LABEL: func.func @step
// CHECK-SAME: [[TRAINED:%[a-z0-9]+]]: tensor<4x2xf32> {tinytrain.needs_grad = true, tinytrain.param = "w"}
// CHECK-SAME: tensor<4x3xf32> {tinytrain.param = "w#frozen"}) -> (tensor<4x2xf32> {tinytrain.update_of = 1 : i64}, tensor<1x4xf32>)
// CHECK: [[NEW:%.+]] = tinytrain.sgd_update [[TRAINED]], {{.*}} -> tensor<4x2xf32>
// CHECK: return [[NEW]]
func.func @step(%x: tensor<1x5xf32>, %w: tensor<4x5xf32> {tinytrain.param = "w", tinytrain.needs_grad = 0.4 : f32},
                %g: tensor<4x2xf32>, %lr: tensor<f32> {tinytrain.learning_rate})
    -> (tensor<4x5xf32> {tinytrain.update_of = 1}, tensor<1x4xf32>) {
  %y = tinytrain.matmul %x, %w {transpose_rhs} : (tensor<1x5xf32>, tensor<4x5xf32>) -> tensor<1x4xf32>
  %new = tinytrain.sgd_update %w, %g, %lr : (tensor<4x5xf32>, tensor<4x2xf32>, tensor<f32>) -> tensor<4x5xf32>
  return %new, %y : tensor<4x5xf32>, tensor<1x4xf32>
}

// -----

// A bias, and what an op reads that is no contraction, stays whole; so does a weight whose
// update takes all of it.
// CHECK-LABEL: func.func @whole
// CHECK-NOT: #frozen
// CHECK-NOT: tinytrain.concat
func.func @whole(%x: tensor<1x4xf32>, %b: tensor<4xf32> {tinytrain.param = "b", tinytrain.needs_grad = 0.5 : f32},
                 %w: tensor<4x4xf32> {tinytrain.param = "w", tinytrain.needs_grad = true},
                 %gb: tensor<2xf32>, %gw: tensor<4x4xf32>, %lr: tensor<f32> {tinytrain.learning_rate})
    -> (tensor<4xf32> {tinytrain.update_of = 1}, tensor<4x4xf32> {tinytrain.update_of = 2}, tensor<1x4xf32>) {
  %y = tinytrain.matmul %x, %w {transpose_rhs} : (tensor<1x4xf32>, tensor<4x4xf32>) -> tensor<1x4xf32>
  %z = tinytrain.bias_add %y, %b : (tensor<1x4xf32>, tensor<4xf32>) -> tensor<1x4xf32>
  %newb = tinytrain.sgd_update %b, %gb, %lr : (tensor<4xf32>, tensor<2xf32>, tensor<f32>) -> tensor<4xf32>
  %neww = tinytrain.sgd_update %w, %gw, %lr : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<f32>) -> tensor<4x4xf32>
  return %newb, %neww, %z : tensor<4xf32>, tensor<4x4xf32>, tensor<1x4xf32>
}
