// RUN: tinytrain-opt %s --tinytrain-fuse-ops | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-fuse-ops=fuse=false | FileCheck %s --check-prefix=APART
// RUN: tinytrain-opt %s --tinytrain-fuse-ops --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS
// RUN: tinytrain-opt %s --tinytrain-fuse-ops=fuse=false --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | FileCheck %s --check-prefix=NONE

// What never reaches memory: in @conv_bias_relu the convolution and its sum with the bias
// (144 floats, 576 bytes each); in @weight_update and @update_after_read a gradient (2x8, 64
// each); the products of @residual and @moves_down (4x8, 128 each); the input gradient of
// @masked_input_grad and @packed_input_grad (8x8x3, 768 each); what @broadcast repeats (4x8,
// 128). 2 * 576 + 2 * 64 + 2 * 128 + 2 * 768 + 128 = 3200. Nothing in @also_returned: its
// product is stored.
// STATS: FuseOps
// STATS-DAG: 3200 bytes-removed
// STATS-DAG: 19 kernels
// STATS-DAG: 10 ops-fused

// Each of the 19 + 10 ops is a kernel.
// NONE: FuseOps
// NONE-DAG: 0 bytes-removed
// NONE-DAG: 29 kernels
// NONE-DAG: 0 ops-fused

// Bias and activation run in the convolution's kernel. Its multiply-accumulates are 6x6x4
// results times 3x3x3 weights each, 3888; elementwise ops have none.
// CHECK-LABEL: func.func @conv_bias_relu
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<1x8x8x3xf32>
// CHECK-SAME: [[W:%[a-z0-9_]+]]: tensor<4x3x3x3xf32>
// CHECK-SAME: [[B:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-NEXT: [[K:%[a-z0-9_]+]] = tinytrain.kernel label "conv2d_bias_add_relu" ins([[X]], [[W]], [[B]]) outs() attributes {macs = 3888 : i64} : {{.*}} -> tensor<1x6x6x4xf32> {
// CHECK-NEXT: ^bb0([[K_X:%[a-z0-9_]+]]: tensor<1x8x8x3xf32>, [[K_W:%[a-z0-9_]+]]: tensor<4x3x3x3xf32>, [[K_B:%[a-z0-9_]+]]: tensor<4xf32>):
// CHECK-NEXT: [[CONV2D:%[a-z0-9_]+]] = tinytrain.conv2d [[K_X]], [[K_W]] {dilations = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>}
// CHECK-NEXT: [[BIAS_ADD:%[a-z0-9_]+]] = tinytrain.bias_add [[CONV2D]], [[K_B]]
// CHECK-NEXT: [[RELU:%[a-z0-9_]+]] = tinytrain.relu [[BIAS_ADD]]
// CHECK-NEXT: tinytrain.yield [[RELU]]
// CHECK-NEXT: }
// CHECK-NEXT: return [[K]]
// APART-LABEL: func.func @conv_bias_relu
// APART: tinytrain.kernel label "conv2d" {{.*}} attributes {macs = 3888 : i64}
// APART: tinytrain.kernel label "bias_add" ins({{[^)]*}}) outs() :
// APART: tinytrain.kernel label "relu" ins({{[^)]*}}) outs() :
func.func @conv_bias_relu(%x: tensor<1x8x8x3xf32>, %w: tensor<4x3x3x3xf32>, %b: tensor<4xf32>) -> tensor<1x6x6x4xf32> {
  %0 = tinytrain.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x8x8x3xf32>, tensor<4x3x3x3xf32>) -> tensor<1x6x6x4xf32>
  %1 = tinytrain.bias_add %0, %b : (tensor<1x6x6x4xf32>, tensor<4xf32>) -> tensor<1x6x6x4xf32>
  %2 = tinytrain.relu %1 : (tensor<1x6x6x4xf32>) -> tensor<1x6x6x4xf32>
  return %2 : tensor<1x6x6x4xf32>
}

