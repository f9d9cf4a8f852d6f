"""The memory report: tables, page, plot, the commands that show it, and the errors of budgets."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import networks
import pytest
import torch
from click.testing import CliRunner
from networks import ResNet, mlp, tiny_net
from torch import nn

import tinytrain_mlir as tt
from tinytrain_mlir.budget import Dependences
from tinytrain_mlir.cli import main
from tinytrain_mlir.driver import STAGES, Buffer
from tinytrain_mlir.errors import BudgetError, ConfigError, MissingExtraError
from tinytrain_mlir.memory import covered_bytes
from tinytrain_mlir.report import why_alive

if TYPE_CHECKING:
    from tinytrain_mlir.program import Program

VOID = {"meta", "path", "rect", "br"}
MODEL = f"{networks.__file__}:tiny_net"
OPTIONS = [MODEL, "--input-shape", "2,1,8,8", "--target", "cortex-m7"]


class Page(HTMLParser):
    """Checks that elements nest, and collects cells, attributes and the data of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.rectangles: list[dict[str, str | None]] = []
        self.links: list[str] = []
        self.data: dict[str, dict[str, list[dict[str, object]]]] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.links += [str(named[key]) for key in ("src", "href") if key in named]
        if tag == "rect":
            self.rectangles.append(named)
        if tag == "tr":
            self.rows.append([])
        if tag not in VOID:
            self.open.append("data" if named.get("id") == "data" else tag)
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() in (tag, "data")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        if self.open and self.open[-1] == "data":
            self.data = json.loads(data)


@pytest.fixture(scope="module")
def tiny() -> Program:
    torch.manual_seed(1)
    return tt.compile(
        tiny_net(),
        torch.zeros(2, 1, 8, 8),
        optimizer=tt.SGD(0.05, 0.9),
        target="cortex-m7",
        name="tiny",
    )


def resnet(update: object = None, budget: tt.Budget | None = None) -> Program:
    torch.manual_seed(1)
    return tt.compile(
        ResNet().eval(),
        torch.zeros(2, 3, 12, 12),
        update=update,  # type: ignore[arg-type]
        target="cortex-m7",
        budget=budget,
    )


@pytest.fixture(scope="module")
def full() -> Program:
    return resnet()


# The plan


def test_calls_and_buffers_fit_together(full: Program) -> None:
    memory = full.memory
    for function in ("infer", "step"):
        numbers = [call.number for call in memory.calls if call.function == function]
        assert numbers == list(range(len(numbers)))
    for buffer in memory.timeline:
        assert buffer.uses == tuple(sorted(set(buffer.uses)))
        assert (buffer.uses[0], buffer.uses[-1]) == (buffer.first, buffer.last)
        assert memory.call(buffer.function, buffer.first).label == buffer.label
    updated = {name for call in memory.calls for name in call.writes}
    assert updated == set(full.graph.parameters)
    assert {call.phase for call in memory.calls} == {"forward", "backward", "update"}
    assert all(call.phase == "forward" for call in memory.calls if call.function == "infer")


def test_covered_bytes_count_overlaps_once() -> None:
    def buffer(offset: int, size: int) -> Buffer:
        return Buffer("step", "", "", "", offset, size, 0, 0, (0,))

    assert covered_bytes([]) == 0
    assert covered_bytes([buffer(8, 8), buffer(0, 4)]) == 12
    assert covered_bytes([buffer(0, 10), buffer(2, 3), buffer(6, 10)]) == 16


def test_the_peak(full: Program) -> None:
    memory, peak = full.memory, full.memory.peak
    assert peak is not None and peak.function == "step"
    assert peak.live_bytes == max(moment.live_bytes for moment in memory.moments)
    assert peak.live_bytes <= max(m.used_bytes for m in memory.moments) == memory.arena_bytes
    assert list(peak.live) == sorted(peak.live, key=lambda b: -b.bytes)
    for buffer in memory.timeline:
        alive = buffer.function == "step" and buffer.first <= peak.call.number <= buffer.last
        assert (buffer in peak.live) == alive
    assert tt.compile(nn.Linear(4, 3), torch.zeros(1, 4), loss=None).memory.peak is None


