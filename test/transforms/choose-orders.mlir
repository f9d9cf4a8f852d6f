// RUN: tinytrain-opt %s --split-input-file --convert-tinytrain-to-linalg --tinytrain-choose-orders=target=cortex-m7 | FileCheck %s
// RUN: tinytrain-opt %s --split-input-file --convert-tinytrain-to-linalg --tinytrain-choose-orders=target=cortex-a72 | FileCheck %s --check-prefix=VECTORS
// RUN: tinytrain-opt %s --split-input-file --convert-tinytrain-to-linalg --tinytrain-choose-orders="target=cortex-m7 overlap=false" | FileCheck %s --check-prefix=ALONE
// RUN: not tinytrain-opt %s --split-input-file --tinytrain-choose-orders=target=z80 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// UNKNOWN: error: unknown target 'z80'
// VECTORS-NOT: tinytrain.order

// The arena is as small as it is because the depthwise convolution's result overlaps its input.
// CHECK-LABEL: func.func @tight
// CHECK-NOT: tinytrain.order
// CHECK: return
// ALONE-LABEL: func.func @tight
// ALONE: tinytrain.kernel label "depthwise"
// ALONE: {tinytrain.order = "channels"}
func.func @tight(%x: memref<1x8x8x192xf32>, %w: memref<1x3x3x192xf32>, %y: memref<1x8x8x192xf32>) {
  %a = memref.alloc() : memref<1x8x8x192xf32>
  %b = memref.alloc() : memref<1x8x8x192xf32>
  tinytrain.kernel label "first" ins(%x) outs(%a) : (memref<1x8x8x192xf32>, memref<1x8x8x192xf32>) -> () {
  ^bb0(%p: tensor<1x8x8x192xf32>, %e: tensor<1x8x8x192xf32>):
    %0 = tinytrain.exp %p : (tensor<1x8x8x192xf32>) -> tensor<1x8x8x192xf32>
    tinytrain.yield %0 : tensor<1x8x8x192xf32>
  }
  tinytrain.kernel label "depthwise" ins(%a, %w) outs(%b) : (memref<1x8x8x192xf32>, memref<1x3x3x192xf32>, memref<1x8x8x192xf32>) -> () {
  ^bb0(%p: tensor<1x8x8x192xf32>, %q: tensor<1x3x3x192xf32>, %e: tensor<1x8x8x192xf32>):
    %0 = tinytrain.conv2d %p, %q {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, groups = 192 : i64} : (tensor<1x8x8x192xf32>, tensor<1x3x3x192xf32>) -> tensor<1x8x8x192xf32>
    tinytrain.yield %0 : tensor<1x8x8x192xf32>
  }
  tinytrain.kernel label "last" ins(%b) outs(%y) : (memref<1x8x8x192xf32>, memref<1x8x8x192xf32>) -> () {
  ^bb0(%p: tensor<1x8x8x192xf32>, %e: tensor<1x8x8x192xf32>):
    %0 = tinytrain.exp %p : (tensor<1x8x8x192xf32>) -> tensor<1x8x8x192xf32>
    tinytrain.yield %0 : tensor<1x8x8x192xf32>
  }
  return
}

// -----

// Something else needs more memory: the result may lie beside the input.
// CHECK-LABEL: func.func @spare
// CHECK: tinytrain.kernel label "depthwise"
// CHECK: {tinytrain.order = "channels"}
func.func @spare(%x: memref<1x8x8x192xf32>, %large: memref<4x8x8x192xf32>, %w: memref<1x3x3x192xf32>, %y: memref<1x8x8x192xf32>, %z: memref<4x8x8x192xf32>) {
  %a = memref.alloc() : memref<1x8x8x192xf32>
  %b = memref.alloc() : memref<1x8x8x192xf32>
  %c = memref.alloc() : memref<4x8x8x192xf32>
  tinytrain.kernel label "first" ins(%x) outs(%a) : (memref<1x8x8x192xf32>, memref<1x8x8x192xf32>) -> () {
  ^bb0(%p: tensor<1x8x8x192xf32>, %e: tensor<1x8x8x192xf32>):
    %0 = tinytrain.exp %p : (tensor<1x8x8x192xf32>) -> tensor<1x8x8x192xf32>
    tinytrain.yield %0 : tensor<1x8x8x192xf32>
  }
  tinytrain.kernel label "depthwise" ins(%a, %w) outs(%b) : (memref<1x8x8x192xf32>, memref<1x3x3x192xf32>, memref<1x8x8x192xf32>) -> () {
  ^bb0(%p: tensor<1x8x8x192xf32>, %q: tensor<1x3x3x192xf32>, %e: tensor<1x8x8x192xf32>):
    %0 = tinytrain.conv2d %p, %q {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, groups = 192 : i64} : (tensor<1x8x8x192xf32>, tensor<1x3x3x192xf32>) -> tensor<1x8x8x192xf32>
    tinytrain.yield %0 : tensor<1x8x8x192xf32>
  }
  tinytrain.kernel label "last" ins(%b) outs(%y) : (memref<1x8x8x192xf32>, memref<1x8x8x192xf32>) -> () {
  ^bb0(%p: tensor<1x8x8x192xf32>, %e: tensor<1x8x8x192xf32>):
    %0 = tinytrain.exp %p : (tensor<1x8x8x192xf32>) -> tensor<1x8x8x192xf32>
    tinytrain.yield %0 : tensor<1x8x8x192xf32>
  }
  tinytrain.kernel label "large" ins(%large) outs(%c) : (memref<4x8x8x192xf32>, memref<4x8x8x192xf32>) -> () {
  ^bb0(%p: tensor<4x8x8x192xf32>, %e: tensor<4x8x8x192xf32>):
    %0 = tinytrain.exp %p : (tensor<4x8x8x192xf32>) -> tensor<4x8x8x192xf32>
    tinytrain.yield %0 : tensor<4x8x8x192xf32>
  }
  tinytrain.kernel label "larger" ins(%c) outs(%z) : (memref<4x8x8x192xf32>, memref<4x8x8x192xf32>) -> () {
  ^bb0(%p: tensor<4x8x8x192xf32>, %e: tensor<4x8x8x192xf32>):
    %0 = tinytrain.exp %p : (tensor<4x8x8x192xf32>) -> tensor<4x8x8x192xf32>
    tinytrain.yield %0 : tensor<4x8x8x192xf32>
  }
  return
}
