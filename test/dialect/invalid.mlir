// Every message of the op verifiers and of the attribute verifiers.
// RUN: tinytrain-opt %s --split-input-file --verify-diagnostics

//===----------------------------------------------------------------------===//
// Convolution and matrix product
//===----------------------------------------------------------------------===//

func.func @conv_rank(%x: tensor<8x8x3xf32>, %w: tensor<4x3x3x3xf32>) {
  // expected-error@+2 {{'tinytrain.conv2d' op expects an NHWC input and an OHWI weight of rank 4, got ranks 3 and 4}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<8x8x3xf32>, tensor<4x3x3x3xf32>) -> tensor<1x6x6x4xf32>
  return
}

// -----

func.func @conv_window_sizes(%x: tensor<1x8x8x3xf32>, %w: tensor<4x3x3x3xf32>) {
  // expected-error@+2 {{expects 2 kernel sizes, 2 strides, 4 paddings (top, bottom, left, right) and 2 dilations}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.conv2d %x, %w {strides = array<i64: 1>, padding = array<i64: 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x8x8x3xf32>, tensor<4x3x3x3xf32>) -> tensor<1x6x6x4xf32>
  return
}

// -----

func.func @conv_negative_padding(%x: tensor<1x8x8x3xf32>, %w: tensor<4x3x3x3xf32>) {
  // expected-error@+2 {{expects positive kernel sizes, strides and dilations and no negative padding}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: -1, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x8x8x3xf32>, tensor<4x3x3x3xf32>) -> tensor<1x6x6x4xf32>
  return
}

// -----

func.func @conv_channels(%x: tensor<1x8x8x3xf32>, %w: tensor<4x3x3x2xf32>) {
  // expected-error@+2 {{expects 3 input channels to match a weight of 2 input and 4 output channels in 1 groups}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x8x8x3xf32>, tensor<4x3x3x2xf32>) -> tensor<1x6x6x4xf32>
  return
}

// -----

// The output channels are no multiple of the groups.
func.func @conv_groups(%x: tensor<1x8x8x4xf32>, %w: tensor<5x3x3x2xf32>) {
  // expected-error@+2 {{expects 4 input channels to match a weight of 2 input and 5 output channels in 2 groups}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x8x8x4xf32>, tensor<5x3x3x2xf32>) -> tensor<1x6x6x5xf32>
  return
}

// -----

func.func @conv_large_window(%x: tensor<1x2x8x3xf32>, %w: tensor<4x3x3x3xf32>) {
  // expected-error@+2 {{has a window larger than the padded input of 2x8}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x2x8x3xf32>, tensor<4x3x3x3xf32>) -> tensor<1x1x6x4xf32>
  return
}

// -----

// The result's shape follows from the operands.
func.func @conv_result(%x: tensor<1x8x8x3xf32>, %w: tensor<4x3x3x3xf32>) {
  // expected-error@+2 {{inferred type(s) 'tensor<1x6x6x4xf32>' are incompatible with return type(s) of operation 'tensor<1x8x8x4xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x8x8x3xf32>, tensor<4x3x3x3xf32>) -> tensor<1x8x8x4xf32>
  return
}

// -----

// Shapes are static.
func.func @dynamic_shape(%x: tensor<?x8xf32>) {
  // expected-error@+1 {{operand #0 must be statically shaped tensor of 32-bit float or quantized type values, but got 'tensor<?x8xf32>'}}
  %0 = tinytrain.relu %x : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @input_grad_shape(%g: tensor<1x5x6x4xf32>, %w: tensor<4x3x3x3xf32>) {
  // expected-error@+1 {{'tinytrain.conv2d_input_grad' op expects a gradient of shape [1, 6, 6, 4], got 'tensor<1x5x6x4xf32>'}}
  %0 = tinytrain.conv2d_input_grad %g, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x5x6x4xf32>, tensor<4x3x3x3xf32>) -> tensor<1x8x8x3xf32>
  return
}

// -----

