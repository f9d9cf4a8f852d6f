"""Ops that move elements, of any type."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...frontends.graph_builder import Array, Shape


def reshape(x: Array, shape: Shape) -> Array:
    """The same elements, row major, in another shape."""
    return x.reshape(shape)


def transpose(x: Array, permutation: Sequence[int]) -> Array:
    """Result dimension k is operand dimension `permutation[k]`."""
    return np.asarray(x.transpose(permutation))


def slice_(x: Array, offsets: Sequence[int], sizes: Sequence[int], strides: Sequence[int]) -> Array:
    """`y[i] = x[offsets + strides * i]`."""
    return x[
        tuple(
            slice(o, o + (n - 1) * s + 1, s)
            for o, n, s in zip(offsets, sizes, strides, strict=True)
        )
    ]


def pad(
    x: Array, low: Sequence[int], high: Sequence[int], interior: Sequence[int], value: float = 0
) -> Array:
    """`low` and `high` elements of `value` at the ends of a dimension, `interior` between two of x."""
    shape = [
        lo + hi + size + gap * (size - 1)
        for lo, hi, size, gap in zip(low, high, x.shape, interior, strict=True)
    ]
    result = np.full(shape, value, x.dtype)
    result[
        tuple(
            slice(lo, lo + (size - 1) * (gap + 1) + 1, gap + 1)
            for lo, size, gap in zip(low, x.shape, interior, strict=True)
        )
    ] = x
    return result


def concat(inputs: Sequence[Array], axis: int) -> Array:
    """Joins tensors along a dimension."""
    return np.concatenate(inputs, axis)


def broadcast(x: Array, shape: Shape, dims: Sequence[int]) -> Array:
    """Operand dimension k is result dimension `dims[k]`; along the others x repeats."""
    sizes = [1] * len(shape)
    for size, dim in zip(x.shape, dims, strict=True):
        sizes[dim] = size
    return np.broadcast_to(x.reshape(sizes), shape)
