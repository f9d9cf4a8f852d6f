// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg --tinytrain-form-kernels --tinytrain-assign-destinations | FileCheck %s
// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg --tinytrain-form-kernels --tinytrain-assign-destinations --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg --tinytrain-form-kernels --tinytrain-assign-destinations=in-place=false | FileCheck %s --check-prefix=APART
// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg --tinytrain-form-kernels --tinytrain-assign-destinations=in-place=false --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | FileCheck %s --check-prefix=NONE

// In place: one result in @dies, @lives_on, @view, @mask and @update each. The first three have
// 16 floats, the fourth 32; an update never had a buffer of its own. 3 * 64 + 128 bytes.
// STATS: AssignDestinations
// STATS-DAG: 320 bytes-removed
// STATS-DAG: 5 in-place

// Without the option only the update, which is no choice.
// NONE: AssignDestinations
// NONE-DAG: 0 bytes-removed
// NONE-DAG: 1 in-place

// The argument is not ours to overwrite: the exponential is a fresh tensor. The logarithm takes
// that over, for it reads each element where it writes one, and nobody reads it afterwards.
// CHECK-LABEL: func.func @dies
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<4x4xf32>)
// CHECK-NEXT: [[E:%.+]] = tensor.empty() : tensor<4x4xf32>
// CHECK-NEXT: [[A:%.+]] = tinytrain.kernel ins([[X]]) outs([[E]])
// CHECK: [[B:%.+]] = tinytrain.kernel ins() outs([[A]])
// CHECK-NEXT: ^bb0([[I:%[a-z0-9]+]]: tensor<4x4xf32>):
// CHECK: linalg.generic {{.*}} ins([[I]] :
// CHECK: return [[B]]
// APART-LABEL: func.func @dies
// APART: [[A:%.+]] = tinytrain.kernel
// APART: tinytrain.yield
// APART-NEXT: }
// APART-NEXT: [[F:%.+]] = tensor.empty() : tensor<4x4xf32>
// APART-NEXT: tinytrain.kernel ins([[A]]) outs([[F]])
func.func @dies(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %0 = tinytrain.exp %x : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = tinytrain.log %0 : (tensor<4x4xf32>) -> tensor<4x4xf32>
  return %1 : tensor<4x4xf32>
}

// The sum still reads the exponential, so that the logarithm has to go elsewhere. The sum then
// takes over its first operand.
// CHECK-LABEL: func.func @lives_on
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<4x4xf32>)
// CHECK-NEXT: [[E:%.+]] = tensor.empty()
// CHECK-NEXT: [[A:%.+]] = tinytrain.kernel ins([[X]]) outs([[E]])
// CHECK: tinytrain.yield
// CHECK-NEXT: }
// CHECK-NEXT: [[F:%.+]] = tensor.empty()
// CHECK-NEXT: [[B:%.+]] = tinytrain.kernel ins([[A]]) outs([[F]])
// CHECK: [[C:%.+]] = tinytrain.kernel ins([[B]]) outs([[A]])
// CHECK: return [[C]]
func.func @lives_on(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %0 = tinytrain.exp %x : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = tinytrain.log %0 : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %2 = tinytrain.add %0, %1 : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %2 : tensor<4x4xf32>
}

// What is returned lives on.
// CHECK-LABEL: func.func @returned
// CHECK: [[A:%.+]] = tinytrain.kernel
// CHECK: tinytrain.yield
// CHECK-NEXT: }
// CHECK-NEXT: [[F:%.+]] = tensor.empty()
// CHECK-NEXT: [[B:%.+]] = tinytrain.kernel ins([[A]]) outs([[F]])
// CHECK: return [[A]], [[B]]
func.func @returned(%x: tensor<4x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %0 = tinytrain.exp %x : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = tinytrain.log %0 : (tensor<4x4xf32>) -> tensor<4x4xf32>
  return %0, %1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// A transpose and a matrix product read other elements than they write.
// CHECK-LABEL: func.func @other_elements
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<4x4xf32>)
// CHECK: [[A:%.+]] = tinytrain.kernel ins([[X]])
// CHECK: tinytrain.yield
// CHECK-NEXT: }
// CHECK-NEXT: [[F:%.+]] = tensor.empty()
// CHECK-NEXT: [[B:%.+]] = tinytrain.kernel ins([[A]]) outs([[F]])
// CHECK: tinytrain.yield
// CHECK-NEXT: }
// CHECK-NEXT: [[G:%.+]] = tensor.empty()
// CHECK-NEXT: tinytrain.kernel ins([[B]], [[X]]) outs([[G]])
func.func @other_elements(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %0 = tinytrain.exp %x : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = tinytrain.transpose %0 {permutation = array<i64: 1, 0>} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %2 = tinytrain.matmul %1, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %2 : tensor<4x4xf32>
}