func.func @input_grad_channels(%g: tensor<1x6x6x4xf32>, %w: tensor<4x3x3x2xf32>) {
  // expected-error@+1 {{'tinytrain.conv2d_input_grad' op expects 3 input channels to match a weight of 2 input and 4 output channels in 1 groups}}
  %0 = tinytrain.conv2d_input_grad %g, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x6x6x4xf32>, tensor<4x3x3x2xf32>) -> tensor<1x8x8x3xf32>
  return
}

// -----

func.func @weight_grad_shape(%x: tensor<1x8x8x3xf32>, %g: tensor<1x8x8x4xf32>) {
  // expected-error@+1 {{'tinytrain.conv2d_weight_grad' op expects a gradient of shape [1, 6, 6, 4], got 'tensor<1x8x8x4xf32>'}}
  %0 = tinytrain.conv2d_weight_grad %x, %g {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x8x8x3xf32>, tensor<1x8x8x4xf32>) -> tensor<4x3x3x3xf32>
  return
}

// -----

func.func @weight_grad_rank(%x: tensor<1x8x8x3xf32>, %g: tensor<1x6x6x4xf32>) {
  // expected-error@+1 {{'tinytrain.conv2d_weight_grad' op expects an NHWC input and an OHWI weight of rank 4, got ranks 4 and 3}}
  %0 = tinytrain.conv2d_weight_grad %x, %g {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x8x8x3xf32>, tensor<1x6x6x4xf32>) -> tensor<3x3x3xf32>
  return
}

// -----

func.func @matmul_rank(%a: tensor<8xf32>, %b: tensor<8x2xf32>) {
  // expected-error@+2 {{'tinytrain.matmul' op expects two matrices or two batches of matrices, got ranks 1 and 2}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.matmul %a, %b : (tensor<8xf32>, tensor<8x2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @matmul_inner(%a: tensor<4x8xf32>, %b: tensor<2x8xf32>) {
  // expected-error@+2 {{expects matching inner and batch dimensions, got 'tensor<4x8xf32>' and 'tensor<2x8xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.matmul %a, %b : (tensor<4x8xf32>, tensor<2x8xf32>) -> tensor<4x2xf32>
  return
}

// -----

