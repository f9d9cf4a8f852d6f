"""Runs the compiler's stages over a graph, down to one relocatable object."""

from __future__ import annotations

import math
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from . import ir
from ._mlir_libs import _tinytrain
from .config import SGD, Int8, MemoryPasses, NeedsGrad
from .errors import CompileError, ConfigError
from .frontends.graph_builder import Array
from .graph import Graph
from .llvm_module import emit, finish_module
from .passmanager import PassManager
from .target import Target

STAGES = ("import", "training", "kernels", "bufferized", "codegen", "llvm")
"""Names of the stages, in order; `Program.ir` takes them."""


def check_stage(stage: str) -> None:
    """Checks the name of a stage.

    Raises:
        ConfigError: no such stage.
    """
    if stage not in STAGES:
        raise ConfigError(f"unknown stage '{stage}': expected one of {', '.join(STAGES)}")


@dataclass(frozen=True)
class Slot:
    """A mutable value inside the block of parameters: offset and size in bytes.

    `order` is that of the parameter's `ParamLayout`.
    """

    name: str
    offset: int
    bytes: int
    shape: tuple[int, ...]
    order: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class KernelCall:
    """One call of a kernel.

    Attributes:
        function: "infer" or "step".
        number: counts the calls of its function from 0.
        label: the ops that the kernel computes, such as "conv2d_bias_add_clamp".
        location: of the first of them in the user's model.
        phase: "forward", "backward" or "update".
        macs: multiplications with addition.
        writes: names of the parameters that it updates.
        functions: the functions of the program that it runs.
    """

    function: str
    number: int
    label: str
    location: str
    phase: str
    macs: int
    writes: tuple[str, ...]
    functions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Buffer:
    """A buffer in the arena; alive from call number `first` to `last` of its function.

    Attributes:
        location: of its producer in the user's model.
        label: of its producer.
        uses: numbers of the calls that read or write it, ascending; the producer's first.
    """

    function: str
    location: str
    label: str
    type: str
    offset: int
    bytes: int
    first: int
    last: int
    uses: tuple[int, ...]


@dataclass(frozen=True)
class Statistic:
    """What a pass counted while it ran in a stage; `function` is empty for the whole module."""

    stage: str
    pass_name: str
    function: str
    name: str
    value: int


@dataclass(frozen=True)
class Compiled:
    """What the stages produce.

    Attributes:
        object: the relocatable ELF object.
        stages: MLIR text by stage.
        slots: layout of the block of mutable parameters.
        initial: the initial contents of that block.
        calls: kernel calls in program order.
        buffers: the arena's plan.
        statistics: what the passes counted, in the order in which they ran.
        own_input: the input's place is the start of the arena.
    """

    object: bytes
    stages: dict[str, str]
    slots: tuple[Slot, ...]
    initial: bytes
    calls: tuple[KernelCall, ...]
    buffers: tuple[Buffer, ...]
    statistics: tuple[Statistic, ...]
    own_input: bool


