"""Pooling and its adjoints."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...frontends.graph_builder import Array, Shape
from .contraction import Pair, Sides, pad_image, taps


def _positions(shape: Shape, kernel: Pair, strides: Pair, padding: Sides) -> Pair:
    rows, columns = (
        (shape[1 + d] + padding[2 * d] + padding[2 * d + 1] - kernel[d]) // strides[d] + 1
        for d in (0, 1)
    )
    return rows, columns


def _windows(x: Array, kernel: Pair, strides: Pair, padding: Sides, value: float) -> Array:
    """The elements of each window, row major, as the last dimension."""
    positions = _positions(x.shape, kernel, strides, padding)
    padded = pad_image(x, padding, value)
    parts = [padded[:, r, c] for _, (r, c) in taps(kernel, positions, strides, (1, 1))]
    return np.stack(parts, axis=-1)


def _lowest(x: Array) -> float:
    return np.iinfo(x.dtype).min if np.issubdtype(x.dtype, np.integer) else -np.inf


def window_sums(x: Array, kernel: Pair, strides: Pair, padding: Sides) -> Array:
    """The sum of each window; padding counts as zeros."""
    return np.asarray(_windows(x, kernel, strides, padding, 0).sum(-1))


def max_pool(x: Array, *, kernel: Pair, strides: Pair, padding: Sides) -> Array:
    """The largest element of each window, of x's type.

    Padding counts as minus infinity, in int8 as -128.
    """
    return np.asarray(_windows(x, kernel, strides, padding, _lowest(x)).max(-1))


def max_pool_argmax(x: Array, *, kernel: Pair, strides: Pair, padding: Sides) -> Array:
    """The position in each window, row major, of its first maximum, int8.

    In int8 padding is as large as the smallest element: in a window that holds only -128, the
    first position may lie in the padding. Nothing is lost by it, as no gradient passes
    an element at the end of the range.
    """
    windows = _windows(x, kernel, strides, padding, _lowest(x))
    return np.asarray(windows.argmax(-1)).astype(np.int8)


def max_pool_grad(
    grad: Array, argmax: Array, *, shape: Shape, kernel: Pair, strides: Pair, padding: Sides
) -> Array:
    """Adds each gradient to the element of its window that `argmax` names; in the padding to none.

    `shape` is that of the pooled image.
    """
    parts = (
        np.where(argmax == position, grad, 0).astype(np.float64)
        for position in range(kernel[0] * kernel[1])
    )
    return _scatter(parts, grad.shape, shape, kernel, strides, padding)


def avg_pool(x: Array, *, kernel: Pair, strides: Pair, padding: Sides) -> Array:
    """The sum of each window divided by the window's whole size; padding counts as zeros."""
    sums = window_sums(x.astype(np.float64), kernel, strides, padding)
    return np.asarray(sums / (kernel[0] * kernel[1])).astype(np.float32)


def avg_pool_grad(
    grad: Array, *, shape: Shape, kernel: Pair, strides: Pair, padding: Sides
) -> Array:
    """Adds each gradient, divided by the size of its window, to all the window's elements.

    `shape` is that of the pooled image.
    """
    share = grad.astype(np.float64) / (kernel[0] * kernel[1])
    parts = (share for _ in range(kernel[0] * kernel[1]))
    return _scatter(parts, grad.shape, shape, kernel, strides, padding)


def global_avg_pool(x: Array) -> Array:
    """`y[n,c] = sum_{h,w} x[n,h,w,c] / (H * W)`."""
    return np.asarray(x.astype(np.float64).mean((1, 2))).astype(np.float32)


def _scatter(
    parts: Iterable[Array],
    pooled: Shape,
    shape: Shape,
    kernel: Pair,
    strides: Pair,
    padding: Sides,
) -> Array:
    """Adds one array per element of the window, row major, where that element falls."""
    n, height, width, channels = shape
    top, bottom, left, right = padding
    image = np.zeros((n, height + top + bottom, width + left + right, channels))
    places = taps(kernel, (pooled[1], pooled[2]), strides, (1, 1))
    for part, (_, (r, c)) in zip(parts, places, strict=True):
        image[:, r, c] += part
    return image[:, top : top + height, left : left + width].astype(np.float32)
