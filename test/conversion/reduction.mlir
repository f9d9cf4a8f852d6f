// Reductions, softmax and losses.
// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg --mlir-print-local-scope | FileCheck %s

// CHECK-LABEL: func.func @reduce_sum
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<8xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d1)>
// CHECK-SAME: iterator_types = ["reduction", "parallel"]
// CHECK-SAME: ins([[X]] :
// CHECK-SAME: outs([[INIT]] : tensor<8xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[IN]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: return [[Y]]
func.func @reduce_sum(%x: tensor<4x8xf32>) -> tensor<8xf32> {
  %0 = tinytrain.reduce_sum %x {dims = array<i64: 0>} : (tensor<4x8xf32>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// Starts from minus infinity.
// CHECK-LABEL: func.func @reduce_max
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0xFF800000 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<4xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: iterator_types = ["parallel", "reduction"]
// CHECK-SAME: ins([[X]] :
// CHECK-SAME: outs([[INIT]] : tensor<4xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[CMPF:%[a-z0-9_]+]] = arith.cmpf olt, [[OUT]], [[IN]]
// CHECK-NEXT: [[SELECT:%[a-z0-9_]+]] = arith.select [[CMPF]], [[IN]], [[OUT]]
// CHECK-NEXT: linalg.yield [[SELECT]]
// CHECK: return [[Y]]
func.func @reduce_max(%x: tensor<4x8xf32>) -> tensor<4xf32> {
  %0 = tinytrain.reduce_max %x {dims = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// The sum, then 1 / (4 * 8) of it.
// CHECK-LABEL: func.func @reduce_mean
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<f32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> ()>
// CHECK-SAME: iterator_types = ["reduction", "reduction"]
// CHECK-SAME: ins([[X]] :
// CHECK-SAME: outs([[INIT]] : tensor<f32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[IN]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: [[Y2:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> ()>
// CHECK-SAME: -> ()>
// CHECK-SAME: iterator_types = []
// CHECK-SAME: ins([[Y]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<f32>)
// CHECK-NEXT: ^bb0([[IN2:%[a-z0-9_]+]]: f32, [[OUT2:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[C2:%[a-z0-9_]+]] = arith.constant 3.125000e-02 : f32
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN2]], [[C2]]
// CHECK-NEXT: linalg.yield [[MULF]]
// CHECK: return [[Y2]]
func.func @reduce_mean(%x: tensor<4x8xf32>) -> tensor<f32> {
  %0 = tinytrain.reduce_mean %x {dims = array<i64: 0, 1>} : (tensor<4x8xf32>) -> tensor<f32>
  return %0 : tensor<f32>
}

// 1 / (2 * 4)
// CHECK-LABEL: func.func @global_avg_pool
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<1x2x4x3xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<1x3xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1, d2, d3)>
// CHECK-SAME: -> (d0, d3)>
// CHECK-SAME: iterator_types = ["parallel", "reduction", "reduction", "parallel"]
// CHECK-SAME: ins([[X]] :
// CHECK-SAME: outs([[INIT]] : tensor<1x3xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[IN]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: [[Y2:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[Y]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<1x3xf32>)
// CHECK-NEXT: ^bb0([[IN2:%[a-z0-9_]+]]: f32, [[OUT2:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[C2:%[a-z0-9_]+]] = arith.constant 1.250000e-01 : f32
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN2]], [[C2]]
// CHECK-NEXT: linalg.yield [[MULF]]
// CHECK: return [[Y2]]
func.func @global_avg_pool(%x: tensor<1x2x4x3xf32>) -> tensor<1x3xf32> {
  %0 = tinytrain.global_avg_pool %x : (tensor<1x2x4x3xf32>) -> tensor<1x3xf32>
  return %0 : tensor<1x3xf32>
}

