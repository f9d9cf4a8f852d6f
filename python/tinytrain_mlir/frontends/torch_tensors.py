"""Tensors of a PyTorch program on their way into a graph whose dims stand in another order.

Shapes and dims of a `Tensor` are PyTorch's. The order in which the graph stores them is tracked: graph dim ``i`` of an
`Activation` holds torch dim ``order[i]``. A permute is then a change of the tracked order, and so is a reshape that
neither splits nor merges dims apart in the graph; a transpose is emitted only where a consumer needs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..quantization import Quantization
from .graph_builder import Array, GraphBuilder, ParamLayout, Shape

Order = tuple[int, ...]
NHWC: Order = (0, 2, 3, 1)


@dataclass(frozen=True, eq=False)
class Activation:
    """A value of the graph: graph dim ``i`` holds torch dim ``order[i]``."""

    value: Any
    shape: Shape
    order: Order


@dataclass(frozen=True, eq=False)
class Reshaped:
    """``base`` reshaped to ``shape``, not emitted yet: a later reshape may undo it.

    Needed where the graph does not hold the elements in PyTorch's order: a matmul with a parameter then absorbs the
    reordering into the parameter's layout, other consumers transpose.
    """

    base: Activation
    shape: Shape


@dataclass(frozen=True, eq=False)
class Parameter:
    """A parameter seen through views: ``layout`` leads from the framework's array to this tensor.

    With a ``quantization`` it stands for the parameter quantized and dequantized again; the axis is one of the
    framework's array.
    """

    name: str
    array: Array
    layout: ParamLayout
    quantization: Quantization | None = None

    @property
    def shape(self) -> Shape:
        return self.layout.ir_shape


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor known at import time, in PyTorch's layout."""

    array: Array

    @property
    def shape(self) -> Shape:
        return tuple(self.array.shape)


Tensor = Activation | Reshaped | Parameter | Constant


@dataclass(frozen=True, eq=False)
class Quantized:
    """A tensor of integers, which only a dequantize takes.

    ``tensor`` holds the graph's int8 value; a parameter is not quantized before its use, when its layout is known.
    """

    tensor: Activation | Reshaped | Parameter
    quantization: Quantization

    @property
    def shape(self) -> Shape:
        return self.tensor.shape


@dataclass(frozen=True, eq=False)
class Folded:
    """The integers of a weight or bias that was quantized before the export, and the name it had as a parameter."""

    name: str
    array: Array

    @property
    def shape(self) -> Shape:
        return tuple(self.array.shape)


def default_order(rank: int) -> Order:
    """The order of graph inputs and outputs: NHWC for rank 4, PyTorch's own otherwise."""
    return NHWC if rank == 4 else tuple(range(rank))


def normalize_dim(dim: int, rank: int) -> int:
    """A dim counted from either end, counted from the front."""
    return dim + rank if dim < 0 else dim


def reshape_groups(old: Shape, new: Shape) -> list[tuple[list[int], list[int]]]:
    """The finest partition of the non-unit dims into (old dims, new dims) of equal size, both contiguous."""
    olds = [d for d, n in enumerate(old) if n != 1]
    news = [d for d, n in enumerate(new) if n != 1]
    groups: list[tuple[list[int], list[int]]] = []
    while olds or news:
        left, right = [olds.pop(0)], [news.pop(0)]
        left_size, right_size = old[left[0]], new[right[0]]
        while left_size != right_size:
            if left_size < right_size:
                left.append(olds.pop(0))
                left_size *= old[left[-1]]
            else:
                right.append(news.pop(0))
                right_size *= new[right[-1]]
        groups.append((left, right))
    return groups


def _order_with_units(order: Sequence[int], shape: Shape) -> Order:
    """An order of all dims that keeps the given order of the non-unit ones; unit dims go where convention has them."""
    for candidate in (default_order(len(shape)), tuple(range(len(shape)))):
        if [d for d in candidate if shape[d] != 1] == list(order):
            return candidate
    return (*order, *(d for d, n in enumerate(shape) if n == 1))


def _reshaped_order(x: Activation, shape: Shape) -> Order | None:
    """The order after a reshape that moves no element in the graph, or None where elements would move."""
    stored = [d for d in x.order if x.shape[d] != 1]
    placed: list[tuple[int, list[int]]] = []
    for olds, news in reshape_groups(x.shape, shape):
        first = stored.index(olds[0])
        if stored[first : first + len(olds)] != olds:
            return None
        placed.append((first, news))
    return _order_with_units([d for _, news in sorted(placed) for d in news], shape)


