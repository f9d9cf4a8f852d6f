"""Translation rules of elementwise ops and changes of shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .torch_rules import Op, Unsupported, rule
from .torch_tensors import (
    Activation,
    Constant,
    Lowering,
    Parameter,
    Tensor,
    default_order,
    normalize_dim,
)


def _scalar(x: Any, other: Any) -> float | None:
    """The number that ``x`` adds to or scales ``other`` with, if it is one that leaves the other's shape alone."""
    if isinstance(x, bool | int | float):
        return float(x)
    if isinstance(x, Constant) and x.array.size == 1 and len(x.shape) <= len(other.shape):
        return float(x.array.reshape(()))
    return None


def scale(ctx: Lowering, x: Tensor, factor: float) -> Tensor:
    return x if factor == 1.0 else ctx.unary(x, lambda v: ctx.builder.scale(v, factor))


def shift(ctx: Lowering, x: Tensor, value: float) -> Tensor:
    return x if value == 0.0 else ctx.unary(x, lambda v: ctx.builder.shift(v, value))


def clamp(
    ctx: Lowering, x: Tensor, low: float | None, high: float | None, inclusive: bool = False
) -> Tensor:
    minimum = -math.inf if low is None else float(low)
    maximum = math.inf if high is None else float(high)
    return ctx.unary(x, lambda v: ctx.builder.clamp(v, minimum, maximum, inclusive))


# Elementwise


@rule("aten.add.Tensor", "aten.add.Scalar")
def add(ctx: Lowering, op: Op, x: Any, y: Any, alpha: float = 1) -> Tensor:
    if (number := _scalar(y, x)) is not None:
        return shift(ctx, x, alpha * number)
    y = scale(ctx, y, float(alpha))
    if (number := _scalar(x, y)) is not None:
        return shift(ctx, y, number)
    shape, order, x, y = ctx.common_order(x, y)
    for whole, part in ((x, y), (y, x)):
        known = isinstance(part, Parameter | Constant)
        if known and isinstance(whole, Activation) and whole.shape == shape:
            missing = len(shape) - len(part.shape)
            if [missing + d for d, n in enumerate(part.shape) if n != 1] == [order[-1]]:
                return ctx.bias_add(whole, ctx.reshape(part, (-1,)))
    return ctx.binary(x, y, ctx.builder.add)


@rule("aten.sub.Tensor", "aten.sub.Scalar")
def _sub(ctx: Lowering, op: Op, x: Any, y: Any, alpha: float = 1) -> Tensor:
    if (number := _scalar(y, x)) is not None:
        return shift(ctx, x, -alpha * number)
    if (number := _scalar(x, y)) is not None:
        return shift(ctx, scale(ctx, y, -float(alpha)), number)
    return ctx.binary(x, scale(ctx, y, float(alpha)), ctx.builder.sub)


@rule("aten.rsub.Scalar", "aten.rsub.Tensor")
def _rsub(ctx: Lowering, op: Op, x: Any, y: Any, alpha: float = 1) -> Tensor:
    return _sub(ctx, op, y, x, alpha)


@rule("aten.mul.Tensor", "aten.mul.Scalar")
def _mul(ctx: Lowering, op: Op, x: Any, y: Any) -> Tensor:
    if (number := _scalar(y, x)) is not None:
        return scale(ctx, x, number)
    if (number := _scalar(x, y)) is not None:
        return scale(ctx, y, number)
    return ctx.binary(x, y, ctx.builder.mul)


@rule("aten.div.Tensor", "aten.div.Scalar")
def _div(ctx: Lowering, op: Op, x: Any, y: Any) -> Tensor:
    number = _scalar(y, x)
    if number is not None and number != 0.0:
        return scale(ctx, x, 1.0 / number)
    return ctx.binary(
        x, Constant(np.array(y)) if isinstance(y, int | float) else y, ctx.builder.div
    )


@rule("aten.reciprocal")
def _reciprocal(ctx: Lowering, op: Op, x: Tensor) -> Tensor:
    return ctx.binary(Constant(np.array(1.0)), x, ctx.builder.div)


@rule("aten.pow.Tensor_Scalar")
def _pow(ctx: Lowering, op: Op, x: Tensor, exponent: float) -> Tensor:
    if exponent != 2:
        raise Unsupported(f"only the power 2 is supported, not {exponent}: write it as products")
    return ctx.binary(x, x, ctx.builder.mul)


