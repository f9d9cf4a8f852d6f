"""What goes into firmware: objects, archive, header, memory map, and their sizes."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from networks import tiny_net
from torch import nn

import tinytrain_mlir as tt
from tinytrain_mlir.errors import BudgetError, ConfigError

if TYPE_CHECKING:
    from tinytrain_mlir.graph import Graph
    from tinytrain_mlir.program import Program

ALL = (
    *("host", "cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"),
    *("cortex-a72", "cortex-a76"),
)
LINKED = [
    pytest.param(t, marks=pytest.mark.requires_qemu) if t == "cortex-m55" else t for t in ALL[1:]
]
ALLOWED = {"memcpy", "memset", "memmove"}
Programs = Callable[[str], "Program"]


def is_allowed(name: str, target: str) -> bool:
    """Arithmetic of the Arm run-time ABI is called where the core has none."""
    return name in ALLOWED or (target == "cortex-m0plus" and name.startswith("__aeabi_"))


class Transcendental(nn.Module):
    """Exponentials, logarithms, divisions, roots of the libm in a network of the field."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(20, 20), nn.Linear(20, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, 20] to [N, 7]."""
        x = nn.functional.hardswish(self.a(x).softmax(1) * 20)
        y: torch.Tensor = self.b(x / (x * x + 1)).log_softmax(1)
        return y


def graph_of(model: nn.Module, *shape: int) -> Graph:
    from tinytrain_mlir.api import import_model

    torch.manual_seed(1)
    return import_model(model, torch.zeros(shape))


@pytest.fixture(scope="module")
def graph() -> Graph:
    torch.manual_seed(1)
    return graph_of(tiny_net(), 2, 1, 8, 8)


@pytest.fixture(scope="module")
def programs(graph: Graph) -> Programs:
    """`tiny_net` with momentum, by target, compiled once."""
    cache: dict[str, Program] = {}

    def get(target: str) -> Program:
        if target not in cache:
            cache[target] = tt.compile(
                graph, optimizer=tt.SGD(0.05, 0.9), target=target, name="tiny"
            )
        return cache[target]

    return get


def undefined_symbols(data: bytes) -> set[str]:
    table = ELFFile(io.BytesIO(data)).get_section_by_name(".symtab")
    assert isinstance(table, SymbolTableSection)
    return {s.name for s in table.iter_symbols() if s["st_shndx"] == "SHN_UNDEF" and s.name}


def function_names(data: bytes) -> set[str]:
    table = ELFFile(io.BytesIO(data)).get_section_by_name(".symtab")
    assert isinstance(table, SymbolTableSection)
    return {s.name for s in table.iter_symbols() if s["st_info"]["type"] == "STT_FUNC"}


def global_symbols(data: bytes) -> set[str]:
    table = ELFFile(io.BytesIO(data)).get_section_by_name(".symtab")
    assert isinstance(table, SymbolTableSection)
    return {
        s.name
        for s in table.iter_symbols()
        if s["st_shndx"] != "SHN_UNDEF" and s["st_info"]["bind"] != "STB_LOCAL"
    }


def archive_members(data: bytes) -> dict[str, bytes]:
    """The members of a System V archive."""
    assert data[:8] == b"!<arch>\n"
    members, position = {}, 8
    while position < len(data):
        header = data[position : position + 60]
        assert header[58:60] == b"`\n"
        size = int(header[48:58])
        name = header[:16].decode().strip()
        members[name if name in ("/", "//") else name.rstrip("/")] = data[
            position + 60 : position + 60 + size
        ]
        position += 60 + size + size % 2
    return members


# Objects


@pytest.mark.parametrize("target", ALL)
def test_symbols(programs: Programs, target: str) -> None:
    program = programs(target)
    assert all(is_allowed(name, target) for name in undefined_symbols(program.compiled.object))
    names = ("init", "infer", "step", "set_learning_rate", "save", "load")
    assert {f"tiny_{name}" for name in names} <= global_symbols(program.compiled.object)


@pytest.mark.parametrize("target", ALL)
def test_two_libraries_fit_in_one_program(programs: Programs, target: str) -> None:
    """Every global symbol begins with the program's name."""
    others = {
        name
        for name in global_symbols(programs(target).compiled.object)
        if not name.startswith("tiny_")
    }
    assert others == set()


@pytest.fixture(scope="module")
def transcendental() -> Graph:
    return graph_of(Transcendental(), 3, 20)


@pytest.mark.parametrize("target", ALL)
def test_no_libm_and_no_compiler_runtime(transcendental: Graph, target: str) -> None:
    for loss in ("cross_entropy", "mse"):
        program = tt.compile(transcendental, loss=loss, target=target)
        assert all(is_allowed(name, target) for name in undefined_symbols(program.compiled.object))


