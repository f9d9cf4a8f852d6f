"""Trained channels come first: parameters are permuted so that any set of channels is a leading one.

The compiler trains leading channels only, that is the first entries of a parameter's last
dimension. Permuting the output channels of one layer, its bias, and the input channels of every
layer that reads them leaves the network as it is. So the permutation is in the arrays and their
layouts, never in the graph: it costs nothing at run time.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import numpy as np

from . import ir
from .axes import Axis, parameter_axes, value_axes
from .config import Largest, NeedsGrad, Selection, SparseUpdate, UpdatePolicy
from .errors import ConfigError
from .frontends.graph_builder import Array
from .graph import Graph, Parameter
from .quantization import Quantization


def arrange(
    graph: Graph, selections: Mapping[str, Selection]
) -> tuple[Graph, dict[str, NeedsGrad]]:
    """Permutes channels so that those to train come first.

    Where several parameters have the channels in common, sets that were given exactly must be
    equal or lie within each other. Behind them, the channels stand in the order of their summed
    magnitudes in the parameters that want the largest, each parameter's scaled to the sum 1;
    every such parameter trains the leading ones of this common order.

    Returns:
        The graph with permuted parameters (the same object if nothing had to move), and of each
        parameter what is trained, now always leading channels.

    Raises:
        ConfigError: a channel does not exist, cannot be moved, or two parameters disagree.
    """
    needs_grad: dict[str, NeedsGrad] = {}
    exact: dict[str, list[int]] = {}  # positions in the graph
    largest: list[str] = []
    for name, selection in selections.items():
        if isinstance(selection, bool):
            needs_grad[name] = selection
            continue
        parameter = graph.parameters[name]
        size = _size(parameter)
        count = _count(name, selection, size)
        needs_grad[name] = tuple(range(count)) if count < size else True
        if count == size:
            continue
        if isinstance(selection, Largest):
            largest.append(name)
        elif isinstance(selection, float):
            needs_grad[name] = selection
            order = parameter.layout.order
            before = (order[-1] if order else ()) or range(size)
            exact[name] = [i for i, original in enumerate(before) if original < count]
        else:
            wanted = set(selection)
            exact[name] = [i for i, n in enumerate(_numbers(parameter)) if n in wanted]
    if largest or any(positions[-1] >= len(positions) for positions in exact.values()):
        graph = _permute(graph, selections, exact, largest)
    return graph, needs_grad


def resolve(policy: UpdatePolicy, graph: Graph) -> SparseUpdate:
    """What a policy trains of a graph, by parameter name.

    `Largest` becomes the channels that it stands for; what is frozen is left out.

    Raises:
        ConfigError: the policy does not fit the graph.
    """
    selections = policy.resolve(list(graph.parameters))
    arranged, needs_grad = arrange(graph, selections)
    rules: dict[str, bool | float | tuple[int, ...]] = {}
    for name, selection in selections.items():
        trained = needs_grad[name]
        if not isinstance(selection, Largest):
            rules[name] = selection
        elif isinstance(trained, tuple):
            rules[name] = tuple(sorted(_numbers(arranged.parameters[name])[: len(trained)]))
        else:
            rules[name] = trained
    return SparseUpdate({name: rule for name, rule in rules.items() if rule is not False})


def _size(parameter: Parameter) -> int:
    return parameter.layout.ir_shape[-1] if parameter.layout.ir_shape else 1


def _count(name: str, selection: float | Largest | tuple[int, ...], size: int) -> int:
    """How many channels are trained; a fraction as the compiler rounds it, half up."""
    if isinstance(selection, tuple):
        if max(selection) >= size:
            raise ConfigError(
                f"SparseUpdate: expected channels below {size} for '{name}', got {max(selection)}"
            )
        return len(selection)
    fraction = selection.fraction if isinstance(selection, Largest) else selection
    return min(max(math.floor(float(np.float32(fraction)) * size + 0.5), 1), size)


def _channel_dim(parameter: Parameter) -> tuple[int, list[int]]:
    """The dimension of PyTorch's array that is the last one in the graph, and its numbers there."""
    layout, size = parameter.layout, _size(parameter)
    for dim, extent in enumerate(layout.torch_shape):
        if extent == size:
            index = np.arange(size).reshape(
                [-1 if d == dim else 1 for d in range(len(layout.torch_shape))]
            )
            numbers = layout.to_ir(np.broadcast_to(index, layout.torch_shape)).reshape(-1, size)
            if (numbers == numbers[0]).all():
                return dim, numbers[0].tolist()
    raise ConfigError(
        f"SparseUpdate: the channels of '{parameter.name}' cannot be told apart, as the model "
        "reshapes it: train all of it, none, or a fraction"
    )


