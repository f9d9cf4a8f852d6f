"""The report as one page: inline SVG, style and script, nothing from the network."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from .driver import Buffer
from .memory import Memory, Moment
from .report import MemoryReport, Table, describe, is_kept, tensor_type

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 1000, 76, 8, 14, 26
_TIMELINE_HEIGHT, _MAP_HEIGHT = 200, 320
_LETTER = 6.2  # width of one in a chart, in its units


def render_html(report: MemoryReport) -> str:
    """The page, from the template `report.html`."""
    memory = report.memory
    # A step holds what inference does, and its peak.
    functions = sorted({call.function for call in memory.calls}, reverse=True)
    parts = {
        "title": escape(memory.title),
        "charts": "\n".join(_charts(memory, function) for function in functions),
        "tables": "\n".join(_table(table) for table in (*report.tables(), *_details(memory))),
        "data": json.dumps(
            {function: _data(memory, function) for function in functions}, separators=(",", ":")
        ).replace("<", "\\u003c"),
    }
    template = Path(__file__).resolve().with_name("report.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def _details(memory: Memory) -> tuple[Table, Table]:
    sections = sorted(memory.sections.items(), key=lambda item: -item[1])
    return (
        Table(
            "trained parameters and optimizer state",
            ("name", "shape", "offset", "bytes"),
            tuple((s.name, "×".join(map(str, s.shape)), s.offset, s.bytes) for s in memory.slots),
        ),
        Table(
            "all sections",
            ("section", "in", "bytes"),
            tuple(
                (name, "SRAM" if memory.is_writable(name) else "flash", size)
                for name, size in sections
                if size
            ),
        ),
    )


def _table(table: Table) -> str:
    def cell(value: str | int) -> str:
        if isinstance(value, int):
            return f'<td class="n">{value:,}</td>'
        indent = len(value) - len(value.lstrip())
        style = f' style="padding-left:{indent / 2 + 0.6:g}em"' if indent else ""
        return f"<td{style}>{escape(value.strip())}</td>"

    numbers = {i for row in table.rows for i, value in enumerate(row) if isinstance(value, int)}
    head = "".join(
        f'<th class="n">{escape(c)}</th>' if i in numbers else f"<th>{escape(c)}</th>"
        for i, c in enumerate(table.columns)
    )
    rows = "\n".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in table.rows)
    note = f"<p>{escape(table.note)}</p>" if table.note else ""
    return (
        f"<details open><summary>{escape(table.title)}</summary>\n<div><table>"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>{note}</details>"
    )


class _Chart:
    """An SVG chart over the kernel calls; `scale` bytes fill its height."""

    def __init__(self, label: str, calls: int, scale: int, height: int) -> None:
        self.step = (_WIDTH - _LEFT - _RIGHT) / max(1, calls)
        self._scale = max(1, scale)
        self._height = height
        self._parts = [
            f'<svg viewBox="0 0 {_WIDTH} {_TOP + height + _BOTTOM}" role="img" '
            f'aria-label="{escape(label)}">'
        ]
        for i in range(5):
            size = self._scale * i // 4
            y = self.y(size)
            self.add(f'<path class="grid" d="M{_LEFT} {y:g}H{_WIDTH - _RIGHT}"/>')
            self.text(_LEFT - 6, y + 4, f"{size:,}", "end")
        every = max(1, round(calls / 10))
        for i in range(0, calls, every):
            self.text(self.x(i + 0.5), _TOP + height + 16, str(i), "middle")

    def x(self, call: float) -> float:
        return round(_LEFT + call * self.step, 2)

    def y(self, size: int) -> float:
        return round(_TOP + self._height * (1 - size / self._scale), 2)

    def add(self, part: str) -> None:
        self._parts.append(part)

    def text(self, x: float, y: float, text: str, anchor: str) -> None:
        self.add(f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>')

    def box(self, first: int, last: int, low: int, high: int, attributes: str) -> None:
        width, height = (last - first + 1) * self.step, self.y(low) - self.y(high)
        self.add(
            f'<rect {attributes} x="{self.x(first):g}" y="{self.y(high):g}" '
            f'width="{width:.2f}" height="{height:.2f}"/>'
        )

    def finish(self) -> str:
        height = _TOP + self._height
        return "\n".join((*self._parts, f'<path class="cursor" d="M0 {_TOP}V{height}"/>', "</svg>"))


def _charts(memory: Memory, function: str) -> str:
    moments = [m for m in memory.moments if m.function == function]
    buffers = _buffers(memory, function)
    timeline = _Chart(
        f"Bytes of the arena during each op of {function}",
        len(moments),
        memory.arena_bytes,
        _TIMELINE_HEIGHT,
    )
    _draw_timeline(timeline, moments, memory.peak)
    arena = _Chart(
        f"Place and lifetime of each tensor of {function} in the arena",
        len(moments),
        memory.arena_bytes,
        _MAP_HEIGHT,
    )
    for i, buffer in enumerate(buffers):
        end = buffer.offset + buffer.bytes
        attributes = f'class="{_kind(memory, buffer)}" data-buffer="{i}"'
        arena.box(buffer.first, buffer.last, buffer.offset, end, attributes)
    for buffer in buffers:
        end = buffer.offset + buffer.bytes
        fits = (buffer.last - buffer.first + 1) * arena.step > _LETTER * len(buffer.location) + 8
        if fits and arena.y(buffer.offset) - arena.y(end) > 13:
            y = (arena.y(buffer.offset) + arena.y(end)) / 2 + 4
            arena.text(arena.x(buffer.first) + 4, y, buffer.location, "start")
    name = escape(function)
    return f"""<section data-function="{name}" tabindex="0">
