"""Runs the compiler's stages over a graph, down to one relocatable object."""

from __future__ import annotations

import re
import tempfile
import zlib
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
    """

    function: str
    number: int
    label: str
    location: str
    phase: str
    macs: int
    writes: tuple[str, ...]


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
    """

    object: bytes
    stages: dict[str, str]
    slots: tuple[Slot, ...]
    initial: bytes
    calls: tuple[KernelCall, ...]
    buffers: tuple[Buffer, ...]
    statistics: tuple[Statistic, ...]


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
) -> Compiled:
    """Compiles a forward graph, or with a loss its training step too.

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
            split=passes.split,
            reorder=passes.reorder,
            in_place=passes.in_place,
            rows=passes.rows,
            exact=int8.grad == "int8",
        )
        run("kernels", f"tinytrain-form-kernel-graph{options}")
        run("bufferized", "tinytrain-bufferize")
        own_input = graph.input.quantization is not None
        options = _options(target=target.name, overlap=passes.overlap, own_input=own_input)
        run("codegen", f"tinytrain-codegen{options}")
        slots, calls, buffers = _read_plan(module, graph)
        initial = _initial_block(graph, slots, optimizer.lr, int8.seed)
        constants = _read_constants(module, graph, slots)
        arena_bytes = ir.IntegerAttr(module.operation.attributes["tinytrain.arena_bytes"]).value
        run("llvm", f"tinytrain-to-llvm{_options(index_bits=target.index_bits)}")
        _finish_module(module, name, target, slots, initial, arena_bytes, constants)
        if own_input:
            _append(module, _input_function(name, arena_bytes))
        obj = emit(module, target)
    return Compiled(obj, stages, slots, initial, calls, buffers, tuple(statistics))


def _run(module: ir.Module, stage: str, pipeline: str) -> tuple[Statistic, ...]:
    before = str(module)
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
    # Functions are processed side by side: their order is that of the names.
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
    return array if array.shape == slot.shape else array[..., : slot.shape[-1]]


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
                name = parameter.removesuffix(_FROZEN_PART)
                first = trained[name] if name != parameter else 0
                array = graph.parameters[name].array
                data = (array[..., first:] if array.ndim else array).tobytes()
                result[_text(op.attributes["sym_name"])] = (parameter, data)
    return result


# The LLVM dialect -------------------------------------------------------------------


def _finish_module(
    module: ir.Module,
    name: str,
    target: Target,
    slots: tuple[Slot, ...],
    initial: bytes,
    arena_bytes: int,
    constants: dict[str, tuple[str, bytes]],
) -> None:
    """Gives globals their sections and contents, functions their C names."""
    align = 64 if not target.is_microcontroller else 16
    assembly = []
    for op in list(module.body.operations):
        symbol = ir.StringAttr(op.attributes["sym_name"]).value
        if op.operation.name == "llvm.mlir.global":
            size = {"arena": arena_bytes, "params": len(initial)}.get(symbol)
            if size is not None:
                assembly.append(_reserve(symbol, size, align))
                text = _declaration(symbol, size, align)
            elif symbol in constants:
                text = _constant_global(symbol, constants[symbol][1], align)
            else:
                continue
            op.operation.erase()
            _append(module, text)
        elif op.operation.name == "llvm.func":
            op.attributes["no_unwind"] = ir.UnitAttr.get()
            if symbol in ("infer", "step"):
                op.attributes["sym_name"] = ir.StringAttr.get(f"{name}_{symbol}")
            elif op.operation.regions[0].blocks:
                # Kernels: not inlined, so that profiles can tell them apart.
                op.attributes["no_inline"] = ir.UnitAttr.get()
                op.attributes["linkage"] = ir.Attribute.parse("#llvm.linkage<internal>")
    if initial:
        _append(module, _constant_global("params.initial", initial, 16))
        _append(module, _state_functions(name, slots, len(initial)))
    else:
        _append(module, f"llvm.func @{name}_init() attributes {{no_unwind}} {{ llvm.return }}")
    lines = [ir.StringAttr.get(line) for text in assembly for line in text]
    module.operation.attributes["llvm.module_asm"] = ir.ArrayAttr.get(lines)


def _append(module: ir.Module, text: str) -> None:
    """Adds the ops of `text`; what it only declares is there already."""
    parsed = ir.Module.parse(text, module.context)
    known = {str(op.attributes["sym_name"]) for op in module.body.operations}
    for op in parsed.body.operations:
        if str(op.attributes["sym_name"]) not in known:
            module.body.append(op.operation.clone())


def _reserve(symbol: str, size: int, align: int) -> list[str]:
    """Assembly that reserves memory without contents.

    LLVM gives a global in a section of its own name contents in the file, zeros or not.
    """
    return [
        f'.section .tinytrain.{symbol},"aw",%nobits',
        f".balign {align}",
        f".type {symbol},%object",
        f"{symbol}:",
        f".zero {size}",
        f".size {symbol}, {size}",
        ".text",
    ]


def _declaration(symbol: str, size: int, align: int) -> str:
    return (
        f"llvm.mlir.global external hidden @{symbol}() {{addr_space = 0 : i32, "
        f"alignment = {align} : i64, dso_local}} : !llvm.array<{size} x i8>"
    )


def _constant_global(symbol: str, data: bytes, align: int) -> str:
    """A constant from raw bytes, through a resource: large arrays are not printed as text."""
    blob = (4).to_bytes(4, "little").hex() + data.hex()
    return (
        f'llvm.mlir.global internal constant @"{symbol}"(dense_resource<data> : '
        f"tensor<{len(data)}xi8>) {{addr_space = 0 : i32, alignment = {align} : i64}} : "
        f"!llvm.array<{len(data)} x i8>\n"
        f'{{-# dialect_resources: {{ builtin: {{ data: "0x{blob}" }} }} #-}}'
    )


def _input_function(name: str, arena_bytes: int) -> str:
    """`input`: where the program keeps its input, the start of the arena."""
    return f"""
