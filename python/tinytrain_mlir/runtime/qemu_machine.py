"""Cortex-M and AArch64 in QEMU's system emulation, steered through its debug stub."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from ..errors import EmulatorError, EmulatorTimeoutError, MissingToolError
from . import mpu
from .image import Image
from .machine import CallResult, StackMeter, fault_message, soft_arguments, split_arguments
from .memory_map import MemoryMap
from .qemu_boards import (
    BOARDS,
    ICOUNT_SHIFT,
    INSTRUCTION_NS,
    aarch64_trampoline,
    cortex_m_trampoline,
)
from .qemu_process import QemuProcess

if TYPE_CHECKING:
    from typing_extensions import Self

_SETUP_SECONDS = 20.0
_THUMB = 1 << 24
_CFSR, _MMFAR, _BFAR = 0xE000_ED28, 0xE000_ED34, 0xE000_ED38
_MMFAR_VALID, _BFAR_VALID, _FRAME_LOST = 1 << 7, 1 << 15, 1 << 4 | 1 << 12
_FRAME_BYTES = 32


class QemuMachine:
    """A `Machine` in a QEMU process.

    On the AArch64 board flash is RAM: a write to it is not noticed here (unicorn's machine
    faults).

    Raises:
        MissingToolError: QEMU is not installed.
        EmulatorError: QEMU failed, or the image does not fit the machine.
    """

    def __init__(self, image: Image, memory: MemoryMap) -> None:
        if memory.target not in BOARDS:
            raise MissingToolError(f"QEMU has no board for {memory.target}")
        board = BOARDS[memory.target]
        self._image = image
        self._memory = memory
        self._timer = board.timer
        if board.timer is None:
            self._stub = aarch64_trampoline(memory)
        else:
            self._stub = cortex_m_trampoline(memory, board.timer)
        self._meter = StackMeter(memory)
        arguments = (*board.arguments, "-icount", f"shift={ICOUNT_SHIFT}")
        self._process: QemuProcess | None = QemuProcess(board.program, arguments)
        try:
            self._start()
            self.reset()
        except BaseException:
            self.close()
            raise

    @property
    def image(self) -> Image:
        """The program."""
        return self._image

    @property
    def _qemu(self) -> QemuProcess:
        if self._process is None:
            raise EmulatorError("the emulator is closed")
        return self._process

    def _start(self) -> None:
        rsp, stub = self._qemu.rsp, self._stub
        if stub.protected_regions:
            have = int.from_bytes(rsp.read_memory(mpu.TYPE, 4), "little") >> 8 & 0xFF
            if have < stub.protected_regions:
                raise EmulatorError(
                    f"the {self._memory.target} board has {have} protection regions, and these "
                    f"sizes take {stub.protected_regions}: give ram= and flash= with fewer digits"
                )
        rsp.write_memory(self._memory.flash.base, stub.code)
        for address in (stub.setup_end, stub.call_end, *stub.faults):
            rsp.set_breakpoint(address, stub.instruction_bytes)
        self._enter(stub.setup, dict(stub.setup_registers))
        self._run(stub.setup_end, "set-up", _SETUP_SECONDS)

    def reset(self) -> None:
        """Load the program again: every variable has its initial value."""
        for segment in self._image.segments:
            self.write(segment.address, segment.data.ljust(segment.size, b"\0"))
        self._meter.forget()

    def write(self, address: int, data: bytes) -> None:
        """Write memory, flash included."""
        self._qemu.rsp.write_memory(address, data)

    def read(self, address: int, size: int) -> bytes:
        """Read `size` bytes."""
        return self._qemu.rsp.read_memory(address, size)

    def call(self, address: int, *args: int | float, timeout: float = 600.0) -> CallResult:
        """Call a function; see `Machine.call`."""
        rsp, stub = self._qemu.rsp, self._stub
        floats: list[int] = []
        if stub.float_arguments is None:
            integers = soft_arguments(args)
        else:
            integers, floats = split_arguments(args)
        registers = dict(enumerate(integers)) | dict(stub.call_registers)
        registers |= dict(zip(stub.float_arguments or (), floats, strict=False))
        registers[stub.callee] = address
        registers[stub.sp] = self._memory.stack_region.end
        self._meter.paint(self)
        self._enter(stub.call, registers)
        coarse_before = self._coarse_time()
        callee = self._image.name(address)
        self._run(stub.call_end, callee, timeout)
        return CallResult(
            instructions=self._instructions(coarse_before),
            stack_bytes=self._meter.measure(self, callee),
            value=rsp.read_register(0),
        )

    def _coarse_time(self) -> int:
        if self._timer is None:
            return 0
        return int.from_bytes(self._qemu.rsp.read_memory(self._timer.coarse, 4), "little")

    def _instructions(self, coarse_before: int) -> int:
        """Instructions between the two timer readings, without the call itself."""
        rsp, stub = self._qemu.rsp, self._stub
        fine = rsp.read_register(stub.before), rsp.read_register(stub.after)
        if self._timer is None:
            nanoseconds = float(fine[1] - fine[0])
        else:
            ticks = self._timer.elapsed(fine, (coarse_before, self._coarse_time()))
            nanoseconds = ticks * self._timer.tick_ns
        # The call instruction and one of the readings lie between the readings.
        return round(nanoseconds / INSTRUCTION_NS) - 2

    def _enter(self, address: int, registers: dict[int, int]) -> None:
        rsp, stub = self._qemu.rsp, self._stub
        for number, value in registers.items():
            rsp.write_register(number, value, stub.register_bytes)
        if self._memory.architecture == "arm":
            rsp.write_register(25, _THUMB, 4)
        rsp.write_register(stub.pc, address, stub.register_bytes)

    def _run(self, end: int, what: str, timeout: float) -> None:
        rsp, stub = self._qemu.rsp, self._stub
        try:
            rsp.run(timeout)
        except EmulatorTimeoutError:
            self._meter.forget()
            where = self._image.describe(rsp.read_register(stub.pc))
            raise EmulatorTimeoutError(
                f"{self._memory.target}: {what} did not return in {timeout:g} s; pc {where}"
            ) from None
        pc = rsp.read_register(stub.pc)
        if pc == end:
            return
        self._meter.forget()
        if pc in stub.faults:
            message = self._fault(what)
            self._recover()
            raise EmulatorError(message)
        raise EmulatorError(f"{self._memory.target}: stopped at {self._image.describe(pc)}")

    def _fault(self, callee: str) -> str:
        rsp = self._qemu.rsp
        pc: int | None
        address: int | None
        if self._memory.architecture == "aarch64":
            pc, syndrome, address = (rsp.read_register(number) for number in range(3))
            sp = rsp.read_register(self._stub.sp)
        else:
            frame = rsp.read_register(self._stub.sp)
            syndrome, mmfar, bfar = (self._word(a) for a in (_CFSR, _MMFAR, _BFAR))
            pc = None if syndrome & _FRAME_LOST else self._word(frame + 24)
            address = bfar if syndrome & _BFAR_VALID else None
            address = mmfar if syndrome & _MMFAR_VALID else address
            sp = frame + _FRAME_BYTES
        return fault_message(
            self._memory,
            f"fault (status {syndrome:#x})",
            address=address,
            where=None if pc is None else self._image.describe(pc),
            callee=callee,
            sp=sp,
        )

    def _word(self, address: int) -> int:
        return int.from_bytes(self._qemu.rsp.read_memory(address, 4), "little")

    def _recover(self) -> None:
        """Leave the exception: in its handler there is no protection, and no second fault."""
        if self._stub.recovery is None:
            return
        registers, frame = self._stub.recover(self._memory.stack_region.end)
        self.write(registers[self._stub.sp], frame)
        self._enter(self._stub.recovery, registers)
        self._run(self._stub.setup_end, "recovery", _SETUP_SECONDS)

    def profile(self) -> dict[str, int]:
        """See `Machine.profile`: QEMU counts instructions as a whole."""
        return {}

    def close(self) -> None:
        """End QEMU; may be called twice."""
        if self._process is not None:
            self._process.close()
        self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
