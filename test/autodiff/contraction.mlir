// The VJPs of the contractions.
// RUN: tinytrain-opt %s --tinytrain-autodiff | FileCheck %s

// CHECK-LABEL: func.func @conv2d
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<1x8x8x3xf32>
// CHECK-SAME: [[W:%[a-z0-9_]+]]: tensor<16x3x3x3xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<1x4x4x16xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[CONV2D:%[a-z0-9_]+]] = tinytrain.conv2d [[X]], [[W]] {dilations = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, strides = array<i64: 2, 2>}
// CHECK-NEXT: [[CONV2D_INPUT_GRAD:%[a-z0-9_]+]] = tinytrain.conv2d_input_grad [[G]], [[W]] {dilations = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, strides = array<i64: 2, 2>} : {{.*}} -> tensor<1x8x8x3xf32>
// CHECK-NEXT: [[CONV2D_WEIGHT_GRAD:%[a-z0-9_]+]] = tinytrain.conv2d_weight_grad [[X]], [[G]] {dilations = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, strides = array<i64: 2, 2>} : {{.*}} -> tensor<16x3x3x3xf32>
// CHECK-NEXT: return [[CONV2D]], [[CONV2D_INPUT_GRAD]], [[CONV2D_WEIGHT_GRAD]]
func.func @conv2d(%x: tensor<1x8x8x3xf32> {tinytrain.needs_grad = true}, %w: tensor<16x3x3x3xf32> {tinytrain.needs_grad = true},
                  %g: tensor<1x4x4x16xf32> {tinytrain.cotangent = 0}) -> tensor<1x4x4x16xf32> {
  %y = tinytrain.conv2d %x, %w {strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x8x8x3xf32>, tensor<16x3x3x3xf32>) -> tensor<1x4x4x16xf32>
  return %y : tensor<1x4x4x16xf32>
}

// A depthwise convolution has depthwise adjoints.
// CHECK-LABEL: func.func @depthwise
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<1x8x8x4xf32>
// CHECK-SAME: [[W:%[a-z0-9_]+]]: tensor<1x3x3x4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<1x6x6x4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[CONV2D:%[a-z0-9_]+]] = tinytrain.conv2d [[X]], [[W]] {dilations = array<i64: 1, 1>, groups = 4 : i64, padding = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>}
// CHECK-NEXT: [[CONV2D_INPUT_GRAD:%[a-z0-9_]+]] = tinytrain.conv2d_input_grad [[G]], [[W]] {dilations = array<i64: 1, 1>, groups = 4 : i64, padding = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : {{.*}} -> tensor<1x8x8x4xf32>
// CHECK-NEXT: [[CONV2D_WEIGHT_GRAD:%[a-z0-9_]+]] = tinytrain.conv2d_weight_grad [[X]], [[G]] {dilations = array<i64: 1, 1>, groups = 4 : i64, padding = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : {{.*}} -> tensor<1x3x3x4xf32>
// CHECK-NEXT: return [[CONV2D]], [[CONV2D_INPUT_GRAD]], [[CONV2D_WEIGHT_GRAD]]
func.func @depthwise(%x: tensor<1x8x8x4xf32> {tinytrain.needs_grad = true}, %w: tensor<1x3x3x4xf32> {tinytrain.needs_grad = true},
                     %g: tensor<1x6x6x4xf32> {tinytrain.cotangent = 0}) -> tensor<1x6x6x4xf32> {
  %y = tinytrain.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 4 : i64} : (tensor<1x8x8x4xf32>, tensor<1x3x3x4xf32>) -> tensor<1x6x6x4xf32>
  return %y : tensor<1x6x6x4xf32>
}

