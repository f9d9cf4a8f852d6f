"""Linker and emulators on small programs in the LLVM dialect: faults, time-outs, exact counts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinytrain_mlir import ir
from tinytrain_mlir._mlir_libs import _tinytrain
from tinytrain_mlir.errors import EmulatorError, EmulatorTimeoutError, LinkError, MissingToolError
from tinytrain_mlir.llvm_module import emit
from tinytrain_mlir.runtime.freestanding import memory_functions
from tinytrain_mlir.runtime.image import Image
from tinytrain_mlir.runtime.launch import open_machine
from tinytrain_mlir.runtime.link import link
from tinytrain_mlir.runtime.machine import Machine
from tinytrain_mlir.runtime.memory_map import KB, memory_map
from tinytrain_mlir.target import lookup_target

UNICORN = ("cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-a72", "cortex-a76")
TARGETS = (*UNICORN, "cortex-m55")
qemu = pytest.mark.requires_qemu
both = pytest.mark.parametrize(
    ("target", "emulator"),
    [
        ("cortex-m7", "unicorn"),
        ("cortex-a72", "unicorn"),
        *(pytest.param(t, "qemu", marks=qemu) for t in ("cortex-m7", "cortex-m55", "cortex-a72")),
    ],
)

_PROGRAM = """
llvm.mlir.global external @weight(dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>)
    {{section = ".data.weight"}} : !llvm.array<4 x f32>
llvm.mlir.global external constant @table(dense<7> : tensor<16xi8>) : !llvm.array<16 x i8>
llvm.func @memset(!llvm.ptr, i32, {size}) -> !llvm.ptr
llvm.func @fill(%p: !llvm.ptr, %n: {size}) {{
  %c = llvm.mlir.constant(42 : i32) : i32
  %0 = llvm.call @memset(%p, %c, %n) : (!llvm.ptr, i32, {size}) -> !llvm.ptr
  llvm.return
}}
llvm.func @dot(%x: !llvm.ptr, %y: !llvm.ptr, %out: !llvm.ptr, %n: i32) {{
  %zero = llvm.mlir.constant(0.0 : f32) : f32
  %0 = llvm.mlir.constant(0 : i32) : i32
  %1 = llvm.mlir.constant(1 : i32) : i32
  llvm.br ^head(%0, %zero : i32, f32)
^head(%i: i32, %sum: f32):
  %more = llvm.icmp "slt" %i, %n : i32
  llvm.cond_br %more, ^body, ^end
^body:
  %p = llvm.getelementptr %x[%i] : (!llvm.ptr, i32) -> !llvm.ptr, f32
  %q = llvm.getelementptr %y[%i] : (!llvm.ptr, i32) -> !llvm.ptr, f32
  %a = llvm.load %p : !llvm.ptr -> f32
  %b = llvm.load %q : !llvm.ptr -> f32
  %ab = llvm.fmul %a, %b : f32
  %next = llvm.fadd %sum, %ab : f32
  %j = llvm.add %i, %1 : i32
  llvm.br ^head(%j, %next : i32, f32)
^end:
  llvm.store %sum, %out : f32, !llvm.ptr
  llvm.return
}}
llvm.func @scale(%by: f32) {{
  %p = llvm.mlir.addressof @weight : !llvm.ptr
  %a = llvm.load %p : !llvm.ptr -> f32
  %b = llvm.fmul %a, %by : f32
  llvm.store %b, %p : f32, !llvm.ptr
  llvm.return
}}
llvm.func @deep(%i: i32) {{
  %n = llvm.mlir.constant(1000 : i32) : i32
  %v = llvm.mlir.constant(1 : i8) : i8
  %p = llvm.alloca %n x i8 : (i32) -> !llvm.ptr
  %q = llvm.getelementptr %p[%i] : (!llvm.ptr, i32) -> !llvm.ptr, i8
  llvm.store volatile %v, %q : i8, !llvm.ptr
  llvm.return
}}
llvm.func @write_flash() {{
  %p = llvm.mlir.addressof @table : !llvm.ptr
  %v = llvm.mlir.constant(1 : i8) : i8
  llvm.store volatile %v, %p : i8, !llvm.ptr
  llvm.return
}}
llvm.func @wild(%p: !llvm.ptr) {{
  %v = llvm.mlir.constant(1 : i32) : i32
  llvm.store volatile %v, %p : i32, !llvm.ptr
  llvm.return
}}
llvm.func @spin(%p: !llvm.ptr) {{
  llvm.br ^loop
^loop:
  %v = llvm.load volatile %p : !llvm.ptr -> i32
  llvm.br ^loop
}}
"""

Opener = Callable[[str, Any], Machine]


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Path]]:
    """The program's object for a target, and the fallback for memset and its like."""
    cache: dict[str, tuple[Path, Path]] = {}

    def get(target: str) -> tuple[Path, Path]:
        if target not in cache:
            folder, info = tmp_path_factory.mktemp(target), lookup_target(target)
            with ir.Context():
                module = ir.Module.parse(_PROGRAM.format(size=f"i{info.index_bits}"))
                (folder / "program.o").write_bytes(emit(module, info))
            (folder / "memory.o").write_bytes(memory_functions(target))
            cache[target] = folder / "program.o", folder / "memory.o"
        return cache[target]

    return get


