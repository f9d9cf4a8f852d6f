"""The QEMU machines and the few instructions that run there beside the program.

QEMU's stub cannot write device registers, so a trampoline in the reserved bytes of flash
stores them; a second one calls a function between two reads of a timer:

    reserved + 0      vectors (all lead to `fault`)
    reserved + 0x200  setup, call, fault

Virtual time: `-icount shift=7` makes every instruction take 128 ns, more than two ticks of
any timer used here (at most 50 ns). A difference of two readings is at most one tick off, so
it rounds to the exact number of instructions. The timer has 32 bits; a second, coarse one,
read by the stub before and after, tells how often the first went round.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from . import mpu
from .memory_map import KB, MemoryMap, Region

ICOUNT_SHIFT = 7
INSTRUCTION_NS = 1 << ICOUNT_SHIFT

_CPACR, _VTOR, _CCR = 0xE000_ED88, 0xE000_ED08, 0xE000_ED14
_CFSR, _HFSR, _FPCCR = 0xE000_ED28, 0xE000_ED2C, 0xE000_EF34
_RETURN_TO_THREAD, _THUMB = 0xFFFF_FFF9, 1 << 24
_CCR_UNALIGN_TRAP, _CCR_DIV_0_TRAP, _CCR_STACK_ALIGN = 1 << 3, 1 << 4, 1 << 9


@dataclass(frozen=True)
class Timer:
    """A free-running 32-bit counter.

    Attributes:
        start: stores (address, value) that start it, and the coarse one.
        value: where it is read.
        tick_ns: its clock.
        coarse: where a coarser counter of the same direction is read, 32 bits.
        coarse_ticks: ticks of this counter in one of the coarse one's.
    """

    start: tuple[tuple[int, int], ...]
    value: int
    tick_ns: float
    counts_down: bool
    coarse: int
    coarse_ticks: int

    def elapsed(self, fine: tuple[int, int], coarse: tuple[int, int]) -> int:
        """Ticks between two readings of both counters.

        The coarse readings may lie a little outside the fine ones.
        """
        sign = -1 if self.counts_down else 1
        exact = sign * (fine[1] - fine[0]) % 2**32
        about = sign * (coarse[1] - coarse[0]) % 2**32 * self.coarse_ticks
        return exact + round((about - exact) / 2**32) * 2**32

    @property
    def registers(self) -> Region:
        """The page of both counters."""
        return Region(self.value // (16 * KB) * 16 * KB, 16 * KB)


def _cmsdk_timers(base: int, tick_ns: float) -> Timer:
    """The APB timer of the MPS2 boards, and their dual timer with its prescaler at 256."""
    dual = base + 0x2000
    return Timer(
        start=(
            *((base + 8, 0xFFFF_FFFF), (base + 4, 0xFFFF_FFFF), (base, 1)),
            *((dual, 0xFFFF_FFFF), (dual + 8, 0x8A)),
        ),
        value=base + 4,
        tick_ns=tick_ns,
        counts_down=True,
        coarse=dual + 4,
        coarse_ticks=256,
    )


@dataclass(frozen=True)
class Board:
    """How QEMU is started for a target."""

    program: str
    arguments: tuple[str, ...]
    timer: Timer | None


_SSE_COUNTER = 0x5810_0000
BOARDS: dict[str, Board] = {
    # Armv6-M is a subset of the Cortex-M3 here, with the M0+'s unaligned accesses trapped;
    # QEMU's only Cortex-M0 board has no more than 16 KB of RAM.
    "cortex-m0plus": Board(
        "qemu-system-arm", ("-M", "mps2-an385"), _cmsdk_timers(0x4000_0000, 40.0)
    ),
    "cortex-m4": Board("qemu-system-arm", ("-M", "mps2-an386"), _cmsdk_timers(0x4000_0000, 40.0)),
    "cortex-m7": Board("qemu-system-arm", ("-M", "mps2-an500"), _cmsdk_timers(0x4000_0000, 40.0)),
    "cortex-m33": Board("qemu-system-arm", ("-M", "mps2-an505"), _cmsdk_timers(0x5000_0000, 50.0)),
    "cortex-m55": Board(
        "qemu-system-arm",
        ("-M", "mps3-an547"),
        Timer(
            start=((_SSE_COUNTER, 1),),
            value=_SSE_COUNTER + 8,
            tick_ns=31.25,
            counts_down=False,
            coarse=_SSE_COUNTER + 12,
            coarse_ticks=2**32,
        ),
    ),
    "cortex-a72": Board(
        "qemu-system-aarch64",
        ("-M", "virt", "-m", "512M", "-cpu", "cortex-a72,cntfrq=1000000000"),
        None,
    ),
    "cortex-a76": Board(
        "qemu-system-aarch64",
        ("-M", "virt", "-m", "512M", "-cpu", "cortex-a76,cntfrq=1000000000"),
        None,
    ),
}


@dataclass(frozen=True)
class Trampoline:
    """Code for the reserved bytes of flash, and where to enter and stop in it.

    `setup` ends at `setup_end`; `call` calls the function in `callee` and ends at `call_end`
    with the timer's two readings in the registers `before` and `after`; exceptions end at
    `faults`. Then `recovery`, entered with the registers and the stack of `recover`, returns
    from the exception to `setup`. Register numbers are those of the debug stub.
    """

    code: bytes
    setup: int
    setup_end: int
    call: int
    call_end: int
    faults: tuple[int, ...]
    setup_registers: tuple[tuple[int, int], ...]
    call_registers: tuple[tuple[int, int], ...]
    callee: int
    before: int
    after: int
    float_arguments: tuple[int, int] | None
    sp: int
    lr: int
    pc: int
    instruction_bytes: int
    register_bytes: int
    recovery: int | None = None
    protected_regions: int = 0

    def recover(self, stack_top: int) -> tuple[dict[int, int], bytes]:
        """Registers, and the exception's frame that lies where they point."""
        r0, r1 = (value for _, value in self.setup_registers)
        frame = struct.pack("<8I", r0, r1, 0, 0, 0, 0, self.setup, _THUMB)
        return {self.sp: stack_top - len(frame), self.lr: _RETURN_TO_THREAD}, frame


