"""Link relocatable objects for an emulator, with the lld of the ziglang package."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..errors import EXTRA_HINT, LinkError, MissingToolError
from .image import Image, global_symbols
from .layout import Bank, Layout
from .memory_map import MB, DataRegion, MemoryMap, Region
from .soft_float import soft_float_library

_TIMEOUT_SECONDS = 120
_OVERFLOW = re.compile(r"error: section '[^']*' will not fit in region '")
_ROOMY = 128 * MB

_SCRIPT = """\
MEMORY
{{
  FLASH (rx) : ORIGIN = {flash.base:#x}, LENGTH = {flash.size:#x}
  RAM (rw)   : ORIGIN = {ram.base:#x}, LENGTH = {ram.size:#x}
  LARGE (rw) : ORIGIN = {large.base:#x}, LENGTH = {large.size:#x}
}}
SECTIONS
{{
  .tinytrain.guard (NOLOAD) : {{ . += {guard.size}; }} > RAM
  .tinytrain.stack (NOLOAD) : {{ . += {stack.size}; }} > RAM
  .text : {{ *(.text .text.*) }} > FLASH
  .rodata : {{ *(.rodata .rodata.* .srodata .srodata.*) }} > FLASH
  .ARM.exidx : {{ *(.ARM.exidx .ARM.exidx.* .gnu.linkonce.armexidx.*) }} > FLASH
  .tinytrain.params (NOLOAD) : {{ *(.tinytrain.params .tinytrain.params.*) }} > {data}
  .data : {{ *(.data .data.*) }} > {data} AT > FLASH
  .tinytrain.arena (NOLOAD) : {{ *(.tinytrain.arena .tinytrain.arena.*) }} > {data}
  .bss (NOLOAD) : {{ *(.bss .bss.* COMMON) }} > {data}
  .tinytrain.io (NOLOAD) : ALIGN(16) {{ . += {io_bytes}; }} > {data}
  __stack_bottom = {stack.base:#x};
  __stack_top = {stack.end:#x};
  /DISCARD/ : {{ *(.eh_frame .eh_frame.* .ARM.extab .ARM.extab.* .note.*) }}
}}
"""


def linker_script(memory: MemoryMap, data: DataRegion = "ram", io_bytes: int = 0) -> str:
    """The linker script for a memory map, whose sizes are the regions'."""
    memory.data_region(data)
    return _script(memory, data, io_bytes)


def _script(memory: MemoryMap, data: DataRegion, io_bytes: int, extra: int = 0) -> str:
    def longer(region: Region) -> Region:
        return Region(region.base, region.size + extra)

    return _SCRIPT.format(
        flash=longer(memory.code_region),
        ram=longer(memory.ram),
        large=longer(memory.large or Region(memory.ram.end, 0)),
        data=data.upper(),
        guard=memory.guard_region,
        stack=memory.stack_region,
        io_bytes=io_bytes,
    )


def link(
    objects: Sequence[Path],
    output: Path,
    memory: MemoryMap,
    *,
    fallbacks: Sequence[Path] = (),
    data: DataRegion = "ram",
    io_bytes: int = 0,
) -> Image:
    """Link `objects` to the executable `output` and read it.

    Args:
        objects: relocatable ELF files, all of which are linked.
        fallbacks: objects that are taken only for symbols still undefined (memcpy and
            its like).
        data: the region that holds parameters, arena, .data, .bss, and the caller's buffers.
        io_bytes: the size of those, the section `.tinytrain.io`.

    Raises:
        MissingToolError: the ziglang package is not installed.
        LinkError: an input is absent, a symbol undefined, or a region too small; then the
            message says by how much, and what takes it.
    """
    for path in (*objects, *fallbacks):
        if not path.is_file():
            raise LinkError(f"cannot link {path}: no such file")
    if importlib.util.find_spec("ziglang") is None:
        raise MissingToolError(f"linking for an emulator needs ziglang: {EXTRA_HINT}")
    inputs = list(map(str, objects))
    if fallbacks:
        inputs += ["--start-lib", *map(str, fallbacks), "--end-lib"]
    library = soft_float_library(memory.target)
    if library is None:
        return _link(inputs, output, memory, data, io_bytes)
    # Of the library, only the functions that are called.
    files = (*objects, *fallbacks)
    kept = (f"--undefined={name}" for path in files for name in global_symbols(path))
    with tempfile.TemporaryDirectory(prefix="tinytrain-link-") as folder:
        archive = Path(folder, "library.a")
        archive.write_bytes(library)
        inputs += [str(archive), "--gc-sections", *kept]
        return _link(inputs, output, memory, data, io_bytes)


def _link(
    inputs: Sequence[str], output: Path, memory: MemoryMap, data: DataRegion, io_bytes: int
) -> Image:
    error = _run_lld(linker_script(memory, data, io_bytes), inputs, output)
    if error is None:
        return Image.read(output)
    if _OVERFLOW.search(error):
        # Where nothing is too small, the sections' sizes can be read from the result.
        with tempfile.TemporaryDirectory(prefix="tinytrain-link-") as folder:
            roomy = Path(folder, "roomy.elf")
            if _run_lld(_script(memory, data, io_bytes, _ROOMY), inputs, roomy) is None:
                layout = Layout.read(Image.read(roomy), memory, "")
                if short := [_shortage(bank) for bank in layout.banks if bank.free < 0]:
                    raise LinkError("; ".join(short))
    raise LinkError(f"the linker failed:\n{error}")


_ADVICE = {
    "RAM": "train fewer parameters, take a smaller input or model, or give more ram=",
    "large RAM": "take a smaller input or model",
    "flash": "take a smaller model, or give more flash=",
}


def _shortage(bank: Bank) -> str:
    """One sentence: what is too small by how much, what takes the room, what to do."""
    largest = sorted(bank.parts, key=lambda part: -part.region.size)
    parts = ", ".join(
        f"{part.name}{f' ({part.section})' if part.section else ''} {part.region.size}"
        for part in largest
    )
    return (
        f"{bank.name} of {bank.region.size} bytes is {-bank.free} bytes too small for {parts}: "
        f"{_ADVICE[bank.name]}"
    )


def _run_lld(script: str, inputs: Sequence[str], output: Path) -> str | None:
    """Links by a script; what the linker printed if it failed.

    Raises:
        LinkError: it takes too long.
    """
    with tempfile.TemporaryDirectory(prefix="tinytrain-link-") as folder:
        file = Path(folder, "memory.ld")
        file.write_text(script, encoding="utf-8")
        return _run(
            [
                f"--script={file}",
                "--entry=0",
                "--static",
                "--nmagic",
                "--no-undefined",
                "--build-id=none",
                f"--output={output}",
                *inputs,
            ]
        )


def _run(arguments: Sequence[str]) -> str | None:
    command = [sys.executable, "-m", "ziglang", "ld.lld", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LinkError(f"the linker gave no result in {_TIMEOUT_SECONDS} s") from error
    return done.stderr.strip() if done.returncode != 0 else None