@pytest.fixture(scope="module")
def build(objects: Callable[[str], tuple[Path, Path]]) -> Callable[[str], Image]:
    """The linked program for a target."""
    images: dict[str, Image] = {}

    def get(target: str) -> Image:
        if target not in images:
            program, memory = objects(target)
            output = program.with_name("program.elf")
            images[target] = link([program], output, memory_map(target), fallbacks=[memory])
        return images[target]

    return get


@pytest.fixture
def start(build: Callable[[str], Image]) -> Iterator[Opener]:
    """Opens a machine with the program; it is closed after the test."""
    machines: list[Machine] = []

    def get(target: str, emulator: Any) -> Machine:
        hook = _tinytrain.instruction_hook()
        image = build(target)
        machines.append(open_machine(image, memory_map(target), emulator=emulator, block_hook=hook))
        return machines[-1]

    yield get
    for machine in machines:
        machine.close()


def scratch(target: str, offset: int = 0) -> int:
    return memory_map(target).ram.base + 0x10_0000 + offset


# Emulators


def call_dot(machine: Machine, target: str, count: int) -> tuple[bytes, int | None]:
    generator = np.random.default_rng(1)
    x, y, out = (scratch(target, i * 0x4000) for i in range(3))
    for address in (x, y):
        machine.write(address, generator.standard_normal(count, dtype=np.float32).tobytes())
    result = machine.call(machine.image.address("dot"), x, y, out, count)
    return machine.read(out, 4), result.instructions


@qemu
@pytest.mark.parametrize("target", UNICORN)
def test_emulators_agree(start: Opener, target: str) -> None:
    results = [call_dot(start(target, emulator), target, 777) for emulator in ("unicorn", "qemu")]
    assert results[0] == results[1]


@pytest.mark.parametrize("target", UNICORN)
def test_block_counts_are_instruction_counts(start: Opener, target: str) -> None:
    import unicorn

    machine: Any = start(target, "unicorn")
    addresses: list[int] = []
    machine._engine.hook_add(
        unicorn.UC_HOOK_CODE, lambda engine, address, size, user: addresses.append(address)
    )
    for count in (0, 1, 7, 40):
        addresses.clear()
        assert call_dot(machine, target, count)[1] == len(addresses)
    profile = machine.profile()
    # Without an FPU, functions of compiler-rt run too.
    assert "dot" in profile and (len(profile) > 1) == (target == "cortex-m0plus")
    assert sum(profile.values()) == len(addresses)


@both
def test_variables_reset(start: Opener, target: str, emulator: str) -> None:
    machine = start(target, emulator)
    weight = machine.image.address("weight")
    for _ in range(2):
        machine.call(machine.image.address("scale"), 0.5)
    assert np.frombuffer(machine.read(weight, 16), np.float32).tolist() == [0.25, 2, 3, 4]
    machine.reset()
    assert np.frombuffer(machine.read(weight, 16), np.float32).tolist() == [1, 2, 3, 4]


@both
def test_stack_high_water_mark(start: Opener, target: str, emulator: str) -> None:
    machine = start(target, emulator)
    for name, low, high in (("scale", 0, 16), ("deep", 900, 1100), ("scale", 0, 16)):
        argument = 1.0 if name == "scale" else 0
        used = machine.call(machine.image.address(name), argument).stack_bytes
        assert low <= used <= high


