#!/usr/bin/env python3
"""Time of a training step and of inference on this machine, beside PyTorch in the same run.

MobileNetV2-w0.35. PyTorch trains all of it in f32 with SGD, eager and through `torch.compile`.
tinytrain trains all of it in f32, and the published int8 network with its 99kb scheme, whose step
is compared with PyTorch's f32 step too: PyTorch has no int8 training. The candidates of a row run
in turn, so that whatever else the machine does meets all of them; a figure is the median, and the
ratios are PyTorch's time over ours. Both use as many threads as a table says.

    python benchmarks/host.py --batch 1 --batch 8 --threads 1 --threads 2
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import click
import numpy as np
import published
import torch
from networks import MobileNetV2
from rich.console import Console
from rich.table import Table

import tinytrain_mlir as tt

NETWORK, SCHEME, SIZE, CLASSES = "mbv2-w0.35", "99kb", 128, 10
LR = 1e-4
SETTLE = 0.02  # seconds

Call = Callable[[], object]


@dataclass(frozen=True)
class Candidate:
    """What is timed: a training step and an inference on the same images."""

    name: str
    step: Call
    infer: Call


def torch_candidate(name: str, batch: int, compiled: bool) -> Candidate:
    """PyTorch in f32, all parameters with SGD."""
    torch.manual_seed(0)
    model = MobileNetV2(0.35, CLASSES).eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    x, y = torch.randn(batch, 3, SIZE, SIZE), torch.randint(0, CLASSES, (batch,))
    forward = torch.compile(model) if compiled else model

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(forward(x), y).backward()
        optimizer.step()

    def infer() -> None:
        with torch.no_grad():
            forward(x)

    return Candidate(name, step, infer)


def f32_candidate(batch: int, threads: int) -> Candidate:
    """The same network, compiled."""
    torch.manual_seed(0)
    x = torch.randn(batch, 3, SIZE, SIZE)
    model = MobileNetV2(0.35, CLASSES).eval()
    program = tt.compile(model, x, optimizer=tt.SGD(lr=LR), threads=threads, name="mbv2")
    session = program.load()
    images, labels = x.numpy(), np.zeros(batch, np.int32)
    return Candidate(
        "tinytrain f32, full update",
        lambda: session.step(images, labels),
        lambda: session.infer(images),
    )


def int8_candidate(batch: int, threads: int) -> Candidate:
    """The published int8 network with its scheme."""
    graph = published.load(NETWORK, CLASSES, dequantize=False, batch=batch)
    scheme = published.schemes(NETWORK)[SCHEME]
    optimizer = tt.SGD(lr=LR)
    program = tt.compile(
        graph, update=scheme, optimizer=optimizer, threads=threads, name="mbv2_int8"
    )
    session = program.load()
    random = np.random.default_rng(0)
    images = random.integers(-128, 128, (batch, 3, SIZE, SIZE)).astype(np.int8)
    labels = np.zeros(batch, np.int32)
    return Candidate(
        f"tinytrain int8, {SCHEME} scheme",
        lambda: session.step(images, labels),
        lambda: session.infer(images),
    )


def median_ms(functions: list[Call], repeats: int) -> list[float]:
    """Of each function, the median time of calls in turn.

    What is called before the counted call lets the threads of the function before fall asleep,
    which spin for a while, and wakes this one's.
    """
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats):
        for function, mine in zip(functions, times, strict=True):
            end = time.perf_counter() + SETTLE
            while time.perf_counter() < end:
                function()
            start = time.perf_counter()
            function()
            mine.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(t) for t in times]


def timed(candidates: list[Candidate], rivals: int, repeats: int, table: Table) -> None:
    """Adds a row for each candidate's step and inference; the first ones are PyTorch's."""
    for phase in ("training step", "inference"):
        functions = [c.step if phase == "training step" else c.infer for c in candidates]
        times = median_ms(functions, repeats)
        table.add_section()
        for number, (candidate, ms) in enumerate(zip(candidates, times, strict=True)):
            ratios = [f"{other / ms:.1f} x" for other in times[:rivals]]
            table.add_row(phase, candidate.name, f"{ms:.2f}", *(ratios if number >= rivals else ()))


@click.command(context_settings={"show_default": True}, help=__doc__)
@click.option("--batch", "batches", type=click.IntRange(1), multiple=True, default=(1, 8))
@click.option("--threads", type=click.IntRange(1), multiple=True, default=(1, 2))
@click.option("--repeats", type=click.IntRange(1), default=50, help="Calls of each.")
@click.option("--compile/--no-compile", "compiled", default=True, help="Also `torch.compile`.")
def main(batches: tuple[int, ...], threads: tuple[int, ...], repeats: int, compiled: bool) -> None:
    """Runs the benchmark."""
    console = Console()
    console.width = max(console.width, 100)
    for batch in batches:
        for count in threads:
            start = time.perf_counter()
            ours = [f32_candidate(batch, count)]
            console.print(f"f32 compiled in {time.perf_counter() - start:.1f} s, with the import")
            if published.present():
                start = time.perf_counter()
                ours.append(int8_candidate(batch, count))
                console.print(f"int8 compiled in {time.perf_counter() - start:.1f} s")
            else:
                console.print(published.WHY_ABSENT)
            torch.set_num_threads(count)
            rivals = [torch_candidate("PyTorch eager f32", batch, compiled=False)]
            if compiled:
                torch.compiler.reset()
                rivals.append(torch_candidate("torch.compile f32", batch, compiled=True))
            table = Table(title=f"MobileNetV2-w0.35, {SIZE}x{SIZE}, batch {batch}, threads {count}")
            table.add_column("phase")
            table.add_column("", no_wrap=True)
            columns = ["ms", "of eager", "of compiled"]
            for column in columns[: 1 + len(rivals)]:
                table.add_column(column, justify="right")
            timed([*rivals, *ours], len(rivals), repeats, table)
            console.print(table)


if __name__ == "__main__":
    main()
