"""Programs on a microcontroller with no more memory than it is given: `Program.load(ram=)`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from elftools.elf.elffile import ELFFile

from tinytrain_mlir.cli import main
from tinytrain_mlir.errors import ConfigError, EmulatorError, LinkError
from tinytrain_mlir.runtime import mpu
from tinytrain_mlir.runtime.freestanding import memory_functions
from tinytrain_mlir.runtime.launch import open_machine
from tinytrain_mlir.runtime.layout import Layout
from tinytrain_mlir.runtime.link import link
from tinytrain_mlir.runtime.machine import Machine
from tinytrain_mlir.runtime.memory_map import GUARD, KB, MB, MemoryMap, Region, memory_map

if TYPE_CHECKING:
    from tinytrain_mlir.graph import Graph
    from tinytrain_mlir.program import Program
    from tinytrain_mlir.session import Session

qemu = pytest.mark.requires_qemu
emulators = pytest.mark.parametrize("emulator", ["unicorn", pytest.param("qemu", marks=qemu)])
everywhere = pytest.mark.parametrize(
    ("target", "emulator"),
    [
        *((t, "unicorn") for t in ("cortex-m4", "cortex-m7", "cortex-m33")),
        *(
            pytest.param(t, "qemu", marks=qemu)
            for t in ("cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55")
        ),
    ],
)
Programs = Callable[[str], "Program"]
SMALL: dict[str, Any] = {"ram": "12KB", "flash": "24KB"}


@pytest.fixture(scope="module")
def data() -> list[tuple[Any, Any]]:
    rng = np.random.default_rng(3)
    return [
        (rng.standard_normal((2, 1, 8, 8), dtype=np.float32), rng.integers(0, 3, 2))
        for _ in range(3)
    ]


def train(session: Session, data: list[tuple[Any, Any]]) -> list[Any]:
    """What a session computes, counts and uses, to the last bit."""
    result: list[Any] = []
    for x, y in data:
        result.append((session.step(x, y), session.instructions, session.stack_bytes))
    result.append((session.infer(data[0][0]).tobytes(), session.instructions))
    return [*result, {name: p.tobytes() for name, p in session.parameters().items()}]


# What fits


@everywhere
def test_training_is_that_of_the_unlimited_machine(
    programs: Programs, data: list[tuple[Any, Any]], target: str, emulator: Any
) -> None:
    with programs(target).load(emulator) as session:
        expected = train(session, data)
    with programs(target).load(emulator, **SMALL) as session:
        assert train(session, data) == expected
        state = session._device.state(programs(target).memory.param_bytes)
        assert session.save()[12:] == state
        session.reset()
        assert train(session, data) == expected


@emulators
def test_the_stack_may_be_used_to_its_last_byte(
    programs: Programs, data: list[tuple[Any, Any]], emulator: Any
) -> None:
    with programs("cortex-m7").load(emulator) as session:
        expected = session.step(*data[0])
        used = session.stack_bytes
    assert used is not None
    fitting = (used + 15) // 16 * 16
    with programs("cortex-m7").load(emulator, stack=fitting, **SMALL) as session:
        assert session.step(*data[0]) == expected
        assert session.stack_bytes == used
    words = rf"model_step: it wrote the guard.*at least {used} bytes of stack, not {fitting - 16}"
    with programs("cortex-m7").load(emulator, stack=fitting - 16, **SMALL) as session:
        for _ in range(2):
            with pytest.raises(EmulatorError, match=words):
                session.step(*data[0])
            session.reset()


def test_a_checkpoint_needs_ram_for_its_buffer(
    programs: Programs, data: list[tuple[Any, Any]]
) -> None:
    program = programs("cortex-m7")
    with program.load(**SMALL) as session:
        layout = session.layout
    assert layout is not None
    tight = layout.bank("RAM").used // (4 * KB) * 4 * KB  # a little less than it needs
    spare = tight + 4 * KB - layout.bank("RAM").used
    stack = 2 * KB + spare // 16 * 16
    with program.load(ram=tight + 4 * KB, stack=stack) as session:
        session.step(*data[0])
        assert session.parameters()
        with pytest.raises(EmulatorError, match=r"model_save needs \d+ bytes .* give more ram="):
            session.save()


# The layout


def sections_of(path: Path) -> dict[str, tuple[int, int]]:
    with path.open("rb") as stream:
        return {s.name: (s["sh_addr"], s["sh_size"]) for s in ELFFile(stream).iter_sections()}


def linked(program: Program, memory: MemoryMap, folder: Path, io_bytes: int = 0) -> Any:
    (folder / "p.o").write_bytes(program.compiled.object)
    (folder / "m.o").write_bytes(memory_functions(program.target.name))
    return link(
        [folder / "p.o"],
        folder / "p.elf",
        memory,
        fallbacks=[folder / "m.o"],
        io_bytes=io_bytes,
    )


def test_the_layout_is_that_of_the_elf(programs: Programs, tmp_path: Path) -> None:
    program, memory = programs("cortex-m7"), memory_map("cortex-m7").limited(ram=12 * KB)
    image = linked(program, memory, tmp_path, io_bytes=544)
    sections = sections_of(tmp_path / "p.elf")
    layout = Layout.read(image, memory, "title")
    parts = {p.section: p.region for bank in layout.banks for p in bank.parts if p.section}
    assert all((r.base, r.size) == sections[name] for name, r in parts.items())
    sizes = {p.name: p.region.size for p in layout.bank("RAM").parts}
    assert sizes == {
        "stack guard": GUARD,
        "stack": 2 * KB,
        "trained parameters": program.memory.param_bytes,
        "arena": program.memory.arena_bytes,
        "input and output": 544,
    }
    ram = layout.bank("RAM")
    assert ram.used == sum(sizes.values()) + ram.padding and ram.used + ram.free == 12 * KB
    text = str(layout)
    assert "title" in text and "input and output" in text and f"{ram.free:,}" in text


def test_the_buffers_of_step_are_small(programs: Programs) -> None:
    """An image of 2x8x8 f32, two labels, the loss; 16-byte alignment."""
    with programs("cortex-m7").load(**SMALL) as session:
        assert session.layout is not None
        parts = {p.name: p.region.size for p in session.layout.bank("RAM").parts}
        assert parts["input and output"] == 2 * 8 * 8 * 4 + 16 + 16
    assert programs("host").load().layout is None


def test_initial_values_take_flash_too(tmp_path: Path) -> None:
    from tinytrain_mlir import ir
    from tinytrain_mlir.llvm_module import emit
    from tinytrain_mlir.target import lookup_target

    text = """
    llvm.mlir.global external @weight(dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>)
        {section = ".data.weight"} : !llvm.array<4 x f32>
    llvm.mlir.global external @large() {section = ".bss.large"} : !llvm.array<20000 x i8> {
      %0 = llvm.mlir.zero : !llvm.array<20000 x i8>
      llvm.return %0 : !llvm.array<20000 x i8>
    }
    llvm.func @nothing() { llvm.return }"""
    with ir.Context():
        module = ir.Module.parse(text)
        (tmp_path / "p.o").write_bytes(emit(module, lookup_target("cortex-m7")))
    memory = memory_map("cortex-m7").limited(ram=32 * KB, flash=4 * KB)
    image = link([tmp_path / "p.o"], tmp_path / "p.elf", memory, io_bytes=64)
    layout = Layout.read(image, memory, "")
    flash = {p.name: p.region for p in layout.bank("flash").parts}
    assert flash["initial values of .data"].size == 16
    assert all(region.base in memory.flash for region in flash.values())
    assert layout.bank("RAM").used > 20000


def test_the_command_line(graph: Graph, tmp_path: Path) -> None:
    graph.save(tmp_path / "net.mlir")
    options = ["run", str(tmp_path / "net.mlir"), "--target", "cortex-m7", "--steps", "2"]
    free = CliRunner().invoke(main, options)
    sizes = ["--device-ram", "12KB", "--device-flash", "24KB", "--device-stack", "1KB"]
    limited = CliRunner().invoke(main, [*options, *sizes])
    assert free.exit_code == limited.exit_code == 0, limited.output
    assert limited.output.splitlines()[-3:] == free.output.splitlines()[-3:]
    for words in (r"RAM +0x20000000 +12,288 ", r"stack +\.tinytrain\.stack +0x20000100 +1,024 "):
        assert re.search(words, limited.output) and not re.search(words, free.output)
    too_small = CliRunner().invoke(main, [*options, "--device-ram", "4KB"])
    assert too_small.exit_code == 1 and "error: RAM of 4096 bytes is" in too_small.output


# What does not fit


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"ram": "8KB"}, r"^RAM of 8192 bytes is \d+ bytes too small for arena .*more ram=$"),
        ({"flash": "8KB"}, r"^flash of 8192 bytes is \d+ bytes too small for code .*more flash=$"),
        ({"ram": "4KB", "flash": "4KB"}, r"^RAM of 4096 .*; flash of 4096 [^\n]*$"),
    ],
)
def test_too_little_memory(programs: Programs, sizes: dict[str, str], words: str) -> None:
    with pytest.raises(LinkError, match=words):
        programs("cortex-m7").load(**sizes)  # type: ignore[arg-type]


def test_the_shortage_is_exact(programs: Programs) -> None:
    """With as many bytes less of stack as are said to lack, the program fits."""
    program = programs("cortex-m7")
    with program.load(**SMALL) as session:
        assert session.layout is not None
        free = session.layout.bank("RAM").free
    over = 2 * KB + free // 16 * 16 + 32
    with pytest.raises(LinkError, match=rf"is {over - 2 * KB - free} bytes too small"):
        program.load(stack=over, **SMALL)
    with program.load(stack=over - 32, **SMALL) as session:
        assert session.layout is not None and session.layout.bank("RAM").free < 16


@pytest.mark.parametrize(
    ("target", "sizes", "words"),
    [
        ("host", {"ram": "256KB"}, "ram=: only a microcontroller's memory is limited"),
        ("cortex-a72", {"flash": "1MB", "stack": "4KB"}, "flash=, stack=: only"),
        ("cortex-m7", {"ram": "1000"}, "expected a multiple of 4096 bytes, at most 4194304"),
        ("cortex-m7", {"ram": "8MB"}, "RAM: expected a multiple of 4096 bytes"),
        ("cortex-m7", {"ram": 0}, "RAM: expected"),
        ("cortex-m7", {"ram": "4KB", "stack": "4KB"}, "stack: expected a multiple of 16 bytes"),
        ("cortex-m7", {"ram": "many"}, "expected a size such as"),
    ],
)
def test_wrong_sizes(programs: Programs, target: str, sizes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        programs(target).load(**sizes)


# What goes beyond


@pytest.fixture
def machine_of(programs: Programs, tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    """Opens a machine with `tiny_net` in a limited memory; it is closed after the test."""
    machines: list[Machine] = []

    def get(target: str, emulator: Any, **changes: int) -> Machine:
        memory = memory_map(target).limited(ram=12 * KB, flash=24 * KB)
        memory = replace(memory, **changes)  # type: ignore[arg-type]
        image = linked(programs(target), memory, tmp_path)
        machines.append(open_machine(image, memory, emulator=emulator))
        machines[-1].call(image.address("model_init"))
        return machines[-1]

    yield get
    for machine in machines:
        machine.close()


@everywhere
def test_an_access_beyond_faults(
    machine_of: Callable[..., Machine], target: str, emulator: Any
) -> None:
    machine, memory = machine_of(target, emulator), memory_map(target).limited(ram=12 * KB)
    infer, free = machine.image.address("model_infer"), memory.ram.end - 1024
    end, x_bytes = memory.ram.end, 2 * 8 * 8 * 4
    machine.write(free, bytes(x_bytes))
    flash_end = memory.flash.base + 24 * KB
    for x, y, words in (
        (end - x_bytes + 4, free, "just past the end of RAM"),
        (free, end - 4, "just past the end of RAM"),
        (free, end + 4096, "4096 bytes past the end of RAM"),
        (free, flash_end - 64, "in flash"),
        (flash_end - 4, free, r"(?:just|\d+ bytes) past the end of flash"),
        (memory.ram.base - 4, free, "4 bytes below RAM"),
    ):
        with pytest.raises(EmulatorError, match=rf"{words}, by .*\+0x.* call of model_infer"):
            machine.call(infer, x, y)
    machine.call(infer, end - x_bytes, free)
    machine.call(infer, free, end - 2 * 3 * 4)
    with pytest.raises(EmulatorError, match="in the call of 0x"):
        machine.call(memory.data_region("ram").base | 1)
    for address, size in ((end, 1), (end - 4, 8), (memory.ram.base - 1, 1), (flash_end, 4)):
        with pytest.raises(EmulatorError, match="no memory"):
            machine.read(address, size)
    machine.call(infer, free, free)


@everywhere
def test_a_stack_that_leaves_ram(
    machine_of: Callable[..., Machine], target: str, emulator: Any
) -> None:
    """Past stack and guard, at the bottom of RAM, there is no memory."""
    machine = machine_of(target, emulator, stack=16, guard=16)
    memory = memory_map(target)
    for _ in range(2):
        with pytest.raises(EmulatorError, match=r"stack overflow.*in the call of model_step"):
            machine.call(machine.image.address("model_step"), *(memory.ram.base + 8 * KB,) * 3)
    assert machine.call(machine.image.address("model_init")).stack_bytes <= 16


@emulators
def test_a_changed_guard_is_found_wherever_it_is(
    machine_of: Callable[..., Machine], emulator: Any
) -> None:
    """A stray write there is found too, even if it is no overflow."""
    machine = machine_of("cortex-m7", emulator)
    guard = memory_map("cortex-m7").guard_region
    infer, free = machine.image.address("model_infer"), guard.base + 10 * KB
    for address in (guard.base, guard.end - 2 * 3 * 4):
        with pytest.raises(EmulatorError, match=f"wrote the guard .* at {address:#010x}"):
            machine.call(infer, free, address)
        machine.call(infer, free, free)


# The memory protection unit


@pytest.mark.parametrize("size", [4, 8, 12, 20, 60, 64, 192, 256, 316, 320, 512, 1000, 1024, 4096])
def test_regions_cover_exactly(size: int) -> None:
    """Armv7-M's regions are powers of two, of which eighths can be switched off."""
    region = Region(0x2000_0000, size * KB)
    covered: list[tuple[int, int]] = []
    for base, length, disabled in mpu._pieces(region):
        assert base % length == 0 and length & (length - 1) == 0
        eighth = length // 8
        covered += [
            (base + i * eighth, base + (i + 1) * eighth) for i in range(8) if not disabled >> i & 1
        ]
    covered.sort()
    assert covered[0][0] == region.base and covered[-1][1] == region.end
    assert all(a[1] == b[0] for a, b in pairwise(covered))
    assert len(list(mpu._pieces(region))) <= 4


@qemu
def test_sizes_that_take_too_many_regions(programs: Programs) -> None:
    with pytest.raises(EmulatorError, match=r"has 8 protection regions, .* take 9"):
        programs("cortex-m7").load("qemu", ram=MB - 4 * KB + 2 * MB, flash=MB - 4 * KB + 2 * MB)
