"""What both emulators have in common."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from ..errors import EmulatorError
from .image import Image
from .memory_map import Region

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

    Only what an earlier call used is painted again, so that a shallow call stays cheap.
    """

    def __init__(self, region: Region) -> None:
        self._region = region
        self._dirty = region.size

    def forget(self) -> None:
        """The stack's contents are unknown: paint all of it next time."""
        self._dirty = self._region.size

    def paint(self, machine: Machine) -> None:
        """Paint what the last call used."""
        if self._dirty:
            data = bytes([STACK_PAINT]) * self._dirty
            machine.write(self._region.end - self._dirty, data)
        self._dirty = self._region.size

    def measure(self, machine: Machine) -> int:
        """Bytes from the top of the stack to the deepest byte that changed.

        Raises:
            EmulatorError: the whole stack was used, so that the call may have overrun it.
        """
        contents = machine.read(self._region.base, self._region.size)
        untouched = len(contents) - len(contents.lstrip(bytes([STACK_PAINT])))
        self._dirty = self._region.size - untouched
        if not untouched:
            raise EmulatorError(f"stack overflow: all of {self._region.size} bytes were used")
        return self._dirty
