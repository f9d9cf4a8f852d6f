"""How often values occur, and the range of them that int8 should cover."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from .frontends.graph_builder import Array
from .quantization import SMALLEST_SCALE, Quantization

_BINS = 1 << 13  # on either side of 0
_STEPS = 100  # of a bound in the search for the least error


@dataclass(frozen=True)
class Range:
    """The real numbers from `low` to `high`, 0 among them."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (
            math.isfinite(self.low) and math.isfinite(self.high) and self.low <= 0 <= self.high
        ):
            raise ValueError(f"expected a finite range around 0, got {self.low} to {self.high}")

    def quantization(self) -> Quantization:
        """The int8 whose first and last integers stand for the bounds, as near as 0 allows."""
        scale = max((self.high - self.low) / 255, SMALLEST_SCALE)
        zero_point = round(-128 - self.low / scale)
        return Quantization((scale,), min(max(zero_point, -128), 127))


class Histogram:
    """Counts of values in bins of equal width, a power of two that grows as values do."""

    def __init__(self) -> None:
        self.total = 0
        self._low, self._high = 0.0, 0.0
        self._exponent: int | None = None  # of the width; None before the first value but 0
        self._counts = np.zeros(2 * _BINS, np.int64)  # the second half is that of x >= 0

    def add(self, values: Array) -> None:
        """Counts the values of an array; they are finite."""
        x = values.astype(np.float64).ravel()
        self.total += x.size
        self._low, self._high = min(self._low, float(x.min())), max(self._high, float(x.max()))
        largest = float(np.abs(x).max())
        exponent = math.frexp(largest)[1] - _BINS.bit_length() + 1  # largest < width * _BINS
        if self._exponent is None:
            self._exponent = exponent if largest else None
        while self._exponent is not None and largest and self._exponent < exponent:
            self._widen()
        width = 1.0 if self._exponent is None else 2.0**self._exponent
        bins = np.floor(x / width).astype(np.int64) + _BINS
        self._counts += np.bincount(bins, minlength=2 * _BINS)

    def minmax(self) -> Range:
        """From the least to the largest value."""
        return Range(self._low, self._high)

    def percentile(self, percent: float) -> Range:
        """Without the outermost values on either side, as many as remain above this percentile."""
        beyond = self.total * (1 - percent / 100)
        edges = self._edges()
        from_below, from_above = np.cumsum(self._counts), np.cumsum(self._counts[::-1])[::-1]
        low = edges[:-1][np.argmax(from_below > beyond)]
        high = edges[1:][len(edges) - 2 - np.argmax(from_above[::-1] > beyond)]
        return Range(max(self._low, min(float(low), 0.0)), min(self._high, max(float(high), 0.0)))

    def least_error(self) -> Range:
        """The range whose int8 has the least sum of squared errors, found bound by bound."""
        edges = self._edges()
        counted = self._counts > 0
        x = ((edges[:-1] + edges[1:]) / 2).clip(self._low, self._high)[counted].astype(np.float32)
        counts = self._counts[counted]

        def error(bounds: Range) -> float:
            numbers = bounds.quantization()
            difference = numbers.dequantize(numbers.quantize(x)) - x
            return float(counts @ np.square(difference.astype(np.float64)))

        best, least = self.minmax(), error(self.minmax())
        for bound, whole in (("high", self._high), ("low", self._low)) * 2:
            start = best
            for step in range(1, _STEPS if whole else 1):
                candidate = replace(start, **{bound: whole * step / _STEPS})
                if (found := error(candidate)) < least:
                    best, least = candidate, found
        return best

    def _edges(self) -> Array:
        """The bounds of all bins."""
        width = 1.0 if self._exponent is None else 2.0**self._exponent
        return np.arange(-_BINS, _BINS + 1) * width

    def _widen(self) -> None:
        """Joins each two bins."""
        assert self._exponent is not None
        joined = self._counts.reshape(-1, 2).sum(1)
        self._counts = np.zeros_like(self._counts)
        self._counts[_BINS // 2 : _BINS // 2 + _BINS] = joined
        self._exponent += 1