func.func @matmul_batch(%a: tensor<2x4x8xf32>, %b: tensor<3x8x2xf32>) {
  // expected-error@+2 {{expects matching inner and batch dimensions, got 'tensor<2x4x8xf32>' and 'tensor<3x8x2xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.matmul %a, %b : (tensor<2x4x8xf32>, tensor<3x8x2xf32>) -> tensor<2x4x2xf32>
  return
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

// -----

func.func @bias_length(%x: tensor<4x8xf32>, %b: tensor<4xf32>) {
  // expected-error@+2 {{'tinytrain.bias_add' op expects a vector as long as the last dimension of 'tensor<4x8xf32>', got 'tensor<4xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.bias_add %x, %b : (tensor<4x8xf32>, tensor<4xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @binary_shapes(%x: tensor<4x8xf32>, %y: tensor<8x4xf32>) {
  // expected-error@+1 {{'tinytrain.add' op requires the same shape for all operands}}
  %0 = tinytrain.add %x, %y : (tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @clamp_interval(%x: tensor<4xf32>) {
  // expected-error@+1 {{'tinytrain.clamp' op expects min <= max, got 2.000000e+00 and 1.000000e+00}}
  %0 = tinytrain.clamp %x {min = 2.0 : f32, max = 1.0 : f32} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @clamp_grad_shapes(%g: tensor<4xf32>, %y: tensor<8xf32>) {
  // expected-error@+2 {{'tinytrain.clamp_grad' op expects operands of one shape, got 'tensor<4xf32>' and 'tensor<8xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.clamp_grad %g, %y {min = 0.0 : f32, max = 6.0 : f32} : (tensor<4xf32>, tensor<8xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @clamp_mask_rank(%x: tensor<2x4x8xf32>) {
  // expected-error@+2 {{'tinytrain.clamp_mask' op expects rows of channels, got 'tensor<2x4x8xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.clamp_mask %x {min = 0.0 : f32, max = 6.0 : f32} : (tensor<2x4x8xf32>) -> tensor<1x8xi8>
  return
}

// -----

// Nine rows are two bytes.
func.func @clamp_mask_rows(%x: tensor<9x4xf32>) {
  // expected-error@+2 {{inferred type(s) 'tensor<2x4xi8>' are incompatible with return type(s) of operation 'tensor<1x4xi8>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.clamp_mask %x {min = 0.0 : f32, max = 6.0 : f32} : (tensor<9x4xf32>) -> tensor<1x4xi8>
  return
}

// -----

func.func @clamp_mask_element(%x: tensor<8x4xf32>) {
  // expected-error@+1 {{'tinytrain.clamp_mask' op expects bytes of bits, got 'tensor<1x4xi32>'}}
  %0 = tinytrain.clamp_mask %x {min = 0.0 : f32, max = 6.0 : f32} : (tensor<8x4xf32>) -> tensor<1x4xi32>
  return
}

// -----

// Ten rows, too.
func.func @mask_grad_rows(%g: tensor<2x5x3xf32>, %m: tensor<1x3xi8>) {
  // expected-error@+2 {{'tinytrain.mask_grad' op expects a mask of 2x3 bytes for 'tensor<2x5x3xf32>', got 'tensor<1x3xi8>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.mask_grad %g, %m : (tensor<2x5x3xf32>, tensor<1x3xi8>) -> tensor<2x5x3xf32>
  return
}

// -----

func.func @mask_grad_channels(%g: tensor<8x3xf32>, %m: tensor<1x4xi8>) {
  // expected-error@+2 {{'tinytrain.mask_grad' op expects a mask of 1x3 bytes for 'tensor<8x3xf32>', got 'tensor<1x4xi8>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.mask_grad %g, %m : (tensor<8x3xf32>, tensor<1x4xi8>) -> tensor<8x3xf32>
  return
}

// -----

func.func @mask_grad_element(%g: tensor<8x3xf32>, %m: tensor<1x3xi32>) {
  // expected-error@+2 {{'tinytrain.mask_grad' op expects a mask of 1x3 bytes for 'tensor<8x3xf32>', got 'tensor<1x3xi32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.mask_grad %g, %m : (tensor<8x3xf32>, tensor<1x3xi32>) -> tensor<8x3xf32>
  return
}

// -----

func.func @mask_grad_scalar(%g: tensor<f32>, %m: tensor<1x1xi8>) {
  // expected-error@+2 {{'tinytrain.mask_grad' op expects a gradient with channels, got a scalar}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.mask_grad %g, %m : (tensor<f32>, tensor<1x1xi8>) -> tensor<f32>
  return
}

// -----

func.func @softmax_grad_shapes(%g: tensor<4xf32>, %y: tensor<8xf32>) {
  // expected-error@+2 {{'tinytrain.softmax_grad' op expects operands of one shape, got 'tensor<4xf32>' and 'tensor<8xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.softmax_grad %g, %y : (tensor<4xf32>, tensor<8xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @log_softmax_grad_shapes(%g: tensor<4xf32>, %y: tensor<8xf32>) {
  // expected-error@+2 {{'tinytrain.log_softmax_grad' op expects operands of one shape, got 'tensor<4xf32>' and 'tensor<8xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.log_softmax_grad %g, %y : (tensor<4xf32>, tensor<8xf32>) -> tensor<4xf32>
  return
}

//===----------------------------------------------------------------------===//
// Pooling
//===----------------------------------------------------------------------===//

// -----

func.func @pool_rank(%x: tensor<8x8x4xf32>) {
  // expected-error@+2 {{'tinytrain.max_pool' op expects an NHWC input of rank 4, got rank 3}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.max_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<8x8x4xf32>) -> tensor<4x4x4xf32>
  return
}

// -----

func.func @pool_padding(%x: tensor<1x8x8x4xf32>) {
  // expected-error@+2 {{'tinytrain.avg_pool' op expects a padding smaller than the kernel}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.avg_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 2, 0, 0, 0>} : (tensor<1x8x8x4xf32>) -> tensor<1x5x4x4xf32>
  return
}

// -----

func.func @pool_large_window(%x: tensor<1x1x8x4xf32>) {
  // expected-error@+2 {{'tinytrain.max_pool_argmax' op has a window larger than the padded input of 1x8}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.max_pool_argmax %x {kernel = array<i64: 2, 2>, strides = array<i64: 1, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<1x1x8x4xf32>) -> tensor<1x1x4x4xi8>
  return
}

// -----

func.func @pool_zero_stride(%x: tensor<1x8x8x4xf32>) {
  // expected-error@+2 {{expects positive kernel sizes, strides and dilations and no negative padding}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.max_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 0, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<1x8x8x4xf32>) -> tensor<1x4x4x4xf32>
  return
}

// -----

// 16 * 8 = 128 positions do not fit the byte that the argmax keeps.
func.func @max_pool_grad_window(%g: tensor<1x1x1x4xf32>, %i: tensor<1x1x1x4xi8>) {
  // expected-error@+1 {{'tinytrain.max_pool_grad' op expects a window of at most 127 elements}}
  %0 = tinytrain.max_pool_grad %g, %i {kernel = array<i64: 16, 8>, strides = array<i64: 16, 8>, padding = array<i64: 0, 0, 0, 0>} : (tensor<1x1x1x4xf32>, tensor<1x1x1x4xi8>) -> tensor<1x16x8x4xf32>
  return
}

// -----

func.func @max_pool_grad_argmax(%g: tensor<1x4x4x4xf32>, %i: tensor<1x4x2x4xi8>) {
  // expected-error@+1 {{'tinytrain.max_pool_grad' op expects one argmax per window}}
  %0 = tinytrain.max_pool_grad %g, %i {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<1x4x4x4xf32>, tensor<1x4x2x4xi8>) -> tensor<1x8x8x4xf32>
  return
}

// -----

func.func @max_pool_grad_shape(%g: tensor<1x4x2x4xf32>, %i: tensor<1x4x4x4xi8>) {
  // expected-error@+1 {{'tinytrain.max_pool_grad' op expects a gradient of shape [1, 4, 4, 4], got 'tensor<1x4x2x4xf32>'}}
  %0 = tinytrain.max_pool_grad %g, %i {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<1x4x2x4xf32>, tensor<1x4x4x4xi8>) -> tensor<1x8x8x4xf32>
  return
}

// -----

func.func @avg_pool_grad_shape(%g: tensor<1x4x2x4xf32>) {
  // expected-error@+1 {{'tinytrain.avg_pool_grad' op expects a gradient of shape [1, 4, 4, 4], got 'tensor<1x4x2x4xf32>'}}
  %0 = tinytrain.avg_pool_grad %g {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<1x4x2x4xf32>) -> tensor<1x8x8x4xf32>
  return
}

// -----

func.func @global_avg_pool_rank(%x: tensor<8x8x4xf32>) {
  // expected-error@+2 {{'tinytrain.global_avg_pool' op expects an NHWC input of rank 4, got 'tensor<8x8x4xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.global_avg_pool %x : (tensor<8x8x4xf32>) -> tensor<8x4xf32>
  return
}

//===----------------------------------------------------------------------===//
// Shape
//===----------------------------------------------------------------------===//

// -----

func.func @reshape_elements(%x: tensor<4x6xf32>) {
  // expected-error@+1 {{'tinytrain.reshape' op expects as many elements of the same type, got 'tensor<4x6xf32>' and 'tensor<25xf32>'}}
  %0 = tinytrain.reshape %x : (tensor<4x6xf32>) -> tensor<25xf32>
  return
}

// -----

func.func @reshape_type(%x: tensor<4x6xf32>) {
  // expected-error@+1 {{'tinytrain.reshape' op expects as many elements of the same type, got 'tensor<4x6xf32>' and 'tensor<24xi32>'}}
  %0 = tinytrain.reshape %x : (tensor<4x6xf32>) -> tensor<24xi32>
  return
}

// -----

func.func @transpose_repeats(%x: tensor<4x6xf32>) {
  // expected-error@+2 {{'tinytrain.transpose' op expects a permutation of 2 dimensions}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.transpose %x {permutation = array<i64: 1, 1>} : (tensor<4x6xf32>) -> tensor<6x6xf32>
  return
}

// -----

// The last element stands at 2 + 2 * 2 = 6.
func.func @slice_outside(%x: tensor<4x6xf32>) {
  // expected-error@+2 {{'tinytrain.slice' op expects offsets, sizes and strides inside 'tensor<4x6xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.slice %x {offsets = array<i64: 0, 2>, sizes = array<i64: 4, 3>, strides = array<i64: 1, 2>} : (tensor<4x6xf32>) -> tensor<4x3xf32>
  return
}

// -----

func.func @pad_negative(%x: tensor<4x6xf32>) {
  // expected-error@+2 {{'tinytrain.pad' op expects one non-negative low, high and interior padding per dimension}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.pad %x {low = array<i64: 0, -1>, high = array<i64: 0, 0>, interior = array<i64: 0, 0>} : (tensor<4x6xf32>) -> tensor<4x5xf32>
  return
}

// -----

func.func @pad_rank(%x: tensor<4x6xf32>) {
  // expected-error@+2 {{'tinytrain.pad' op expects one non-negative low, high and interior padding per dimension}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.pad %x {low = array<i64: 1>, high = array<i64: 0>, interior = array<i64: 0>} : (tensor<4x6xf32>) -> tensor<5x6xf32>
  return
}

// -----

func.func @concat_nothing() {
  // expected-error@+2 {{'tinytrain.concat' op expects at least one input}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.concat  {axis = 0 : i64} : () -> tensor<4xf32>
  return
}

// -----

func.func @concat_axis(%x: tensor<4x6xf32>) {
  // expected-error@+2 {{'tinytrain.concat' op expects an axis within [0, 2)}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.concat %x, %x {axis = 2 : i64} : (tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<8x6xf32>
  return
}

// -----

func.func @concat_rank(%x: tensor<4x6xf32>, %y: tensor<4xf32>) {
  // expected-error@+2 {{'tinytrain.concat' op expects inputs of one rank}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.concat %x, %y {axis = 0 : i64} : (tensor<4x6xf32>, tensor<4xf32>) -> tensor<8x6xf32>
  return
}

// -----

func.func @concat_shapes(%x: tensor<4x6xf32>, %y: tensor<4x5xf32>) {
  // expected-error@+2 {{'tinytrain.concat' op expects inputs that differ along the axis only}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.concat %x, %y {axis = 0 : i64} : (tensor<4x6xf32>, tensor<4x5xf32>) -> tensor<8x6xf32>
  return
}

// -----

func.func @broadcast_order(%x: tensor<4x4xf32>) {
  // expected-error@+1 {{'tinytrain.broadcast' op expects ascending dims that map 'tensor<4x4xf32>' into 'tensor<4x4xf32>'}}
  %0 = tinytrain.broadcast %x {dims = array<i64: 1, 0>} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  return
}

// -----

func.func @broadcast_size(%x: tensor<4xf32>) {
  // expected-error@+1 {{'tinytrain.broadcast' op expects ascending dims that map 'tensor<4xf32>' into 'tensor<8x4xf32>'}}
  %0 = tinytrain.broadcast %x {dims = array<i64: 0>} : (tensor<4xf32>) -> tensor<8x4xf32>
  return
}

//===----------------------------------------------------------------------===//
// Reductions, losses and updates
//===----------------------------------------------------------------------===//

// -----

func.func @reduce_sum_dims(%x: tensor<4x6xf32>) {
  // expected-error@+2 {{'tinytrain.reduce_sum' op expects ascending dims within [0, 2)}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.reduce_sum %x {dims = array<i64: 1, 0>} : (tensor<4x6xf32>) -> tensor<f32>
  return
}

// -----

func.func @reduce_mean_dims(%x: tensor<4x6xf32>) {
  // expected-error@+2 {{'tinytrain.reduce_mean' op expects ascending dims within [0, 2)}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.reduce_mean %x {dims = array<i64: 0, 0>} : (tensor<4x6xf32>) -> tensor<f32>
  return
}

// -----

func.func @reduce_max_dims(%x: tensor<4x6xf32>) {
  // expected-error@+2 {{'tinytrain.reduce_max' op expects ascending dims within [0, 2)}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.reduce_max %x {dims = array<i64: 2>} : (tensor<4x6xf32>) -> tensor<f32>
  return
}

// -----

func.func @cross_entropy_labels(%x: tensor<4x6xf32>, %i: tensor<3xi32>) {
  // expected-error@+2 {{'tinytrain.cross_entropy' op expects logits [N, classes] and N labels, got 'tensor<4x6xf32>' and 'tensor<3xi32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.cross_entropy %x, %i : (tensor<4x6xf32>, tensor<3xi32>) -> tensor<f32>
  return
}

// -----

func.func @cross_entropy_grad_rank(%g: tensor<f32>, %x: tensor<6xf32>, %i: tensor<6xi32>) {
  // expected-error@+2 {{'tinytrain.cross_entropy_grad' op expects logits [N, classes] and N labels, got 'tensor<6xf32>' and 'tensor<6xi32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.cross_entropy_grad %g, %x, %i : (tensor<f32>, tensor<6xf32>, tensor<6xi32>) -> tensor<6xf32>
  return
}

// -----

func.func @mse_shapes(%x: tensor<4xf32>, %t: tensor<8xf32>) {
  // expected-error@+2 {{'tinytrain.mse' op expects operands of one shape, got 'tensor<4xf32>' and 'tensor<8xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.mse %x, %t : (tensor<4xf32>, tensor<8xf32>) -> tensor<f32>
  return
}

// -----

func.func @mse_grad_shapes(%g: tensor<f32>, %x: tensor<4xf32>, %t: tensor<8xf32>) {
  // expected-error@+2 {{'tinytrain.mse_grad' op expects operands of one shape, got 'tensor<4xf32>' and 'tensor<8xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.mse_grad %g, %x, %t : (tensor<f32>, tensor<4xf32>, tensor<8xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @sgd_update_shapes(%w: tensor<4xf32>, %g: tensor<8xf32>, %lr: tensor<f32>) {
  // expected-error@+2 {{'tinytrain.sgd_update' op expects a gradient of the shape of 'tensor<4xf32>', or shorter along the last dimension, got 'tensor<8xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.sgd_update %w, %g, %lr : (tensor<4xf32>, tensor<8xf32>, tensor<f32>) -> tensor<4xf32>
  return
}

// -----

func.func @sgd_update_rate(%w: tensor<4xf32>, %lr: tensor<1xf32>) {
  // expected-error@+1 {{'tinytrain.sgd_update' op operand #2 must be 0D tensor of 32-bit float values}}
  %0 = tinytrain.sgd_update %w, %w, %lr : (tensor<4xf32>, tensor<4xf32>, tensor<1xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @momentum_update_shapes(%v: tensor<4xf32>, %g: tensor<8xf32>, %w: tensor<4xf32>) {
  // expected-error@+2 {{'tinytrain.momentum_update' op expects velocity and gradient of one shape, that of the parameter or shorter along the last dimension, got 'tensor<4xf32>', 'tensor<8xf32>' and 'tensor<4xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = tinytrain.momentum_update %v, %g, %w {momentum = 0.5 : f32} : (tensor<4xf32>, tensor<8xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

// -----

func.func @kernel_arguments(%x: tensor<4xf32>, %y: tensor<4xf32>) {
  // expected-error@+1 {{'tinytrain.kernel' op expects one region argument per operand, got 1 for 2}}
  %k = tinytrain.kernel ins(%x, %y) outs() : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>):
    %0 = tinytrain.relu %a : (tensor<4xf32>) -> tensor<4xf32>
    tinytrain.yield %0 : tensor<4xf32>
  }
  return
}

// -----

func.func @kernel_argument_type(%x: tensor<8xf32>) {
  // expected-error@+1 {{'tinytrain.kernel' op region argument #0 has type 'tensor<4xf32>' where its operand has 'tensor<8xf32>'}}
  %k = tinytrain.kernel ins(%x) outs() : (tensor<8xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>):
    %0 = tinytrain.relu %a : (tensor<4xf32>) -> tensor<4xf32>
    tinytrain.yield %0 : tensor<4xf32>
  }
  return
}

// -----

func.func @kernel_terminator(%x: tensor<4xf32>) {
  // expected-error@+1 {{'tinytrain.kernel' op expects its region to end in tinytrain.yield}}
  %k = tinytrain.kernel ins(%x) outs() : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>):
    %0 = tinytrain.relu %a : (tensor<4xf32>) -> tensor<4xf32>
    cf.br ^bb0(%0 : tensor<4xf32>)
  }
  return
}

// -----

func.func @kernel_init_count(%x: tensor<4xf32>, %i: tensor<4xf32>, %j: tensor<4xf32>) {
  // expected-error@+1 {{'tinytrain.kernel' op expects one init per yielded value}}
  %k = tinytrain.kernel ins(%x) outs(%i, %j) : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>, %b: tensor<4xf32>, %c: tensor<4xf32>):
    %0 = tinytrain.relu %a : (tensor<4xf32>) -> tensor<4xf32>
    tinytrain.yield %0 : tensor<4xf32>
  }
  return
}