@rule("aten.square")
def _square(ctx: Lowering, op: Op, x: Tensor) -> Tensor:
    return ctx.binary(x, x, ctx.builder.mul)


@rule("aten.neg")
def _neg(ctx: Lowering, op: Op, x: Tensor) -> Tensor:
    return scale(ctx, x, -1.0)


@rule("aten.relu")
def _relu(ctx: Lowering, op: Op, x: Tensor) -> Tensor:
    return ctx.unary(x, ctx.builder.relu)


@rule("aten.relu6")
def _relu6(ctx: Lowering, op: Op, x: Tensor) -> Tensor:
    return clamp(ctx, x, 0.0, 6.0)


@rule("aten.hardtanh")
def _hardtanh(ctx: Lowering, op: Op, x: Tensor, low: float, high: float) -> Tensor:
    return clamp(ctx, x, low, high)


@rule("aten.clamp")
def _clamp_between(
    ctx: Lowering, op: Op, x: Tensor, low: float | None, high: float | None
) -> Tensor:
    return clamp(ctx, x, low, high, inclusive=True)


@rule("aten.clamp_min")
def _clamp_min(ctx: Lowering, op: Op, x: Tensor, low: float) -> Tensor:
    return clamp(ctx, x, low, None, inclusive=True)


@rule("aten.clamp_max")
def _clamp_max(ctx: Lowering, op: Op, x: Tensor, high: float) -> Tensor:
    return clamp(ctx, x, None, high, inclusive=True)


@rule("aten.hardsigmoid")
def _hardsigmoid(ctx: Lowering, op: Op, x: Tensor) -> Tensor:
    return scale(ctx, clamp(ctx, shift(ctx, x, 3.0), 0.0, 6.0), 1.0 / 6.0)


@rule("aten.hardswish")
def _hardswish(ctx: Lowering, op: Op, x: Tensor) -> Tensor:
    x = ctx.activation(x)
    return ctx.binary(x, _hardsigmoid(ctx, op, x), ctx.builder.mul)


@rule("aten.leaky_relu")
def _leaky_relu(ctx: Lowering, op: Op, x: Tensor, slope: float) -> Tensor:
    x = ctx.activation(x)
    negative = scale(ctx, clamp(ctx, x, None, 0.0), float(slope))
    return ctx.binary(ctx.unary(x, ctx.builder.relu), negative, ctx.builder.add)


@rule("aten._to_copy", "aten.to.dtype", "aten.to.dtype_layout", "aten.type_as")
@rule(
    "aten.clone",
    "aten.contiguous",
    "aten.detach",
    "aten.alias",
    "aten.lift_fresh_copy",
    "aten.lift_fresh",
)
def _identity(ctx: Lowering, op: Op, x: Tensor, *_: Any) -> Tensor:
    return x


@rule("aten.dropout", "aten.feature_dropout", "aten.alpha_dropout")
def _dropout(ctx: Lowering, op: Op, x: Tensor, p: float, training: bool) -> Tensor:
    if training and p:
        raise Unsupported("pass training=self.training: dropout must be inactive in eval mode")
    return x


# Changes of shape


@rule(
    "aten.view",
    "aten.reshape",
    "aten._unsafe_view",
    "aten.flatten.using_ints",
    "aten.unflatten.int",
)
@rule("aten.squeeze", "aten.squeeze.dim", "aten.squeeze.dims", "aten.unsqueeze")
def _reshape(ctx: Lowering, op: Op, x: Tensor, *_: Any) -> Tensor:
    return ctx.reshape(x, op.shapes[0])


@rule("aten.permute")
def _permute(ctx: Lowering, op: Op, x: Tensor, dims: Any) -> Tensor:
    return ctx.permute(x, dims)


@rule("aten.transpose.int")
def _transpose(ctx: Lowering, op: Op, x: Tensor, first: int, second: int) -> Tensor:
    dims = list(range(len(x.shape)))
    dims[first], dims[second] = dims[second], dims[first]
    return ctx.permute(x, dims)


@rule("aten.t", "aten.numpy_T")
def _t(ctx: Lowering, op: Op, x: Tensor) -> Tensor:
    return ctx.permute(x, tuple(reversed(range(len(x.shape)))))


@rule("aten.expand")
def _expand(ctx: Lowering, op: Op, x: Tensor, *_: Any) -> Tensor:
    shape = op.shapes[0]
    if shape == x.shape:
        return x
    same_rank = isinstance(x, Activation) and len(x.shape) == len(shape)
    order = x.order if isinstance(x, Activation) and same_rank else default_order(len(shape))
    return Activation(ctx.broadcast(x, shape, order), shape, order)


