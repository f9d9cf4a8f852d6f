// Elementwise ops and updates.
// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg --mlir-print-local-scope | FileCheck %s

// The bias runs along the last dimension.
// CHECK-LABEL: func.func @bias_add
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x8xf32>, [[B:%[a-z0-9_]+]]: tensor<8xf32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[X]], [[B]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[IN]], [[IN2]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: return [[Y]]
func.func @bias_add(%x: tensor<4x8xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.bias_add %x, %b : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @add
// CHECK-SAME: ([[A:%[a-z0-9_]+]]: tensor<4x8xf32>, [[B:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[A]], [[B]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[IN]], [[IN2]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: return [[Y]]
func.func @add(%a: tensor<4x8xf32>, %b: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.add %a, %b : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @sub
// CHECK-SAME: ([[A:%[a-z0-9_]+]]: tensor<4x8xf32>, [[B:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[A]], [[B]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[SUBF:%[a-z0-9_]+]] = arith.subf [[IN]], [[IN2]]
// CHECK-NEXT: linalg.yield [[SUBF]]
// CHECK: return [[Y]]
func.func @sub(%a: tensor<4x8xf32>, %b: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.sub %a, %b : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @mul
// CHECK-SAME: ([[A:%[a-z0-9_]+]]: tensor<4x8xf32>, [[B:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[A]], [[B]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[IN2]]
// CHECK-NEXT: linalg.yield [[MULF]]
// CHECK: return [[Y]]
func.func @mul(%a: tensor<4x8xf32>, %b: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.mul %a, %b : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @div
// CHECK-SAME: ([[A:%[a-z0-9_]+]]: tensor<4x8xf32>, [[B:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[A]], [[B]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[DIVF:%[a-z0-9_]+]] = arith.divf [[IN]], [[IN2]]
// CHECK-NEXT: linalg.yield [[DIVF]]
// CHECK: return [[Y]]
func.func @div(%a: tensor<4x8xf32>, %b: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.div %a, %b : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @scale
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[X]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[C:%[a-z0-9_]+]] = arith.constant 5.000000e-01 : f32
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[C]]
// CHECK-NEXT: linalg.yield [[MULF]]
// CHECK: return [[Y]]
func.func @scale(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.scale %x {factor = 0.5 : f32} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @shift
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[X]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[C:%[a-z0-9_]+]] = arith.constant 3.000000e+00 : f32
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[IN]], [[C]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: return [[Y]]
func.func @shift(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.shift %x {value = 3.0 : f32} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @exp
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[X]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[EXP:%[a-z0-9_]+]] = math.exp [[IN]]
// CHECK-NEXT: linalg.yield [[EXP]]
// CHECK: return [[Y]]
func.func @exp(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.exp %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @log
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[X]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[LOG:%[a-z0-9_]+]] = math.log [[IN]]
// CHECK-NEXT: linalg.yield [[LOG]]
// CHECK: return [[Y]]
func.func @log(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.log %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// `x < 0 ? 0 : x`, which keeps a NaN.
// CHECK-LABEL: func.func @relu
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[X]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK-NEXT: [[CMPF:%[a-z0-9_]+]] = arith.cmpf olt, [[IN]], [[C]]
// CHECK-NEXT: [[SELECT:%[a-z0-9_]+]] = arith.select [[CMPF]], [[C]], [[IN]]
// CHECK-NEXT: linalg.yield [[SELECT]]
// CHECK: return [[Y]]
func.func @relu(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.relu %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @clamp
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[X]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[C:%[a-z0-9_]+]] = arith.constant -1.000000e+00 : f32
// CHECK-NEXT: [[CMPF:%[a-z0-9_]+]] = arith.cmpf olt, [[IN]], [[C]]
// CHECK-NEXT: [[SELECT:%[a-z0-9_]+]] = arith.select [[CMPF]], [[C]], [[IN]]
// CHECK-NEXT: [[C2:%[a-z0-9_]+]] = arith.constant 6.000000e+00 : f32
// CHECK-NEXT: [[CMPF2:%[a-z0-9_]+]] = arith.cmpf ogt, [[SELECT]], [[C2]]
// CHECK-NEXT: [[SELECT2:%[a-z0-9_]+]] = arith.select [[CMPF2]], [[C2]], [[SELECT]]
// CHECK-NEXT: linalg.yield [[SELECT2]]
// CHECK: return [[Y]]
func.func @clamp(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.clamp %x {min = -1.0 : f32, max = 6.0 : f32} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// No comparison with infinity.
// CHECK-LABEL: func.func @clamp_below
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[X]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[C:%[a-z0-9_]+]] = arith.constant -1.000000e+00 : f32
// CHECK-NEXT: [[CMPF:%[a-z0-9_]+]] = arith.cmpf olt, [[IN]], [[C]]
// CHECK-NEXT: [[SELECT:%[a-z0-9_]+]] = arith.select [[CMPF]], [[C]], [[IN]]
// CHECK-NEXT: linalg.yield [[SELECT]]
// CHECK: return [[Y]]
func.func @clamp_below(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.clamp %x {min = -1.0 : f32, max = 0x7F800000 : f32} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// The gradient passes strictly inside the interval.
// CHECK-LABEL: func.func @clamp_grad
// CHECK-SAME: ([[G:%[a-z0-9_]+]]: tensor<4x8xf32>, [[Y:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[Y2:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[G]], [[Y]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK-NEXT: [[C2:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK-NEXT: [[CMPF:%[a-z0-9_]+]] = arith.cmpf ogt, [[IN2]], [[C2]]
// CHECK-NEXT: [[SELECT:%[a-z0-9_]+]] = arith.select [[CMPF]], [[IN]], [[C]]
// CHECK-NEXT: [[C3:%[a-z0-9_]+]] = arith.constant 6.000000e+00 : f32
// CHECK-NEXT: [[CMPF2:%[a-z0-9_]+]] = arith.cmpf olt, [[IN2]], [[C3]]
// CHECK-NEXT: [[SELECT2:%[a-z0-9_]+]] = arith.select [[CMPF2]], [[SELECT]], [[C]]
// CHECK-NEXT: linalg.yield [[SELECT2]]
// CHECK: return [[Y2]]
func.func @clamp_grad(%g: tensor<4x8xf32>, %y: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.clamp_grad %g, %y {min = 0.0 : f32, max = 6.0 : f32} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @relu_grad
// CHECK-SAME: ([[G:%[a-z0-9_]+]]: tensor<4x8xf32>, [[Y:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[Y2:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[G]], [[Y]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK-NEXT: [[C2:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK-NEXT: [[CMPF:%[a-z0-9_]+]] = arith.cmpf ogt, [[IN2]], [[C2]]
// CHECK-NEXT: [[SELECT:%[a-z0-9_]+]] = arith.select [[CMPF]], [[IN]], [[C]]
// CHECK-NEXT: linalg.yield [[SELECT]]
// CHECK: return [[Y2]]
func.func @relu_grad(%g: tensor<4x8xf32>, %y: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.clamp_grad %g, %y {min = 0.0 : f32, max = 0x7F800000 : f32} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// w - lr * g; the learning rate is a scalar.
// CHECK-LABEL: func.func @sgd_update
// CHECK-SAME: ([[W:%[a-z0-9_]+]]: tensor<4x8xf32>, [[G:%[a-z0-9_]+]]: tensor<4x8xf32>, [[LR:%[a-z0-9_]+]]: tensor<f32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> ()>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[W]], [[G]], [[LR]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[IN3:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN3]], [[IN2]]
// CHECK-NEXT: [[SUBF:%[a-z0-9_]+]] = arith.subf [[IN]], [[MULF]]
// CHECK-NEXT: linalg.yield [[SUBF]]
// CHECK: return [[Y]]
func.func @sgd_update(%w: tensor<4x8xf32>, %g: tensor<4x8xf32>, %lr: tensor<f32>) -> tensor<4x8xf32> {
  %0 = tinytrain.sgd_update %w, %g, %lr : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// w - lr * (g + decay * w)
// CHECK-LABEL: func.func @sgd_update_decay
// CHECK-SAME: ([[W:%[a-z0-9_]+]]: tensor<4x8xf32>, [[G:%[a-z0-9_]+]]: tensor<4x8xf32>, [[LR:%[a-z0-9_]+]]: tensor<f32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> ()>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[W]], [[G]], [[LR]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[IN3:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[C:%[a-z0-9_]+]] = arith.constant 5.000000e-01 : f32
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[C]]
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[IN2]], [[MULF]]
// CHECK-NEXT: [[MULF2:%[a-z0-9_]+]] = arith.mulf [[IN3]], [[ADDF]]
// CHECK-NEXT: [[SUBF:%[a-z0-9_]+]] = arith.subf [[IN]], [[MULF2]]
// CHECK-NEXT: linalg.yield [[SUBF]]
// CHECK: return [[Y]]
func.func @sgd_update_decay(%w: tensor<4x8xf32>, %g: tensor<4x8xf32>, %lr: tensor<f32>) -> tensor<4x8xf32> {
  %0 = tinytrain.sgd_update %w, %g, %lr {weight_decay = 0.5 : f32} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// momentum * v + (g + decay * w)
// CHECK-LABEL: func.func @momentum_update
// CHECK-SAME: ([[V:%[a-z0-9_]+]]: tensor<4x8xf32>, [[G:%[a-z0-9_]+]]: tensor<4x8xf32>, [[W:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[V]], [[G]], [[W]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[IN3:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[C:%[a-z0-9_]+]] = arith.constant 5.000000e-01 : f32
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[C]]
// CHECK-NEXT: [[C2:%[a-z0-9_]+]] = arith.constant 2.500000e-01 : f32
// CHECK-NEXT: [[MULF2:%[a-z0-9_]+]] = arith.mulf [[IN3]], [[C2]]
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[IN2]], [[MULF2]]
// CHECK-NEXT: [[ADDF2:%[a-z0-9_]+]] = arith.addf [[MULF]], [[ADDF]]
// CHECK-NEXT: linalg.yield [[ADDF2]]
// CHECK: return [[Y]]
func.func @momentum_update(%v: tensor<4x8xf32>, %g: tensor<4x8xf32>, %w: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.momentum_update %v, %g, %w {momentum = 0.5 : f32, weight_decay = 0.25 : f32} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// A gradient with a shorter last dimension updates the leading part of the parameter.
// CHECK-LABEL: func.func @sgd_update_part
// CHECK-SAME: ([[W:%[a-z0-9]+]]: tensor<4x8xf32>, [[G:%[a-z0-9]+]]: tensor<4x3xf32>, [[LR:%[a-z0-9]+]]: tensor<f32>)
// CHECK: [[PART:%.+]] = tensor.extract_slice [[W]][0, 0] [4, 3] [1, 1]
// CHECK: [[NEW:%.+]] = linalg.generic {{.*}} ins([[PART]], [[G]], [[LR]] :
// CHECK: [[Y:%.+]] = tensor.insert_slice [[NEW]] into [[W]][0, 0] [4, 3] [1, 1]
// CHECK: return [[Y]]
func.func @sgd_update_part(%w: tensor<4x8xf32>, %g: tensor<4x3xf32>, %lr: tensor<f32>) -> tensor<4x8xf32> {
  %0 = tinytrain.sgd_update %w, %g, %lr : (tensor<4x8xf32>, tensor<4x3xf32>, tensor<f32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// Velocity and result are as short as the gradient.
// CHECK-LABEL: func.func @momentum_update_part
// CHECK-SAME: ([[V:%[a-z0-9]+]]: tensor<4x3xf32>, [[G:%[a-z0-9]+]]: tensor<4x3xf32>, [[W:%[a-z0-9]+]]: tensor<4x8xf32>)
// CHECK: [[PART:%.+]] = tensor.extract_slice [[W]][0, 0] [4, 3] [1, 1]
// CHECK: linalg.generic {{.*}} ins([[V]], [[G]], [[PART]] : {{.*}} outs({{.*}} : tensor<4x3xf32>)
func.func @momentum_update_part(%v: tensor<4x3xf32>, %g: tensor<4x3xf32>, %w: tensor<4x8xf32>) -> tensor<4x3xf32> {
  %0 = tinytrain.momentum_update %v, %g, %w {momentum = 0.5 : f32, weight_decay = 0.25 : f32} : (tensor<4x3xf32>, tensor<4x3xf32>, tensor<4x8xf32>) -> tensor<4x3xf32>
  return %0 : tensor<4x3xf32>
}
