// Tensors outside kernels become memrefs of the dense row-major layout, the inside of kernels
// stays on tensors.
// RUN: tinytrain-opt %s --tinytrain-bufferize-graph | FileCheck %s

// The update is written to its parameter without a copy.
// CHECK-LABEL: func.func @update
// CHECK-SAME: ([[W:%[a-z0-9]+]]: memref<4x8xf32> {tinytrain.param = "w"}, [[G:%[a-z0-9]+]]: memref<4x8xf32>)
// CHECK-SAME: -> (memref<4x8xf32> {tinytrain.update_of = 0 : i64})
// CHECK-NOT: memref.alloc
// CHECK-NOT: memref.copy
// CHECK: tinytrain.kernel label "step" ins([[G]]) outs([[W]]) : (memref<4x8xf32>, memref<4x8xf32>) -> () {
// CHECK-NEXT: ^bb0([[A:%[a-z0-9]+]]: tensor<4x8xf32>, [[B:%[a-z0-9]+]]: tensor<4x8xf32>):
// CHECK-NEXT: [[D:%.+]] = tinytrain.sub [[B]], [[A]] : {{.*}} -> tensor<4x8xf32>
// CHECK-NEXT: tinytrain.yield [[D]] : tensor<4x8xf32>
// CHECK: return [[W]] : memref<4x8xf32>
func.func @update(%w: tensor<4x8xf32> {tinytrain.param = "w"}, %g: tensor<4x8xf32>)
    -> (tensor<4x8xf32> {tinytrain.update_of = 0}) {
  %0 = tinytrain.kernel label "step" ins(%g) outs(%w) : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>, %b: tensor<4x8xf32>):
    %1 = tinytrain.sub %b, %a : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    tinytrain.yield %1 : tensor<4x8xf32>
  }
  return %0 : tensor<4x8xf32>
}

// A fresh tensor becomes an allocation, a change of shape a view.
// CHECK-LABEL: func.func @fresh
// CHECK-SAME: ([[X:%[a-z0-9]+]]: memref<4x8xf32>)
// CHECK-DAG: [[Y:%.+]] = memref.alloc() {{.*}}: memref<32xf32>
// CHECK-DAG: [[V:%.+]] = memref.collapse_shape [[X]]
// CHECK: tinytrain.kernel ins([[V]]) outs([[Y]])
// CHECK: return [[Y]]
func.func @fresh(%x: tensor<4x8xf32>) -> tensor<32xf32> {
  %v = tensor.collapse_shape %x [[0, 1]] : tensor<4x8xf32> into tensor<32xf32>
  %e = tensor.empty() : tensor<32xf32>
  %0 = tinytrain.kernel ins(%v) outs(%e) : (tensor<32xf32>, tensor<32xf32>) -> tensor<32xf32> {
  ^bb0(%a: tensor<32xf32>, %b: tensor<32xf32>):
    %1 = tinytrain.exp %a : (tensor<32xf32>) -> tensor<32xf32>
    tinytrain.yield %1 : tensor<32xf32>
  }
  return %0 : tensor<32xf32>
}

// The old value is read after the update: the update cannot be in place, and a copy shows it.
// CHECK-LABEL: func.func @conflict
// CHECK-SAME: ([[W:%[a-z0-9]+]]: memref<4xf32>
// CHECK: [[C:%.+]] = memref.alloc()
// CHECK: memref.copy [[W]], [[C]]
// CHECK: tinytrain.kernel ins() outs([[C]])
// CHECK: tinytrain.kernel ins([[W]]) outs(
func.func @conflict(%w: tensor<4xf32> {tinytrain.param = "w"}) -> (tensor<4xf32> {tinytrain.update_of = 0}, tensor<4xf32>) {
  %0 = tinytrain.kernel ins() outs(%w) : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%b: tensor<4xf32>):
    %1 = tinytrain.exp %b : (tensor<4xf32>) -> tensor<4xf32>
    tinytrain.yield %1 : tensor<4xf32>
  }
  %e = tensor.empty() : tensor<4xf32>
  %2 = tinytrain.kernel ins(%w) outs(%e) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>, %b: tensor<4xf32>):
    %1 = tinytrain.log %a : (tensor<4xf32>) -> tensor<4xf32>
    tinytrain.yield %1 : tensor<4xf32>
  }
  return %0, %2 : tensor<4xf32>, tensor<4xf32>
}
