"""Memory figures, read back from the object that is linked, and the arena's plan."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from elftools.elf.elffile import ELFFile

from .driver import Buffer, Compiled, KernelCall, Slot, Statistic

if TYPE_CHECKING:
    from .report import MemoryReport

_ALLOCATED, _WRITABLE, _CODE = 0x2, 0x1, 0x4
_UNWIND = (".ARM.exidx", ".eh_frame")


def covered_bytes(buffers: Iterable[Buffer]) -> int:
    """Bytes of the arena that the buffers cover; where two overlap, they count once."""
    total = end = 0
    for buffer in sorted(buffers, key=lambda b: b.offset):
        stop = buffer.offset + buffer.bytes
        total += max(0, stop - max(end, buffer.offset))
        end = max(end, stop)
    return total


@dataclass(frozen=True)
class Moment:
    """The arena during one kernel call.

    Attributes:
        call: the kernel call.
        live: the buffers that are alive, largest first. A kernel may write its result over
            an operand that dies, so that two of them may overlap.
    """

    call: KernelCall
    live: tuple[Buffer, ...]

    @property
    def function(self) -> str:
        """The function of the call: "infer" or "step"."""
        return self.call.function

    @cached_property
    def live_bytes(self) -> int:
        """Bytes that the live buffers cover."""
        return covered_bytes(self.live)

    @cached_property
    def used_bytes(self) -> int:
        """Where the last live buffer ends: live bytes, and gaps between them."""
        return max((b.offset + b.bytes for b in self.live), default=0)


@dataclass(frozen=True)
class LayerCode:
    """The kernels of one layer, in bytes of code.

    Attributes:
        layer: where it is in the user's model.
        bytes: of the functions that only this layer runs.
        shared_bytes: of those that layers of the same shapes run too.
    """

    layer: str
    bytes: int
    shared_bytes: int


@dataclass(frozen=True)
class Memory:
    """What a program needs, in bytes, from its object's own section sizes.

    Attributes:
        title: names the program and its target.
        sections: size of each allocated section; sections of one name are summed.
        flags: the sections' ELF flags.
        slots: layout of the parameters that are trained, and of the optimizer's state.
        calls: kernel calls in program order.
        timeline: the arena's plan.
        statistics: what the compiler's passes counted.
    """

    title: str
    sections: Mapping[str, int]
    flags: Mapping[str, int]
    slots: tuple[Slot, ...]
    calls: tuple[KernelCall, ...]
    timeline: tuple[Buffer, ...]
    statistics: tuple[Statistic, ...]

    @classmethod
    def read(cls, compiled: Compiled, title: str) -> Memory:
        """Reads the sections of a compiled program's object."""
        sizes: dict[str, int] = {}
        flags: dict[str, int] = {}
        for section in ELFFile(io.BytesIO(compiled.object)).iter_sections():
            if section["sh_flags"] & _ALLOCATED and not section.name.startswith(_UNWIND):
                sizes[section.name] = sizes.get(section.name, 0) + section["sh_size"]
                flags[section.name] = section["sh_flags"]
        return cls(
            title,
            sizes,
            flags,
            compiled.slots,
            compiled.calls,
            compiled.buffers,
            compiled.statistics,
        )

    def is_writable(self, section: str) -> bool:
        """Whether a section lies in SRAM."""
        return bool(self.flags[section] & _WRITABLE)

    def is_code(self, section: str) -> bool:
        """Whether a section holds instructions."""
        return bool(self.flags[section] & _CODE)

    @property
    def arena_bytes(self) -> int:
        """Activations, gradients and scratch."""
        return self.sections.get(".tinytrain.arena", 0)

    @property
    def param_bytes(self) -> int:
        """Parameters that are trained, optimizer state and the learning rate."""
        return self.sections.get(".tinytrain.params", 0)

    @property
    def sram_bytes(self) -> int:
        """All writable sections."""
        return sum(size for name, size in self.sections.items() if self.is_writable(name))

    @property
    def code_bytes(self) -> int:
        """All executable sections."""
        return sum(size for name, size in self.sections.items() if self.is_code(name))

    @cached_property
    def code_by_layer(self) -> tuple[LayerCode, ...]:
        """What of `code_bytes` are the kernels of each layer, forward and backward, in the order
        in which layers first run. A function that several layers run is in the object once.
        """
        functions: dict[str, set[str]] = {}
        for call in self.calls:
            layer = call.label if call.location == "unknown" else call.location
            functions.setdefault(layer, set()).update(call.functions)
        users = Counter(name for names in functions.values() for name in names)

        def size(names: Iterable[str]) -> int:
            return sum(self.sections.get(f".text.{name}", 0) for name in names)

        return tuple(
            LayerCode(
                layer,
                size(name for name in names if users[name] == 1),
                size(name for name in names if users[name] > 1),
            )
            for layer, names in functions.items()
        )

    @property
    def flash_bytes(self) -> int:
        """Code, frozen parameters, initial values and constants: all that is not writable."""
        return sum(size for name, size in self.sections.items() if not self.is_writable(name))

    def call(self, function: str, number: int) -> KernelCall:
        """A kernel call by its number."""
        return self._calls[function, number]

    @cached_property
    def _calls(self) -> dict[tuple[str, int], KernelCall]:
        return {(call.function, call.number): call for call in self.calls}

    @cached_property
    def moments(self) -> tuple[Moment, ...]:
        """The arena during each kernel call, in program order."""
        live: dict[tuple[str, int], list[Buffer]] = {key: [] for key in self._calls}
        for buffer in sorted(self.timeline, key=lambda b: -b.bytes):
            for number in range(buffer.first, buffer.last + 1):
                live[buffer.function, number].append(buffer)
        return tuple(Moment(call, tuple(live[call.function, call.number])) for call in self.calls)

    @cached_property
    def peak(self) -> Moment | None:
        """The moment at which most bytes of the arena are alive; None without an arena."""
        best = max(
            self.moments,
            key=lambda m: (m.live_bytes, m.used_bytes, m.function == "step"),
            default=None,
        )
        return best if best is not None and best.live else None

    def report(self) -> MemoryReport:
        """Tables, a plot and a page that say what the memory is used for."""
        from .report import MemoryReport

        return MemoryReport(self)

    def as_dict(self) -> dict[str, object]:
        """The memory map as `Program.save` writes it."""
        return {
            "sram_bytes": self.sram_bytes,
            "arena_bytes": self.arena_bytes,
            "param_bytes": self.param_bytes,
            "flash_bytes": self.flash_bytes,
            "code_bytes": self.code_bytes,
            "code_by_layer": [vars(layer) for layer in self.code_by_layer],
            "sections": dict(self.sections),
            "parameters": [vars(slot) for slot in self.slots],
            "calls": [vars(call) for call in self.calls],
            "timeline": [vars(buffer) for buffer in self.timeline],
            "statistics": [vars(statistic) for statistic in self.statistics],
        }
