"""Where the instructions of a call went: a table, by layer and phase, and a plot."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .driver import KernelCall
from .report import PHASES, Table, rich_table, save_plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console, ConsoleOptions, RenderResult

OTHER = "other"
"""The phase of what belongs to no kernel: copies, and the calls themselves."""


@dataclass(frozen=True)
class ProfileRow:
    """One kernel call of the program, or what belongs to none.

    Attributes:
        label: the ops that the kernel computes; the function's name for the rest.
        location: the layer in the user's model.
        phase: "forward", "backward", "update" or "other".
        macs: multiplications with addition.
        instructions: executed by the call. A function that several calls share is counted as a
            whole and divided evenly: kernels have no branches on data, so that each call executes
            as many.
    """

    label: str
    location: str
    phase: str
    macs: int
    instructions: int


@dataclass(frozen=True)
class Profile:
    """Instructions of the last `infer` or `step`, in program order; `print` it with rich.

    Attributes:
        title: what ran where.
        rows: kernel calls in program order, then the rest.
    """

    title: str
    rows: tuple[ProfileRow, ...]

    @classmethod
    def of(cls, title: str, calls: Sequence[KernelCall], by_function: Mapping[str, int]) -> Profile:
        """Attributes instructions to kernel calls.

        Args:
            title: what ran where.
            calls: the kernel calls of the function that ran.
            by_function: the instructions that each function executed itself.
        """
        left = dict(by_function)
        counts = [0] * len(calls)
        for name in {name: None for call in calls for name in call.functions}:
            sharing = [i for i, call in enumerate(calls) if name in call.functions]
            total = left.pop(name, 0)
            for number, i in enumerate(sharing):
                # The remainder goes to the first ones.
                counts[i] += (total + len(sharing) - 1 - number) // len(sharing)
        rows = [
            ProfileRow(call.label, call.location.partition(" (")[0], call.phase, call.macs, count)
            for call, count in zip(calls, counts, strict=True)
        ]
        rows += [ProfileRow(name, "", OTHER, 0, count) for name, count in left.items() if count]
        return cls(title, tuple(rows))

    @property
    def instructions(self) -> int:
        """Of all rows: the instructions of the call."""
        return sum(row.instructions for row in self.rows)

    def by_phase(self) -> dict[str, int]:
        """Instructions of each phase."""
        result: dict[str, int] = {}
        for row in self.rows:
            result[row.phase] = result.get(row.phase, 0) + row.instructions
        return result

    def by_layer(self) -> dict[str, dict[str, int]]:
        """Instructions of each layer, by phase; what belongs to none is called "other"."""
        result: dict[str, dict[str, int]] = {}
        for row in self.rows:
            phases = result.setdefault(row.location or OTHER, {})
            phases[row.phase] = phases.get(row.phase, 0) + row.instructions
        return result

    def tables(self) -> Iterator[Table]:
        """Instructions by layer and phase, and by kernel call."""
        total = max(1, self.instructions)
        phases = list(self.by_phase())
        yield Table(
            self.title,
            ("layer", *phases, "share"),
            tuple(
                (
                    layer,
                    *(by.get(phase, 0) for phase in phases),
                    f"{100 * sum(by.values()) / total:.1f} %",
                )
                for layer, by in self.by_layer().items()
            ),
            ", ".join(f"{phase} {count:,}" for phase, count in self.by_phase().items())
            + f": {self.instructions:,} instructions",
        )
        yield Table(
            "by kernel",
            ("kernel", "layer", "phase", "MACs", "instructions", "a MAC", "share"),
            tuple(
                (
                    row.label,
                    row.location,
                    row.phase,
                    row.macs,
                    row.instructions,
                    f"{row.instructions / row.macs:.2f}" if row.macs else "",
                    f"{100 * row.instructions / total:.1f} %",
                )
                for row in self.rows
            ),
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """For `rich.print`."""
        for table in self.tables():
            yield rich_table(table)

    def plot(self, path: str | os.PathLike[str]) -> Path:
        """Draws the instructions of each layer by phase, to a .png or .svg.

        Returns:
            the path.

        Raises:
            ConfigError: another suffix, or the file cannot be written.
            MissingExtraError: matplotlib is not installed.
        """
        return save_plot(path, self._draw)

    def _draw(self) -> Figure:
        from matplotlib.figure import Figure

        layers = self.by_layer()
        figure = Figure(figsize=(10, 1.5 + 0.22 * len(layers)), layout="constrained")
        axes = figure.add_subplot()
        start = dict.fromkeys(layers, 0)
        for phase, color in {**PHASES, OTHER: "#999999"}.items():
            widths = [by.get(phase, 0) for by in layers.values()]
            axes.barh(list(layers), widths, left=list(start.values()), color=color, label=phase)
            start = {
                name: before + width
                for (name, before), width in zip(start.items(), widths, strict=True)
            }
        axes.invert_yaxis()
        axes.set(title=self.title, xlabel="instructions")
        axes.legend(fontsize="small")
        return figure