// A weight gradient and its update are one kernel; the transpose becomes a flag of the product.
// CHECK-LABEL: func.func @weight_update
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<1x8xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<1x2xf32>
// CHECK-SAME: [[W:%[a-z0-9_]+]]: tensor<2x8xf32>
// CHECK-SAME: [[LR:%[a-z0-9_]+]]: tensor<f32>
// CHECK-SAME: {tinytrain.update_of = 2 : i64}
// CHECK-NEXT: [[K:%[a-z0-9_]+]] = tinytrain.kernel label "matmul_sgd_update" ins([[G]], [[X]], [[W]], [[LR]]) outs() attributes {macs = 16 : i64} : {{.*}} -> tensor<2x8xf32> {
// CHECK-NEXT: ^bb0([[K_G:%[a-z0-9_]+]]: tensor<1x2xf32>, [[K_X:%[a-z0-9_]+]]: tensor<1x8xf32>, [[K_W:%[a-z0-9_]+]]: tensor<2x8xf32>, [[K_LR:%[a-z0-9_]+]]: tensor<f32>):
// CHECK-NEXT: [[MATMUL:%[a-z0-9_]+]] = tinytrain.matmul [[K_G]], [[K_X]] {transpose_lhs}
// CHECK-NEXT: [[SGD_UPDATE:%[a-z0-9_]+]] = tinytrain.sgd_update [[K_W]], [[MATMUL]], [[K_LR]]
// CHECK-NEXT: tinytrain.yield [[SGD_UPDATE]]
// CHECK-NEXT: }
// CHECK-NEXT: return [[K]]
// A transpose is folded with or without fusion.
// APART-LABEL: func.func @weight_update
// APART-NOT: tinytrain.transpose
// APART: tinytrain.kernel label "matmul" {{.*}} attributes {macs = 16 : i64}
// APART: tinytrain.kernel label "sgd_update"
func.func @weight_update(%x: tensor<1x8xf32>, %g: tensor<1x2xf32>, %w: tensor<2x8xf32> {tinytrain.param = "w"}, %lr: tensor<f32>)
    -> (tensor<2x8xf32> {tinytrain.update_of = 2}) {
  %0 = tinytrain.transpose %g {permutation = array<i64: 1, 0>} : (tensor<1x2xf32>) -> tensor<2x1xf32>
  %1 = tinytrain.matmul %0, %x : (tensor<2x1xf32>, tensor<1x8xf32>) -> tensor<2x8xf32>
  %2 = tinytrain.sgd_update %w, %1, %lr : (tensor<2x8xf32>, tensor<2x8xf32>, tensor<f32>) -> tensor<2x8xf32>
  return %2 : tensor<2x8xf32>
}

// A sum with another value, as a residual connection has it. The kernel runs at the place of
// its root, for the other value exists there.
// CHECK-LABEL: func.func @residual
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4x8xf32>
// CHECK-SAME: [[W:%[a-z0-9_]+]]: tensor<8x8xf32>
// CHECK-NEXT: [[K:%[a-z0-9_]+]] = tinytrain.kernel label "exp" ins([[X]]) outs() : {{.*}} -> tensor<4x8xf32> {
// CHECK-NEXT: ^bb0([[K_X:%[a-z0-9_]+]]: tensor<4x8xf32>):
// CHECK-NEXT: [[EXP:%[a-z0-9_]+]] = tinytrain.exp [[K_X]]
// CHECK-NEXT: tinytrain.yield [[EXP]]
// CHECK-NEXT: }
// CHECK-NEXT: [[K2:%[a-z0-9_]+]] = tinytrain.kernel label "matmul_add" ins([[K]], [[W]]) outs() attributes {macs = 256 : i64} : {{.*}} -> tensor<4x8xf32> {
// CHECK-NEXT: ^bb0([[K_K:%[a-z0-9_]+]]: tensor<4x8xf32>, [[K_W:%[a-z0-9_]+]]: tensor<8x8xf32>):
// CHECK-NEXT: [[MATMUL:%[a-z0-9_]+]] = tinytrain.matmul [[K_K]], [[K_W]]
// CHECK-NEXT: [[ADD:%[a-z0-9_]+]] = tinytrain.add [[MATMUL]], [[K_K]]
// CHECK-NEXT: tinytrain.yield [[ADD]]
// CHECK-NEXT: }
// CHECK-NEXT: return [[K2]]
func.func @residual(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.exp %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = tinytrain.matmul %0, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
  %2 = tinytrain.add %1, %0 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}

