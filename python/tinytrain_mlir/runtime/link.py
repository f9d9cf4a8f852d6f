"""Link relocatable objects for an emulator, with the lld of the ziglang package."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..errors import EXTRA_HINT, LinkError, MissingToolError
from .image import Image
from .memory_map import DataRegion, MemoryMap

_TIMEOUT_SECONDS = 120

_SCRIPT = """\
MEMORY
{{
  FLASH (rx) : ORIGIN = {flash.base:#x}, LENGTH = {flash.size:#x}
  DATA (rw)  : ORIGIN = {data.base:#x}, LENGTH = {data.size:#x}
}}
SECTIONS
{{
  .text : {{ *(.text .text.*) }} > FLASH
  .rodata : {{ *(.rodata .rodata.* .srodata .srodata.*) }} > FLASH
  .ARM.exidx : {{ *(.ARM.exidx .ARM.exidx.* .gnu.linkonce.armexidx.*) }} > FLASH
  .tinytrain.params (NOLOAD) : {{ *(.tinytrain.params .tinytrain.params.*) }} > DATA
  .data : {{ *(.data .data.*) }} > DATA AT > FLASH
  .tinytrain.arena (NOLOAD) : {{ *(.tinytrain.arena .tinytrain.arena.*) }} > DATA
  .bss (NOLOAD) : {{ *(.bss .bss.* COMMON) }} > DATA
  __stack_bottom = {stack.base:#x};
  __stack_top = {stack.end:#x};
  /DISCARD/ : {{ *(.eh_frame .eh_frame.* .ARM.extab .ARM.extab.* .note.*) }}
}}
"""


def linker_script(memory: MemoryMap, data: DataRegion = "ram") -> str:
    """The linker script for a memory map."""
    return _SCRIPT.format(
        flash=memory.code_region, data=memory.data_region(data), stack=memory.stack_region
    )


def link(
    objects: Sequence[Path],
    output: Path,
    memory: MemoryMap,
    *,
    fallbacks: Sequence[Path] = (),
    data: DataRegion = "ram",
) -> Image:
    """Link `objects` to the executable `output` and read it.

    Args:
        objects: relocatable ELF files, all of which are linked.
        fallbacks: objects that are taken only for symbols still undefined (memcpy and
            its like).
        data: the region that holds parameters, arena, .data and .bss.

    Raises:
        MissingToolError: the ziglang package is not installed.
        LinkError: an input is absent, a symbol undefined, or a region too small.
    """
    for path in (*objects, *fallbacks):
        if not path.is_file():
            raise LinkError(f"cannot link {path}: no such file")
    if importlib.util.find_spec("ziglang") is None:
        raise MissingToolError(f"linking for an emulator needs ziglang: {EXTRA_HINT}")
    with tempfile.TemporaryDirectory(prefix="tinytrain-link-") as folder:
        script = Path(folder, "memory.ld")
        script.write_text(linker_script(memory, data), encoding="utf-8")
        _run_lld(
            [
                f"--script={script}",
                "--entry=0",
                "--static",
                "--nmagic",
                "--no-undefined",
                "--build-id=none",
                f"--output={output}",
                *map(str, objects),
                *(("--start-lib", *map(str, fallbacks), "--end-lib") if fallbacks else ()),
            ]
        )
    return Image.read(output)


def _run_lld(arguments: Sequence[str]) -> None:
    command = [sys.executable, "-m", "ziglang", "ld.lld", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LinkError(f"the linker gave no result in {_TIMEOUT_SECONDS} s") from error
    if done.returncode != 0:
        raise LinkError(f"the linker failed:\n{done.stderr.strip()}")
