"""Instruction counts through a native hook.

A Python hook costs about a microsecond a call, far too much for 100 M instructions. The
hook here is a C function of type `uc_cb_hookcode_t` which unicorn calls once a translated
block. It finds the number of instructions of a block as the difference of two entries of a
prefix sum over the program's half words, so nothing is decoded at run time:

    struct TinyTrainProfile { uint64_t total, base, slots; uint64_t *counts; uint32_t *prefix; };
    void hook(void *uc, uint64_t address, uint32_t size, struct TinyTrainProfile *user);

`counts[i]` is the number of instructions executed in blocks that start at `base + 2 * i`.
"""

from __future__ import annotations

import ctypes
from bisect import bisect_right

from .image import Image


class _Profile(ctypes.Structure):
    _fields_ = (
        ("total", ctypes.c_uint64),
        ("base", ctypes.c_uint64),
        ("slots", ctypes.c_uint64),
        ("counts", ctypes.c_void_p),
        ("prefix", ctypes.c_void_p),
    )


class InstructionCounter:
    """The memory that the native hook works on."""

    def __init__(self, image: Image) -> None:
        base, size = image.sections[".text"]
        prefix = instruction_prefix(image)
        self._image = image
        self._base = base
        self._counts = (ctypes.c_uint64 * max(size // 2, 1))()
        self._prefix = (ctypes.c_uint32 * len(prefix))(*prefix)
        self._profile = _Profile(
            0,
            base,
            size // 2,
            ctypes.addressof(self._counts),
            ctypes.addressof(self._prefix),
        )

    @property
    def user_data(self) -> int:
        """The address to pass to unicorn as the hook's `user` argument."""
        return ctypes.addressof(self._profile)

    @property
    def total(self) -> int:
        """Instructions executed since the last `clear`."""
        return int(self._profile.total)

    def clear(self) -> None:
        """Set every count to zero."""
        self._profile.total = 0
        ctypes.memset(self._counts, 0, ctypes.sizeof(self._counts))

    def by_function(self) -> dict[str, int]:
        """Instructions executed by each function, most first."""
        result: dict[str, int] = {}
        for slot, count in enumerate(self._counts):
            if count:
                name = self._image.function_at(self._base + 2 * slot) or "?"
                result[name] = result.get(name, 0) + count
        return dict(sorted(result.items(), key=lambda item: -item[1]))


def instruction_prefix(image: Image) -> list[int]:
    """For each half word of .text, how many instructions begin before it.

    Data inside .text (literal pools) begins no instruction; Arm ELF marks it by "$d".
    """
    base, size = image.sections[".text"]
    slots = size // 2
    if image.machine == "EM_AARCH64":
        return [(slot + 1) // 2 for slot in range(slots + 1)]
    text = image.section_bytes(".text")
    addresses = [address for address, _ in image.mapping]
    result = [0] * (slots + 1)
    slot = count = 0
    while slot < slots:
        index = bisect_right(addresses, base + 2 * slot) - 1
        end = slots
        if index + 1 < len(addresses):
            end = min(slots, (addresses[index + 1] - base) // 2)
        is_code = index < 0 or image.mapping[index][1] != "d"
        end = max(end, slot + 1)
        while slot < end:
            result[slot] = count
            wide = is_code and text[2 * slot + 1] >= 0xE8
            count += is_code
            slot += 1
            if wide and slot < end:
                result[slot] = count
                slot += 1
    result[slots] = count
    return result
