#!/usr/bin/env python3
"""Time of a training step and of inference on this machine, beside PyTorch eager.

MobileNetV2-w0.35, f32, full update with SGD, one thread; the two run in turn and the
medians are compared.

    python benchmarks/host.py --size 128 --batch 1
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from networks import MobileNetV2
from rich.console import Console
from rich.table import Table

import tinytrain_mlir as tt


def _median_ms(functions: list[Callable[[], object]], repeats: int) -> list[float]:
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats):
        for function, list_ in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            list_.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(t) for t in times]


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=50)
    args = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = MobileNetV2(0.35, 10).eval()
    x = torch.randn(args.batch, 3, args.size, args.size)
    y = torch.randint(0, 10, (args.batch,))
    start = time.perf_counter()
    program = tt.compile(model, x, optimizer=tt.SGD(lr=1e-4), name="mbv2")
    compile_seconds = time.perf_counter() - start
    session = program.load()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    image, label = x.numpy(), y.numpy()

    def eager_step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    def eager_infer() -> None:
        with torch.no_grad():
            model(x)

    table = Table(
        title=f"MobileNetV2-w0.35, {args.size}x{args.size}, batch {args.batch}, f32, 1 thread"
    )
    for column in ("", "PyTorch eager ms", "tinytrain ms", "ratio"):
        table.add_column(column, justify="right")
    cases: list[tuple[str, list[Callable[[], object]]]] = [
        ("training step", [eager_step, lambda: session.step(image, label)]),
        ("inference", [eager_infer, lambda: session.infer(image)]),
    ]
    for name, functions in cases:
        for function in functions:
            function()
        eager, ours = _median_ms(functions, args.repeats)
        table.add_row(name, f"{eager:.2f}", f"{ours:.2f}", f"{eager / ours:.1f} x")
    Console().print(table)
    print(f"compile time {compile_seconds:.1f} s, arena {program.memory.arena_bytes:,} bytes")


if __name__ == "__main__":
    main()
