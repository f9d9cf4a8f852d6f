#!/usr/bin/env python3
"""A published int8 network trains on CIFAR-10 on an emulated Cortex-M with a product's memory.

Everything lies in the RAM and the flash given: arena, trained parameters, the buffers of one image,
its class and the loss, the stack and its guard. There is no other memory, so that an access beyond
ends with an error, and so does a call that changes the guard. The first table is that of the linked
ELF's sections, the second has a row for each step, on one image each.

    python benchmarks/microcontroller.py --images 8 --epochs 2
    python benchmarks/microcontroller.py --network small-cnn --policy full --ram 128KB --flash 128KB

The published networks and CIFAR-10 need `$TINYTRAIN_SHARED`, by default ../shared beside this
project. small-cnn is f32, with random images.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import click
import numpy as np
import published
import torch
from networks import SmallCNN
from rich.console import Console
from rich.table import Table

import tinytrain_mlir as tt
from tinytrain_mlir.config import UpdatePolicy
from tinytrain_mlir.runtime.launch import Emulator
from tinytrain_mlir.runtime.layout import Layout

SMALL_CNN = "small-cnn"
NETWORKS = (*published.NETWORKS, SMALL_CNN)


@dataclass(frozen=True)
class Step:
    """One training step.

    Attributes:
        seconds: that its emulation takes.
    """

    image: int
    label: int
    loss: float
    instructions: int
    stack_bytes: int
    seconds: float


@dataclass(frozen=True)
class Run:
    """A training, its memory, and the parameters it ends with."""

    layout: Layout
    steps: tuple[Step, ...]
    parameters: dict[str, Any]

    def is_equal(self, other: Run) -> bool:
        """Whether losses, instruction counts and parameters are the same to the last bit."""

        def results(run: Run) -> list[Any]:
            return [(s.loss, s.instructions) for s in run.steps] + [
                (name, p.tobytes()) for name, p in sorted(run.parameters.items())
            ]

        return results(self) == results(other)


def compile_network(network: str, policy: str, target: str, lr: float) -> tt.Program:
    """A training program; the policy is "full", "last layer" or the name of a published scheme.

    Raises:
        click.BadParameter: no such policy, or the network is absent.
    """
    policies: dict[str, UpdatePolicy] = {"full": tt.FullUpdate(), "last layer": tt.LastLayer()}
    model: Any
    example = None
    if network == SMALL_CNN:
        torch.manual_seed(0)
        model, example = SmallCNN(size=32).eval(), torch.zeros(1, 3, 32, 32)
    elif published.present():
        model = published.load(network, dequantize=False)
        policies |= published.schemes(network)
    else:
        raise click.BadParameter(published.WHY_ABSENT)
    if policy not in policies:
        raise click.BadParameter(f"policy: expected one of {', '.join(policies)}, got {policy}")
    return tt.compile(
        model,
        example,
        optimizer=tt.SGD(lr=lr),
        update=policies[policy],
        target=target,
        name="network",
    )


def load_images(network: str, count: int) -> tuple[Any, Any]:
    """Images as the network takes them, and their classes.

    Raises:
        click.BadParameter: CIFAR-10 is absent.
    """
    if network == SMALL_CNN:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((count, 3, 32, 32), dtype=np.float32)
        return x, rng.integers(0, 10, count)
    if not published.has_images():
        raise click.BadParameter(published.WHY_NO_IMAGES)
    return published.images(count)


def train(
    program: tt.Program,
    emulator: Emulator,
    images: Any,
    labels: Any,
    epochs: int,
    **sizes: str | int,
) -> Run:
    """Trains on one image after the other, in a memory of these sizes; see `Program.load`."""
    steps = []
    with program.load(emulator, **sizes) as session:
        assert session.layout is not None
        for _ in range(epochs):
            for i, label in enumerate(labels):
                start = time.perf_counter()
                loss = session.step(images[i : i + 1], labels[i : i + 1])
                seconds = time.perf_counter() - start
                assert session.instructions is not None and session.stack_bytes is not None
                counts = session.instructions, session.stack_bytes
                steps.append(Step(i, int(label), loss, *counts, seconds))
        return Run(session.layout, tuple(steps), session.parameters())


def render(run: Run, title: str) -> Table:
    """A row for each step."""
    table = Table(title=title)
    for column in ("step", "image", "class", "loss", "instructions", "stack", "seconds"):
        table.add_column(column, justify="right")
    for number, step in enumerate(run.steps):
        if number and step.image == 0:
            table.add_section()
        table.add_row(
            *map(str, (number, step.image, step.label)),
            f"{step.loss:.4f}",
            f"{step.instructions:,}",
            str(step.stack_bytes),
            f"{step.seconds:.2f}",
        )
    return table


@click.command(context_settings={"show_default": True}, help=__doc__)
@click.option("--network", default="mcunet-5fps", type=click.Choice(NETWORKS))
@click.option("--policy", default="99kb", help="full, last layer, or a scheme such as 99kb.")
@click.option("--target", default="cortex-m7", help="A Cortex-M.")
@click.option("--ram", default="256KB")
@click.option("--flash", default="1MB")
@click.option("--stack", default="2KB", help="Of the RAM.")
@click.option(
    "--emulator",
    "emulators",
    multiple=True,
    default=["unicorn", "qemu"],
    type=click.Choice(["unicorn", "qemu"]),
)
@click.option("--images", "count", default=8, type=click.IntRange(min=1))
@click.option("--epochs", default=2, type=click.IntRange(min=1))
@click.option("--lr", default=0.001)
def main(
    network: str,
    policy: str,
    target: str,
    ram: str,
    flash: str,
    stack: str,
    emulators: tuple[Emulator, ...],
    count: int,
    epochs: int,
    lr: float,
) -> None:
    console = Console()
    images, labels = load_images(network, count)
    runs: dict[str, Run] = {}
    try:
        program = compile_network(network, policy, target, lr)
        for emulator in dict.fromkeys(emulators):
            run = train(
                program, emulator, images, labels, epochs, ram=ram, flash=flash, stack=stack
            )
            if not runs:
                console.print(run.layout)
            console.print(render(run, f"{network}, {policy}, {target} in {emulator}"))
            runs[emulator] = run
    except tt.TinyTrainError as error:
        raise click.ClickException(str(error)) from error
    first, *others = runs.values()
    for epoch in range(epochs):
        losses = [step.loss for step in first.steps[epoch * count : (epoch + 1) * count]]
        console.print(f"epoch {epoch}: mean loss {np.mean(losses):.4f}")
    deepest = max(step.stack_bytes for run in runs.values() for step in run.steps)
    console.print(f"deepest stack: {deepest} bytes; the guard below it is intact after every call")
    if others:
        same = all(first.is_equal(other) for other in others)
        console.print(
            f"{' and '.join(runs)}: losses, instructions and parameters are "
            f"{'the same to the last bit' if same else 'NOT the same'}"
        )
        if not same:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
