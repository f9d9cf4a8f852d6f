// How a kernel's result may overlap an operand that dies: array<i64: input, result, below,
// above> says that the result starts at most `below` or at least `above` bytes behind the
// input. A core without vectors, so that tiles do not depend on the machine.
// RUN: tinytrain-opt %s --convert-tinytrain-to-linalg --tinytrain-lower-kernels=target=cortex-m7 | FileCheck %s

// The nest is walked up to the first loop of several elements a step, whose step is in flight
// as a whole. At position k of it, `below` keeps what is written up to the end of such a step
// under all that is read from k on. `above` keeps it over all that; it equals the input's size
// wherever the first element is written while the input's end is still to be read: then the
// result lies behind the input altogether.

// A pointwise convolution from 8 channels to 4, four columns at a time: at pixel k, 16 (k + 4)
// bytes are written, and bytes from 32 k on are still to be read. 32 k - 16 (k + 4) is least
// for k = 0: -64. The weight is read to its end at every pixel: no overlap.
// CHECK-LABEL: func.func private @shrink(
// CHECK-SAME: tinytrain.overlaps = [array<i64: 0, 2, -64, 512>]}
func.func @pointwise_shrink(%x: memref<1x4x4x8xf32>, %w: memref<4x1x1x8xf32>, %y: memref<1x4x4x4xf32>) {
  tinytrain.kernel label "shrink" ins(%x, %w) outs(%y) : (memref<1x4x4x8xf32>, memref<4x1x1x8xf32>, memref<1x4x4x4xf32>) -> () {
  ^bb0(%a: tensor<1x4x4x8xf32>, %c: tensor<4x1x1x8xf32>, %e: tensor<1x4x4x4xf32>):
    %0 = tinytrain.conv2d %a, %c {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x4x4x8xf32>, tensor<4x1x1x8xf32>) -> tensor<1x4x4x4xf32>
    tinytrain.yield %0 : tensor<1x4x4x4xf32>
  }
  return
}

// From 4 channels to 8: the result overtakes the input. Bytes from 16 k on are still to be read
// when 32 (k + 4) of 512 are written: 16 k - 32 (k + 4) is least where the last step begins, at
// k = 12: 192 - 512 = -320. So much has to lie before the input; the last 192 bytes may overlap.
// CHECK-LABEL: func.func private @grow(
// CHECK-SAME: tinytrain.overlaps = [array<i64: 0, 2, -320, 256>]}
func.func @pointwise_grow(%x: memref<1x4x4x4xf32>, %w: memref<8x1x1x4xf32>, %y: memref<1x4x4x8xf32>) {
  tinytrain.kernel label "grow" ins(%x, %w) outs(%y) : (memref<1x4x4x4xf32>, memref<8x1x1x4xf32>, memref<1x4x4x8xf32>) -> () {
  ^bb0(%a: tensor<1x4x4x4xf32>, %c: tensor<8x1x1x4xf32>, %e: tensor<1x4x4x8xf32>):
    %0 = tinytrain.conv2d %a, %c {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x4x4x4xf32>, tensor<8x1x1x4xf32>) -> tensor<1x4x4x8xf32>
    tinytrain.yield %0 : tensor<1x4x4x8xf32>
  }
  return
}

// Depthwise, 3x3, padded: 8 bytes a pixel, 48 a row, four columns at a time. Pixel (r, c) still
// needs row r - 1 from column c - 1 on, 48 + 8 bytes behind its own place; four pixels, 32
// bytes, are in flight: -88.
// CHECK-LABEL: func.func private @depthwise(
// CHECK-SAME: tinytrain.overlaps = [array<i64: 0, 2, -88, 288>]}
func.func @depthwise_3x3(%x: memref<1x6x6x2xf32>, %w: memref<1x3x3x2xf32>, %y: memref<1x6x6x2xf32>) {
  tinytrain.kernel label "depthwise" ins(%x, %w) outs(%y) : (memref<1x6x6x2xf32>, memref<1x3x3x2xf32>, memref<1x6x6x2xf32>) -> () {
  ^bb0(%a: tensor<1x6x6x2xf32>, %c: tensor<1x3x3x2xf32>, %e: tensor<1x6x6x2xf32>):
    %0 = tinytrain.conv2d %a, %c {strides = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x6x6x2xf32>, tensor<1x3x3x2xf32>) -> tensor<1x6x6x2xf32>
    tinytrain.yield %0 : tensor<1x6x6x2xf32>
  }
  return
}