// Shifted by the row's maximum, so that no exponential overflows.
// CHECK-LABEL: func.func @softmax
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0xFF800000 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<4xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: iterator_types = ["parallel", "reduction"]
// CHECK-SAME: ins([[X]] :
// CHECK-SAME: outs([[INIT]] : tensor<4xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[CMPF:%[a-z0-9_]+]] = arith.cmpf olt, [[OUT]], [[IN]]
// CHECK-NEXT: [[SELECT:%[a-z0-9_]+]] = arith.select [[CMPF]], [[IN]], [[OUT]]
// CHECK-NEXT: linalg.yield [[SELECT]]
// CHECK: [[Y2:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[X]], [[Y]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN2:%[a-z0-9_]+]]: f32, [[IN3:%[a-z0-9_]+]]: f32, [[OUT2:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[SUBF:%[a-z0-9_]+]] = arith.subf [[IN2]], [[IN3]]
// CHECK-NEXT: [[EXP:%[a-z0-9_]+]] = math.exp [[SUBF]]
// CHECK-NEXT: linalg.yield [[EXP]]
// CHECK: [[C2:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT2:%[a-z0-9_]+]] = linalg.fill ins([[C2]] {{.*}} -> tensor<4xf32>
// CHECK: [[Y3:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: iterator_types = ["parallel", "reduction"]
// CHECK-SAME: ins([[Y2]] :
// CHECK-SAME: outs([[INIT2]] : tensor<4xf32>)
// CHECK-NEXT: ^bb0([[IN4:%[a-z0-9_]+]]: f32, [[OUT3:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT3]], [[IN4]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: [[Y4:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[Y2]], [[Y3]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN5:%[a-z0-9_]+]]: f32, [[IN6:%[a-z0-9_]+]]: f32, [[OUT4:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[DIVF:%[a-z0-9_]+]] = arith.divf [[IN5]], [[IN6]]
// CHECK-NEXT: linalg.yield [[DIVF]]
// CHECK: return [[Y4]]
func.func @softmax(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.softmax %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// y (g - sum(g y))
// CHECK-LABEL: func.func @softmax_grad
// CHECK-SAME: ([[G:%[a-z0-9_]+]]: tensor<4x8xf32>, [[Y:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[Y2:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[G]], [[Y]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[IN2]]
// CHECK-NEXT: linalg.yield [[MULF]]
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<4xf32>
// CHECK: [[Y3:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: iterator_types = ["parallel", "reduction"]
// CHECK-SAME: ins([[Y2]] :
// CHECK-SAME: outs([[INIT]] : tensor<4xf32>)
// CHECK-NEXT: ^bb0([[IN3:%[a-z0-9_]+]]: f32, [[OUT2:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT2]], [[IN3]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: [[Y4:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[G]], [[Y]], [[Y3]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN4:%[a-z0-9_]+]]: f32, [[IN5:%[a-z0-9_]+]]: f32, [[IN6:%[a-z0-9_]+]]: f32, [[OUT3:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[SUBF:%[a-z0-9_]+]] = arith.subf [[IN4]], [[IN6]]
// CHECK-NEXT: [[MULF2:%[a-z0-9_]+]] = arith.mulf [[IN5]], [[SUBF]]
// CHECK-NEXT: linalg.yield [[MULF2]]
// CHECK: return [[Y4]]
func.func @softmax_grad(%g: tensor<4x8xf32>, %y: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.softmax_grad %g, %y : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// x - (log(sum(exp(x - max))) + max)
// CHECK-LABEL: func.func @log_softmax
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0xFF800000 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<4xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: iterator_types = ["parallel", "reduction"]
// CHECK-SAME: ins([[X]] :
// CHECK-SAME: outs([[INIT]] : tensor<4xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[CMPF:%[a-z0-9_]+]] = arith.cmpf olt, [[OUT]], [[IN]]
// CHECK-NEXT: [[SELECT:%[a-z0-9_]+]] = arith.select [[CMPF]], [[IN]], [[OUT]]
// CHECK-NEXT: linalg.yield [[SELECT]]
// CHECK: [[Y2:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[X]], [[Y]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN2:%[a-z0-9_]+]]: f32, [[IN3:%[a-z0-9_]+]]: f32, [[OUT2:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[SUBF:%[a-z0-9_]+]] = arith.subf [[IN2]], [[IN3]]
// CHECK-NEXT: [[EXP:%[a-z0-9_]+]] = math.exp [[SUBF]]
// CHECK-NEXT: linalg.yield [[EXP]]
// CHECK: [[C2:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT2:%[a-z0-9_]+]] = linalg.fill ins([[C2]] {{.*}} -> tensor<4xf32>
// CHECK: [[Y3:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: iterator_types = ["parallel", "reduction"]
// CHECK-SAME: ins([[Y2]] :
// CHECK-SAME: outs([[INIT2]] : tensor<4xf32>)
// CHECK-NEXT: ^bb0([[IN4:%[a-z0-9_]+]]: f32, [[OUT3:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT3]], [[IN4]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: [[Y4:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: iterator_types = ["parallel"]
// CHECK-SAME: ins([[Y3]], [[Y]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4xf32>)
// CHECK-NEXT: ^bb0([[IN5:%[a-z0-9_]+]]: f32, [[IN6:%[a-z0-9_]+]]: f32, [[OUT4:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[LOG:%[a-z0-9_]+]] = math.log [[IN5]]
// CHECK-NEXT: [[ADDF2:%[a-z0-9_]+]] = arith.addf [[LOG]], [[IN6]]
// CHECK-NEXT: linalg.yield [[ADDF2]]
// CHECK: [[Y5:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[X]], [[Y4]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN7:%[a-z0-9_]+]]: f32, [[IN8:%[a-z0-9_]+]]: f32, [[OUT5:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[SUBF2:%[a-z0-9_]+]] = arith.subf [[IN7]], [[IN8]]
// CHECK-NEXT: linalg.yield [[SUBF2]]
// CHECK: return [[Y5]]
func.func @log_softmax(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.log_softmax %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// g - exp(y) sum(g)
// CHECK-LABEL: func.func @log_softmax_grad
// CHECK-SAME: ([[G:%[a-z0-9_]+]]: tensor<4x8xf32>, [[Y:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<4xf32>
// CHECK: [[Y2:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: iterator_types = ["parallel", "reduction"]
// CHECK-SAME: ins([[G]] :
// CHECK-SAME: outs([[INIT]] : tensor<4xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[IN]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: [[Y3:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[G]], [[Y]], [[Y2]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN2:%[a-z0-9_]+]]: f32, [[IN3:%[a-z0-9_]+]]: f32, [[IN4:%[a-z0-9_]+]]: f32, [[OUT2:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[EXP:%[a-z0-9_]+]] = math.exp [[IN3]]
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[EXP]], [[IN4]]
// CHECK-NEXT: [[SUBF:%[a-z0-9_]+]] = arith.subf [[IN2]], [[MULF]]
// CHECK-NEXT: linalg.yield [[SUBF]]
// CHECK: return [[Y3]]
func.func @log_softmax_grad(%g: tensor<4x8xf32>, %y: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.log_softmax_grad %g, %y : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// The sum over rows of logsumexp(x) - x[label], times 1 / 4.
// CHECK-LABEL: func.func @cross_entropy
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x8xf32>, [[LABEL:%[a-z0-9_]+]]: tensor<4xi32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0xFF800000 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<4xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: iterator_types = ["parallel", "reduction"]
// CHECK-SAME: ins([[X]] :
// CHECK-SAME: outs([[INIT]] : tensor<4xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[CMPF:%[a-z0-9_]+]] = arith.cmpf olt, [[OUT]], [[IN]]
// CHECK-NEXT: [[SELECT:%[a-z0-9_]+]] = arith.select [[CMPF]], [[IN]], [[OUT]]
// CHECK-NEXT: linalg.yield [[SELECT]]
// CHECK: [[Y2:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[X]], [[Y]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN2:%[a-z0-9_]+]]: f32, [[IN3:%[a-z0-9_]+]]: f32, [[OUT2:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[SUBF:%[a-z0-9_]+]] = arith.subf [[IN2]], [[IN3]]
// CHECK-NEXT: [[EXP:%[a-z0-9_]+]] = math.exp [[SUBF]]
// CHECK-NEXT: linalg.yield [[EXP]]
// CHECK: [[C2:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT2:%[a-z0-9_]+]] = linalg.fill ins([[C2]] {{.*}} -> tensor<4xf32>
// CHECK: [[Y3:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: iterator_types = ["parallel", "reduction"]
// CHECK-SAME: ins([[Y2]] :
// CHECK-SAME: outs([[INIT2]] : tensor<4xf32>)
// CHECK-NEXT: ^bb0([[IN4:%[a-z0-9_]+]]: f32, [[OUT3:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT3]], [[IN4]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: [[Y4:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: iterator_types = ["parallel"]
// CHECK-SAME: ins([[Y3]], [[Y]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4xf32>)
// CHECK-NEXT: ^bb0([[IN5:%[a-z0-9_]+]]: f32, [[IN6:%[a-z0-9_]+]]: f32, [[OUT4:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[LOG:%[a-z0-9_]+]] = math.log [[IN5]]
// CHECK-NEXT: [[ADDF2:%[a-z0-9_]+]] = arith.addf [[LOG]], [[IN6]]
// CHECK-NEXT: linalg.yield [[ADDF2]]
// CHECK: [[C3:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT3:%[a-z0-9_]+]] = linalg.fill ins([[C3]] {{.*}} -> tensor<f32>
// CHECK: [[Y5:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: -> ()>
// CHECK-SAME: iterator_types = ["reduction", "reduction"]
// CHECK-SAME: ins([[X]], [[Y4]], [[LABEL]] :
// CHECK-SAME: outs([[INIT3]] : tensor<f32>)
// CHECK-NEXT: ^bb0([[IN7:%[a-z0-9_]+]]: f32, [[IN8:%[a-z0-9_]+]]: f32, [[IN9:%[a-z0-9_]+]]: i32, [[OUT5:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[SUBF2:%[a-z0-9_]+]] = arith.subf [[IN8]], [[IN7]]
// CHECK-NEXT: [[C4:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK-NEXT: [[INDEX:%[a-z0-9_]+]] = linalg.index 1
// CHECK-NEXT: [[INDEX_CAST:%[a-z0-9_]+]] = arith.index_cast [[INDEX]] : index to i32
// CHECK-NEXT: [[CMPI:%[a-z0-9_]+]] = arith.cmpi eq, [[INDEX_CAST]], [[IN9]]
// CHECK-NEXT: [[SELECT2:%[a-z0-9_]+]] = arith.select [[CMPI]], [[SUBF2]], [[C4]]
// CHECK-NEXT: [[ADDF3:%[a-z0-9_]+]] = arith.addf [[OUT5]], [[SELECT2]]
// CHECK-NEXT: linalg.yield [[ADDF3]]
// CHECK: [[Y6:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> ()>
// CHECK-SAME: -> ()>
// CHECK-SAME: iterator_types = []
// CHECK-SAME: ins([[Y5]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<f32>)
// CHECK-NEXT: ^bb0([[IN10:%[a-z0-9_]+]]: f32, [[OUT6:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[C5:%[a-z0-9_]+]] = arith.constant 2.500000e-01 : f32
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN10]], [[C5]]
// CHECK-NEXT: linalg.yield [[MULF]]
// CHECK: return [[Y6]]
func.func @cross_entropy(%x: tensor<4x8xf32>, %label: tensor<4xi32>) -> tensor<f32> {
  %0 = tinytrain.cross_entropy %x, %label : (tensor<4x8xf32>, tensor<4xi32>) -> tensor<f32>
  return %0 : tensor<f32>
}

// (exp(x - logsumexp(x)) - onehot(label)) g / 4
// CHECK-LABEL: func.func @cross_entropy_grad
// CHECK-SAME: ([[G:%[a-z0-9_]+]]: tensor<f32>, [[X:%[a-z0-9_]+]]: tensor<4x8xf32>, [[LABEL:%[a-z0-9_]+]]: tensor<4xi32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0xFF800000 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<4xf32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: iterator_types = ["parallel", "reduction"]
// CHECK-SAME: ins([[X]] :
// CHECK-SAME: outs([[INIT]] : tensor<4xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[CMPF:%[a-z0-9_]+]] = arith.cmpf olt, [[OUT]], [[IN]]
// CHECK-NEXT: [[SELECT:%[a-z0-9_]+]] = arith.select [[CMPF]], [[IN]], [[OUT]]
// CHECK-NEXT: linalg.yield [[SELECT]]
// CHECK: [[Y2:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[X]], [[Y]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN2:%[a-z0-9_]+]]: f32, [[IN3:%[a-z0-9_]+]]: f32, [[OUT2:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[SUBF:%[a-z0-9_]+]] = arith.subf [[IN2]], [[IN3]]
// CHECK-NEXT: [[EXP:%[a-z0-9_]+]] = math.exp [[SUBF]]
// CHECK-NEXT: linalg.yield [[EXP]]
// CHECK: [[C2:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT2:%[a-z0-9_]+]] = linalg.fill ins([[C2]] {{.*}} -> tensor<4xf32>
// CHECK: [[Y3:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: iterator_types = ["parallel", "reduction"]
// CHECK-SAME: ins([[Y2]] :
// CHECK-SAME: outs([[INIT2]] : tensor<4xf32>)
// CHECK-NEXT: ^bb0([[IN4:%[a-z0-9_]+]]: f32, [[OUT3:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT3]], [[IN4]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: [[Y4:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: iterator_types = ["parallel"]
// CHECK-SAME: ins([[Y3]], [[Y]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4xf32>)
// CHECK-NEXT: ^bb0([[IN5:%[a-z0-9_]+]]: f32, [[IN6:%[a-z0-9_]+]]: f32, [[OUT4:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[LOG:%[a-z0-9_]+]] = math.log [[IN5]]
// CHECK-NEXT: [[ADDF2:%[a-z0-9_]+]] = arith.addf [[LOG]], [[IN6]]
// CHECK-NEXT: linalg.yield [[ADDF2]]
// CHECK: [[Y5:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> ()>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: -> (d0)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[G]], [[X]], [[Y4]], [[LABEL]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN7:%[a-z0-9_]+]]: f32, [[IN8:%[a-z0-9_]+]]: f32, [[IN9:%[a-z0-9_]+]]: f32, [[IN10:%[a-z0-9_]+]]: i32, [[OUT5:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[SUBF2:%[a-z0-9_]+]] = arith.subf [[IN8]], [[IN9]]
// CHECK-NEXT: [[EXP2:%[a-z0-9_]+]] = math.exp [[SUBF2]]
// CHECK-NEXT: [[C3:%[a-z0-9_]+]] = arith.constant 1.000000e+00 : f32
// CHECK-NEXT: [[SUBF3:%[a-z0-9_]+]] = arith.subf [[EXP2]], [[C3]]
// CHECK-NEXT: [[INDEX:%[a-z0-9_]+]] = linalg.index 1
// CHECK-NEXT: [[INDEX_CAST:%[a-z0-9_]+]] = arith.index_cast [[INDEX]] : index to i32
// CHECK-NEXT: [[CMPI:%[a-z0-9_]+]] = arith.cmpi eq, [[INDEX_CAST]], [[IN10]]
// CHECK-NEXT: [[SELECT2:%[a-z0-9_]+]] = arith.select [[CMPI]], [[SUBF3]], [[EXP2]]
// CHECK-NEXT: [[C4:%[a-z0-9_]+]] = arith.constant 2.500000e-01 : f32
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN7]], [[C4]]
// CHECK-NEXT: [[MULF2:%[a-z0-9_]+]] = arith.mulf [[SELECT2]], [[MULF]]
// CHECK-NEXT: linalg.yield [[MULF2]]
// CHECK: return [[Y5]]
func.func @cross_entropy_grad(%g: tensor<f32>, %x: tensor<4x8xf32>, %label: tensor<4xi32>) -> tensor<4x8xf32> {
  %0 = tinytrain.cross_entropy_grad %g, %x, %label : (tensor<f32>, tensor<4x8xf32>, tensor<4xi32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// 1 / 32 of the sum of squares.
// CHECK-LABEL: func.func @mse
// CHECK-SAME: ([[X:%[a-z0-9_]+]]: tensor<4x8xf32>, [[T:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[C:%[a-z0-9_]+]] = arith.constant 0.000000e+00 : f32
// CHECK: [[INIT:%[a-z0-9_]+]] = linalg.fill ins([[C]] {{.*}} -> tensor<f32>
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> ()>
// CHECK-SAME: iterator_types = ["reduction", "reduction"]
// CHECK-SAME: ins([[X]], [[T]] :
// CHECK-SAME: outs([[INIT]] : tensor<f32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[SUBF:%[a-z0-9_]+]] = arith.subf [[IN]], [[IN2]]
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[SUBF]], [[SUBF]]
// CHECK-NEXT: [[ADDF:%[a-z0-9_]+]] = arith.addf [[OUT]], [[MULF]]
// CHECK-NEXT: linalg.yield [[ADDF]]
// CHECK: [[Y2:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> ()>
// CHECK-SAME: -> ()>
// CHECK-SAME: iterator_types = []
// CHECK-SAME: ins([[Y]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<f32>)
// CHECK-NEXT: ^bb0([[IN3:%[a-z0-9_]+]]: f32, [[OUT2:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[C2:%[a-z0-9_]+]] = arith.constant 3.125000e-02 : f32
// CHECK-NEXT: [[MULF2:%[a-z0-9_]+]] = arith.mulf [[IN3]], [[C2]]
// CHECK-NEXT: linalg.yield [[MULF2]]
// CHECK: return [[Y2]]
func.func @mse(%x: tensor<4x8xf32>, %t: tensor<4x8xf32>) -> tensor<f32> {
  %0 = tinytrain.mse %x, %t : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<f32>
  return %0 : tensor<f32>
}

// 2 / 32
// CHECK-LABEL: func.func @mse_grad
// CHECK-SAME: ([[G:%[a-z0-9_]+]]: tensor<f32>, [[X:%[a-z0-9_]+]]: tensor<4x8xf32>, [[T:%[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: [[Y:%[a-z0-9_]+]] = linalg.generic
// CHECK-SAME: -> ()>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: -> (d0, d1)>
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins([[G]], [[X]], [[T]] :
// CHECK-SAME: outs({{%[a-z0-9_]+}} : tensor<4x8xf32>)
// CHECK-NEXT: ^bb0([[IN:%[a-z0-9_]+]]: f32, [[IN2:%[a-z0-9_]+]]: f32, [[IN3:%[a-z0-9_]+]]: f32, [[OUT:%[a-z0-9_]+]]: f32):
// CHECK-NEXT: [[SUBF:%[a-z0-9_]+]] = arith.subf [[IN2]], [[IN3]]
// CHECK-NEXT: [[C:%[a-z0-9_]+]] = arith.constant 6.250000e-02 : f32
// CHECK-NEXT: [[MULF:%[a-z0-9_]+]] = arith.mulf [[IN]], [[C]]
// CHECK-NEXT: [[MULF2:%[a-z0-9_]+]] = arith.mulf [[SUBF]], [[MULF]]
// CHECK-NEXT: linalg.yield [[MULF2]]
// CHECK: return [[Y]]
func.func @mse_grad(%g: tensor<f32>, %x: tensor<4x8xf32>, %t: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tinytrain.mse_grad %g, %x, %t : (tensor<f32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}
