// Masks of clamps: packed by a reduction over the bits of a byte, read bit by bit.
// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg --mlir-print-local-scope | FileCheck %s

// Ten rows are two bytes: six rows of padding. Loop dimensions are byte, channel and bit; row
// 8 * byte + bit gives bit number `bit`. A tensor that is not read says that a byte has eight.
// CHECK-LABEL: func.func @clamp_mask
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<10x3xf32>)
// CHECK: [[ROWS:%.+]] = tensor.pad [[X]] low[0, 0] high[6, 0]
// CHECK: tensor<10x3xf32> to tensor<16x3xf32>
// CHECK: [[BITS:%.+]] = tensor.empty() : tensor<8xi8>
// CHECK: [[ZERO:%.+]] = arith.constant 0 : i8
// CHECK: [[INIT:%.+]] = linalg.fill ins([[ZERO]] : i8)
// CHECK: [[Y:%.+]] = linalg.generic
// CHECK-SAME: (d0, d1, d2) -> (d0 * 8 + d2, d1)>
// CHECK-SAME: (d0, d1, d2) -> (d2)>
// CHECK-SAME: (d0, d1, d2) -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "reduction"]
// CHECK-SAME: ins([[ROWS]], [[BITS]] :
// CHECK-SAME: outs([[INIT]] : tensor<2x3xi8>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, {{%[a-z0-9_]+}}: i8, [[OUT:%[a-z0-9_]+]]: i8):
// CHECK-NEXT: [[MIN:%.+]] = arith.constant 0.000000e+00 : f32
// CHECK-NEXT: [[ABOVE:%.+]] = arith.cmpf ogt, [[IN]], [[MIN]]
// CHECK-NEXT: [[MAX:%.+]] = arith.constant 6.000000e+00 : f32
// CHECK-NEXT: [[BELOW:%.+]] = arith.cmpf olt, [[IN]], [[MAX]]
// CHECK-NEXT: [[INSIDE:%.+]] = arith.andi [[ABOVE]], [[BELOW]]
// CHECK-NEXT: [[ONE:%.+]] = arith.extui [[INSIDE]] : i1 to i8
// CHECK-NEXT: [[BIT:%.+]] = linalg.index 2
// CHECK-NEXT: [[POSITION:%.+]] = arith.index_cast [[BIT]] : index to i8
// CHECK-NEXT: [[SHIFTED:%.+]] = arith.shli [[ONE]], [[POSITION]]
// CHECK-NEXT: [[SUM:%.+]] = arith.addi [[OUT]], [[SHIFTED]]
// CHECK-NEXT: linalg.yield [[SUM]]
// CHECK: return [[Y]]
func.func @clamp_mask(%x: tensor<10x3xf32>) -> tensor<2x3xi8> {
  %0 = tinytrain.clamp_mask %x {min = 0.0 : f32, max = 6.0 : f32} : (tensor<10x3xf32>) -> tensor<2x3xi8>
  return %0 : tensor<2x3xi8>
}

// Whole bytes need no padding. A relu has no upper bound: one comparison.
// CHECK-LABEL: func.func @relu_mask
// CHECK-SAME: ([[X:%[a-z0-9]+]]: tensor<16x3xf32>)
// CHECK-NOT: tensor.pad
// CHECK: linalg.generic {{.*}} ins([[X]],
// CHECK: arith.cmpf ogt
// CHECK-NOT: arith.cmpf
// CHECK: linalg.yield
func.func @relu_mask(%x: tensor<16x3xf32>) -> tensor<2x3xi8> {
  %0 = tinytrain.clamp_mask %x {min = 0.0 : f32, max = 0x7F800000 : f32} : (tensor<16x3xf32>) -> tensor<2x3xi8>
  return %0 : tensor<2x3xi8>
}

// Inclusive bounds belong to the interval.
// CHECK-LABEL: func.func @inclusive_mask
// CHECK: arith.constant -1.000000e+00
// CHECK-NEXT: arith.cmpf oge
// CHECK-NEXT: arith.constant 1.000000e+00
// CHECK-NEXT: arith.cmpf ole
func.func @inclusive_mask(%x: tensor<8x3xf32>) -> tensor<1x3xi8> {
  %0 = tinytrain.clamp_mask %x {min = -1.0 : f32, max = 1.0 : f32, inclusive} : (tensor<8x3xf32>) -> tensor<1x3xi8>
  return %0 : tensor<1x3xi8>
}