<h2>{name}</h2>
<h3>Bytes alive during each op
<span class="key forward">forward</span><span class="key backward">backward</span>
<span class="key update">update</span><span class="key used">end of the last tensor</span></h3>
{timeline.finish()}
<h3>Arena: offset over ops
<span class="key activation">activation</span><span class="key kept">kept for the backward pass</span>
<span class="key gradient">gradient, scratch of the backward pass</span></h3>
{arena.finish()}
</section>"""


def _draw_timeline(chart: _Chart, moments: Sequence[Moment], peak: Moment | None) -> None:
    for i, moment in enumerate(moments):
        chart.box(i, i, 0, moment.live_bytes, f'class="{escape(moment.call.phase)}"')
    points = [
        f"{chart.x(i):g} {chart.y(m.used_bytes):g}h{chart.step:.2f}" for i, m in enumerate(moments)
    ]
    if points:
        chart.add(f'<path class="used" d="M{"L".join(points)}"/>')
    if peak in moments:
        x = chart.x(peak.call.number + 0.5) if peak else 0
        chart.text(x, _TOP - 4, "peak", "middle")


def _buffers(memory: Memory, function: str) -> list[Buffer]:
    return [buffer for buffer in memory.timeline if buffer.function == function]


def _kind(memory: Memory, buffer: Buffer) -> str:
    if is_kept(memory, buffer):
        return "kept"
    phase = memory.call(buffer.function, buffer.first).phase
    return "activation" if phase == "forward" else "gradient"


def _data(memory: Memory, function: str) -> dict[str, object]:
    """What the page shows of each op and each tensor under the pointer."""

    def life(buffer: Buffer) -> list[str]:
        calls = [memory.call(function, number) for number in buffer.uses]
        return [
            f"op {c.number}: {'reads, ' if i else 'writes, '}{describe(c)}"
            for i, c in enumerate(calls)
        ]

    return {
        "plot": {"left": _LEFT, "right": _WIDTH - _RIGHT, "width": _WIDTH},
        "ops": [
            {
                "title": f"op {m.call.number}: {describe(m.call)}",
                "lines": [
                    f"{m.call.phase} at {m.call.location}",
                    f"{m.live_bytes:,} bytes alive, the last ends at {m.used_bytes:,}",
                    f"{m.call.macs:,} MACs",
                ],
            }
            for m in memory.moments
            if m.function == function
        ],
        "buffers": [
            {
                "title": f"{b.location}: {tensor_type(b)}",
                "first": b.first,
                "last": b.last,
                "lines": [
                    f"{b.bytes:,} bytes at {b.offset:,}, alive from op {b.first} to {b.last}",
                    *life(b),
                ],
            }
            for b in _buffers(memory, function)
        ],
    }
