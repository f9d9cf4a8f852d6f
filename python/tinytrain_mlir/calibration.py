"""Post-training quantization: ranges of a float graph's values, and the graph that quantizes them.

    ranges = observe(graph, images, method="mse")
    quantized = insert_observers(graph, ranges)

The result computes in f32 still, on values rounded to int8: every value that an int8 program stores
passes a `quantize` and a `dequantize`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np

from . import ir
from .dialects import tinytrain
from .errors import ConfigError
from .frontends.graph_builder import Array
from .graph import Graph
from .histogram import Histogram, Range
from .oracle import Interpreter
from .quantization import MAX_BIAS, SMALLEST_SCALE, Quantization

METHODS = ("minmax", "percentile", "mse")
INPUT = -1  # the number of the graph's input

_BOUNDS = ("tinytrain.relu", "tinytrain.clamp")
_POOLS = ("tinytrain.avg_pool", "tinytrain.global_avg_pool")
# What keeps its operand's scale: it moves elements, or chooses among them.
_MOVES = (
    "tinytrain.max_pool",
    "tinytrain.pad",
    "tinytrain.reshape",
    "tinytrain.slice",
    "tinytrain.transpose",
)


@dataclass(frozen=True)
class _Layer:
    """A convolution, or a matrix product with a parameter."""

    op: Any
    weight: Any
    bias: Any  # None if there is none
    axis: int  # of the weight's output channels


def observe(graph: Graph, inputs: Iterable[Any], method: str = "minmax") -> dict[int, Range]:
    """The ranges of all values that `insert_observers` may quantize.

    Args:
        graph: of f32.
        inputs: arrays or tensors as a program of this graph takes them, in the model's own layout.
        method: "minmax", from the least to the largest value; "percentile", without the outermost
            0.1 % on either side; "mse", the part with the least squared error of its integers.

    Returns:
        The range of each value, by the number of its op in the function; `INPUT` is the input's.

    Raises:
        ConfigError: no such method, a graph that is quantized already, no inputs, or wrong ones.
    """
    if method not in METHODS:
        raise ConfigError(f"expected a calibration method of {', '.join(METHODS)}, got {method!r}")
    _check_float(graph)
    histograms = {number: Histogram() for number in _sites(_Function(graph.module), True)}
    interpreter = Interpreter(graph.module)
    parameters = [p.array for p in graph.parameters.values()]
    for index, given in enumerate(inputs):
        x = _input(graph, index, given)
        histograms[INPUT].add(x)
        numbers = count()

        def watch(_op: Any, value: Array, numbers: Iterator[int] = numbers) -> None:
            number = next(numbers)
            if number in histograms:
                histograms[number].add(value)

        interpreter.run("infer", [x, *parameters], watch)
    if not histograms[INPUT].total:
        raise ConfigError("expected at least one input to calibrate with, got none")
    return {number: _range(histogram, method) for number, histogram in histograms.items()}


def insert_observers(
    graph: Graph, ranges: Mapping[int, Range], *, quantize_head: bool = False
) -> Graph:
    """The float graph with a `quantize` and a `dequantize` behind what an int8 program stores.

    These are the input, the results of convolutions, matrix products with a parameter, additions
    and mean pools, each with the bias, ReLU or clamp that alone follows it, what else these ops
    take, and the weights, which have one scale for each output channel. Max pools and what moves
    elements keep their operand's scale. The last matrix product, the head, stays f32 with its
    bias unless `quantize_head`.

    Args:
        graph: of f32; it is left as it is.
        ranges: from `observe`.
        quantize_head: quantizes the head too.

    Raises:
        ConfigError: a graph that is quantized already, or a range is missing.
    """
    _check_float(graph)
    module = ir.Module.create(ir.Location.unknown(graph.module.context))
    module.body.append(graph.module.body.operations[0].operation.clone())
    function = _Function(module)
    activations = {}
    for number in _sites(function, quantize_head):
        if number not in ranges:
            raise ConfigError(f"expected a range of value {number}: observe this very graph")
        activations[number] = ranges[number].quantization()
    layers = function.layers(quantize_head)
    arrays = dict(zip(function.arguments[1:], graph.parameters.values(), strict=True))
    weights: dict[tuple[Any, int], Array] = {}
    for layer in layers:
        x = activations[function.number(function.root(layer.op.operands[0]))]
        bias = None if layer.bias is None else arrays[layer.bias].array
        scales = _weight_scales(arrays[layer.weight].array, layer.axis, bias, x.scales[0])
        key = (layer.weight, layer.axis)
        weights[key] = np.maximum(weights.get(key, 0.0), scales)
    pairs: dict[tuple[Any, int], Any] = {}
    for layer in layers:
        key = (layer.weight, layer.axis)
        if key not in pairs:
            where = ir.InsertionPoint(layer.op)
            numbers = Quantization(tuple(weights[key].tolist()), axis=layer.axis)
            pairs[key] = _pair(layer.weight, numbers, where, layer.op.location)[1]
        layer.op.operands[1] = pairs[key]
    for number, numbers in activations.items():
        if number == INPUT:
            value = function.arguments[0]
            where, location = ir.InsertionPoint.at_block_begin(function.block), value.location
        else:
            op = function.ops[number]
            value, where, location = op.results[0], ir.InsertionPoint.after(op), op.location
        first, result = _pair(value, numbers, where, location)
        value.replace_all_uses_except(result, first)
    module.operation.verify()
    return replace(graph, module=module)


def _pair(value: Any, numbers: Quantization, where: Any, location: Any) -> tuple[Any, Any]:
    """Quantizes a value and dequantizes it again: the first op, and the last one's result."""
    real = value.type
    with location, where:
        type_ = ir.RankedTensorType.get(real.shape, ir.Type.parse(numbers.text))
        first = tinytrain.QuantizeOp(type_, value)
        return first.operation, tinytrain.DequantizeOp(real, first.results[0]).results[0]