// The other value is computed behind the root: the kernel runs at the sum's place.
// CHECK-LABEL: func.func @moves_down
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4x8xf32>
// CHECK-SAME: [[W:%[a-z0-9_]+]]: tensor<8x8xf32>
// CHECK-NEXT: [[SOFTMAX:%[a-z0-9_]+]] = tinytrain.softmax [[X]]
// CHECK-NEXT: [[K:%[a-z0-9_]+]] = tinytrain.kernel label "matmul_add" ins([[X]], [[W]], [[SOFTMAX]]) outs() attributes {macs = 256 : i64} : {{.*}} -> tensor<4x8xf32> {
// CHECK-NEXT: ^bb0([[K_X:%[a-z0-9_]+]]: tensor<4x8xf32>, [[K_W:%[a-z0-9_]+]]: tensor<8x8xf32>, [[K_SOFTMAX:%[a-z0-9_]+]]: tensor<4x8xf32>):
// CHECK-NEXT: [[MATMUL:%[a-z0-9_]+]] = tinytrain.matmul [[K_X]], [[K_W]]
// CHECK-NEXT: [[ADD:%[a-z0-9_]+]] = tinytrain.add [[MATMUL]], [[K_SOFTMAX]]
// CHECK-NEXT: tinytrain.yield [[ADD]]
// CHECK-NEXT: }
// CHECK-NEXT: return [[K]]
func.func @moves_down(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.matmul %x, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
  %1 = tinytrain.softmax %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = tinytrain.add %0, %1 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}

// An input gradient with the mask of the activation before it.
// CHECK-LABEL: func.func @masked_input_grad
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<1x6x6x4xf32>
// CHECK-SAME: [[W:%[a-z0-9_]+]]: tensor<4x3x3x3xf32>
// CHECK-SAME: [[Y:%[a-z0-9_]+]]: tensor<1x8x8x3xf32>
// CHECK-NEXT: [[K:%[a-z0-9_]+]] = tinytrain.kernel label "conv2d_input_grad_clamp_grad" ins([[G]], [[W]], [[Y]]) outs() attributes {macs = 3888 : i64} : {{.*}} -> tensor<1x8x8x3xf32> {
// CHECK-NEXT: ^bb0([[K_G:%[a-z0-9_]+]]: tensor<1x6x6x4xf32>, [[K_W:%[a-z0-9_]+]]: tensor<4x3x3x3xf32>, [[K_Y:%[a-z0-9_]+]]: tensor<1x8x8x3xf32>):
// CHECK-NEXT: [[CONV2D_INPUT_GRAD:%[a-z0-9_]+]] = tinytrain.conv2d_input_grad [[K_G]], [[K_W]] {dilations = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : {{.*}} -> tensor<1x8x8x3xf32>
// CHECK-NEXT: [[CLAMP_GRAD:%[a-z0-9_]+]] = tinytrain.clamp_grad [[CONV2D_INPUT_GRAD]], [[K_Y]] {max = 6.000000e+00 : f32, min = 0.000000e+00 : f32}
// CHECK-NEXT: tinytrain.yield [[CLAMP_GRAD]]
// CHECK-NEXT: }
// CHECK-NEXT: return [[K]]
func.func @masked_input_grad(%g: tensor<1x6x6x4xf32>, %w: tensor<4x3x3x3xf32>, %y: tensor<1x8x8x3xf32>) -> tensor<1x8x8x3xf32> {
  %0 = tinytrain.conv2d_input_grad %g, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x6x6x4xf32>, tensor<4x3x3x3xf32>) -> tensor<1x8x8x3xf32>
  %1 = tinytrain.clamp_grad %0, %y {min = 0.0 : f32, max = 6.0 : f32} : (tensor<1x8x8x3xf32>, tensor<1x8x8x3xf32>) -> tensor<1x8x8x3xf32>
  return %1 : tensor<1x8x8x3xf32>
}

// The same with a mask of bits: again 6x6x4 gradients times 3x3x3 weights each.
// CHECK-LABEL: func.func @packed_input_grad
// CHECK: tinytrain.kernel label "conv2d_input_grad_mask_grad" ins({{[^)]*}}) outs() attributes {macs = 3888 : i64}
// CHECK-NOT: tinytrain.kernel
// CHECK: return
func.func @packed_input_grad(%g: tensor<1x6x6x4xf32>, %w: tensor<4x3x3x3xf32>, %m: tensor<8x3xi8>) -> tensor<1x8x8x3xf32> {
  %0 = tinytrain.conv2d_input_grad %g, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x6x6x4xf32>, tensor<4x3x3x3xf32>) -> tensor<1x8x8x3xf32>
  %1 = tinytrain.mask_grad %0, %m : (tensor<1x8x8x3xf32>, tensor<8x3xi8>) -> tensor<1x8x8x3xf32>
  return %1 : tensor<1x8x8x3xf32>
}

