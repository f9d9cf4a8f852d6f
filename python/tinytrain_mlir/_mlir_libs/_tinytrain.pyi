"""Registration and code generation of tinytrain."""

from collections.abc import Sequence
from typing import Any

from tinytrain_mlir.passmanager import PassManager

from tinytrain_mlir import ir

def register_dialects(registry: ir.DialectRegistry) -> None: ...
def emit_object(
    module: ir.Module | ir.Operation,
    triple: str,
    cpu: str = "",
    features: str = "",
    *,
    opt_level: int = 2,
    size_level: int = 0,
    reloc: str = "static",
    float_abi: str = "",
    function_sections: bool = True,
    data_sections: bool = True,
    unroll: bool = True,
    vectorize: bool = True,
    slp: bool = True,
    fuse_fp: bool = False,
) -> bytes: ...
def emit_assembly(
    module: ir.Module | ir.Operation,
    triple: str,
    cpu: str = "",
    features: str = "",
    *,
    opt_level: int = 2,
    size_level: int = 0,
    reloc: str = "static",
    float_abi: str = "",
    function_sections: bool = True,
    data_sections: bool = True,
    unroll: bool = True,
    vectorize: bool = True,
    slp: bool = True,
    fuse_fp: bool = False,
) -> str: ...
def emit_llvm_ir(
    module: ir.Module | ir.Operation,
    triple: str,
    cpu: str = "",
    features: str = "",
    *,
    opt_level: int = 2,
    size_level: int = 0,
    reloc: str = "static",
    float_abi: str = "",
    function_sections: bool = True,
    data_sections: bool = True,
    unroll: bool = True,
    vectorize: bool = True,
    slp: bool = True,
    fuse_fp: bool = False,
) -> str: ...
def targets() -> list[dict[str, Any]]: ...

class JitObject:
    def __init__(self, object: bytes) -> None: ...
    def lookup(self, name: str) -> int: ...

class Statistics:
    def __init__(self, manager: PassManager) -> None: ...
    def read(self) -> list[tuple[str, str, str, int]]: ...

def write_archive(path: str, members: Sequence[tuple[str, bytes]]) -> None: ...
def instruction_hook() -> int: ...
