"""What the memory is used for: tables, a plot, and a page for the browser."""

from __future__ import annotations

import importlib.util
import io
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich import box
from rich.console import Console, Group
from rich.table import Table as RichTable
from rich.text import Text

from .driver import Buffer, KernelCall
from .errors import REPORT_HINT, ConfigError, MissingExtraError
from .files import write_file
from .memory import Memory, Moment

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import ConsoleOptions, RenderResult

PLOT_SUFFIXES = (".png", ".svg")
_SECTIONS_SHOWN = 8


class Table(NamedTuple):
    """A table; numbers are shown with separators and to the right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int, ...], ...]
    note: str = ""


def tensor_type(buffer: Buffer) -> str:
    """Shape and element type: `2x8x8x4xf32`."""
    return buffer.type.removeprefix("memref<").removesuffix(">")


def describe(call: KernelCall) -> str:
    """What a call does: "conv2d at stem.0", "update of stem.0.weight by conv2d_weight_grad"."""
    if call.writes:
        gradient = re.sub(r"(_[a-z]+_update)+$", "", call.label)
        return f"update of {', '.join(call.writes)} by {gradient}"
    return f"{call.label} at {call.location.partition(' (')[0]}"


def why_alive(memory: Memory, buffer: Buffer, moment: Moment) -> str:
    """Why a buffer is alive at a moment: what writes it, reads it, or waits for it."""
    now = moment.call.number
    if buffer.first == buffer.last:
        return "scratch, used here only"
    if buffer.first == now:
        return "written here"
    if buffer.last == now:
        return "read here, dies"
    later = [number for number in buffer.uses if number > now]
    last = memory.call(buffer.function, later[-1])
    verb = "read here, then by" if now in buffer.uses else "kept for"
    more = f", {len(later) - 1} more before it" if len(later) > 1 else ""
    return f"{verb} {describe(last)} (op {last.number}{more})"


def is_kept(memory: Memory, buffer: Buffer) -> bool:
    """Whether a buffer passes from the forward pass to the backward pass."""
    first, last = (memory.call(buffer.function, n) for n in (buffer.first, buffer.last))
    return first.phase == "forward" and last.phase != "forward"


def check_plot(path: Path) -> None:
    """Checks that a plot can be drawn to a file of this name.

    Raises:
        ConfigError: the suffix names no format.
        MissingExtraError: matplotlib is not installed.
    """
    if path.suffix.lower() not in PLOT_SUFFIXES:
        raise ConfigError(f"expected a plot named *.png or *.svg, got '{path}'")
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError(f"plots need matplotlib: {REPORT_HINT}")


def save_plot(path: str | os.PathLike[str], draw: Callable[[], Figure]) -> Path:
    """Writes a figure to a .png or .svg, the same bytes each time.

    Returns:
        the path.

    Raises:
        ConfigError: another suffix, or the file cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    path = Path(path)
    check_plot(path)
    import matplotlib

    format = path.suffix.lower()[1:]
    data = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "tinytrain"}):
        metadata = {"Date": None} if format == "svg" else {}
        draw().savefig(data, format=format, metadata=metadata)
    write_file(path, data.getvalue(), make_folder=True)
    return path