// Of one row, a mask has the gradient's shape; mask_grad does not follow it all the same.
// CHECK-LABEL: func.func @mask_is_no_gradient
// CHECK: tinytrain.kernel label "clamp_mask"
// CHECK: tinytrain.kernel label "mask_grad"
func.func @mask_is_no_gradient(%x: tensor<1x4xf32>, %g: tensor<1x4xf32>) -> tensor<1x4xf32> {
  %0 = tinytrain.clamp_mask %x {min = 0.0 : f32, max = 6.0 : f32} : (tensor<1x4xf32>) -> tensor<1x4xi8>
  %1 = tinytrain.mask_grad %g, %0 : (tensor<1x4xf32>, tensor<1x4xi8>) -> tensor<1x4xf32>
  return %1 : tensor<1x4xf32>
}

// Two ops use the product: it has to be in memory, and what follows it has a kernel of its own.
// CHECK-LABEL: func.func @two_uses
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4x8xf32>
// CHECK-SAME: [[W:%[a-z0-9_]+]]: tensor<8x8xf32>
// CHECK-NEXT: [[K:%[a-z0-9_]+]] = tinytrain.kernel label "matmul" ins([[X]], [[W]]) outs() attributes {macs = 256 : i64} : {{.*}} -> tensor<4x8xf32> {
// CHECK-NEXT: ^bb0([[K_X:%[a-z0-9_]+]]: tensor<4x8xf32>, [[K_W:%[a-z0-9_]+]]: tensor<8x8xf32>):
// CHECK-NEXT: [[MATMUL:%[a-z0-9_]+]] = tinytrain.matmul [[K_X]], [[K_W]]
// CHECK-NEXT: tinytrain.yield [[MATMUL]]
// CHECK-NEXT: }
// CHECK-NEXT: [[K2:%[a-z0-9_]+]] = tinytrain.kernel label "relu" ins([[K]]) outs() : {{.*}} -> tensor<4x8xf32> {
// CHECK-NEXT: ^bb0([[K_K:%[a-z0-9_]+]]: tensor<4x8xf32>):
// CHECK-NEXT: [[RELU:%[a-z0-9_]+]] = tinytrain.relu [[K_K]]
// CHECK-NEXT: tinytrain.yield [[RELU]]
// CHECK-NEXT: }
// CHECK-NEXT: [[K3:%[a-z0-9_]+]] = tinytrain.kernel label "exp" ins([[K]]) outs() : {{.*}} -> tensor<4x8xf32> {
// CHECK-NEXT: ^bb0([[K_K2:%[a-z0-9_]+]]: tensor<4x8xf32>):
// CHECK-NEXT: [[EXP:%[a-z0-9_]+]] = tinytrain.exp [[K_K2]]
// CHECK-NEXT: tinytrain.yield [[EXP]]
// CHECK-NEXT: }
// CHECK-NEXT: return [[K2]], [[K3]]
func.func @two_uses(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %0 = tinytrain.matmul %x, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
  %1 = tinytrain.relu %0 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = tinytrain.exp %0 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %1, %2 : tensor<4x8xf32>, tensor<4x8xf32>
}

// A value that is used by one op and returned is stored by the same kernel.
// CHECK-LABEL: func.func @also_returned
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4x8xf32>
// CHECK-SAME: [[W:%[a-z0-9_]+]]: tensor<8x8xf32>
// CHECK-NEXT: [[K:%[a-z0-9_]+]]:2 = tinytrain.kernel label "matmul_relu" ins([[X]], [[W]]) outs() attributes {macs = 256 : i64} : {{.*}} -> (tensor<4x8xf32>, tensor<4x8xf32>) {
// CHECK-NEXT: ^bb0([[K_X:%[a-z0-9_]+]]: tensor<4x8xf32>, [[K_W:%[a-z0-9_]+]]: tensor<8x8xf32>):
// CHECK-NEXT: [[MATMUL:%[a-z0-9_]+]] = tinytrain.matmul [[K_X]], [[K_W]]
// CHECK-NEXT: [[RELU:%[a-z0-9_]+]] = tinytrain.relu [[MATMUL]]
// CHECK-NEXT: tinytrain.yield [[MATMUL]], [[RELU]]
// CHECK-NEXT: }
// CHECK-NEXT: return [[K]]#0, [[K]]#1
func.func @also_returned(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %0 = tinytrain.matmul %x, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
  %1 = tinytrain.relu %0 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0, %1 : tensor<4x8xf32>, tensor<4x8xf32>
}