@pytest.mark.parametrize("target", ALL)
def test_state_takes_no_room_in_the_file(programs: Programs, target: str) -> None:
    program = programs(target)
    elf = ELFFile(io.BytesIO(program.compiled.object))
    sizes = {"arena": program.memory.arena_bytes, "params": program.memory.param_bytes}
    for name, size in sizes.items():
        section = elf.get_section_by_name(f".tinytrain.{name}")
        assert section is not None
        assert section["sh_type"] == "SHT_NOBITS"
        assert section["sh_size"] == size > 0
    assert program.memory.sram_bytes == sum(sizes.values())
    machine = {"host": "EM_X86_64"}.get(target, "EM_ARM" if "-m" in target else "EM_AARCH64")
    if target != "host":
        assert elf.header["e_machine"] == machine


@pytest.mark.parametrize("target", LINKED)
def test_memory_is_that_of_the_linked_program(programs: Programs, target: str) -> None:
    program = programs(target)
    with program.load() as session:
        sections = session._device.image.sections  # type: ignore[attr-defined]
    assert sections[".tinytrain.arena"][1] == program.memory.arena_bytes
    assert sections[".tinytrain.params"][1] == program.memory.param_bytes
    writable = sum(sections.get(n, (0, 0))[1] for n in (".data", ".bss"))
    assert program.memory.sram_bytes == (
        program.memory.arena_bytes + program.memory.param_bytes + writable
    )


@pytest.mark.parametrize("target", LINKED)
def test_flash_is_that_of_the_linked_program(programs: Programs, target: str) -> None:
    """memcpy and arithmetic, which the user's link brings, are not counted."""
    program = programs(target)
    with program.load() as session:
        image = session._device.image  # type: ignore[attr-defined]
    ours = function_names(program.compiled.object)
    # By address: functions of a library have several names.
    own = sum(
        {
            s.value: s.size for s in image.symbols.values() if s.is_function and s.name not in ours
        }.values()
    )
    linked = image.sections[".text"][1] + image.sections[".rodata"][1] - own
    # Sections are aligned when they are put together: at most 16 bytes for each.
    slack = 16 * len(program.memory.sections)
    assert program.memory.flash_bytes <= linked <= program.memory.flash_bytes + slack
    assert (
        program.memory.code_bytes
        <= image.sections[".text"][1] - own
        <= (program.memory.code_bytes + slack)
    )


@pytest.mark.parametrize("target", ["host", "cortex-m7"])
def test_output_is_deterministic(target: str) -> None:
    objects = set()
    for _ in range(2):
        torch.manual_seed(1)
        program = tt.compile(tiny_net(), torch.zeros(2, 1, 8, 8), target=target)
        objects.add(program.compiled.object)
    assert len(objects) == 1


def test_frozen_parameters_lie_in_flash(graph: Graph) -> None:
    full = tt.compile(graph, target="cortex-m7").memory
    last = tt.compile(graph, update=tt.LastLayer(), target="cortex-m7").memory
    count = sum(p.array.size for p in graph.parameters.values())
    trained = sum(graph.parameters[n].array.size for n in ("8.weight", "8.bias"))
    assert 4 * count <= full.param_bytes <= 4 * count + 16 * len(graph.parameters) + 16
    assert 4 * trained <= last.param_bytes <= 4 * trained + 16 * 3
    # All values are in flash, though LLVM may put a short constant into the code.
    assert last.flash_bytes >= 4 * count


def test_the_timeline_is_the_arena(programs: Programs) -> None:
    memory = programs("cortex-m7").memory
    assert max(b.offset + b.bytes for b in memory.timeline) <= memory.arena_bytes
    for b in memory.timeline:
        assert b.offset >= 0 and b.bytes > 0 and b.first <= b.last
    for i, a in enumerate(memory.timeline):
        for b in memory.timeline[:i]:
            alive = a.function == b.function and a.first <= b.last and b.first <= a.last
            apart = a.offset + a.bytes <= b.offset or b.offset + b.bytes <= a.offset
            # A kernel's result may overlap an operand that dies there.
            hands_over = a.last == b.first or b.last == a.first
            assert apart or not alive or hands_over, f"{a} overlaps {b}"
    peak = memory.peak
    assert peak is not None and peak.function in ("infer", "step")
    assert peak.live_bytes <= peak.used_bytes <= memory.arena_bytes


# Files


