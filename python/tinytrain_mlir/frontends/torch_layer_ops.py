"""Translation rules of layers: convolution, matrix products, batch norm, softmax, reductions and pooling."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .graph_builder import Shape
from .torch_rules import (
    BatchNorm,
    Op,
    Unsupported,
    bias_name,
    from_nhwc,
    image_value,
    known_array,
    pair,
    rule,
)
from .torch_tensor_ops import add, scale
from .torch_tensors import (
    NHWC,
    Activation,
    Constant,
    Lowering,
    Parameter,
    Reshaped,
    Tensor,
    normalize_dim,
)

# Convolutions, linear layers, batch norm


def _check_weight(weight: Tensor) -> None:
    if isinstance(weight, Parameter) and weight.quantization is not None:
        if weight.quantization.zero_point:
            raise Unsupported(
                "a weight must be quantized with zero point 0: use a symmetric scheme"
            )
        if weight.quantization.axis not in (None, 0):
            raise Unsupported("a weight may have one scale for each output channel: use ch_axis=0")


def _fold(op: Op, weight: Any, bias: Any) -> tuple[Any, Any]:
    """Weight and bias with the following batch norm folded in, under the layer's own parameter names."""
    if op.batch_norm is None:
        return weight, bias
    assert isinstance(weight, Parameter)
    norm = op.batch_norm
    array = weight.array * norm.scale.reshape(-1, *(1 for _ in weight.array.shape[1:]))
    offset = norm.shift if bias is None else norm.shift + known_array(bias) * norm.scale
    name = bias.name if isinstance(bias, Parameter) else bias_name(weight.name)
    layout = weight.layout.identity(offset.shape)
    return replace(weight, array=array.astype(np.float32)), Parameter(
        name, offset.astype(np.float32), layout
    )


@rule("aten.conv2d", "aten.conv2d.padding")
def _conv2d(
    ctx: Lowering,
    op: Op,
    x: Tensor,
    weight: Tensor,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Tensor:
    _check_weight(weight)
    image = image_value(ctx, x)
    kernel, dilations = weight.shape[2:], pair(dilation)
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilations, kernel, strict=True)]
        sides = (total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2)
    else:
        rows, columns = (0, 0) if padding == "valid" else pair(padding)
        sides = (rows, rows, columns, columns)
    weight, bias = _fold(op, weight, bias)
    depthwise = 1 < groups == x.shape[1] == weight.shape[0]
    filters = ctx.value(weight, (1, 2, 3, 0) if depthwise else (0, 2, 3, 1))
    return ctx.bias_add(
        from_nhwc(ctx.builder.conv2d(image, filters, pair(stride), sides, dilations, int(groups))),
        bias,
    )


@rule("aten.linear")
def _linear(ctx: Lowering, op: Op, x: Tensor, weight: Tensor, bias: Any) -> Tensor:
    _check_weight(weight)
    weight, bias = _fold(op, weight, bias)
    return ctx.linear(x, weight, bias)


@rule("aten._native_batch_norm_legit_no_training")
def _batch_norm(
    ctx: Lowering,
    op: Op,
    x: Tensor,
    weight: Any,
    bias: Any,
    mean: Any,
    var: Any,
    momentum: float,
    eps: float,
) -> list[Any]:
    norm = BatchNorm.of(weight, bias, mean, var, eps)
    channel = (-1, *(1 for _ in x.shape[2:]))
    scaled = ctx.binary(x, Constant(norm.scale.reshape(channel)), ctx.builder.mul)
    return [add(ctx, op, scaled, Constant(norm.shift.reshape(channel)), 1), None, None]


# Matrix products


@rule("aten.mm", "aten.bmm", "aten.matmul")
def _matmul(ctx: Lowering, op: Op, a: Tensor, b: Tensor) -> Tensor:
    if len(a.shape) == 1:
        return ctx.reshape(_matmul(ctx, op, ctx.reshape(a, (1, -1)), b), op.shapes[0])
    if len(b.shape) == 1:
        return ctx.reshape(_matmul(ctx, op, a, ctx.reshape(b, (-1, 1))), op.shapes[0])
    if len(b.shape) == 2:
        return ctx.linear(a, ctx.permute(b, (1, 0)), None)
    batch = tuple(np.broadcast_shapes(a.shape[:-2], b.shape[:-2]))
    a, b = (_stack(ctx, v, batch) for v in (a, b))
    return ctx.reshape(ctx.product(a, b), op.shapes[0])


