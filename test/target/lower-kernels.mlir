// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg --tinytrain-lower-kernels=target=cortex-m7 | FileCheck %s
// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg --tinytrain-lower-kernels=target=cortex-m7 | FileCheck %s --check-prefix=SCALAR
// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg --tinytrain-lower-kernels=target=cortex-a72 | FileCheck %s
// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg --tinytrain-lower-kernels=target=cortex-a72 | FileCheck %s --check-prefix=VECTOR
// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg --tinytrain-lower-kernels=target=cortex-m7 --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// STATS: LowerKernels
// STATS-DAG: 5 calls
// STATS-DAG: 4 functions

// Kernels that compute the same on the same shapes are one function.
// CHECK-LABEL: func.func @two_layers
// CHECK-SAME: ([[X:%[a-z0-9]+]]: {{.*}}, [[W:%[a-z0-9]+]]: {{.*}}, [[B:%[a-z0-9]+]]: {{.*}}, [[Y:%[a-z0-9]+]]: {{.*}}, [[Z:%[a-z0-9]+]]: {{[^,]*}})
// CHECK-NEXT: call @linear([[X]], [[W]], [[B]], [[Y]])
// CHECK-NEXT: call @linear([[X]], [[W]], [[B]], [[Z]])
// CHECK-NEXT: return
func.func @two_layers(%x: memref<4x8xf32>, %w: memref<8x16xf32>, %b: memref<16xf32>, %y: memref<4x16xf32>, %z: memref<4x16xf32>) {
  tinytrain.kernel label "linear" ins(%x, %w, %b) outs(%y) : (memref<4x8xf32>, memref<8x16xf32>, memref<16xf32>, memref<4x16xf32>) -> () {
  ^bb0(%a: tensor<4x8xf32>, %c: tensor<8x16xf32>, %d: tensor<16xf32>, %e: tensor<4x16xf32>):
    %0 = tinytrain.matmul %a, %c : (tensor<4x8xf32>, tensor<8x16xf32>) -> tensor<4x16xf32>
    %1 = tinytrain.bias_add %0, %d : (tensor<4x16xf32>, tensor<16xf32>) -> tensor<4x16xf32>
    tinytrain.yield %1 : tensor<4x16xf32>
  }
  tinytrain.kernel label "linear" ins(%x, %w, %b) outs(%z) : (memref<4x8xf32>, memref<8x16xf32>, memref<16xf32>, memref<4x16xf32>) -> () {
  ^bb0(%a: tensor<4x8xf32>, %c: tensor<8x16xf32>, %d: tensor<16xf32>, %e: tensor<4x16xf32>):
    %0 = tinytrain.matmul %a, %c : (tensor<4x8xf32>, tensor<8x16xf32>) -> tensor<4x16xf32>
    %1 = tinytrain.bias_add %0, %d : (tensor<4x16xf32>, tensor<16xf32>) -> tensor<4x16xf32>
    tinytrain.yield %1 : tensor<4x16xf32>
  }
  return
}

// Kernels of one name that differ are numbered.
// CHECK-LABEL: func.func @same_name
// CHECK-NEXT: call @linear_2(
// CHECK-NEXT: return
func.func @same_name(%x: memref<4x8xf32>, %y: memref<4x8xf32>) {
  tinytrain.kernel label "linear" ins(%x) outs(%y) : (memref<4x8xf32>, memref<4x8xf32>) -> () {
  ^bb0(%a: tensor<4x8xf32>, %e: tensor<4x8xf32>):
    %0 = tinytrain.scale %a {factor = 2.0 : f32} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    tinytrain.yield %0 : tensor<4x8xf32>
  }
  return
}

// CHECK-LABEL: func.func @padded
// CHECK-NEXT: call @conv(
// CHECK-NEXT: return
func.func @padded(%x: memref<1x8x8x2xf32>, %w: memref<4x3x3x2xf32>, %y: memref<1x8x8x4xf32>) {
  tinytrain.kernel label "conv" ins(%x, %w) outs(%y) : (memref<1x8x8x2xf32>, memref<4x3x3x2xf32>, memref<1x8x8x4xf32>) -> () {
  ^bb0(%a: tensor<1x8x8x2xf32>, %c: tensor<4x3x3x2xf32>, %e: tensor<1x8x8x4xf32>):
    %0 = tinytrain.conv2d %a, %c {strides = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x8x8x2xf32>, tensor<4x3x3x2xf32>) -> tensor<1x8x8x4xf32>
    tinytrain.yield %0 : tensor<1x8x8x4xf32>
  }
  return
}

// An init whose argument is read is updated in place; what a kernel without a name computes
// does not name it.
// CHECK-LABEL: func.func @in_place
// CHECK-SAME: ([[X:%[a-z0-9]+]]: {{.*}})
// CHECK-NEXT: call @kernel([[X]])
// CHECK-NEXT: return
func.func @in_place(%x: memref<8xf32>) {
  tinytrain.kernel ins() outs(%x) : (memref<8xf32>) -> () {
  ^bb0(%e: tensor<8xf32>):
    %0 = tinytrain.scale %e {factor = 2.0 : f32} : (tensor<8xf32>) -> tensor<8xf32>
    tinytrain.yield %0 : tensor<8xf32>
  }
  return
}