def test_why_a_tensor_is_alive(full: Program) -> None:
    memory = full.memory
    for moment in memory.moments:
        now = moment.call.number
        for buffer in moment.live:
            why = why_alive(memory, buffer, moment)
            assert (why == "written here") == (buffer.first == now < buffer.last)
            assert (why == "read here, dies") == (buffer.first < now == buffer.last)
            if buffer.first < now < buffer.last:
                assert f"(op {buffer.last}" in why
                assert why.startswith("read here" if now in buffer.uses else "kept for")
    stem = next(b for b in memory.timeline if b.function == "step")
    waiting = next(m for m in memory.moments if m.function == "step" and m.call.phase == "backward")
    assert "kept for update of blocks.0.conv1.weight by conv2d_weight_grad" in why_alive(
        memory, stem, waiting
    )


# Tables


def test_tables_hold_the_figures(full: Program) -> None:
    memory, peak = full.memory, full.memory.peak
    assert peak is not None
    text = str(memory.report())
    assert text == memory.report().table()
    for label, size in (
        ("SRAM", memory.sram_bytes),
        ("arena", memory.arena_bytes),
        ("trained parameters", memory.param_bytes),
        ("flash", memory.flash_bytes),
        ("code", memory.code_bytes),
    ):
        assert re.search(rf"\b{label} +{size:,}\b", text), label
    assert f"peak at op {peak.call.number} of step" in text
    wide = memory.report().table(width=250)
    for buffer in peak.live:
        assert re.search(rf"{re.escape(buffer.location)} .* {buffer.bytes:,} .* \w+", wide)


def test_the_sections_add_up(full: Program) -> None:
    rows = [(str(name), int(size)) for name, size in full.memory.report().sections().rows]
    flash = next(i for i, (name, _) in enumerate(rows) if name == "flash")
    for part in (rows[:flash], rows[flash:]):
        inner = [n for name, n in part[1:] if re.match(r"  \S", name)]
        assert sum(inner) == part[0][1]


def test_code_by_layer_adds_up(full: Program) -> None:
    memory = full.memory
    layers = {layer.layer: layer for layer in memory.code_by_layer}
    assert list(layers) == list(dict.fromkeys(call.location for call in memory.calls))
    names = {name for call in memory.calls for name in call.functions}
    kernels = sum(memory.sections[f".text.{name}"] for name in names)
    own = sum(layer.bytes for layer in layers.values())
    assert 0 < own < kernels < memory.code_bytes
    # What is shared is there once.
    assert sum(layer.shared_bytes for layer in layers.values()) >= 2 * (kernels - own)
    rows = memory.report().code().rows
    assert sum(int(size) for _, size, _ in rows) == memory.code_bytes


def test_passes_show_every_statistic_in_bytes(full: Program) -> None:
    memory = full.memory
    table = memory.report().passes()
    shown = {(row[1], row[2]): row[3] for row in table.rows}
    assert shown
    counted = [s for s in memory.statistics if s.function in ("", "step")]
    for s in counted:
        if "bytes" in s.name.split("-"):
            assert shown[s.pass_name, s.name.replace("-", " ")] == s.value
    found = {(s.pass_name, s.name): s.value for s in counted}
    key = "tinytrain-reorder-ops"
    assert shown[key, "peak lowered by"] == found[key, "peak-before"] - found[key, "peak-after"]


# The page