// A value seen in another shape is the same buffer.
// CHECK-LABEL: func.func @view
// CHECK: [[A:%.+]] = tinytrain.kernel
// CHECK: [[V:%.+]] = tensor.collapse_shape [[A]]
// CHECK: tinytrain.kernel ins() outs([[V]])
func.func @view(%x: tensor<4x4xf32>) -> tensor<16xf32> {
  %0 = tinytrain.exp %x : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = tinytrain.reshape %0 : (tensor<4x4xf32>) -> tensor<16xf32>
  %2 = tinytrain.log %1 : (tensor<16xf32>) -> tensor<16xf32>
  return %2 : tensor<16xf32>
}

// ... so that it lives as long as any of its shapes.
// CHECK-LABEL: func.func @view_lives_on
// CHECK: [[A:%.+]] = tinytrain.kernel
// CHECK: [[V:%.+]] = tensor.collapse_shape [[A]]
// CHECK-NEXT: [[F:%.+]] = tensor.empty() : tensor<16xf32>
// CHECK-NEXT: tinytrain.kernel ins([[V]]) outs([[F]])
func.func @view_lives_on(%x: tensor<4x4xf32>) -> (tensor<16xf32>, tensor<4x4xf32>) {
  %0 = tinytrain.exp %x : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = tinytrain.reshape %0 : (tensor<4x4xf32>) -> tensor<16xf32>
  %2 = tinytrain.log %1 : (tensor<16xf32>) -> tensor<16xf32>
  return %2, %0 : tensor<16xf32>, tensor<4x4xf32>
}

// A view of an argument is the argument.
// CHECK-LABEL: func.func @view_of_argument
// CHECK: [[V:%.+]] = tensor.collapse_shape
// CHECK-NEXT: [[F:%.+]] = tensor.empty() : tensor<16xf32>
// CHECK-NEXT: tinytrain.kernel ins([[V]]) outs([[F]])
func.func @view_of_argument(%x: tensor<4x4xf32>) -> tensor<16xf32> {
  %0 = tinytrain.reshape %x : (tensor<4x4xf32>) -> tensor<16xf32>
  %1 = tinytrain.log %0 : (tensor<16xf32>) -> tensor<16xf32>
  return %1 : tensor<16xf32>
}

// A mask is read at another index, but the gradient only where the result is written.
// CHECK-LABEL: func.func @mask
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<8x4xf32>, [[M:%[a-z0-9]+]]: tensor<1x4xi8>)
// CHECK: [[G:%.+]] = tinytrain.kernel ins([[X]])
// CHECK: tinytrain.kernel ins([[M]]) outs([[G]])
func.func @mask(%x: tensor<8x4xf32>, %m: tensor<1x4xi8>) -> tensor<8x4xf32> {
  %0 = tinytrain.exp %x : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %1 = tinytrain.mask_grad %0, %m : (tensor<8x4xf32>, tensor<1x4xi8>) -> tensor<8x4xf32>
  return %1 : tensor<8x4xf32>
}

// An update goes to its parameter, and only there: the gradient, which dies too, stays an input.
// CHECK-LABEL: func.func @update
// CHECK-SAME: ([[W:%[a-z0-9]+]]: tensor<4xf32>{{.*}}, [[X:%[a-z0-9]+]]: tensor<4xf32>, [[LR:%[a-z0-9]+]]: tensor<f32>)
// CHECK: [[DW:%.+]] = tinytrain.kernel ins([[X]])
// CHECK: [[NEW:%.+]] = tinytrain.kernel ins([[DW]], [[LR]]) outs([[W]])
// CHECK: return [[NEW]]
// APART-LABEL: func.func @update
// APART-SAME: ([[W:%[a-z0-9]+]]: tensor<4xf32>
// APART: tinytrain.kernel
// APART: tinytrain.kernel {{.*}} outs([[W]])
func.func @update(%w: tensor<4xf32> {tinytrain.param = "w"}, %x: tensor<4xf32>, %lr: tensor<f32>)
    -> (tensor<4xf32> {tinytrain.update_of = 0}) {
  %0 = tinytrain.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %1 = tinytrain.sgd_update %w, %0, %lr : (tensor<4xf32>, tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// The first result would overwrite what the second one is computed from.
// CHECK-LABEL: func.func @two_results
// CHECK: [[A:%.+]] = tinytrain.kernel
// CHECK: tinytrain.yield
// CHECK-NEXT: }
// CHECK-NEXT: [[F:%.+]] = tensor.empty()
// CHECK-NEXT: [[G:%.+]] = tensor.empty()
// CHECK-NEXT: tinytrain.kernel ins([[A]]) outs([[F]], [[G]])
func.func @two_results(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %0 = tinytrain.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %1:2 = tinytrain.kernel ins(%0) outs() : (tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  ^bb0(%a: tensor<4xf32>):
    %2 = tinytrain.exp %a : (tensor<4xf32>) -> tensor<4xf32>
    %3 = tinytrain.log %2 : (tensor<4xf32>) -> tensor<4xf32>
    tinytrain.yield %2, %3 : tensor<4xf32>, tensor<4xf32>
  }
  return %1#0, %1#1 : tensor<4xf32>, tensor<4xf32>
}
