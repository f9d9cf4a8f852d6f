// RUN: tinytrain-opt %s --tinytrain-pack-clamp-masks | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-pack-clamp-masks --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// A mask has one byte for eight rows of a channel:
//
//   function      activation      bytes  mask  bytes  removed
//   relu          1x8x8x16         4096  8x16    128     3968
//   relu6_rows    1x3x3x2 (9x2)      72  2x2       4       68
//   inclusive     8x4               128  1x4       4      124
//   vector        4 (1x4)            16  1x4       4       12
//   two_adjoints  8x4               128  1x4       4      124
//
// 3968 + 68 + 124 + 12 + 124 = 4296 bytes by 5 masks.
// STATS: PackClampMasks
// STATS-DAG: 4296 bytes-removed
// STATS-DAG: 5 masks

// The bits are packed where the activation exists, before the forward pass goes on.
// CHECK-LABEL: func.func @relu
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<1x8x8x16xf32> {tinytrain.needs_grad = true}, [[G:%[a-z0-9]+]]: tensor<1x8x8x16xf32>)
// CHECK-NEXT: [[Y:%.+]] = tinytrain.relu [[X]]
// CHECK-NEXT: [[ROWS:%.+]] = tinytrain.reshape [[Y]] : (tensor<1x8x8x16xf32>) -> tensor<64x16xf32>
// CHECK-NEXT: [[BITS:%.+]] = tinytrain.clamp_mask [[ROWS]] {max = 0x7F800000 : f32, min = 0.000000e+00 : f32} : (tensor<64x16xf32>) -> tensor<8x16xi8>
// CHECK-NEXT: [[P:%.+]] = tinytrain.exp [[Y]]
// CHECK-NEXT: [[DX:%.+]] = tinytrain.mask_grad [[G]], [[BITS]] : (tensor<1x8x8x16xf32>, tensor<8x16xi8>) -> tensor<1x8x8x16xf32>
// CHECK-NEXT: return [[P]], [[DX]]
func.func @relu(%x: tensor<1x8x8x16xf32> {tinytrain.needs_grad = true}, %g: tensor<1x8x8x16xf32>)
    -> (tensor<1x8x8x16xf32>, tensor<1x8x8x16xf32> {tinytrain.gradient_of = 0}) {
  %y = tinytrain.relu %x : (tensor<1x8x8x16xf32>) -> tensor<1x8x8x16xf32>
  %p = tinytrain.exp %y : (tensor<1x8x8x16xf32>) -> tensor<1x8x8x16xf32>
  %dx = tinytrain.clamp_grad %g, %y {min = 0.0 : f32, max = 0x7F800000 : f32} : (tensor<1x8x8x16xf32>, tensor<1x8x8x16xf32>) -> tensor<1x8x8x16xf32>
  return %p, %dx : tensor<1x8x8x16xf32>, tensor<1x8x8x16xf32>
}

// Nine rows: the second byte of a channel has one bit.
// CHECK-LABEL: func.func @relu6_rows
// CHECK: [[Y:%.+]] = tinytrain.clamp
// CHECK-NEXT: [[ROWS:%.+]] = tinytrain.reshape [[Y]] : (tensor<1x3x3x2xf32>) -> tensor<9x2xf32>
// CHECK-NEXT: [[BITS:%.+]] = tinytrain.clamp_mask [[ROWS]] {max = 6.000000e+00 : f32, min = 0.000000e+00 : f32} : (tensor<9x2xf32>) -> tensor<2x2xi8>
// CHECK: tinytrain.mask_grad {{%.+}}, [[BITS]]
func.func @relu6_rows(%x: tensor<1x3x3x2xf32> {tinytrain.needs_grad = true}, %g: tensor<1x3x3x2xf32>)
    -> (tensor<1x3x3x2xf32>, tensor<1x3x3x2xf32> {tinytrain.gradient_of = 0}) {
  %y = tinytrain.clamp %x {min = 0.0 : f32, max = 6.0 : f32} : (tensor<1x3x3x2xf32>) -> tensor<1x3x3x2xf32>
  %p = tinytrain.exp %y : (tensor<1x3x3x2xf32>) -> tensor<1x3x3x2xf32>
  %dx = tinytrain.clamp_grad %g, %y {min = 0.0 : f32, max = 6.0 : f32} : (tensor<1x3x3x2xf32>, tensor<1x3x3x2xf32>) -> tensor<1x3x3x2xf32>
  return %p, %dx : tensor<1x3x3x2xf32>, tensor<1x3x3x2xf32>
}

