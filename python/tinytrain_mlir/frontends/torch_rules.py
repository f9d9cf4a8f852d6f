"""The registry of translation rules, and what all rules share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from .graph_builder import Array, Shape
from .torch_tensors import (
    NHWC,
    Activation,
    Constant,
    Lowering,
    Parameter,
    Tensor,
)


class Unsupported(Exception):  # noqa: N818 (not an error of the user's: collected into one UnsupportedOpError)
    """An op, or a variant of it, that has no translation; the message tells the user what to do."""


@dataclass(frozen=True)
class BatchNorm:
    """A batch norm with frozen statistics as y = x · scale + shift, per channel, in float64."""

    scale: Array
    shift: Array

    @staticmethod
    def of(weight: Any, bias: Any, mean: Any, variance: Any, eps: float) -> BatchNorm:
        """From the op's operands: known tensors of one dim; weight and bias may be None."""
        known = [None if v is None else known_array(v) for v in (weight, bias, mean, variance)]
        if known[2] is None or known[3] is None:
            raise Unsupported(
                "normalizes with the batch's own statistics: use track_running_stats=True and eval mode"
            )
        scale = (1.0 if known[0] is None else known[0]) / np.sqrt(known[3] + eps)
        return BatchNorm(scale, (0.0 if known[1] is None else known[1]) - known[2] * scale)


@dataclass(frozen=True)
class Op:
    """What a rule may know beyond its arguments."""

    name: str
    shapes: tuple[Shape, ...]
    """The shapes of the results, as PyTorch computed them."""
    batch_norm: BatchNorm | None = None
    """The batch norm that is the only user of this convolution or linear layer, to be folded into it."""


Rule = Callable[..., Any]
R = TypeVar("R", bound=Rule)
RULES: dict[str, Rule] = {}
HINTS = {
    "gelu": "use nn.ReLU, nn.ReLU6 or nn.Hardswish",
    "silu": "use nn.Hardswish",
    "sigmoid": "use nn.Hardsigmoid",
    "tanh": "use nn.Hardtanh",
    "elu": "use nn.ReLU",
    "layer_norm": "use nn.BatchNorm2d or nn.BatchNorm1d",
    "group_norm": "use nn.BatchNorm2d",
    "native_dropout": "pass training=self.training: dropout must be inactive in eval mode",
    "bernoulli": "remove the random op: dropout must be inactive in eval mode",
    "_native_batch_norm_legit": "use track_running_stats=True and eval mode: batch statistics are training-only",
    "_native_batch_norm_legit_functional": "pass training=self.training: batch statistics are training-only",
    "choose_qparams": "choose static quantization: scales and zero points must be known at compile time",
    "fake_quantize": "call convert_pt2e on the prepared model first",
    "_weight_norm": "call torch.nn.utils.parametrize.remove_parametrizations on the layer first",
    "where": "use clamp, relu or arithmetic",
    "gt": "use clamp, relu or arithmetic",
    "conv1d": "use nn.Conv2d with a kernel of height 1",
    "conv_transpose2d": "use an nn.Conv2d on an input with more channels and reshape",
}


def rule(*names: str) -> Callable[[R], R]:
    """Registers the translation of ATen ops, by the name torch-mlir gives them without ``torch.``."""

    def register(function: R) -> R:
        for name in names:
            assert name not in RULES, name
            RULES[name] = function
        return function

    return register


def hint(name: str) -> str:
    """What a user can do about an op without a rule."""
    base = name.removeprefix("aten.").removeprefix("quantized_decomposed.").split(".")[0]
    return HINTS.get(base, "express it with supported ops, or compute it outside the model")


def known_array(x: Tensor) -> Array:
    match x:
        case Constant():
            return x.array.astype(np.float64)
        case Parameter():
            return x.layout.to_ir(x.array).astype(np.float64)
        case _:
            raise Unsupported(
                "needs statistics that are buffers or parameters, not computed values"
            )


def pair(values: Sequence[int]) -> tuple[int, int]:
    return (int(values[0]), int(values[-1]))


def image_value(ctx: Lowering, x: Tensor) -> Any:
    if len(x.shape) != 4:
        raise Unsupported(
            f"needs a batch of images [N, C, H, W], not shape {list(x.shape)}: add the missing dim"
        )
    return ctx.value(x, NHWC)


def from_nhwc(value: Any) -> Activation:
    n, h, w, c = value.shape
    return Activation(value, (n, c, h, w), NHWC)


def bias_name(weight_name: str) -> str:
    """The name of a layer's bias, given that of its weight."""
    return weight_name.removesuffix("weight") + "bias"
