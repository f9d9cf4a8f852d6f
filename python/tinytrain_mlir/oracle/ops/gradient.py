"""Gradients of activations as int8, at a scale that is found when the step runs."""

from __future__ import annotations

import numpy as np

from ...frontends.graph_builder import Array

_SMALLEST = np.float32(2.0**-100)
_LARGEST = 127


def gradient_scale(x: Array) -> Array:
    """`max(max |x|, 2^-100) * f32(1 / 127)`, the product rounded to f32: a scalar."""
    largest = np.maximum(np.abs(x).max(initial=0), _SMALLEST).astype(np.float32)
    return np.asarray(largest * np.float32(1 / _LARGEST))


def quantize_gradient(x: Array, scale: Array) -> Array:
    """`clamp(rne(x * (1 / scale)), -127, 127)`, quotient and product rounded to f32; int8."""
    product = x * (np.float32(1) / np.float32(scale))
    return np.asarray(np.clip(np.rint(product), -_LARGEST, _LARGEST)).astype(np.int8)


def dequantize_gradient(x: Array, scale: Array) -> Array:
    """`f32(x) * scale` of int8 or int32, rounded to f32 after each of the two."""
    return np.asarray(x.astype(np.float32) * np.float32(scale))