def test_the_page_is_valid_and_holds_the_figures(full: Program) -> None:
    memory, text = full.memory, full.memory.report().to_html()
    page = Page(text)
    assert page.links == [] and "http" not in text and len(text) < 100_000
    rows = [row[:2] for row in page.rows]
    for label, size in (("SRAM", memory.sram_bytes), ("flash", memory.flash_bytes)):
        assert [label, f"{size:,}"] in rows
    for name, size in memory.sections.items():
        if size:
            assert [name, "SRAM" if memory.is_writable(name) else "flash", f"{size:,}"] in page.rows
    for table in memory.report().tables():
        for row in table.rows:
            assert [f"{c:,}" if isinstance(c, int) else c.strip() for c in row] in page.rows
    boxes = [r for r in page.rectangles if "data-buffer" in r]
    assert len(boxes) == len(memory.timeline)
    assert len(page.rectangles) == len(boxes) + len(memory.calls)
    for function, data in page.data.items():
        calls = [call for call in memory.calls if call.function == function]
        buffers = [buffer for buffer in memory.timeline if buffer.function == function]
        assert len(data["ops"]) == len(calls)
        for shown, buffer in zip(data["buffers"], buffers, strict=True):
            assert (shown["first"], shown["last"]) == (buffer.first, buffer.last)
            assert f"{buffer.bytes:,} bytes at {buffer.offset:,}" in str(shown["lines"])
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(svg)


def test_rectangles_are_the_plan(full: Program) -> None:
    """Height and width of each rectangle are in proportion to bytes and lifetime."""
    page = Page(full.memory.report().to_html())
    boxes = [r for r in page.rectangles if "data-buffer" in r]
    order = [b for f in ("step", "infer") for b in full.memory.timeline if b.function == f]
    scale = 320 / full.memory.arena_bytes
    for box, buffer in zip(boxes, order, strict=True):
        assert float(str(box["height"])) == pytest.approx(buffer.bytes * scale, abs=0.02)


def test_names_are_escaped() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module("</script><b>&", nn.Linear(4, 4))
            self.last = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.last(getattr(self, "</script><b>&")(x).relu())
            return result

    text = tt.compile(Odd(), torch.zeros(2, 4), target="cortex-m7").memory.report().to_html()
    Page(text)
    assert "<b>&" not in text and text.count("</script>") == 2


def test_a_program_without_arena_has_a_report(tmp_path: Path) -> None:
    report = tt.compile(nn.Linear(4, 3), torch.zeros(1, 4), loss=None).memory.report()
    Page(report.to_html())
    assert "peak at" not in str(report)
    assert report.plot(tmp_path / "a.png").is_file()


def test_save_writes_the_page(tiny: Program, tmp_path: Path) -> None:
    tiny.save(tmp_path)
    assert (tmp_path / "report.html").read_text() == tiny.memory.report().to_html()
    written = json.loads((tmp_path / "memory.json").read_text())
    assert len(written["calls"]) == len(tiny.memory.calls)


# Plots


