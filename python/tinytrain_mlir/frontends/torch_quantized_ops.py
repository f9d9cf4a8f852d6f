"""Translation rules of quantize and dequantize, as PyTorch's quantization flow (PT2E) leaves them in a program.

Every quantization becomes one to int8: that to uint8 with zero point z is the one with z - 128. A weight comes as a
float parameter or, folded, as its integers; either way the graph gets a float parameter, quantized and dequantized.
A bias of int32 becomes the float parameter alone, with the values that the integers stand for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..quantization import Quantization
from .graph_builder import Array, ParamLayout
from .torch_rules import Op, Unsupported, rule
from .torch_tensors import (
    Activation,
    Constant,
    Folded,
    Lowering,
    Parameter,
    Quantized,
    Tensor,
    normalize_dim,
)

# PyTorch's numbers of its element types: the name, and how far int8 is below.
_DTYPES = {0: ("uint8", 128), 1: ("int8", 0), 3: ("int32", 0)}
_INT8 = (-128, 127)


@dataclass(frozen=True)
class _Scheme:
    """A quantization and the integers it may give, as those of int8 where they are bytes."""

    quantization: Quantization
    dtype: str
    offset: int
    low: int
    high: int

    @property
    def is_int32(self) -> bool:
        return self.dtype == "int32"

    def dequantize(self, integers: Array) -> Array:
        """The float32 values of integers as PyTorch stores them."""
        return self.quantization.dequantize(integers.astype(np.int64) - self.offset)

    def round(self, values: Array) -> Array:
        """The nearest values that the integers can stand for."""
        integers = np.rint(values / self._scales(values.ndim)) + self.quantization.zero_point
        return self.quantization.dequantize(np.clip(integers, self.low, self.high))

    def clip(self, values: Array) -> Array:
        """The values, none beyond the first and the last that an integer stands for."""
        scales, zero = self._scales(values.ndim).astype(np.float32), self.quantization.zero_point
        low, high = (np.float32(bound - zero) * scales for bound in (self.low, self.high))
        return np.asarray(np.clip(values, low, high), np.float32)

    def _scales(self, rank: int) -> Array:
        """The scales, shaped to broadcast to an array of this rank."""
        axis = self.quantization.axis
        scales = np.array(self.quantization.scales, np.float64)
        return scales.reshape([-1 if d == axis else 1 for d in range(rank)])


def _numbers(x: Any) -> list[float]:
    if isinstance(x, int | float):
        return [x]
    if isinstance(x, Constant):
        return [v.item() for v in x.array.ravel()]
    raise Unsupported("needs scales and zero points that are known at compile time")


def _scheme(
    x: Any, scales: Any, zero_points: Any, axis: int | None, low: int, high: int, dtype: int
) -> _Scheme:
    if dtype not in _DTYPES:
        raise Unsupported("quantizes to another type than int8 or uint8: use torch.int8")
    name, offset = _DTYPES[dtype]
    factors = tuple(float(s) for s in _numbers(scales))
    zeros = tuple(int(z) - offset for z in _numbers(zero_points))
    if not all(0.0 < s < float("inf") for s in factors):
        raise Unsupported("has a scale that is not positive: calibrate the model with real inputs")
    if axis is not None:
        axis = normalize_dim(axis, len(x.shape))
    if len(set(zeros)) != 1:
        raise Unsupported("has several zero points: use a symmetric scheme")
    if name != "int32" and not _INT8[0] <= zeros[0] <= _INT8[1]:
        raise Unsupported(f"has a zero point beyond {name}: recalibrate the model")
    numbers = Quantization(factors, zeros[0], axis, 32 if name == "int32" else 8)
    return _Scheme(numbers, name, offset, low - offset, high - offset)


def _quantize(ctx: Lowering, x: Tensor, scheme: _Scheme) -> Quantized:
    numbers = scheme.quantization
    plain = isinstance(x, Parameter) and x.layout == ParamLayout.identity(x.array.shape)
    if isinstance(x, Parameter) and plain and x.quantization is None:
        if scheme.is_int32:
            return Quantized(replace(x, array=scheme.round(x.array)), numbers)
        return Quantized(replace(x, array=scheme.clip(x.array), quantization=numbers), numbers)
    if scheme.is_int32:
        raise Unsupported("quantizes an activation to int32: use torch.int8")
    if (scheme.low, scheme.high) != _INT8:
        low, high = (bound + scheme.offset for bound in (scheme.low, scheme.high))
        raise Unsupported(
            f"quantizes an activation to {low}..{high} of {scheme.dtype}: use the whole range of "
            "the type (no reduce_range)"
        )
    if numbers.axis is not None:
        raise Unsupported("quantizes a computed value per channel: only parameters may be")
    return ctx.quantize(x, numbers)


def _dequantize(ctx: Lowering, x: Any, scheme: _Scheme) -> Tensor:
    match x:
        case Folded():
            array = scheme.dequantize(x.array)
            numbers = None if scheme.is_int32 else scheme.quantization
            return Parameter(x.name, array, ParamLayout.identity(array.shape), numbers)
        case Quantized():
            if x.quantization != scheme.quantization:
                raise Unsupported("dequantizes with other scales than it was quantized with")
            if isinstance(x.tensor, Parameter):
                return x.tensor
            return ctx.dequantize(x)
        case Activation():
            return x  # stands for the result of an op without a translation
        case _:
            raise Unsupported("dequantizes what no quantize gave: keep all other values in float32")


@rule(
    "quantized_decomposed.quantize_per_tensor",
    "quantized_decomposed.quantize_per_tensor.tensor",
    "quantized_decomposed.quantize_per_tensor.tensor2",
)
def _quantize_per_tensor(
    ctx: Lowering, op: Op, x: Tensor, scale: Any, zero_point: Any, low: int, high: int, dtype: int
) -> Quantized:
    return _quantize(ctx, x, _scheme(x, scale, zero_point, None, low, high, dtype))


@rule(
    "quantized_decomposed.dequantize_per_tensor",
    "quantized_decomposed.dequantize_per_tensor.tensor",
    "quantized_decomposed.dequantize_per_tensor.tensor2",
)
def _dequantize_per_tensor(
    ctx: Lowering,
    op: Op,
    x: Any,
    scale: Any,
    zero_point: Any,
    low: int,
    high: int,
    dtype: int,
    out_dtype: Any = None,
) -> Tensor:
    return _dequantize(ctx, x, _scheme(x, scale, zero_point, None, low, high, dtype))


@rule("quantized_decomposed.quantize_per_channel")
def _quantize_per_channel(
    ctx: Lowering,
    op: Op,
    x: Tensor,
    scales: Any,
    zero_points: Any,
    axis: int,
    low: int,
    high: int,
    dtype: int,
) -> Quantized:
    return _quantize(ctx, x, _scheme(x, scales, zero_points, axis, low, high, dtype))


@rule("quantized_decomposed.dequantize_per_channel")
def _dequantize_per_channel(
    ctx: Lowering,
    op: Op,
    x: Any,
    scales: Any,
    zero_points: Any,
    axis: int,
    low: int,
    high: int,
    dtype: int,
    out_dtype: Any = None,
) -> Tensor:
    if zero_points is None:
        zero_points = Constant(np.zeros(len(_numbers(scales)), np.int64))
    return _dequantize(ctx, x, _scheme(x, scales, zero_points, axis, low, high, dtype))