llvm.mlir.global external hidden @arena() {{dso_local}} : !llvm.array<{arena_bytes} x i8>
llvm.func @{name}_input() -> !llvm.ptr attributes {{no_unwind}} {{
  %arena = llvm.mlir.addressof @arena : !llvm.ptr
  llvm.return %arena : !llvm.ptr
}}"""


def _state_functions(name: str, slots: tuple[Slot, ...], size: int) -> str:
    """`init`, `set_learning_rate`, `save` and `load` of the block of parameters.

    A checkpoint is the fingerprint of the block's layout, the block's size, a CRC-32 (IEEE 802.3) of its contents,
    then the contents. `load` changes nothing and returns -1 if any of these does not fit.
    """
    lr = next((s.offset for s in slots if s.name == "learning_rate"), None)
    magic = fingerprint(slots)
    set_lr = ""
    if lr is not None:
        set_lr = f"""
llvm.func @{name}_set_learning_rate(%lr: f32) attributes {{no_unwind}} {{
  %p = llvm.mlir.addressof @params : !llvm.ptr
  %q = llvm.getelementptr %p[{lr}] : (!llvm.ptr) -> !llvm.ptr, i8
  llvm.store %lr, %q : f32, !llvm.ptr
  llvm.return
}}"""
    return f"""
