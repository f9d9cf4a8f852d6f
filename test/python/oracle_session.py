"""A program that NumPy executes: the counterpart of a session, by the definition of the arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tinytrain_mlir import ir
from tinytrain_mlir.graph import Graph
from tinytrain_mlir.oracle import Interpreter
from tinytrain_mlir.program import Program

Array = npt.NDArray[Any]


def infer(graph: Graph, x: Array, watch: Callable[[Any, Array], None] | None = None) -> Array:
    """The output of a graph; x is of the input's own type, both as in PyTorch."""
    arrays = [p.array for p in graph.parameters.values()]
    (y,) = Interpreter(graph.module).run("infer", [graph.input.layout.to_ir(x), *arrays], watch)
    return graph.output.layout.to_torch(y)


class OracleSession:
    """Executes the training step of a program. What it holds, by the names of the arguments, is as in the graph.

    Args:
        lr: learning rate.
        seed: that of `Int8`.
    """

    def __init__(self, program: Program, lr: float, seed: int = 0) -> None:
        self._graph = program.graph
        self._interpreter = Interpreter(program.ir("training"))
        self._arguments = self._interpreter.arguments("step")
        self.values = {a.name: np.zeros(a.type.shape, a.type.dtype) for a in self._arguments}
        self.values |= {name: p.array for name, p in self._graph.parameters.items()}
        for name, value in self.values.items():
            if name.endswith(".master"):
                part = self.values[name.removesuffix(".master")][..., : value.shape[-1]]
                value[...] = part.astype(np.int32) * (256 if value.dtype == np.int16 else 1)
        self.values["learning_rate"] = np.array(lr, np.float32)
        if "random_state" in self.values:
            self.values["random_state"] = np.array(seed, np.uint32).astype(np.int32)
        with ir.Context():
            functions = ir.Module.parse(program.ir("training")).body.operations
            (step,) = (
                op for op in functions if ir.StringAttr(op.attributes["sym_name"]).value == "step"
            )
            marks = [ir.DictAttr(mark) for mark in ir.ArrayAttr(step.attributes["res_attrs"])]
            key = "tinytrain.update_of"
            numbers = [ir.IntegerAttr(m[key]).value if key in m else None for m in marks]
        self._updated = [None if n is None else self._arguments[n].name for n in numbers]

    def step(self, x: Array, y: Array, watch: Callable[[Any, Array], None] | None = None) -> float:
        """One training step; the loss before the update.

        Args:
            x: as in PyTorch, of the input's own type.
            y: classes, or as many values as the output has.
            watch: see `Interpreter.run`.
        """
        label = y if y.dtype == np.float32 else y.astype(np.int32)
        given = self.values | {"arg0": self._graph.input.layout.to_ir(x), "label": label}
        results = self._interpreter.run("step", [given[a.name] for a in self._arguments], watch)
        for name, result in zip(self._updated, results, strict=True):
            if name is not None:
                self.values[name] = result
        (loss,) = (r for name, r in zip(self._updated, results, strict=True) if name is None)
        return float(loss)

    def parameters(self) -> dict[str, Array]:
        """All parameters by PyTorch name, in PyTorch's layout."""
        graph = self._graph.parameters
        return {name: p.layout.to_torch(self.values[name]) for name, p in graph.items()}