def cortex_m_trampoline(memory: MemoryMap, timer: Timer) -> Trampoline:
    """The trampoline of the Armv6-M, v7-M and v8-M boards."""
    base = memory.flash.base
    has_fpu = memory.target != "cortex-m0plus"
    control = _CCR_STACK_ALIGN | (0 if has_fpu else _CCR_UNALIGN_TRAP | _CCR_DIV_0_TRAP)
    protection = mpu.protect(memory, timer.registers)
    stores = [
        *((_VTOR, base), (_CCR, control), (_CPACR, 0xF << 20)),
        *((_CFSR, 0xFFFF_FFFF), (_HFSR, 0xFFFF_FFFF), (_FPCCR, 0)),
        *timer.start,
        *protection,
    ]
    setup, call, fault, table = (base + offset for offset in (0x200, 0x220, 0x240, 0x280))
    vectors = struct.pack("<16I", memory.stack_region.end, setup | 1, *[fault | 1] * 14)
    setup_code = (
        0xC80C,  # ldmia r0!, {r2, r3}
        0x6013,  # str   r3, [r2]
        0x3901,  # subs  r1, #1
        0xD1FB,  # bne   setup
        0xF3BF, 0x8F4F,  # dsb
        0xF3BF, 0x8F6F,  # isb
        0xE7FE,  # b     .
    )  # fmt: skip
    # vmov s0, r8; vmov s1, r9
    floats = (0xEE00, 0x8A10, 0xEE00, 0x9A90) if has_fpu else ()
    call_code = (
        *floats,
        0x682C,  # ldr   r4, [r5]
        0x47B0,  # blx   r6
        0x682F,  # ldr   r7, [r5]
        0xE7FE,  # b     .
    )
    code = bytearray(0x280)
    for offset, part in (
        (0, vectors),
        (0x200, struct.pack(f"<{len(setup_code)}H", *setup_code)),
        (0x220, struct.pack(f"<{len(call_code)}H", *call_code)),
        (0x240, struct.pack("<2H", 0xE7FE, 0x4770)),  # b . ; bx lr
    ):
        code[offset : offset + len(part)] = part
    code += b"".join(struct.pack("<2I", *store) for store in stores)
    assert len(code) <= memory.reserved
    return Trampoline(
        code=bytes(code),
        setup=setup,
        setup_end=setup + 2 * (len(setup_code) - 1),
        call=call,
        call_end=call + 2 * (len(call_code) - 1),
        faults=(fault,),
        setup_registers=((0, table), (1, len(stores))),
        call_registers=((5, timer.value),),
        callee=6,
        before=4,
        after=7,
        float_arguments=(8, 9) if has_fpu else None,
        sp=13,
        lr=14,
        pc=15,
        instruction_bytes=2,
        register_bytes=4,
        recovery=fault + 2,
        protected_regions=mpu.regions_of(protection),
    )