// Between infinite bounds everything passes.
// CHECK-LABEL: func.func @unbounded_mask
// CHECK: linalg.generic
// CHECK-NOT: arith.cmpf
// CHECK: [[TRUE:%.+]] = arith.constant true
// CHECK-NEXT: arith.extui [[TRUE]] : i1 to i8
func.func @unbounded_mask(%x: tensor<8x3xf32>) -> tensor<1x3xi8> {
  %0 = tinytrain.clamp_mask %x {min = 0xFF800000 : f32, max = 0x7F800000 : f32} : (tensor<8x3xf32>) -> tensor<1x3xi8>
  return %0 : tensor<1x3xi8>
}

// Row 5 * d0 + d1 of the gradient: byte row / 8, bit row mod 8.
// CHECK-LABEL: func.func @mask_grad
// CHECK-SAME: ([[G:%[a-z0-9]+]]: tensor<2x5x3xf32>, [[M:%[a-z0-9]+]]: tensor<2x3xi8>)
// CHECK: [[Y:%.+]] = linalg.generic
// CHECK-SAME: (d0, d1, d2) -> (d0, d1, d2)>
// CHECK-SAME: (d0, d1, d2) -> ((d0 * 5 + d1) floordiv 8, d2)>
// CHECK-SAME: (d0, d1, d2) -> (d0, d1, d2)>
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel"]
// CHECK-SAME: ins([[G]], [[M]] :
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[BYTE:%[a-z0-9_]+]]: i8, {{%[a-z0-9_]+}}: f32):
// CHECK: [[D0:%.+]] = linalg.index 0
// CHECK: [[FIRST:%.+]] = arith.addi {{%.+}}, [[D0]]
// CHECK: [[FIVE:%.+]] = arith.constant 5 : index
// CHECK-NEXT: [[START:%.+]] = arith.muli [[FIRST]], [[FIVE]]
// CHECK-NEXT: [[D1:%.+]] = linalg.index 1
// CHECK-NEXT: [[ROW:%.+]] = arith.addi [[START]], [[D1]]
// CHECK-NEXT: [[SEVEN:%.+]] = arith.constant 7 : index
// CHECK-NEXT: [[BIT:%.+]] = arith.andi [[ROW]], [[SEVEN]]
// CHECK-NEXT: [[POSITION:%.+]] = arith.index_cast [[BIT]] : index to i8
// CHECK-NEXT: [[SHIFTED:%.+]] = arith.shrui [[BYTE]], [[POSITION]]
// CHECK: [[LOW:%.+]] = arith.andi [[SHIFTED]], {{%.+}} : i8
// CHECK: [[SET:%.+]] = arith.cmpi ne, [[LOW]], {{%.+}} : i8
// CHECK-NEXT: [[ZERO:%.+]] = arith.constant 0.000000e+00 : f32
// CHECK-NEXT: [[R:%.+]] = arith.select [[SET]], [[IN]], [[ZERO]]
// CHECK-NEXT: linalg.yield [[R]]
// CHECK: return [[Y]]
func.func @mask_grad(%g: tensor<2x5x3xf32>, %m: tensor<2x3xi8>) -> tensor<2x5x3xf32> {
  %0 = tinytrain.mask_grad %g, %m : (tensor<2x5x3xf32>, tensor<2x3xi8>) -> tensor<2x5x3xf32>
  return %0 : tensor<2x5x3xf32>
}

// A vector is row 0: bit 0 of byte 0.
// CHECK-LABEL: func.func @vector_mask_grad
// CHECK: linalg.generic
// CHECK-SAME: (d0) -> (0, d0)>
// CHECK-NOT: linalg.index
// CHECK: linalg.yield
func.func @vector_mask_grad(%g: tensor<3xf32>, %m: tensor<1x3xi8>) -> tensor<3xf32> {
  %0 = tinytrain.mask_grad %g, %m : (tensor<3xf32>, tensor<1x3xi8>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}