def compile_graph(
    graph: Graph,
    *,
    name: str,
    target: Target,
    loss: str | None,
    optimizer: SGD,
    needs_grad: dict[str, NeedsGrad],
    passes: MemoryPasses,
    int8: Int8,
    threads: int,
) -> Compiled:
    """Compiles a forward graph, or with a loss its training step too.

    With several threads the passes that let one thread's order save memory are off: overlaps, rows,
    groups of channels, whose kernels are too small to share, and the input's place in the arena.

    Raises:
        CompileError: a stage failed.
    """
    stages: dict[str, str] = {}
    statistics: list[Statistic] = []
    with graph.module.context, ir.Location.unknown():
        # A copy that keeps locations, unlike text.
        module = ir.Module.create()
        for op in graph.module.body.operations:
            module.body.append(op.operation.clone())

        def run(stage: str, pipeline: str) -> None:
            statistics.extend(_run(module, stage, pipeline))
            stages[stage] = str(module)

        run("import", "func.func(canonicalize,cse)")
        if loss is not None:
            statistics += _append_step(module, loss, optimizer, needs_grad, passes, int8)
        stages["training"] = str(module)
        options = _options(
            detach=passes.detach,
            fuse=passes.fuse,
            split=passes.split and threads == 1,
            reorder=passes.reorder,
            in_place=passes.in_place,
            rows=passes.rows and threads == 1,
            exact=int8.grad == "int8",
        )
        run("kernels", f"tinytrain-form-kernel-graph{options}")
        run("bufferized", "tinytrain-bufferize")
        own_input = graph.input.quantization is not None and threads == 1
        options = _options(
            target=target.name,
            threads=threads,
            overlap=passes.overlap and threads == 1,
            own_input=own_input,
        )
        run("codegen", f"tinytrain-codegen{options}")
        slots, calls, buffers = _read_plan(module, graph)
        initial = _initial_block(graph, slots, optimizer.lr, int8.seed)
        constants = _read_constants(module, graph, slots)
        arena_bytes = ir.IntegerAttr(module.operation.attributes["tinytrain.arena_bytes"]).value
        run("llvm", f"tinytrain-to-llvm{_options(index_bits=target.index_bits)}")
        finish_module(
            module,
            name,
            target,
            slots,
            initial,
            arena_bytes,
            constants,
            own_input=own_input,
            threads=threads,
        )
        obj = emit(module, target)
    return Compiled(obj, stages, slots, initial, calls, buffers, tuple(statistics), own_input)


def _run(module: ir.Module, stage: str, pipeline: str) -> tuple[Statistic, ...]:
    before = str(module)
    # An error that is raised on another thread than Python's ends the process.
    module.context.enable_multithreading(False)
    try:
        manager = PassManager.parse(f"builtin.module({pipeline})")
        statistics = _tinytrain.Statistics(manager)
        manager.run(module.operation)
    except ValueError as error:
        raise CompileError(
            f"the installed extension does not know the pipeline of stage '{stage}' ({error}): "
            "rebuild it, it is older than the Python sources"
        ) from error
    except cast(Any, ir).MLIRError as error:
        first = str(error.error_diagnostics[0]) if error.error_diagnostics else str(error)
        folder = Path(tempfile.mkdtemp(prefix="tinytrain-reproducer-"))
        reproducer = folder / f"{stage}.mlir"
        reproducer.write_text(
            f"// RUN: tinytrain-opt %s --pass-pipeline='builtin.module({pipeline})'\n{before}"
        )
        raise CompileError(
            f"compilation failed in stage '{stage}': {first.strip()} (reproducer: {reproducer})"
        ) from error
    # By function: a pass reports each of its instances.
    records = sorted(statistics.read(), key=lambda record: record[1])
    return tuple(Statistic(stage, *record) for record in records)


def _options(**options: bool | int | float | str) -> str:
    """Options as a pipeline's text takes them."""
    texts = {
        name.replace("_", "-"): str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in options.items()
    }
    return "{" + " ".join(f"{name}={text}" for name, text in texts.items()) + "}"


def _append_step(
    module: ir.Module,
    loss: str,
    optimizer: SGD,
    needs_grad: dict[str, NeedsGrad],
    passes: MemoryPasses,
    int8: Int8,
) -> tuple[Statistic, ...]:
    """Adds the function `step`, derived from `infer`."""
    infer = module.body.operations[0]
    training = ir.Module.create()
    with ir.InsertionPoint(training.body):
        step = infer.operation.clone()
    step.attributes["sym_name"] = ir.StringAttr.get("step")
    attrs = []
    for entry in ir.ArrayAttr(step.attributes["arg_attrs"]):
        named = _dictionary(entry)
        if "tinytrain.param" in named:
            wanted = needs_grad[ir.StringAttr(named["tinytrain.param"]).value]
            named["tinytrain.needs_grad"] = _needs_grad_attr(wanted)
        attrs.append(ir.DictAttr.get(named))
    step.attributes["arg_attrs"] = ir.ArrayAttr.get(attrs)
    statistics = _run(
        training,
        "training",
        "tinytrain-training-graph"
        + _options(
            loss=loss,
            keep_prediction=False,
            momentum=optimizer.momentum,
            weight_decay=optimizer.weight_decay,
            updates_last=not passes.reorder,
            masks=passes.masks,
            qas=int8.qas,
            int_gradients=int8.grad == "int8",
            **({"master": int8.master} if int8.master else {}),
        ),
    )
    module.body.append(training.body.operations[0].operation.clone())
    return statistics


