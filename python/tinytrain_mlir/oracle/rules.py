"""How each op of the dialect is computed from its attributes, types and operands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import ir
from ..errors import OracleError
from ..frontends.graph_builder import Array
from ..quantization import Quantization
from . import ops
from .types import TensorType


@dataclass(frozen=True)
class Op:
    """An op and the values of its operands."""

    attributes: Any
    values: list[Array]
    types: list[TensorType]
    result: TensorType

    @property
    def x(self) -> Array:
        return self.values[0]

    @property
    def second(self) -> Array:
        return self.values[1]

    def ints(self, name: str) -> tuple[int, ...]:
        return tuple(ir.DenseI64ArrayAttr(self.attributes[name]))

    def integer(self, name: str, default: int) -> int:
        if name not in self.attributes:
            return default
        return int(ir.IntegerAttr(self.attributes[name]).value)

    def number(self, name: str, default: float | None = None) -> float:
        if name not in self.attributes and default is not None:
            return default
        return float(ir.FloatAttr(self.attributes[name]).value)

    def flag(self, name: str) -> bool:
        return name in self.attributes

    def quantization(self, operand: int) -> Quantization:
        """Of an operand; -1 is the result."""
        type_ = self.result if operand == -1 else self.types[operand]
        if type_.quantization is None:
            which = "the result" if operand == -1 else f"operand {operand}"
            raise OracleError(f"expected {which} to be quantized, got {type_}")
        return type_.quantization

    def scale(self, operand: int) -> float:
        """The only scale of an operand; -1 is the result."""
        quantization = self.quantization(operand)
        if quantization.axis is not None:
            raise OracleError(f"expected one scale, got {quantization.text}")
        return quantization.scales[0]

    def zero_point(self, operand: int) -> int:
        quantization = self.types[operand].quantization
        return quantization.zero_point if quantization else 0

    def window(self) -> dict[str, Any]:
        """Strides, padding, and what else of a window the op has."""
        names = [n for n in ("kernel", "strides", "padding", "dilations") if n in self.attributes]
        window: dict[str, Any] = {name: self.ints(name) for name in names}
        return window | ({"groups": self.integer("groups", 1)} if "dilations" in names else {})

    def interval(self) -> tuple[float, float, bool]:
        return self.number("min"), self.number("max"), self.flag("inclusive")


# Ops that are defined on quantized tensors too


def _conv2d(op: Op) -> Array:
    return ops.conv2d(op.x, op.second, x_zero_point=_weighted(op), **op.window())


def _weighted(op: Op) -> int:
    """The zero point of operand 0, given that operand 1 is a weight, whose zero point is 0."""
    if op.zero_point(1):
        raise OracleError("expected a weight with zero point 0")
    return op.zero_point(0)


def _conv2d_input_grad(op: Op) -> Array:
    _weighted(op)
    return ops.conv2d_input_grad(op.x, op.second, shape=op.result.shape, **op.window())


def _conv2d_weight_grad(op: Op) -> Array:
    return ops.conv2d_weight_grad(
        op.x, op.second, shape=op.result.shape, x_zero_point=op.zero_point(0), **op.window()
    )


def _matmul(op: Op) -> Array:
    return ops.matmul(
        op.x,
        op.second,
        lhs_zero_point=op.zero_point(0),
        rhs_zero_point=op.zero_point(1),
        transpose_lhs=op.flag("transpose_lhs"),
        transpose_rhs=op.flag("transpose_rhs"),
    )


def _bias_add(op: Op) -> Array:
    if op.result.quantization is None:
        return ops.bias_add(op.x, op.second)
    return ops.bias_add_quantized(op.x, op.second)


def _add(op: Op) -> Array:
    if op.result.quantization is None:
        return ops.add(op.x, op.second)
    first, second = (ops.multipliers(op.scale(i), op.scale(-1)) for i in (0, 1))
    a, b, c = (op.quantization(i).zero_point for i in (0, 1, -1))
    return ops.add_quantized(op.x, op.second, (first, second), (a, b, c))


def _requantize(op: Op) -> Array:
    x = op.quantization(0)
    if x.axis not in (None, len(op.result.shape) - 1):
        raise OracleError("expected scales along the last dimension")
    given = op.values[1:]
    factors = given[0] if given else ops.multipliers(x.scales, op.scale(-1))
    return ops.requantize(op.x, factors, op.quantization(-1).zero_point, x.zero_point)


def _mean(op: Op, count: int) -> tuple[Array, int, int]:
    factor = ops.multipliers(op.scale(0), op.scale(-1), count)
    return factor, op.quantization(-1).zero_point, op.quantization(0).zero_point


def _avg_pool(op: Op) -> Array:
    window = op.window()
    if op.result.quantization is None:
        return ops.avg_pool(op.x, **window)
    count = window["kernel"][0] * window["kernel"][1]
    return ops.avg_pool_quantized(op.x, *_mean(op, count), **window)


def _global_avg_pool(op: Op) -> Array:
    if op.result.quantization is None:
        return ops.global_avg_pool(op.x)
    _, height, width, _ = op.types[0].shape
    return ops.global_avg_pool_quantized(op.x, *_mean(op, height * width))


def _max_pool(op: Op) -> Array:
    if op.result != TensorType(op.result.shape, op.types[0].element):
        raise OracleError("expected operand and result of one element type")
    return ops.max_pool(op.x, **op.window())


def _pad(op: Op) -> Array:
    value = op.number("value", 0.0)
    if op.result.quantization is not None:
        if value:
            raise OracleError("expected a quantized tensor to be padded with 0")
        value = op.result.quantization.zero_point
    return ops.pad(op.x, op.ints("low"), op.ints("high"), op.ints("interior"), value)


def _slice(op: Op) -> Array:
    return ops.slice_(op.x, op.ints("offsets"), op.ints("sizes"), op.ints("strides"))


def _sgd_update(op: Op) -> Array:
    decay = op.number("weight_decay", 0.0)
    if op.result.quantization is None:
        return ops.sgd_update(*op.values, weight_decay=decay)
    if op.zero_point(0):
        raise OracleError("expected a parameter with zero point 0")
    stream = op.integer("stream", 0)
    return ops.sgd_update_quantized(*op.values, stream=stream, weight_decay=decay)


def _momentum_update(op: Op) -> Array:
    decay = op.number("weight_decay", 0.0)
    return ops.momentum_update(*op.values, momentum=op.number("momentum"), weight_decay=decay)


_Rule = Callable[[Op], Array]

_RULES: dict[str, _Rule] = {
    "add": _add,
    "avg_pool": _avg_pool,
    "bias_add": _bias_add,
    "broadcast": lambda op: ops.broadcast(op.x, op.result.shape, op.ints("dims")),
    "clamp_grad": lambda op: ops.clamp_grad(op.x, op.second, *op.interval()),
    "clamp_mask": lambda op: ops.clamp_mask(op.x, *op.interval()),
    "concat": lambda op: ops.concat(op.values, op.integer("axis", 0)),
    "conv2d": _conv2d,
    "conv2d_input_grad": _conv2d_input_grad,
    "conv2d_weight_grad": _conv2d_weight_grad,
    "dequantize": lambda op: op.quantization(0).dequantize(op.x),
    "global_avg_pool": _global_avg_pool,
    "matmul": _matmul,
    "max_pool": _max_pool,
    "max_pool_argmax": lambda op: ops.max_pool_argmax(op.x, **op.window()),
    "momentum_update": _momentum_update,
    "pad": _pad,
    "quantize": lambda op: op.quantization(-1).quantize(op.x),
    "requantize": _requantize,
    "reshape": lambda op: ops.reshape(op.x, op.result.shape),
    "round_master": lambda op: ops.round_master(op.x, op.second),
    "sgd_update": _sgd_update,
    "slice": _slice,
    "transpose": lambda op: ops.transpose(op.x, op.ints("permutation")),
}

_FLOAT_RULES: dict[str, _Rule] = {
    "avg_pool_grad": lambda op: ops.avg_pool_grad(op.x, shape=op.result.shape, **op.window()),
    "channel_scale": lambda op: ops.channel_scale(op.x, op.second, op.integer("axis", 0)),
    "clamp": lambda op: ops.clamp(op.x, op.number("min"), op.number("max")),
    "max_pool_grad": lambda op: ops.max_pool_grad(
        op.x, op.second, shape=op.result.shape, **op.window()
    ),
    "reduce_max": lambda op: ops.reduce_max(op.x, op.ints("dims")),
    "reduce_mean": lambda op: ops.reduce_mean(op.x, op.ints("dims")),
    "reduce_sum": lambda op: ops.reduce_sum(op.x, op.ints("dims")),
    "scale": lambda op: ops.scale(op.x, op.number("factor")),
    "shift": lambda op: ops.shift(op.x, op.number("value")),
}


def _plain(function: Callable[..., Array]) -> _Rule:
    """The rule of an op without attributes."""
    return lambda op: function(*op.values)


_FLOAT_RULES |= {
    function.__name__: _plain(function)
    for function in (
        ops.cross_entropy,
        ops.cross_entropy_grad,
        ops.dequantize_gradient,
        ops.div,
        ops.exp,
        ops.gradient_scale,
        ops.log,
        ops.log_softmax,
        ops.log_softmax_grad,
        ops.mask_grad,
        ops.mse,
        ops.mse_grad,
        ops.mul,
        ops.next_random,
        ops.quantize_gradient,
        ops.relu,
        ops.softmax,
        ops.softmax_grad,
        ops.sub,
    )
}


def compute(name: str, op: Op) -> Array:
    """The result of the op `tinytrain.<name>`.

    Raises:
        OracleError: there is no such op, or it is not defined on quantized tensors.
    """
    if name in _RULES:
        return _RULES[name](op)
    if name not in _FLOAT_RULES:
        raise OracleError(f"there is no rule for {name}")
    if any(type_.quantization for type_ in (*op.types, op.result)):
        raise OracleError(f"{name} is not defined on quantized tensors")
    return _FLOAT_RULES[name](op)
