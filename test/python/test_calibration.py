"""Post-training quantization: ranges against NumPy, and the graphs that are quantized with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from click.testing import CliRunner
from conftest import calibrate
from torch import nn

from tinytrain_mlir.api import import_model
from tinytrain_mlir.calibration import INPUT, insert_observers, observe
from tinytrain_mlir.cli import main
from tinytrain_mlir.errors import ConfigError
from tinytrain_mlir.frontends.graph_builder import Array, ParamLayout
from tinytrain_mlir.graph import Graph, MlirBuilder
from tinytrain_mlir.histogram import Histogram, Range
from tinytrain_mlir.oracle import Interpreter
from tinytrain_mlir.quantization import SMALLEST_SCALE, Quantization

SHAPE = (2, 3, 12, 12)


class Blocks(nn.Module):
    """A stem, a block of pointwise and depthwise convolutions with a residual, pools, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.expand = nn.Conv2d(4, 8, 1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.project = nn.Conv2d(8, 4, 1)
        self.head = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.stem(x)), 2)
        y = F.relu6(self.depthwise(F.relu6(self.expand(x))))
        x = F.avg_pool2d(F.relu(x + self.project(y)), 2, 1)
        logits: torch.Tensor = self.head(x.mean((2, 3)))
        return logits


PAIR = ["quantize", "dequantize"]
BLOCKS = [
    *PAIR,  # the input
    *(*PAIR, "conv2d", "bias_add", "relu", *PAIR, "max_pool"),
    *(*PAIR, "conv2d", "bias_add", "clamp", *PAIR),
    *(*PAIR, "conv2d", "bias_add", "clamp", *PAIR),
    *(*PAIR, "conv2d", "bias_add", *PAIR),
    *("add", "relu", *PAIR, "avg_pool", *PAIR, "global_avg_pool", *PAIR),
]


def images(count: int = 3, shape: tuple[int, ...] = SHAPE) -> list[torch.Tensor]:
    return [torch.randn(shape) for _ in range(count)]


def operations(graph: Graph) -> list[Any]:
    block = graph.module.body.operations[0].regions[0].blocks[0]
    return [view.operation for view in block.operations]


def names(graph: Graph) -> list[str]:
    return [op.name.removeprefix("tinytrain.") for op in operations(graph)][:-1]


def types(graph: Graph) -> list[Quantization]:
    """What is quantized, in order."""
    found = [Quantization.parse(str(op.results[0].type)) for op in operations(graph)[:-1]]
    return [numbers for numbers in found if numbers is not None]


def run(graph: Graph, x: torch.Tensor) -> Array:
    """The result of a graph in the model's own layout."""
    arguments = [graph.input.layout.to_ir(x.numpy())]
    arguments += [p.array for p in graph.parameters.values()]
    (y,) = Interpreter(graph.module).run("infer", arguments)
    return graph.output.layout.to_torch(y)


def quantized(
    model: nn.Module, inputs: Sequence[torch.Tensor], method: str = "minmax", head: bool = False
) -> Graph:
    graph = import_model(model.eval(), inputs[0])
    before = str(graph.module)
    result = insert_observers(graph, observe(graph, inputs, method), quantize_head=head)
    assert str(graph.module) == before
    assert result.module.operation.verify()
    return result


# Histograms and ranges


def filled(*arrays: Array) -> Histogram:
    histogram = Histogram()
    for array in arrays:
        histogram.add(array)
    return histogram


def error(values: Array, bounds: Range) -> float:
    numbers = bounds.quantization()
    exact = values.astype(np.float64)
    return float(np.mean((numbers.dequantize(numbers.quantize(values)) - exact) ** 2))


def samples(seed: int = 0, count: int = 20_000) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=count)
    drawn = {
        "normal": normal,
        "positive": np.maximum(normal, 0),
        "negative": -np.abs(normal) - 1,
        "heavy": rng.standard_t(2, count),
        "skewed": rng.exponential(size=count) - 0.2,
        "large": normal * 1e20,
        "small": normal * 1e-20,
        "zero": np.zeros(count),
    }
    return {name: x.astype(np.float32) for name, x in drawn.items()}