// -----

func.func @kernel_init_type(%x: tensor<4xf32>, %i: tensor<8xf32>) {
  // expected-error@+1 {{'tinytrain.kernel' op yields 'tensor<4xf32>' into an init of type 'tensor<8xf32>'}}
  %k = tinytrain.kernel ins(%x) outs(%i) : (tensor<4xf32>, tensor<8xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>, %b: tensor<8xf32>):
    %0 = tinytrain.relu %a : (tensor<4xf32>) -> tensor<4xf32>
    tinytrain.yield %0 : tensor<4xf32>
  }
  return
}

// -----

func.func @kernel_on_memrefs_with_result(%x: memref<4xf32>, %i: memref<4xf32>) {
  // expected-error@+1 {{'tinytrain.kernel' op on memrefs writes its inits and has no results}}
  %k = tinytrain.kernel ins(%x) outs(%i) : (memref<4xf32>, memref<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>, %b: tensor<4xf32>):
    %0 = tinytrain.relu %a : (tensor<4xf32>) -> tensor<4xf32>
    tinytrain.yield %0 : tensor<4xf32>
  }
  return
}

// -----

func.func @kernel_result_type(%x: tensor<4xf32>) {
  // expected-error@+1 {{'tinytrain.kernel' op yields types that differ from its result types}}
  %k = tinytrain.kernel ins(%x) outs() : (tensor<4xf32>) -> tensor<8xf32> {
  ^bb0(%a: tensor<4xf32>):
    %0 = tinytrain.relu %a : (tensor<4xf32>) -> tensor<4xf32>
    tinytrain.yield %0 : tensor<4xf32>
  }
  return
}

