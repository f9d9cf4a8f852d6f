"""Reductions, softmax and losses; all but sums of gradients on f32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...frontends.graph_builder import Array
from .contraction import to_int32


def _f32(x: Any) -> Array:
    return np.asarray(x).astype(np.float32)


def reduce_sum(x: Array, dims: Sequence[int]) -> Array:
    """Sum over dimensions, which disappear; of int8 gradients in int32."""
    if x.dtype == np.int8:
        return to_int32(x.astype(np.float64).sum(tuple(dims)))
    return _f32(x.astype(np.float64).sum(tuple(dims)))


def reduce_mean(x: Array, dims: Sequence[int]) -> Array:
    """Mean over dimensions, which disappear."""
    return _f32(x.astype(np.float64).mean(tuple(dims)))


def reduce_max(x: Array, dims: Sequence[int]) -> Array:
    """Maximum over dimensions, which disappear."""
    return np.asarray(x.max(tuple(dims)))


def _log_softmax(x: Array) -> Array:
    shifted = x.astype(np.float64) - x.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def softmax(x: Array) -> Array:
    """`exp(x - max) / sum exp(x - max)` over the last dimension."""
    return _f32(np.exp(_log_softmax(x)))


def softmax_grad(grad: Array, result: Array) -> Array:
    """`y * (g - sum(g * y))`; `result` is y, the softmax."""
    g, y = grad.astype(np.float64), result.astype(np.float64)
    return _f32(y * (g - (g * y).sum(-1, keepdims=True)))


def log_softmax(x: Array) -> Array:
    """`x - max - log sum exp(x - max)` over the last dimension."""
    return _f32(_log_softmax(x))


def log_softmax_grad(grad: Array, result: Array) -> Array:
    """`g - exp(y) * sum(g)`; `result` is y, the log softmax."""
    g = grad.astype(np.float64)
    return _f32(g - np.exp(result.astype(np.float64)) * g.sum(-1, keepdims=True))


def _one_hot(logits: Array, labels: Array) -> Array:
    """A row of zeros for a label out of range."""
    return np.asarray(labels[:, None] == np.arange(logits.shape[1]))


def cross_entropy(logits: Array, labels: Array) -> Array:
    """Mean over the batch of `-log softmax(logits)[label]`; a label out of range contributes zero."""
    losses = np.where(_one_hot(logits, labels), -_log_softmax(logits), 0)
    return _f32(losses.sum() / len(logits))


def cross_entropy_grad(grad: Array, logits: Array, labels: Array) -> Array:
    """`g * (softmax(logits) - onehot(label)) / N`."""
    difference = np.exp(_log_softmax(logits)) - _one_hot(logits, labels)
    return _f32(grad.astype(np.float64) * difference / len(logits))


def mse(prediction: Array, target: Array) -> Array:
    """`sum (prediction - target)^2 / N`, N the number of elements."""
    return _f32(np.mean((prediction.astype(np.float64) - target) ** 2))


def mse_grad(grad: Array, prediction: Array, target: Array) -> Array:
    """`g * 2 (prediction - target) / N`."""
    difference = prediction.astype(np.float64) - target
    return _f32(grad.astype(np.float64) * 2 * difference / prediction.size)
