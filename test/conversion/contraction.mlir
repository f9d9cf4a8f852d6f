// Convolutions, their adjoints and matrix products.
// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg --mlir-print-local-scope | FileCheck %s

// Loop dimensions n p q o | h w i; the input is padded with zeros.
// CHECK-LABEL: func.func @conv2d
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<1x8x8x3xf32>, [[W:%[a-z0-9_]+]]: tensor<4x3x3x3xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[PAD:%[a-z0-9_]+]] = tensor.pad [[X]] low[0, 1, 1, 0] high[0, 0, 0, 0]
// CHECK: tensor.yield [[C]]
// CHECK: [[C2:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C2]] {{.*}} -> tensor<1x4x4x4xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1 * 2 + d4, d2 * 2 + d5, d6)>
// CHECK-SAME: -> (d3, d4, d5, d6)>
// CHECK-SAME: -> (d0, d1, d2, d3)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
// CHECK-SAME: ins([[PAD]], [[W]] :
// CHECK-SAME: outs([[INIT]] : tensor<1x4x4x4xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[IN2]]
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[MULF]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: return [[Y]]
func.func @conv2d(%x: tensor<1x8x8x3xf32>, %w: tensor<4x3x3x3xf32>) -> tensor<1x4x4x4xf32> {
  %y = tinytrain.conv2d %x, %w {strides = array<i64: 2, 2>, padding = array<i64: 1, 0, 1, 0>, dilations = array<i64: 1, 1>} : (tensor<1x8x8x3xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x4x4xf32>
  return %y : tensor<1x4x4x4xf32>
}

// No padding, no pad. The dilation spreads the taps.
// CHECK-LABEL: func.func @unpadded_dilated
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<1x8x8x3xf32>, [[W:%[a-z0-9_]+]]: tensor<4x3x3x3xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<1x4x6x4xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1 + d4 * 2, d2 + d5, d6)>
// CHECK-SAME: -> (d3, d4, d5, d6)>
// CHECK-SAME: -> (d0, d1, d2, d3)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
// CHECK-SAME: ins([[X]], [[W]] :
// CHECK-SAME: outs([[INIT]] : tensor<1x4x6x4xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[IN2]]
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[MULF]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: return [[Y]]
func.func @unpadded_dilated(%x: tensor<1x8x8x3xf32>, %w: tensor<4x3x3x3xf32>) -> tensor<1x4x6x4xf32> {
  %y = tinytrain.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 2, 1>} : (tensor<1x8x8x3xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x6x4xf32>
  return %y : tensor<1x4x6x4xf32>
}

// n p q c | h w: no sum over channels.
// CHECK-LABEL: func.func @depthwise
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<1x8x8x4xf32>, [[W:%[a-z0-9_]+]]: tensor<1x3x3x4xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<1x6x6x4xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1 + d4, d2 + d5, d3)>
// CHECK-SAME: -> (0, d4, d5, d3)>
// CHECK-SAME: -> (d0, d1, d2, d3)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]
// CHECK-SAME: ins([[X]], [[W]] :
// CHECK-SAME: outs([[INIT]] : tensor<1x6x6x4xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[IN2]]
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[MULF]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: return [[Y]]
func.func @depthwise(%x: tensor<1x8x8x4xf32>, %w: tensor<1x3x3x4xf32>) -> tensor<1x6x6x4xf32> {
  %y = tinytrain.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 4 : i64} : (tensor<1x8x8x4xf32>, tensor<1x3x3x4xf32>) -> tensor<1x6x6x4xf32>
  return %y : tensor<1x6x6x4xf32>
}

// n p q g o | h w i: channels are split by group.
// CHECK-LABEL: func.func @grouped
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<1x8x8x4xf32>, [[W:%[a-z0-9_]+]]: tensor<6x3x3x2xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<1x6x6x2x3xf32>
// CHECK: [[EXPAND:%[a-z0-9_]+]] = tensor.expand_shape [[X]] {{\[\[}}0], [1], [2], [3, 4{{\]\]}}{{.*}} into tensor<1x8x8x2x2xf32>
// CHECK: [[EXPAND2:%[a-z0-9_]+]] = tensor.expand_shape [[W]] {{\[\[}}0, 1], [2], [3], [4{{\]\]}}{{.*}} into tensor<2x3x3x3x2xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1 + d5, d2 + d6, d3, d7)>
// CHECK-SAME: -> (d3, d4, d5, d6, d7)>
// CHECK-SAME: -> (d0, d1, d2, d3, d4)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
// CHECK-SAME: ins([[EXPAND]], [[EXPAND2]] :
// CHECK-SAME: outs([[INIT]] : tensor<1x6x6x2x3xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[IN2]]
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[MULF]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: [[COLLAPSE:%[a-z0-9_]+]] = tensor.collapse_shape [[Y]] {{\[\[}}0], [1], [2], [3, 4{{\]\]}}{{.*}} into tensor<1x6x6x6xf32>
// CHECK: return [[COLLAPSE]]
func.func @grouped(%x: tensor<1x8x8x4xf32>, %w: tensor<6x3x3x2xf32>) -> tensor<1x6x6x6xf32> {
  %y = tinytrain.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x8x8x4xf32>, tensor<6x3x3x2xf32>) -> tensor<1x6x6x6xf32>
  return %y : tensor<1x6x6x6xf32>
}