def test_plots(tiny: Program, tmp_path: Path) -> None:
    assert tiny.memory.report().plot(tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    drawn = [tiny.memory.report().plot(tmp_path / f"{i}.svg").read_bytes() for i in range(2)]
    assert ElementTree.fromstring(drawn[0]).tag.endswith("svg") and drawn[0] == drawn[1]
    with pytest.raises(ConfigError, match=r"\.png or \*\.svg.*plot\.pdf"):
        tiny.memory.report().plot(tmp_path / "plot.pdf")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot write"):
        tiny.memory.report().plot(tmp_path / "file" / "a.png")
    assert len(list(tmp_path.iterdir())) == 4


def test_plots_need_matplotlib(tmp_path: Path) -> None:
    code = (
        "import importlib.util, pathlib\n"
        "importlib.util.find_spec = lambda name: None\n"
        "from tinytrain_mlir.report import check_plot\n"
        "try: check_plot(pathlib.Path('a.png'))\n"
        "except ImportError as e: print(type(e).__name__, e)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(MissingExtraError.__name__)
    assert 'pip install "tinytrain-mlir[report]"' in done.stdout


# Commands


def test_tinytrain_report(tmp_path: Path) -> None:
    html, plot = tmp_path / "a" / "r.html", tmp_path / "r.svg"
    arguments = ["report", *OPTIONS, "--stack", "--html", str(html), "--plot", str(plot)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert re.search(r"stack, measured +[1-9][\d,]*", done.output) and "peak at op" in done.output
    page = Page(html.read_text())
    assert any(row and row[0] == "stack, measured" for row in page.rows)
    assert plot.is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["report", *OPTIONS, "--plot", "a.gif"], "*.png or *.svg"),
        (["report", *OPTIONS[:3], "--stack"], "Arm --target"),
        (["inspect", *OPTIONS, "--stage", "linalg"], "unknown stage 'linalg': expected one of"),
    ],
)
def test_wrong_arguments(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert words in done.output and len(done.output.splitlines()) == 1


def test_tinytrain_inspect() -> None:
    done = CliRunner().invoke(main, ["inspect", *OPTIONS])
    assert done.exit_code == 0, done.output
    headers = re.findall(r"^// ---- (\w+): (\d+) ops, (\d+) lines ----$", done.output, re.MULTILINE)
    assert [name for name, _, _ in headers] == list(STAGES)
    assert all(int(ops) > 0 for _, ops, _ in headers)
    one = CliRunner().invoke(main, ["inspect", *OPTIONS, "--stage", "training"]).output
    assert one in done.output and "tinytrain.conv2d_weight_grad" in one and "----" not in one


# The linked program


def test_memory_is_that_of_the_linked_program(tiny: Program) -> None:
    with tiny.load() as session:
        sections = session._device.image.sections  # type: ignore[attr-defined]
    assert sections[".tinytrain.arena"][1] == tiny.memory.arena_bytes
    assert sections[".tinytrain.params"][1] == tiny.memory.param_bytes


# Budgets


def message(program: Program, **limits: int) -> str:
    from tinytrain_mlir.budget import check_budget

    with pytest.raises(BudgetError) as error:
        check_budget(program, tt.Budget(**limits))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_budget_error_names_the_peak_and_its_tensors(full: Program) -> None:
    text, peak = message(full, sram=1024), full.memory.peak
    assert peak is not None and len(peak.live) > 5
    assert f"the peak is at op {peak.call.number} of step" in text
    for buffer in peak.live[:5]:
        assert f"at {buffer.location} ({buffer.bytes} bytes)" in text
    assert text.count(" bytes), ") >= 4
    assert "training nothing" in text and "a smaller input or batch" in text


def test_the_freezing_that_is_proposed_keeps_the_budget(full: Program) -> None:
    limit = full.memory.sram_bytes - 4000
    text = message(full, sram=limit)
    assert "which is enough" in text
    options = Dependences(full.memory).options()
    option = next(o for o in options if full.memory.sram_bytes - o.saved <= limit)
    assert option.parameters[0] in text
    rules = {name: name not in option.parameters for name in full.graph.parameters}
    changed = resnet(tt.SparseUpdate(rules), tt.Budget(sram=limit)).memory
    assert full.memory.arena_bytes - changed.arena_bytes > 0
    assert changed.sram_bytes == pytest.approx(full.memory.sram_bytes - option.saved, rel=0.1)


def test_no_policy_helps_where_the_forward_pass_has_the_peak() -> None:
    text = message(resnet(tt.LastLayer()), sram=1024)
    assert "no update policy lowers the peak: a smaller input or batch does" in text
    assert "freezing" not in text
    text = message(resnet(tt.NoUpdate()), sram=1024)
    assert "nothing is trained: a smaller input or batch helps" in text


def test_parameters_are_named_where_they_take_the_most() -> None:
    torch.manual_seed(1)
    program = tt.compile(
        mlp((64, 64, 10)), torch.zeros(1, 64), optimizer=tt.SGD(momentum=0.9), target="cortex-m7"
    )
    assert "the largest trained parameters are 0.weight (32768 bytes), 2.weight" in message(
        program, sram=1024
    )
    text = message(program, flash=1024)
    assert "0.weight (16384 bytes)" in text and "a smaller model does" in text


def test_functions_are_named_where_code_takes_the_most(tiny: Program) -> None:
    text = message(tiny, flash=1024)
    assert f"{tiny.memory.code_bytes} bytes are code" in text
    assert "the largest functions are " in text and "kinds of kernels" in text
