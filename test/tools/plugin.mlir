// The dialect and the passes in an mlir-opt that was built without them.
// REQUIRES: mlir-opt
// RUN: mlir-opt %s --load-dialect-plugin=%plugin --load-pass-plugin=%plugin --pass-pipeline="builtin.module(func.func(tinytrain-autodiff))" | FileCheck %s

// CHECK-LABEL: func.func @f
// CHECK-SAME: ([[X:%[a-z0-9]+]]: {{.*}}, [[G:%[a-z0-9]+]]: {{.*}})
// CHECK-NEXT: [[Y:%.+]] = tinytrain.relu [[X]]
// CHECK-NEXT: [[DX:%.+]] = tinytrain.clamp_grad [[G]], [[Y]]
// CHECK-NEXT: return [[Y]], [[DX]]
func.func @f(%x: tensor<4x8xf32> {tinytrain.needs_grad = true}, %g: tensor<4x8xf32> {tinytrain.cotangent = 0})
    -> tensor<4x8xf32> {
  %y = tinytrain.relu %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}
