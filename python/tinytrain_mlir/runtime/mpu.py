"""The memory protection unit of the Cortex-M boards: what is no memory of the machine faults.

The boards have more RAM than a product, and their flash can be written. The unit has no
background region here, so that nothing but the regions given is memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .memory_map import MemoryMap, Region

TYPE = 0xE000_ED90
"""Its read-only register with the number of regions in bits 8 to 15."""

_CTRL, _RNR, _RBAR, _RASR = 0xE000_ED94, 0xE000_ED98, 0xE000_ED9C, 0xE000_EDA0
_RLAR, _MAIR0 = 0xE000_EDA0, 0xE000_EDC0
_ENABLE = 1
_V8 = ("cortex-m33", "cortex-m55")
_SUBREGIONS = 8
_SMALLEST_SUBREGION = 1024


@dataclass(frozen=True)
class _Access:
    """Bits of a region's registers: Armv7-M's RASR; Armv8-M's RBAR and attribute index."""

    rasr: int
    rbar: int
    index: int


_NEVER = 1 << 28
_CODE = _Access(6 << 24 | 1 << 17, 3 << 1, 0)
_DATA = _Access(_NEVER | 3 << 24 | 1 << 17, 1 << 1 | 1, 0)
_DEVICE = _Access(_NEVER | 3 << 24 | 1 << 16, 1 << 1 | 1, 1)
_ATTRIBUTES = 0x0044  # index 0: normal memory, 1: a device


def protect(memory: MemoryMap, device: Region) -> list[tuple[int, int]]:
    """Stores (address, value) that switch the unit on.

    Args:
        device: the registers that the trampoline reads.
    """
    given = [(memory.flash, _CODE), (memory.ram, _DATA), (memory.large, _DATA), (device, _DEVICE)]
    regions = [(region, access) for region, access in given if region is not None]
    stores = [(_CTRL, 0)]
    if memory.target in _V8:
        stores.append((_MAIR0, _ATTRIBUTES))
        for number, (region, access) in enumerate(regions):
            limit = (region.end - 1) & ~31
            stores += [
                (_RNR, number),
                (_RBAR, region.base | access.rbar),
                (_RLAR, limit | access.index << 1 | _ENABLE),
            ]
    else:
        pieces = [(piece, access) for region, access in regions for piece in _pieces(region)]
        for number, ((base, size, disabled), access) in enumerate(pieces):
            log2 = size.bit_length() - 1
            stores += [
                (_RNR, number),
                (_RBAR, base),
                (_RASR, access.rasr | disabled << 8 | (log2 - 1) << 1 | _ENABLE),
            ]
    return [*stores, (_CTRL, _ENABLE)]


def regions_of(stores: list[tuple[int, int]]) -> int:
    """How many regions the stores of `protect` set."""
    return sum(address == _RNR for address, _ in stores)


def _pieces(region: Region) -> Iterator[tuple[int, int, int]]:
    """Armv7-M regions (base, size, disabled eighths) that make up a region."""
    start = region.base
    while start < region.end:
        best = (0, 0, 0)
        size = _SMALLEST_SUBREGION
        while size <= region.size and start % size == 0:
            first = start // size % _SUBREGIONS
            count = min((region.end - start) // size, _SUBREGIONS - first)
            best = max(best, (count * size, size, first))
            size *= 2
        length, size, first = best
        enabled = ((1 << length // size) - 1) << first
        yield start - first * size, _SUBREGIONS * size, ~enabled & 0xFF
        start += length
