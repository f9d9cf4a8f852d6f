"""The one entry point: `compile`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .config import SGD, Budget, FullUpdate, NeedsGrad, UpdatePolicy
from .driver import compile_graph
from .errors import BudgetError, ConfigError
from .graph import Graph, MlirBuilder
from .program import Program
from .target import lookup_target

LOSSES = ("cross_entropy", "mse")


def compile(
    model: Any,
    example_inputs: Any = None,
    *,
    loss: str | None = "cross_entropy",
    optimizer: SGD | None = None,
    update: UpdatePolicy | None = None,
    precision: str = "f32",
    target: str = "host",
    budget: Budget | None = None,
    reorder: bool = True,
    name: str = "model",
) -> Program:
    """Compiles a model into a program that trains and infers.

    Args:
        model: a `torch.nn.Module` (it is imported in eval mode), the path of a graph written
            by `Graph.save`, or a `Graph`.
        example_inputs: one f32 tensor, or a tuple of one; only its shape matters. The
            program's batch size is the tensor's. None for a path or a `Graph`.
        loss: "cross_entropy" (logits [batch, classes], integer labels), "mse", or None for a
            program that only infers.
        optimizer: `SGD()` by default.
        update: which parameters are trained; `FullUpdate()` by default. PyTorch's own
            `requires_grad` is not looked at.
        precision: "f32".
        target: one of `targets()`.
        budget: limits that the program must keep.
        reorder: updates each parameter as soon as its gradient exists, in one loop nest with
            it; False computes all gradients first, as frameworks do, for comparison.
        name: prefix of the C functions and files; a C identifier.

    Raises:
        ConfigError: an option is wrong.
        ModelError: the model cannot be imported.
        CompileError: a stage of the compiler failed.
        BudgetError: the program exceeds its budget.
    """
    for option, value, kind in (
        ("optimizer", optimizer, SGD),
        ("budget", budget, Budget),
        ("target", target, str),
        ("name", name, str),
        ("reorder", reorder, bool),
    ):
        if not (isinstance(value, kind) or (value is None and kind in (SGD, Budget))):
            raise ConfigError(f"expected {option}= of type {kind.__name__}, got {value!r}")
    if update is not None and (isinstance(update, type) or not hasattr(update, "resolve")):
        raise ConfigError(f"expected update= such as tt.FullUpdate(), got {update!r}")
    if loss is not None and loss not in LOSSES:
        raise ConfigError(f"expected loss 'cross_entropy', 'mse' or None, got {loss!r}")
    if precision != "f32":
        raise ConfigError(f"expected precision 'f32', got {precision!r}")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ConfigError(f"expected a name that is a C identifier, got {name!r}")
    target_info = lookup_target(target)
    graph = import_model(model, example_inputs)
    if "learning_rate" in graph.parameters:
        raise ConfigError("a parameter may not be called 'learning_rate': rename it in the model")
    needs_grad = (update or FullUpdate()).resolve(list(graph.parameters))
    _check_channels(graph, needs_grad)
    if loss == "cross_entropy" and len(graph.output.layout.ir_shape) != 2:
        raise ConfigError(
            "cross_entropy: expected an output of shape [batch, classes], got "
            f"{graph.output.layout.torch_shape}: flatten it, or use another loss"
        )
    compiled = compile_graph(
        graph,
        name=name,
        target=target_info,
        loss=loss,
        optimizer=optimizer or SGD(),
        needs_grad=needs_grad,
        reorder=reorder,
    )
    program = Program(name, target_info, graph, loss, compiled)
    if budget is not None:
        _check_budget(program, budget)
    return program


def import_model(model: Any, example_inputs: Any = None) -> Graph:
    """The forward graph of a model; see `compile` for the arguments.

    Raises:
        ModelError: the model cannot be imported.
        ConfigError: it is no model.
    """
    if isinstance(model, Graph):
        return model
    if isinstance(model, (str, Path)):
        if Path(model).suffix != ".mlir":
            raise ConfigError(f"expected a .mlir file written by Graph.save, got '{model}'")
        return Graph.load(model)
    if not hasattr(model, "state_dict"):
        raise ConfigError(
            "expected a torch.nn.Module, a path or a Graph, got " + type(model).__name__
        )
    if example_inputs is None:
        raise ConfigError("expected example_inputs for a torch.nn.Module: one f32 tensor")
    from .frontends.torch_import import import_torch

    builder = MlirBuilder()
    import_torch(model, example_inputs, builder)
    return builder.finish()


def _check_channels(graph: Graph, needs_grad: dict[str, NeedsGrad]) -> None:
    for name, wanted in needs_grad.items():
        channels = (graph.parameters[name].array.shape or (1,))[-1]
        if isinstance(wanted, tuple) and len(wanted) > channels:
            raise ConfigError(
                f"SparseUpdate: expected at most the {channels} channels of '{name}', got "
                f"{len(wanted)}"
            )


def _check_budget(program: Program, budget: Budget) -> None:
    memory = program.memory
    have = {"sram": memory.sram_bytes, "flash": memory.flash_bytes}
    for what, limit in budget.limits().items():
        if have[what] <= limit:
            continue
        text = f"the program needs {have[what]} bytes of {what}, over its budget of {limit}"
        if what == "sram":
            function, op, live = memory.peak
            largest = sorted(live, key=lambda b: -b.bytes)[:5]
            text += f"; the peak is at op {op} of {function}, with " + ", ".join(
                f"{b.type} at {b.location} ({b.bytes} bytes)" for b in largest
            )
            text += "; train fewer parameters (update=), or a smaller batch or image"
        raise BudgetError(text)