// With stride two the reads run ahead of the result: it is tightest at the start, where row 0 is
// still to be read from column 0 on and two pixels, 16 bytes, are in flight.
// CHECK-LABEL: func.func private @strided(
// CHECK-SAME: tinytrain.overlaps = [array<i64: 0, 2, -16, 288>]}
func.func @depthwise_strided(%x: memref<1x6x6x2xf32>, %w: memref<1x3x3x2xf32>, %y: memref<1x3x3x2xf32>) {
  tinytrain.kernel label "strided" ins(%x, %w) outs(%y) : (memref<1x6x6x2xf32>, memref<1x3x3x2xf32>, memref<1x3x3x2xf32>) -> () {
  ^bb0(%a: tensor<1x6x6x2xf32>, %c: tensor<1x3x3x2xf32>, %e: tensor<1x3x3x2xf32>):
    %0 = tinytrain.conv2d %a, %c {strides = array<i64: 2, 2>, padding = array<i64: 1, 0, 1, 0>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x6x6x2xf32>, tensor<1x3x3x2xf32>) -> tensor<1x3x3x2xf32>
    tinytrain.yield %0 : tensor<1x3x3x2xf32>
  }
  return
}

// A residual sum goes element by element: the result trails each operand by one float.
// CHECK-LABEL: func.func private @residual(
// CHECK-SAME: tinytrain.overlaps = [array<i64: 0, 2, -4, 128>, array<i64: 1, 2, -4, 128>]}
func.func @elementwise(%x: memref<4x8xf32>, %z: memref<4x8xf32>, %y: memref<4x8xf32>) {
  tinytrain.kernel label "residual" ins(%x, %z) outs(%y) : (memref<4x8xf32>, memref<4x8xf32>, memref<4x8xf32>) -> () {
  ^bb0(%a: tensor<4x8xf32>, %b: tensor<4x8xf32>, %e: tensor<4x8xf32>):
    %0 = tinytrain.add %a, %b : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    tinytrain.yield %0 : tensor<4x8xf32>
  }
  return
}

// Elements of different size: when byte k of the mask (of channel c, row after row) is written,
// its eight rows of four floats are being read. Bytes from 128 b on are still to be read while
// 4 b + c + 1 bytes are written: least for b = 0, where channel c reads from 4 c on and the
// other row of bytes from 128 on: 4 c - (c + 1) = -1 for c = 0.
// CHECK-LABEL: func.func private @mask(
// CHECK-SAME: tinytrain.overlaps = [array<i64: 0, 1, -1, 256>]}
func.func @packed(%x: memref<16x4xf32>, %y: memref<2x4xi8>) {
  tinytrain.kernel label "mask" ins(%x) outs(%y) : (memref<16x4xf32>, memref<2x4xi8>) -> () {
  ^bb0(%a: tensor<16x4xf32>, %e: tensor<2x4xi8>):
    %0 = tinytrain.clamp_mask %a {min = 0.0 : f32, max = 6.0 : f32} : (tensor<16x4xf32>) -> tensor<2x4xi8>
    tinytrain.yield %0 : tensor<2x4xi8>
  }
  return
}

// A transpose reads ahead and behind. Row 3 of the result, at 48, reads column 3 from byte 12
// on: when its first float is written, 12 - 52 = -40. Before that, row i leaves column i + 1 to
// be read from 4 (i + 1) on, with at most 16 (i + 1) written: -36 for i = 2.
// CHECK-LABEL: func.func private @transpose(
// CHECK-SAME: tinytrain.overlaps = [array<i64: 0, 1, -40, 64>]}
func.func @transposed(%x: memref<4x4xf32>, %y: memref<4x4xf32>) {
  tinytrain.kernel label "transpose" ins(%x) outs(%y) : (memref<4x4xf32>, memref<4x4xf32>) -> () {
  ^bb0(%a: tensor<4x4xf32>, %e: tensor<4x4xf32>):
    %0 = tinytrain.transpose %a {permutation = array<i64: 1, 0>} : (tensor<4x4xf32>) -> tensor<4x4xf32>
    tinytrain.yield %0 : tensor<4x4xf32>
  }
  return
}

// What is never read does not count. Of 16 floats the first four: float i is written when those
// from i on are to be read, up to byte 16. Below, 4 i - 4 (i + 1) = -4; or behind byte 16.
// CHECK-LABEL: func.func private @front(
// CHECK-SAME: tinytrain.overlaps = [array<i64: 0, 1, -4, 16>]}
func.func @reads_front(%x: memref<16xf32>, %y: memref<4xf32>) {
  tinytrain.kernel label "front" ins(%x) outs(%y) : (memref<16xf32>, memref<4xf32>) -> () {
  ^bb0(%a: tensor<16xf32>, %e: tensor<4xf32>):
    %0 = tensor.extract_slice %a[0] [4] [1] : tensor<16xf32> to tensor<4xf32>
    %1 = tinytrain.exp %0 : (tensor<4xf32>) -> tensor<4xf32>
    tinytrain.yield %1 : tensor<4xf32>
  }
  return
}

