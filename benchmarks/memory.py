#!/usr/bin/env python3
"""SRAM of a training step: arena and trained parameters, by network, policy and optimisation.

Programs for the Cortex-M7, f32, batch 1. "conventional" computes all gradients before the first
update, op by op; "reordered" only orders ops by memory; "everything" also fuses, splits expansions,
works in place, lets buffers overlap and keeps masks. "ratio" is conventional over everything;
then the arenas alone, conventional and of everything, and what the latter is of its plan's lower
bound. "full/arena" is the conventional arena of the full update over this arena. Figures to compare
with, for int8, stand below each network.

    python benchmarks/memory.py --network mbv2-w0.35 --policy 99kb

The published networks need `$TINYTRAIN_SHARED`, by default ../shared beside this project.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import published
import torch
from networks import MobileNetV2, mlp, resnet18
from rich.console import Console
from rich.table import Table

import tinytrain_mlir as tt
from tinytrain_mlir.config import UpdatePolicy
from tinytrain_mlir.program import Program

KIB = 1024

OWN: dict[str, Callable[[], tuple[Any, Any]]] = {
    "mlp": lambda: (mlp([784, 128, 64, 10]), torch.zeros(1, 784)),
    "mobilenetv2-w0.35": lambda: (MobileNetV2(0.35, 10).eval(), torch.zeros(1, 3, 128, 128)),
    "resnet-18": lambda: (resnet18().eval(), torch.zeros(1, 3, 32, 32)),
}
NETWORKS = (*OWN, *published.NETWORKS)

POLICIES: dict[str, UpdatePolicy] = {
    "full": tt.FullUpdate(),
    "last layer": tt.LastLayer(),
    "bias only": tt.SparseUpdate({"*.bias": True}),
}

# Network, what, then as the columns of the table, where it is known. "paper": arXiv 2206.15472, int8,
# in KB; its text does not name the scheme. "modelled": for this project, int8, schemes of about
# 100 KB: trained parameters and the arena with all gradients first, reordered, and after every
# step at unchanged arithmetic.
ANCHORS: tuple[tuple[str, str, tuple[float, ...]], ...] = (
    ("mbv2-w0.35", "paper, int8: full", (2939,)),
    ("mbv2-w0.35", "paper, int8: sparse", (335, 141)),
    ("mbv2-w0.35", "modelled, int8: 99kb", (75 + 365, 75 + 248, 75 + 51)),
    ("mcunet-5fps", "paper, int8: full", (3650,)),
    ("mcunet-5fps", "paper, int8: sparse, 72.0 %", (488, 134)),
    ("mcunet-5fps", "paper, int8: sparse, 73.4 %", (509, 160)),
    ("mcunet-5fps", "paper, int8: sparse, 75.1 %", (560, 173)),
    ("mcunet-5fps", "modelled, int8: 99kb", (76 + 330, 76 + 240, 76 + 51)),
    ("proxyless-w0.3", "paper, int8: full", (2745,)),
    ("proxyless-w0.3", "paper, int8: sparse", (326, 135)),
    ("proxyless-w0.3", "modelled, int8: 98kb", (80 + 372, 80 + 229, 80 + 51)),
)


@dataclass(frozen=True)
class Row:
    """One network with one policy, in KiB: arena and trained parameters.

    Attributes:
        arena_before: of `conventional`, without parameters.
        arena: of `everything`.
        bound: that arena over the plan's lower bound.
    """

    network: str
    policy: str
    conventional: float
    reordered: float
    everything: float
    arena_before: float
    arena: float
    bound: float

    @property
    def ratio(self) -> float:
        """How many times less everything needs than the conventional program."""
        return self.conventional / self.everything


def _sram(program: Program) -> float:
    return (program.memory.arena_bytes + program.memory.param_bytes) / KIB


def _bound_ratio(program: Program) -> float:
    bounds = [
        s.value
        for s in program.compiled.statistics
        if s.pass_name == "tinytrain-plan-memory" and s.name == "bound-bytes"
    ]
    return program.memory.arena_bytes / max(*bounds, 1)


def measure(network: str, policy: str, model: Any, x: Any, update: UpdatePolicy) -> Row:
    """Compiles a network in three ways."""

    def program(**options: Any) -> Program:
        return tt.compile(model, x, update=update, target="cortex-m7", **options)

    only_reorder = dataclasses.replace(tt.MemoryPasses.none(), reorder=True)
    conventional, everything = program(reorder=False), program()
    return Row(
        network,
        policy,
        conventional=_sram(conventional),
        reordered=_sram(program(passes=only_reorder)),
        everything=_sram(everything),
        arena_before=conventional.memory.arena_bytes / KIB,
        arena=everything.memory.arena_bytes / KIB,
        bound=_bound_ratio(everything),
    )


def cases(
    networks: tuple[str, ...], policies: tuple[str, ...], int8: bool
) -> Iterator[tuple[Any, ...]]:
    """Network, policy, model, example input and update of all that is asked for."""
    for network in networks or NETWORKS:
        if network in OWN:
            if int8:
                continue
            torch.manual_seed(0)
            model, x = OWN[network]()
            updates = POLICIES
        elif published.present():
            model, x = published.load(network, dequantize=not int8), None
            updates = {**POLICIES, **published.schemes(network)}
        else:
            continue
        for policy, update in updates.items():
            if not policies or policy in policies:
                yield network, policy, model, x, update


def render(rows: list[Row], precision: str) -> Table:
    """The table, with the anchors of each network below its rows."""
    table = Table(title=f"Arena + trained parameters, KiB: {precision}, cortex-m7, batch 1")
    for column in ("network", "policy"):
        table.add_column(column, no_wrap=True)
    for column in (
        "conventional",
        "reordered",
        "everything",
        "ratio",
        "arena before",
        "arena",
        "of bound",
        "full/arena",
    ):
        table.add_column(column, justify="right", no_wrap=True)
    for network in dict.fromkeys(row.network for row in rows):
        table.add_section()
        fulls = (r.arena_before for r in rows if (r.network, r.policy) == (network, "full"))
        full = next(fulls, None)
        for row in rows:
            if row.network == network:
                sizes = (row.conventional, row.reordered, row.everything)
                figures = [f"{size:.1f}" for size in sizes]
                figures += [f"{row.ratio:.2f}", f"{row.arena_before:.1f}", f"{row.arena:.1f}"]
                figures += [f"{row.bound:.3f}", f"{full / row.arena:.2f}" if full else ""]
                table.add_row(network, row.policy, *figures)
        for name, what, anchor in ANCHORS:
            if name == network:
                table.add_row(network, what, *(f"{size:.0f}" for size in anchor), style="dim")
    return table


@click.command(help=__doc__)
@click.option("--network", "networks", multiple=True, type=click.Choice(NETWORKS), help="Only it.")
@click.option("--policy", "policies", multiple=True, help="Only it: full, last layer, 99kb, …")
@click.option("--int8", is_flag=True, help="The published networks as int8 graphs.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write the figures too.")
def main(
    networks: tuple[str, ...], policies: tuple[str, ...], int8: bool, file: Path | None
) -> None:
    """Runs the benchmark."""
    console = Console()
    console.width = max(console.width, 150)
    if not published.present() and (set(networks or NETWORKS) & set(published.NETWORKS)):
        console.print(f"skipped the published networks: {published.WHY_ABSENT}")
    rows = []
    for case in cases(networks, policies, int8):
        with console.status(f"{case[0]}, {case[1]}"):
            rows.append(measure(*case))
    if not rows:
        raise click.ClickException("nothing to measure: no such policy for these networks")
    console.print(render(rows, "int8, f32 gradients" if int8 else "f32"))
    if file is not None:
        file.write_text(
            json.dumps([dataclasses.asdict(row) for row in rows], indent=2) + "\n", "utf-8"
        )


if __name__ == "__main__":
    main()