// Where stride and dilation both exceed one, the gradient is spread over the stride-1
// positions: 9 + 0 + 1 - 2 * (3 - 1) = 6 of them, of which (3 - 1) * 2 + 1 = 5 from the first
// to the last element, so that one zero follows.
// CHECK-LABEL: func.func @strided_and_dilated
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<1x9x8x3xf32>
// CHECK-SAME: [[W:%[a-z0-9_]+]]: tensor<4x3x3x3xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<1x3x6x4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[CONV2D:%[a-z0-9_]+]] = tinytrain.conv2d [[X]], [[W]] {dilations = array<i64: 2, 1>, padding = array<i64: 0, 1, 0, 0>, strides = array<i64: 2, 1>}
// CHECK-NEXT: [[PAD:%[a-z0-9_]+]] = tinytrain.pad [[G]] {high = array<i64: 0, 1, 0, 0>, interior = array<i64: 0, 1, 0, 0>, low = array<i64: 0, 0, 0, 0>}
// CHECK-NEXT: [[CONV2D_INPUT_GRAD:%[a-z0-9_]+]] = tinytrain.conv2d_input_grad [[PAD]], [[W]] {dilations = array<i64: 2, 1>, padding = array<i64: 0, 1, 0, 0>, strides = array<i64: 1, 1>} : {{.*}} -> tensor<1x9x8x3xf32>
// CHECK-NEXT: [[CONV2D_WEIGHT_GRAD:%[a-z0-9_]+]] = tinytrain.conv2d_weight_grad [[X]], [[G]] {dilations = array<i64: 2, 1>, padding = array<i64: 0, 1, 0, 0>, strides = array<i64: 2, 1>} : {{.*}} -> tensor<4x3x3x3xf32>
// CHECK-NEXT: return [[CONV2D]], [[CONV2D_INPUT_GRAD]], [[CONV2D_WEIGHT_GRAD]]
func.func @strided_and_dilated(%x: tensor<1x9x8x3xf32> {tinytrain.needs_grad = true}, %w: tensor<4x3x3x3xf32> {tinytrain.needs_grad = true},
                  %g: tensor<1x3x6x4xf32> {tinytrain.cotangent = 0}) -> tensor<1x3x6x4xf32> {
  %y = tinytrain.conv2d %x, %w {strides = array<i64: 2, 1>, padding = array<i64: 0, 1, 0, 0>, dilations = array<i64: 2, 1>} : (tensor<1x9x8x3xf32>, tensor<4x3x3x3xf32>) -> tensor<1x3x6x4xf32>
  return %y : tensor<1x3x6x4xf32>
}

