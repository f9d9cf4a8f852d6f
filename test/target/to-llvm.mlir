// The training step of a small network, from the forward graph down to the LLVM dialect.
// RUN: tinytrain-opt %s --tinytrain-training-graph --tinytrain-form-kernel-graph --tinytrain-bufferize --tinytrain-codegen=target=cortex-m7 --tinytrain-to-llvm=index-bits=32 | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-training-graph --tinytrain-form-kernel-graph --tinytrain-bufferize --tinytrain-codegen=target=cortex-m7 --tinytrain-to-llvm=index-bits=32 | FileCheck %s --check-prefix=NONE

// All memory is static: the arena, the parameters that are updated with the learning rate
// (16 + 32 + 4 = 52 bytes), and the frozen ones, which are constant.
// CHECK: module attributes {tinytrain.arena_bytes = [[ARENA:[0-9]+]] : i64
// CHECK-DAG: llvm.mlir.global private @arena() {{{.*}}} : !llvm.array<[[ARENA]] x i8>
// CHECK-DAG: llvm.mlir.global private @params() {{{.*}}} : !llvm.array<52 x i8>
// CHECK-DAG: llvm.mlir.global private constant @const.0.weight()

// The inputs, the label and the results are the arguments.
// CHECK-LABEL: llvm.func @step
// CHECK-SAME: ([[X:%[a-z0-9]+]]: !llvm.ptr, [[LABEL:%[a-z0-9]+]]: !llvm.ptr {tinytrain.label}, [[LOSS:%[a-z0-9]+]]: !llvm.ptr {tinytrain.loss}, [[Y:%[a-z0-9]+]]: !llvm.ptr)
// CHECK-DAG: [[CONST:%.+]] = llvm.mlir.addressof @const.0.weight
// CHECK-DAG: llvm.mlir.addressof @params
// CHECK-DAG: llvm.mlir.addressof @arena
// CHECK: [[WEIGHT:%.+]] = llvm.getelementptr [[CONST]][
// Forward ...
// CHECK: llvm.call @conv2d_bias_add_relu([[X]], [[WEIGHT]], {{.*}})
// CHECK: llvm.call @global_avg_pool(
// CHECK: llvm.call @matmul({{.*}}, [[Y]])
// ... and backward, as far as the bias of the convolution. The frozen weight has no gradient.
// CHECK-NOT: weight_grad
// CHECK: llvm.call @matmul_sgd_update(
// CHECK-NOT: weight_grad
// CHECK: llvm.call @reduce_sum_sgd_update(
// CHECK-NEXT: llvm.return

// No allocation, no copy, no library call, and nothing that is not of the LLVM dialect.
// NONE: llvm.func @step
// NONE-NOT: {{alloc|free|memcpy|memmove}}
// NONE-NOT: {{@(expf|logf|exp|log)\(}}
// NONE-NOT: {{ (arith|scf|cf|memref|vector|math|func|linalg|tensor)\.}}
// NONE-NOT: unrealized_conversion_cast
func.func @step(%x: tensor<1x8x8x3xf32>, %w0: tensor<4x3x3x3xf32> {tinytrain.param = "0.weight", tinytrain.needs_grad = false},
                %b0: tensor<4xf32> {tinytrain.param = "0.bias", tinytrain.needs_grad = true},
                %w1: tensor<2x4xf32> {tinytrain.param = "1.weight", tinytrain.needs_grad = true}) -> tensor<1x2xf32> {
  %0 = tinytrain.conv2d %x, %w0 {strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x8x8x3xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x4x4xf32>
  %1 = tinytrain.bias_add %0, %b0 : (tensor<1x4x4x4xf32>, tensor<4xf32>) -> tensor<1x4x4x4xf32>
  %2 = tinytrain.relu %1 : (tensor<1x4x4x4xf32>) -> tensor<1x4x4x4xf32>
  %3 = tinytrain.global_avg_pool %2 : (tensor<1x4x4x4xf32>) -> tensor<1x4xf32>
  %4 = tinytrain.matmul %3, %w1 {transpose_rhs} : (tensor<1x4xf32>, tensor<2x4xf32>) -> tensor<1x2xf32>
  return %4 : tensor<1x2xf32>
}