//===----------------------------------------------------------------------===//
// Attributes of a graph's signature
//===----------------------------------------------------------------------===//

// -----

// expected-error@+1 {{op 'tinytrain.needs_grad' stands on a tensor argument, not on 'index'}}
func.func @needs_grad_type(%i: index {tinytrain.needs_grad = true}) {
  return
}

// -----

// expected-error@+1 {{op 'tinytrain.needs_grad' as a fraction must lie in (0, 1], got 0.000000e+00}}
func.func @needs_grad_zero(%w: tensor<8xf32> {tinytrain.needs_grad = 0.0}) {
  return
}

// -----

// expected-error@+1 {{op 'tinytrain.needs_grad' as a fraction must lie in (0, 1], got 1.500000e+00}}
func.func @needs_grad_large(%w: tensor<8xf32> {tinytrain.needs_grad = 1.5}) {
  return
}

// -----

// expected-error@+1 {{op 'tinytrain.needs_grad' as a channel set needs a dimension}}
func.func @needs_grad_scalar(%w: tensor<f32> {tinytrain.needs_grad = array<i64: 0>}) {
  return
}

// -----

// expected-error@+1 {{op 'tinytrain.needs_grad' as a channel set must be ascending, without repetition and within [0, 8), got 3}}
func.func @needs_grad_repeats(%w: tensor<8xf32> {tinytrain.needs_grad = array<i64: 3, 3>}) {
  return
}