// An inclusive clamp's adjoint reads its input, which is rows of channels already: no view. The
// mask stands behind the input, not behind the clamp.
// CHECK-LABEL: func.func @inclusive
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<8x4xf32>
// CHECK-NEXT: [[E:%.+]] = tinytrain.scale [[X]]
// CHECK-NEXT: [[BITS:%.+]] = tinytrain.clamp_mask [[E]] {inclusive, max = 1.000000e+00 : f32, min = -1.000000e+00 : f32} : (tensor<8x4xf32>) -> tensor<1x4xi8>
// CHECK-NEXT: tinytrain.clamp [[E]] {inclusive
// CHECK-NEXT: [[DE:%.+]] = tinytrain.mask_grad {{%.+}}, [[BITS]]
// CHECK-NEXT: tinytrain.scale [[DE]]
func.func @inclusive(%x: tensor<8x4xf32> {tinytrain.needs_grad = true}, %g: tensor<8x4xf32>)
    -> (tensor<8x4xf32>, tensor<8x4xf32> {tinytrain.gradient_of = 0}) {
  %e = tinytrain.scale %x {factor = 2.0 : f32} : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %y = tinytrain.clamp %e {min = -1.0 : f32, max = 1.0 : f32, inclusive} : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %de = tinytrain.clamp_grad %g, %e {min = -1.0 : f32, max = 1.0 : f32, inclusive} : (tensor<8x4xf32>, tensor<8x4xf32>) -> tensor<8x4xf32>
  %dx = tinytrain.scale %de {factor = 2.0 : f32} : (tensor<8x4xf32>) -> tensor<8x4xf32>
  return %y, %dx : tensor<8x4xf32>, tensor<8x4xf32>
}

// A vector is one row.
// CHECK-LABEL: func.func @vector
// CHECK: tinytrain.reshape {{%.+}} : (tensor<4xf32>) -> tensor<1x4xf32>
// CHECK: tinytrain.mask_grad {{%.+}} : (tensor<4xf32>, tensor<1x4xi8>) -> tensor<4xf32>
func.func @vector(%x: tensor<4xf32> {tinytrain.needs_grad = true}, %g: tensor<4xf32>)
    -> (tensor<4xf32>, tensor<4xf32> {tinytrain.gradient_of = 0}) {
  %y = tinytrain.relu %x : (tensor<4xf32>) -> tensor<4xf32>
  %p = tinytrain.exp %y : (tensor<4xf32>) -> tensor<4xf32>
  %dx = tinytrain.clamp_grad %g, %y {min = 0.0 : f32, max = 0x7F800000 : f32} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %p, %dx : tensor<4xf32>, tensor<4xf32>
}

