"""Programs that share their work among threads."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from int8_graphs import Layers, image
from torch import nn

import tinytrain_mlir as tt
from tinytrain_mlir.errors import ConfigError, EmulatorError
from tinytrain_mlir.graph import Graph
from tinytrain_mlir.program import Program

LABELS = np.array([0, 2])
# What changes the order of sums, and is not done for several threads.
ALIKE = tt.MemoryPasses(rows=False, split=False, overlap=False)


def learned(program: Program, x: np.ndarray, y: np.ndarray, steps: int = 3) -> list[bytes]:
    """What two programs have to agree on: losses, parameters, outputs."""
    with program.load() as session:
        losses = [session.step(x, y) for _ in range(steps)]
        arrays = [*session.parameters().values(), session.infer(x), np.array(losses)]
        return [array.tobytes() for array in arrays]


@pytest.mark.parametrize("batch", [1, 4, 5])
def test_results_are_those_of_one_thread(batch: int) -> None:
    x = torch.randn(batch, 3, 16, 16)
    y = np.arange(batch) % 10
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, stride=2),
        nn.ReLU6(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.ReLU6(),
        nn.Conv2d(8, 24, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, 10),
    ).eval()
    one, two, three = (
        learned(tt.compile(model, x, passes=ALIKE, threads=threads), x.numpy(), y)
        for threads in (1, 2, 3)
    )
    assert one == two
    assert one == three


@settings(max_examples=4)
@given(seed=st.integers(0, 999), batch=st.integers(1, 5), threads=st.integers(2, 4))
def test_int8_is_that_of_one_thread(seed: int, batch: int, threads: int) -> None:
    random = np.random.default_rng(seed)
    layers = Layers(random, (batch, 8, 8, 4))
    layers.block(24, 6, stride=2)
    layers.head(3)
    graph = layers.finish()
    x = image(random, graph)
    y = np.arange(batch) % 3
    precision = tt.Int8(grad="int8")
    one, several = (
        learned(tt.compile(graph, precision=precision, threads=count), x, y)
        for count in (1, threads)
    )
    assert one == several


def running() -> int:
    """Threads of this process."""
    return len(list(Path("/proc/self/task").iterdir()))


def test_threads_end_with_their_session(graph: Graph) -> None:
    program = tt.compile(graph, threads=3)
    x = np.zeros((2, 1, 8, 8), np.float32)
    before = running()
    session = program.load()
    session.step(x, LABELS)
    assert running() == before + 2
    session.close()
    assert running() == before
    session = program.load()
    assert running() == before + 2
    del session
    gc.collect()
    assert running() == before


def test_threads_that_cannot_be_started() -> None:
    code = """
import numpy as np, resource, sys, torch
import tinytrain_mlir as tt
program = tt.compile(torch.nn.Linear(4, 8), torch.zeros(64, 4), loss=None, threads=256)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 29),) * 2)  # each thread has a stack of 8 MB
try:
    program.load()
except tt.TinyTrainError as error:
    sys.exit(str(error))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "256 threads cannot be started" in done.stderr, done.stderr
    assert "compile with fewer threads=" in done.stderr


_MAIN = """\
#include "tiny.h"
#include <stdio.h>

static float x[TINY_INPUT_SIZE], y[TINY_OUTPUT_SIZE];

int main(void) {
  const int32_t label[2] = {0, 2};
  float loss;
  for (int i = 0; i < TINY_INPUT_SIZE; ++i)
    x[i] = (float)(i % 7 - 3) / 4;
  tiny_init();
  for (int turn = 0; turn < 2; ++turn) {
    if (tiny_start() != 0)
      return 1;
    for (int i = 0; i < 100; ++i)
      tiny_step(x, label, &loss);
    printf("%a\\n", loss);
    tiny_infer(x, y);
    tiny_stop();
  }
  for (int i = 0; i < TINY_OUTPUT_SIZE; ++i)
    printf("%a\\n", y[i]);
  return 0;
}
"""

_ZIG = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl", "-static"]


@pytest.mark.parametrize(
    ("target", "compiler", "runner"),
    [("host", ["cc", "-pthread"], []), ("cortex-a72", _ZIG, ["qemu-aarch64"])],
)
def test_a_c_program(
    target: str, compiler: list[str], runner: list[str], graph: Graph, tmp_path: Path
) -> None:
    """On AArch64 under Linux, as on the host."""
    for tool in (compiler[0], *runner):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool}: not installed")
    optimizer = tt.SGD(0.05, 0.9, 1e-3)
    tt.compile(graph, optimizer=optimizer, target=target, threads=2, name="tiny").save(tmp_path)
    (tmp_path / "main.c").write_text(_MAIN)
    command = [*compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", "main.c", "libtiny.a"]
    subprocess.run([*command, "-o", "main"], cwd=tmp_path, check=True)
    done = subprocess.run(
        [*runner, "./main"], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60
    )
    printed = [float.fromhex(line) for line in done.stdout.split()]
    x = ((np.arange(128) % 7 - 3) / 4).astype(np.float32).reshape(2, 1, 8, 8)
    with tt.compile(graph, optimizer=optimizer, target=target).load() as session:
        losses = [session.step(x, LABELS) for _ in range(200)]
        assert printed == [losses[99], losses[199], *session.infer(x).ravel().tolist()]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, "expected threads= from 1 to 256, got 0"),
        ({"threads": 1000}, "expected threads= from 1 to 256, got 1000"),
        ({"threads": "2"}, "expected threads= of type int, got '2'"),
        ({"threads": 2, "target": "cortex-m7"}, "threads=2: cortex-m7 runs one thread"),
    ],
)
def test_wrong_numbers(graph: Graph, options: dict[str, object], message: str) -> None:
    compile_any: Callable[..., Program] = tt.compile
    with pytest.raises(ConfigError, match=message):
        compile_any(graph, **options)


def test_emulated_machines_have_no_threads(graph: Graph) -> None:
    program = tt.compile(graph, target="cortex-a72", threads=2)
    with pytest.raises(ConfigError, match="2 threads needs Linux, which an emulated cortex-a72"):
        program.load()


def test_closed_session(graph: Graph) -> None:
    session = tt.compile(graph, threads=2).load()
    session.close()
    session.close()
    with pytest.raises(EmulatorError, match="the session is closed"):
        session.infer(np.zeros((2, 1, 8, 8), np.float32))