@pytest.mark.parametrize("name", samples())
def test_least_and_largest(name: str) -> None:
    x = samples()[name]
    found = filled(x).minmax()
    assert (found.low, found.high) == (min(x.min(), 0), max(x.max(), 0))


@pytest.mark.parametrize("name", samples())
def test_percentiles(name: str) -> None:
    x = samples()[name]
    found = filled(x).percentile(99.9)
    low, high = np.percentile(x, [0.1, 99.9], method="inverted_cdf")
    bin_width = float(np.abs(x).max()) / 4096
    assert found.low == pytest.approx(min(float(low), 0), abs=bin_width)
    assert found.high == pytest.approx(max(float(high), 0), abs=bin_width)


@pytest.mark.parametrize("name", ["normal", "positive", "negative", "heavy", "skewed"])
def test_least_error(name: str) -> None:
    x = samples()[name]
    histogram = filled(x)
    found, whole = histogram.least_error(), histogram.minmax()
    assert whole.low <= found.low <= 0 <= found.high <= whole.high
    steps = np.arange(1, 21) / 20
    grid = [Range(whole.low * a, whole.high * b) for a in steps for b in steps]
    assert error(x, found) <= 1.02 * min(error(x, bounds) for bounds in grid)
    assert error(x, found) < error(x, whole) or name in ("positive", "negative")


def test_histograms_do_not_depend_on_the_order_of_arrays() -> None:
    drawn = list(samples().values())
    small_first = filled(*sorted(drawn, key=lambda x: float(np.abs(x).max())))
    large_first = filled(*sorted(drawn, key=lambda x: -float(np.abs(x).max())))
    assert small_first.total == sum(x.size for x in drawn)
    for method in (Histogram.minmax, Histogram.least_error, lambda h: h.percentile(99.9)):
        assert method(small_first) == method(large_first)


@pytest.mark.parametrize(
    ("low", "high", "zero_point"),
    [(0, 6, -128), (-6, 0, 127), (-1, 1, 0), (-1, 3, -64), (-1e-9, 0, -128), (0, 0, -128)],
)
def test_integers_of_a_range(low: float, high: float, zero_point: int) -> None:
    numbers = Range(low, high).quantization()
    assert numbers.zero_point == zero_point
    (scale,) = numbers.scales
    assert scale == pytest.approx(max((high - low) / 255, SMALLEST_SCALE), rel=1e-6)
    assert numbers.dequantize(np.array([zero_point], np.int8)) == 0
    bounds = numbers.dequantize(np.array([-128, 127], np.int8))
    assert bounds[0] <= low + 0.51 * scale
    assert bounds[1] >= high - 0.51 * scale


def test_ranges_are_around_0() -> None:
    for low, high in [(1, 2), (-2, -1), (0, np.inf), (np.nan, 0)]:
        with pytest.raises(ValueError, match="around 0"):
            Range(low, high)


# Which values are quantized


@pytest.mark.parametrize("head", [False, True])
def test_blocks(head: bool) -> None:
    torch.manual_seed(1)
    graph = quantized(Blocks(), images(), head=head)
    tail = [*PAIR, "matmul", "bias_add", *PAIR] if head else ["matmul", "bias_add"]
    assert names(graph) == [*BLOCKS, *tail]
    axes = [numbers.axis for numbers in types(graph)]
    layers = [None, 0, None, 0, None, 3, None, 0, None, None, None, None]
    assert axes == [*layers, *([0, None] if head else [])]
    after_relu = [2, 4, 6, 9, 10, 11]
    assert all(types(graph)[i].zero_point == -128 for i in after_relu)


