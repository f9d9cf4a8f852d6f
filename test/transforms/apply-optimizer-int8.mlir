// RUN: tinytrain-opt %s --tinytrain-apply-optimizer | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-apply-optimizer=master=f32 | FileCheck %s --check-prefix=F32
// RUN: tinytrain-opt %s --tinytrain-apply-optimizer=master=i16 | FileCheck %s --check-prefix=I16
// RUN: not tinytrain-opt %s --tinytrain-apply-optimizer=master=f16 2>&1 | FileCheck %s --check-prefix=BAD

!w = tensor<2x1x1x4x!quant.uniform<i8:f32:0, {0.5, 0.25}>>
!b = tensor<2x!quant.uniform<i32:f32:0, {0.05, 0.1}>>

// Integers are rounded stochastically: the step's state, and a stream for each parameter.
// CHECK-LABEL: func.func @update
// CHECK-SAME: [[STATE:%[a-z0-9]+]]: tensor<i32> {tinytrain.state = "random_state"}
// CHECK-DAG: [[NEXT:%.+]] = tinytrain.next_random [[STATE]]
// CHECK-DAG: [[W:%.+]] = tinytrain.sgd_update {{.*}}, [[STATE]] : (tensor<2x1x1x4x
// CHECK-DAG: [[B:%.+]] = tinytrain.sgd_update {{.*}}, [[STATE]] {stream = 1 : i32}
// CHECK: return [[W]], [[B]], [[NEXT]]

// A master of the trained channels takes the step; biases are int32 and have none.
// F32: [[MASTER:%[a-z0-9]+]]: tensor<2x1x1x2xf32> {tinytrain.state = "w.master"}
// F32-DAG: [[M:%.+]] = tinytrain.sgd_update [[MASTER]],
// F32-DAG: [[W:%.+]] = tinytrain.round_master {{.*}}, [[M]]
// F32-DAG: [[B:%.+]] = tinytrain.sgd_update {{.*}} : (tensor<2x!quant.uniform<i32
// F32: return [[W]], [[B]], [[M]],

// I16: tensor<2x1x1x2x!quant.uniform<i16:f32, 0.001953125>> {tinytrain.state = "w.master"}
// I16: [[G:%.+]] = tinytrain.scale {{.*}} {factor = 2.560000e+02 : f32}
// I16: [[M:%.+]] = tinytrain.sgd_update {{.*}}, [[G]],
// I16: tinytrain.round_master {{.*}}, [[M]]

// BAD: error: expects no master, or one of f32 or i16, got 'f16'
func.func @update(%w: !w {tinytrain.param = "w"}, %b: !b {tinytrain.param = "b"}, %gw: tensor<2x1x1x2xf32>, %gb: tensor<2xf32>)
    -> (tensor<2x1x1x2xf32> {tinytrain.gradient_of = 0 : i64}, tensor<2xf32> {tinytrain.gradient_of = 1 : i64}) {
  return %gw, %gb : tensor<2x1x1x2xf32>, tensor<2xf32>
}