// One phase per dimension, d2 and d4. A shape-only operand says how many taps there are.
// CHECK-LABEL: func.func @input_grad
// CHECK-SAME: ([[G:%[a-z0-9_]+]]: tensor<1x6x6x4xf32>, [[W:%[a-z0-9_]+]]: tensor<4x3x3x3xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[PAD:%[a-z0-9_]+]] = tensor.pad [[G]] low[0, 2, 2, 0] high[0, 2, 2, 0]
// CHECK: tensor.yield [[C]]
// CHECK: [[C2:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C2]] {{.*}} -> tensor<1x8x1x8x1x3xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1 + d2 - d6 + 2, d3 + d4 - d7 + 2, d8)>
// CHECK-SAME: -> (d8, d6, d7, d5)>
// CHECK-SAME: -> (d6, d7)>
// CHECK-SAME: -> (d0, d1, d2, d3, d4, d5)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
// CHECK-SAME: ins([[PAD]], [[W]], {{%[a-z0-9_]+}} :
// CHECK-SAME: outs([[INIT]] : tensor<1x8x1x8x1x3xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[IN3:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[IN2]]
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[MULF]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: [[COLLAPSE:%[a-z0-9_]+]] = tensor.collapse_shape [[Y]] {{\[\[}}0], [1, 2], [3, 4], [5{{\]\]}}{{.*}} into tensor<1x8x8x3xf32>
// CHECK: return [[COLLAPSE]]
func.func @input_grad(%g: tensor<1x6x6x4xf32>, %w: tensor<4x3x3x3xf32>) -> tensor<1x8x8x3xf32> {
  %y = tinytrain.conv2d_input_grad %g, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x6x6x4xf32>, tensor<4x3x3x3xf32>) -> tensor<1x8x8x3xf32>
  return %y : tensor<1x8x8x3xf32>
}

// Stride 2: of the three taps of a window two reach each even, one each odd position of the
// image. Both phases run 2 x 2 taps, for the weight is padded to 4 x 4. Seven rows are the
// leading ones of 4 * 2.
// CHECK-LABEL: func.func @input_grad_strided
// CHECK-SAME: ([[G:%[a-z0-9_]+]]: tensor<1x4x4x4xf32>, [[W:%[a-z0-9_]+]]: tensor<4x3x3x3xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[PAD:%[a-z0-9_]+]] = tensor.pad [[G]] low[0, 1, 1, 0] high[0, 1, 1, 0]
// CHECK: tensor.yield [[C]]
// CHECK: [[C2:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[PAD2:%[a-z0-9_]+]] = tensor.pad [[W]] low[0, 0, 0, 0] high[0, 1, 1, 0]
// CHECK: tensor.yield [[C2]]
// CHECK: [[C3:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C3]] {{.*}} -> tensor<1x4x2x4x2x3xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1 + (d2 + 1) floordiv 2 - d6 + 1, d3 + (d4 + 1) floordiv 2 - d7 + 1, d8)>
// CHECK-SAME: -> (d8, d6 * 2 + (d2 + 1) mod 2, d7 * 2 + (d4 + 1) mod 2, d5)>
// CHECK-SAME: -> (d6, d7)>
// CHECK-SAME: -> (d0, d1, d2, d3, d4, d5)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
// CHECK-SAME: ins([[PAD]], [[PAD2]], {{%[a-z0-9_]+}} :
// CHECK-SAME: outs([[INIT]] : tensor<1x4x2x4x2x3xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[IN3:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[IN2]]
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[MULF]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: [[COLLAPSE:%[a-z0-9_]+]] = tensor.collapse_shape [[Y]] {{\[\[}}0], [1, 2], [3, 4], [5{{\]\]}}{{.*}} into tensor<1x8x8x3xf32>
// CHECK: [[EXTRACT:%[a-z0-9_]+]] = tensor.extract_slice [[COLLAPSE]][0, 0, 0, 0] [1, 7, 8, 3] [1, 1, 1, 1]{{.*}} to tensor<1x7x8x3xf32>
// CHECK: return [[EXTRACT]]
func.func @input_grad_strided(%g: tensor<1x4x4x4xf32>, %w: tensor<4x3x3x3xf32>) -> tensor<1x7x8x3xf32> {
  %y = tinytrain.conv2d_input_grad %g, %w {strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x4x4x4xf32>, tensor<4x3x3x3xf32>) -> tensor<1x7x8x3xf32>
  return %y : tensor<1x7x8x3xf32>
}

