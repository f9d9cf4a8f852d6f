"""Cortex-M and AArch64 in unicorn: no program needs to be installed."""

from __future__ import annotations

import ctypes
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..errors import EXTRA_HINT, EmulatorError, EmulatorTimeoutError, MissingToolError
from .counting import InstructionCounter
from .image import Image
from .machine import CallResult, StackMeter, fault_message, soft_arguments, split_arguments
from .memory_map import MemoryMap, Region

if TYPE_CHECKING:
    from typing_extensions import Self

try:
    import unicorn as uc
    from unicorn import arm64_const as a64
    from unicorn import arm_const as arm
    from unicorn.unicorn_py3.unicorn import uclib
except ImportError as error:  # pragma: no cover
    raise MissingToolError(f"this emulator needs unicorn: {EXTRA_HINT}") from error

_CORTEX_M = {
    "cortex-m0plus": arm.UC_CPU_ARM_CORTEX_M0,
    "cortex-m4": arm.UC_CPU_ARM_CORTEX_M4,
    "cortex-m7": arm.UC_CPU_ARM_CORTEX_M7,
    "cortex-m33": arm.UC_CPU_ARM_CORTEX_M33,
}
# unicorn has no Cortex-A76; its MAX model has the dot product instructions.
_CORTEX_A = {"cortex-a72": a64.UC_CPU_ARM64_A72, "cortex-a76": a64.UC_CPU_ARM64_MAX}

_CPACR_FPEN = 3 << 20
_ACCESSES = {
    uc.UC_MEM_READ_UNMAPPED: "read",
    uc.UC_MEM_READ_PROT: "read",
    uc.UC_MEM_WRITE_UNMAPPED: "write",
    uc.UC_MEM_WRITE_PROT: "write",
    uc.UC_MEM_FETCH_UNMAPPED: "fetch",
    uc.UC_MEM_FETCH_PROT: "fetch",
}


def supports(target: str) -> bool:
    """Whether unicorn has the target's instructions."""
    return target in _CORTEX_M or target in _CORTEX_A


