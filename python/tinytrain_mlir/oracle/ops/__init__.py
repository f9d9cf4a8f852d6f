"""One function per op of the dialect: the definition of what it computes.

Images are NHWC, weights OHWI, those of depthwise convolutions 1xKHxKWxC. Where floating-point
arithmetic decides an integer result, the docstring says where it rounds; no two of those operations
may be contracted into one. Elsewhere f32 results are computed in float64 and rounded once.
Gradients of quantized tensors are f32, with respect to the stored integers.
"""

from __future__ import annotations

from .contraction import conv2d, conv2d_input_grad, conv2d_weight_grad, matmul
from .elementwise import (
    add,
    bias_add,
    channel_scale,
    clamp,
    clamp_grad,
    clamp_mask,
    div,
    exp,
    log,
    mask_grad,
    mul,
    relu,
    scale,
    shift,
    sub,
)
from .gradient import dequantize_gradient, gradient_scale, quantize_gradient
from .pooling import (
    avg_pool,
    avg_pool_grad,
    global_avg_pool,
    max_pool,
    max_pool_argmax,
    max_pool_grad,
)
from .quantized import (
    add_quantized,
    avg_pool_quantized,
    bias_add_quantized,
    global_avg_pool_quantized,
    multipliers,
    requantize,
)
from .reduction import (
    cross_entropy,
    cross_entropy_grad,
    log_softmax,
    log_softmax_grad,
    mse,
    mse_grad,
    reduce_max,
    reduce_mean,
    reduce_sum,
    softmax,
    softmax_grad,
)
from .shape import broadcast, concat, pad, reshape, slice_, transpose
from .update import (
    momentum_update,
    next_random,
    round_master,
    sgd_update,
    sgd_update_quantized,
    uniform_noise,
)

__all__ = [
    "add",
    "add_quantized",
    "avg_pool",
    "avg_pool_grad",
    "avg_pool_quantized",
    "bias_add",
    "bias_add_quantized",
    "broadcast",
    "channel_scale",
    "clamp",
    "clamp_grad",
    "clamp_mask",
    "concat",
    "conv2d",
    "conv2d_input_grad",
    "conv2d_weight_grad",
    "cross_entropy",
    "cross_entropy_grad",
    "dequantize_gradient",
    "div",
    "exp",
    "global_avg_pool",
    "global_avg_pool_quantized",
    "gradient_scale",
    "log",
    "log_softmax",
    "log_softmax_grad",
    "mask_grad",
    "matmul",
    "max_pool",
    "max_pool_argmax",
    "max_pool_grad",
    "momentum_update",
    "mse",
    "mse_grad",
    "mul",
    "multipliers",
    "next_random",
    "pad",
    "quantize_gradient",
    "reduce_max",
    "reduce_mean",
    "reduce_sum",
    "relu",
    "requantize",
    "reshape",
    "round_master",
    "scale",
    "sgd_update",
    "sgd_update_quantized",
    "shift",
    "slice_",
    "softmax",
    "softmax_grad",
    "sub",
    "transpose",
    "uniform_noise",
]
