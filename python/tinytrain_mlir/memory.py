"""Memory figures, read back from the object that is linked."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from elftools.elf.elffile import ELFFile

from .driver import Buffer

_ALLOCATED, _WRITABLE, _CODE = 0x2, 0x1, 0x4
_UNWIND = (".ARM.exidx", ".eh_frame")


@dataclass(frozen=True)
class Memory:
    """What a program needs, in bytes, from its object's own section sizes.

    Attributes:
        sections: size of each allocated section; sections of one name are summed.
        timeline: the arena's plan.
    """

    sections: Mapping[str, int]
    flags: Mapping[str, int]
    timeline: tuple[Buffer, ...]

    @classmethod
    def read(cls, data: bytes, timeline: tuple[Buffer, ...]) -> Memory:
        """Reads the sections of an ELF object."""
        sizes: dict[str, int] = {}
        flags: dict[str, int] = {}
        for section in ELFFile(io.BytesIO(data)).iter_sections():
            if section["sh_flags"] & _ALLOCATED and not section.name.startswith(_UNWIND):
                sizes[section.name] = sizes.get(section.name, 0) + section["sh_size"]
                flags[section.name] = section["sh_flags"]
        return cls(sizes, flags, timeline)

    def _sum(self, flag: int, wanted: bool) -> int:
        return sum(
            size for n, size in self.sections.items() if bool(self.flags[n] & flag) == wanted
        )

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
        return self._sum(_WRITABLE, True)

    @property
    def code_bytes(self) -> int:
        """All executable sections."""
        return self._sum(_CODE, True)

    @property
    def flash_bytes(self) -> int:
        """Code, frozen parameters, initial values and constants: all that is not writable."""
        return self._sum(_WRITABLE, False)

    @cached_property
    def peak(self) -> tuple[str, int, tuple[Buffer, ...]]:
        """Function and op number where most bytes are alive, and the buffers alive there."""
        best: tuple[str, int, tuple[Buffer, ...]] = ("", 0, ())
        for at in self.timeline:
            live = tuple(
                b
                for b in self.timeline
                if b.function == at.function and b.first <= at.first <= b.last
            )
            if sum(b.bytes for b in live) > sum(b.bytes for b in best[2]):
                best = (at.function, at.first, live)
        return best

    def as_dict(self) -> dict[str, object]:
        """The memory map as `Program.save` writes it."""
        return {
            "sram_bytes": self.sram_bytes,
            "arena_bytes": self.arena_bytes,
            "param_bytes": self.param_bytes,
            "flash_bytes": self.flash_bytes,
            "code_bytes": self.code_bytes,
            "sections": dict(self.sections),
            "timeline": [vars(buffer) for buffer in self.timeline],
        }
