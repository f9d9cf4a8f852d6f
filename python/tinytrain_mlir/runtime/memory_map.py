"""Where flash and RAM of each target lie.

The addresses are those of the QEMU machine that has the target's CPU, so that one linked
ELF runs in QEMU and in unicorn. Sizes are what the machine has, which is more than most
products have: `MemoryMap.limited` gives a map with a product's own sizes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

KB = 1024
MB = 1024 * KB

Architecture = Literal["arm", "aarch64"]
DataRegion = Literal["ram", "large"]


@dataclass(frozen=True)
class Region:
    """A contiguous range of addresses: `base` and `size` in bytes."""

    base: int
    size: int

    @property
    def end(self) -> int:
        """The first address behind the region."""
        return self.base + self.size

    def __contains__(self, address: int) -> bool:
        return self.base <= address < self.end


@dataclass(frozen=True)
class MemoryMap:
    """The memory of one target.

    Attributes:
        target: the compiler's target name.
        flash: code, constants and initial values; read and execute only.
        ram: on-chip RAM; the stack lies at its bottom, so that an overflow faults.
        large: a second RAM region for networks that exceed `ram`, or None.
        reserved: bytes at the start of flash kept free for vectors and trampolines.
        stack: bytes of the stack region at the bottom of `ram`.
    """

    target: str
    architecture: Architecture
    flash: Region
    ram: Region
    large: Region | None
    reserved: int
    stack: int = 16 * KB

    @property
    def stack_region(self) -> Region:
        """The stack; it grows down towards the bottom of RAM."""
        return Region(self.ram.base, self.stack)

    @property
    def code_region(self) -> Region:
        """Flash without the reserved bytes."""
        return Region(self.flash.base + self.reserved, self.flash.size - self.reserved)

    def data_region(self, where: DataRegion) -> Region:
        """Where sections in RAM go.

        Raises:
            ValueError: the target has no large region.
        """
        if where == "ram":
            return Region(self.stack_region.end, self.ram.size - self.stack)
        if self.large is None:
            raise ValueError(f"{self.target} has no large RAM region")
        return self.large

    def limited(
        self,
        *,
        flash: int | None = None,
        ram: int | None = None,
        stack: int | None = None,
    ) -> MemoryMap:
        """This map with a product's sizes (bytes, multiples of 4 KB) and no large region.

        Raises:
            ValueError: a size exceeds the machine's or is no multiple of 4 KB.
        """
        result = self
        if flash is not None:
            result = replace(result, flash=_shrink(self.target, "flash", self.flash, flash))
        if ram is not None:
            region = _shrink(self.target, "RAM", self.ram, ram)
            result = replace(result, ram=region, large=None)
        if stack is not None:
            if stack % 16 or not 0 < stack < result.ram.size:
                raise ValueError(f"stack: {stack} bytes do not suit {result.ram.size} bytes of RAM")
            result = replace(result, stack=stack)
        return result


def _shrink(target: str, what: str, region: Region, size: int) -> Region:
    if size % (4 * KB) or not 0 < size <= region.size:
        raise ValueError(
            f"{what} of {size} bytes: {target} takes multiples of 4096 up to {region.size} bytes"
        )
    return Region(region.base, size)


def _cortex_m(target: str, flash: Region, ram: Region, large: Region) -> MemoryMap:
    return MemoryMap(target, "arm", flash, ram, large, reserved=KB)


def _mps2(target: str, psram: int) -> MemoryMap:
    ssram1, ssram23 = Region(0, 4 * MB), Region(0x2000_0000, 4 * MB)
    return _cortex_m(target, ssram1, ssram23, Region(psram, 16 * MB))


def _virt(target: str) -> MemoryMap:
    return MemoryMap(
        target,
        "aarch64",
        flash=Region(0x4020_0000, 62 * MB),
        ram=Region(0x4400_0000, 64 * MB),
        large=Region(0x4800_0000, 256 * MB),
        reserved=16 * KB,
        stack=64 * KB,
    )


MEMORY_MAPS: dict[str, MemoryMap] = {
    entry.target: entry
    for entry in (
        _mps2("cortex-m0plus", 0x2100_0000),
        _mps2("cortex-m4", 0x2100_0000),
        _mps2("cortex-m7", 0x6000_0000),
        # The Armv8-M machines start in Secure state: secure aliases of every region.
        _cortex_m(
            "cortex-m33",
            Region(0x1000_0000, 4 * MB),
            Region(0x3800_0000, 4 * MB),
            Region(0x8000_0000, 16 * MB),
        ),
        _cortex_m(
            "cortex-m55",
            Region(0x1100_0000, 2 * MB),
            Region(0x3100_0000, 4 * MB),
            Region(0x7000_0000, 64 * MB),
        ),
        _virt("cortex-a72"),
        _virt("cortex-a76"),
    )
}


def memory_map(target: str) -> MemoryMap:
    """The map of `target`.

    Raises:
        ValueError: the target cannot be emulated.
    """
    try:
        return MEMORY_MAPS[target]
    except KeyError:
        known = ", ".join(sorted(MEMORY_MAPS))
        raise ValueError(f"no memory map for target '{target}'; emulated are: {known}") from None