@dataclass(frozen=True)
class MemoryReport:
    """What a program's memory is used for.

    Printed to a terminal with `rich`, as plain text with `str`.

    Attributes:
        memory: the figures.
        stack_bytes: the stack of one step, if it was measured.
    """

    memory: Memory
    stack_bytes: int | None = None

    def tables(self) -> Iterator[Table]:
        """The tables: sections, the tensors at the peak, code by layer, passes."""
        yield self.sections()
        if self.memory.peak is not None:
            yield self.peak(self.memory.peak)
        if self.memory.code_by_layer:
            yield self.code()
        if self.memory.statistics:
            yield self.passes()

    def sections(self) -> Table:
        """Sizes of the object's own sections."""
        memory = self.memory
        state = sum(s.bytes for s in memory.slots if s.name.endswith(".velocity"))
        rows: list[tuple[str | int, ...]] = [("SRAM", memory.sram_bytes)]
        rows += [("  arena", memory.arena_bytes), ("  trained parameters", memory.param_bytes)]
        if state:
            rows.append(("    of them optimizer state", state))
        other = memory.sram_bytes - memory.arena_bytes - memory.param_bytes
        if other:
            rows.append(("  other", other))
        rows += [("flash", memory.flash_bytes), ("  code", memory.code_bytes)]
        constants = sorted(
            (
                (size, name)
                for name, size in memory.sections.items()
                if size and not memory.is_writable(name) and not memory.is_code(name)
            ),
            reverse=True,
        )
        rows += [(f"  {name}", size) for size, name in constants[:_SECTIONS_SHOWN]]
        if rest := constants[_SECTIONS_SHOWN:]:
            rows.append((f"  {len(rest)} smaller sections", sum(size for size, _ in rest)))
        if self.stack_bytes is not None:
            rows.append(("stack, measured", self.stack_bytes))
        return Table(memory.title, ("memory", "bytes"), tuple(rows))

    def peak(self, moment: Moment) -> Table:
        """The tensors that are alive at a moment, largest first."""
        call = moment.call
        rows = tuple(
            (
                buffer.location,
                tensor_type(buffer),
                buffer.bytes,
                buffer.offset,
                why_alive(self.memory, buffer, moment),
            )
            for buffer in moment.live
        )
        overlap = sum(b.bytes for b in moment.live) - moment.live_bytes
        gaps = self.memory.arena_bytes - moment.live_bytes
        note = f"{moment.live_bytes:,} bytes alive in an arena of {self.memory.arena_bytes:,}"
        note += f", {gaps:,} unused" if gaps else ""
        note += f"; {overlap:,} counted twice, where a result overwrites its operand"
        return Table(
            f"peak at op {call.number} of {call.function}: {describe(call)} ({call.phase})",
            ("tensor", "type", "bytes", "offset", "why it is alive"),
            rows,
            note if overlap else note.partition(";")[0],
        )

    def code(self) -> Table:
        """Code of the layers' kernels."""
        memory = self.memory
        layers = memory.code_by_layer
        rows = [(layer.layer, layer.bytes, layer.shared_bytes or "") for layer in layers]
        rest = memory.code_bytes - sum(layer.bytes for layer in layers)
        rows.append(("shared by layers, and calls", rest, ""))
        return Table(
            "code",
            ("layer", "bytes", "shared bytes"),
            tuple(rows),
            f"{memory.code_bytes:,} bytes; what layers of the same shapes share is there once",
        )

    def passes(self) -> Table:
        """What each pass counted in bytes, in the training step if there is one."""
        rows: list[tuple[str | int, ...]] = []
        before: dict[tuple[str, str], int] = {}
        trains = any(s.function == "step" for s in self.memory.statistics)
        for s in self.memory.statistics:
            if s.function not in ("", "step" if trains else "infer"):
                continue
            key = (s.stage, s.pass_name)
            if s.name == "peak-before":
                before[key] = s.value
            elif s.name == "peak-after" and key in before:
                rows.append((*key, "peak lowered by", before.pop(key) - s.value))
            elif "bytes" in s.name.split("-"):
                rows.append((*key, s.name.replace("-", " "), s.value))
        return Table(
            "passes",
            ("stage", "pass", "what", "bytes"),
            tuple(rows),
            "bytes removed: of tensors that are no longer computed or stored, at any time",
        )

    def table(self, width: int = 120) -> str:
        """The tables as plain text."""
        with io.StringIO() as text:
            Console(file=text, width=width, color_system=None).print(self)
            return text.getvalue()

    def __str__(self) -> str:
        return self.table()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for table in self.tables():
            yield rich_table(table)

    def to_html(self) -> str:
        """One page without dependencies: timeline and arena map to hover, and the tables."""
        from .report_html import render_html

        return render_html(self)

    def plot(self, path: str | os.PathLike[str]) -> Path:
        """Draws the bytes of the arena over the kernel calls, to a .png or .svg.

        Returns:
            the path.

        Raises:
            ConfigError: another suffix, or the file cannot be written.
            MissingExtraError: matplotlib is not installed.
        """
        return save_plot(path, self._draw)

    def _draw(self) -> Figure:
        from matplotlib.figure import Figure

        functions = list(dict.fromkeys(call.function for call in self.memory.calls))
        figure = Figure(figsize=(10, 0.8 + 3 * max(1, len(functions))), layout="constrained")
        figure.suptitle(self.memory.title)
        for i, function in enumerate(functions):
            axes = figure.add_subplot(len(functions), 1, i + 1)
            moments = [m for m in self.memory.moments if m.function == function]
            for phase, color in PHASES.items():
                part = [m for m in moments if m.call.phase == phase]
                if not part:
                    continue
                axes.bar(
                    [m.call.number for m in part],
                    [m.live_bytes for m in part],
                    width=1.0,
                    color=color,
                    label=phase,
                )
            axes.axhline(self.memory.arena_bytes, color="black", linestyle="--", label="arena")
            axes.set(title=function, xlabel="op", ylabel="bytes alive", xlim=(-0.5, len(moments)))
            axes.legend(loc="upper right", fontsize="small")
        return figure


PHASES = {"forward": "#4477aa", "backward": "#cc6644", "update": "#228855"}
"""The phases of a step and their colours in plots."""


def rich_table(table: Table) -> Group:
    """A table for the terminal."""
    result = RichTable(title=Text(table.title), title_justify="left", box=box.SIMPLE_HEAD)
    numbers = {i for row in table.rows for i, cell in enumerate(row) if isinstance(cell, int)}
    for i, column in enumerate(table.columns):
        right = i in numbers
        result.add_column(column, justify="right" if right else "left", overflow="fold")
    for row in table.rows:
        result.add_row(*(Text(f"{c:,}" if isinstance(c, int) else c) for c in row))
    return Group(result, Text(table.note + "\n" if table.note else "", style="dim"))