// -----

// Channels are those of the last dimension.
// expected-error@+1 {{op 'tinytrain.needs_grad' as a channel set must be ascending, without repetition and within [0, 8), got 8}}
func.func @needs_grad_outside(%w: tensor<2x8xf32> {tinytrain.needs_grad = array<i64: 0, 8>}) {
  return
}

// -----

// expected-error@+1 {{op 'tinytrain.needs_grad' must be true, false, a fraction or an i64 array of channels, got "yes"}}
func.func @needs_grad_kind(%w: tensor<8xf32> {tinytrain.needs_grad = "yes"}) {
  return
}

// -----

// expected-error@+1 {{op 'tinytrain.param' must be a string, got unit}}
func.func @param_name(%w: tensor<8xf32> {tinytrain.param}) {
  return
}

// -----

// expected-error@+1 {{op 'tinytrain.state' must be a string, got 3}}
func.func @state_name(%w: tensor<8xf32> {tinytrain.state = 3}) {
  return
}

// -----

// expected-error@+1 {{op 'tinytrain.cotangent' must be the number of a result of the argument's type, got 1}}
func.func @cotangent_number(%g: tensor<8xf32> {tinytrain.cotangent = 1}) -> tensor<8xf32> {
  return %g : tensor<8xf32>
}

// -----

