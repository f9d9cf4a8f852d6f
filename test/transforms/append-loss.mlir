// The example of the pass description, with each loss and without the prediction.
// RUN: tinytrain-opt %s --tinytrain-append-loss | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-append-loss=keep-prediction=false | FileCheck %s --check-prefix=ALONE
// RUN: tinytrain-opt %s --tinytrain-append-loss=loss=mse | FileCheck %s --check-prefix=MSE

// The label is a class per row; the loss becomes result 0.
// CHECK-LABEL: func.func @step
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<1x10xf32>, [[LABEL:%[a-z0-9]+]]: tensor<1xi32> {tinytrain.label})
// CHECK-SAME: -> (tensor<f32> {tinytrain.loss}, tensor<1x10xf32>)
// CHECK-NEXT: [[Y:%.+]] = tinytrain.relu [[X]]
// CHECK-NEXT: [[LOSS:%.+]] = tinytrain.cross_entropy [[Y]], [[LABEL]]
// CHECK-NEXT: return [[LOSS]], [[Y]]

// ALONE-LABEL: func.func @step
// ALONE-SAME: -> (tensor<f32> {tinytrain.loss}) {
// ALONE: [[LOSS:%.+]] = tinytrain.cross_entropy
// ALONE-NEXT: return [[LOSS]] : tensor<f32>

// The target has the shape of the prediction.
// MSE-LABEL: func.func @step
// MSE-SAME: ([[X:%[a-z0-9]+]]: tensor<1x10xf32>, [[TARGET:%[a-z0-9]+]]: tensor<1x10xf32> {tinytrain.label})
// MSE-SAME: -> (tensor<f32> {tinytrain.loss}, tensor<1x10xf32>)
// MSE-NEXT: [[Y:%.+]] = tinytrain.relu [[X]]
// MSE-NEXT: [[LOSS:%.+]] = tinytrain.mse [[Y]], [[TARGET]]
// MSE-NEXT: return [[LOSS]], [[Y]]
func.func @step(%x: tensor<1x10xf32>) -> tensor<1x10xf32> {
  %y = tinytrain.relu %x : (tensor<1x10xf32>) -> tensor<1x10xf32>
  return %y : tensor<1x10xf32>
}