def aarch64_trampoline(memory: MemoryMap) -> Trampoline:
    """The trampoline of the `virt` board: FPU on, MMU on with RAM as normal memory.

    Without the MMU all memory is device memory, where newer QEMU (and hardware) fault on
    unaligned accesses.
    """
    base = memory.flash.base
    vectors, setup, call, fault, pages = (
        base + offset for offset in (0, 0x800, 0x880, 0x900, 0x1000)
    )
    setup_code = (
        0xD518C005,  # msr vbar_el1, x5
        0xD5181044,  # msr cpacr_el1, x4
        0xD518A201,  # msr mair_el1, x1
        0xD5182042,  # msr tcr_el1, x2
        0xD5182000,  # msr ttbr0_el1, x0
        0xD5033FDF,  # isb
        0xD5181003,  # msr sctlr_el1, x3
        0xD5033FDF,  # isb
        0x14000000,  # b .
    )
    call_code = (
        0x1E2702E0,  # fmov s0, w23
        0x1E270301,  # fmov s1, w24
        0xD53BE053,  # mrs x19, cntvct_el0
        0xD63F0280,  # blr x20
        0xD53BE055,  # mrs x21, cntvct_el0
        0x14000000,  # b .
    )
    fault_code = (
        0xD5384020,  # mrs x0, elr_el1
        0xD5385201,  # mrs x1, esr_el1
        0xD5386002,  # mrs x2, far_el1
        0x14000000,  # b .
    )
    code = bytearray(0x2000)

    def place(address: int, words: tuple[int, ...]) -> None:
        data = struct.pack(f"<{len(words)}I", *words)
        code[address - base : address - base + len(data)] = data

    for entry in range(vectors, vectors + 0x800, 0x80):
        place(entry, (0x14000000 | (fault - entry) >> 2 & 0x3FF_FFFF,))
    place(setup, setup_code)
    place(call, call_code)
    place(fault, fault_code)
    # Level-1 blocks of 1 GB: 1 GB to 4 GB are normal, inner shareable, accessed.
    entries = [(index << 30) | (1 << 10) | (3 << 8) | 1 for index in range(1, 4)]
    code[pages - base + 8 : pages - base + 32] = struct.pack("<3Q", *entries)
    tcr = 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 1 << 32
    return Trampoline(
        code=bytes(code),
        setup=setup,
        setup_end=setup + 4 * (len(setup_code) - 1),
        call=call,
        call_end=call + 4 * (len(call_code) - 1),
        faults=(fault + 4 * (len(fault_code) - 1),),
        setup_registers=(
            (0, pages),
            (1, 0xFF),
            (2, tcr),
            (3, 0x30D0_0800 | 1 << 12 | 1 << 2 | 1),
            (4, 3 << 20),
            (5, vectors),
        ),
        call_registers=(),
        callee=20,
        before=19,
        after=21,
        float_arguments=(23, 24),
        sp=31,
        lr=30,
        pc=32,
        instruction_bytes=4,
        register_bytes=8,
    )
