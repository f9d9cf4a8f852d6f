// Pooling and its adjoints.
// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg --mlir-print-local-scope | FileCheck %s

// Padding and start value are minus infinity. A shape-only operand says the window.
// CHECK-LABEL: func.func @max_pool
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<1x8x8x4xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0xFF800000 : f32
// CHECK: [[PAD:%[a-z0-9_]+]] = tensor.pad [[X]] low[0, 1, 1, 0] high[0, 1, 1, 0]
// CHECK: tensor.yield [[C]]
// CHECK: [[C2:%[a-z0-9_]+]] = arith.constant 0xFF800000 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C2]] {{.*}} -> tensor<1x4x4x4xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1 * 2 + d4, d2 * 2 + d5, d3)>
// CHECK-SAME: -> (d4, d5)>
// CHECK-SAME: -> (d0, d1, d2, d3)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]
// CHECK-SAME: ins([[PAD]], {{%[a-z0-9_]+}} :
// CHECK-SAME: outs([[INIT]] : tensor<1x4x4x4xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[CMPF:%[a-z0-9_]+]] = arith.cmpf olt, [[OUT]], [[IN]]
// CHECK-NEXT: [[SELECT:%[a-z0-9_]+]] = arith.select [[CMPF]], [[IN]], [[OUT]]
// CHECK-NEXT: linalg.yield [[SELECT]]
// CHECK: return [[Y]]
func.func @max_pool(%x: tensor<1x8x8x4xf32>) -> tensor<1x4x4x4xf32> {
  %0 = tinytrain.max_pool %x {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>} : (tensor<1x8x8x4xf32>) -> tensor<1x4x4x4xf32>
  return %0 : tensor<1x4x4x4xf32>
}

// The maximum is carried along, only its position row * 2 + column is a result. A later element
// has to be greater: the first maximum wins.
// CHECK-LABEL: func.func @max_pool_argmax
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<1x8x8x4xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0xFF800000 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<1x4x4x4xf32>
// CHECK: [[C2:%[a-z0-9_]+]] = arith.constant 0 : i8
// CHECK: [[INIT2:%[a-z0-9_]+]] = linalg.fill ins([[C2]] {{.*}} -> tensor<1x4x4x4xi8>
// CHECK: [[Y:%[a-z0-9_]+]]:2 = linalg.generic
// CHECK-SAME: -> (d0, d1 * 2 + d4, d2 * 2 + d5, d3)>
// CHECK-SAME: -> (d4, d5)>
// CHECK-SAME: -> (d0, d1, d2, d3)>
// CHECK-SAME: -> (d0, d1, d2, d3)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]
// CHECK-SAME: ins([[X]], {{%[a-z0-9_]+}} :
// CHECK-SAME: outs([[INIT]], [[INIT2]] : tensor<1x4x4x4xf32>, tensor<1x4x4x4xi8>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32, [[OUT2:%[a-z0-9_]+]]: i8):
// CHECK-NEXT: [[CMPF:%[a-z0-9_]+]] = arith.cmpf ogt, [[IN]], [[OUT]]
// CHECK-NEXT: [[INDEX:%[a-z0-9_]+]] = linalg.index 4
// CHECK-NEXT: [[INDEX2:%[a-z0-9_]+]] = linalg.index 5
// CHECK-NEXT: [[C3:%[a-z0-9_]+]] = arith.constant 2 : index
// CHECK-NEXT: [[MULI:%[a-z0-9_]+]] = arith.muli [[INDEX]], [[C3]]
// CHECK-NEXT: [[ADDI:%[a-z0-9_]+]] = arith.addi [[MULI]], [[INDEX2]]
// CHECK-NEXT: [[INDEX_CAST:%[a-z0-9_]+]] = arith.index_cast [[ADDI]] : index to i8
// CHECK-NEXT: [[SELECT:%[a-z0-9_]+]] = arith.select [[CMPF]], [[IN]], [[OUT]]
// CHECK-NEXT: [[SELECT2:%[a-z0-9_]+]] = arith.select [[CMPF]], [[INDEX_CAST]], [[OUT2]]
// CHECK-NEXT: linalg.yield [[SELECT]], [[SELECT2]]
// CHECK: return [[Y]]#1
func.func @max_pool_argmax(%x: tensor<1x8x8x4xf32>) -> tensor<1x4x4x4xi8> {
  %0 = tinytrain.max_pool_argmax %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<1x8x8x4xf32>) -> tensor<1x4x4x4xi8>
  return %0 : tensor<1x4x4x4xi8>
}