// With stride 1 tap k reaches position x - 2 k.
// CHECK-LABEL: func.func @input_grad_dilated
// CHECK-SAME: ([[G:%[a-z0-9_]+]]: tensor<1x4x6x4xf32>, [[W:%[a-z0-9_]+]]: tensor<4x3x3x3xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[PAD:%[a-z0-9_]+]] = tensor.pad [[G]] low[0, 4, 2, 0] high[0, 4, 2, 0]
// CHECK: tensor.yield [[C]]
// CHECK: [[C2:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C2]] {{.*}} -> tensor<1x8x1x8x1x3xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1 + d2 - d6 * 2 + 4, d3 + d4 - d7 + 2, d8)>
// CHECK-SAME: -> (d8, d6, d7, d5)>
// CHECK-SAME: -> (d6, d7)>
// CHECK-SAME: -> (d0, d1, d2, d3, d4, d5)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
// CHECK-SAME: ins([[PAD]], [[W]], {{%[a-z0-9_]+}} :
// CHECK-SAME: outs([[INIT]] : tensor<1x8x1x8x1x3xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[IN3:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[IN2]]
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[MULF]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: [[COLLAPSE:%[a-z0-9_]+]] = tensor.collapse_shape [[Y]] {{\[\[}}0], [1, 2], [3, 4], [5{{\]\]}}{{.*}} into tensor<1x8x8x3xf32>
// CHECK: return [[COLLAPSE]]
func.func @input_grad_dilated(%g: tensor<1x4x6x4xf32>, %w: tensor<4x3x3x3xf32>) -> tensor<1x8x8x3xf32> {
  %y = tinytrain.conv2d_input_grad %g, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 2, 1>} : (tensor<1x4x6x4xf32>, tensor<4x3x3x3xf32>) -> tensor<1x8x8x3xf32>
  return %y : tensor<1x8x8x3xf32>
}

// CHECK-LABEL: func.func @input_grad_depthwise
// CHECK-SAME: ([[G:%[a-z0-9_]+]]: tensor<1x6x6x4xf32>, [[W:%[a-z0-9_]+]]: tensor<1x3x3x4xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[PAD:%[a-z0-9_]+]] = tensor.pad [[G]] low[0, 2, 2, 0] high[0, 2, 2, 0]
// CHECK: tensor.yield [[C]]
// CHECK: [[C2:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C2]] {{.*}} -> tensor<1x8x1x8x1x4xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1 + d2 - d6 + 2, d3 + d4 - d7 + 2, d5)>
// CHECK-SAME: -> (0, d6, d7, d5)>
// CHECK-SAME: -> (d6, d7)>
// CHECK-SAME: -> (d0, d1, d2, d3, d4, d5)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]
// CHECK-SAME: ins([[PAD]], [[W]], {{%[a-z0-9_]+}} :
// CHECK-SAME: outs([[INIT]] : tensor<1x8x1x8x1x4xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[IN3:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[IN2]]
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[MULF]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: [[COLLAPSE:%[a-z0-9_]+]] = tensor.collapse_shape [[Y]] {{\[\[}}0], [1, 2], [3, 4], [5{{\]\]}}{{.*}} into tensor<1x8x8x4xf32>
// CHECK: return [[COLLAPSE]]
func.func @input_grad_depthwise(%g: tensor<1x6x6x4xf32>, %w: tensor<1x3x3x4xf32>) -> tensor<1x8x8x4xf32> {
  %y = tinytrain.conv2d_input_grad %g, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 4 : i64} : (tensor<1x6x6x4xf32>, tensor<1x3x3x4xf32>) -> tensor<1x8x8x4xf32>
  return %y : tensor<1x8x8x4xf32>
}