// A scalar core keeps a tile of 4 x 4 results in registers: 16 sums for 8 loads. Four tiles
// side by side make a row. The bias is added before the only store of each result.
// SCALAR-LABEL: func.func private @linear(
// SCALAR-SAME: [[X:%[a-z0-9]+]]: memref<4x8xf32>, [[W:%[a-z0-9]+]]: memref<8x16xf32>, [[B:%[a-z0-9]+]]: memref<16xf32>, [[Y:%[a-z0-9]+]]: memref<4x16xf32>) attributes {tinytrain.kernel}
// SCALAR-NOT: vector
// SCALAR-DAG: [[C16:%.+]] = arith.constant 16 : index
// SCALAR-DAG: [[C4:%.+]] = arith.constant 4 : index
// SCALAR: scf.for [[J:%[a-z0-9]+]] = {{.*}} to [[C16]] step [[C4]]
// SCALAR: [[SUMS:%.+]]:16 = scf.for [[K:%[a-z0-9]+]] =
// SCALAR: memref.load [[X]][{{.*}}, [[K]]]
// SCALAR: memref.load [[W]][[[K]], [[J]]]
// SCALAR: arith.mulf {{.*}} fastmath<contract>
// SCALAR-NEXT: arith.addf {{.*}} fastmath<contract>
// SCALAR: scf.yield
// SCALAR: [[BIAS:%.+]] = memref.load [[B]][[[J]]]
// SCALAR: [[R:%.+]] = arith.addf [[SUMS]]#0, [[BIAS]]
// SCALAR: memref.store [[R]], [[Y]]
// SCALAR-COUNT-15: memref.store {{.*}}, [[Y]]
// SCALAR-NOT: memref.store
// SCALAR: return

// A core with vectors of four floats: the tile is 4 x 4 vectors, of which each runs along the
// contiguous dimension of weight and result; elements of x are broadcast.
// VECTOR-LABEL: func.func private @linear(
// VECTOR-SAME: [[X:%[a-z0-9]+]]: memref<4x8xf32>, [[W:%[a-z0-9]+]]: memref<8x16xf32>, [[B:%[a-z0-9]+]]: memref<16xf32>, [[Y:%[a-z0-9]+]]: memref<4x16xf32>)
// VECTOR: [[SUMS:%.+]]:16 = scf.for [[K:%[a-z0-9]+]] =
// VECTOR: [[A:%.+]] = memref.load [[X]][{{.*}}, [[K]]]
// VECTOR: [[AS:%.+]] = vector.broadcast [[A]] : f32 to vector<4xf32>
// VECTOR: [[WS:%.+]] = vector.load [[W]][[[K]], {{.*}}] : memref<8x16xf32>, vector<4xf32>
// VECTOR: arith.mulf [[AS]], [[WS]] fastmath<contract> : vector<4xf32>
// VECTOR: scf.yield
// VECTOR: [[BIAS:%.+]] = vector.load [[B]]
// VECTOR: arith.addf [[SUMS]]#0, [[BIAS]]
// VECTOR-COUNT-16: vector.store {{.*}}, [[Y]]
// VECTOR-NOT: store
// VECTOR: return

// No padded copy of the input: the columns at the border (0 and 7) are computed apart, with
// loops over the part of the window that lies inside the image in both dimensions.
// SCALAR-LABEL: func.func private @conv(
// SCALAR-SAME: [[X:%[a-z0-9]+]]: memref<1x8x8x2xf32>
// SCALAR-NOT: memref.alloc
// SCALAR: scf.for [[ROW:%[a-z0-9]+]] =
// SCALAR: [[C2:%.+]] = arith.constant 2 : index
// SCALAR: scf.for {{%[a-z0-9]+}} = {{.*}} to [[C2]]
// SCALAR: [[LOW:%.+]] = arith.maxsi
// SCALAR: [[HIGH:%.+]] = arith.minsi
// SCALAR: scf.for {{%[a-z0-9]+}} = [[LOW]] to [[HIGH]]
// SCALAR: [[LOWCOLUMN:%.+]] = arith.maxsi
// SCALAR: [[HIGHCOLUMN:%.+]] = arith.minsi
// SCALAR: scf.for {{%[a-z0-9]+}} = [[LOWCOLUMN]] to [[HIGHCOLUMN]]
// SCALAR-COUNT-4: memref.store
// In the interior 6 columns times 4 channels are one tile, and only rows have bounds: columns
// run over the window's three.
// SCALAR: [[LOWROW:%.+]] = arith.maxsi
// SCALAR: [[HIGHROW:%.+]] = arith.minsi
// SCALAR: {{%.+}}:24 = scf.for {{%[a-z0-9]+}} = [[LOWROW]] to [[HIGHROW]]
// SCALAR-NOT: arith.maxsi
// SCALAR: [[C3:%.+]] = arith.constant 3 : index
// SCALAR: {{%.+}}:24 = scf.for {{%[a-z0-9]+}} = {{.*}} to [[C3]]
// SCALAR-COUNT-24: memref.store
// SCALAR-NOT: memref.store
// SCALAR: return

// SCALAR-LABEL: func.func private @kernel(
// SCALAR-SAME: [[X:%[a-z0-9]+]]: memref<8xf32>)
// SCALAR: scf.for [[I:%[a-z0-9]+]] =
// SCALAR: [[A:%.+]] = memref.load [[X]][[[I]]]
// SCALAR: [[R:%.+]] = arith.mulf [[A]], {{.*}}
// SCALAR: memref.store [[R]], [[X]][[[I]]]
