"""What both emulators have in common."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from ..errors import EmulatorError
from .image import Image
from .memory_map import MemoryMap

if TYPE_CHECKING:
    from typing_extensions import Self

STACK_PAINT = 0xA5


@dataclass(frozen=True)
class CallResult:
    """The outcome of one call.

    Attributes:
        instructions: executed by the callee, its return included; None if not counted.
        stack_bytes: the deepest use of the stack, in bytes.
        value: the integer return register, unsigned.
    """

    instructions: int | None
    stack_bytes: int
    value: int


class Machine(Protocol):
    """A processor with a program loaded, whose functions can be called."""

    @property
    def image(self) -> Image:
        """The program."""
        ...

    def write(self, address: int, data: bytes) -> None:
        """Write memory, flash included.

        Raises:
            EmulatorError: there is no memory at these addresses.
        """
        ...

    def read(self, address: int, size: int) -> bytes:
        """Read `size` bytes.

        Raises:
            EmulatorError: there is no memory at these addresses.
        """
        ...

    def call(self, address: int, *args: int | float, timeout: float = ...) -> CallResult:
        """Call a function by the procedure call standard, up to four int, two float args.

        Args:
            address: as in the symbol table, Thumb bit included.
            timeout: in seconds.

        Raises:
            EmulatorError: the program faulted.
            EmulatorTimeoutError: it did not return in time.
        """
        ...

    def profile(self) -> dict[str, int]:
        """Instructions of the last call by function, most first; empty if not counted."""
        ...

    def reset(self) -> None:
        """Load the program again: every variable has its initial value."""
        ...

    def close(self) -> None:
        """Free the emulator; may be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def split_arguments(args: tuple[int | float, ...]) -> tuple[list[int], list[int]]:
    """Integer arguments, and the f32 bit patterns of floating-point ones.

    Raises:
        ValueError: more than four integers or two floats.
    """
    integers = [a for a in args if isinstance(a, int)]
    floats = [f32_bits(a) for a in args if isinstance(a, float)]
    if len(integers) > 4 or len(floats) > 2:
        raise ValueError(f"{len(args)} arguments: at most four int and two float are passed")
    return integers, floats


def soft_arguments(args: tuple[int | float, ...]) -> list[int]:
    """Arguments in integer registers, for targets without an FPU.

    Raises:
        ValueError: more than four.
    """
    if len(args) > 4:
        raise ValueError(f"{len(args)} arguments: at most four are passed in registers")
    return [f32_bits(a) if isinstance(a, float) else a for a in args]


def f32_bits(value: float) -> int:
    """The bit pattern of `value` as an f32."""
    return int.from_bytes(struct.pack("<f", value), "little")


class StackMeter:
    """Measures stack use by painting it before a call and looking for what changed.

    Only what an earlier call used is painted again, so that a shallow call stays cheap. The
    guard below the stack has a pattern of its own, which no call may change.
    """

    def __init__(self, memory: MemoryMap) -> None:
        self._region = memory.stack_region
        self._guard = memory.guard_region
        # Neighbours differ, so that neither zeros nor copies of the paint pass for it.
        self._pattern = bytes((167 * i + 90) & 0xFF for i in range(self._guard.size))
        self._dirty = self._region.size
        self._guard_is_intact = False

    def forget(self) -> None:
        """The stack's contents are unknown: paint all of it next time."""
        self._dirty = self._region.size
        self._guard_is_intact = False

    def paint(self, machine: Machine) -> None:
        """Paint what the last call used."""
        if self._dirty:
            data = bytes([STACK_PAINT]) * self._dirty
            machine.write(self._region.end - self._dirty, data)
        if not self._guard_is_intact:
            machine.write(self._guard.base, self._pattern)
        self.forget()

    def measure(self, machine: Machine, callee: str) -> int:
        """Bytes from the top of the stack to the deepest byte that changed.

        Args:
            callee: what was called, for the error.

        Raises:
            EmulatorError: the guard below the stack was written.
        """
        contents = machine.read(self._guard.base, self._guard.size + self._region.size)
        guard, stack = contents[: self._guard.size], contents[self._guard.size :]
        if guard != self._pattern:
            pairs = zip(guard, self._pattern, strict=True)
            lowest = next(i for i, (have, want) in enumerate(pairs) if have != want)
            raise EmulatorError(
                f"stack overflow in the call of {callee}: it wrote the guard below the stack at "
                f"{self._guard.base + lowest:#010x}, so that it needs at least "
                f"{self._region.end - self._guard.base - lowest} bytes of stack, not "
                f"{self._region.size}: give more stack="
            )
        self._guard_is_intact = True
        self._dirty = len(stack.lstrip(bytes([STACK_PAINT])))
        return self._dirty


_LARGEST_PUSH = 128  # bytes: 16 double registers


def fault_message(
    memory: MemoryMap,
    what: str,
    *,
    address: int | None,
    where: str | None,
    callee: str,
    sp: int,
) -> str:
    """One sentence on a fault.

    Args:
        what: happened, "write of 4 bytes".
        address: that was accessed, if known.
        where: the instruction, if known.
        sp: the stack pointer at that instruction.
    """
    text = f"{memory.target}: "
    below = memory.stack_region.base - sp
    # An instruction that pushes faults before the stack pointer has moved.
    pushed = address is not None and sp - _LARGEST_PUSH <= address < memory.stack_region.base <= sp
    if 0 < below < memory.ram.size:
        text += f"stack overflow: the stack pointer was {below} bytes below the stack; "
    elif pushed:
        text += f"stack overflow: only {-below} bytes of the stack were left; "
    text += what
    if address is not None:
        text += f" at {memory.describe(address)},"
    if where is not None:
        text += f" by the instruction at {where}"
    return f"{text} in the call of {callee}"