// A broadcast changes the shape: it begins a kernel and does not follow in one.
// CHECK-LABEL: func.func @broadcast
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4x8xf32>
// CHECK-NEXT: [[K:%[a-z0-9_]+]] = tinytrain.kernel label "reduce_mean" ins([[X]]) outs() : {{.*}} -> tensor<8xf32> {
// CHECK-NEXT: ^bb0([[K_X:%[a-z0-9_]+]]: tensor<4x8xf32>):
// CHECK-NEXT: [[REDUCE_MEAN:%[a-z0-9_]+]] = tinytrain.reduce_mean [[K_X]] {dims = array<i64: 0>}
// CHECK-NEXT: tinytrain.yield [[REDUCE_MEAN]]
// CHECK-NEXT: }
// CHECK-NEXT: [[K2:%[a-z0-9_]+]] = tinytrain.kernel label "broadcast_sub" ins([[K]], [[X]]) outs() : {{.*}} -> tensor<4x8xf32> {
// CHECK-NEXT: ^bb0([[K_K:%[a-z0-9_]+]]: tensor<8xf32>, [[K_X2:%[a-z0-9_]+]]: tensor<4x8xf32>):
// CHECK-NEXT: [[BROADCAST:%[a-z0-9_]+]] = tinytrain.broadcast [[K_K]] {dims = array<i64: 1>} : {{.*}} -> tensor<4x8xf32>
// CHECK-NEXT: [[SUB:%[a-z0-9_]+]] = tinytrain.sub [[BROADCAST]], [[K_X2]]
// CHECK-NEXT: tinytrain.yield [[SUB]]
// CHECK-NEXT: }
// CHECK-NEXT: return [[K2]]
func.func @broadcast(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.reduce_mean %x {dims = array<i64: 0>} : (tensor<4x8xf32>) -> tensor<8xf32>
  %1 = tinytrain.broadcast %0 {dims = array<i64: 1>} : (tensor<8xf32>) -> tensor<4x8xf32>
  %2 = tinytrain.sub %1, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}

// An update must not run before the last read of its parameter: here the gradient's kernel
// moves behind the product that still reads the old weight.
// CHECK-LABEL: func.func @update_after_read
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<1x8xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<1x2xf32>
// CHECK-SAME: [[W:%[a-z0-9_]+]]: tensor<2x8xf32>
// CHECK-SAME: [[LR:%[a-z0-9_]+]]: tensor<f32>
// CHECK-SAME: {tinytrain.update_of = 2 : i64}
// CHECK-NEXT: [[K:%[a-z0-9_]+]] = tinytrain.kernel label "matmul" ins([[G]], [[W]]) outs() attributes {macs = 16 : i64} : {{.*}} -> tensor<1x8xf32> {
// CHECK-NEXT: ^bb0([[K_G:%[a-z0-9_]+]]: tensor<1x2xf32>, [[K_W:%[a-z0-9_]+]]: tensor<2x8xf32>):
// CHECK-NEXT: [[MATMUL:%[a-z0-9_]+]] = tinytrain.matmul [[K_G]], [[K_W]]
// CHECK-NEXT: tinytrain.yield [[MATMUL]]
// CHECK-NEXT: }
// CHECK-NEXT: [[K2:%[a-z0-9_]+]] = tinytrain.kernel label "matmul_sgd_update" ins([[G]], [[X]], [[W]], [[LR]]) outs() attributes {macs = 16 : i64} : {{.*}} -> tensor<2x8xf32> {
// CHECK-NEXT: ^bb0([[K_G2:%[a-z0-9_]+]]: tensor<1x2xf32>, [[K_X:%[a-z0-9_]+]]: tensor<1x8xf32>, [[K_W2:%[a-z0-9_]+]]: tensor<2x8xf32>, [[K_LR:%[a-z0-9_]+]]: tensor<f32>):
// CHECK-NEXT: [[MATMUL2:%[a-z0-9_]+]] = tinytrain.matmul [[K_G2]], [[K_X]] {transpose_lhs}
// CHECK-NEXT: [[SGD_UPDATE:%[a-z0-9_]+]] = tinytrain.sgd_update [[K_W2]], [[MATMUL2]], [[K_LR]]
// CHECK-NEXT: tinytrain.yield [[SGD_UPDATE]]
// CHECK-NEXT: }
// CHECK-NEXT: return [[K]], [[K2]]
func.func @update_after_read(%x: tensor<1x8xf32>, %g: tensor<1x2xf32>, %w: tensor<2x8xf32> {tinytrain.param = "w"}, %lr: tensor<f32>)
    -> (tensor<1x8xf32>, tensor<2x8xf32> {tinytrain.update_of = 2}) {
  %dw = tinytrain.matmul %g, %x {transpose_lhs} : (tensor<1x2xf32>, tensor<1x8xf32>) -> tensor<2x8xf32>
  %dx = tinytrain.matmul %g, %w : (tensor<1x2xf32>, tensor<2x8xf32>) -> tensor<1x8xf32>
  %new = tinytrain.sgd_update %w, %dw, %lr : (tensor<2x8xf32>, tensor<2x8xf32>, tensor<f32>) -> tensor<2x8xf32>
  return %dx, %new : tensor<1x8xf32>, tensor<2x8xf32>
}

