"""The oracle's ops: f32 against PyTorch in float64, stored integers against exact arithmetic.

Integers are compared bit for bit. Their references compute in fractions and Python's integers, whose
`round` takes ties to even, or in PyTorch's int64.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given
from hypothesis import strategies as st

from tinytrain_mlir.oracle import TensorType, ops
from tinytrain_mlir.quantization import Quantization

Array = npt.NDArray[Any]
TOLERANCE = 3e-7  # of the largest value: every op rounds to f32 once

seeds = st.integers(0, 2**32 - 1)
scales = st.floats(-12, 12).map(lambda exponent: float(10**exponent))
int8s = st.integers(-128, 127)
accumulators = st.one_of(st.integers(-(2**31), 2**31 - 1), st.integers(-300, 300))


def assert_near(got: Array, wanted: torch.Tensor | Array, tolerance: float = TOLERANCE) -> None:
    expected = wanted.detach().numpy() if isinstance(wanted, torch.Tensor) else wanted
    assert got.dtype == np.float32 and got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def f32(value: float | Fraction) -> Fraction:
    """To f32, nearest even, by way of the C library; `value` has at most 53 bits."""
    return Fraction(struct.unpack("f", struct.pack("f", float(value)))[0])


def saturated(value: int) -> int:
    return max(-128, min(127, value))


# Convolution and matrix products


class Conv:
    """A drawn convolution: its arrays in NHWC and OHWI, its attributes, and the same for PyTorch."""

    def __init__(self, data: st.DataObject, quantized: bool) -> None:
        draw = data.draw
        random = np.random.default_rng(draw(seeds))
        kind = draw(st.sampled_from(["dense", "grouped", "depthwise"]))
        groups = {"dense": 1, "grouped": 2, "depthwise": draw(st.integers(2, 5))}[kind]
        inner, outer = (1, 1) if kind == "depthwise" else (draw(st.integers(1, 3)),) * 2
        kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
        dilations = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
        self.padding = (draw(st.integers(0, 2)),) * 2 + (draw(st.integers(0, 2)),) * 2
        size = [dilations[d] * (kernel[d] - 1) + draw(st.integers(1, 5)) for d in (0, 1)]
        x_shape = (draw(st.integers(1, 2)), *size, groups * inner)
        w_shape = (groups * outer, *kernel, inner)
        self.x, w = (self.values(random, shape, quantized) for shape in (x_shape, w_shape))
        self.zero_point = draw(int8s) if quantized else 0
        strides = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
        top, _, left, _ = self.padding
        self.attributes: dict[str, Any] = {
            "strides": strides,
            "padding": self.padding,
            "dilations": dilations,
            "groups": groups,
        }
        self.torch_args = (None, strides, (top, left), dilations, groups)
        self.depthwise = kind == "depthwise"
        self.w_torch = torch.tensor(w).permute(0, 3, 1, 2).double().requires_grad_()
        centred = self.x.astype(np.float64) - self.zero_point
        self.x_torch = torch.tensor(centred).permute(0, 3, 1, 2).requires_grad_()
        self.y_torch = F.conv2d(self.x_torch, self.w_torch, *self.torch_args)
        self.w = self.in_graph(w)
        shape = self.y_torch.permute(0, 2, 3, 1).shape
        self.grad = random.standard_normal(shape).astype(np.float32)
        self.y_torch.backward(torch.tensor(self.grad).permute(0, 3, 1, 2).double())

    @staticmethod
    def values(random: np.random.Generator, shape: tuple[int, ...], quantized: bool) -> Array:
        if quantized:
            return random.integers(-128, 128, shape, np.int8)
        return random.standard_normal(shape).astype(np.float32)

    def in_graph(self, w: Array) -> Array:
        """An OHWI weight as the graph holds it."""
        return w.transpose(3, 1, 2, 0) if self.depthwise else w


@given(st.data(), st.booleans())
def test_conv2d(data: st.DataObject, quantized: bool) -> None:
    conv = Conv(data, quantized)
    y = ops.conv2d(conv.x, conv.w, x_zero_point=conv.zero_point, **conv.attributes)
    expected = conv.y_torch.permute(0, 2, 3, 1)
    if quantized:
        assert y.dtype == np.int32
        np.testing.assert_array_equal(y, expected.detach().numpy())
    else:
        assert_near(y, expected)


@given(st.data(), st.booleans())
def test_adjoints_of_conv2d(data: st.DataObject, quantized: bool) -> None:
    conv = Conv(data, quantized)
    dx = ops.conv2d_input_grad(conv.grad, conv.w, shape=conv.x.shape, **conv.attributes)
    dw = ops.conv2d_weight_grad(
        conv.x, conv.grad, shape=conv.w.shape, x_zero_point=conv.zero_point, **conv.attributes
    )
    assert conv.x_torch.grad is not None and conv.w_torch.grad is not None
    assert_near(dx, conv.x_torch.grad.permute(0, 2, 3, 1))
    assert_near(dw, conv.in_graph(conv.w_torch.grad.permute(0, 2, 3, 1).numpy()))


def test_asymmetric_padding() -> None:
    x, w = np.ones((1, 2, 3, 1), np.int8), np.ones((1, 2, 2, 1), np.int8)
    y = ops.conv2d(x, w, x_zero_point=-1, padding=(1, 0, 0, 2))
    np.testing.assert_array_equal(y[0, :, :, 0], [[4, 4, 2, 0], [8, 8, 4, 0]])
    dx = ops.conv2d_input_grad(y.astype(np.float32), w, shape=x.shape, padding=(1, 0, 0, 2))
    np.testing.assert_array_equal(dx[0, :, :, 0], [[12, 24, 18], [8, 16, 12]])


def test_sums_that_leave_int32_are_an_error() -> None:
    x = np.full((1, 66000), -128, np.int8)
    with pytest.raises(OverflowError, match="int32"):
        ops.matmul(x, x, lhs_zero_point=127, transpose_rhs=True)
    with pytest.raises(OverflowError, match="int32"):
        ops.bias_add_quantized(np.full((1, 1), 2**31 - 1, np.int32), np.ones(1, np.int32))


@given(seeds, st.booleans(), st.booleans(), st.booleans())
def test_matmul(seed: int, left: bool, right: bool, batched: bool) -> None:
    random = np.random.default_rng(seed)
    n, m, k = random.integers(1, 6, 3)
    batch = (2,) if batched else ()
    a = random.integers(-128, 128, (*batch, *((k, n) if left else (n, k))), np.int8)
    b = random.integers(-128, 128, (*batch, *((m, k) if right else (k, m))), np.int8)
    ta, tb = (torch.tensor(v.astype(np.int64)) for v in (a, b))
    expected = (ta.mT if left else ta) @ (tb.mT if right else tb)
    flags = {"transpose_lhs": left, "transpose_rhs": right}
    got = ops.matmul(a, b, **flags)
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, expected.numpy())
    floats = ops.matmul(a.astype(np.float32) / 3, b, lhs_zero_point=0, **flags)
    assert_near(floats, expected.double() / 3, 1e-6)


# Stored integers


@given(st.lists(st.tuples(accumulators, scales), min_size=1, max_size=20), scales, int8s, int8s)
def test_requantize(channels: list[tuple[int, float]], scale: float, z_y: int, z_x: int) -> None:
    x = np.array([acc for acc, _ in channels], np.int32)
    factors = ops.multipliers([s for _, s in channels], scale)
    got = ops.requantize(x, factors, z_y, z_x)
    expected = [
        saturated(round(f32(acc - z_x) * f32(np.float64(s) / scale)) + z_y) for acc, s in channels
    ]
    assert got.dtype == np.int8
    np.testing.assert_array_equal(got, expected)


def test_ties_are_even_before_the_zero_point() -> None:
    x = np.arange(-7, 8, dtype=np.int32)
    for z in (0, 1):
        got = ops.requantize(x, ops.multipliers(0.5, 1.0), z)
        wanted = np.array([-4, -3, -2, -2, -2, -1, 0, 0, 0, 1, 2, 2, 2, 3, 4]) + z
        np.testing.assert_array_equal(got, wanted)


def test_the_accumulator_is_rounded_and_the_product_is_not() -> None:
    # In f32 these are 2^24 and 2^24 + 4; a tie then, though it was none before.
    x = np.array([2**24 + 1, 2**24 + 3], np.int32)
    np.testing.assert_array_equal(ops.requantize(x, np.float32(2.0**-25), 0), [0, 1])
    # 3 m is 0.5 + 2^-26, no tie; in f32 it would be one.
    m = np.float32(11184811 * 2.0**-26)
    assert np.float32(3) * m == 0.5
    np.testing.assert_array_equal(ops.requantize(np.array([3], np.int32), m, 0), [1])


def test_saturation() -> None:
    x = np.array([-(2**31), -1000, -256, -1, 0, 1, 255, 1000, 2**31 - 1], np.int32)
    np.testing.assert_array_equal(
        ops.requantize(x, ops.multipliers(1.0, 1.0), -128), [-128] * 5 + [-127, 127, 127, 127]
    )
    np.testing.assert_array_equal(
        ops.requantize(x, ops.multipliers(1e30, 1.0), 3), [-128] * 4 + [3] + [127] * 4
    )
    np.testing.assert_array_equal(ops.requantize(x, ops.multipliers(1e-45, 1e5), 3), [3] * 9)
    with pytest.raises(OverflowError, match="f32"):
        ops.multipliers(1e30, 1e-12)


@given(st.lists(st.tuples(int8s, int8s), min_size=1, max_size=20), st.tuples(int8s, int8s, int8s))
def test_add(pairs: list[tuple[int, int]], zeros: tuple[int, int, int]) -> None:
    s1, s2, s_y = 0.0235294, 0.07572068, 0.05
    x1, x2 = np.array(pairs, np.int8).T
    factors = (ops.multipliers(s1, s_y), ops.multipliers(s2, s_y))
    got = ops.add_quantized(x1, x2, factors, zeros)
    m1, m2 = f32(s1 / s_y), f32(s2 / s_y)
    expected = []
    for a, b in pairs:
        terms = f32((a - zeros[0]) * m1), f32((b - zeros[1]) * m2)
        expected.append(saturated(round(f32(sum(terms))) + zeros[2]))
    assert got.dtype == np.int8
    np.testing.assert_array_equal(got, expected)


def test_both_products_and_the_sum_of_add_are_rounded() -> None:
    one, three = np.array([1], np.int8), np.array([3], np.int8)
    # 16.5 + 2^-24 becomes a tie when the sum is rounded, 3 m = 0.5 + 2^-26 when the product is.
    m = np.float32(11184811 * 2.0**-26)
    half = np.float32(0.5 + 2.0**-24)
    sixteen, nothing = np.float32(16), np.float32(0)
    assert ops.add_quantized(one, one, (half, sixteen), (0, 0, 0)) == 16
    assert ops.add_quantized(three, one, (m, nothing), (0, 0, 0)) == 0
    assert ops.add_quantized(one, three, (nothing, m), (0, 0, 0)) == 0


@given(seeds, scales, int8s, int8s, st.integers(1, 4), st.integers(1, 3))
def test_quantized_pools(
    seed: int, scale: float, z_x: int, z_y: int, size: int, stride: int
) -> None:
    random = np.random.default_rng(seed)
    x = random.integers(-128, 128, (2, 6, 5, 3), np.int8)
    side = int(random.integers(0, size))
    window: dict[str, Any] = {"kernel": (size, size), "strides": (stride, stride)}
    window["padding"] = (side,) * 4
    image = torch.tensor(x).permute(0, 3, 1, 2).double()
    factor = ops.multipliers(scale, 2 * scale, size * size)
    assert f32(scale / (2 * scale * size * size)) == Fraction(float(factor))
    sums = F.avg_pool2d(F.pad(image - z_x, (side,) * 4), size, stride, divisor_override=1)
    expected = ops.requantize(sums.permute(0, 2, 3, 1).numpy().astype(np.int32), factor, z_y)
    got = ops.avg_pool_quantized(x, factor, z_y, z_x, **window)
    np.testing.assert_array_equal(got, expected)
    total = ops.multipliers(scale, scale, 30)
    everything = (x.astype(np.int32) - z_x).sum((1, 2), dtype=np.int32)
    np.testing.assert_array_equal(
        ops.global_avg_pool_quantized(x, total, z_y, z_x), ops.requantize(everything, total, z_y)
    )
    largest = F.max_pool2d(F.pad(image, (side,) * 4, value=-128), size, stride)
    got = ops.max_pool(x, **window)
    assert got.dtype == np.int8
    np.testing.assert_array_equal(got, largest.permute(0, 2, 3, 1).numpy())


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1), scales, int8s)
def test_quantize_and_dequantize(values: list[float], scale: float, zero: int) -> None:
    x = np.array(values, np.float32)
    quantization = Quantization((scale,), zero)
    with np.errstate(over="ignore", invalid="ignore"):
        got = quantization.quantize(x)
        products = x * np.float32(1.0 / scale)
    expected = []
    for v in products.tolist():
        if abs(v) < 1e6:
            expected.append(saturated(round(Fraction(v)) + zero))
        else:
            expected.append(-128 if v < 0 else 127)
    np.testing.assert_array_equal(got, expected)
    back = quantization.dequantize(got)
    reals = [float(f32(f32(int(n) - zero) * f32(scale))) for n in got]
    np.testing.assert_array_equal(back, np.array(reals, np.float32))


def test_dequantize_by_channel() -> None:
    x = np.array([[1, 2], [3, 2**24 + 1]], np.int32)
    y = Quantization((0.5, 2.0), axis=1, bits=32).dequantize(x)
    np.testing.assert_array_equal(y, np.array([[0.5, 4], [1.5, 2**25]], np.float32))


# The update of stored integers


def noise(index: int, state: int, stream: int) -> Fraction:
    h = (index * 0x9E3779B1 + state + stream * 0x85EBCA6B) % 2**32
    h = (h ^ h >> 16) * 0x7FEB352D % 2**32
    h = (h ^ h >> 15) * 0x846CA68B % 2**32
    h ^= h >> 16
    return Fraction(h >> 9, 2**23) + Fraction(1, 2**24) - Fraction(1, 2)


@given(seeds, st.integers(0, 200))
def test_uniform_noise(state: int, stream: int) -> None:
    bits = np.uint32(state).astype(np.int32)
    u = ops.uniform_noise((3, 5), bits, stream)
    expected = [noise(i, state, stream) for i in range(15)]
    assert [Fraction(float(v)) for v in u.ravel()] == expected
    assert (np.abs(u) < 0.5).all()
    assert int(ops.next_random(bits)) % 2**32 == (1664525 * state + 1013904223) % 2**32


def test_noise_is_uniform_and_independent() -> None:
    first, other = (ops.uniform_noise((200_000,), np.int32(7), stream) for stream in (0, 1))
    later = ops.uniform_noise((200_000,), ops.next_random(np.int32(7)), 0)
    counts = np.histogram(first, 64, (-0.5, 0.5))[0]
    assert ((counts - 3125) ** 2 / 3125).sum() < 120  # chi square with 63 degrees of freedom
    assert abs(first.mean()) < 0.003
    for x, y in ((first, other), (first, later), (first[1:], first[:-1])):
        assert abs(np.corrcoef(x, y)[0, 1]) < 0.01


@given(seeds, st.sampled_from([np.int8, np.int32]), st.sampled_from([0.0, 0.01]))
def test_quantized_update(seed: int, dtype: type[np.int8 | np.int32], decay: float) -> None:
    random = np.random.default_rng(seed)
    span = 128 if dtype is np.int8 else 2**30
    param = random.integers(-span, span, (3, 4)).astype(dtype)
    magnitude = 10.0 ** random.integers(-4, 11)
    grad = (random.standard_normal((3, 2)) * magnitude).astype(np.float32)
    lr = np.float32(random.uniform(0.01, 2))
    got = ops.sgd_update_quantized(
        param, grad, lr, np.int32(seed % 2**31), stream=3, weight_decay=decay
    )
    assert got.dtype == dtype
    np.testing.assert_array_equal(got[:, 2:], param[:, 2:])
    low, high = (-128, 127) if dtype is np.int8 else (-(2**30), 2**30)
    for i, (row, column) in enumerate(np.ndindex(3, 2)):
        old, g = int(param[row, column]), Fraction(float(grad[row, column]))
        if decay:
            g = f32(g + f32(f32(decay) * f32(old)))
        v = f32(noise(i, seed % 2**31, 3) - f32(f32(lr) * g))
        n = round(v) if abs(v) < 2**22 else int(v)
        n = max(-(2**29), min(2**29, n))
        assert got[row, column] == max(low, min(high, old + n))


def test_large_updates_saturate() -> None:
    limit, step, lr, state = 2**30, 2**29, np.float32(1), np.int32(0)
    param = np.array([-limit, 5 - limit, 5, limit, limit, -limit], np.int32)
    grad = np.array([-1e12, -np.inf, -1e12, -1e12, 1e12, 1e12], np.float32)
    got = ops.sgd_update_quantized(param, grad, lr, state)
    wanted = [step - limit, 5 + step - limit, 5 + step, limit, limit - step, -limit]
    np.testing.assert_array_equal(got, wanted)
    narrow = np.array([-128, 100, 127, -128], np.int8)
    got = ops.sgd_update_quantized(narrow, grad[[0, 1, 4, 5]], lr, state)
    np.testing.assert_array_equal(got, [127, 127, -128, -128])


def test_large_steps_lose_their_fraction() -> None:
    size = 2.0**22 + 0.5
    got = ops.sgd_update_quantized(
        np.zeros(64, np.int32),
        np.array([-size, size] * 32, np.float32),
        np.float32(1),
        np.int32(0),
    )
    # Where noise is so small that the sum stays what the step was, or grows by a half.
    assert set(got[::2].tolist()) <= {2**22, 2**22 + 1}
    assert set(got[1::2].tolist()) <= {-(2**22), -(2**22) - 1}
    assert 2**22 in got and -(2**22) in got


def test_small_updates_happen_on_average() -> None:
    param = np.zeros(400_000, np.int8)
    grad = np.full(param.shape, -0.0625, np.float32)
    new = ops.sgd_update_quantized(param, grad, np.float32(1), np.int32(1))
    assert set(np.unique(new)) == {0, 1}
    assert abs(new.mean() - 0.0625) < 0.002
    same = ops.sgd_update_quantized(new, grad * 0, np.float32(1), np.int32(1))
    np.testing.assert_array_equal(same, new)


@given(seeds, st.floats(-45, 10))
def test_int8_gradients(seed: int, exponent: float) -> None:
    random = np.random.default_rng(seed)
    x = (random.standard_normal((3, 4, 5)) * 10**exponent).astype(np.float32)
    scale = ops.gradient_scale(x)
    largest = max(Fraction(float(np.abs(x).max())), Fraction(1, 2**100))
    assert Fraction(float(scale)) == f32(largest * f32(1 / 127))
    q = ops.quantize_gradient(x, scale)
    inverse = f32(1 / float(scale))
    wanted = [round(f32(Fraction(float(v)) * inverse)) for v in x.ravel()]
    np.testing.assert_array_equal(q.ravel(), np.clip(wanted, -127, 127))
    if exponent > -25:
        assert np.abs(q).max() == 127
    sums = ops.reduce_sum(q, (0, 1))
    assert sums.dtype == np.int32
    np.testing.assert_array_equal(sums, q.sum((0, 1), dtype=np.int64))
    reals = [float(f32(f32(int(n)) * Fraction(float(scale)))) for n in sums]
    np.testing.assert_array_equal(ops.dequantize_gradient(sums, scale), np.array(reals, np.float32))


@given(st.data())
def test_adjoints_of_int8_gradients(data: st.DataObject) -> None:
    conv = Conv(data, quantized=True)
    grad = np.clip(np.rint(conv.grad * 40), -127, 127).astype(np.int8)
    conv.w_torch.grad = conv.x_torch.grad = None
    y = F.conv2d(conv.x_torch, conv.w_torch, *conv.torch_args)
    y.backward(torch.tensor(grad).permute(0, 3, 1, 2).double())
    dx = ops.conv2d_input_grad(grad, conv.w, shape=conv.x.shape, **conv.attributes)
    dw = ops.conv2d_weight_grad(
        conv.x, grad, shape=conv.w.shape, x_zero_point=conv.zero_point, **conv.attributes
    )
    assert conv.x_torch.grad is not None and conv.w_torch.grad is not None
    assert dx.dtype == dw.dtype == np.int32
    np.testing.assert_array_equal(dx, conv.x_torch.grad.permute(0, 2, 3, 1))
    np.testing.assert_array_equal(dw, conv.in_graph(conv.w_torch.grad.permute(0, 2, 3, 1).numpy()))


def test_masters() -> None:
    param = np.full(6, 9, np.int8)
    real = np.array([-0.5, 0.5, 1.5, 1e30, -1e30], np.float32)
    np.testing.assert_array_equal(ops.round_master(param, real), [0, 0, 2, 127, -128, 9])
    fine = np.array([-128, 127, 128, 32767, -32768], np.int16)
    np.testing.assert_array_equal(ops.round_master(param, fine), [0, 0, 1, 127, -128, 9])
    grad = np.array([0, -1e9, 1e9, -1, 1], np.float32)
    got = ops.sgd_update_quantized(fine, grad, np.float32(1), np.int32(0))
    assert got.dtype == np.int16
    np.testing.assert_array_equal(got, [-128, 32767, -32768, 32767, -32768])


# f32 ops


def image(random: np.random.Generator, *shape: int) -> Array:
    return random.standard_normal(shape).astype(np.float32)


@given(seeds, st.integers(1, 4), st.integers(1, 3))
def test_pools_and_their_adjoints(seed: int, size: int, stride: int) -> None:
    random = np.random.default_rng(seed)
    x, side = image(random, 2, 6, 5, 3), int(random.integers(0, size // 2 + 1))
    window: dict[str, Any] = {"kernel": (size, size), "strides": (stride, stride)}
    window["padding"] = (side,) * 4
    for pool, reference in ((ops.max_pool, F.max_pool2d), (ops.avg_pool, F.avg_pool2d)):
        tx = torch.tensor(x).double().requires_grad_()
        y = reference(tx.permute(0, 3, 1, 2), size, stride=stride, padding=side)
        assert_near(pool(x, **window), y.permute(0, 2, 3, 1))
        grad = image(random, *y.permute(0, 2, 3, 1).shape)
        y.backward(torch.tensor(grad).permute(0, 3, 1, 2).double())
        if pool is ops.max_pool:
            kept = ops.max_pool_argmax(x, **window)
            dx = ops.max_pool_grad(grad, kept, shape=x.shape, **window)
        else:
            dx = ops.avg_pool_grad(grad, shape=x.shape, **window)
        assert tx.grad is not None
        assert_near(dx, tx.grad)
    assert_near(ops.global_avg_pool(x), torch.tensor(x).double().mean((1, 2)))


UNARY: list[tuple[Callable[[Array], Array], Callable[[torch.Tensor], torch.Tensor]]] = [
    (ops.exp, torch.exp),
    (ops.relu, torch.relu),
    (lambda x: ops.log(np.abs(x) + 1), lambda x: torch.log(x.abs() + 1)),
    (lambda x: ops.clamp(x, -0.5, 0.7), lambda x: x.clamp(-0.5, 0.7)),
    (lambda x: ops.scale(x, 0.3), lambda x: x * 0.3),
    (lambda x: ops.shift(x, 0.3), lambda x: x + 0.3),
    (ops.softmax, lambda x: x.softmax(-1)),
    (ops.log_softmax, lambda x: x.log_softmax(-1)),
    (lambda x: ops.reduce_sum(x, (0, 2)), lambda x: x.sum((0, 2))),
    (lambda x: ops.reduce_mean(x, (1,)), lambda x: x.mean(1)),
    (lambda x: ops.reduce_max(x, (1, 2)), lambda x: x.amax((1, 2))),
    (lambda x: ops.transpose(x, (2, 0, 1)), lambda x: x.permute(2, 0, 1)),
    (lambda x: ops.slice_(x, (0, 1, 0), (2, 1, 2), (1, 1, 3)), lambda x: x[:2, 1:2, ::3]),
    (lambda x: ops.pad(x, (0, 1, 2), (1, 0, 0), (0, 0, 0), 4), lambda x: F.pad(x, (2, 0, 1, 0, 0, 1), value=4)),
    (lambda x: ops.channel_scale(x, x[0, :, 0], 1), lambda x: x * x[0, :, 0][:, None]),
    (lambda x: ops.broadcast(x, (2, 2, 3, 5, 4), (0, 2, 4)), lambda x: x[:, None, :, None].expand(2, 2, 3, 5, 4)),
    (lambda x: ops.concat([x, x], 1), lambda x: torch.cat([x, x], 1)),
]  # fmt: skip


@pytest.mark.parametrize(("op", "reference"), UNARY)
def test_float_ops(
    op: Callable[[Array], Array], reference: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    x = image(np.random.default_rng(0), 2, 3, 4)
    assert_near(op(x), reference(torch.tensor(x).double()))


def test_interior_padding() -> None:
    x = np.array([1, 2, 3], np.int8)
    np.testing.assert_array_equal(ops.pad(x, (1,), (0,), (2,), 9), [9, 1, 9, 9, 2, 9, 9, 3])


def test_exp_stays_finite() -> None:
    y = ops.exp(np.array([-1e9, 1e9], np.float32))
    assert 0 < y[0] < 1e-37 and 1e38 < y[1] < np.inf


@given(seeds, st.booleans(), st.sampled_from([(0.0, 0.8), (-np.inf, 0.2), (-1.0, np.inf)]))
def test_adjoints_of_clamps(seed: int, inclusive: bool, bounds: tuple[float, float]) -> None:
    random = np.random.default_rng(seed)
    x, grad = image(random, 3, 3, 4).round(1), image(random, 3, 3, 4)
    expected = ops.clamp_grad(grad, x, *bounds, inclusive)
    low, high = (np.float32(b) for b in bounds)
    inside = (x > low) & (x < high) | (inclusive & ((x == low) | (x == high)))
    np.testing.assert_array_equal(expected, grad * inside)
    mask = ops.clamp_mask(x.reshape(9, 4), *bounds, inclusive)
    assert mask.dtype == np.int8 and mask.shape == (2, 4)
    np.testing.assert_array_equal(ops.mask_grad(grad, mask), expected)
    assert mask[1].max() <= 1


def test_bounds_of_stored_integers() -> None:
    y = np.array([[-128, -127, 0, 126, 127]], np.int8)
    grad = np.arange(1, 6, dtype=np.float32)[None]
    np.testing.assert_array_equal(ops.clamp_grad(grad, y, -128, 127), [[0, 2, 3, 4, 0]])
    np.testing.assert_array_equal(ops.clamp_mask(y, -128, 127), [[0, 1, 1, 1, 0]])


@given(seeds)
def test_losses_and_adjoints(seed: int) -> None:
    random = np.random.default_rng(seed)
    x, target, g = image(random, 3, 4), image(random, 3, 4), np.float32(0.7)
    labels = random.integers(0, 4, 3).astype(np.int32)
    tx = torch.tensor(x).double().requires_grad_()
    losses: list[Any] = [
        (ops.cross_entropy, ops.cross_entropy_grad, labels, F.cross_entropy),
        (ops.mse, ops.mse_grad, target, F.mse_loss),
    ]
    for loss, adjoint, y, reference in losses:
        ty = torch.tensor(y).double() if y is target else torch.tensor(y).long()
        value = reference(tx, ty)
        (wanted,) = torch.autograd.grad(value, tx, torch.tensor(0.7).double())
        assert_near(loss(x, y), value)
        assert_near(adjoint(np.asarray(g), x, y), wanted, 1e-6)
    rows: list[Any] = [
        (ops.softmax, ops.softmax_grad, torch.softmax),
        (ops.log_softmax, ops.log_softmax_grad, torch.log_softmax),
    ]
    for op, adjoint, reference in rows:
        (wanted,) = torch.autograd.grad(reference(tx, -1), tx, torch.tensor(target).double())
        assert_near(adjoint(target, op(x)), wanted, 2e-6)


def test_a_label_out_of_range_counts_nothing() -> None:
    x, labels = np.zeros((2, 4), np.float32), np.array([1, -1], np.int32)
    assert_near(ops.cross_entropy(x, labels), np.array(np.log(4) / 2))


@given(seeds, st.booleans())
def test_float_update(seed: int, partial: bool) -> None:
    random = np.random.default_rng(seed)
    param, grad = image(random, 3, 4), image(random, 3, 2 if partial else 4)
    velocity, lr = image(random, *grad.shape), np.float32(0.3)
    part = torch.tensor(param[:, : grad.shape[1]]).double().requires_grad_()
    part.grad = torch.tensor(grad).double()
    optimizer = torch.optim.SGD([part], lr=float(lr), momentum=0.9, weight_decay=0.01)
    optimizer.state[part]["momentum_buffer"] = torch.tensor(velocity).double()
    optimizer.step()
    new = ops.momentum_update(velocity, grad, param, momentum=0.9, weight_decay=0.01)
    assert_near(new, optimizer.state[part]["momentum_buffer"])
    got = ops.sgd_update(param, new, lr)
    assert_near(got[:, : grad.shape[1]], part)
    np.testing.assert_array_equal(got[:, grad.shape[1] :], param[:, grad.shape[1] :])


# Types


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("i8:f32, 1.000000e-02:-128", Quantization((0.01,), -128)),
        ("i8:f32, 0.33333333333333331", Quantization((1 / 3,))),
        ("i32:f32:3, {1.0e-4,2.0e-4}", Quantization((1e-4, 2e-4), axis=3, bits=32)),
        ("i8:f32:0, {1.0:-7, 2.0:-7}", Quantization((1.0, 2.0), -7, 0)),
    ],
)
def test_quantized_types(text: str, wanted: Quantization) -> None:
    tensor = TensorType.of(f"tensor<2x1x1x2x!quant.uniform<{text}>>")
    assert tensor == TensorType((2, 1, 1, 2), wanted)
    assert TensorType.of(tensor) == tensor
    assert tensor.quantization == wanted
    assert tensor.holds(np.zeros((2, 1, 1, 2), wanted.dtype))


@pytest.mark.parametrize(
    "text",
    [
        "tensor<2x!quant.uniform<i8<-127:127>:f32, 0.5>>",
        "tensor<2x!quant.uniform<u8:f32, 0.5>>",
        "tensor<3x!quant.uniform<i8:f32:0, {1.0, 2.0}>>",
        "tensor<2x!quant.uniform<i8:f32:1, {1.0, 2.0}>>",
        "tensor<?xf32>",
        "tensor<2xf16>",
        "memref<2xf32>",
    ],
)
def test_other_types_are_errors(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        TensorType.of(text)
