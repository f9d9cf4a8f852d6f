"""What a program's module needs in the LLVM dialect: sections, contents, C functions; its code."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from . import ir
from ._mlir_libs import _tinytrain
from .errors import CompileError
from .target import Target
from .threads import thread_functions

if TYPE_CHECKING:
    from .driver import Slot


def finish_module(
    module: ir.Module,
    name: str,
    target: Target,
    slots: tuple[Slot, ...],
    initial: bytes,
    arena_bytes: int,
    constants: dict[str, tuple[str, bytes]],
    *,
    own_input: bool,
    threads: int,
) -> None:
    """Gives globals their sections and contents, functions their C names.

    Args:
        own_input: the input's place is the start of the arena, and `<name>_input` returns it.
        threads: that run `infer` and `step` at once.
    """
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
                if threads > 1:
                    op.attributes["linkage"] = ir.Attribute.parse("#llvm.linkage<internal>")
                else:
                    op.attributes["sym_name"] = ir.StringAttr.get(f"{name}_{symbol}")
            elif symbol == "barrier":
                op.operation.erase()
            elif op.operation.regions[0].blocks:
                # Kernels: not inlined, so that profiles can tell them apart.
                op.attributes["no_inline"] = ir.UnitAttr.get()
                op.attributes["linkage"] = ir.Attribute.parse("#llvm.linkage<internal>")
    if initial:
        _append(module, _constant_global("params.initial", initial, 16))
        _append(module, _state_functions(name, slots, len(initial)))
    else:
        _append(module, f"llvm.func @{name}_init() attributes {{no_unwind}} {{ llvm.return }}")
    if own_input:
        _append(module, _input_function(name, arena_bytes))
    if threads > 1:
        _append(module, thread_functions(name, threads, has_step="step" in _symbols(module)))
    lines = [ir.StringAttr.get(line) for text in assembly for line in text]
    module.operation.attributes["llvm.module_asm"] = ir.ArrayAttr.get(lines)


def _symbols(module: ir.Module) -> set[str]:
    return {ir.StringAttr(op.attributes["sym_name"]).value for op in module.body.operations}


def _append(module: ir.Module, text: str) -> None:
    """Adds the ops of `text`; what it only declares is there already."""
    parsed = ir.Module.parse(text, module.context)
    known = _symbols(module)
    for op in parsed.body.operations:
        if ir.StringAttr(op.attributes["sym_name"]).value not in known:
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
