"""Updates of parameters, and the random numbers that round those of stored integers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...frontends.graph_builder import Array, Shape

_LIMIT = 2**30  # of int32 parameters
_STEP = 2**29  # of theirs, so that a sum fits int32
_FRACTION = 2**22  # from here on f32 has at most one bit behind the point
_BITS = np.uint64(0xFFFFFFFF)


def _leading(param: Array, shape: Shape) -> Array:
    """The part of a parameter that a gradient of this shape covers: a view."""
    return param[tuple(slice(size) for size in shape)]


def sgd_update(param: Array, grad: Array, lr: Array, *, weight_decay: float = 0) -> Array:
    """`param - lr * (grad + weight_decay * param)` in f32.

    A gradient with a shorter last dimension updates the leading part; the rest stays.
    """
    result: Array = param.copy()
    part = _leading(result, grad.shape)
    old = part.astype(np.float64)
    part[...] = old - np.float64(lr) * (grad + np.float64(np.float32(weight_decay)) * old)
    return result


def momentum_update(
    velocity: Array, grad: Array, param: Array, *, momentum: float, weight_decay: float = 0
) -> Array:
    """`momentum * velocity + grad + weight_decay * param` in f32.

    Of a parameter with a longer last dimension only the leading part is read. A quantized one counts by
    its stored integers.
    """
    old = _leading(param, grad.shape).astype(np.float64)
    decayed = grad + np.float64(np.float32(weight_decay)) * old
    new = np.float64(np.float32(momentum)) * velocity + decayed
    return np.asarray(new).astype(np.float32)


def next_random(state: Array) -> Array:
    """`1664525 * state + 1013904223` modulo 2^32: the state for the next step, int32 like `state`."""
    bits = (np.uint64(state.astype(np.uint32)) * np.uint64(1664525) + np.uint64(1013904223)) & _BITS
    return np.asarray(bits).astype(np.uint32).astype(np.int32)


def uniform_noise(shape: Shape, state: Array, stream: int) -> npt.NDArray[np.float32]:
    """A number of (-0.5, 0.5) for each element of a parameter's updated part.

    The element of row-major index i has, modulo 2^32,
    `h = i * 0x9E3779B1 + state + stream * 0x85EBCA6B`, `h ^= h >> 16`, `h *= 0x7FEB352D`,
    `h ^= h >> 15`, `h *= 0x846CA68B`, `h ^= h >> 16`; its number is
    `u = (h >> 9) * 2^-23 + 2^-24 - 0.5`, which f32 holds exactly. The numbers are symmetric about 0,
    which they are never.

    Args:
        shape: of the part that is updated.
        state: 32 bits, int32.
        stream: the parameter's number.
    """
    start = (int(state) + stream * 0x85EBCA6B) % 2**32
    h = np.arange(int(np.prod(shape)), dtype=np.uint64)
    h = (h * np.uint64(0x9E3779B1) + np.uint64(start)) & _BITS
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        h ^= h >> np.uint64(shift)
        h = (h * np.uint64(factor)) & _BITS
    u = (h >> np.uint64(9)).astype(np.float64) * 2.0**-23 + (2.0**-24 - 0.5)
    return np.asarray(u.astype(np.float32).reshape(shape))


def sgd_update_quantized(
    param: Array,
    grad: Array,
    lr: Array,
    state: Array,
    *,
    stream: int = 0,
    weight_decay: float = 0,
) -> Array:
    """Stored integers plus a step that is rounded stochastically, without a master copy.

    `g = grad + weight_decay * f32(p)` where there is weight decay, `n = rne(u - lr * g)`, all in f32 with a
    rounding after each operation, none fused; then `p + n`, which saturates: int8 and int16 at the ends
    of their range, int32 at +-2^30. Of an int32 parameter n is at most 2^29 in magnitude, and from 2^22
    on the fraction, a half at most, is cut off instead of rounded. On average n is the step, which may be
    far smaller than 1; a gradient of 0 changes nothing. Gradients are numbers.

    Args:
        param: int8, int16 or int32. A gradient with a shorter last dimension updates the leading part.
        grad: f32, with respect to the stored integers.
        lr: f32, learning rate.
        state: int32, of the step; see `uniform_noise`.
        stream: the parameter's number.
        weight_decay: of the stored integers.
    """
    result: Array = param.copy()
    part = _leading(result, grad.shape)
    old = part.astype(np.int64)
    if weight_decay:
        grad = grad + np.float32(weight_decay) * old.astype(np.float32)
    step = np.float32(lr) * grad
    v = (uniform_noise(grad.shape, state, stream) - step).astype(np.float64)
    if param.dtype == np.int32:
        n = np.clip(np.where(np.abs(v) < _FRACTION, np.rint(v), np.trunc(v)), -_STEP, _STEP)
        part[...] = np.clip(old + n, -_LIMIT, _LIMIT)
    else:
        ends = np.iinfo(param.dtype)
        count = ends.max - ends.min + 1
        part[...] = np.clip(old + np.rint(np.clip(v, -count, count)), ends.min, ends.max)
    return result


def round_master(param: Array, master: Array) -> Array:
    """int8 parameters from their masters: `clamp(rne(m))` of f32, `clamp(floor((m + 128) / 256))` of int16.

    A master with a shorter last dimension covers the leading part of the parameter; the rest stays.
    """
    result: Array = param.copy()
    fine = master.dtype == np.int16
    rounded = (master.astype(np.int32) + 128) >> 8 if fine else np.rint(master)
    _leading(result, master.shape)[...] = np.clip(rounded, -128, 127)
    return result