llvm.mlir.global external @params() : !llvm.array<{size} x i8>
llvm.mlir.global external constant @"params.initial"() : !llvm.array<{size} x i8>
llvm.func @{name}_init() attributes {{no_unwind}} {{
  %p = llvm.mlir.addressof @params : !llvm.ptr
  %i = llvm.mlir.addressof @"params.initial" : !llvm.ptr
  %n = llvm.mlir.constant({size} : i32) : i32
  "llvm.intr.memcpy"(%p, %i, %n) <{{isVolatile = false}}> : (!llvm.ptr, !llvm.ptr, i32) -> ()
  llvm.return
}}{set_lr}
llvm.func internal @checkpoint_crc(%p: !llvm.ptr) -> i32 attributes {{no_unwind, no_inline}} {{
  %n = llvm.mlir.constant({size} : i32) : i32
  %0 = llvm.mlir.constant(0 : i32) : i32
  %1 = llvm.mlir.constant(1 : i32) : i32
  %8 = llvm.mlir.constant(8 : i32) : i32
  %ones = llvm.mlir.constant(-1 : i32) : i32
  %poly = llvm.mlir.constant(0xEDB88320 : i32) : i32
  llvm.br ^bytes(%0, %ones : i32, i32)
^bytes(%i: i32, %crc: i32):
  %more = llvm.icmp "ult" %i, %n : i32
  llvm.cond_br %more, ^byte, ^end
^byte:
  %a = llvm.getelementptr %p[%i] : (!llvm.ptr, i32) -> !llvm.ptr, i8
  %b = llvm.load %a : !llvm.ptr -> i8
  %w = llvm.zext %b : i8 to i32
  %x = llvm.xor %crc, %w : i32
  llvm.br ^bits(%0, %x : i32, i32)
^bits(%k: i32, %c: i32):
  %low = llvm.and %c, %1 : i32
  %mask = llvm.sub %0, %low : i32
  %term = llvm.and %poly, %mask : i32
  %half = llvm.lshr %c, %1 : i32
  %c2 = llvm.xor %half, %term : i32
  %k2 = llvm.add %k, %1 : i32
  %again = llvm.icmp "ult" %k2, %8 : i32
  llvm.cond_br %again, ^bits(%k2, %c2 : i32, i32), ^next
^next:
  %i2 = llvm.add %i, %1 : i32
  llvm.br ^bytes(%i2, %c2 : i32, i32)
^end:
  %result = llvm.xor %crc, %ones : i32
  llvm.return %result : i32
}}
llvm.func @{name}_save(%buffer: !llvm.ptr) attributes {{no_unwind}} {{
  %p = llvm.mlir.addressof @params : !llvm.ptr
  %magic = llvm.mlir.constant({magic} : i32) : i32
  %n = llvm.mlir.constant({size} : i32) : i32
  %crc = llvm.call @checkpoint_crc(%p) : (!llvm.ptr) -> i32
  %b1 = llvm.getelementptr %buffer[4] : (!llvm.ptr) -> !llvm.ptr, i8
  %b2 = llvm.getelementptr %buffer[8] : (!llvm.ptr) -> !llvm.ptr, i8
  %b3 = llvm.getelementptr %buffer[{CHECKPOINT_HEADER}] : (!llvm.ptr) -> !llvm.ptr, i8
  llvm.store %magic, %buffer : i32, !llvm.ptr
  llvm.store %n, %b1 : i32, !llvm.ptr
  llvm.store %crc, %b2 : i32, !llvm.ptr
  "llvm.intr.memcpy"(%b3, %p, %n) <{{isVolatile = false}}> : (!llvm.ptr, !llvm.ptr, i32) -> ()
  llvm.return
}}
llvm.func @{name}_load(%buffer: !llvm.ptr) -> i32 attributes {{no_unwind}} {{
  %p = llvm.mlir.addressof @params : !llvm.ptr
  %magic = llvm.mlir.constant({magic} : i32) : i32
  %n = llvm.mlir.constant({size} : i32) : i32
  %0 = llvm.mlir.constant(0 : i32) : i32
  %bad = llvm.mlir.constant(-1 : i32) : i32
  %b1 = llvm.getelementptr %buffer[4] : (!llvm.ptr) -> !llvm.ptr, i8
  %b2 = llvm.getelementptr %buffer[8] : (!llvm.ptr) -> !llvm.ptr, i8
  %b3 = llvm.getelementptr %buffer[{CHECKPOINT_HEADER}] : (!llvm.ptr) -> !llvm.ptr, i8
  %m = llvm.load %buffer : !llvm.ptr -> i32
  %s = llvm.load %b1 : !llvm.ptr -> i32
  %m_ok = llvm.icmp "eq" %m, %magic : i32
  %s_ok = llvm.icmp "eq" %s, %n : i32
  %header = llvm.and %m_ok, %s_ok : i1
  llvm.cond_br %header, ^check, ^fail
^check:
  %crc = llvm.call @checkpoint_crc(%b3) : (!llvm.ptr) -> i32
  %c = llvm.load %b2 : !llvm.ptr -> i32
  %c_ok = llvm.icmp "eq" %c, %crc : i32
  llvm.cond_br %c_ok, ^copy, ^fail
^copy:
  "llvm.intr.memcpy"(%p, %b3, %n) <{{isVolatile = false}}> : (!llvm.ptr, !llvm.ptr, i32) -> ()
  llvm.return %0 : i32
^fail:
  llvm.return %bad : i32
}}
"""


CHECKPOINT_HEADER = 12
"""Bytes before a checkpoint's contents: fingerprint, size, CRC-32 of the contents."""


def fingerprint(slots: tuple[Slot, ...]) -> int:
    """First word of a checkpoint: tells the programs apart whose layout differs."""
    table = ";".join(f"{s.name}{s.shape}@{s.offset}{s.order or ''}" for s in slots)
    return zlib.crc32(table.encode())


def emit(module: ir.Module, target: Target) -> bytes:
    """Machine code for a module in the LLVM dialect.

    Raises:
        CompileError: LLVM cannot generate it.
    """
    small = target.is_microcontroller
    try:
        return _tinytrain.emit_object(
            module,
            target.triple,
            target.cpu,
            target.features,
            opt_level=2,
            reloc="pic" if target.name == "host" else "static",
            unroll=not small,
            vectorize=False,
            slp=False,
        )
    except RuntimeError as error:
        raise CompileError(f"code generation for {target.name} failed: {error}") from error
