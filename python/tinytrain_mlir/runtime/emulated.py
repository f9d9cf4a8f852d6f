"""Programs for Arm targets, in an emulator."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from .._mlir_libs import _tinytrain
from ..errors import LinkError
from .image import Image
from .launch import Emulator, open_machine
from .link import link
from .memory_map import DataRegion, MemoryMap, Region, memory_map


class EmulatedDevice:
    """A `Device` in unicorn or QEMU.

    Args:
        name: of the program.
        target: of the program.
        objects: the program's object, and the one with memcpy and its like.
        sram_bytes: what the program needs; more than the target's RAM uses the board's
            large RAM region.
        io_bytes: the largest sum of buffers of one call.
    """

    def __init__(
        self,
        name: str,
        target: str,
        objects: tuple[bytes, bytes],
        *,
        sram_bytes: int,
        io_bytes: int,
        emulator: Emulator,
    ) -> None:
        self._name = name
        memory = memory_map(target)
        room = memory.ram.size - memory.stack
        data: DataRegion = "ram"
        if sram_bytes + io_bytes > room:
            if memory.large is None or sram_bytes + io_bytes > memory.large.size:
                raise LinkError(
                    f"the program needs {sram_bytes} bytes of SRAM and {io_bytes} for its input and "
                    f"output; the emulated {target} board has {room}: use a smaller model"
                )
            data = "large"
        self._io, memory = _reserve(memory, data, io_bytes)
        with tempfile.TemporaryDirectory(prefix="tinytrain-run-") as folder:
            files = []
            for i, contents in enumerate(objects):
                files.append(Path(folder, f"{i}.o"))
                files[-1].write_bytes(contents)
            image = link(
                files[:1], Path(folder, "program.elf"), memory, fallbacks=files[1:], data=data
            )
            full = memory_map(target)
            self._machine = open_machine(
                image, full, emulator=emulator, block_hook=_tinytrain.instruction_hook()
            )
        self.image: Image = image
        self.instructions: int | None = None
        self.stack_bytes: int | None = None

    def call(self, function: str, *args: bytes | int) -> tuple[bytes, ...]:
        """See `Device.call`."""
        addresses, cursor = [], self._io.base
        for arg in args:
            addresses.append(cursor)
            if isinstance(arg, bytes):
                self._machine.write(cursor, arg)
                cursor += len(arg)
            else:
                cursor += arg
            cursor = (cursor + 15) & ~15
        self._run(function, *addresses)
        return tuple(
            self._machine.read(address, arg)
            for address, arg in zip(addresses, args, strict=True)
            if isinstance(arg, int)
        )

    def set_learning_rate(self, lr: float) -> None:
        """See `Device.set_learning_rate`."""
        self._run("set_learning_rate", float(lr))

    def _run(self, function: str, *args: int | float) -> None:
        address = self.image.address(f"{self._name}_{function}")
        result = self._machine.call(address, *args, timeout=3600.0)
        self.instructions = result.instructions
        self.stack_bytes = result.stack_bytes

    def close(self) -> None:
        """Ends the emulator."""
        self._machine.close()


def _reserve(memory: MemoryMap, data: DataRegion, size: int) -> tuple[Region, MemoryMap]:
    """Takes `size` bytes off the end of a data region, for the caller's buffers."""
    size = (size + 63) & ~15
    region = memory.ram if data == "ram" else memory.large
    assert region is not None
    smaller = Region(region.base, region.size - size)
    io = Region(smaller.end, size)
    if data == "ram":
        return io, replace(memory, ram=smaller)
    return io, replace(memory, large=smaller)
