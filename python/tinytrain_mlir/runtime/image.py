"""A linked ELF file: segments, symbols, section sizes."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..errors import EXTRA_HINT, EmulatorError, LinkError, MissingToolError

try:
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection
except ImportError as error:  # pragma: no cover
    raise MissingToolError(f"reading ELF files needs pyelftools: {EXTRA_HINT}") from error


@dataclass(frozen=True)
class Segment:
    """What the loader writes: `data` at `address`, then zeros up to `size` bytes."""

    address: int
    data: bytes
    size: int


@dataclass(frozen=True)
class Symbol:
    """A named address; the Thumb bit of functions is kept in `value`."""

    name: str
    value: int
    size: int
    is_function: bool

    @property
    def address(self) -> int:
        """`value` without the Thumb bit."""
        return self.value & ~1 if self.is_function else self.value


@dataclass(frozen=True)
class Image:
    """An executable as the emulators load it.

    Attributes:
        machine: the ELF machine, "EM_ARM" or "EM_AARCH64".
        symbols: defined symbols by name, without the mapping symbols of Arm ELF.
        mapping: sorted (address, kind) of the mapping symbols, kind in "t", "a", "x", "d".
        sections: address and size of each allocated section.
        load_addresses: where the contents of a section are kept until start-up code copies
            them, and their size, for each section that has such a place.
    """

    path: Path
    machine: str
    segments: tuple[Segment, ...]
    symbols: Mapping[str, Symbol]
    mapping: tuple[tuple[int, str], ...]
    sections: Mapping[str, tuple[int, int]]
    load_addresses: Mapping[str, tuple[int, int]]

    @classmethod
    def read(cls, path: Path) -> Image:
        """Read an executable.

        Raises:
            EmulatorError: the file is absent, no ELF, or not linked.
        """
        try:
            with path.open("rb") as stream:
                elf = ELFFile(stream)
                if elf.header["e_type"] != "ET_EXEC":
                    raise EmulatorError(f"{path}: not a linked executable")
                segments = tuple(
                    Segment(s["p_vaddr"], s.data(), s["p_memsz"])
                    for s in elf.iter_segments("PT_LOAD")
                    if s["p_memsz"]
                )
                symbols, mapping = _symbols(elf)
                sections = {
                    s.name: (s["sh_addr"], s["sh_size"])
                    for s in elf.iter_sections()
                    if s["sh_flags"] & 2 and s["sh_size"]
                }
                copied = {
                    s.name: (segment["p_paddr"] + s["sh_addr"] - segment["p_vaddr"], s["sh_size"])
                    for segment in elf.iter_segments("PT_LOAD")
                    if segment["p_paddr"] != segment["p_vaddr"]
                    for s in elf.iter_sections()
                    if s["sh_type"] != "SHT_NOBITS" and segment.section_in_segment(s)
                }
                machine = str(elf.header["e_machine"])
        except OSError as error:
            raise EmulatorError(f"cannot read {path}: {error.strerror}") from error
        except ELFError as error:
            raise EmulatorError(f"{path}: not an ELF file: {error}") from error
        return cls(path, machine, segments, symbols, mapping, sections, copied)

    def address(self, name: str) -> int:
        """The value of a symbol, with the Thumb bit for a Thumb function.

        Raises:
            EmulatorError: no such symbol.
        """
        try:
            return self.symbols[name].value
        except KeyError:
            raise EmulatorError(f"{self.path}: no symbol '{name}'") from None

    def section_bytes(self, name: str) -> bytes:
        """The initial contents of a section; empty if it is absent or not loaded."""
        base, size = self.sections.get(name, (0, 0))
        for segment in self.segments:
            if segment.address <= base and base + size <= segment.address + len(segment.data):
                start = base - segment.address
                return segment.data[start : start + size]
        return b""

    @cached_property
    def _functions(self) -> tuple[list[int], list[Symbol]]:
        functions = sorted(
            (s for s in self.symbols.values() if s.is_function), key=lambda s: s.address
        )
        return [s.address for s in functions], functions

    def describe(self, address: int) -> str:
        """`address` as "0x1234 (function+0x10)" where a function holds it."""
        addresses, functions = self._functions
        index = bisect.bisect_right(addresses, address & ~1) - 1
        if index >= 0:
            symbol = functions[index]
            offset = (address & ~1) - symbol.address
            if offset < max(symbol.size, 1):
                return f"{address:#010x} ({symbol.name}+{offset:#x})"
        return f"{address:#010x}"

    def name(self, address: int) -> str:
        """The function at `address`, or the address where there is none."""
        return self.function_at(address & ~1) or f"{address:#010x}"

    def function_at(self, address: int) -> str | None:
        """The name of the function that holds `address`, or None."""
        addresses, functions = self._functions
        index = bisect.bisect_right(addresses, address) - 1
        if index < 0 or address - functions[index].address >= max(functions[index].size, 1):
            return None
        return functions[index].name


def global_symbols(path: Path) -> tuple[str, ...]:
    """The names that a relocatable object defines for others.

    Raises:
        LinkError: it is no ELF file.
    """
    try:
        with path.open("rb") as file:
            table = ELFFile(file).get_section_by_name(".symtab")
            entries = table.iter_symbols() if isinstance(table, SymbolTableSection) else ()
            return tuple(
                str(entry.name)
                for entry in entries
                if entry["st_info"]["bind"] in ("STB_GLOBAL", "STB_WEAK")
                and entry["st_shndx"] != "SHN_UNDEF"
            )
    except ELFError as error:
        raise LinkError(f"{path}: expected an ELF object: {error}") from error


def _symbols(elf: ELFFile) -> tuple[dict[str, Symbol], tuple[tuple[int, str], ...]]:
    symbols: dict[str, Symbol] = {}
    mapping: list[tuple[int, str]] = []
    table = elf.get_section_by_name(".symtab")
    for entry in table.iter_symbols() if isinstance(table, SymbolTableSection) else ():
        name, kind = str(entry.name), entry["st_info"]["type"]
        if not name or entry["st_shndx"] == "SHN_UNDEF" or kind in ("STT_SECTION", "STT_FILE"):
            continue
        if name[0] == "$" and name[1:2] in ("t", "a", "x", "d"):
            mapping.append((entry["st_value"], name[1]))
            continue
        symbol = Symbol(name, entry["st_value"], entry["st_size"], kind == "STT_FUNC")
        if name not in symbols or entry["st_info"]["bind"] == "STB_GLOBAL":
            symbols[name] = symbol
    return symbols, tuple(sorted(mapping))
