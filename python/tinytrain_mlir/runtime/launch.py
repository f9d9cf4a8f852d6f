"""Choose an emulator for a target."""

from __future__ import annotations

from typing import Literal

from .image import Image
from .machine import Machine
from .memory_map import MemoryMap
from .qemu_machine import QemuMachine

Emulator = Literal["auto", "unicorn", "qemu"]


def open_machine(
    image: Image,
    memory: MemoryMap,
    *,
    emulator: Emulator = "auto",
    block_hook: int | None = None,
) -> Machine:
    """Load `image` into an emulator.

    "auto" takes unicorn where it has the target's instructions, else QEMU.

    Raises:
        MissingToolError: the emulator is not installed.
        EmulatorError: the image does not load.
    """
    if emulator == "qemu":
        return QemuMachine(image, memory)
    from .unicorn_machine import UnicornMachine, supports

    if emulator == "auto" and not supports(memory.target):
        return QemuMachine(image, memory)
    return UnicornMachine(image, memory, block_hook=block_hook)