// Adjoints of one activation do not keep it for each other, and share its mask.
// CHECK-LABEL: func.func @two_adjoints
// CHECK-COUNT-1: tinytrain.clamp_mask
// CHECK-NOT: tinytrain.clamp_mask
// CHECK-COUNT-2: tinytrain.mask_grad
// CHECK-NOT: tinytrain.clamp_grad
// CHECK: return
func.func @two_adjoints(%x: tensor<8x4xf32> {tinytrain.needs_grad = true}, %g: tensor<8x4xf32>, %h: tensor<8x4xf32>)
    -> (tensor<8x4xf32>, tensor<8x4xf32> {tinytrain.gradient_of = 0}, tensor<8x4xf32> {tinytrain.gradient_of = 0}) {
  %y = tinytrain.relu %x : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %p = tinytrain.exp %y : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %0 = tinytrain.clamp_grad %g, %y {min = 0.0 : f32, max = 0x7F800000 : f32} : (tensor<8x4xf32>, tensor<8x4xf32>) -> tensor<8x4xf32>
  %1 = tinytrain.clamp_grad %h, %y {min = 0.0 : f32, max = 0x7F800000 : f32} : (tensor<8x4xf32>, tensor<8x4xf32>) -> tensor<8x4xf32>
  return %p, %0, %1 : tensor<8x4xf32>, tensor<8x4xf32>, tensor<8x4xf32>
}

// The gradient of the next layer's weight reads the activation in the backward pass: a mask
// would come on top.
// CHECK-LABEL: func.func @weight_gradient
// CHECK-NOT: mask
// CHECK: tinytrain.clamp_grad
// CHECK-NOT: mask
// CHECK: return
func.func @weight_gradient(%x: tensor<8x4xf32> {tinytrain.needs_grad = true}, %w: tensor<2x4xf32> {tinytrain.needs_grad = true}, %g: tensor<8x2xf32>)
    -> (tensor<8x2xf32>, tensor<8x4xf32> {tinytrain.gradient_of = 0}, tensor<2x4xf32> {tinytrain.gradient_of = 1}) {
  %y = tinytrain.relu %x : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %p = tinytrain.matmul %y, %w {transpose_rhs} : (tensor<8x4xf32>, tensor<2x4xf32>) -> tensor<8x2xf32>
  %dw = tinytrain.matmul %g, %y {transpose_lhs} : (tensor<8x2xf32>, tensor<8x4xf32>) -> tensor<2x4xf32>
  %dy = tinytrain.matmul %g, %w : (tensor<8x2xf32>, tensor<2x4xf32>) -> tensor<8x4xf32>
  %dx = tinytrain.clamp_grad %dy, %y {min = 0.0 : f32, max = 0x7F800000 : f32} : (tensor<8x4xf32>, tensor<8x4xf32>) -> tensor<8x4xf32>
  return %p, %dx, %dw : tensor<8x2xf32>, tensor<8x4xf32>, tensor<2x4xf32>
}

// The same through a view of the activation.
// CHECK-LABEL: func.func @weight_gradient_of_view
// CHECK-NOT: mask
// CHECK: tinytrain.clamp_grad
// CHECK-NOT: mask
// CHECK: return
func.func @weight_gradient_of_view(%x: tensor<8x2x2xf32> {tinytrain.needs_grad = true}, %w: tensor<2x4xf32> {tinytrain.needs_grad = true}, %g: tensor<8x2xf32>)
    -> (tensor<8x2xf32>, tensor<8x2x2xf32> {tinytrain.gradient_of = 0}, tensor<2x4xf32> {tinytrain.gradient_of = 1}) {
  %y = tinytrain.relu %x : (tensor<8x2x2xf32>) -> tensor<8x2x2xf32>
  %flat = tinytrain.reshape %y : (tensor<8x2x2xf32>) -> tensor<8x4xf32>
  %p = tinytrain.matmul %flat, %w {transpose_rhs} : (tensor<8x4xf32>, tensor<2x4xf32>) -> tensor<8x2xf32>
  %dw = tinytrain.matmul %g, %flat {transpose_lhs} : (tensor<8x2xf32>, tensor<8x4xf32>) -> tensor<2x4xf32>
  %dflat = tinytrain.matmul %g, %w : (tensor<8x2xf32>, tensor<2x4xf32>) -> tensor<8x4xf32>
  %dy = tinytrain.reshape %dflat : (tensor<8x4xf32>) -> tensor<8x2x2xf32>
  %dx = tinytrain.clamp_grad %dy, %y {min = 0.0 : f32, max = 0x7F800000 : f32} : (tensor<8x2x2xf32>, tensor<8x2x2xf32>) -> tensor<8x2x2xf32>
  return %p, %dx, %dw : tensor<8x2xf32>, tensor<8x2x2xf32>, tensor<2x4xf32>
}

