"""What lies where in a machine's memory, from the sections of the linked ELF."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console

from .image import Image
from .memory_map import MemoryMap, Region

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderResult

    from ..report import Table

IO_SECTION = ".tinytrain.io"

_NAMES = {
    ".tinytrain.guard": "stack guard",
    ".tinytrain.stack": "stack",
    ".tinytrain.params": "trained parameters",
    ".tinytrain.arena": "arena",
    IO_SECTION: "input and output",
    ".data": "initialised data",
    ".bss": "other data",
    ".text": "code",
    ".rodata": "constants and initial values",
    ".ARM.exidx": "unwind tables",
}


@dataclass(frozen=True)
class Part:
    """A section in a memory.

    Attributes:
        name: what it is, "arena".
        section: of the ELF; empty for what the linker does not place.
    """

    name: str
    section: str
    region: Region


@dataclass(frozen=True)
class Bank:
    """One memory of the machine and what lies in it, by address."""

    name: str
    region: Region
    parts: tuple[Part, ...]

    @property
    def used(self) -> int:
        """Bytes up to the end of the last part; more than `region` has if it is too small."""
        return max((p.region.end for p in self.parts), default=self.region.base) - self.region.base

    @property
    def padding(self) -> int:
        """Bytes between the parts."""
        return self.used - sum(p.region.size for p in self.parts)

    @property
    def free(self) -> int:
        """Bytes behind the last part; negative if the memory is too small."""
        return self.region.size - self.used


@dataclass(frozen=True)
class Layout:
    """The memories of a machine with a program in them; printed as a table.

    Attributes:
        title: names the program and its target.
    """

    title: str
    banks: tuple[Bank, ...]

    @classmethod
    def read(cls, image: Image, memory: MemoryMap, title: str) -> Layout:
        """The layout of a linked executable."""
        sections = [
            Part(_NAMES.get(name, name), name, Region(address, size))
            for name, (address, size) in image.sections.items()
        ]
        flash = [Part("vectors", "", Region(memory.flash.base, memory.reserved))]
        flash += [
            Part(f"initial values of {name}", name, Region(load, size))
            for name, (load, size) in image.load_addresses.items()
        ]
        regions = {"RAM": memory.ram, "large RAM": memory.large, "flash": memory.flash}
        given = {name: region for name, region in regions.items() if region is not None}
        parts: dict[str, list[Part]] = {name: [] for name in given} | {"flash": flash}
        for part in sections:
            # An image that is too large ends behind its region: it lies in the one before it.
            below = {n: r.base for n, r in given.items() if r.base <= part.region.base}
            parts[max(below, key=lambda name: below[name])].append(part)
        banks = (
            Bank(name, region, tuple(sorted(parts[name], key=lambda p: p.region.base)))
            for name, region in given.items()
        )
        return cls(title, tuple(bank for bank in banks if bank.parts))

    def bank(self, name: str) -> Bank:
        """The memory called "RAM", "large RAM" or "flash".

        Raises:
            KeyError: nothing lies there.
        """
        return {bank.name: bank for bank in self.banks}[name]

    def table(self) -> Table:
        """Sections by memory and address."""
        from ..report import Table

        return Table(self.title, ("memory", "section", "address", "bytes"), tuple(self._rows()))

    def _rows(self) -> Iterator[tuple[str | int, ...]]:
        for bank in self.banks:
            yield bank.name, "", f"{bank.region.base:#010x}", bank.region.size
            for part in bank.parts:
                yield f"  {part.name}", part.section, f"{part.region.base:#010x}", part.region.size
            if bank.padding:
                yield "  alignment", "", "", bank.padding
            yield "  free", "", f"{bank.region.base + bank.used:#010x}", bank.free

    def __str__(self) -> str:
        with io.StringIO() as text:
            Console(file=text, width=120, color_system=None).print(self)
            return text.getvalue()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from ..report import rich_table

        yield rich_table(self.table())
