"""How real numbers are stored as integers: scales, zero points, and the text of their types."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from .frontends.graph_builder import Array

_TYPE = re.compile(
    r"!quant\.uniform<i(?P<bits>8|16|32):f32(?::(?P<axis>\d+))?,\s*(?:\{(?P<many>[^}]*)\}|(?P<one>[^>]*))>"
)

# Gradients of integers are divided by squares of scales: a floor keeps those of dead channels finite.
SMALLEST_SCALE = 2.0**-16

# Biases within leave sums in int32 room, and the bias room to learn.
MAX_BIAS = 1 << 29


@dataclass(frozen=True)
class Quantization:
    """Signed integers q that stand for the real numbers `scale * (q - zero_point)`.

    Attributes:
        scales: one, or one per index of dimension `axis`; positive.
        zero_point: the integer that stands for 0.
        axis: the dimension with scales of its own; None for one scale.
        bits: 8; 16 for fine masters, 32 for biases and sums.
    """

    scales: tuple[float, ...]
    zero_point: int = 0
    axis: int | None = None
    bits: int = 8

    def __post_init__(self) -> None:
        if not self.scales or not all(s > 0 and math.isfinite(s) for s in self.scales):
            raise ValueError("expected positive, finite scales")
        if self.bits not in (8, 16, 32) or not self.low <= self.zero_point <= self.high:
            raise ValueError(
                f"expected 8, 16 or 32 bits and a zero point in their range, got {self}"
            )
        if self.axis is None and len(self.scales) != 1:
            raise ValueError("expected one scale where there is no axis")

    @property
    def low(self) -> int:
        """The smallest integer."""
        return -(1 << (self.bits - 1))

    @property
    def high(self) -> int:
        """The largest integer."""
        return (1 << (self.bits - 1)) - 1

    @property
    def dtype(self) -> np.dtype[np.signedinteger]:
        """Of the integers."""
        return np.dtype({8: np.int8, 16: np.int16, 32: np.int32}[self.bits])

    @property
    def text(self) -> str:
        """The element type as MLIR writes it."""
        zero = f":{self.zero_point}" if self.zero_point else ""
        scales = [f"{scale:.17e}{zero}" for scale in self.scales]
        if self.axis is None:
            return f"!quant.uniform<i{self.bits}:f32, {scales[0]}>"
        return f"!quant.uniform<i{self.bits}:f32:{self.axis}, {{{', '.join(scales)}}}>"

    @staticmethod
    def parse(text: str) -> Quantization | None:
        """The quantization in the text of a type; None if there is none.

        Raises:
            ValueError: channels have zero points of their own.
        """
        match = _TYPE.search(text)
        if match is None:
            return None
        entries = [e.split(":") for e in (match["many"] or match["one"]).split(",")]
        axis = None if match["axis"] is None else int(match["axis"])
        zero, *others = {int(e[1]) if len(e) > 1 else 0 for e in entries}
        if others:
            raise ValueError(f"expected one zero point for all channels, got {text}")
        return Quantization(tuple(float(e[0]) for e in entries), zero, axis, int(match["bits"]))

    def quantize(self, x: Array) -> Array:
        """The nearest integers of real numbers, as `tinytrain.quantize` defines them.

        Args:
            x: f32; with several scales, dimension `axis` has as many indices.
        """
        factor = (1.0 / np.array(self.scales, np.float64)).astype(np.float32)
        scaled = np.asarray(x, np.float32) * self._along_axis(factor, x.ndim)
        q = np.clip(np.rint(scaled) + self.zero_point, self.low, self.high)
        return np.asarray(q).astype(self.dtype)

    def dequantize(self, q: Array) -> Array:
        """The real numbers, f32, of integers."""
        scales = np.array(self.scales, np.float32)
        difference = (q.astype(np.int64) - self.zero_point).astype(np.float32)
        return np.asarray(difference * self._along_axis(scales, q.ndim))

    def take(self, order: Array) -> Quantization:
        """With the scales in a new order."""
        return Quantization(
            tuple(self.scales[i] for i in order), self.zero_point, self.axis, self.bits
        )

    def _along_axis(self, scales: Array, rank: int) -> Array:
        if self.axis is None:
            return scales.reshape(())
        return scales.reshape([-1 if d == self.axis else 1 for d in range(rank)])