def _needs_grad_attr(value: NeedsGrad) -> ir.Attribute:
    if isinstance(value, bool):
        return ir.BoolAttr.get(value)
    if isinstance(value, float):
        return ir.FloatAttr.get_f32(value)
    return ir.DenseI64ArrayAttr.get(list(value))


def _entries(module: ir.Module, name: str) -> list[dict[str, ir.Attribute]]:
    return [_dictionary(entry) for entry in ir.ArrayAttr(module.operation.attributes[name])]


def _dictionary(attr: ir.Attribute) -> dict[str, ir.Attribute]:
    return {item.name: item.attr for item in cast(Any, ir.DictAttr(attr))}


def _integer(attr: ir.Attribute) -> int:
    return int(ir.IntegerAttr(attr).value)


def _text(attr: ir.Attribute) -> str:
    return str(ir.StringAttr(attr).value)


def _location(attr: ir.Attribute) -> str:
    """A location as people write it: "stem.0 (net.py:12)" for `"stem.0"("/a/net.py":12:8)`."""
    text = re.sub(r"^loc\((.*)\)$", r"\1", _text(attr))
    text = re.sub(r'"(?:[^"]*[/\\])?([^"]*)":(\d+):\d+', r"\1:\2", text)
    return re.sub(r'^"([^"]*)"\(', r"\1 (", text).replace('"', "")


def _read_plan(
    module: ir.Module, graph: Graph
) -> tuple[tuple[Slot, ...], tuple[KernelCall, ...], tuple[Buffer, ...]]:
    slots = []
    for e in _entries(module, "tinytrain.parameters"):
        name = _text(e["name"])
        shape = tuple(ir.MemRefType(ir.TypeAttr(e["type"]).value).shape)
        order = graph.parameters[name].layout.order if name in graph.parameters else ()
        slots.append(Slot(name, _integer(e["offset"]), _integer(e["bytes"]), shape, order))
    calls = tuple(
        KernelCall(
            _text(e["function"]),
            _integer(e["number"]),
            _text(e["label"]),
            _location(e["location"]),
            _text(e["phase"]),
            _integer(e["macs"]),
            tuple(_text(name) for name in ir.ArrayAttr(e["writes"])),
            tuple(_text(name) for name in ir.ArrayAttr(e["functions"])),
        )
        for e in _entries(module, "tinytrain.ops")
    )
    buffers = tuple(
        Buffer(
            _text(e["function"]),
            _location(e["location"]),
            _text(e["label"]),
            str(e["type"]),
            offset=_integer(e["offset"]),
            bytes=_integer(e["bytes"]),
            first=_integer(e["first"]),
            last=_integer(e["last"]),
            uses=tuple(ir.DenseI64ArrayAttr(e["uses"])),
        )
        for e in _entries(module, "tinytrain.buffers")
    )
    return tuple(slots), calls, buffers


def _leading(array: Array, slot: Slot) -> Array:
    """What of a parameter is in its slot: all, or the leading channels, which are trained."""
    return array if array.size == math.prod(slot.shape) else array[..., : slot.shape[-1]]


