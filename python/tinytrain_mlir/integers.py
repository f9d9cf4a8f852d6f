"""From a float graph, or one that quantizes and dequantizes, to an int8 graph."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np

from . import ir
from .calibration import insert_observers, observe
from .config import Int8
from .errors import CompileError, ConfigError
from .frontends.graph_builder import Array
from .graph import Graph
from .passmanager import PassManager
from .quantization import MAX_BIAS, Quantization


def to_integers(graph: Graph, int8: Int8 | None) -> Graph:
    """The graph with its quantized parts on stored integers.

    A graph of stored integers stays as it is, a float one too without `int8`.

    Raises:
        ConfigError: a float graph without calibration inputs, or inputs that do not fit it.
        CompileError: an op cannot be quantized as the graph asks.
    """
    text = str(graph.module)
    if "tinytrain.quantize" not in text:
        if int8 is None or "!quant." in text:
            return graph
        if int8.calibration is None:
            raise ConfigError(
                "Int8: expected calibration= for a float model: a list of some dozens of typical "
                "inputs, each of the example input's shape"
            )
        ranges = observe(graph, int8.calibration, int8.ranges)
        graph = insert_observers(graph, ranges, quantize_head=int8.quantize_head)
    return _lower(graph)


def _lower(graph: Graph) -> Graph:
    with graph.module.context, ir.Location.unknown():
        module = ir.Module.create()
        for op in graph.module.body.operations:
            module.body.append(op.operation.clone())
        pipeline = "builtin.module(func.func(tinytrain-quantize-int8,canonicalize,cse))"
        try:
            PassManager.parse(pipeline).run(module.operation)
        except cast(Any, ir).MLIRError as error:
            first = str(error.error_diagnostics[0]) if error.error_diagnostics else str(error)
            raise CompileError(f"the model cannot be quantized: {first.strip()}") from error
        type_ = cast(Any, module.body.operations[0]).type
        kinds = [Quantization.parse(str(t)) for t in type_.inputs]
        result = Quantization.parse(str(type_.results[0]))
    parameters = {
        name: replace(p, array=_stored(p.array, kind)) if kind else p
        for (name, p), kind in zip(graph.parameters.items(), kinds[1:], strict=True)
    }
    return Graph(
        module,
        parameters,
        replace(graph.input, quantization=kinds[0]),
        replace(graph.output, quantization=result),
    )


def _stored(array: Array, kind: Quantization) -> Array:
    if array.dtype != np.float32:
        return array  # integers already
    if kind.bits == 8:
        return kind.quantize(array)
    along = [-1 if d == kind.axis else 1 for d in range(array.ndim)]
    scales = np.array(kind.scales).reshape(along if kind.axis is not None else ())
    rounded = np.rint(array.astype(np.float64) / scales)
    return np.asarray(np.clip(rounded, -MAX_BIAS, MAX_BIAS)).astype(kind.dtype)