// The last four: 48 + 4 i - 4 (i + 1) = 44. The result may lie on the bytes that nobody reads.
// CHECK-LABEL: func.func private @back(
// CHECK-SAME: tinytrain.overlaps = [array<i64: 0, 1, 44, 64>]}
func.func @reads_back(%x: memref<16xf32>, %y: memref<4xf32>) {
  tinytrain.kernel label "back" ins(%x) outs(%y) : (memref<16xf32>, memref<4xf32>) -> () {
  ^bb0(%a: tensor<16xf32>, %e: tensor<4xf32>):
    %0 = tensor.extract_slice %a[12] [4] [1] : tensor<16xf32> to tensor<4xf32>
    %1 = tinytrain.exp %0 : (tensor<4xf32>) -> tensor<4xf32>
    tinytrain.yield %1 : tensor<4xf32>
  }
  return
}

// Both: an operand's accesses count together.
// CHECK-LABEL: func.func private @front_and_back(
// CHECK-SAME: tinytrain.overlaps = [array<i64: 0, 1, -4, 64>]}
func.func @reads_both(%x: memref<16xf32>, %y: memref<4xf32>) {
  tinytrain.kernel label "front_and_back" ins(%x) outs(%y) : (memref<16xf32>, memref<4xf32>) -> () {
  ^bb0(%a: tensor<16xf32>, %e: tensor<4xf32>):
    %0 = tensor.extract_slice %a[0] [4] [1] : tensor<16xf32> to tensor<4xf32>
    %1 = tensor.extract_slice %a[12] [4] [1] : tensor<16xf32> to tensor<4xf32>
    %2 = tinytrain.add %0, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    tinytrain.yield %2 : tensor<4xf32>
  }
  return
}

// A depthwise convolution with the sum of a residual connection around it: row r, 32 bytes, needs
// row r - 1 for the window from pixel 0 on, and its first three pixels, 24 bytes, are in flight:
// 32 (r - 1) - (32 r + 24) = -56.
// CHECK-LABEL: func.func private @around(
// CHECK-SAME: tinytrain.overlaps = [array<i64: 0, 2, -56, 128>]}
func.func @convolution_and_sum(%x: memref<1x4x4x2xf32>, %w: memref<1x3x3x2xf32>, %y: memref<1x4x4x2xf32>) {
  tinytrain.kernel label "around" ins(%x, %w) outs(%y) : (memref<1x4x4x2xf32>, memref<1x3x3x2xf32>, memref<1x4x4x2xf32>) -> () {
  ^bb0(%a: tensor<1x4x4x2xf32>, %c: tensor<1x3x3x2xf32>, %e: tensor<1x4x4x2xf32>):
    %0 = tinytrain.conv2d %a, %c {strides = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x4x4x2xf32>, tensor<1x3x3x2xf32>) -> tensor<1x4x4x2xf32>
    %1 = tinytrain.add %0, %a : (tensor<1x4x4x2xf32>, tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xf32>
    tinytrain.yield %1 : tensor<1x4x4x2xf32>
  }
  return
}

// A weight gradient reads all of both operands for each weight.
// CHECK-LABEL: func.func private @weight_grad(
// CHECK-SAME: attributes {tinytrain.kernel} {
func.func @weight_gradient(%x: memref<1x6x6x2xf32>, %g: memref<1x4x4x4xf32>, %y: memref<4x3x3x2xf32>) {
  tinytrain.kernel label "weight_grad" ins(%x, %g) outs(%y) : (memref<1x6x6x2xf32>, memref<1x4x4x4xf32>, memref<4x3x3x2xf32>) -> () {
  ^bb0(%a: tensor<1x6x6x2xf32>, %c: tensor<1x4x4x4xf32>, %e: tensor<4x3x3x2xf32>):
    %0 = tinytrain.conv2d_weight_grad %a, %c {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x6x6x2xf32>, tensor<1x4x4x4xf32>) -> tensor<4x3x3x2xf32>
    tinytrain.yield %0 : tensor<4x3x3x2xf32>
  }
  return
}

// A sum of everything: one float, written while the whole input counts as being read.
// CHECK-LABEL: func.func private @sum(
// CHECK-SAME: attributes {tinytrain.kernel} {
func.func @reduction(%x: memref<8x4xf32>, %y: memref<f32>) {
  tinytrain.kernel label "sum" ins(%x) outs(%y) : (memref<8x4xf32>, memref<f32>) -> () {
  ^bb0(%a: tensor<8x4xf32>, %e: tensor<f32>):
    %0 = tinytrain.reduce_sum %a {dims = array<i64: 0, 1>} : (tensor<8x4xf32>) -> tensor<f32>
    tinytrain.yield %0 : tensor<f32>
  }
  return
}

// What is updated in place is no operand that dies.
// CHECK-LABEL: func.func private @in_place(
// CHECK-SAME: attributes {tinytrain.kernel} {
func.func @updated(%y: memref<4x8xf32>) {
  tinytrain.kernel label "in_place" ins() outs(%y) : (memref<4x8xf32>) -> () {
  ^bb0(%e: tensor<4x8xf32>):
    %0 = tinytrain.scale %e {factor = 2.0 : f32} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    tinytrain.yield %0 : tensor<4x8xf32>
  }
  return
}