// CHECK-LABEL: func.func @input_grad_grouped
// CHECK-SAME: ([[G:%[a-z0-9_]+]]: tensor<1x6x6x6xf32>, [[W:%[a-z0-9_]+]]: tensor<6x3x3x2xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[PAD:%[a-z0-9_]+]] = tensor.pad [[G]] low[0, 2, 2, 0] high[0, 2, 2, 0]
// CHECK: tensor.yield [[C]]
// CHECK: [[EXPAND:%[a-z0-9_]+]] = tensor.expand_shape [[W]] {{\[\[}}0, 1], [2], [3], [4{{\]\]}}{{.*}} into tensor<2x3x3x3x2xf32>
// CHECK: [[EXPAND2:%[a-z0-9_]+]] = tensor.expand_shape [[PAD]] {{\[\[}}0], [1], [2], [3, 4{{\]\]}}{{.*}} into tensor<1x10x10x2x3xf32>
// CHECK: [[C2:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C2]] {{.*}} -> tensor<1x8x1x8x1x2x2xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1 + d2 - d7 + 2, d3 + d4 - d8 + 2, d5, d9)>
// CHECK-SAME: -> (d5, d9, d7, d8, d6)>
// CHECK-SAME: -> (d7, d8)>
// CHECK-SAME: -> (d0, d1, d2, d3, d4, d5, d6)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
// CHECK-SAME: ins([[EXPAND2]], [[EXPAND]], {{%[a-z0-9_]+}} :
// CHECK-SAME: outs([[INIT]] : tensor<1x8x1x8x1x2x2xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[IN3:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[IN2]]
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[MULF]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: [[COLLAPSE:%[a-z0-9_]+]] = tensor.collapse_shape [[Y]] {{\[\[}}0], [1, 2], [3, 4], [5, 6{{\]\]}}{{.*}} into tensor<1x8x8x4xf32>
// CHECK: return [[COLLAPSE]]
func.func @input_grad_grouped(%g: tensor<1x6x6x6xf32>, %w: tensor<6x3x3x2xf32>) -> tensor<1x8x8x4xf32> {
  %y = tinytrain.conv2d_input_grad %g, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x6x6x6xf32>, tensor<6x3x3x2xf32>) -> tensor<1x8x8x4xf32>
  return %y : tensor<1x8x8x4xf32>
}

// o h w i | n p q: stride and dilation change their places.
// CHECK-LABEL: func.func @weight_grad
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<1x8x8x3xf32>, [[G:%[a-z0-9_]+]]: tensor<1x4x4x4xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[PAD:%[a-z0-9_]+]] = tensor.pad [[X]] low[0, 1, 1, 0] high[0, 0, 0, 0]
// CHECK: tensor.yield [[C]]
// CHECK: [[C2:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C2]] {{.*}} -> tensor<4x3x3x3xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d4, d5 * 2 + d1, d6 * 2 + d2, d3)>
// CHECK-SAME: -> (d4, d5, d6, d0)>
// CHECK-SAME: -> (d0, d1, d2, d3)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
// CHECK-SAME: ins([[PAD]], [[G]] :
// CHECK-SAME: outs([[INIT]] : tensor<4x3x3x3xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[IN2]]
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[MULF]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: return [[Y]]
func.func @weight_grad(%x: tensor<1x8x8x3xf32>, %g: tensor<1x4x4x4xf32>) -> tensor<4x3x3x3xf32> {
  %y = tinytrain.conv2d_weight_grad %x, %g {strides = array<i64: 2, 2>, padding = array<i64: 1, 0, 1, 0>, dilations = array<i64: 1, 1>} : (tensor<1x8x8x3xf32>, tensor<1x4x4x4xf32>) -> tensor<4x3x3x3xf32>
  return %y : tensor<4x3x3x3xf32>
}

// The result gets its leading one back behind the loop nest.
// CHECK-LABEL: func.func @weight_grad_depthwise
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<1x8x8x4xf32>, [[G:%[a-z0-9_]+]]: tensor<1x6x6x4xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<3x3x4xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d3, d0 + d4, d1 + d5, d2)>
// CHECK-SAME: -> (d3, d4, d5, d2)>
// CHECK-SAME: -> (d0, d1, d2)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
// CHECK-SAME: ins([[X]], [[G]] :
// CHECK-SAME: outs([[INIT]] : tensor<3x3x4xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[IN2]]
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[MULF]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: [[EXPAND:%[a-z0-9_]+]] = tensor.expand_shape [[Y]] {{\[\[}}0, 1], [2], [3{{\]\]}}{{.*}} into tensor<1x3x3x4xf32>
// CHECK: return [[EXPAND]]
func.func @weight_grad_depthwise(%x: tensor<1x8x8x4xf32>, %g: tensor<1x6x6x4xf32>) -> tensor<1x3x3x4xf32> {
  %y = tinytrain.conv2d_weight_grad %x, %g {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 4 : i64} : (tensor<1x8x8x4xf32>, tensor<1x6x6x4xf32>) -> tensor<1x3x3x4xf32>
  return %y : tensor<1x3x3x4xf32>
}