def _numbers(parameter: Parameter) -> list[int]:
    """PyTorch's number of each channel, in the graph's order."""
    return _channel_dim(parameter)[1]


def _magnitudes(parameter: Parameter) -> Array:
    """The sum of absolute values over each channel, in the graph's order, scaled to the sum 1."""
    dim, numbers = _channel_dim(parameter)
    # In PyTorch's order, so that the sums do not depend on the graph's.
    array = np.abs(parameter.layout.to_torch(parameter.array).astype(np.float64))
    sums = array.sum(axis=tuple(d for d in range(array.ndim) if d != dim))
    return np.asarray(sums / (sums.sum() or 1.0))[numbers]


def _permute(
    graph: Graph,
    selections: Mapping[str, Selection],
    exact: Mapping[str, Sequence[int]],
    largest: Sequence[str],
) -> Graph:
    """The graph with the wanted channels first."""
    values = value_axes(graph)
    axes = parameter_axes(graph, values)
    wishes: dict[Axis, list[tuple[Set[int], str]]] = defaultdict(list)
    scores: dict[Axis, list[Array]] = defaultdict(list)
    ties: dict[Axis, list[int]] = {}
    for name, positions in exact.items():
        factors = axes[name][-1].factors()
        prefixes = _prefixes(factors, set(positions))
        if prefixes is None:
            raise _reshaped(name, factors)
        for axis, first in prefixes:
            wishes[axis].append((first, name))
            if axis.fixed_by and first != set(range(len(first))):
                raise _fixed(name, selections[name], axis.fixed_by)
    for name in largest:
        factors = axes[name][-1].factors()
        if len(factors) != 1:
            raise _reshaped(name, factors)
        if factors[0].fixed_by:
            raise _fixed(name, selections[name], factors[0].fixed_by)
        scores[factors[0]].append(_magnitudes(graph.parameters[name]))
        ties.setdefault(factors[0], _numbers(graph.parameters[name]))
    orders = {}
    for axis in [*wishes, *(axis for axis in scores if axis not in wishes)]:
        chain = sorted(wishes[axis], key=lambda wish: len(wish[0]))
        rank = np.full(axis.size, len(chain))
        for i, (first, _) in reversed(list(enumerate(chain))):
            rank[list(first)] = i
        for (small, one), (large, other) in pairwise(chain):
            if not small <= large:
                raise _conflict(one, selections[one], other, selections[other])
        score = sum(scores[axis], np.zeros(axis.size))
        orders[axis] = np.lexsort((np.array(ties.get(axis, range(axis.size))), -score, rank))
    return replace(
        graph,
        module=_reorder_scales(graph.module, values, orders),
        parameters={n: _reorder(p, axes[n], orders) for n, p in graph.parameters.items()},
    )


def _block(module: ir.Module) -> Any:
    return cast(Any, module.body.operations[0]).regions[0].blocks[0]


def _values(module: ir.Module) -> list[Any]:
    """Arguments and results in the order of the text."""
    block = _block(module)
    return [*block.arguments, *(r for op in block.operations for r in op.operation.results)]


