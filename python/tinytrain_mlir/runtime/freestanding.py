"""memcpy, memset and memmove for programs that link no C library."""

from __future__ import annotations

from functools import cache

from .. import ir
from ..llvm_module import emit
from ..target import Target, lookup_target

# "no-builtins" keeps LLVM from turning the loops into calls of themselves.
_TEXT = """
module {{
  llvm.func weak @memcpy(%d: !llvm.ptr, %s: !llvm.ptr, %n: {size}) -> !llvm.ptr
      attributes {{no_unwind, passthrough = ["no-builtins"]}} {{
    %0 = llvm.mlir.constant(0 : {size}) : {size}
    %1 = llvm.mlir.constant(1 : {size}) : {size}
    llvm.br ^head(%0 : {size})
  ^head(%i: {size}):
    %more = llvm.icmp "ult" %i, %n : {size}
    llvm.cond_br %more, ^body, ^end
  ^body:
    %p = llvm.getelementptr %s[%i] : (!llvm.ptr, {size}) -> !llvm.ptr, i8
    %q = llvm.getelementptr %d[%i] : (!llvm.ptr, {size}) -> !llvm.ptr, i8
    %b = llvm.load %p : !llvm.ptr -> i8
    llvm.store %b, %q : i8, !llvm.ptr
    %j = llvm.add %i, %1 : {size}
    llvm.br ^head(%j : {size})
  ^end:
    llvm.return %d : !llvm.ptr
  }}
  llvm.func weak @memset(%d: !llvm.ptr, %c: i32, %n: {size}) -> !llvm.ptr
      attributes {{no_unwind, passthrough = ["no-builtins"]}} {{
    %0 = llvm.mlir.constant(0 : {size}) : {size}
    %1 = llvm.mlir.constant(1 : {size}) : {size}
    %b = llvm.trunc %c : i32 to i8
    llvm.br ^head(%0 : {size})
  ^head(%i: {size}):
    %more = llvm.icmp "ult" %i, %n : {size}
    llvm.cond_br %more, ^body, ^end
  ^body:
    %q = llvm.getelementptr %d[%i] : (!llvm.ptr, {size}) -> !llvm.ptr, i8
    llvm.store %b, %q : i8, !llvm.ptr
    %j = llvm.add %i, %1 : {size}
    llvm.br ^head(%j : {size})
  ^end:
    llvm.return %d : !llvm.ptr
  }}
  llvm.func weak @memmove(%d: !llvm.ptr, %s: !llvm.ptr, %n: {size}) -> !llvm.ptr
      attributes {{no_unwind, passthrough = ["no-builtins"]}} {{
    %0 = llvm.mlir.constant(0 : {size}) : {size}
    %1 = llvm.mlir.constant(1 : {size}) : {size}
    %up = llvm.icmp "ult" %d, %s : !llvm.ptr
    %step = llvm.mlir.constant(-1 : {size}) : {size}
    %first = llvm.sub %n, %1 : {size}
    %start = llvm.select %up, %0, %first : i1, {size}
    %delta = llvm.select %up, %1, %step : i1, {size}
    llvm.br ^head(%start, %n : {size}, {size})
  ^head(%i: {size}, %left: {size}):
    %done = llvm.icmp "eq" %left, %0 : {size}
    llvm.cond_br %done, ^end, ^body
  ^body:
    %p = llvm.getelementptr %s[%i] : (!llvm.ptr, {size}) -> !llvm.ptr, i8
    %q = llvm.getelementptr %d[%i] : (!llvm.ptr, {size}) -> !llvm.ptr, i8
    %b = llvm.load %p : !llvm.ptr -> i8
    llvm.store %b, %q : i8, !llvm.ptr
    %j = llvm.add %i, %delta : {size}
    %rest = llvm.sub %left, %1 : {size}
    llvm.br ^head(%j, %rest : {size}, {size})
  ^end:
    llvm.return %d : !llvm.ptr
  }}
}}
"""


@cache
def memory_functions(target_name: str) -> bytes:
    """An object with weak definitions of the three functions for a target."""
    target: Target = lookup_target(target_name)
    with ir.Context(), ir.Location.unknown():
        return emit(ir.Module.parse(_TEXT.format(size=f"i{target.index_bits}")), target)