// CHECK-LABEL: func.func @weight_grad_grouped
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<1x8x8x4xf32>, [[G:%[a-z0-9_]+]]: tensor<1x6x6x6xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<2x3x3x3x2xf32>
// CHECK: [[EXPAND:%[a-z0-9_]+]] = tensor.expand_shape [[X]] {{\[\[}}0], [1], [2], [3, 4{{\]\]}}{{.*}} into tensor<1x8x8x2x2xf32>
// CHECK: [[EXPAND2:%[a-z0-9_]+]] = tensor.expand_shape [[G]] {{\[\[}}0], [1], [2], [3, 4{{\]\]}}{{.*}} into tensor<1x6x6x2x3xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d5, d2 + d6, d3 + d7, d0, d4)>
// CHECK-SAME: -> (d5, d6, d7, d0, d1)>
// CHECK-SAME: -> (d0, d1, d2, d3, d4)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
// CHECK-SAME: ins([[EXPAND]], [[EXPAND2]] :
// CHECK-SAME: outs([[INIT]] : tensor<2x3x3x3x2xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[IN2]]
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[MULF]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: [[COLLAPSE:%[a-z0-9_]+]] = tensor.collapse_shape [[Y]] {{\[\[}}0, 1], [2], [3], [4{{\]\]}}{{.*}} into tensor<6x3x3x2xf32>
// CHECK: return [[COLLAPSE]]
func.func @weight_grad_grouped(%x: tensor<1x8x8x4xf32>, %g: tensor<1x6x6x6xf32>) -> tensor<6x3x3x2xf32> {
  %y = tinytrain.conv2d_weight_grad %x, %g {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x8x8x4xf32>, tensor<1x6x6x6xf32>) -> tensor<6x3x3x2xf32>
  return %y : tensor<6x3x3x2xf32>
}

// m n | k
// CHECK-LABEL: func.func @matmul
// CHECK-SAME: ([[A:%[a-z0-9_]+]]: tensor<4x8xf32>, [[B:%[a-z0-9_]+]]: tensor<8x2xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<4x2xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d2)>
// CHECK-SAME: -> (d2, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "reduction"]
// CHECK-SAME: ins([[A]], [[B]] :
// CHECK-SAME: outs([[INIT]] : tensor<4x2xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[IN2]]
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[MULF]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: return [[Y]]
func.func @matmul(%a: tensor<4x8xf32>, %b: tensor<8x2xf32>) -> tensor<4x2xf32> {
  %y = tinytrain.matmul %a, %b : (tensor<4x8xf32>, tensor<8x2xf32>) -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// The flags change the maps only.
// CHECK-LABEL: func.func @matmul_transposed
// CHECK-SAME: ([[A:%[a-z0-9_]+]]: tensor<8x4xf32>, [[B:%[a-z0-9_]+]]: tensor<2x8xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<4x2xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d2, d0)>
// CHECK-SAME: -> (d1, d2)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "reduction"]
// CHECK-SAME: ins([[A]], [[B]] :
// CHECK-SAME: outs([[INIT]] : tensor<4x2xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[IN2]]
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[MULF]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: return [[Y]]
func.func @matmul_transposed(%a: tensor<8x4xf32>, %b: tensor<2x8xf32>) -> tensor<4x2xf32> {
  %y = tinytrain.matmul %a, %b {transpose_lhs, transpose_rhs} : (tensor<8x4xf32>, tensor<2x8xf32>) -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// b m n | k
// CHECK-LABEL: func.func @matmul_batch
// CHECK-SAME: ([[A:%[a-z0-9_]+]]: tensor<3x4x8xf32>, [[B:%[a-z0-9_]+]]: tensor<3x2x8xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<3x4x2xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1, d3)>
// CHECK-SAME: -> (d0, d2, d3)>
// CHECK-SAME: -> (d0, d1, d2)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "reduction"]
// CHECK-SAME: ins([[A]], [[B]] :
// CHECK-SAME: outs([[INIT]] : tensor<3x4x2xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[IN2]]
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[MULF]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: return [[Y]]
func.func @matmul_batch(%a: tensor<3x4x8xf32>, %b: tensor<3x2x8xf32>) -> tensor<3x4x2xf32> {
  %y = tinytrain.matmul %a, %b {transpose_rhs} : (tensor<3x4x8xf32>, tensor<3x2x8xf32>) -> tensor<3x4x2xf32>
  return %y : tensor<3x4x2xf32>
}
