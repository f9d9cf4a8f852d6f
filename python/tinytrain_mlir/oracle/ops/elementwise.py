"""Ops on f32, element by element, and what clamps keep for their adjoints."""

from __future__ import annotations

import numpy as np

from ...frontends.graph_builder import Array

_EXP_RANGE = (-87.3, 88.7)  # of normal numbers


def add(x1: Array, x2: Array) -> Array:
    """`x1 + x2`."""
    return np.asarray(x1 + x2)


def sub(x1: Array, x2: Array) -> Array:
    """`x1 - x2`."""
    return np.asarray(x1 - x2)


def mul(x1: Array, x2: Array) -> Array:
    """`x1 * x2`."""
    return np.asarray(x1 * x2)


def div(x1: Array, x2: Array) -> Array:
    """`x1 / x2`."""
    return np.asarray(x1 / x2)


def bias_add(x: Array, bias: Array) -> Array:
    """`y[..., c] = x[..., c] + bias[c]`."""
    return np.asarray(x + bias)


def scale(x: Array, factor: float) -> Array:
    """`f32(factor) * x`."""
    return np.asarray(x * np.float32(factor))


def shift(x: Array, value: float) -> Array:
    """`x + f32(value)`."""
    return np.asarray(x + np.float32(value))


def channel_scale(x: Array, factors: Array, axis: int) -> Array:
    """`y[..., c, ...] = x[..., c, ...] * factors[c]`, c being the index along dimension `axis`."""
    shape = [1] * x.ndim
    shape[axis] = factors.size
    return np.asarray(x * factors.reshape(shape))


def exp(x: Array) -> Array:
    """`e^x`; x is first clamped to -87.3 and 88.7, between which results are normal."""
    return np.exp(np.clip(x.astype(np.float64), *_EXP_RANGE)).astype(np.float32)


def log(x: Array) -> Array:
    """`ln x` of positive normal numbers."""
    return np.log(x.astype(np.float64)).astype(np.float32)


def relu(x: Array) -> Array:
    """`x < 0 ? 0 : x`, which keeps not-a-numbers."""
    return np.where(x < 0, np.float32(0), x)


def clamp(x: Array, minimum: float, maximum: float) -> Array:
    """`x < min ? min : x > max ? max : x`, which keeps not-a-numbers."""
    return np.clip(x, np.float32(minimum), np.float32(maximum))


def _inside(x: Array, minimum: float, maximum: float, inclusive: bool) -> Array:
    """Integers are compared with bounds that are integers, exactly."""
    low, high = np.float32(minimum), np.float32(maximum)
    return np.asarray((x >= low) & (x <= high) if inclusive else (x > low) & (x < high))


def clamp_grad(
    grad: Array, result: Array, minimum: float, maximum: float, inclusive: bool = False
) -> Array:
    """`grad` where `min < result < max`, or with `inclusive` `min <= result <= max`; else 0.

    Args:
        grad: f32.
        result: f32, or stored integers; then so are the bounds.
        minimum: -inf for none.
        maximum: inf for none.
        inclusive: the bounds belong to the interval.
    """
    return np.where(_inside(result, minimum, maximum, inclusive), grad, np.float32(0))


def clamp_mask(x: Array, minimum: float, maximum: float, inclusive: bool = False) -> Array:
    """Bit j of `y[b, c]` says whether `x[8 * b + j, c]` lies inside, as in `clamp_grad`; int8.

    Rows behind the last one have zeros.
    """
    inside = _inside(x, minimum, maximum, inclusive)
    return np.packbits(inside, axis=0, bitorder="little").view(np.int8)


def mask_grad(grad: Array, mask: Array) -> Array:
    """`grad[r, c]` where bit `r mod 8` of `mask[r // 8, c]` is set, else 0.

    Rows are all dimensions but the last, row major.
    """
    rows = grad.reshape(-1, grad.shape[-1])
    bits = np.unpackbits(mask.view(np.uint8), axis=0, count=len(rows), bitorder="little")
    return np.where(bits.astype(bool), rows, np.float32(0)).reshape(grad.shape)