// A sum, padded with zeros, times 1 / (2 * 4).
// CHECK-LABEL: func.func @avg_pool
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<1x8x8x4xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<1x4x2x4xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1 * 2 + d4, d2 * 4 + d5, d3)>
// CHECK-SAME: -> (d4, d5)>
// CHECK-SAME: -> (d0, d1, d2, d3)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]
// CHECK-SAME: ins([[X]], {{%[a-z0-9_]+}} :
// CHECK-SAME: outs([[INIT]] : tensor<1x4x2x4xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[IN]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: [[Y2:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1, d2, d3)>
// CHECK-SAME: -> (d0, d1, d2, d3)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "parallel"]
// CHECK-SAME: ins([[Y]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<1x4x2x4xf32>)
// CHECK-NEXT: ^bb0([[IN3:%[a-z0-9_]+]]: f32, [[OUT2:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[C2:%[a-z0-9_]+]] = arith.constant 1.250000e-01 : f32
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN3]], [[C2]]
// CHECK-NEXT: linalg.yield [[MULF]]
// CHECK: return [[Y2]]
func.func @avg_pool(%x: tensor<1x8x8x4xf32>) -> tensor<1x4x2x4xf32> {
  %0 = tinytrain.avg_pool %x {kernel = array<i64: 2, 4>, strides = array<i64: 2, 4>, padding = array<i64: 0, 0, 0, 0>} : (tensor<1x8x8x4xf32>) -> tensor<1x4x2x4xf32>
  return %0 : tensor<1x4x2x4xf32>
}

