"""Where flash and RAM of each target lie.

The addresses are those of the QEMU machine that has the target's CPU, so that one linked
ELF runs in QEMU and in unicorn. Sizes are what the machine has, which is more than most
products have: `MemoryMap.limited` gives a map with a product's own sizes. An access to any
other address faults in both emulators.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ..errors import ConfigError

KB = 1024
MB = 1024 * KB

Architecture = Literal["arm", "aarch64"]
DataRegion = Literal["ram", "large"]

GUARD = 256
LIMITED_STACK = 2 * KB
_NEAR = 64 * KB


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
        stack: bytes of the stack region, which lies above the guard.
        guard: bytes at the bottom of `ram` that no program may write.
    """

    target: str
    architecture: Architecture
    flash: Region
    ram: Region
    large: Region | None
    reserved: int
    stack: int = 16 * KB
    guard: int = GUARD

    @property
    def guard_region(self) -> Region:
        """What a stack that is too small runs into, before it leaves RAM."""
        return Region(self.ram.base, self.guard)

    @property
    def stack_region(self) -> Region:
        """The stack; it grows down towards the guard at the bottom of RAM."""
        return Region(self.guard_region.end, self.stack)

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
            return Region(self.stack_region.end, self.ram.end - self.stack_region.end)
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
        """This map with a product's sizes, in bytes.

        Args:
            flash: a multiple of 4 KB.
            ram: a multiple of 4 KB; there is no large region then, and the stack has 2 KB
                unless `stack` is given.
            stack: a multiple of 16.

        Raises:
            ConfigError: a size exceeds the machine's or is no such multiple.
        """
        result = self
        if flash is not None:
            result = replace(result, flash=_shrink(self.target, "flash", self.flash, flash))
        if ram is not None:
            region = _shrink(self.target, "RAM", self.ram, ram)
            result = replace(result, ram=region, large=None, stack=LIMITED_STACK)
        if stack is not None:
            room = result.ram.size - result.guard
            if stack % 16 or not 0 < stack < room:
                raise ConfigError(
                    f"stack: expected a multiple of 16 bytes below {room}, RAM without the stack's "
                    f"guard, got {stack}"
                )
            result = replace(result, stack=stack)
        return result

    def describe(self, address: int) -> str:
        """Where an address lies: "0x20040010, 16 bytes past the end of RAM"."""
        regions = {"flash": self.flash, "RAM": self.ram, "the large RAM": self.large}
        for name, region in regions.items():
            if region is None:
                continue
            if address in region:
                return f"{address:#010x}, in {name}"
            if address == region.end:
                return f"{address:#010x}, just past the end of {name}"
            if 0 <= address - region.end < _NEAR:
                return f"{address:#010x}, {address - region.end} bytes past the end of {name}"
            if 0 < region.base - address <= _NEAR:
                return f"{address:#010x}, {region.base - address} bytes below {name}"
        return f"{address:#010x}, far from flash and RAM"


def _shrink(target: str, what: str, region: Region, size: int) -> Region:
    if size % (4 * KB) or not 0 < size <= region.size:
        raise ConfigError(
            f"{what}: expected a multiple of 4096 bytes, at most {region.size} on the emulated "
            f"{target} board, got {size}"
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
