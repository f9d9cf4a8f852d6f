"""A `GraphBuilder` that evaluates every op at once in NumPy float64, to test importers against."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinytrain_mlir.frontends.graph_builder import Array, ParamLayout, Shape
from tinytrain_mlir.quantization import Quantization

Value = npt.NDArray[np.float64]
Pair = tuple[int, int]
Sides = tuple[int, int, int, int]


@dataclass(frozen=True)
class Integers:
    """The int8 result of a quantize, with scales that broadcast to it."""

    values: Value
    scales: Array
    zero_point: int

    @property
    def shape(self) -> Shape:
        return self.values.shape


class NumpyBuilder:
    """Evaluates a graph for the given inputs, and records what was called.

    ``inputs`` are the graph's arrays by position, NHWC for images. ``ops`` lists the ops called,
    ``locations`` the locations set, ``parameters`` the arrays and layouts by name, ``quantized``
    the results of quantize; ``outputs`` are the results.
    """

    def __init__(self, inputs: Sequence[Array]) -> None:
        self._inputs = [np.asarray(x, np.float64) for x in inputs]
        self.input_names: list[str] = []
        self.parameters: dict[str, tuple[Array, ParamLayout]] = {}
        self.quantized: list[Integers] = []
        self.ops: list[str] = []
        self.locations: list[tuple[str | None, int, int, str]] = []
        self.outputs: list[Value] = []

    def _done(self, op: str, value: Any) -> Value:
        self.ops.append(op)
        return np.asarray(value, np.float64)

    def input(self, name: str, shape: Shape, dtype: str) -> Value:
        x = self._inputs[len(self.input_names)]
        assert x.shape == shape, f"input {name}: {x.shape} given, {shape} expected"
        assert dtype == "f32"
        self.input_names.append(name)
        return x

    def parameter(self, name: str, array: Array, layout: ParamLayout) -> Value:
        assert name not in self.parameters, f"parameter {name} imported twice"
        assert array.dtype == np.float32
        assert array.shape == layout.ir_shape
        assert np.array_equal(layout.to_ir(layout.to_torch(array)), array)
        self.parameters[name] = (array, layout)
        return array.astype(np.float64)

    def constant(self, array: Array) -> Value:
        assert array.dtype == np.float32
        return self._done("constant", array)

    def output(self, values: Sequence[Value]) -> None:
        self.outputs = list(values)

    def set_location(self, file: str | None, line: int, column: int, scope: str) -> None:
        self.locations.append((file, line, column, scope))

    # Layers

    def conv2d(
        self, x: Value, w: Value, strides: Pair, padding: Sides, dilations: Pair, groups: int
    ) -> Value:
        channels = x.shape[3]
        if w.shape[0] == 1 and 1 < groups == channels == w.shape[3]:
            w = w.transpose(3, 1, 2, 0)
        assert w.shape[3] * groups == channels
        windows = _windows(x, w.shape[1:3], strides, padding, dilations, 0.0)
        n, rows, columns = windows.shape[:3]
        windows = windows.reshape(n, rows, columns, *w.shape[1:3], groups, channels // groups)
        filters = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
        return self._done(
            "conv2d",
            np.einsum("nrcabgi,goabi->nrcgo", windows, filters).reshape(n, rows, columns, -1),
        )

    def bias_add(self, x: Value, b: Value) -> Value:
        assert b.shape == x.shape[-1:]
        return self._done("bias_add", x + b)

    def matmul(
        self, a: Value, b: Value, transpose_a: bool = False, transpose_b: bool = False
    ) -> Value:
        assert a.ndim == b.ndim and a.ndim in (2, 3)
        a = a.swapaxes(-1, -2) if transpose_a else a
        b = b.swapaxes(-1, -2) if transpose_b else b
        assert a.shape[:-2] == b.shape[:-2]
        return self._done("matmul", a @ b)

    # Elementwise

    def _binary(self, op: str, x: Value, y: Value, value: Any) -> Value:
        assert x.shape == y.shape
        return self._done(op, value)

    def add(self, x: Value, y: Value) -> Value:
        return self._binary("add", x, y, x + y)

    def sub(self, x: Value, y: Value) -> Value:
        return self._binary("sub", x, y, x - y)

    def mul(self, x: Value, y: Value) -> Value:
        return self._binary("mul", x, y, x * y)

    def div(self, x: Value, y: Value) -> Value:
        return self._binary("div", x, y, x / y)

    def scale(self, x: Value, factor: float) -> Value:
        return self._done("scale", x * factor)

    def shift(self, x: Value, value: float) -> Value:
        return self._done("shift", x + value)

    def relu(self, x: Value) -> Value:
        return self._done("relu", np.maximum(x, 0))

    def clamp(self, x: Value, min: float, max: float, inclusive: bool = False) -> Value:
        return self._done("clamp", np.minimum(np.maximum(x, min), max))

    def softmax(self, x: Value) -> Value:
        e = np.exp(x - x.max(-1, keepdims=True))
        return self._done("softmax", e / e.sum(-1, keepdims=True))

    def log_softmax(self, x: Value) -> Value:
        x = x - x.max(-1, keepdims=True)
        return self._done("log_softmax", x - np.log(np.exp(x).sum(-1, keepdims=True)))

    # Pooling and reductions

    def max_pool(
        self, x: Value, kernel: Pair, strides: Pair, padding: Sides, dilations: Pair
    ) -> Value:
        return self._done(
            "max_pool", _windows(x, kernel, strides, padding, dilations, -np.inf).max((3, 4))
        )

    def avg_pool(
        self, x: Value, kernel: Pair, strides: Pair, padding: Sides, count_include_pad: bool
    ) -> Value:
        total = _windows(x, kernel, strides, padding, (1, 1), 0.0).sum((3, 4))
        inside = _windows(
            np.ones_like(x), kernel, strides, padding, (1, 1), float(count_include_pad)
        ).sum((3, 4))
        return self._done("avg_pool", total / inside)

    def global_avg_pool(self, x: Value) -> Value:
        assert x.ndim == 4
        return self._done("global_avg_pool", x.mean((1, 2)))

    def reduce_sum(self, x: Value, dims: tuple[int, ...]) -> Value:
        return self._done("reduce_sum", x.sum(dims))

    def reduce_mean(self, x: Value, dims: tuple[int, ...]) -> Value:
        return self._done("reduce_mean", x.mean(dims))

    # Changes of shape

    def reshape(self, x: Value, shape: Shape) -> Value:
        assert math.prod(shape) == x.size
        assert shape != x.shape, "needless reshape"
        return self._done("reshape", x.reshape(shape))

    def transpose(self, x: Value, permutation: tuple[int, ...]) -> Value:
        assert permutation != tuple(range(x.ndim)), "needless transpose"
        return self._done("transpose", x.transpose(permutation))

    def broadcast(self, x: Value, shape: Shape, dims: tuple[int, ...]) -> Value:
        assert len(dims) == x.ndim and list(dims) == sorted(set(dims))
        assert all(shape[d] == n for d, n in zip(dims, x.shape, strict=True))
        expanded = x.reshape([n if d in dims else 1 for d, n in enumerate(shape)])
        return self._done("broadcast", np.broadcast_to(expanded, shape))

    def slice(
        self, x: Value, offsets: tuple[int, ...], sizes: tuple[int, ...], strides: tuple[int, ...]
    ) -> Value:
        spans = zip(offsets, sizes, strides, strict=True)
        result = x[
            tuple(slice(start, start + (size - 1) * step + 1, step) for start, size, step in spans)
        ]
        assert result.shape == sizes
        return self._done("slice", result)

    def pad(self, x: Value, low: tuple[int, ...], high: tuple[int, ...], value: float) -> Value:
        return self._done(
            "pad", np.pad(x, list(zip(low, high, strict=True)), constant_values=value)
        )

    def concat(self, xs: Sequence[Value], axis: int) -> Value:
        return self._done("concat", np.concatenate(xs, axis))

    # Quantization, in float32 as a program computes it

    def quantize(self, x: Any, quantization: Quantization) -> Any:
        scales, axis = quantization.scales, quantization.axis
        assert quantization.bits == 8
        assert len(scales) == (1 if axis is None else x.shape[axis])
        shape = [-1 if d == axis else 1 for d in range(x.ndim)]
        inverse = np.array([np.float32(1.0 / s) for s in scales]).reshape(shape)
        rounded = np.rint(x.astype(np.float32) * inverse).astype(np.float64)
        self.ops.append("quantize")
        zero = quantization.zero_point
        values = np.clip(rounded + zero, -128, 127)
        self.quantized.append(Integers(values, np.array(scales, np.float32).reshape(shape), zero))
        return self.quantized[-1]

    def dequantize(self, q: Any) -> Value:
        assert isinstance(q, Integers)
        values = (q.values - q.zero_point).astype(np.float32) * q.scales
        return self._done("dequantize", values)


def _windows(
    x: Value, kernel: Any, strides: Pair, padding: Sides, dilations: Pair, fill: float
) -> Value:
    """[N, rows, columns, KH, KW, C]: what each window sees of NHWC ``x`` padded with ``fill``."""
    top, bottom, left, right = padding
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)
    rows, columns = (
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(x.shape[1:3], kernel, strides, dilations, strict=True)
    )
    result = np.empty((x.shape[0], rows, columns, *kernel, x.shape[3]))
    for i, j in itertools.product(range(kernel[0]), range(kernel[1])):
        top, left = i * dilations[0], j * dilations[1]
        seen = x[:, top : top + (rows - 1) * strides[0] + 1 : strides[0]]
        result[:, :, :, i, j] = seen[
            :, :, left : left + (columns - 1) * strides[1] + 1 : strides[1]
        ]
    return result