@both
def test_faults_name_the_function(start: Opener, target: str, emulator: str) -> None:
    machine = start(target, emulator)
    address = 0xA000_0000 if "-a7" in target else 0xE100_0000
    with pytest.raises(EmulatorError, match="wild"):
        machine.call(machine.image.address("wild"), address)
    with pytest.raises(EmulatorError, match="no memory"):
        machine.read(0xF000_0000_0000 if "-a7" in target else address, 4)
    assert call_dot(machine, target, 3)[1]


@pytest.mark.parametrize("target", UNICORN)
def test_store_to_flash_faults(start: Opener, target: str) -> None:
    machine = start(target, "unicorn")
    with pytest.raises(EmulatorError, match="write_flash"):
        machine.call(machine.image.address("write_flash"))


@both
def test_endless_function_times_out(start: Opener, target: str, emulator: str) -> None:
    machine = start(target, emulator)
    with pytest.raises(EmulatorTimeoutError, match=r"did not return.*spin"):
        machine.call(machine.image.address("spin"), scratch(target), timeout=0.2)
    assert call_dot(machine, target, 3)[1]


@both
def test_large_region_is_memory(start: Opener, target: str, emulator: str) -> None:
    machine, large = start(target, emulator), memory_map(target).large
    assert large is not None
    for address in (large.base, large.end - 4):
        machine.write(address, b"abcd")
        assert machine.read(address, 4) == b"abcd"


@both
def test_closed_machine(start: Opener, target: str, emulator: str) -> None:
    machine = start(target, emulator)
    machine.close()
    machine.close()
    with pytest.raises(EmulatorError, match="closed"):
        machine.read(scratch(target), 4)


def test_missing_emulators(build: Callable[[str], Image], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingToolError, match="qemu-system-arm"):
        open_machine(build("cortex-m55"), memory_map("cortex-m55"), emulator="unicorn")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(MissingToolError, match="qemu-system-arm is not installed"):
        open_machine(build("cortex-m7"), memory_map("cortex-m7"), emulator="qemu")


# Linking


@pytest.mark.parametrize("target", TARGETS)
def test_sections_lie_in_their_regions(build: Callable[[str], Image], target: str) -> None:
    image, memory = build(target), memory_map(target)
    for name in (".text", ".rodata"):
        assert image.sections[name][0] in memory.code_region
    address, size = image.sections[".data"]
    assert address in memory.ram and address + size <= memory.ram.end
    assert address not in memory.stack_region
    assert image.symbols["__stack_top"].value == memory.stack_region.end
    assert image.symbols["memset"].is_function and "memmove" in image.symbols


def test_link_errors(objects: Callable[[str], tuple[Path, Path]], tmp_path: Path) -> None:
    (program, memory), board = objects("cortex-m7"), memory_map("cortex-m7")
    output = tmp_path / "p.elf"
    with pytest.raises(LinkError, match="undefined symbol: memset"):
        link([program], output, board)
    with pytest.raises(LinkError, match="no such file"):
        link([tmp_path / "absent.o"], output, board)
    array = "!llvm.array<9000 x i8>"
    big = f'llvm.mlir.global external @b() {{section = ".bss.b"}} : {array}'
    big += f"{{ %0 = llvm.mlir.zero : {array} llvm.return %0 : {array} }}"
    with ir.Context():
        (tmp_path / "big.o").write_bytes(emit(ir.Module.parse(big), lookup_target("cortex-m7")))
    small = board.limited(ram=8 * KB, stack=4 * KB)
    with pytest.raises(LinkError, match=r"RAM of 8192 bytes is \d+ bytes too small for other data"):
        link([program, tmp_path / "big.o"], output, small, fallbacks=[memory])
    for path, words in ((tmp_path / "absent.elf", "cannot read"), (program, "not a linked")):
        with pytest.raises(EmulatorError, match=words):
            Image.read(path)
    (tmp_path / "text").write_text("no ELF")
    with pytest.raises(EmulatorError, match="not an ELF file"):
        Image.read(tmp_path / "text")


def test_missing_ziglang(
    objects: Callable[[str], tuple[Path, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, _ = objects("cortex-m7")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingToolError, match=r"tinytrain-mlir\[emulator\]"):
        link([program], tmp_path / "p.elf", memory_map("cortex-m7"))