// expected-error@+1 {{op 'tinytrain.cotangent' must be the number of a result of the argument's type, got 0}}
func.func @cotangent_type(%g: tensor<8xf32>, %h: tensor<4xf32> {tinytrain.cotangent = 0}) -> tensor<8xf32> {
  return %g : tensor<8xf32>
}

// -----

// expected-error@+1 {{op has an unknown argument attribute 'tinytrain.weight'}}
func.func @argument_attribute(%g: tensor<8xf32> {tinytrain.weight}) {
  return
}

// -----

// expected-error@+1 {{op 'tinytrain.loss' stands on a scalar tensor result, not on 'tensor<8xf32>'}}
func.func @loss_type(%g: tensor<8xf32>) -> (tensor<8xf32> {tinytrain.loss}) {
  return %g : tensor<8xf32>
}

// -----

// expected-error@+1 {{op 'tinytrain.gradient_of' must be the number of an argument, got 1}}
func.func @gradient_of_number(%g: tensor<8xf32>) -> (tensor<8xf32> {tinytrain.gradient_of = 1}) {
  return %g : tensor<8xf32>
}

// -----

// expected-error@+1 {{op 'tinytrain.update_of' must be the number of an argument, got "w"}}
func.func @update_of_number(%g: tensor<8xf32>) -> (tensor<8xf32> {tinytrain.update_of = "w"}) {
  return %g : tensor<8xf32>
}

// -----

// expected-error@+1 {{op has an unknown result attribute 'tinytrain.label'}}
func.func @result_attribute(%g: tensor<8xf32>) -> (tensor<8xf32> {tinytrain.label}) {
  return %g : tensor<8xf32>
}

// -----

// expected-error@+1 {{op has an unknown attribute 'tinytrain.arena'}}
func.func @operation_attribute(%g: tensor<8xf32>) -> tensor<8xf32> attributes {tinytrain.arena = 4} {
  return %g : tensor<8xf32>
}

// -----

// expected-error@+1 {{op 'tinytrain.order' must be "rows" or "channels", got "columns"}}
func.func @order() attributes {tinytrain.order = "columns"} {
  return
}
