// RUN: tinytrain-opt %s --tinytrain-apply-optimizer | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-apply-optimizer=weight-decay=0.5 | FileCheck %s --check-prefix=DECAY
// RUN: tinytrain-opt %s "--tinytrain-apply-optimizer=momentum=0.5 weight-decay=0.25" | FileCheck %s --check-prefix=MOMENTUM

// The learning rate becomes an argument. The update stands after the gradient, but not before
// the parameter's last read.
// CHECK-LABEL: func.func @step
// CHECK-SAME: [[X:%[a-z0-9]+]]: tensor<1x8xf32>
// CHECK-SAME: [[W:%[a-z0-9]+]]: tensor<2x8xf32> {tinytrain.needs_grad = true, tinytrain.param = "fc.weight"}
// CHECK-SAME: [[G:%[a-z0-9]+]]: tensor<1x2xf32>
// CHECK-SAME: [[LR:%[a-z0-9]+]]: tensor<f32> {tinytrain.learning_rate})
// CHECK-SAME: -> (tensor<1x8xf32>, tensor<2x8xf32> {tinytrain.update_of = 1 : i64})
// CHECK-NEXT: [[DW:%.+]] = tinytrain.matmul [[G]], [[X]] {transpose_lhs}
// CHECK-NEXT: [[DX:%.+]] = tinytrain.matmul [[G]], [[W]]
// CHECK-NEXT: [[NEW:%.+]] = tinytrain.sgd_update [[W]], [[DW]], [[LR]] :
// CHECK-NEXT: [[Y:%.+]] = tinytrain.relu [[DX]]
// CHECK-NEXT: return [[Y]], [[NEW]]

// DECAY-LABEL: func.func @step
// DECAY: tinytrain.sgd_update {{.*}} {weight_decay = 5.000000e-01 : f32}

// The velocity is an argument named after the parameter; it takes the decay, as in PyTorch.
// MOMENTUM-LABEL: func.func @step
// MOMENTUM-SAME: [[X:%[a-z0-9]+]]: tensor<1x8xf32>
// MOMENTUM-SAME: [[W:%[a-z0-9]+]]: tensor<2x8xf32>
// MOMENTUM-SAME: [[G:%[a-z0-9]+]]: tensor<1x2xf32>
// MOMENTUM-SAME: [[LR:%[a-z0-9]+]]: tensor<f32> {tinytrain.learning_rate}
// MOMENTUM-SAME: [[V:%[a-z0-9]+]]: tensor<2x8xf32> {tinytrain.state = "fc.weight.velocity"})
// MOMENTUM-SAME: -> (tensor<1x8xf32>, tensor<2x8xf32> {tinytrain.update_of = 1 : i64}, tensor<2x8xf32> {tinytrain.update_of = 4 : i64})
// MOMENTUM-NEXT: [[DW:%.+]] = tinytrain.matmul [[G]], [[X]] {transpose_lhs}
// MOMENTUM-NEXT: [[DX:%.+]] = tinytrain.matmul [[G]], [[W]]
// MOMENTUM-NEXT: [[NEWV:%.+]] = tinytrain.momentum_update [[V]], [[DW]], [[W]] {momentum = 5.000000e-01 : f32, weight_decay = 2.500000e-01 : f32}
// MOMENTUM-NEXT: [[NEW:%.+]] = tinytrain.sgd_update [[W]], [[NEWV]], [[LR]] :
// MOMENTUM-NEXT: [[Y:%.+]] = tinytrain.relu [[DX]]
// MOMENTUM-NEXT: return [[Y]], [[NEW]], [[NEWV]]
func.func @step(%x: tensor<1x8xf32>, %w: tensor<2x8xf32> {tinytrain.param = "fc.weight", tinytrain.needs_grad = true},
                %g: tensor<1x2xf32>)
    -> (tensor<1x8xf32>, tensor<2x8xf32> {tinytrain.gradient_of = 1}) {
  %dw = tinytrain.matmul %g, %x {transpose_lhs} : (tensor<1x2xf32>, tensor<1x8xf32>) -> tensor<2x8xf32>
  %dx = tinytrain.matmul %g, %w : (tensor<1x2xf32>, tensor<2x8xf32>) -> tensor<1x8xf32>
  %y = tinytrain.relu %dx : (tensor<1x8xf32>) -> tensor<1x8xf32>
  return %y, %dw : tensor<1x8xf32>, tensor<2x8xf32>
}

// Without a gradient there is nothing to update and no learning rate.
// CHECK-LABEL: func.func @inference
// CHECK-NOT: tinytrain.
// CHECK: return
func.func @inference(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

// Two parameters share the learning rate and have a velocity each; an unnamed one is named
// after its position.
// CHECK-LABEL: func.func @two
// CHECK-SAME: [[A:%[a-z0-9]+]]: tensor<4xf32> {tinytrain.param = "a"}
// CHECK-SAME: [[B:%[a-z0-9]+]]: tensor<8xf32>
// CHECK-SAME: [[DA:%[a-z0-9]+]]: tensor<4xf32>
// CHECK-SAME: [[DB:%[a-z0-9]+]]: tensor<8xf32>
// CHECK-SAME: [[LR:%[a-z0-9]+]]: tensor<f32> {tinytrain.learning_rate})
// CHECK-DAG: tinytrain.sgd_update [[A]], [[DA]], [[LR]]
// CHECK-DAG: tinytrain.sgd_update [[B]], [[DB]], [[LR]]
// MOMENTUM-LABEL: func.func @two
// MOMENTUM-SAME: tensor<4xf32> {tinytrain.state = "a.velocity"}
// MOMENTUM-SAME: tensor<8xf32> {tinytrain.state = "arg1.velocity"}
func.func @two(%a: tensor<4xf32> {tinytrain.param = "a"}, %b: tensor<8xf32>, %da: tensor<4xf32>, %db: tensor<8xf32>)
    -> (tensor<4xf32> {tinytrain.gradient_of = 0}, tensor<8xf32> {tinytrain.gradient_of = 1}) {
  return %da, %db : tensor<4xf32>, tensor<8xf32>
}

// Of a partly trained parameter the velocity has the gradient's shape.
// MOMENTUM-LABEL: func.func @part
// MOMENTUM-SAME: tensor<4x3xf32> {tinytrain.state = "w.velocity"}
// MOMENTUM: tinytrain.momentum_update {{.*}} -> tensor<4x3xf32>
// MOMENTUM: tinytrain.sgd_update {{.*}} -> tensor<4x8xf32>
func.func @part(%w: tensor<4x8xf32> {tinytrain.param = "w", tinytrain.needs_grad = array<i64: 0, 1, 2>}, %dw: tensor<4x3xf32>)
    -> (tensor<4x3xf32> {tinytrain.gradient_of = 0}) {
  return %dw : tensor<4x3xf32>
}