// Gathered in the phases of the stride: the gradient of the window whose position is the tap
// that reaches here. Windows do not overlap, so that there is one tap.
// CHECK-LABEL: func.func @max_pool_grad
// CHECK-SAME: ([[G:%[a-z0-9_]+]]: tensor<1x4x4x4xf32>, [[I:%[a-z0-9_]+]]: tensor<1x4x4x4xi8>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<1x4x2x4x2x4xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1 + d2 floordiv 2 - d6, d3 + d4 floordiv 2 - d7, d5)>
// CHECK-SAME: -> (d0, d1 + d2 floordiv 2 - d6, d3 + d4 floordiv 2 - d7, d5)>
// CHECK-SAME: -> (d6, d7)>
// CHECK-SAME: -> (d0, d1, d2, d3, d4, d5)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]
// CHECK-SAME: ins([[G]], [[I]], {{%[a-z0-9_]+}} :
// CHECK-SAME: outs([[INIT]] : tensor<1x4x2x4x2x4xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: i8, [[IN3:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[C2:%[a-z0-9_]+]] = arith.constant 0 : index
// CHECK-NEXT: [[INDEX:%[a-z0-9_]+]] = linalg.index 2
// CHECK-NEXT: [[ADDI:%[a-z0-9_]+]] = arith.addi [[INDEX]], [[C2]]
// CHECK-NEXT: [[C3:%[a-z0-9_]+]] = arith.constant 2 : index
// CHECK-NEXT: [[REMUI:%[a-z0-9_]+]] = arith.remui [[ADDI]], [[C3]]
// CHECK-NEXT: [[C4:%[a-z0-9_]+]] = arith.constant 2 : index
// CHECK-NEXT: [[INDEX2:%[a-z0-9_]+]] = linalg.index 6
// CHECK-NEXT: [[MULI:%[a-z0-9_]+]] = arith.muli [[INDEX2]], [[C4]]
// CHECK-NEXT: [[ADDI2:%[a-z0-9_]+]] = arith.addi [[MULI]], [[REMUI]]
// CHECK-NEXT: [[C5:%[a-z0-9_]+]] = arith.constant 0 : index
// CHECK-NEXT: [[INDEX3:%[a-z0-9_]+]] = linalg.index 4
// CHECK-NEXT: [[ADDI3:%[a-z0-9_]+]] = arith.addi [[INDEX3]], [[C5]]
// CHECK-NEXT: [[C6:%[a-z0-9_]+]] = arith.constant 2 : index
// CHECK-NEXT: [[REMUI2:%[a-z0-9_]+]] = arith.remui [[ADDI3]], [[C6]]
// CHECK-NEXT: [[C7:%[a-z0-9_]+]] = arith.constant 2 : index
// CHECK-NEXT: [[INDEX4:%[a-z0-9_]+]] = linalg.index 7
// CHECK-NEXT: [[MULI2:%[a-z0-9_]+]] = arith.muli [[INDEX4]], [[C7]]
// CHECK-NEXT: [[ADDI4:%[a-z0-9_]+]] = arith.addi [[MULI2]], [[REMUI2]]
// CHECK-NEXT: [[C8:%[a-z0-9_]+]] = arith.constant 2 : index
// CHECK-NEXT: [[MULI3:%[a-z0-9_]+]] = arith.muli [[ADDI2]], [[C8]]
// CHECK-NEXT: [[ADDI5:%[a-z0-9_]+]] = arith.addi [[MULI3]], [[ADDI4]]
// CHECK-NEXT: [[INDEX_CAST:%[a-z0-9_]+]] = arith.index_cast [[ADDI5]] : index to i8
// CHECK-NEXT: [[CMPI:%[a-z0-9_]+]] = arith.cmpi eq, [[IN2]], [[INDEX_CAST]]
// CHECK-NEXT: [[C9:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK-NEXT: [[SELECT:%[a-z0-9_]+]] = arith.select [[CMPI]], [[IN]], [[C9]]
// CHECK-NEXT: [[C10:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[SELECT]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: [[COLLAPSE:%[a-z0-9_]+]] = tensor.collapse_shape [[Y]] {{\[\[}}0], [1, 2], [3, 4], [5{{\]\]}}{{.*}} into tensor<1x8x8x4xf32>
// CHECK: return [[COLLAPSE]]
func.func @max_pool_grad(%g: tensor<1x4x4x4xf32>, %i: tensor<1x4x4x4xi8>) -> tensor<1x8x8x4xf32> {
  %0 = tinytrain.max_pool_grad %g, %i {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<1x4x4x4xf32>, tensor<1x4x4x4xi8>) -> tensor<1x8x8x4xf32>
  return %0 : tensor<1x8x8x4xf32>
}

