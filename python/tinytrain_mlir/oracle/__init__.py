"""The definition of the compiler's arithmetic, in plain NumPy.

`ops` has one function per op of the dialect, and says in its docstrings what each target has to
compute. `Interpreter` executes a module with them, op by op:

    oracle = Interpreter(program.ir("training"))
    loss, *updated = oracle.run("step", [x, *parameters, label, learning_rate])

Quantized tensors are arrays of stored integers (int8, int32). Integer results are exact: a target
has to give the same ones, bit for bit. f32 results are rounded from sums in float64: a target
comes close to them.
"""

from __future__ import annotations

from . import ops
from .interpreter import Argument, Interpreter
from .types import TensorType

__all__ = ["Argument", "Interpreter", "TensorType", "ops"]