def _initial_block(graph: Graph, slots: tuple[Slot, ...], lr: float, seed: int) -> bytes:
    """Initial parameters and learning rate; optimizer state starts at zero."""
    block = bytearray(max((s.offset + s.bytes for s in slots), default=0))
    for slot in slots:
        data = b""
        if slot.name == "learning_rate":
            data = np.float32(lr).tobytes()
        elif slot.name == "random_state":
            data = np.uint32(seed).tobytes()
        elif slot.name in graph.parameters:
            data = _leading(graph.parameters[slot.name].array, slot).tobytes()
        elif slot.name.removesuffix(".master") in graph.parameters:
            stored = _leading(graph.parameters[slot.name.removesuffix(".master")].array, slot)
            fine = slot.bytes == 2 * stored.size
            master = stored.astype(np.int16) * 256 if fine else stored.astype(np.float32)
            data = master.tobytes()
        block[slot.offset : slot.offset + len(data)] = data
    return bytes(block)


_FROZEN_PART = "#frozen"
_PACKED_COPY = "#packed"


def _read_constants(
    module: ir.Module, graph: Graph, slots: tuple[Slot, ...]
) -> dict[str, tuple[str, bytes]]:
    """Symbol of each frozen parameter's global, with its name and contents."""
    trained = {slot.name: slot.shape[-1] for slot in slots if slot.shape}
    result = {}
    for op in module.body.operations:
        if op.operation.name == "memref.global" and "tinytrain.global" in op.attributes:
            parameter = _text(op.attributes["tinytrain.global"])
            if parameter:
                array = _frozen_array(graph, parameter, trained)
                if "tinytrain.packed" in op.attributes:
                    array = _packed(array, *ir.DenseI64ArrayAttr(op.attributes["tinytrain.packed"]))
                elif "tinytrain.widened" in op.attributes:
                    array = _widened(array, _integer(op.attributes["tinytrain.widened"]))
                elif "tinytrain.folded" in op.attributes:
                    folded = _dictionary(op.attributes["tinytrain.folded"])
                    weight = _frozen_array(graph, _text(folded["weight"]), trained)
                    array = _folded(array, weight, _integer(folded["amount"]))
                result[_text(op.attributes["sym_name"])] = (parameter, array.tobytes())
    return result


def _frozen_array(graph: Graph, parameter: str, trained: dict[str, int]) -> Array:
    """The values of a frozen parameter, of its copy, or of what `trained` leaves of it."""
    part = parameter.removesuffix(_PACKED_COPY)
    name = part.removesuffix(_FROZEN_PART)
    array = graph.parameters[name].array
    return array[..., trained[name] :] if name != part else array


def _folded(bias: Array, weight: Array, amount: int) -> Array:
    """An int32 bias that takes over what sums of weights [O, ...] times `amount` contribute."""
    sums = weight.reshape(len(weight), -1).sum(1, np.int64)
    result: Array = (bias - amount * sums).astype(bias.dtype)
    return result


def _widened(weight: Array, run: int) -> Array:
    """An int8 weight as int16, laid out as `tinytrain-pack-frozen-weights` describes it."""
    last = -(-weight.shape[-1] // 4) * 4
    runs = weight.reshape(-1, math.prod(weight.shape[-run:]))
    padded = np.zeros((len(runs), last * math.prod(weight.shape[-run:-1])), np.int16)
    padded[:, : runs.shape[1]] = runs
    if runs.shape[1] % 4 == 1:
        padded[:-1, runs.shape[1] + 1] = runs[1:, -1]
    return np.ascontiguousarray(padded.reshape(len(runs), -1, 4)[..., [0, 2, 1, 3]])


def _packed(weight: Array, lanes: int, group: int) -> Array:
    """A weight [O, ..., I] as `tinytrain-pack-frozen-weights` describes it."""
    channels = len(weight)
    blocks = weight.reshape(channels // lanes, lanes, weight.size // channels // group, group)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3))
