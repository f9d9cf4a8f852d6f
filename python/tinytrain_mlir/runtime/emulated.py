"""Programs for Arm targets, in an emulator."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from .._mlir_libs import _tinytrain
from ..errors import EmulatorError
from .image import Image
from .launch import Emulator, open_machine
from .layout import IO_SECTION, Layout
from .link import link
from .memory_map import DataRegion, MemoryMap, Region

_ALIGNMENT = 16
_PADDING = 256  # between sections, at most


class EmulatedDevice:
    """A `Device` in unicorn or QEMU.

    Args:
        name: of the program.
        memory: of the machine.
        objects: the program's object, and the one with memcpy and its like.
        sram_bytes: what the program needs; more than the machine's RAM uses its large RAM
            region, if it has one.
        calls: sizes of each function's buffers, for which room is reserved.
        own_input: `infer` and `step` are given their input where the program keeps it.

    Raises:
        LinkError: the program does not fit.
    """

    def __init__(
        self,
        name: str,
        memory: MemoryMap,
        objects: tuple[bytes, bytes],
        *,
        sram_bytes: int,
        calls: Sequence[Sequence[int]],
        own_input: bool,
        emulator: Emulator,
    ) -> None:
        self._name = name
        io_bytes = max(_offsets(sizes)[-1] for sizes in calls)
        data: DataRegion = "ram"
        needed = sram_bytes + io_bytes + _PADDING
        if memory.large is not None and needed > memory.data_region("ram").size:
            data = "large"
        with tempfile.TemporaryDirectory(prefix="tinytrain-run-") as folder:
            files = []
            for i, contents in enumerate(objects):
                files.append(Path(folder, f"{i}.o"))
                files[-1].write_bytes(contents)
            image = link(
                files[:1],
                Path(folder, "program.elf"),
                memory,
                fallbacks=files[1:],
                data=data,
                io_bytes=io_bytes,
            )
        self._machine = open_machine(
            image, memory, emulator=emulator, block_hook=_tinytrain.instruction_hook()
        )
        # A checkpoint may take what is free behind the reserved buffers.
        base, _ = image.sections[IO_SECTION]
        self._io = Region(base, memory.data_region(data).end - base)
        self.image: Image = image
        self.layout: Layout | None = Layout.read(image, memory, f"{name} on {memory.target}")
        self.instructions: int | None = None
        self.stack_bytes: int | None = None
        self._input: int | None = None
        if own_input:
            self._input = self._machine.call(image.address(f"{name}_input")).value

    def call(self, function: str, *args: bytes | int) -> tuple[bytes, ...]:
        """See `Device.call`."""
        places = {0: self._input} if function in ("infer", "step") and self._input else {}
        sizes = [a if isinstance(a, int) else len(a) for a in args]
        *offsets, total = _offsets([0 if i in places else s for i, s in enumerate(sizes)])
        if total > self._io.size:
            raise EmulatorError(
                f"{self._name}_{function} needs {total} bytes of RAM for its buffers, and "
                f"{self._io.size} are left: give more ram="
            )
        addresses = [places.get(i, self._io.base + offset) for i, offset in enumerate(offsets)]
        for address, arg in zip(addresses, args, strict=True):
            if isinstance(arg, bytes):
                self._machine.write(address, arg)
        self._run(function, *addresses)
        return tuple(
            self._machine.read(address, arg)
            for address, arg in zip(addresses, args, strict=True)
            if isinstance(arg, int)
        )

    def state(self, size: int) -> bytes:
        """See `Device.state`; the program is not called, and needs no buffer."""
        base, _ = self.image.sections[".tinytrain.params"]
        return self._machine.read(base, size)

    def set_learning_rate(self, lr: float) -> None:
        """See `Device.set_learning_rate`."""
        self._run("set_learning_rate", float(lr))

    def instructions_by_function(self) -> dict[str, int]:
        """See `Device.instructions_by_function`."""
        return self._machine.profile()

    def _run(self, function: str, *args: int | float) -> None:
        address = self.image.address(f"{self._name}_{function}")
        result = self._machine.call(address, *args, timeout=3600.0)
        self.instructions = result.instructions
        self.stack_bytes = result.stack_bytes

    def close(self) -> None:
        """Ends the emulator."""
        self._machine.close()


def _offsets(sizes: Sequence[int]) -> list[int]:
    """Where buffers of these sizes begin, and the size of all."""
    return [0, *accumulate((size + _ALIGNMENT - 1) // _ALIGNMENT * _ALIGNMENT for size in sizes)]
