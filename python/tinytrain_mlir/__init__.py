"""Compile the training step of a neural network for a small device.

    import tinytrain_mlir as tt

    program = tt.compile(model, example_inputs, target="cortex-m7")
    session = program.load()
    loss = session.step(x, y)

Importing the package loads neither its native libraries nor PyTorch; they are loaded when
they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .config import (
    SGD,
    BiasOnly,
    Budget,
    FullUpdate,
    Int8,
    Largest,
    LastLayer,
    MemoryPasses,
    NoUpdate,
    SparseUpdate,
)
from .errors import TinyTrainError
from .policy_file import load_policy

if TYPE_CHECKING:
    from .api import compile
    from .channels import resolve
    from .frontends.torch_quantizer import TinyTrainQuantizer as TinyTrainQuantizer
    from .frontends.tte import load_tte
    from .graph import Graph
    from .program import Program
    from .session import Session

# Without TinyTrainQuantizer: `import *` must not need PyTorch.
__all__ = [
    "SGD",
    "BiasOnly",
    "Budget",
    "FullUpdate",
    "Graph",
    "Int8",
    "Largest",
    "LastLayer",
    "MemoryPasses",
    "NoUpdate",
    "Program",
    "Session",
    "SparseUpdate",
    "TinyTrainError",
    "__version__",
    "compile",
    "load_policy",
    "load_tte",
    "resolve",
    "targets",
]

_LAZY = {
    "Graph": "graph",
    "Program": "program",
    "Session": "session",
    "TinyTrainQuantizer": "frontends.torch_quantizer",
    "compile": "api",
    "load_tte": "frontends.tte",
    "resolve": "channels",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "__version__":
        from importlib.metadata import version

        return version("tinytrain-mlir")
    if name in _LAZY:
        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def targets() -> list[str]:
    """The names of all targets."""
    from .target import targets as names

    return names()
