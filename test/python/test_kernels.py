"""Instructions of the int8 kernels on the emulated Cortex-M7, and where a step's instructions go."""

from __future__ import annotations

from pathlib import Path

import kernels
import numpy as np
import published
import pytest
from click.testing import CliRunner
from int8_graphs import Layers, image
from oracle_session import infer
from rich.console import Console

import tinytrain_mlir as tt
from tinytrain_mlir.cli import main
from tinytrain_mlir.driver import KernelCall
from tinytrain_mlir.errors import EmulatorError
from tinytrain_mlir.graph import Graph
from tinytrain_mlir.profile import OTHER, Profile

# Instructions per multiplication, as `benchmarks/kernels.py` prints them.
KERNELS = {
    "pointwise 64²·16→8": 1.78,
    "pointwise 64²·8→48": 2.03,
    "pointwise 16²·48→16": 1.22,
    "pointwise 8²·96→24": 1.11,
    "pointwise 8²·24→144": 1.51,
    "pointwise 4²·576→160": 1.17,
    "depthwise 3×3 s1 64²·16": 3.67,
    "depthwise 3×3 s2 64²·48": 3.89,
    "depthwise 3×3 s1 8²·144": 3.70,
    "depthwise 5×5 s1 8²·160": 2.94,
    "depthwise 7×7 s1 8²·160": 2.48,
    "conv 3×3 s2 128²·3→16": 1.67,
}


@pytest.mark.parametrize("shape", kernels.SHAPES, ids=lambda shape: shape.name)
def test_instructions_of_kernels(shape: kernels.Shape) -> None:
    per_mac = shape.instructions("cortex-m7") / shape.macs
    assert per_mac == pytest.approx(KERNELS[shape.name], rel=0.02)