// An argument and a constant are in memory anyway.
// CHECK-LABEL: func.func @argument
// CHECK-NOT: mask
// CHECK-COUNT-2: tinytrain.clamp_grad
// CHECK-NOT: mask
// CHECK: return
func.func @argument(%x: tensor<8x4xf32> {tinytrain.needs_grad = true}, %g: tensor<8x4xf32>)
    -> (tensor<8x4xf32>, tensor<8x4xf32> {tinytrain.gradient_of = 0}) {
  %c = arith.constant dense<0.5> : tensor<8x4xf32>
  %y = tinytrain.clamp %x {min = -1.0 : f32, max = 1.0 : f32, inclusive} : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %0 = tinytrain.clamp_grad %g, %c {min = -1.0 : f32, max = 1.0 : f32, inclusive} : (tensor<8x4xf32>, tensor<8x4xf32>) -> tensor<8x4xf32>
  %1 = tinytrain.clamp_grad %0, %x {min = -1.0 : f32, max = 1.0 : f32, inclusive} : (tensor<8x4xf32>, tensor<8x4xf32>) -> tensor<8x4xf32>
  return %y, %1 : tensor<8x4xf32>, tensor<8x4xf32>
}

// What is returned is kept by that.
// CHECK-LABEL: func.func @returned
// CHECK-NOT: mask
// CHECK: tinytrain.clamp_grad
func.func @returned(%x: tensor<8x4xf32> {tinytrain.needs_grad = true}, %g: tensor<8x4xf32>)
    -> (tensor<8x4xf32>, tensor<8x4xf32> {tinytrain.gradient_of = 0}) {
  %y = tinytrain.relu %x : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %dx = tinytrain.clamp_grad %g, %y {min = 0.0 : f32, max = 0x7F800000 : f32} : (tensor<8x4xf32>, tensor<8x4xf32>) -> tensor<8x4xf32>
  return %y, %dx : tensor<8x4xf32>, tensor<8x4xf32>
}

// Without a forward result there is no forward pass to survive.
// CHECK-LABEL: func.func @no_forward
// CHECK-NOT: mask
// CHECK: tinytrain.clamp_grad
func.func @no_forward(%x: tensor<8x4xf32> {tinytrain.needs_grad = true}, %g: tensor<8x4xf32>)
    -> (tensor<8x4xf32> {tinytrain.gradient_of = 0}) {
  %y = tinytrain.relu %x : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %dx = tinytrain.clamp_grad %g, %y {min = 0.0 : f32, max = 0x7F800000 : f32} : (tensor<8x4xf32>, tensor<8x4xf32>) -> tensor<8x4xf32>
  return %dx : tensor<8x4xf32>
}

// A scalar has no channels.
// CHECK-LABEL: func.func @scalar
// CHECK-NOT: mask
// CHECK: tinytrain.clamp_grad
func.func @scalar(%x: tensor<f32> {tinytrain.needs_grad = true}, %g: tensor<f32>)
    -> (tensor<f32>, tensor<f32> {tinytrain.gradient_of = 0}) {
  %y = tinytrain.relu %x : (tensor<f32>) -> tensor<f32>
  %p = tinytrain.exp %y : (tensor<f32>) -> tensor<f32>
  %dx = tinytrain.clamp_grad %g, %y {min = 0.0 : f32, max = 0x7F800000 : f32} : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %p, %dx : tensor<f32>, tensor<f32>
}

// A declaration has no body to look at.
// CHECK-LABEL: func.func private @declaration
func.func private @declaration(tensor<8x4xf32>) -> tensor<8x4xf32>