def _reorder_scales(
    module: ir.Module, axes: Mapping[Any, Sequence[Axis]], orders: Mapping[Axis, Array]
) -> ir.Module:
    """The module with the scales of quantized types in the order of the channels they belong to."""
    kinds = [Quantization.parse(str(value.type)) for value in _values(module)]
    if all(kind is None or kind.axis is None for kind in kinds):
        return module
    with module.context, ir.Location.unknown():
        result = ir.Module.create()
        result.body.append(module.body.operations[0].operation.clone())
        for old, new, kind in zip(_values(module), _values(result), kinds, strict=True):
            if kind is not None and kind.axis is not None:
                element = ir.Type.parse(kind.take(_order(axes[old][kind.axis], orders)).text)
                shape = ir.RankedTensorType(old.type).shape
                new.set_type(ir.RankedTensorType.get(shape, element))
        function = cast(Any, result.body.operations[0])
        inputs = [argument.type for argument in _block(result).arguments]
        type_ = ir.FunctionType.get(inputs, function.type.results)
        function.attributes["function_type"] = ir.TypeAttr.get(type_)
        result.operation.verify()
    return result


def _order(axis: Axis, orders: Mapping[Axis, Array]) -> Array:
    """The new order of a dimension's entries."""
    factors = axis.factors()
    index = np.arange(axis.size).reshape([factor.size for factor in factors])
    for i, factor in enumerate(factors):
        if factor in orders:
            index = index.take(orders[factor], i)
    return index.ravel()


def _prefixes(factors: Sequence[Axis], positions: Set[int]) -> list[tuple[Axis, Set[int]]] | None:
    """What must come first along each factor of a dimension, so that `positions` do along it.

    Returns:
        None if no order of the factors achieves it.
    """
    if not factors:
        return []
    axis, *rest = factors
    block = math.prod(factor.size for factor in rest)
    inside: dict[int, set[int]] = defaultdict(set)
    for position in positions:
        inside[position // block].add(position % block)
    whole = {i for i, within in inside.items() if len(within) == block}
    partial = [i for i in inside if i not in whole]
    if not partial:
        return [(axis, whole)]
    inner = _prefixes(rest, inside[partial[0]])
    if len(partial) > 1 or inner is None:
        return None
    return [(axis, whole), (axis, whole | {partial[0]}), *inner]


def _reorder(parameter: Parameter, axes: Sequence[Axis], orders: Mapping[Axis, Array]) -> Parameter:
    array, layout_order = parameter.array, []
    for d, axis in enumerate(axes):
        index = _order(axis, orders)
        layout_order.append(index.tolist())
        array = array.take(index, d)
    layout = parameter.layout.reorder(layout_order)
    if layout == parameter.layout:
        return parameter
    return replace(parameter, array=np.ascontiguousarray(array), layout=layout)


# Errors -----------------------------------------------------------------------------


def _describe(selection: Selection) -> str:
    if isinstance(selection, tuple):
        text = ", ".join(str(channel) for channel in selection[:8])
        return f"the channels {text}" + (", …" if len(selection) > 8 else "")
    if isinstance(selection, Largest):
        return "the largest channels"
    return f"the first {selection} of the channels"


def _fixed(name: str, selection: Selection, reason: str) -> ConfigError:
    return ConfigError(
        f"SparseUpdate: '{name}' cannot train {_describe(selection)} alone, as their order is fixed "
        f"by {reason}: train all of it (True), or its first channels by a fraction"
    )


def _reshaped(name: str, factors: Sequence[Axis]) -> ConfigError:
    sizes = " × ".join(str(factor.size) for factor in factors)
    return ConfigError(
        f"SparseUpdate: '{name}' cannot train single channels, as it reads a reshaped tensor of "
        f"{sizes} features: train all of it (True), or its first channels by a fraction"
    )


def _conflict(one: str, first: Selection, other: str, second: Selection) -> ConfigError:
    return ConfigError(
        f"SparseUpdate: '{one}' wants {_describe(first)} and '{other}' {_describe(second)} of the "
        "same tensor, but only one set can come first: choose sets of which one holds the other, "
        "or tt.Largest for both"
    )
