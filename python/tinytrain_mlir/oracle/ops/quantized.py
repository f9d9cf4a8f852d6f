"""Arithmetic on stored integers, exact on every target.

`rne` rounds to the nearest integer, ties to even; `clamp` saturates at -128 and 127. A scale is
a double, as the types hold it; f32(a / b) divides in double and rounds the quotient once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...frontends.graph_builder import Array
from .contraction import Pair, Sides, to_int32
from .pooling import window_sums

Int8 = npt.NDArray[np.int8]
Int32 = npt.NDArray[np.int32]
Float = npt.NDArray[np.float32]


def multipliers(
    input_scales: float | Sequence[float], output_scale: float, count: int = 1
) -> Float:
    """`f32(s_x[c] / (s_y * count))`, all in double before the one rounding.

    Returns:
        an array of as many elements as there are scales; a scalar for a scalar.
    """
    scales = np.asarray(input_scales, np.float64)
    with np.errstate(over="ignore"):
        result = (scales / (np.float64(output_scale) * count)).astype(np.float32)
    if not np.isfinite(result).all():
        raise OverflowError(f"the factor {scales} / {output_scale} does not fit f32")
    return np.asarray(result)


def requantize(x: Array, factors: Array, zero_point: int, x_zero_point: int = 0) -> Int8:
    """`clamp(rne(f32(x - z_x) * m[c]) + z_y)`.

    The difference is rounded to f32, to nearest even, which changes only those above 2^24. Its product
    with m is exact: it has at most 48 significant bits. So the only other rounding is `rne`.
    `z_y` comes after it: ties are even before the shift.

    Args:
        x: int8 or int32.
        factors: f32, m: one, or one per index of the last dimension.
        zero_point: z_y.
        x_zero_point: z_x.
    """
    difference = x.astype(np.int64) - x_zero_point
    product = difference.astype(np.float32).astype(np.float64) * factors.astype(np.float64)
    return _saturate(product, zero_point)


def bias_add_quantized(x: Array, bias: Array) -> Int32:
    """`y[..., c] = x[..., c] + bias[c]` in int32, both of one scale and of zero point 0.

    Raises:
        OverflowError: a sum leaves int32.
    """
    return to_int32(x.astype(np.int64) + bias)


def add_quantized(
    x1: Array, x2: Array, factors: tuple[Array, Array], zero_points: tuple[int, int, int]
) -> Int8:
    """`clamp(rne(f32(f32((x1 - z_1) * m_1) + f32((x2 - z_2) * m_2))) + z_y)`.

    f32 arithmetic with a rounding after each operation: two products, then their sum, none of them
    fused.

    Args:
        x1: int8.
        x2: int8, of the same shape.
        factors: m_1 and m_2, f32(s_1 / s_y) and f32(s_2 / s_y).
        zero_points: z_1, z_2 and z_y.
    """
    terms = [
        (x.astype(np.int32) - z).astype(np.float32) * np.float32(m)
        for x, z, m in zip((x1, x2), zero_points[:2], factors, strict=True)
    ]
    return _saturate(terms[0] + terms[1], zero_points[2])


def avg_pool_quantized(
    x: Array,
    factor: Array,
    zero_point: int,
    x_zero_point: int = 0,
    *,
    kernel: Pair,
    strides: Pair,
    padding: Sides,
) -> Int8:
    """The int32 sum of `x - z_x` over each window, requantized. Padding counts as zeros.

    Args:
        x: int8, NHWC.
        factor: f32(s_x / (s_y * size)), the size that of the whole window.
        zero_point: z_y.
        x_zero_point: z_x.
        kernel: rows and columns of a window.
        strides: between windows.
        padding: top, bottom, left, right.
    """
    sums = window_sums(x.astype(np.float64) - x_zero_point, kernel, strides, padding)
    return requantize(to_int32(sums), factor, zero_point)


def global_avg_pool_quantized(
    x: Array, factor: Array, zero_point: int, x_zero_point: int = 0
) -> Int8:
    """NHWC to NC: the int32 sum of `x - z_x` over each image, requantized.

    Args:
        x: int8, NHWC.
        factor: f32(s_x / (s_y * H * W)).
        zero_point: z_y.
        x_zero_point: z_x.
    """
    sums = (x.astype(np.int64) - x_zero_point).sum((1, 2))
    return requantize(to_int32(sums), factor, zero_point)


def _saturate(v: Array, zero_point: int) -> Int8:
    """`clamp(rne(v) + z)`."""
    return np.asarray(
        np.clip(np.rint(v.astype(np.float64)) + zero_point, -128, 127).astype(np.int8)
    )