def test_ranges_are_those_of_pytorch() -> None:
    model, inputs = Blocks().eval(), images()
    graph = import_model(model, inputs[0])
    seen: dict[str, list[torch.Tensor]] = {}

    def remember(name: str) -> Callable[..., None]:
        return lambda _module, _args, result: seen.setdefault(name, []).append(result.detach())

    for name in ("stem", "project"):
        model.get_submodule(name).register_forward_hook(remember(name))
    for x in inputs:
        model(x)
    ranges = observe(graph, iter(inputs))
    convolutions = [i for i, op in enumerate(operations(graph)) if op.name == "tinytrain.conv2d"]
    stem, project = (torch.stack(seen[name]) for name in ("stem", "project"))
    x = torch.stack(inputs)
    assert ranges[INPUT] == Range(float(x.min()), float(x.max()))
    found = ranges[convolutions[0] + 2]  # behind bias_add and relu
    assert [found.low, found.high] == pytest.approx([0.0, float(stem.max())], rel=1e-5)
    found = ranges[convolutions[3] + 1]  # behind bias_add
    expected = [float(project.min()), float(project.max())]
    assert [found.low, found.high] == pytest.approx(expected, rel=1e-5)


class Odd(nn.Module):
    """What stays f32, what moves elements, and values with several uses."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 4, 1, bias=False)
        self.b = nn.Conv2d(4, 4, 3)
        self.norm = nn.Parameter(torch.ones(4, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x)
        z: torch.Tensor = self.b(F.pad(y * self.norm, (1, 1, 1, 1)))
        return F.relu(z) + z + 1.0


def test_other_ops_stay_f32_between_pairs() -> None:
    graph = quantized(Odd(), images())
    assert names(graph) == [
        *PAIR,
        *(*PAIR, "conv2d", *PAIR),
        *("broadcast", "mul", *PAIR, "pad"),
        *(*PAIR, "conv2d", "bias_add", *PAIR),
        *("relu", *PAIR, "add", *PAIR, "shift"),
    ]


def test_a_weight_used_twice_is_quantized_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.conv(F.relu(self.conv(x)))
            return y

    graph = quantized(Twice(), images())
    assert sum(numbers.axis is not None for numbers in types(graph)) == 1
    assert names(graph).count("conv2d") == 2


def test_fully_connected_networks() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
    graph = quantized(model, images(shape=(16, 6)))
    layer = [*PAIR, *PAIR, "matmul", "bias_add", "relu", *PAIR]
    assert names(graph) == [*layer, "matmul", "bias_add"]


# Their numbers


def test_integers_of_a_layer() -> None:
    model, inputs = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval(), images()
    graph = quantized(model, inputs)
    numbers = types(graph)
    x_range = torch.stack(inputs)
    scale = float((x_range.max() - x_range.min()) / 255)
    assert numbers[0].scales[0] == pytest.approx(scale, rel=1e-6)
    weight = graph.parameters["0.weight"].array
    expected = np.abs(weight).max((1, 2, 3)) / 127
    assert numbers[1].scales == pytest.approx(expected, rel=1e-6)
    assert np.array_equal(np.abs(numbers[1].quantize(weight)).max((1, 2, 3)), np.full(4, 127))

    x = numbers[0].quantize(inputs[0].permute(0, 2, 3, 1).numpy())
    w = numbers[1].quantize(weight)
    sums = F.conv2d(
        torch.from_numpy(x.astype(np.float64) - numbers[0].zero_point).permute(0, 3, 1, 2),
        torch.from_numpy(w.astype(np.float64)).permute(0, 3, 1, 2),
    ).numpy()
    factors = np.array(numbers[1].scales) * numbers[0].scales[0]
    y = sums * factors.reshape(-1, 1, 1) + graph.parameters["0.bias"].array.reshape(-1, 1, 1)
    y = numbers[2].dequantize(numbers[2].quantize(np.maximum(y, 0).astype(np.float32)))
    assert np.abs(run(graph, inputs[0]) - y).max() < 1.01 * numbers[2].scales[0]
    assert np.mean(run(graph, inputs[0]) != y) < 0.001


@pytest.mark.parametrize("method", ["minmax", "percentile", "mse"])
@pytest.mark.parametrize("build", [Blocks, lambda: networks.SmallCNN(), lambda: networks.ResNet()])
def test_results_are_close(build: Callable[[], nn.Module], method: str) -> None:
    model = build()
    shape = (1, *((3, 16, 16) if isinstance(model, networks.SmallCNN) else (3, 12, 12)))
    model = calibrate(model, shape[1:]).eval()
    inputs = images(8, shape)
    graph = quantized(model, inputs, method)
    with torch.no_grad():
        exact = np.concatenate([model(x).numpy() for x in inputs])
    found = np.concatenate([run(graph, x) for x in inputs])
    assert np.linalg.norm(found - exact) < 0.1 * np.linalg.norm(exact)


def graph_of(weight: Array, bias: Array) -> Graph:
    builder = MlirBuilder()
    x = builder.input("x", (1, 4, 4, weight.shape[3]), "f32")
    w = builder.parameter("w", weight, ParamLayout.identity(weight.shape))
    b = builder.parameter("b", bias, ParamLayout.identity(bias.shape))
    y = builder.bias_add(builder.conv2d(x, w, (1, 1), (0, 0, 0, 0), (1, 1), 1), b)
    builder.output([y])
    return builder.finish()


def test_dead_channels_have_room_for_their_bias() -> None:
    weight = np.zeros((3, 1, 1, 2), np.float32)
    weight[1:] = [[[[1e-9, 0.0]]], [[[0.5, -1.0]]]]
    bias = np.array([1e6, 0.0, 2.0], np.float32)
    graph = graph_of(weight, bias)
    x = np.full((1, 2, 4, 4), 0.01, np.float32)
    x_numbers, w_numbers, _ = types(insert_observers(graph, observe(graph, [x])))
    assert w_numbers.scales[1] == pytest.approx(SMALLEST_SCALE, rel=1e-6)
    assert w_numbers.scales[2] == pytest.approx(1 / 127, rel=1e-6)
    sums = bias / (np.array(w_numbers.scales) * x_numbers.scales[0])
    assert sums[0] == pytest.approx(2**29, rel=1e-5)
    assert np.abs(sums).max() < 2**30


def test_locations_and_parameters_stay() -> None:
    model, inputs = Blocks(), images()
    graph = import_model(model.eval(), inputs[0])
    result = insert_observers(graph, observe(graph, inputs))
    assert list(result.parameters) == list(graph.parameters)
    assert result.ports == graph.ports
    places = {str(op.location) for op in operations(graph)}
    assert {str(op.location) for op in operations(result)} <= places | {"loc(unknown)"}


# Errors


def test_wrong_uses() -> None:
    inputs = images()
    graph = import_model(Blocks().eval(), inputs[0])
    with pytest.raises(ConfigError, match="minmax, percentile, mse, got 'best'"):
        observe(graph, inputs, "best")
    with pytest.raises(ConfigError, match="at least one"):
        observe(graph, [])
    with pytest.raises(ConfigError, match=r"f32 \[2, 3, 12, 12\], got float32 \[1, 3, 12, 12\]"):
        observe(graph, [inputs[0][:1]])
    with pytest.raises(ConfigError, match="got float64"):
        observe(graph, [inputs[0].double()])
    with pytest.raises(ConfigError, match="NaN or infinity in 1"):
        observe(graph, [inputs[0], inputs[0] / 0])
    ranges = observe(graph, inputs)
    result = insert_observers(graph, ranges)
    for function in (lambda: observe(result, inputs), lambda: insert_observers(result, ranges)):
        with pytest.raises(ConfigError, match="quantized already"):
            function()
    del ranges[max(ranges)]
    with pytest.raises(ConfigError, match="this very graph"):
        insert_observers(graph, ranges, quantize_head=True)


def test_the_command_line_calibrates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(
        "from torch import nn\n"
        "net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))\n",
        encoding="utf-8",
    )
    x = np.random.default_rng(0).standard_normal((5, 1, 4, 4), dtype=np.float32)
    np.savez("x.npz", x=x)
    given = ["run", "net.py:net", "--input-shape", "1,1,4,4", "--int8", "x.npz", "--steps", "2"]
    done = CliRunner().invoke(main, [*given, "--int8-option", "grad=int8"])
    assert done.exit_code == 0, done.output
    for option in ("grad=int4", "gard=int8", "qas=maybe", "seed=-1"):
        failed = CliRunner().invoke(main, [*given, "--int8-option", option])
        assert failed.exit_code == 1 and "expected" in failed.output and option[:4] in failed.output
    failed = CliRunner().invoke(main, [*given[:5], "absent.npz"])
    assert failed.exit_code == 1 and "absent.npz" in failed.output