// A window of 3 with stride 2 has two taps per dimension, the second of which lies beyond the
// window in one phase: it contributes zero.
// CHECK-LABEL: func.func @avg_pool_grad
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<1x4x4x4xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[PAD:%[a-z0-9_]+]] = tensor.pad [[X]] low[0, 1, 1, 0] high[0, 1, 1, 0]
// CHECK: tensor.yield [[C]]
// CHECK: [[C2:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C2]] {{.*}} -> tensor<1x4x2x4x2x4xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1 + (d2 + 1) floordiv 2 - d6 + 1, d3 + (d4 + 1) floordiv 2 - d7 + 1, d5)>
// CHECK-SAME: -> (d6, d7)>
// CHECK-SAME: -> (d0, d1, d2, d3, d4, d5)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]
// CHECK-SAME: ins([[PAD]], {{%[a-z0-9_]+}} :
// CHECK-SAME: outs([[INIT]] : tensor<1x4x2x4x2x4xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[C3:%[a-z0-9_]+]] = arith.constant 1 : index
// CHECK-NEXT: [[INDEX:%[a-z0-9_]+]] = linalg.index 2
// CHECK-NEXT: [[ADDI:%[a-z0-9_]+]] = arith.addi [[INDEX]], [[C3]]
// CHECK-NEXT: [[C4:%[a-z0-9_]+]] = arith.constant 2 : index
// CHECK-NEXT: [[REMUI:%[a-z0-9_]+]] = arith.remui [[ADDI]], [[C4]]
// CHECK-NEXT: [[C5:%[a-z0-9_]+]] = arith.constant 2 : index
// CHECK-NEXT: [[INDEX2:%[a-z0-9_]+]] = linalg.index 6
// CHECK-NEXT: [[MULI:%[a-z0-9_]+]] = arith.muli [[INDEX2]], [[C5]]
// CHECK-NEXT: [[ADDI2:%[a-z0-9_]+]] = arith.addi [[MULI]], [[REMUI]]
// CHECK-NEXT: [[C6:%[a-z0-9_]+]] = arith.constant 1 : index
// CHECK-NEXT: [[INDEX3:%[a-z0-9_]+]] = linalg.index 4
// CHECK-NEXT: [[ADDI3:%[a-z0-9_]+]] = arith.addi [[INDEX3]], [[C6]]
// CHECK-NEXT: [[C7:%[a-z0-9_]+]] = arith.constant 2 : index
// CHECK-NEXT: [[REMUI2:%[a-z0-9_]+]] = arith.remui [[ADDI3]], [[C7]]
// CHECK-NEXT: [[C8:%[a-z0-9_]+]] = arith.constant 2 : index
// CHECK-NEXT: [[INDEX4:%[a-z0-9_]+]] = linalg.index 7
// CHECK-NEXT: [[MULI2:%[a-z0-9_]+]] = arith.muli [[INDEX4]], [[C8]]
// CHECK-NEXT: [[ADDI4:%[a-z0-9_]+]] = arith.addi [[MULI2]], [[REMUI2]]
// CHECK-NEXT: [[C9:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK-NEXT: [[C10:%[a-z0-9_]+]] = arith.constant 3 : index
// CHECK-NEXT: [[CMPI:%[a-z0-9_]+]] = arith.cmpi ult, [[ADDI2]], [[C10]]
// CHECK-NEXT: [[SELECT:%[a-z0-9_]+]] = arith.select [[CMPI]], [[IN]], [[C9]]
// CHECK-NEXT: [[C11:%[a-z0-9_]+]] = arith.constant 3 : index
// CHECK-NEXT: [[CMPI2:%[a-z0-9_]+]] = arith.cmpi ult, [[ADDI4]], [[C11]]
// CHECK-NEXT: [[SELECT2:%[a-z0-9_]+]] = arith.select [[CMPI2]], [[SELECT]], [[C9]]
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[SELECT2]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: [[COLLAPSE:%[a-z0-9_]+]] = tensor.collapse_shape [[Y]] {{\[\[}}0], [1, 2], [3, 4], [5{{\]\]}}{{.*}} into tensor<1x8x8x4xf32>
// CHECK: [[Y2:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1, d2, d3)>
// CHECK-SAME: -> (d0, d1, d2, d3)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "parallel"]
// CHECK-SAME: ins([[COLLAPSE]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<1x8x8x4xf32>)
// CHECK-NEXT: ^bb0([[IN3:%[a-z0-9_]+]]: f32, [[OUT2:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[C12:%[a-z0-9_]+]] = arith.constant 0.111111112 : f32
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN3]], [[C12]]
// CHECK-NEXT: linalg.yield [[MULF]]
// CHECK: return [[Y2]]
func.func @avg_pool_grad(%x: tensor<1x4x4x4xf32>) -> tensor<1x8x8x4xf32> {
  %0 = tinytrain.avg_pool_grad %x {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>} : (tensor<1x4x4x4xf32>) -> tensor<1x8x8x4xf32>
  return %0 : tensor<1x8x8x4xf32>
}