def _stack(ctx: Lowering, x: Tensor, batch: Shape) -> Tensor:
    """A stack [B, M, K] of matrices from x [..., M, K] broadcast to the leading dims ``batch``."""
    shape = (*batch, *x.shape[-2:])
    if x.shape != shape:
        order = tuple(range(len(shape)))
        x = Activation(ctx.broadcast(x, shape, order), shape, order)
    stack = ctx.reshape(x, (math.prod(batch), *shape[-2:]))
    return ctx.activation(stack) if isinstance(stack, Reshaped) else stack


@rule("aten.addmm", "aten.baddbmm")
def _addmm(
    ctx: Lowering, op: Op, bias: Tensor, a: Tensor, b: Tensor, beta: float, alpha: float
) -> Tensor:
    return add(ctx, op, scale(ctx, _matmul(ctx, op, a, b), float(alpha)), bias, beta)


@rule("aten.scaled_dot_product_attention")
def _attention(
    ctx: Lowering,
    op: Op,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Any,
    dropout: float,
    causal: bool,
    factor: float | None,
    gqa: bool,
) -> Tensor:
    if dropout or causal or gqa:
        raise Unsupported("only plain attention is supported: no dropout, is_causal or enable_gqa")
    swap = (*range(len(k.shape) - 2), -1, -2)
    shape = (*op.shapes[0][:-1], k.shape[-2])
    factor = 1.0 / math.sqrt(q.shape[-1]) if factor is None else factor
    scores = _matmul(ctx, Op(op.name, (shape,)), scale(ctx, q, factor), ctx.permute(k, swap))
    if mask is not None:
        if not isinstance(mask, Constant) or mask.array.dtype == np.bool_:
            raise Unsupported(
                "an attention mask must be a float buffer that is added to the scores"
            )
        scores = add(ctx, op, scores, mask, 1)
    return _matmul(ctx, op, softmax(ctx, op, scores, -1, None), v)


# Softmax and reductions


def _last_axis(ctx: Lowering, x: Tensor, dim: int, emit: Callable[[Any], Any]) -> Tensor:
    x = ctx.activation(x)
    dim = normalize_dim(dim, len(x.shape))
    if x.order[-1] != dim:
        x = ctx.ordered(x, (*(d for d in x.order if d != dim), dim))
    return replace(x, value=emit(x.value))


@rule("aten.softmax.int", "aten._softmax")
def softmax(ctx: Lowering, op: Op, x: Tensor, dim: int, _: Any) -> Tensor:
    return _last_axis(ctx, x, dim, ctx.builder.softmax)


@rule("aten.log_softmax.int", "aten._log_softmax")
def _log_softmax(ctx: Lowering, op: Op, x: Tensor, dim: int, _: Any) -> Tensor:
    return _last_axis(ctx, x, dim, ctx.builder.log_softmax)


def _reduce(
    ctx: Lowering,
    op: Op,
    x: Tensor,
    dims: Sequence[int] | None,
    emit: Callable[[Any, tuple[int, ...]], Any],
) -> Tensor:
    x = ctx.activation(x)
    rank = len(x.shape)
    gone = {normalize_dim(d, rank) for d in dims or range(rank)}
    kept = [d for d in range(rank) if d not in gone]
    value = emit(x.value, tuple(i for i, d in enumerate(x.order) if d in gone))
    order = tuple(kept.index(d) for d in x.order if d in kept)
    return ctx.reshape(Activation(value, tuple(x.shape[d] for d in kept), order), op.shapes[0])


@rule("aten.sum", "aten.mean")
def _reduce_all(ctx: Lowering, op: Op, x: Tensor, _: Any) -> Tensor:
    return _reduce(
        ctx,
        op,
        x,
        None,
        ctx.builder.reduce_sum if op.name == "aten.sum" else ctx.builder.reduce_mean,
    )


