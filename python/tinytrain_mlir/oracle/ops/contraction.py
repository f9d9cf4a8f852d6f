"""Convolution, its adjoints, and matrix products.

Every sum is taken in float64. Sums of integers are exact in it: products of stored int8 values lie
below 2^16, so that 2^37 of them fit. They are then int32, and leaving its range is an error, not
a wrap: no graph may let it happen. Sums with an f32 operand are rounded to f32 once, at the end.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ...frontends.graph_builder import Array, Shape

Pair = tuple[int, int]
Sides = tuple[int, int, int, int]

_ONES: Pair = (1, 1)
_NONE: Sides = (0, 0, 0, 0)


def to_int32(sums: Array) -> npt.NDArray[np.int32]:
    """Integers as int32.

    Raises:
        OverflowError: one is out of range.
    """
    limits = np.iinfo(np.int32)
    if sums.size and (sums.min() < limits.min or sums.max() > limits.max):
        raise OverflowError(f"sums from {sums.min():.0f} to {sums.max():.0f} do not fit int32")
    return sums.astype(np.int32)


def taps(
    kernel: Pair, positions: Pair, strides: Pair, dilations: Pair
) -> Iterator[tuple[Pair, tuple[slice, slice]]]:
    """The elements of a window, each with the rows and columns of the image where it falls."""
    for tap in np.ndindex(*kernel):
        rows, columns = (
            slice(i * d, i * d + (count - 1) * s + 1, s)
            for i, d, s, count in zip(tap, dilations, strides, positions, strict=True)
        )
        yield (tap[0], tap[1]), (rows, columns)


def pad_image(x: Array, padding: Sides, value: float = 0) -> Array:
    """`x` with `[top, bottom, left, right]` rows and columns of `value` around it."""
    top, bottom, left, right = padding
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=value)


def conv2d(
    x: Array,
    w: Array,
    *,
    x_zero_point: int = 0,
    strides: Pair = _ONES,
    padding: Sides = _NONE,
    dilations: Pair = _ONES,
    groups: int = 1,
) -> Array:
    """`y[n,p,q,o] = sum_{h,w,i} (x[n, p*sh + h*dh - top, q*sw + w*dw - left, i] - z_x) * w[o,h,w,i]`.

    Outside the image the difference is 0. int8 operands give int32, f32 operands f32.
    """
    images = _split(pad_image(x.astype(np.float64) - x_zero_point, padding), groups)
    filters = _filters(w, groups, x.shape[3])
    kernel = filters.shape[1:3]
    rows, columns = (
        (images.shape[2 + d] - dilations[d] * (kernel[d] - 1) - 1) // strides[d] + 1 for d in (0, 1)
    )
    n = x.shape[0]
    sums = np.zeros((groups, n * rows * columns, filters.shape[4]))
    for tap, (r, c) in taps(kernel, (rows, columns), strides, dilations):
        window = images[:, :, r, c].reshape(groups, -1, images.shape[4])
        sums += window @ filters[:, tap[0], tap[1]]
    y = _join(sums.reshape(groups, n, rows, columns, -1))
    return _result(y, x, w)


def conv2d_input_grad(
    grad: Array,
    w: Array,
    *,
    shape: Shape,
    strides: Pair = _ONES,
    padding: Sides = _NONE,
    dilations: Pair = _ONES,
    groups: int = 1,
) -> Array:
    """`dx[n,y,x,i] = sum grad[n,p,q,o] * w[o,h,w,i]` over all p, h with `p*sh + h*dh - top = y`.

    And q, w likewise. `shape` is that of the input. f32, w may be int8; int32 where both are int8.
    """
    n, height, width, channels = shape
    top, bottom, left, right = padding
    filters = _filters(w, groups, channels)
    grads = _split(grad.astype(np.float64), groups)
    flat = grads.reshape(groups, -1, grads.shape[4])
    image = np.zeros((groups, n, height + top + bottom, width + left + right, channels // groups))
    for tap, (r, c) in taps(filters.shape[1:3], grads.shape[2:4], strides, dilations):
        part = flat @ filters[:, tap[0], tap[1]].transpose(0, 2, 1)
        image[:, :, r, c] += part.reshape(*grads.shape[:4], -1)
    return _result(_join(image)[:, top : top + height, left : left + width], grad, w)


def conv2d_weight_grad(
    x: Array,
    grad: Array,
    *,
    shape: Shape,
    x_zero_point: int = 0,
    strides: Pair = _ONES,
    padding: Sides = _NONE,
    dilations: Pair = _ONES,
    groups: int = 1,
) -> Array:
    """`dw[o,h,w,i] = sum_{n,p,q} (x[n, p*sh + h*dh - top, ..., i] - z_x) * grad[n,p,q,o]`.

    `shape` is that of the weight. f32, x may be int8; int32 where both are int8.
    """
    images = _split(pad_image(x.astype(np.float64) - x_zero_point, padding), groups)
    grads = _split(grad.astype(np.float64), groups)
    flat = grads.reshape(groups, -1, grads.shape[4])
    sums = np.zeros((groups, shape[1], shape[2], images.shape[4], grads.shape[4]))
    for tap, (r, c) in taps((shape[1], shape[2]), grads.shape[2:4], strides, dilations):
        window = images[:, :, r, c].reshape(groups, -1, images.shape[4])
        sums[:, tap[0], tap[1]] = window.transpose(0, 2, 1) @ flat
    order = (3, 1, 2, 0, 4) if _is_depthwise(shape, groups, x.shape[3]) else (0, 4, 1, 2, 3)
    return _result(sums.transpose(order).reshape(shape), x, grad)


def matmul(
    lhs: Array,
    rhs: Array,
    *,
    lhs_zero_point: int = 0,
    rhs_zero_point: int = 0,
    transpose_lhs: bool = False,
    transpose_rhs: bool = False,
) -> Array:
    """`op(lhs - z_lhs) * op(rhs - z_rhs)`; `op` transposes the last two dimensions where asked to.

    int8 operands give int32, any f32 operand f32.
    """
    a = lhs.astype(np.float64) - lhs_zero_point
    b = rhs.astype(np.float64) - rhs_zero_point
    if transpose_lhs:
        a = a.swapaxes(-1, -2)
    if transpose_rhs:
        b = b.swapaxes(-1, -2)
    return _result(a @ b, lhs, rhs)


def _result(sums: Array, *operands: Array) -> Array:
    if all(np.issubdtype(x.dtype, np.integer) for x in operands):
        return to_int32(sums)
    return sums.astype(np.float32)


def _is_depthwise(weight: Shape, groups: int, channels: int) -> bool:
    return 1 < groups == channels == weight[3] and weight[0] == 1


def _split(x: Array, groups: int) -> Array:
    """N H W (G C) as G N H W C."""
    return np.asarray(x.reshape(*x.shape[:3], groups, -1).transpose(3, 0, 1, 2, 4))


def _join(x: Array) -> Array:
    """G N H W C as N H W (G C)."""
    return np.asarray(x.transpose(1, 2, 3, 0, 4).reshape(*x.shape[1:4], -1))


def _filters(w: Array, groups: int, channels: int) -> Array:
    """A weight as G KH KW I O, per group."""
    w = w.astype(np.float64)
    if _is_depthwise(w.shape, groups, channels):
        return np.asarray(w.transpose(3, 1, 2, 0)[..., None])
    o, kh, kw, i = w.shape
    return np.asarray(w.reshape(groups, o // groups, kh, kw, i).transpose(0, 2, 3, 4, 1))
