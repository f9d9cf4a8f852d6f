"""Which dimensions of a graph can be permuted together without changing what it computes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from . import ir
from .graph import Graph
from .quantization import Quantization

_IMAGE = "the layout of images"


@dataclass(eq=False)
class Axis:
    """A dimension of a tensor, or a factor of one.

    Attributes:
        size: number of entries.
        fixed_by: what needs the entries in their order; None: any order will do.
        parts: the factors, row major, where a reshape or a grouped convolution takes the
            dimension apart.
    """

    size: int
    fixed_by: str | None = None
    parts: tuple[Axis, ...] = ()
    _same: Axis | None = None

    def find(self) -> Axis:
        """The one axis that stands for all that are permuted together with this one."""
        axis = self
        while axis._same is not None:
            axis = axis._same
        return axis

    def factors(self) -> list[Axis]:
        """The axes of which this one is made, row major, without those of size 1."""
        axis = self.find()
        if axis.parts:
            return [factor for part in axis.parts for factor in part.factors()]
        return [axis] if axis.size > 1 else []


def fix(axes: Iterable[Axis], reason: str) -> None:
    """The axes keep their order."""
    for axis in axes:
        for factor in axis.factors():
            factor.fixed_by = factor.fixed_by or reason


def tie(left: Sequence[Axis], right: Sequence[Axis]) -> None:
    """Two lists of axes, of the same number of elements row major, are permuted together."""
    rests = [[f for axis in axes for f in axis.factors()][::-1] for axes in (left, right)]
    while all(rests):
        x, y = (_next(rest) for rest in rests)
        if x is y:
            continue
        if x.size == y.size:
            x._same = y
            y.fixed_by = y.fixed_by or x.fixed_by
        elif x.size % y.size == 0 or y.size % x.size == 0:
            small, large = sorted((x, y), key=lambda axis: axis.size)
            parts = (small.size, large.size // small.size)
            large.parts = tuple(Axis(size, large.fixed_by) for size in parts)
            rests[0].append(x)
            rests[1].append(y)
        else:
            # Neither splits the other: all stays as it is up to where the two sides meet again.
            taken = [[x], [y]]
            while (ahead := _volume(taken[0]) - _volume(taken[1])) != 0:
                taken[ahead > 0].append(_next(rests[ahead > 0]))
            fix(chain(*taken), "a reshape")


def _volume(axes: Sequence[Axis]) -> int:
    return math.prod(axis.size for axis in axes)


def _next(rest: list[Axis]) -> Axis:
    """Takes the next factor; those behind it may have been taken apart since they were listed."""
    rest += rest.pop().factors()[::-1]
    return rest.pop()


def value_axes(graph: Graph) -> dict[Any, list[Axis]]:
    """The axes of the dimensions of every value, parameters included.

    The graph computes the same if the entries of an axis are permuted, in one order, in all
    parameters that have it, and in the scales of all values that have it.
    """
    function: Any = graph.module.body.operations[0]
    block = function.regions[0].blocks[0]
    dims: dict[Any, list[Axis]] = {}

    def define(value: Any) -> None:
        type_ = ir.RankedTensorType(value.type)
        dims[value] = [Axis(size) for size in type_.shape]
        quantized = Quantization.parse(str(type_)) is not None
        if not quantized and not isinstance(type_.element_type, ir.F32Type):
            fix(dims[value], "an element type other than f32")

    for argument in block.arguments:
        define(argument)
    fix(dims[block.arguments[0]], "the network's input")
    for op in block.operations:
        operation = op.operation
        for result in operation.results:
            define(result)
        operands = [dims[v] for v in operation.operands]
        results = [dims[v] for v in operation.results]
        if operation.name == "func.return":
            fix(chain(*operands), "the network's output")
        elif operation.name in _RULES:
            _RULES[operation.name](operation, *operands, *results)
        else:
            fix(chain(*operands, *results), _place(operation))
    return dims


def parameter_axes(graph: Graph, values: Mapping[Any, list[Axis]]) -> dict[str, list[Axis]]:
    """The axes of each parameter's dimensions, from `value_axes`."""
    function: Any = graph.module.body.operations[0]
    parameters = function.regions[0].blocks[0].arguments[1:]
    return {name: values[v] for name, v in zip(graph.parameters, parameters, strict=True)}


def _place(op: Any) -> str:
    location = op.location
    return f"{op.name}" + (f" in {location.name_str}" if location.is_a_name() else "")


# What each op does to its operands' and result's dimensions -------------------------

Dims = list[Axis]


def _elementwise(_op: Any, *tensors: Dims) -> None:
    for tensor in tensors[1:]:
        for left, right in zip(tensors[0], tensor, strict=True):
            tie([left], [right])


