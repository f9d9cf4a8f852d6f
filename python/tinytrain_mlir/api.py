"""The one entry point: `compile`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .budget import check_budget
from .channels import arrange
from .config import SGD, Budget, FullUpdate, Int8, MemoryPasses, UpdatePolicy
from .driver import compile_graph
from .errors import ConfigError
from .graph import Graph, MlirBuilder
from .integers import to_integers
from .program import Program
from .target import lookup_target, targets
from .threads import MAX_THREADS

LOSSES = ("cross_entropy", "mse")


def compile(
    model: Any,
    example_inputs: Any = None,
    *,
    loss: str | None = "cross_entropy",
    optimizer: SGD | None = None,
    update: UpdatePolicy | None = None,
    precision: str | Int8 = "f32",
    target: str = "host",
    budget: Budget | None = None,
    reorder: bool = True,
    passes: MemoryPasses | None = None,
    threads: int = 1,
    name: str = "model",
) -> Program:
    """Compiles a model into a program that trains and infers.

    Args:
        model: a `torch.nn.Module` (it is imported in eval mode), a
            `torch.export.ExportedProgram` (in the mode it was exported in), the path of a graph
            written by `Graph.save`, or a `Graph`.
        example_inputs: one f32 tensor, or a tuple of one; only its shape matters. The
            program's batch size is the tensor's. None for a path or a `Graph`; may be None for an
            `ExportedProgram`.
        loss: "cross_entropy" (logits [batch, classes], integer labels), "mse", or None for a
            program that only infers.
        optimizer: `SGD()` by default.
        update: which parameters are trained; `FullUpdate()` by default. PyTorch's own
            `requires_grad` is not looked at.
        precision: "f32", or `Int8` for a quantized model. A graph that is quantized already, as
            `load_tte` gives, is int8 in any case; `Int8` then sets how it learns.
        target: one of `targets()`.
        budget: limits that the program must keep.
        reorder: False compiles the conventional program for comparison: op by op, all
            gradients first, updates last; the same as `passes=MemoryPasses.none()`.
        passes: what is done to save memory; everything by default.
        threads: how many threads share the work, on a target with an operating system: the host,
            or an AArch64 core under Linux. Results are the same for any number. Most is won with
            a batch > 1. Several threads need more memory than one: `overlap`, `rows` and `split`
            of `passes` are off.
        name: prefix of the C functions and files; a C identifier.

    Raises:
        ConfigError: an option is wrong.
        ModelError: the model cannot be imported.
        CompileError: a stage of the compiler failed.
        BudgetError: the program exceeds its budget.
    """
    optional = (SGD, Budget, MemoryPasses)
    for option, value, kind in (
        ("optimizer", optimizer, SGD),
        ("budget", budget, Budget),
        ("target", target, str),
        ("name", name, str),
        ("reorder", reorder, bool),
        ("threads", threads, int),
        ("passes", passes, MemoryPasses),
    ):
        if not (isinstance(value, kind) or (value is None and kind in optional)):
            raise ConfigError(f"expected {option}= of type {kind.__name__}, got {value!r}")
    if update is not None and (isinstance(update, type) or not hasattr(update, "resolve")):
        raise ConfigError(f"expected update= such as tt.FullUpdate(), got {update!r}")
    if loss is not None and loss not in LOSSES:
        raise ConfigError(f"expected loss 'cross_entropy', 'mse' or None, got {loss!r}")
    if precision != "f32" and not isinstance(precision, Int8):
        raise ConfigError(f"expected precision 'f32' or tt.Int8(...), got {precision!r}")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ConfigError(f"expected a name that is a C identifier, got {name!r}")
    if passes is not None and not reorder:
        raise ConfigError("expected reorder=False or passes=, not both: passes= says it all")
    target_info = lookup_target(target)
    if not 1 <= threads <= MAX_THREADS:
        raise ConfigError(f"expected threads= from 1 to {MAX_THREADS}, got {threads}")
    if threads > 1 and target_info.is_microcontroller:
        raise ConfigError(
            f"threads={threads}: {target} runs one thread, expected a target with Linux: "
            + ", ".join(t for t in targets() if not lookup_target(t).is_microcontroller)
        )
    graph = import_model(model, example_inputs)
    graph = to_integers(graph, precision if isinstance(precision, Int8) else None)
    for reserved in ("learning_rate", "random_state"):
        if reserved in graph.parameters:
            raise ConfigError(f"a parameter may not be called '{reserved}': rename it in the model")
    selections = (update or FullUpdate()).resolve(list(graph.parameters))
    graph, needs_grad = arrange(graph, selections)
    if loss == "cross_entropy" and len(graph.output.layout.ir_shape) != 2:
        raise ConfigError(
            "cross_entropy: expected an output of shape [batch, classes], got "
            f"{graph.output.layout.torch_shape}: flatten it, or use another loss"
        )
    if loss is not None and graph.output.quantization is not None:
        raise ConfigError(
            f"{loss}: expected an f32 output, got a quantized one: dequantize it in the model"
        )
    compiled = compile_graph(
        graph,
        name=name,
        target=target_info,
        loss=loss,
        optimizer=optimizer or SGD(),
        needs_grad=needs_grad,
        passes=passes or (MemoryPasses() if reorder else MemoryPasses.none()),
        int8=precision if isinstance(precision, Int8) else Int8(),
        threads=threads,
    )
    program = Program(name, target_info, graph, loss, threads, compiled)
    if budget is not None:
        check_budget(program, budget)
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
            "expected a torch.nn.Module, a torch.export.ExportedProgram, a path or a Graph, got "
            + type(model).__name__
        )
    exported = hasattr(model, "graph_signature")  # which only an ExportedProgram has
    if example_inputs is None and not exported:
        raise ConfigError("expected example_inputs for a torch.nn.Module: one f32 tensor")
    from .frontends.torch_import import import_torch

    builder = MlirBuilder()
    import_torch(model, example_inputs, builder)
    return builder.finish()
