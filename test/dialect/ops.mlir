// Every op, in custom and in generic form, survives a round trip.
// RUN: tinytrain-opt %s | tinytrain-opt | FileCheck %s
// RUN: tinytrain-opt %s --mlir-print-op-generic | tinytrain-opt | FileCheck %s
// RUN: tinytrain-opt %s --mlir-print-op-generic | FileCheck %s --check-prefix=GENERIC

// CHECK-LABEL: func.func @contraction
// GENERIC-LABEL: sym_name = "contraction"
func.func @contraction(%x: tensor<1x8x8x3xf32>, %w: tensor<16x3x3x3xf32>,
                       %g: tensor<1x8x8x16xf32>, %a: tensor<4x8xf32>, %b: tensor<2x8xf32>)
    -> (tensor<1x8x8x16xf32>, tensor<1x8x8x3xf32>, tensor<16x3x3x3xf32>, tensor<4x2xf32>) {
  // `groups` is one where it is not given.
  // CHECK: tinytrain.conv2d {{.*}} {dilations = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, strides = array<i64: 1, 1>}
  // CHECK-SAME: -> tensor<1x8x8x16xf32>
  // GENERIC: "tinytrain.conv2d"
  // GENERIC-SAME: groups = 1 : i64
  %y = tinytrain.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x8x8x3xf32>, tensor<16x3x3x3xf32>) -> tensor<1x8x8x16xf32>
  // CHECK: tinytrain.conv2d_input_grad {{.*}} -> tensor<1x8x8x3xf32>
  // GENERIC: "tinytrain.conv2d_input_grad"
  %dx = tinytrain.conv2d_input_grad %g, %w {strides = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x8x8x16xf32>, tensor<16x3x3x3xf32>) -> tensor<1x8x8x3xf32>
  // CHECK: tinytrain.conv2d_weight_grad {{.*}} -> tensor<16x3x3x3xf32>
  // GENERIC: "tinytrain.conv2d_weight_grad"
  %dw = tinytrain.conv2d_weight_grad %x, %g {strides = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x8x8x3xf32>, tensor<1x8x8x16xf32>) -> tensor<16x3x3x3xf32>
  // CHECK: tinytrain.matmul {{.*}} {transpose_rhs} : {{.*}} -> tensor<4x2xf32>
  // GENERIC: "tinytrain.matmul"
  // GENERIC-SAME: transpose_rhs
  %m = tinytrain.matmul %a, %b {transpose_rhs} : (tensor<4x8xf32>, tensor<2x8xf32>) -> tensor<4x2xf32>
  return %y, %dx, %dw, %m : tensor<1x8x8x16xf32>, tensor<1x8x8x3xf32>, tensor<16x3x3x3xf32>, tensor<4x2xf32>
}

// The weight of a depthwise convolution is 1xKHxKWxC, that of a grouped one OxKHxKWx(I/groups).
// CHECK-LABEL: func.func @groups
// GENERIC-LABEL: sym_name = "groups"
func.func @groups(%x: tensor<1x8x8x4xf32>, %d: tensor<1x3x3x4xf32>, %w: tensor<6x3x3x2xf32>)
    -> (tensor<1x6x6x4xf32>, tensor<1x6x6x6xf32>) {
  // CHECK: tinytrain.conv2d {{.*}}groups = 4 : i64{{.*}} -> tensor<1x6x6x4xf32>
  // GENERIC: groups = 4 : i64
  %0 = tinytrain.conv2d %x, %d {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 4 : i64} : (tensor<1x8x8x4xf32>, tensor<1x3x3x4xf32>) -> tensor<1x6x6x4xf32>
  // CHECK: tinytrain.conv2d {{.*}}groups = 2 : i64{{.*}} -> tensor<1x6x6x6xf32>
  // GENERIC: groups = 2 : i64
  %1 = tinytrain.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x8x8x4xf32>, tensor<6x3x3x2xf32>) -> tensor<1x6x6x6xf32>
  return %0, %1 : tensor<1x6x6x4xf32>, tensor<1x6x6x6xf32>
}