# Likewise of gradients: of the input with f32 and int8, of the weight with f32 and int8.
GRADIENTS = {
    "pointwise 8²·96→24": (2.06, 2.34, 2.58, 2.72),
    "pointwise 8²·24→144": (1.83, 1.74, 2.68, 2.89),
    "pointwise 4²·576→160": (1.86, 1.76, 4.58, 4.42),
    "depthwise 3×3 s1 8²·144": (2.05, 3.07, 3.39, 2.78),
    "depthwise 7×7 s1 8²·160": (1.08, 1.47, 1.95, 2.24),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_instructions_of_gradients(name: str) -> None:
    (shape,) = (shape for shape in kernels.SHAPES if shape.name == name)
    counts = [
        shape.gradient(of, "cortex-m7", grad) / shape.macs
        for of in ("input", "weight")
        for grad in ("f32", "int8")
    ]
    assert counts == pytest.approx(GRADIENTS[name], rel=0.02)


TARGETS = (
    *("cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-a72", "cortex-a76", "host"),
    pytest.param("cortex-m55", marks=pytest.mark.requires_qemu),
)


# Channels around the sizes at which loops, words and single bytes change over.
@pytest.mark.parametrize("channels", [2, 5, 8, 11, 12, 16, 32, 98, 99, 100, 131, 134])
@pytest.mark.parametrize("target", TARGETS)
def test_channels_of_any_number(channels: int, target: str) -> None:
    random = np.random.default_rng(channels)
    layers = Layers(random, (1, 9, 9, channels), zero_point=-7)
    layers.conv(7)
    layers.conv(channels, zero_point=3)
    layers.depthwise(3)
    layers.conv(8, (3, 3), (1, 1), (1, 1, 1, 1))
    layers.conv(channels)
    layers.depthwise(5, stride=2)
    layers.conv(4, (3, 3), (1, 1), (1, 1, 1, 1))
    graph = layers.finish()
    x = image(random, graph)
    with tt.compile(graph, loss=None, target=target).load() as session:
        np.testing.assert_array_equal(session.infer(x), infer(graph, x))


# Rows of 4n + 1 bytes, of which two are paired where they meet no padding above or below.
@pytest.mark.parametrize("kernel", [(1, 3), (2, 3), (3, 3), (4, 3), (5, 3)])
@pytest.mark.parametrize("target", ["cortex-m4", "cortex-m7"])
def test_rows_that_leave_a_byte(kernel: tuple[int, int], target: str) -> None:
    layers = Layers(np.random.default_rng(kernel[0]), (2, 12, 12, 3), zero_point=-7)
    layers.conv(4, kernel, (1, 2), (kernel[0] // 2, 1, 0, 1))
    graph = layers.finish()
    x = image(layers.random, graph)
    program = tt.compile(graph, loss=None, target=target)
    assert "tinytrain.widened = 2" in program.ir("codegen")
    with program.load() as session:
        np.testing.assert_array_equal(session.infer(x), infer(graph, x))


# Instructions of inference and of one step: MCUNet with the 49kb scheme.
NETWORK = {"infer": 40_588_017, "step": 63_869_163}


@pytest.mark.slow
@pytest.mark.skipif(not published.has_images(), reason=published.WHY_ABSENT)
def test_instructions_of_a_network() -> None:
    program = tt.compile(
        published.load("mcunet-5fps", dequantize=False),
        update=published.schemes("mcunet-5fps")["49kb"],
        target="cortex-m7",
    )
    x, label = published.images(1)
    with program.load("unicorn") as session:
        session.infer(x)
        counts = {"infer": session.instructions}
        session.step(x, label)
        counts["step"] = session.instructions
        profile = session.profile()
    assert counts == pytest.approx(NETWORK, rel=0.02)
    assert profile.instructions == counts["step"]
    assert sum(row.instructions for row in profile.rows if row.phase == OTHER) < 1e6


def small_graph() -> Graph:
    layers = Layers(np.random.default_rng(1), (1, 8, 8, 4))
    layers.block(16, 4)
    layers.block(16, 4)
    layers.head(3)
    return layers.finish()


def test_profile(tmp_path: Path) -> None:
    graph = small_graph()
    program = tt.compile(graph, target="cortex-m7")
    with program.load("unicorn") as session:
        with pytest.raises(EmulatorError, match="no profile: expected infer or step"):
            session.profile()
        session.step(image(np.random.default_rng(0), graph), np.array([1]))
        profile = session.profile()
        assert profile.instructions == session.instructions
    assert set(profile.by_phase()) == {"forward", "backward", "update", OTHER}
    assert sum(sum(by.values()) for by in profile.by_layer().values()) == profile.instructions
    console = Console(width=160, record=True)
    console.print(profile)
    assert f"{profile.instructions:,} instructions" in console.export_text()
    assert profile.plot(tmp_path / "profile.svg").stat().st_size > 1000


def test_the_host_has_no_profile() -> None:
    graph = small_graph()
    with tt.compile(graph).load() as session:
        session.step(image(np.random.default_rng(0), graph), np.array([1]))
        with pytest.raises(EmulatorError, match=r'load\("unicorn"\)'):
            session.profile()


def test_shared_functions_are_divided_evenly() -> None:
    def call(number: int, *functions: str) -> KernelCall:
        return KernelCall("step", number, "conv", "layer", "forward", 10, (), functions)

    calls = [call(0, "a"), call(1, "b"), call(2, "a")]
    profile = Profile.of("step", calls, {"a": 7, "b": 5, "memcpy": 3})
    assert [row.instructions for row in profile.rows] == [4, 5, 3, 3]
    assert profile.rows[-1].phase == OTHER


def test_the_command_line_shows_a_profile(tmp_path: Path) -> None:
    small_graph().save(tmp_path / "graph.mlir")
    given = ["run", str(tmp_path / "graph.mlir"), "--target", "cortex-m7", "--steps", "1"]
    done = CliRunner().invoke(main, [*given, "--profile", "--plot", str(tmp_path / "p.png")])
    assert done.exit_code == 0, done.output
    assert "by kernel" in done.output and (tmp_path / "p.png").stat().st_size > 1000