// A transpose of other dimensions than the last two stays.
// CHECK-LABEL: func.func @other_transpose
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4x2x8xf32>
// CHECK-SAME: [[W:%[a-z0-9_]+]]: tensor<2x8x3xf32>
// CHECK-NEXT: [[TRANSPOSE:%[a-z0-9_]+]] = tinytrain.transpose [[X]] {permutation = array<i64: 1, 0, 2>}
// CHECK-NEXT: [[K:%[a-z0-9_]+]] = tinytrain.kernel label "matmul" ins([[TRANSPOSE]], [[W]]) outs() attributes {macs = 192 : i64} : {{.*}} -> tensor<2x4x3xf32> {
// CHECK-NEXT: ^bb0([[K_TRANSPOSE:%[a-z0-9_]+]]: tensor<2x4x8xf32>, [[K_W:%[a-z0-9_]+]]: tensor<2x8x3xf32>):
// CHECK-NEXT: [[MATMUL:%[a-z0-9_]+]] = tinytrain.matmul [[K_TRANSPOSE]], [[K_W]]
// CHECK-NEXT: tinytrain.yield [[MATMUL]]
// CHECK-NEXT: }
// CHECK-NEXT: return [[K]]
func.func @other_transpose(%x: tensor<4x2x8xf32>, %w: tensor<2x8x3xf32>) -> tensor<2x4x3xf32> {
  %0 = tinytrain.transpose %x {permutation = array<i64: 1, 0, 2>} : (tensor<4x2x8xf32>) -> tensor<2x4x8xf32>
  %1 = tinytrain.matmul %0, %w : (tensor<2x4x8xf32>, tensor<2x8x3xf32>) -> tensor<2x4x3xf32>
  return %1 : tensor<2x4x3xf32>
}

// Folding a transpose into an operand that is transposed already takes the flag away.
// CHECK-LABEL: func.func @transpose_twice
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<8x4xf32>
// CHECK-SAME: [[W:%[a-z0-9_]+]]: tensor<8x2xf32>
// CHECK-NEXT: [[K:%[a-z0-9_]+]] = tinytrain.kernel label "matmul" ins([[X]], [[W]]) outs() attributes {macs = 64 : i64} : {{.*}} -> tensor<4x2xf32> {
// CHECK-NEXT: ^bb0([[K_X:%[a-z0-9_]+]]: tensor<8x4xf32>, [[K_W:%[a-z0-9_]+]]: tensor<8x2xf32>):
// CHECK-NEXT: [[MATMUL:%[a-z0-9_]+]] = tinytrain.matmul [[K_X]], [[K_W]] {transpose_lhs}
// CHECK-NEXT: tinytrain.yield [[MATMUL]]
// CHECK-NEXT: }
// CHECK-NEXT: return [[K]]
func.func @transpose_twice(%x: tensor<8x4xf32>, %w: tensor<8x2xf32>) -> tensor<4x2xf32> {
  %0 = tinytrain.transpose %x {permutation = array<i64: 1, 0>} : (tensor<8x4xf32>) -> tensor<4x8xf32>
  %1 = tinytrain.transpose %w {permutation = array<i64: 1, 0>} : (tensor<8x2xf32>) -> tensor<2x8xf32>
  %2 = tinytrain.matmul %0, %1 {transpose_rhs} : (tensor<4x8xf32>, tensor<2x8xf32>) -> tensor<4x2xf32>
  return %2 : tensor<4x2xf32>
}
