// An expansion that only a depthwise convolution reads exists group of channels by group.
// RUN: tinytrain-opt %s --tinytrain-fuse-ops --tinytrain-split-channels --split-input-file | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-fuse-ops --tinytrain-split-channels=max-groups=1 --split-input-file | FileCheck %s --check-prefix=ONE
// RUN: tinytrain-opt %s --tinytrain-fuse-ops --tinytrain-split-channels --split-input-file --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | FileCheck %s --check-prefix=STATS

// The expansion has 8 * 8 * 8 floats, 2048 bytes, the result of the depthwise convolution (stride 2)
// 512, the projection 128: without the pair at most 512 + 128 bytes are alive. A group needs its
// share of 2048 beside 512, which no number of groups brings down to 640; with four channels in
// each there are two. 2048 / 2 bytes do not exist at a time.
// STATS: SplitChannels
// STATS-DAG: 1024 bytes-removed
// STATS-DAG: 1 pairs-split

// CHECK-LABEL: func.func @block
// CHECK: [[WHOLE:%.+]] = tensor.empty() : tensor<1x4x4x8xf32>
// CHECK: [[PART:%.+]] = tinytrain.kernel label "conv2d_relu" {{.*}} -> tensor<1x8x8x4xf32>
// CHECK: tinytrain.slice %{{.+}} {offsets = array<i64: 0, 0, 0, 0>, sizes = array<i64: 4, 1, 1, 2>
// CHECK: [[HALF:%.+]] = tinytrain.kernel label "conv2d" ins([[PART]], {{.*}}) outs([[WHOLE]])
// CHECK: tinytrain.slice %{{.+}} {offsets = array<i64: 0, 0, 0, 0>, sizes = array<i64: 1, 3, 3, 4>
// CHECK: groups = 4 : i64
// CHECK: tensor.insert_slice %{{.+}} into %{{.+}}[0, 0, 0, 0] [1, 4, 4, 4] [1, 1, 1, 1]
// CHECK: [[PART2:%.+]] = tinytrain.kernel label "conv2d_relu" {{.*}} -> tensor<1x8x8x4xf32>
// CHECK: tinytrain.slice %{{.+}} {offsets = array<i64: 4, 0, 0, 0>, sizes = array<i64: 4, 1, 1, 2>
// CHECK: [[DONE:%.+]] = tinytrain.kernel label "conv2d" ins([[PART2]], {{.*}}) outs([[HALF]])
// CHECK: tensor.insert_slice %{{.+}} into %{{.+}}[0, 0, 0, 4] [1, 4, 4, 4] [1, 1, 1, 1]
// CHECK: tinytrain.kernel label "conv2d" ins([[DONE]],

// ONE-NOT: tensor.insert_slice
func.func @block(%x: tensor<1x8x8x2xf32>, %e: tensor<8x1x1x2xf32>, %d: tensor<1x3x3x8xf32>, %p: tensor<2x1x1x8xf32>)
    -> tensor<1x4x4x2xf32> {
  %0 = tinytrain.conv2d %x, %e {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>}
      : (tensor<1x8x8x2xf32>, tensor<8x1x1x2xf32>) -> tensor<1x8x8x8xf32>
  %1 = tinytrain.relu %0 : (tensor<1x8x8x8xf32>) -> tensor<1x8x8x8xf32>
  %2 = tinytrain.conv2d %1, %d {strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 8}
      : (tensor<1x8x8x8xf32>, tensor<1x3x3x8xf32>) -> tensor<1x4x4x8xf32>
  %3 = tinytrain.conv2d %2, %p {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>}
      : (tensor<1x4x4x8xf32>, tensor<2x1x1x8xf32>) -> tensor<1x4x4x2xf32>
  return %3 : tensor<1x4x4x2xf32>
}

// -----

// An expansion that something else reads too stays whole.
// CHECK-LABEL: func.func @kept
// CHECK-NOT: tensor.insert_slice
func.func @kept(%x: tensor<1x8x8x2xf32>, %e: tensor<8x1x1x2xf32>, %d: tensor<1x3x3x8xf32>)
    -> (tensor<1x4x4x8xf32>, tensor<1x8xf32>) {
  %0 = tinytrain.conv2d %x, %e {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>}
      : (tensor<1x8x8x2xf32>, tensor<8x1x1x2xf32>) -> tensor<1x8x8x8xf32>
  %1 = tinytrain.conv2d %0, %d {strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 8}
      : (tensor<1x8x8x8xf32>, tensor<1x3x3x8xf32>) -> tensor<1x4x4x8xf32>
  %2 = tinytrain.global_avg_pool %0 : (tensor<1x8x8x8xf32>) -> tensor<1x8xf32>
  return %1, %2 : tensor<1x4x4x8xf32>, tensor<1x8xf32>
}

// -----

// Nor is a pair cut that needs no more memory than another op: the pooling's
// result has 4096 bytes.
// CHECK-LABEL: func.func @small
// CHECK-NOT: tensor.insert_slice
func.func @small(%x: tensor<1x8x8x2xf32>, %big: tensor<1x16x16x4xf32>, %e: tensor<8x1x1x2xf32>, %d: tensor<1x3x3x8xf32>)
    -> (tensor<1x4x4x8xf32>, tensor<1x4xf32>) {
  %0 = tinytrain.conv2d %x, %e {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>}
      : (tensor<1x8x8x2xf32>, tensor<8x1x1x2xf32>) -> tensor<1x8x8x8xf32>
  %1 = tinytrain.conv2d %0, %d {strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 8}
      : (tensor<1x8x8x8xf32>, tensor<1x3x3x8xf32>) -> tensor<1x4x4x8xf32>
  %2 = tinytrain.max_pool %big {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>}
      : (tensor<1x16x16x4xf32>) -> tensor<1x16x16x4xf32>
  %3 = tinytrain.global_avg_pool %2 : (tensor<1x16x16x4xf32>) -> tensor<1x4xf32>
  return %1, %3 : tensor<1x4x4x8xf32>, tensor<1x4xf32>
}