// CHECK-LABEL: func.func @elementwise
// GENERIC-LABEL: sym_name = "elementwise"
func.func @elementwise(%x: tensor<4x8xf32>, %z: tensor<4x8xf32>, %v: tensor<8xf32>) -> tensor<4x8xf32> {
  // CHECK-NEXT: tinytrain.bias_add
  // GENERIC: "tinytrain.bias_add"
  %0 = tinytrain.bias_add %x, %v : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  // CHECK-NEXT: tinytrain.add
  // GENERIC: "tinytrain.add"
  %1 = tinytrain.add %0, %z : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK-NEXT: tinytrain.sub
  // GENERIC: "tinytrain.sub"
  %2 = tinytrain.sub %1, %z : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK-NEXT: tinytrain.mul
  // GENERIC: "tinytrain.mul"
  %3 = tinytrain.mul %2, %z : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK-NEXT: tinytrain.div
  // GENERIC: "tinytrain.div"
  %4 = tinytrain.div %3, %z : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK-NEXT: tinytrain.scale {{.*}} {factor = 5.000000e-01 : f32}
  // GENERIC: "tinytrain.scale"
  %5 = tinytrain.scale %4 {factor = 0.5 : f32} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK-NEXT: tinytrain.shift {{.*}} {value = 3.000000e+00 : f32}
  // GENERIC: "tinytrain.shift"
  %6 = tinytrain.shift %5 {value = 3.0 : f32} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK-NEXT: tinytrain.exp
  // GENERIC: "tinytrain.exp"
  %7 = tinytrain.exp %6 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK-NEXT: tinytrain.log
  // GENERIC: "tinytrain.log"
  %8 = tinytrain.log %7 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK-NEXT: tinytrain.relu
  // GENERIC: "tinytrain.relu"
  %9 = tinytrain.relu %8 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK-NEXT: tinytrain.clamp {{.*}} {max = 6.000000e+00 : f32, min = 0.000000e+00 : f32}
  // GENERIC: "tinytrain.clamp"
  %10 = tinytrain.clamp %9 {min = 0.0 : f32, max = 6.0 : f32} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK-NEXT: tinytrain.clamp_grad {{.*}} {max = 0x7F800000 : f32, min = 0.000000e+00 : f32}
  // GENERIC: "tinytrain.clamp_grad"
  %11 = tinytrain.clamp_grad %z, %10 {min = 0.0 : f32, max = 0x7F800000 : f32} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %11 : tensor<4x8xf32>
}

// A mask has a byte for eight rows of a channel; all dimensions of a gradient but the last are
// its rows.
// CHECK-LABEL: func.func @masks
// GENERIC-LABEL: sym_name = "masks"
func.func @masks(%x: tensor<20x8xf32>, %g: tensor<4x5x8xf32>) -> tensor<4x5x8xf32> {
  // CHECK-NEXT: [[BITS:%.+]] = tinytrain.clamp_mask {{.*}} {max = 6.000000e+00 : f32, min = 0.000000e+00 : f32} : (tensor<20x8xf32>) -> tensor<3x8xi8>
  // GENERIC: "tinytrain.clamp_mask"
  %0 = tinytrain.clamp_mask %x {min = 0.0 : f32, max = 6.0 : f32} : (tensor<20x8xf32>) -> tensor<3x8xi8>
  // CHECK-NEXT: [[Y:%.+]] = tinytrain.mask_grad {{.*}}, [[BITS]] : (tensor<4x5x8xf32>, tensor<3x8xi8>) -> tensor<4x5x8xf32>
  // GENERIC: "tinytrain.mask_grad"
  %1 = tinytrain.mask_grad %g, %0 : (tensor<4x5x8xf32>, tensor<3x8xi8>) -> tensor<4x5x8xf32>
  // CHECK-NEXT: tinytrain.clamp_mask {{.*}} {inclusive, max = 1.000000e+00 : f32, min = -1.000000e+00 : f32}
  // GENERIC: "tinytrain.clamp_mask"
  // GENERIC-SAME: inclusive
  %2 = tinytrain.clamp_mask %x {min = -1.0 : f32, max = 1.0 : f32, inclusive} : (tensor<20x8xf32>) -> tensor<3x8xi8>
  %3 = tinytrain.mask_grad %1, %2 : (tensor<4x5x8xf32>, tensor<3x8xi8>) -> tensor<4x5x8xf32>
  return %3 : tensor<4x5x8xf32>
}

