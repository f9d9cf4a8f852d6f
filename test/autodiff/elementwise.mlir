// The VJPs of the elementwise ops.
// RUN: tinytrain-opt %s --tinytrain-autodiff | FileCheck %s

// The bias is summed over all but the last dimension.
// CHECK-LABEL: func.func @bias_add
// CHECK-SAME: [[A:%[a-z0-9_]+]]: tensor<2x3x4xf32>
// CHECK-SAME: [[B:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<2x3x4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[BIAS_ADD:%[a-z0-9_]+]] = tinytrain.bias_add [[A]], [[B]]
// CHECK-NEXT: [[REDUCE_SUM:%[a-z0-9_]+]] = tinytrain.reduce_sum [[G]] {dims = array<i64: 0, 1>}
// CHECK-NEXT: return [[BIAS_ADD]], [[G]], [[REDUCE_SUM]]
func.func @bias_add(%a: tensor<2x3x4xf32> {tinytrain.needs_grad = true}, %b: tensor<4xf32> {tinytrain.needs_grad = true}, %g: tensor<2x3x4xf32> {tinytrain.cotangent = 0}) -> tensor<2x3x4xf32> {
  %y = tinytrain.bias_add %a, %b : (tensor<2x3x4xf32>, tensor<4xf32>) -> tensor<2x3x4xf32>
  return %y : tensor<2x3x4xf32>
}