@rule("aten.sum.dim_IntList")
def _sum(ctx: Lowering, op: Op, x: Tensor, dims: Any, keepdim: bool, _: Any) -> Tensor:
    return _reduce(ctx, op, x, dims, ctx.builder.reduce_sum)


@rule("aten.mean.dim")
def _mean(ctx: Lowering, op: Op, x: Tensor, dims: Any, keepdim: bool, _: Any) -> Tensor:
    x = ctx.activation(x)
    if x.order == NHWC and {normalize_dim(d, 4) for d in dims or ()} == {2, 3}:
        return _global_pool(ctx, op, x)
    return _reduce(ctx, op, x, dims, ctx.builder.reduce_mean)


# Pooling


def _global_pool(ctx: Lowering, op: Op, x: Tensor) -> Tensor:
    value = ctx.builder.global_avg_pool(image_value(ctx, x))
    pooled = Activation(value, x.shape[:2], (0, 1))
    return pooled if op.shapes[0] == pooled.shape else Reshaped(pooled, op.shapes[0])


def _window(
    op: Op,
    x: Tensor,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilations: tuple[int, int],
    ceil_mode: bool,
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int]]:
    """Kernel, strides and (top, bottom, left, right); in ceil mode the far sides grow to fit the last window."""
    size, strides, near = pair(kernel), pair(stride or kernel), pair(padding)
    far = list(near)
    if ceil_mode:
        for i, (n, out) in enumerate(zip(x.shape[2:], op.shapes[0][2:], strict=True)):
            far[i] = max(
                far[i], (out - 1) * strides[i] + dilations[i] * (size[i] - 1) + 1 - n - near[i]
            )
    return size, strides, (near[0], far[0], near[1], far[1])


# A position in the window is one signed byte.
MAX_POOL_WINDOW = 127


@rule("aten.max_pool2d")
def _max_pool(
    ctx: Lowering,
    op: Op,
    x: Tensor,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
) -> Tensor:
    image, dilations = image_value(ctx, x), pair(dilation)
    if dilations != (1, 1):
        raise Unsupported(f"max_pool with dilation {dilations} has no translation: use dilation 1")
    if math.prod(pair(kernel)) > MAX_POOL_WINDOW:
        raise Unsupported(
            f"expected a max_pool window of at most {MAX_POOL_WINDOW} elements, got {pair(kernel)}: "
            "pool in two steps"
        )
    size, strides, sides = _window(op, x, kernel, stride, padding, dilations, ceil_mode)
    return from_nhwc(ctx.builder.max_pool(image, size, strides, sides, dilations))


@rule("aten.avg_pool2d")
def _avg_pool(
    ctx: Lowering,
    op: Op,
    x: Tensor,
    kernel: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Tensor:
    image = image_value(ctx, x)
    size, strides, sides = _window(op, x, kernel, stride, padding, (1, 1), ceil_mode)
    if sides[1] != sides[0] or sides[3] != sides[2]:
        raise Unsupported(
            "a window of ceil_mode=True leaves the image: use ceil_mode=False, or pad the input"
        )
    pooled = ctx.builder.avg_pool(image, size, strides, sides, bool(count_include_pad or divisor))
    return scale(ctx, from_nhwc(pooled), size[0] * size[1] / divisor if divisor else 1.0)


@rule("aten.adaptive_avg_pool2d", "aten._adaptive_avg_pool2d")
def _adaptive_avg_pool(ctx: Lowering, op: Op, x: Tensor, size: Any) -> Tensor:
    image = image_value(ctx, x)
    extent, out = x.shape[2:], op.shapes[0][2:]
    if out == (1, 1):
        return _global_pool(ctx, op, x)
    if extent[0] % out[0] or extent[1] % out[1]:
        raise Unsupported(
            f"cannot pool {list(extent)} to {list(out)} evenly: choose an output size that divides it"
        )
    kernel = (extent[0] // out[0], extent[1] // out[1])
    if kernel == (1, 1):
        return x
    return from_nhwc(ctx.builder.avg_pool(image, kernel, kernel, (0, 0, 0, 0), True))