def _constant(op: Any, y: Dims) -> None:
    if ir.DenseElementsAttr(op.attributes["value"]).is_splat:
        return
    array = np.asarray(ir.DenseFPElementsAttr(op.attributes["value"]))
    for d, axis in enumerate(y):
        if (array != array.take([0], d)).any():
            fix([axis], "a constant" + _place(op).removeprefix(op.name))


def _bias_add(_op: Any, x: Dims, b: Dims, y: Dims) -> None:
    _elementwise(_op, x, y)
    tie([x[-1]], b)


def _conv2d(op: Any, x: Dims, w: Dims, y: Dims) -> None:
    groups = _integer(op, "groups", 1)
    tie([x[0]], [y[0]])
    fix(x[1:3] + w[1:3] + y[1:3], _IMAGE)
    if groups == 1:
        tie([x[3]], [w[3]])
        tie([y[3]], [w[0]])
    elif w[0].size == 1:  # depthwise
        tie([x[3]], [w[3]])
        tie([y[3]], [w[3]])
    else:
        group, out = Axis(groups), Axis(w[0].size // groups)
        tie([x[3]], [group, w[3]])
        tie([w[0]], [group, out])
        tie([y[3]], [group, out])


def _matmul(op: Any, a: Dims, b: Dims, y: Dims) -> None:
    *batch, m, k = a if "transpose_lhs" not in op.attributes else [*a[:-2], a[-1], a[-2]]
    *batch_b, k_b, n = b if "transpose_rhs" not in op.attributes else [*b[:-2], b[-1], b[-2]]
    _elementwise(op, [*batch, m, n], y)
    _elementwise(op, [*batch, k], [*batch_b, k_b])


def _pool(_op: Any, x: Dims, y: Dims) -> None:
    _elementwise(_op, [x[0], x[3]], [y[0], y[3]])
    fix(x[1:3] + y[1:3], _IMAGE)


def _global_avg_pool(_op: Any, x: Dims, y: Dims) -> None:
    _elementwise(_op, [x[0], x[3]], y)


def _reduce(op: Any, x: Dims, y: Dims) -> None:
    gone = _integers(op, "dims")
    _elementwise(op, [axis for d, axis in enumerate(x) if d not in gone], y)


def _reshape(_op: Any, x: Dims, y: Dims) -> None:
    tie(x, y)


def _transpose(op: Any, x: Dims, y: Dims) -> None:
    _elementwise(op, [x[d] for d in _integers(op, "permutation")], y)


def _broadcast(op: Any, x: Dims, y: Dims) -> None:
    _elementwise(op, x, [y[d] for d in _integers(op, "dims")])


def _windowed(op: Any, x: Dims, y: Dims) -> None:
    """Slice and pad: a dimension that keeps its size stays whole, as strides are positive."""
    for left, right in zip(x, y, strict=True):
        if left.size == right.size:
            tie([left], [right])
        else:
            fix([left, right], _place(op))


def _concat(op: Any, *tensors: Dims) -> None:
    axis = _integer(op, "axis", 0)
    _elementwise(op, *([a for d, a in enumerate(t) if d != axis] for t in tensors))
    fix((t[axis] for t in tensors), _place(op))


def _integer(op: Any, name: str, default: int) -> int:
    return ir.IntegerAttr(op.attributes[name]).value if name in op.attributes else default


def _integers(op: Any, name: str) -> list[int]:
    return list(ir.DenseI64ArrayAttr(op.attributes[name]))


_RULES: dict[str, Callable[..., None]] = {
    "arith.constant": _constant,
    **{
        f"tinytrain.{name}": _elementwise
        for name in ("add", "sub", "mul", "div", "scale", "shift", "exp", "log", "relu", "clamp")
    },
    "tinytrain.quantize": _elementwise,
    "tinytrain.dequantize": _elementwise,
    "tinytrain.requantize": _elementwise,
    "tinytrain.softmax": _elementwise,
    "tinytrain.log_softmax": _elementwise,
    "tinytrain.bias_add": _bias_add,
    "tinytrain.conv2d": _conv2d,
    "tinytrain.matmul": _matmul,
    "tinytrain.max_pool": _pool,
    "tinytrain.avg_pool": _pool,
    "tinytrain.global_avg_pool": _global_avg_pool,
    "tinytrain.reduce_sum": _reduce,
    "tinytrain.reduce_mean": _reduce,
    "tinytrain.reduce_max": _reduce,
    "tinytrain.reshape": _reshape,
    "tinytrain.transpose": _transpose,
    "tinytrain.broadcast": _broadcast,
    "tinytrain.slice": _windowed,
    "tinytrain.pad": _windowed,
    "tinytrain.concat": _concat,
}