// CHECK-LABEL: func.func @pooling
// GENERIC-LABEL: sym_name = "pooling"
func.func @pooling(%x: tensor<1x8x8x4xf32>, %g: tensor<1x4x4x4xf32>)
    -> (tensor<1x4x4x4xf32>, tensor<1x8x8x4xf32>, tensor<1x4x4x4xf32>, tensor<1x8x8x4xf32>, tensor<1x4xf32>) {
  // CHECK: tinytrain.max_pool {{.*}} {kernel = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>, strides = array<i64: 2, 2>}
  // GENERIC: "tinytrain.max_pool"
  %0 = tinytrain.max_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<1x8x8x4xf32>) -> tensor<1x4x4x4xf32>
  // CHECK: tinytrain.max_pool_argmax {{.*}} -> tensor<1x4x4x4xi8>
  // GENERIC: "tinytrain.max_pool_argmax"
  %1 = tinytrain.max_pool_argmax %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<1x8x8x4xf32>) -> tensor<1x4x4x4xi8>
  // CHECK: tinytrain.max_pool_grad {{.*}} : (tensor<1x4x4x4xf32>, tensor<1x4x4x4xi8>) -> tensor<1x8x8x4xf32>
  // GENERIC: "tinytrain.max_pool_grad"
  %2 = tinytrain.max_pool_grad %g, %1 {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<1x4x4x4xf32>, tensor<1x4x4x4xi8>) -> tensor<1x8x8x4xf32>
  // CHECK: tinytrain.avg_pool {{.*}} -> tensor<1x4x4x4xf32>
  // GENERIC: "tinytrain.avg_pool"
  %3 = tinytrain.avg_pool %x {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>} : (tensor<1x8x8x4xf32>) -> tensor<1x4x4x4xf32>
  // CHECK: tinytrain.avg_pool_grad {{.*}} -> tensor<1x8x8x4xf32>
  // GENERIC: "tinytrain.avg_pool_grad"
  %4 = tinytrain.avg_pool_grad %g {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>} : (tensor<1x4x4x4xf32>) -> tensor<1x8x8x4xf32>
  // CHECK: tinytrain.global_avg_pool {{.*}} -> tensor<1x4xf32>
  // GENERIC: "tinytrain.global_avg_pool"
  %5 = tinytrain.global_avg_pool %x : (tensor<1x8x8x4xf32>) -> tensor<1x4xf32>
  return %0, %2, %3, %4, %5 : tensor<1x4x4x4xf32>, tensor<1x8x8x4xf32>, tensor<1x4x4x4xf32>, tensor<1x8x8x4xf32>, tensor<1x4xf32>
}

