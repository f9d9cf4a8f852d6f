"""memcpy, memset and memmove for programs that link no C library."""

from __future__ import annotations

from functools import cache

from .. import ir
from ..llvm_module import emit
from ..target import Target, lookup_target

# "no-builtins" keeps LLVM from turning the loops into calls of themselves.
_TEXT = """
module {{
  // Ascending, so that the target may overlap the source from below. Words need not be aligned.
  llvm.func internal @copy(%d: !llvm.ptr, %s: !llvm.ptr, %n: {size})
      attributes {{always_inline, no_unwind, passthrough = ["no-builtins"]}} {{
    %0 = llvm.mlir.constant(0 : {size}) : {size}
    %1 = llvm.mlir.constant(1 : {size}) : {size}
    %chunk = llvm.mlir.constant(16 : {size}) : {size}
    llvm.br ^words(%d, %s, %n : !llvm.ptr, !llvm.ptr, {size})
  ^words(%q0: !llvm.ptr, %p0: !llvm.ptr, %left: {size}):
    %whole = llvm.icmp "uge" %left, %chunk : {size}
    llvm.cond_br %whole, ^chunk, ^bytes(%q0, %p0, %left : !llvm.ptr, !llvm.ptr, {size})
  ^chunk:
    %p1 = llvm.getelementptr %p0[4] : (!llvm.ptr) -> !llvm.ptr, i8
    %p2 = llvm.getelementptr %p0[8] : (!llvm.ptr) -> !llvm.ptr, i8
    %p3 = llvm.getelementptr %p0[12] : (!llvm.ptr) -> !llvm.ptr, i8
    %p4 = llvm.getelementptr %p0[16] : (!llvm.ptr) -> !llvm.ptr, i8
    %q1 = llvm.getelementptr %q0[4] : (!llvm.ptr) -> !llvm.ptr, i8
    %q2 = llvm.getelementptr %q0[8] : (!llvm.ptr) -> !llvm.ptr, i8
    %q3 = llvm.getelementptr %q0[12] : (!llvm.ptr) -> !llvm.ptr, i8
    %q4 = llvm.getelementptr %q0[16] : (!llvm.ptr) -> !llvm.ptr, i8
    %w0 = llvm.load %p0 {{alignment = 1 : i64}} : !llvm.ptr -> i32
    %w1 = llvm.load %p1 {{alignment = 1 : i64}} : !llvm.ptr -> i32
    llvm.store %w0, %q0 {{alignment = 1 : i64}} : i32, !llvm.ptr
    llvm.store %w1, %q1 {{alignment = 1 : i64}} : i32, !llvm.ptr
    %w2 = llvm.load %p2 {{alignment = 1 : i64}} : !llvm.ptr -> i32
    %w3 = llvm.load %p3 {{alignment = 1 : i64}} : !llvm.ptr -> i32
    llvm.store %w2, %q2 {{alignment = 1 : i64}} : i32, !llvm.ptr
    llvm.store %w3, %q3 {{alignment = 1 : i64}} : i32, !llvm.ptr
    %rest = llvm.sub %left, %chunk : {size}
    llvm.br ^words(%q4, %p4, %rest : !llvm.ptr, !llvm.ptr, {size})
  ^bytes(%q: !llvm.ptr, %p: !llvm.ptr, %i: {size}):
    %more = llvm.icmp "ne" %i, %0 : {size}
    llvm.cond_br %more, ^byte, ^end
  ^byte:
    %b = llvm.load %p : !llvm.ptr -> i8
    llvm.store %b, %q : i8, !llvm.ptr
    %pn = llvm.getelementptr %p[1] : (!llvm.ptr) -> !llvm.ptr, i8
    %qn = llvm.getelementptr %q[1] : (!llvm.ptr) -> !llvm.ptr, i8
    %j = llvm.sub %i, %1 : {size}
    llvm.br ^bytes(%qn, %pn, %j : !llvm.ptr, !llvm.ptr, {size})
  ^end:
    llvm.return
  }}
  llvm.func weak @memcpy(%d: !llvm.ptr, %s: !llvm.ptr, %n: {size}) -> !llvm.ptr
      attributes {{no_unwind, passthrough = ["no-builtins"]}} {{
    llvm.call @copy(%d, %s, %n) : (!llvm.ptr, !llvm.ptr, {size}) -> ()
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
    %up = llvm.icmp "ult" %d, %s : !llvm.ptr
    llvm.cond_br %up, ^ascending, ^descending
  ^ascending:
    llvm.call @copy(%d, %s, %n) : (!llvm.ptr, !llvm.ptr, {size}) -> ()
    llvm.return %d : !llvm.ptr
  ^descending:
    %0 = llvm.mlir.constant(0 : {size}) : {size}
    %1 = llvm.mlir.constant(1 : {size}) : {size}
    llvm.br ^head(%n : {size})
  ^head(%left: {size}):
    %done = llvm.icmp "eq" %left, %0 : {size}
    llvm.cond_br %done, ^end, ^body
  ^body:
    %i = llvm.sub %left, %1 : {size}
    %p = llvm.getelementptr %s[%i] : (!llvm.ptr, {size}) -> !llvm.ptr, i8
    %q = llvm.getelementptr %d[%i] : (!llvm.ptr, {size}) -> !llvm.ptr, i8
    %b = llvm.load %p : !llvm.ptr -> i8
    llvm.store %b, %q : i8, !llvm.ptr
    llvm.br ^head(%i : {size})
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