// da = g b^T, db = a^T g
// CHECK-LABEL: func.func @matmul
// CHECK-SAME: [[A:%[a-z0-9_]+]]: tensor<4x8xf32>
// CHECK-SAME: [[B:%[a-z0-9_]+]]: tensor<8x2xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4x2xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[MATMUL:%[a-z0-9_]+]] = tinytrain.matmul [[A]], [[B]]
// CHECK-NEXT: [[MATMUL2:%[a-z0-9_]+]] = tinytrain.matmul [[G]], [[B]] {transpose_rhs}
// CHECK-NEXT: [[TRANSPOSE:%[a-z0-9_]+]] = tinytrain.transpose [[A]] {permutation = array<i64: 1, 0>}
// CHECK-NEXT: [[MATMUL3:%[a-z0-9_]+]] = tinytrain.matmul [[TRANSPOSE]], [[G]]
// CHECK-NEXT: return [[MATMUL]], [[MATMUL2]], [[MATMUL3]]
func.func @matmul(%a: tensor<4x8xf32> {tinytrain.needs_grad = true}, %b: tensor<8x2xf32> {tinytrain.needs_grad = true},
                  %g: tensor<4x2xf32> {tinytrain.cotangent = 0}) -> tensor<4x2xf32> {
  %y = tinytrain.matmul %a, %b : (tensor<4x8xf32>, tensor<8x2xf32>) -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// y = a b^T: da = g b, db = g^T a
// CHECK-LABEL: func.func @matmul_rhs
// CHECK-SAME: [[A:%[a-z0-9_]+]]: tensor<4x8xf32>
// CHECK-SAME: [[B:%[a-z0-9_]+]]: tensor<2x8xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4x2xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[MATMUL:%[a-z0-9_]+]] = tinytrain.matmul [[A]], [[B]] {transpose_rhs}
// CHECK-NEXT: [[MATMUL2:%[a-z0-9_]+]] = tinytrain.matmul [[G]], [[B]]
// CHECK-NEXT: [[TRANSPOSE:%[a-z0-9_]+]] = tinytrain.transpose [[G]] {permutation = array<i64: 1, 0>}
// CHECK-NEXT: [[MATMUL3:%[a-z0-9_]+]] = tinytrain.matmul [[TRANSPOSE]], [[A]]
// CHECK-NEXT: return [[MATMUL]], [[MATMUL2]], [[MATMUL3]]
func.func @matmul_rhs(%a: tensor<4x8xf32> {tinytrain.needs_grad = true}, %b: tensor<2x8xf32> {tinytrain.needs_grad = true},
                  %g: tensor<4x2xf32> {tinytrain.cotangent = 0}) -> tensor<4x2xf32> {
  %y = tinytrain.matmul %a, %b {transpose_rhs} : (tensor<4x8xf32>, tensor<2x8xf32>) -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// y = a^T b: da = b g^T, db = a g
// CHECK-LABEL: func.func @matmul_lhs
// CHECK-SAME: [[A:%[a-z0-9_]+]]: tensor<8x4xf32>
// CHECK-SAME: [[B:%[a-z0-9_]+]]: tensor<8x2xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4x2xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[MATMUL:%[a-z0-9_]+]] = tinytrain.matmul [[A]], [[B]] {transpose_lhs}
// CHECK-NEXT: [[MATMUL2:%[a-z0-9_]+]] = tinytrain.matmul [[B]], [[G]] {transpose_rhs}
// CHECK-NEXT: [[MATMUL3:%[a-z0-9_]+]] = tinytrain.matmul [[A]], [[G]]
// CHECK-NEXT: return [[MATMUL]], [[MATMUL2]], [[MATMUL3]]
func.func @matmul_lhs(%a: tensor<8x4xf32> {tinytrain.needs_grad = true}, %b: tensor<8x2xf32> {tinytrain.needs_grad = true},
                  %g: tensor<4x2xf32> {tinytrain.cotangent = 0}) -> tensor<4x2xf32> {
  %y = tinytrain.matmul %a, %b {transpose_lhs} : (tensor<8x4xf32>, tensor<8x2xf32>) -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// y = a^T b^T: da = b^T g^T, db = g^T a^T
// CHECK-LABEL: func.func @matmul_both
// CHECK-SAME: [[A:%[a-z0-9_]+]]: tensor<8x4xf32>
// CHECK-SAME: [[B:%[a-z0-9_]+]]: tensor<2x8xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4x2xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[MATMUL:%[a-z0-9_]+]] = tinytrain.matmul [[A]], [[B]] {transpose_lhs, transpose_rhs}
// CHECK-NEXT: [[TRANSPOSE:%[a-z0-9_]+]] = tinytrain.transpose [[B]] {permutation = array<i64: 1, 0>}
// CHECK-NEXT: [[MATMUL2:%[a-z0-9_]+]] = tinytrain.matmul [[TRANSPOSE]], [[G]] {transpose_rhs}
// CHECK-NEXT: [[TRANSPOSE2:%[a-z0-9_]+]] = tinytrain.transpose [[G]] {permutation = array<i64: 1, 0>}
// CHECK-NEXT: [[MATMUL3:%[a-z0-9_]+]] = tinytrain.matmul [[TRANSPOSE2]], [[A]] {transpose_rhs}
// CHECK-NEXT: return [[MATMUL]], [[MATMUL2]], [[MATMUL3]]
func.func @matmul_both(%a: tensor<8x4xf32> {tinytrain.needs_grad = true}, %b: tensor<2x8xf32> {tinytrain.needs_grad = true},
                  %g: tensor<4x2xf32> {tinytrain.cotangent = 0}) -> tensor<4x2xf32> {
  %y = tinytrain.matmul %a, %b {transpose_lhs, transpose_rhs} : (tensor<8x4xf32>, tensor<2x8xf32>) -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// The transpose leaves the batch dimension alone.
// CHECK-LABEL: func.func @batch
// CHECK-SAME: [[A:%[a-z0-9_]+]]: tensor<3x4x8xf32>
// CHECK-SAME: [[B:%[a-z0-9_]+]]: tensor<3x8x2xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<3x4x2xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[MATMUL:%[a-z0-9_]+]] = tinytrain.matmul [[A]], [[B]]
// CHECK-NEXT: [[MATMUL2:%[a-z0-9_]+]] = tinytrain.matmul [[G]], [[B]] {transpose_rhs}
// CHECK-NEXT: [[TRANSPOSE:%[a-z0-9_]+]] = tinytrain.transpose [[A]] {permutation = array<i64: 0, 2, 1>}
// CHECK-NEXT: [[MATMUL3:%[a-z0-9_]+]] = tinytrain.matmul [[TRANSPOSE]], [[G]]
// CHECK-NEXT: return [[MATMUL]], [[MATMUL2]], [[MATMUL3]]
func.func @batch(%a: tensor<3x4x8xf32> {tinytrain.needs_grad = true}, %b: tensor<3x8x2xf32> {tinytrain.needs_grad = true},
                  %g: tensor<3x4x2xf32> {tinytrain.cotangent = 0}) -> tensor<3x4x2xf32> {
  %y = tinytrain.matmul %a, %b : (tensor<3x4x8xf32>, tensor<3x8x2xf32>) -> tensor<3x4x2xf32>
  return %y : tensor<3x4x2xf32>
}