class UnicornMachine:
    """A `Machine` in this process.

    Args:
        image: an executable linked for `memory`.
        block_hook: address of the native counting hook (see `counting`); None switches
            counting off, which is about 15 % faster.

    Raises:
        MissingToolError: unicorn lacks the target's instructions.
        EmulatorError: the image does not fit the memory map.
    """

    def __init__(self, image: Image, memory: MemoryMap, *, block_hook: int | None = None) -> None:
        self._image = image
        self._memory = memory
        self._is_arm = memory.architecture == "arm"
        self._uc: Any = self._open()
        self._access: tuple[str, int] | None = None
        self._uc.hook_add(uc.UC_HOOK_MEM_INVALID, self._note_access)
        self._meter = StackMeter(memory)
        self._sentinel = memory.flash.base + memory.reserved - 16
        self._counter: InstructionCounter | None = None
        if block_hook is not None:
            self._counter = InstructionCounter(image)
            self._add_hook(block_hook, self._counter.user_data)
        self.reset()

    @property
    def image(self) -> Image:
        """The program."""
        return self._image

    def _open(self) -> Any:
        target = self._memory.target
        if target in _CORTEX_M:
            # Not UC_MODE_MCLASS: it replaces every model by the Cortex-M33.
            machine = uc.Uc(uc.UC_ARCH_ARM, uc.UC_MODE_THUMB)
            machine.ctl_set_cpu_model(_CORTEX_M[target])
        elif target in _CORTEX_A:
            machine = uc.Uc(uc.UC_ARCH_ARM64, uc.UC_MODE_ARM)
            machine.ctl_set_cpu_model(_CORTEX_A[target])
            fpen = machine.reg_read(a64.UC_ARM64_REG_CPACR_EL1) | _CPACR_FPEN
            machine.reg_write(a64.UC_ARM64_REG_CPACR_EL1, fpen)
        else:
            raise MissingToolError(
                f"unicorn has no {target}: install QEMU (Debian package qemu-system-arm)"
            )
        self._map(machine, self._memory.flash, uc.UC_PROT_READ | uc.UC_PROT_EXEC)
        for region in (self._memory.ram, self._memory.large):
            if region is not None:
                self._map(machine, region, uc.UC_PROT_READ | uc.UC_PROT_WRITE)
        return machine

    @staticmethod
    def _map(machine: Any, region: Region, protection: int) -> None:
        machine.mem_map(region.base, region.size, protection)

    def _add_hook(self, function: int, user_data: int) -> None:
        handle = ctypes.c_size_t()
        status = uclib.uc_hook_add(
            self._engine._uch,
            ctypes.byref(handle),
            uc.UC_HOOK_BLOCK,
            ctypes.c_void_p(function),
            ctypes.c_void_p(user_data),
            ctypes.c_uint64(1),  # begin > end: every address
            ctypes.c_uint64(0),
        )
        if status != uc.UC_ERR_OK:
            raise EmulatorError(f"unicorn refused the counting hook: {uc.UcError(status)}")

    @property
    def _engine(self) -> Any:
        if self._uc is None:
            raise EmulatorError("the emulator is closed")
        return self._uc

    def reset(self) -> None:
        """Load the program again: every variable has its initial value."""
        for segment in self._image.segments:
            self.write(segment.address, segment.data.ljust(segment.size, b"\0"))
        self._meter.forget()

    def write(self, address: int, data: bytes) -> None:
        """Write memory, flash included."""
        try:
            self._engine.mem_write(address, data)
        except uc.UcError as error:
            raise self._no_memory(address, len(data)) from error

    def read(self, address: int, size: int) -> bytes:
        """Read `size` bytes."""
        try:
            return bytes(self._engine.mem_read(address, size))
        except uc.UcError as error:
            raise self._no_memory(address, size) from error

    def _no_memory(self, address: int, size: int) -> EmulatorError:
        return EmulatorError(f"{self._memory.target}: no memory at {address:#x}, {size} bytes")

    def call(self, address: int, *args: int | float, timeout: float = 600.0) -> CallResult:
        """Call a function; see `Machine.call`."""
        engine = self._engine
        pc, sp, result = self._set_registers(address, args)
        callee = self._image.name(address)
        self._access = None
        self._meter.paint(self)
        if self._counter is not None:
            self._counter.clear()
        try:
            engine.emu_start(address, self._sentinel, timeout=max(1, int(timeout * 1e6)))
        except uc.UcError as error:
            self._meter.forget()
            what, accessed = self._access or (str(error), None)
            message = fault_message(
                self._memory,
                what,
                address=accessed,
                where=self._image.describe(engine.reg_read(pc)),
                callee=callee,
                sp=engine.reg_read(sp),
            )
            raise EmulatorError(message) from error
        stopped = engine.reg_read(pc)
        if stopped != self._sentinel:
            self._meter.forget()
            raise EmulatorTimeoutError(
                f"{self._memory.target}: {callee} did not return in "
                f"{timeout:g} s; pc {self._image.describe(stopped)}"
            )
        return CallResult(
            instructions=self._counter.total if self._counter is not None else None,
            stack_bytes=self._meter.measure(self, callee),
            value=int(engine.reg_read(result)),
        )

    def _note_access(
        self, engine: Any, kind: int, address: int, size: int, value: int, user_data: Any
    ) -> bool:
        """Called by unicorn where there is no memory."""
        verb = _ACCESSES.get(kind)
        self._access = (f"{verb} of {size} bytes", address) if verb is not None else None
        return False

    def _set_registers(self, address: int, args: tuple[int | float, ...]) -> tuple[int, int, int]:
        """Set up a call; the numbers of pc, sp and of the result register."""
        write, stack = self._engine.reg_write, self._memory.stack_region.end
        if self._is_arm:
            floats: list[int] = []
            if self._memory.target == "cortex-m0plus":
                integers = soft_arguments(args)
            else:
                integers, floats = split_arguments(args)
            for index, value in enumerate(integers):
                write(arm.UC_ARM_REG_R0 + index, value & 0xFFFF_FFFF)
            for index, value in enumerate(floats):
                write(arm.UC_ARM_REG_S0 + index, value)
            write(arm.UC_ARM_REG_SP, stack)
            write(arm.UC_ARM_REG_LR, self._sentinel | 1)
            return arm.UC_ARM_REG_PC, arm.UC_ARM_REG_SP, arm.UC_ARM_REG_R0
        integers, floats = split_arguments(args)
        for index, value in enumerate(integers):
            write(a64.UC_ARM64_REG_X0 + index, value & 0xFFFF_FFFF_FFFF_FFFF)
        for index, value in enumerate(floats):
            write(a64.UC_ARM64_REG_S0 + index, value)
        write(a64.UC_ARM64_REG_SP, stack)
        write(a64.UC_ARM64_REG_LR, self._sentinel)
        return a64.UC_ARM64_REG_PC, a64.UC_ARM64_REG_SP, a64.UC_ARM64_REG_X0

    def profile(self) -> dict[str, int]:
        """Instructions of the last call by function, most first; empty if not counted."""
        return self._counter.by_function() if self._counter is not None else {}

    def close(self) -> None:
        """Free the emulator; may be called twice."""
        self._uc = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