@pytest.mark.parametrize("target", ["host", "cortex-m7", "cortex-a72"])
def test_save(programs: Programs, target: str, tmp_path: Path) -> None:
    program = programs(target)
    assert program.save(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    folder = tmp_path / "a" / "b"
    assert sorted(f.name for f in folder.iterdir()) == [
        "libtiny.a",
        "memory.json",
        "report.html",
        "tiny.h",
    ]
    members = archive_members((folder / "libtiny.a").read_bytes())
    assert members["tiny.o"] == program.compiled.object
    assert global_symbols(members["tiny_mem.o"]) == ALLOWED
    assert undefined_symbols(members["tiny_mem.o"]) == set()
    assert b"tiny_step" in members["/"]  # the archive's index
    memory = json.loads((folder / "memory.json").read_text())
    for key in ("sram_bytes", "arena_bytes", "param_bytes", "flash_bytes", "code_bytes"):
        assert memory[key] == getattr(program.memory, key)
    assert len(memory["timeline"]) == len(program.memory.timeline)
    program.save(folder)  # again, over the old files
    assert len(list(folder.iterdir())) == 4


def test_save_is_all_or_nothing(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(program: object) -> str:
        raise OSError("disk full")

    monkeypatch.setattr("tinytrain_mlir.program.render_header", fail)
    with pytest.raises(ConfigError, match="disk full"):
        programs("cortex-m7").save(tmp_path)
    assert list(tmp_path.iterdir()) == []


_MAIN = """\
#include "tiny.h"
#include <stdio.h>
#include <string.h>

static float x[TINY_INPUT_SIZE], y[TINY_OUTPUT_SIZE];
static unsigned checkpoint[(TINY_CHECKPOINT_BYTES + 3) / 4];

int main(void) {
  const int32_t label[2] = {0, 2};
  float loss;
  for (int i = 0; i < TINY_INPUT_SIZE; ++i)
    x[i] = (float)(i % 7 - 3) / 4;
  tiny_init();
  tiny_step(x, label, &loss);
  printf("%a\\n", loss);
  tiny_save(checkpoint);
  tiny_set_learning_rate(0.25f);
  tiny_step(x, label, &loss);
  printf("%a\\n", loss);
  if (tiny_load(checkpoint) != 0)
    return 1;
  tiny_step(x, label, &loss);
  printf("%a\\n", loss);
  checkpoint[5] ^= 1;
  if (tiny_load(checkpoint) != -1)
    return 2;
  tiny_infer(x, y);
  for (int i = 0; i < TINY_OUTPUT_SIZE; ++i)
    printf("%a\\n", y[i]);
  return 0;
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="cc: not installed")
def test_a_c_program_on_the_host(programs: Programs, tmp_path: Path) -> None:
    program = programs("host")
    program.save(tmp_path)
    (tmp_path / "main.c").write_text(_MAIN)
    command = ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "main.c", "libtiny.a", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    done = subprocess.run(["./main"], cwd=tmp_path, check=True, capture_output=True, text=True)
    printed = [float.fromhex(line) for line in done.stdout.split()]
    x = ((np.arange(128) % 7 - 3) / 4).astype(np.float32).reshape(2, 1, 8, 8)
    with program.load() as session:
        losses = [session.step(x, np.array([0, 2]))]
        checkpoint = session.save()
        losses.append(session.step(x, np.array([0, 2]), lr=0.25))
        session.load(checkpoint)
        losses.append(session.step(x, np.array([0, 2])))
        expected = [*losses, *session.infer(x).ravel().tolist()]
    assert printed == expected


@pytest.mark.parametrize(("loss", "update"), [("mse", None), (None, None), ("mse", tt.NoUpdate())])
def test_header_has_only_what_the_library_has(
    graph: Graph, loss: str | None, update: tt.NoUpdate | None, tmp_path: Path
) -> None:
    program = tt.compile(graph, loss=loss, update=update, name="m_1")
    program.save(tmp_path)
    header = (tmp_path / "m_1.h").read_text()
    defined = global_symbols(program.compiled.object)
    for name in ("init", "infer", "step", "set_learning_rate", "save", "load"):
        assert (f" m_1_{name}(" in header) == (f"m_1_{name}" in defined)
    assert ("const float *label" in header) == (loss == "mse")


# Budgets


def test_a_budget_that_is_kept(graph: Graph) -> None:
    memory = tt.compile(graph, target="cortex-m7", budget=tt.Budget("64KB", "1MB")).memory
    exact = tt.Budget(memory.sram_bytes, memory.flash_bytes)
    assert tt.compile(graph, target="cortex-m7", budget=exact).memory.sections == memory.sections


def test_a_budget_that_is_exceeded(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BudgetError) as error:
        tt.compile(graph, target="cortex-m7", budget=tt.Budget(sram="1KB"))
    message = str(error.value)
    assert "over its budget of 1024" in message and "peak is at op" in message
    assert "2x8x8x8xf32" in message and "bytes)" in message
    with pytest.raises(BudgetError, match=r"bytes of flash, over its budget of 100"):
        tt.compile(graph, target="cortex-m7", budget=tt.Budget(flash=100))
    with pytest.raises(ConfigError, match="256KB"):
        tt.compile(graph, budget=tt.Budget(sram="lots"))
    assert list(tmp_path.iterdir()) == []