class Lowering:
    """Emits graph ops for PyTorch tensors, and keeps what has been emitted for parameters."""

    def __init__(self, builder: GraphBuilder[Any]) -> None:
        self.builder = builder
        self._parameters: dict[str, tuple[ParamLayout, Any]] = {}
        self._quantized: dict[tuple[str, ParamLayout, Quantization], Any] = {}
        self._dequantized: dict[int, tuple[Any, Any]] = {}
        self._integers: dict[int, tuple[Any, Any, Quantization]] = {}
        self._materialized: dict[Reshaped, Activation] = {}

    # Values of the graph

    def activation(self, x: Tensor) -> Activation:
        """The tensor as a value of the graph, in whatever order is cheapest."""
        match x:
            case Activation():
                return x
            case Constant():
                order = default_order(x.array.ndim)
                return Activation(self.value(x, order), x.shape, order)
            case Parameter():
                return Activation(self._parameter_value(x), x.shape, tuple(range(len(x.shape))))
            case Reshaped():
                if x not in self._materialized:
                    self._materialized[x] = self._materialize(x)
                return self._materialized[x]

    def value(self, x: Tensor, order: Order | None = None) -> Any:
        """The graph's value of the tensor with its dims in ``order`` (PyTorch's, if not given)."""
        order = tuple(range(len(x.shape))) if order is None else order
        if isinstance(x, Constant):
            return self.builder.constant(
                np.asarray(x.array.transpose(order), np.float32, order="C")
            )
        if isinstance(x, Parameter):
            layout = x.layout.permute(order)
            if layout is not None:
                return self._parameter_value(replace(x, layout=layout))
        return self.ordered(x, order).value

    def ordered(self, x: Tensor, order: Order) -> Activation:
        """The tensor as a value of the graph with its dims in the given order."""
        x = self.activation(x)
        if x.order == order:
            return x
        if [d for d in x.order if x.shape[d] != 1] == [d for d in order if x.shape[d] != 1]:
            return Activation(
                self._reshape_value(x.value, tuple(x.shape[d] for d in order)), x.shape, order
            )
        permutation = tuple(x.order.index(d) for d in order)
        return Activation(self.builder.transpose(x.value, permutation), x.shape, order)

    def _parameter_value(self, x: Parameter) -> Any:
        numbers = x.quantization
        if numbers is None:
            return self._plain_parameter_value(x)
        key = (x.name, x.layout, numbers)
        if key not in self._quantized:
            axis = None if numbers.axis is None else x.layout.axis(numbers.axis)
            quantized = self.builder.quantize(
                self._plain_parameter_value(x), replace(numbers, axis=axis)
            )
            self._quantized[key] = self.builder.dequantize(quantized)
        return self._quantized[key]

    def _plain_parameter_value(self, x: Parameter) -> Any:
        if x.name not in self._parameters:
            value = self.builder.parameter(x.name, x.layout.to_ir(x.array), x.layout)
            self._parameters[x.name] = (x.layout, value)
            return value
        have, value = self._parameters[x.name]
        if have == x.layout:
            return value
        # Used before in another layout: undo that one, then apply this one.
        value = self._reshape_value(value, have.permuted_shape)
        value = self._transpose_value(value, tuple(int(d) for d in np.argsort(have.permutation)))
        value = self._reshape_value(value, x.layout.view)
        value = self._transpose_value(value, x.layout.permutation)
        return self._reshape_value(value, x.layout.ir_shape)

    def _materialize(self, x: Reshaped) -> Activation:
        """Brings together the dims that are merged, leaving the order of the groups alone."""
        groups = [olds for olds, _ in reshape_groups(x.base.shape, x.shape)]
        groups.sort(key=lambda olds: min(x.base.order.index(d) for d in olds))
        order = _order_with_units([d for olds in groups for d in olds], x.base.shape)
        result = self.reshape(self.ordered(x.base, order), x.shape)
        assert isinstance(result, Activation)
        return result

    def _reshape_value(self, value: Any, shape: Shape) -> Any:
        return value if tuple(value.shape) == shape else self.builder.reshape(value, shape)

    def _transpose_value(self, value: Any, permutation: Order) -> Any:
        return (
            value
            if permutation == tuple(range(len(permutation)))
            else self.builder.transpose(value, permutation)
        )

    # Changes of shape

    def reshape(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """PyTorch's reshape; one dim may be -1."""
        known = -math.prod(shape) if -1 in shape else 1
        dims = tuple(math.prod(x.shape) // known if n == -1 else int(n) for n in shape)
        if dims == x.shape:
            return x
        match x:
            case Constant():
                return Constant(x.array.reshape(dims))
            case Parameter():
                layout = x.layout.reshape(dims)
                axis = None if x.quantization is None else x.quantization.axis
                if axis is not None and layout.axis(axis) is None:
                    return self.reshape(self.activation(x), dims)
                return replace(x, layout=layout)
            case Reshaped():
                return x.base if dims == x.base.shape else Reshaped(x.base, dims)
            case Activation():
                order = _reshaped_order(x, dims)
                if order is None:
                    return Reshaped(x, dims)
                return Activation(
                    self._reshape_value(x.value, tuple(dims[d] for d in order)), dims, order
                )

    def permute(self, x: Tensor, dims: Sequence[int]) -> Tensor:
        """PyTorch's permute: dim ``j`` of the result is dim ``dims[j]`` of ``x``."""
        permutation = tuple(normalize_dim(d, len(x.shape)) for d in dims)
        if isinstance(x, Constant):
            return Constant(x.array.transpose(permutation))
        if isinstance(x, Parameter):
            layout = x.layout.permute(permutation)
            if layout is not None:
                return replace(x, layout=layout)
        x = self.activation(x)
        shape = tuple(x.shape[d] for d in permutation)
        return Activation(x.value, shape, tuple(permutation.index(d) for d in x.order))

    def slice(
        self, x: Tensor, offsets: Sequence[int], sizes: Sequence[int], strides: Sequence[int]
    ) -> Tensor:
        """Takes ``sizes[d]`` elements of each dim, ``strides[d]`` apart, from ``offsets[d]`` on."""
        if tuple(sizes) == x.shape:
            return x
        x = self.activation(x)
        in_order = [tuple(v[d] for d in x.order) for v in (offsets, sizes, strides)]
        return Activation(self.builder.slice(x.value, *in_order), tuple(sizes), x.order)

    def broadcast(self, x: Tensor, shape: Shape, order: Order) -> Any:
        """The graph's value of ``x`` broadcast to ``shape`` by PyTorch's rules, dims in the given order."""
        if x.shape == shape:
            return self.value(x, order)
        missing = len(shape) - len(x.shape)
        sizes = {missing + d: n for d, n in enumerate(x.shape) if n != 1}
        present = [d for d in order if d in sizes]
        packed = self.reshape(x, tuple(sizes.values()))
        value = self.value(packed, tuple(list(sizes).index(d) for d in present))
        target = tuple(shape[d] for d in order)
        if math.prod(target) == math.prod(x.shape):
            return self._reshape_value(value, target)
        return self.builder.broadcast(value, target, tuple(order.index(d) for d in present))

    # Arithmetic

    def unary(self, x: Tensor, emit: Callable[[Any], Any]) -> Tensor:
        """An elementwise op of one operand: it commutes with every reordering."""
        if isinstance(x, Reshaped):
            base = self.unary(x.base, emit)
            assert isinstance(base, Activation)
            return replace(x, base=base)
        x = self.activation(x)
        return replace(x, value=emit(x.value))

    def quantize(self, x: Tensor, numbers: Quantization) -> Quantized:
        """The integers of a tensor; of one that was just dequantized, those that it came from."""

        def emit(value: Any) -> Any:
            _, integers, known = self._integers.get(id(value), (None, None, None))
            if known == numbers:
                return integers
            return self.builder.quantize(value, numbers)

        quantized = self.unary(x, emit)
        assert isinstance(quantized, Activation | Reshaped)
        return Quantized(quantized, numbers)

    def dequantize(self, x: Quantized) -> Tensor:
        """The numbers that integers stand for; one value of the graph for all users."""

        def emit(integers: Any) -> Any:
            if id(integers) not in self._dequantized:
                value = self.builder.dequantize(integers)
                self._dequantized[id(integers)] = (integers, value)
                self._integers[id(value)] = (value, integers, x.quantization)
            return self._dequantized[id(integers)][1]

        return self.unary(x.tensor, emit)

    def binary(self, x: Tensor, y: Tensor, emit: Callable[[Any, Any], Any]) -> Activation:
        """An elementwise op of two operands, broadcast by PyTorch's rules."""
        shape, order, x, y = self.common_order(x, y)
        return Activation(
            emit(self.broadcast(x, shape, order), self.broadcast(y, shape, order)), shape, order
        )

    def common_order(self, x: Tensor, y: Tensor) -> tuple[Shape, Order, Tensor, Tensor]:
        """The shape of an elementwise result, the order that moves least, and the operands for it."""
        shape = tuple(np.broadcast_shapes(x.shape, y.shape))
        x, y = (self.activation(v) if isinstance(v, Reshaped) else v for v in (x, y))
        for fits in (lambda v: v.shape == shape, lambda v: len(v.shape) == len(shape)):
            for operand in (x, y):
                if isinstance(operand, Activation) and fits(operand):
                    return shape, operand.order, x, y
        return shape, default_order(len(shape)), x, y

    def bias_add(self, x: Activation, bias: Tensor | None) -> Activation:
        """Adds a bias of one dim along the graph's last dim."""
        return (
            x
            if bias is None
            else replace(x, value=self.builder.bias_add(x.value, self.value(bias)))
        )

    # Matrix products

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """x · weightᵀ + bias for x of any rank ≥ 1 and weight [N, K]."""
        if len(x.shape) == 2:
            x, weight = self._absorb(x, weight)
            return self.bias_add(self.product(x, self.permute(weight, (1, 0))), bias)
        # Leading dims only count rows, in any order: put K last and restore the others afterwards.
        x = self.activation(x)
        rank, rows = len(x.shape), math.prod(x.shape[:-1])
        if x.order[-1] != rank - 1:
            x = self.ordered(x, tuple(range(rank)))
        flat = Activation(
            self._reshape_value(x.value, (rows, x.shape[-1])), (rows, x.shape[-1]), (0, 1)
        )
        flat = self.bias_add(self.product(flat, self.permute(weight, (1, 0))), bias)
        shape = (*x.shape[:-1], weight.shape[0])
        return Activation(
            self._reshape_value(flat.value, tuple(shape[d] for d in x.order)), shape, x.order
        )

    def product(self, a: Tensor, b: Tensor) -> Activation:
        """a · b of two matrices, or of two stacks of equally many matrices."""
        (left, transpose_a), (right, transpose_b) = self._matrix(a), self._matrix(b)
        value = self.builder.matmul(left, right, transpose_a=transpose_a, transpose_b=transpose_b)
        return Activation(value, (*a.shape[:-1], b.shape[-1]), tuple(range(len(a.shape))))

    def _matrix(self, x: Tensor) -> tuple[Any, bool]:
        """The graph's value of a matrix (or a stack of them), and whether its last two dims are swapped."""
        rank = len(x.shape)
        swapped = (*range(rank - 2), rank - 1, rank - 2)
        if isinstance(x, Parameter) and x.layout.permutation == swapped:
            return self.value(x, swapped), True
        if isinstance(x, Activation) and x.order == swapped:
            return x.value, True
        return self.value(x), False

    def _absorb(self, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Moves the reordering of a flattened operand [M, K] into the columns of a known weight [N, K]."""
        if not isinstance(x, Reshaped) or not isinstance(weight, Parameter | Constant):
            return x, weight
        base, (rows, columns) = x.base, x.shape
        groups = reshape_groups(base.shape, x.shape)
        merged, news = groups[-1]
        stored = [d for d in base.order if base.shape[d] != 1]
        tail = stored[-len(merged) :]
        head = [d for olds, _ in groups[:-1] for d in olds]
        if news != [1] or sorted(tail) != merged or stored[: -len(merged)] != head:
            return x, weight
        sizes = tuple(base.shape[d] for d in merged)
        weight = self.reshape(weight, (weight.shape[0], *sizes))
        weight = self.permute(weight, (0, *(1 + merged.index(d) for d in tail)))
        weight = self.reshape(weight, (weight.shape[0], columns))
        return Activation(self._reshape_value(base.value, x.shape), (rows, columns), (0, 1)), weight