# Which values


class _Function:
    """The function of a float graph before anything is inserted."""

    def __init__(self, module: ir.Module) -> None:
        self.block = module.body.operations[0].regions[0].blocks[0]
        self.arguments = list(self.block.arguments)
        self.ops = [view.operation for view in self.block.operations]
        self._numbers = {
            result: number for number, op in enumerate(self.ops) for result in op.results
        }
        self._numbers[self.arguments[0]] = INPUT
        self._computed = {self.arguments[0]}
        for op in self.ops:
            if not self._computed.isdisjoint(op.operands):
                self._computed.update(op.results)

    def number(self, value: Any) -> int:
        """Of the op that computes a value."""
        return self._numbers[value]

    def layers(self, quantize_head: bool) -> list[_Layer]:
        """What is computed in int8 with a weight."""
        layers = [layer for op in self.ops if (layer := self._layer(op)) is not None]
        if layers and layers[-1].op.name == "tinytrain.matmul" and not quantize_head:
            layers.pop()
        return layers

    def sources(self, op: Any) -> list[Any]:
        """The operands that an int8 op takes; none for other ops."""
        if self._layer(op) is not None or op.name in _POOLS:
            return [op.operands[0]]
        if op.name == "tinytrain.add" and self._computed.issuperset(op.operands):
            return list(op.operands)
        return []

    def root(self, value: Any) -> Any:
        """The value whose scale another one has."""
        while self._numbers[value] != INPUT:
            op = self.ops[self._numbers[value]]
            if op.name not in _MOVES or not _keeps_scale(op):
                break
            value = op.operands[0]
        return value

    def stored(self, op: Any) -> Any:
        """The value that an int8 program stores for the result of an int8 op."""
        value = op.results[0]
        if self._layer(op) is not None and (bias := self._bias(op)) is not None:
            value = bias.results[0]
        user = _only_user(value)
        return user.results[0] if user is not None and user.name in _BOUNDS else value

    def _layer(self, op: Any) -> _Layer | None:
        if op.name not in ("tinytrain.conv2d", "tinytrain.matmul"):
            return None
        x, weight = op.operands
        if x not in self._computed or weight not in self.arguments[1:]:
            return None
        shape = weight.type.shape
        if op.name == "tinytrain.matmul":
            if len(shape) != 2 or "transpose_lhs" in op.attributes:
                return None
            axis = 0 if "transpose_rhs" in op.attributes else 1
        else:
            channels = op.results[0].type.shape[3]
            axis = 0 if shape[0] == channels else 3
        bias = self._bias(op)
        return _Layer(op, weight, None if bias is None else bias.operands[1], axis)

    def _bias(self, op: Any) -> Any:
        """The op that alone takes the result and adds a parameter to it, or None."""
        user = _only_user(op.results[0])
        if user is None or user.name != "tinytrain.bias_add":
            return None
        added = user.operands[0] == op.results[0] and user.operands[1] in self.arguments[1:]
        return user if added else None


def _sites(function: _Function, quantize_head: bool) -> list[int]:
    """The numbers of all activations that are quantized, in order."""
    layers = [layer.op for layer in function.layers(quantize_head)]
    numbers = {INPUT}
    for op in function.ops:
        sources = function.sources(op)
        is_layer = op.name in ("tinytrain.conv2d", "tinytrain.matmul")
        if not sources or (is_layer and op not in layers):
            continue
        numbers |= {function.number(function.root(value)) for value in sources}
        numbers.add(function.number(function.stored(op)))
    return sorted(numbers)


def _only_user(value: Any) -> Any:
    users = [use.owner.operation for use in value.uses]
    return users[0] if len(users) == 1 else None


def _keeps_scale(op: Any) -> bool:
    """Whether what the op adds is 0, which all scales can tell."""
    return op.name != "tinytrain.pad" or ir.FloatAttr(op.attributes["value"]).value == 0.0


# Numbers


def _range(histogram: Histogram, method: str) -> Range:
    if method == "percentile":
        return histogram.percentile(99.9)
    return histogram.least_error() if method == "mse" else histogram.minmax()


def _weight_scales(weight: Array, axis: int, bias: Array | None, x_scale: float) -> Array:
    """The scales of a weight's channels: the largest magnitude is 127, and the bias fits its sum."""
    others = tuple(d for d in range(weight.ndim) if d != axis)
    scales = np.abs(weight.astype(np.float64)).max(others) / 127
    if bias is not None:
        scales = np.maximum(scales, np.abs(bias.astype(np.float64)) / (x_scale * MAX_BIAS))
    return np.asarray(np.maximum(scales, SMALLEST_SCALE))


def _check_float(graph: Graph) -> None:
    names = {op.name for op in _Function(graph.module).ops}
    stored = any(port.quantization is not None for port in graph.ports)
    if stored or not names.isdisjoint(("tinytrain.quantize", "tinytrain.requantize")):
        raise ConfigError("expected a graph of f32 to calibrate, got one that is quantized already")


def _input(graph: Graph, index: int, given: Any) -> Array:
    """An input in the graph's layout."""
    array = np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)
    shape = graph.input.layout.torch_shape
    if array.shape != shape or array.dtype != np.float32:
        raise ConfigError(
            f"expected calibration inputs of f32 {list(shape)}, got {array.dtype} "
            f"{list(array.shape)} as number {index}"
        )
    if not np.isfinite(array).all():
        raise ConfigError(f"expected finite calibration inputs, got NaN or infinity in {index}")
    return graph.input.layout.to_ir(array)