@rule("aten.cat")
def _cat(ctx: Lowering, op: Op, xs: Sequence[Tensor], dim: int) -> Tensor:
    parts = [x for x in xs if x.shape != (0,)]
    order = next((x.order for x in parts if isinstance(x, Activation)), None)
    order = ctx.activation(parts[0]).order if order is None else order
    dim = normalize_dim(dim, len(order))
    value = ctx.builder.concat([ctx.value(x, order) for x in parts], order.index(dim))
    return Activation(value, op.shapes[0], order)


@rule("aten.stack")
def _stack_tensors(ctx: Lowering, op: Op, xs: Sequence[Tensor], dim: int) -> Tensor:
    dim = normalize_dim(dim, len(op.shapes[0]))
    unit = (*op.shapes[0][:dim], 1, *op.shapes[0][dim + 1 :])
    return _cat(ctx, op, [ctx.activation(ctx.reshape(x, unit)) for x in xs], dim)


def _take(ctx: Lowering, x: Tensor, dim: int, start: int, length: int, step: int = 1) -> Tensor:
    rank = len(x.shape)
    dim = normalize_dim(dim, rank)
    offsets = [start if d == dim else 0 for d in range(rank)]
    sizes = [length if d == dim else n for d, n in enumerate(x.shape)]
    return ctx.slice(x, offsets, sizes, [step if d == dim else 1 for d in range(rank)])


@rule("aten.slice.Tensor")
def _slice(
    ctx: Lowering, op: Op, x: Tensor, dim: int, start: int | None, end: int | None, step: int
) -> Tensor:
    taken = range(x.shape[dim])[slice(start, end, step)]
    return _take(ctx, x, dim, taken.start, len(taken), step)


@rule("aten.narrow")
def _narrow(ctx: Lowering, op: Op, x: Tensor, dim: int, start: int, length: int) -> Tensor:
    return _take(ctx, x, dim, normalize_dim(start, x.shape[dim]), length)


@rule("aten.select.int")
def _select(ctx: Lowering, op: Op, x: Tensor, dim: int, index: int) -> Tensor:
    return ctx.reshape(_take(ctx, x, dim, normalize_dim(index, x.shape[dim]), 1), op.shapes[0])


@rule("aten.split.Tensor", "aten.split_with_sizes", "aten.chunk", "aten.unbind.int")
def _split(ctx: Lowering, op: Op, x: Tensor, *args: Any) -> list[Tensor]:
    dim = args[-1]
    extent = x.shape[dim]
    if op.name == "aten.split_with_sizes":
        sizes = list(args[0])
    else:
        size = {"aten.split.Tensor": args[0], "aten.chunk": -(-extent // args[0])}.get(op.name, 1)
        sizes = [min(size, extent - start) for start in range(0, extent, size)]
    starts = np.cumsum([0, *sizes[:-1]])
    parts = [
        _take(ctx, x, dim, int(start), size) for start, size in zip(starts, sizes, strict=True)
    ]
    if op.name != "aten.unbind.int":
        return parts
    dim = normalize_dim(dim, len(x.shape))
    return [ctx.reshape(part, (*x.shape[:dim], *x.shape[dim + 1 :])) for part in parts]


@rule("aten.constant_pad_nd")
def _constant_pad(ctx: Lowering, op: Op, x: Tensor, amounts: Sequence[int], fill: float) -> Tensor:
    rank = len(x.shape)
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    sides = [(0, 0)] * (rank - len(pairs)) + pairs[::-1]
    offsets = [max(-low, 0) for low, _ in sides]
    x = ctx.slice(
        x,
        offsets,
        [n + min(a, 0) + min(b, 0) for n, (a, b) in zip(x.shape, sides, strict=True)],
        [1] * rank,
    )
    if x.shape == op.shapes[0]:
        return x
    x = ctx.activation(x)
    low, high = (tuple(max(sides[d][i], 0) for d in x.order) for i in (0, 1))
    return Activation(ctx.builder.pad(x.value, low, high, float(fill)), op.shapes[0], x.order)


@rule("aten.pad")
def _pad(
    ctx: Lowering, op: Op, x: Tensor, amounts: Sequence[int], mode: str, fill: float | None
) -> Tensor:
    if mode != "constant":
        raise Unsupported(f"padding mode {mode!r} is not supported: use constant padding")
    return _constant_pad(ctx, op, x, amounts, fill or 0.0)