// Both operands take the gradient as it is.
// CHECK-LABEL: func.func @add
// CHECK-SAME: [[A:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[B:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[ADD:%[a-z0-9_]+]] = tinytrain.add [[A]], [[B]]
// CHECK-NEXT: return [[ADD]], [[G]], [[G]]
func.func @add(%a: tensor<4xf32> {tinytrain.needs_grad = true}, %b: tensor<4xf32> {tinytrain.needs_grad = true}, %g: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<4xf32> {
  %y = tinytrain.add %a, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// d(a - b) = g, -g
// CHECK-LABEL: func.func @sub
// CHECK-SAME: [[A:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[B:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[SUB:%[a-z0-9_]+]] = tinytrain.sub [[A]], [[B]]
// CHECK-NEXT: [[SCALE:%[a-z0-9_]+]] = tinytrain.scale [[G]] {factor = -1.000000e+00 : f32}
// CHECK-NEXT: return [[SUB]], [[G]], [[SCALE]]
func.func @sub(%a: tensor<4xf32> {tinytrain.needs_grad = true}, %b: tensor<4xf32> {tinytrain.needs_grad = true}, %g: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<4xf32> {
  %y = tinytrain.sub %a, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// d(a b) = g b, g a
// CHECK-LABEL: func.func @mul
// CHECK-SAME: [[A:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[B:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[MUL:%[a-z0-9_]+]] = tinytrain.mul [[A]], [[B]]
// CHECK-NEXT: [[MUL2:%[a-z0-9_]+]] = tinytrain.mul [[G]], [[B]]
// CHECK-NEXT: [[MUL3:%[a-z0-9_]+]] = tinytrain.mul [[G]], [[A]]
// CHECK-NEXT: return [[MUL]], [[MUL2]], [[MUL3]]
func.func @mul(%a: tensor<4xf32> {tinytrain.needs_grad = true}, %b: tensor<4xf32> {tinytrain.needs_grad = true}, %g: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<4xf32> {
  %y = tinytrain.mul %a, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// d(a / b) = g / b, -(g / b) (a / b)
// CHECK-LABEL: func.func @div
// CHECK-SAME: [[A:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[B:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-SAME: {tinytrain.gradient_of = 1 : i64}
// CHECK-NEXT: [[DIV:%[a-z0-9_]+]] = tinytrain.div [[A]], [[B]]
// CHECK-NEXT: [[DIV2:%[a-z0-9_]+]] = tinytrain.div [[G]], [[B]]
// CHECK-NEXT: [[MUL:%[a-z0-9_]+]] = tinytrain.mul [[DIV2]], [[DIV]]
// CHECK-NEXT: [[SCALE:%[a-z0-9_]+]] = tinytrain.scale [[MUL]] {factor = -1.000000e+00 : f32}
// CHECK-NEXT: return [[DIV]], [[DIV2]], [[SCALE]]
func.func @div(%a: tensor<4xf32> {tinytrain.needs_grad = true}, %b: tensor<4xf32> {tinytrain.needs_grad = true}, %g: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<4xf32> {
  %y = tinytrain.div %a, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// The same factor.
// CHECK-LABEL: func.func @scale
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[SCALE:%[a-z0-9_]+]] = tinytrain.scale [[X]] {factor = 5.000000e-01 : f32}
// CHECK-NEXT: [[SCALE2:%[a-z0-9_]+]] = tinytrain.scale [[G]] {factor = 5.000000e-01 : f32}
// CHECK-NEXT: return [[SCALE]], [[SCALE2]]
func.func @scale(%x: tensor<4xf32> {tinytrain.needs_grad = true}, %g: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<4xf32> {
  %y = tinytrain.scale %x {factor = 0.5 : f32} : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// A constant has no derivative.
// CHECK-LABEL: func.func @shift
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[SHIFT:%[a-z0-9_]+]] = tinytrain.shift [[X]] {value = 3.000000e+00 : f32}
// CHECK-NEXT: return [[SHIFT]], [[G]]
func.func @shift(%x: tensor<4xf32> {tinytrain.needs_grad = true}, %g: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<4xf32> {
  %y = tinytrain.shift %x {value = 3.0 : f32} : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// exp is its own derivative: the result is kept, not the operand.
// CHECK-LABEL: func.func @exp
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[EXP:%[a-z0-9_]+]] = tinytrain.exp [[X]]
// CHECK-NEXT: [[MUL:%[a-z0-9_]+]] = tinytrain.mul [[G]], [[EXP]]
// CHECK-NEXT: return [[EXP]], [[MUL]]
func.func @exp(%x: tensor<4xf32> {tinytrain.needs_grad = true}, %g: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<4xf32> {
  %y = tinytrain.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// g / x
// CHECK-LABEL: func.func @log
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[LOG:%[a-z0-9_]+]] = tinytrain.log [[X]]
// CHECK-NEXT: [[DIV:%[a-z0-9_]+]] = tinytrain.div [[G]], [[X]]
// CHECK-NEXT: return [[LOG]], [[DIV]]
func.func @log(%x: tensor<4xf32> {tinytrain.needs_grad = true}, %g: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<4xf32> {
  %y = tinytrain.log %x : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// The example of the pass description. The interval of a relu ends at infinity, and its
// result is kept, not its operand.
// CHECK-LABEL: func.func @relu
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4x8xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4x8xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[RELU:%[a-z0-9_]+]] = tinytrain.relu [[X]]
// CHECK-NEXT: [[CLAMP_GRAD:%[a-z0-9_]+]] = tinytrain.clamp_grad [[G]], [[RELU]] {max = 0x7F800000 : f32, min = 0.000000e+00 : f32}
// CHECK-NEXT: return [[RELU]], [[CLAMP_GRAD]]
func.func @relu(%x: tensor<4x8xf32> {tinytrain.needs_grad = true}, %g: tensor<4x8xf32> {tinytrain.cotangent = 0})
    -> tensor<4x8xf32> {
  %y = tinytrain.relu %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// The gradient passes strictly inside the clamp's own interval.
// CHECK-LABEL: func.func @clamp
// CHECK-SAME: [[X:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: [[G:%[a-z0-9_]+]]: tensor<4xf32>
// CHECK-SAME: {tinytrain.gradient_of = 0 : i64}
// CHECK-NEXT: [[CLAMP:%[a-z0-9_]+]] = tinytrain.clamp [[X]] {max = 6.000000e+00 : f32, min = 0.000000e+00 : f32}
// CHECK-NEXT: [[CLAMP_GRAD:%[a-z0-9_]+]] = tinytrain.clamp_grad [[G]], [[CLAMP]] {max = 6.000000e+00 : f32, min = 0.000000e+00 : f32}
// CHECK-NEXT: return [[CLAMP]], [[CLAMP_GRAD]]
func.func @clamp(%x: tensor<4xf32> {tinytrain.needs_grad = true}, %g: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<4xf32> {
  %y = tinytrain.clamp %x {min = 0.0 : f32, max = 6.0 : f32} : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