// CHECK-LABEL: func.func @shape
// GENERIC-LABEL: sym_name = "shape"
func.func @shape(%x: tensor<4x6xf32>, %i: tensor<4xi32>)
    -> (tensor<2x12xf32>, tensor<2x2xi32>, tensor<6x4xf32>, tensor<2x3xf32>, tensor<5x11xf32>, tensor<4x12xf32>, tensor<2x4x6xf32>) {
  // CHECK: tinytrain.reshape {{.*}} : (tensor<4x6xf32>) -> tensor<2x12xf32>
  // GENERIC: "tinytrain.reshape"
  %0 = tinytrain.reshape %x : (tensor<4x6xf32>) -> tensor<2x12xf32>
  // CHECK: tinytrain.reshape {{.*}} : (tensor<4xi32>) -> tensor<2x2xi32>
  %1 = tinytrain.reshape %i : (tensor<4xi32>) -> tensor<2x2xi32>
  // CHECK: tinytrain.transpose {{.*}} {permutation = array<i64: 1, 0>}
  // GENERIC: "tinytrain.transpose"
  %2 = tinytrain.transpose %x {permutation = array<i64: 1, 0>} : (tensor<4x6xf32>) -> tensor<6x4xf32>
  // CHECK: tinytrain.slice {{.*}} {offsets = array<i64: 1, 0>, sizes = array<i64: 2, 3>, strides = array<i64: 1, 2>}
  // GENERIC: "tinytrain.slice"
  %3 = tinytrain.slice %x {offsets = array<i64: 1, 0>, sizes = array<i64: 2, 3>, strides = array<i64: 1, 2>} : (tensor<4x6xf32>) -> tensor<2x3xf32>
  // `value` is zero where it is not given.
  // CHECK: tinytrain.pad {{.*}} {high = array<i64: 0, 0>, interior = array<i64: 0, 1>, low = array<i64: 1, 0>}
  // GENERIC: "tinytrain.pad"
  // GENERIC-SAME: value = 0.000000e+00 : f32
  %4 = tinytrain.pad %x {low = array<i64: 1, 0>, high = array<i64: 0, 0>, interior = array<i64: 0, 1>} : (tensor<4x6xf32>) -> tensor<5x11xf32>
  // CHECK: tinytrain.concat {{.*}} {axis = 1 : i64}
  // GENERIC: "tinytrain.concat"
  %5 = tinytrain.concat %x, %x {axis = 1 : i64} : (tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<4x12xf32>
  // CHECK: tinytrain.broadcast {{.*}} {dims = array<i64: 1, 2>}
  // GENERIC: "tinytrain.broadcast"
  %6 = tinytrain.broadcast %x {dims = array<i64: 1, 2>} : (tensor<4x6xf32>) -> tensor<2x4x6xf32>
  return %0, %1, %2, %3, %4, %5, %6 : tensor<2x12xf32>, tensor<2x2xi32>, tensor<6x4xf32>, tensor<2x3xf32>, tensor<5x11xf32>, tensor<4x12xf32>, tensor<2x4x6xf32>
}

// CHECK-LABEL: func.func @reduction
// GENERIC-LABEL: sym_name = "reduction"
func.func @reduction(%x: tensor<4x6xf32>, %g: tensor<4x6xf32>) -> (tensor<6xf32>, tensor<f32>, tensor<4xf32>, tensor<4x6xf32>, tensor<4x6xf32>) {
  // CHECK: tinytrain.reduce_sum {{.*}} {dims = array<i64: 0>}
  // GENERIC: "tinytrain.reduce_sum"
  %0 = tinytrain.reduce_sum %x {dims = array<i64: 0>} : (tensor<4x6xf32>) -> tensor<6xf32>
  // CHECK: tinytrain.reduce_mean {{.*}} -> tensor<f32>
  // GENERIC: "tinytrain.reduce_mean"
  %1 = tinytrain.reduce_mean %x {dims = array<i64: 0, 1>} : (tensor<4x6xf32>) -> tensor<f32>
  // CHECK: tinytrain.reduce_max {{.*}} -> tensor<4xf32>
  // GENERIC: "tinytrain.reduce_max"
  %2 = tinytrain.reduce_max %x {dims = array<i64: 1>} : (tensor<4x6xf32>) -> tensor<4xf32>
  // CHECK: tinytrain.softmax
  // GENERIC: "tinytrain.softmax"
  %3 = tinytrain.softmax %x : (tensor<4x6xf32>) -> tensor<4x6xf32>
  // CHECK: tinytrain.softmax_grad
  // GENERIC: "tinytrain.softmax_grad"
  %4 = tinytrain.softmax_grad %g, %3 : (tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<4x6xf32>
  // CHECK: tinytrain.log_softmax
  // GENERIC: "tinytrain.log_softmax"
  %5 = tinytrain.log_softmax %x : (tensor<4x6xf32>) -> tensor<4x6xf32>
  // CHECK: tinytrain.log_softmax_grad
  // GENERIC: "tinytrain.log_softmax_grad"
  %6 = tinytrain.log_softmax_grad %g, %5 : (tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<4x6xf32>
  return %0, %1, %2, %4, %6 : tensor<6xf32>, tensor<f32>, tensor<4xf32>, tensor<4x6xf32>, tensor<4x6xf32>
}

// CHECK-LABEL: func.func @loss
// GENERIC-LABEL: sym_name = "loss"
func.func @loss(%x: tensor<4x6xf32>, %t: tensor<4x6xf32>, %i: tensor<4xi32>, %one: tensor<f32>) -> (tensor<f32>, tensor<4x6xf32>, tensor<f32>, tensor<4x6xf32>) {
  // CHECK: tinytrain.cross_entropy {{.*}} : (tensor<4x6xf32>, tensor<4xi32>) -> tensor<f32>
  // GENERIC: "tinytrain.cross_entropy"
  %0 = tinytrain.cross_entropy %x, %i : (tensor<4x6xf32>, tensor<4xi32>) -> tensor<f32>
  // CHECK: tinytrain.cross_entropy_grad {{.*}} -> tensor<4x6xf32>
  // GENERIC: "tinytrain.cross_entropy_grad"
  %1 = tinytrain.cross_entropy_grad %one, %x, %i : (tensor<f32>, tensor<4x6xf32>, tensor<4xi32>) -> tensor<4x6xf32>
  // CHECK: tinytrain.mse {{.*}} -> tensor<f32>
  // GENERIC: "tinytrain.mse"
  %2 = tinytrain.mse %x, %t : (tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<f32>
  // CHECK: tinytrain.mse_grad {{.*}} -> tensor<4x6xf32>
  // GENERIC: "tinytrain.mse_grad"
  %3 = tinytrain.mse_grad %one, %x, %t : (tensor<f32>, tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<4x6xf32>
  return %0, %1, %2, %3 : tensor<f32>, tensor<4x6xf32>, tensor<f32>, tensor<4x6xf32>
}

// CHECK-LABEL: func.func @update
// CHECK-SAME: {tinytrain.needs_grad = true, tinytrain.param = "w"}
// CHECK-SAME: {tinytrain.state = "w.velocity"}
// CHECK-SAME: {tinytrain.learning_rate}
// CHECK-SAME: {tinytrain.update_of = 0 : i64}
// CHECK-SAME: {tinytrain.update_of = 1 : i64}
// GENERIC-LABEL: sym_name = "update"
func.func @update(%w: tensor<4xf32> {tinytrain.param = "w", tinytrain.needs_grad = true},
                  %v: tensor<4xf32> {tinytrain.state = "w.velocity"}, %g: tensor<4xf32>,
                  %lr: tensor<f32> {tinytrain.learning_rate})
    -> (tensor<4xf32> {tinytrain.update_of = 0}, tensor<4xf32> {tinytrain.update_of = 1}) {
  // CHECK: tinytrain.momentum_update {{.*}} {momentum = 0.899999976 : f32, weight_decay = 0.00999999977 : f32}
  // GENERIC: "tinytrain.momentum_update"
  %0 = tinytrain.momentum_update %v, %g, %w {momentum = 0.9 : f32, weight_decay = 0.01 : f32} : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  // CHECK: tinytrain.sgd_update {{.*}} : (tensor<4xf32>, tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  // GENERIC: "tinytrain.sgd_update"
  // GENERIC-SAME: weight_decay = 0.000000e+00 : f32
  %1 = tinytrain.sgd_update %w, %0, %lr : (tensor<4xf32>, tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %1, %0 : tensor<4xf32>, tensor<4xf32>
}

// The other attributes of a graph's signature.
// CHECK-LABEL: func.func @signature
// CHECK-SAME: tinytrain.needs_grad = false
// CHECK-SAME: tinytrain.needs_grad = 5.000000e-01
// CHECK-SAME: tinytrain.needs_grad = array<i64: 0, 3, 7>
// CHECK-SAME: {tinytrain.updated}
// CHECK-SAME: {tinytrain.label}
// CHECK-SAME: {tinytrain.cotangent = 1 : i64}
// CHECK-SAME: {tinytrain.loss}
// CHECK-SAME: {tinytrain.gradient_of = 2 : i64}
func.func @signature(%a: tensor<8xf32> {tinytrain.needs_grad = false},
                     %b: tensor<8xf32> {tinytrain.needs_grad = 0.5},
                     %c: tensor<8xf32> {tinytrain.needs_grad = array<i64: 0, 3, 7>},
                     %d: tensor<8xf32> {tinytrain.updated}, %e: tensor<1xi32> {tinytrain.label},
                     %f: tensor<8xf32> {tinytrain.cotangent = 1}, %loss: tensor<f32>)
    -> (tensor<f32> {tinytrain.loss}, tensor<8xf32> {tinytrain.gradient_of = 2}) {
  return %loss, %c : tensor<f32>, tensor<8xf32>
}

// CHECK-LABEL: func.func @kernel
// CHECK-SAME: ([[X:%[a-z0-9]+]]: {{.*}}, [[W:%[a-z0-9]+]]: {{.*}}, [[B:%[a-z0-9]+]]: {{.*}})
// GENERIC-LABEL: sym_name = "kernel"
func.func @kernel(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %b: tensor<16xf32>) -> tensor<4x16xf32> {
  // CHECK: [[Y:%.+]] = tinytrain.kernel label "linear" ins([[X]], [[W]], [[B]]) outs() : {{.*}} -> tensor<4x16xf32> {
  // CHECK-NEXT: ^bb0([[A:%[a-z0-9]+]]: tensor<4x8xf32>, [[C:%[a-z0-9]+]]: tensor<16x8xf32>, [[D:%[a-z0-9]+]]: tensor<16xf32>):
  // CHECK-NEXT: [[M:%.+]] = tinytrain.matmul [[A]], [[C]]
  // CHECK-NEXT: [[S:%.+]] = tinytrain.bias_add [[M]], [[D]]
  // CHECK-NEXT: tinytrain.yield [[S]] : tensor<4x16xf32>
  // CHECK: return [[Y]]
  // GENERIC: "tinytrain.kernel"
  // GENERIC-SAME: operandSegmentSizes = array<i32: 3, 0>
  // GENERIC: "tinytrain.yield"
  %y = tinytrain.kernel label "linear" ins(%x, %w, %b) outs() : (tensor<4x8xf32>, tensor<16x8xf32>, tensor<16xf32>) -> tensor<4x16xf32> {
  ^bb0(%a: tensor<4x8xf32>, %c: tensor<16x8xf32>, %d: tensor<16xf32>):
    %0 = tinytrain.matmul %a, %c {transpose_rhs} : (tensor<4x8xf32>, tensor<16x8xf32>) -> tensor<4x16xf32>
    %1 = tinytrain.bias_add %0, %d : (tensor<4x16xf32>, tensor<16xf32>) -> tensor<4x16xf32>
    tinytrain.yield %1 : tensor<4x16xf32>
  }
  return %y : tensor<4x16xf32>
}

// On memrefs the region still speaks of tensors; the kernel has no results.
// CHECK-LABEL: func.func @kernel_on_memrefs
// CHECK-SAME: ([[X:%[a-z0-9]+]]: {{.*}}, [[Y:%[a-z0-9]+]]: {{.*}})
// GENERIC-LABEL: sym_name = "kernel_on_memrefs"
func.func @kernel_on_memrefs(%x: memref<8xf32>, %y: memref<8xf32>) {
  // CHECK-NEXT: tinytrain.kernel ins([[X]]) outs([[Y]]) : (memref<8xf32>, memref<8xf32>) -> () {
  // CHECK-NEXT: ^bb0([[A:%[a-z0-9]+]]: tensor<8xf32>, {{%[a-z0-9]+}}: tensor<8xf32>):
  // CHECK-NEXT: [[R:%.+]] = tinytrain.relu [[A]]
  // CHECK-NEXT: tinytrain.yield [[R]]
  // GENERIC: operandSegmentSizes = array<i32: 1, 1>
  tinytrain.kernel ins(%x) outs(%y) : (memref<8xf32>, memref<8xf32>) -> () {
  ^bb0(%a: tensor<8xf32>, %b: tensor<8xf32>):
    %0 = tinytrain.relu %a : (tensor<8xf32>) -> tensor<8xf32>
    tinytrain.yield %0 : tensor<8xf32>
  }
  return
}

// A quantized result keeps its own scale: only shapes follow from the operands.
// CHECK-LABEL: func.func @quantized
// GENERIC-LABEL: sym_name = "quantized"
func.func @quantized(%x: tensor<1x8x!quant.uniform<i8:f32, 0.5:3>>, %w: tensor<4x8x!quant.uniform<i8:f32, 0.25>>)
    -> tensor<1x4x!quant.uniform<i8:f32, 0.125>> {
  // CHECK: tinytrain.matmul {{.*}} -> tensor<1x4x!quant.uniform<i8:f32, 1.250000e-01>>
  %y = tinytrain.matmul %x, %w {transpose_rhs} : (tensor<1x8x!quant.uniform<i8:f32, 0.5:3>>, tensor<4x8x!quant.uniform<i8:f32, 0.25>>) -> tensor<1x4x!quant.uniform<i8:f32, 0.125>>
  return %y : tensor<1x4x!quant.uniform<i8:f32, 0.125>>
}
