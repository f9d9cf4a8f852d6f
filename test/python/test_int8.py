"""Quantized programs on every target against the oracle: stored integers bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from int8_graphs import Layers, image
from oracle_session import OracleSession, infer
from torch.nn import functional

import tinytrain_mlir as tt
from tinytrain_mlir import ir
from tinytrain_mlir.dialects import tinytrain
from tinytrain_mlir.graph import Graph
from tinytrain_mlir.llvm_module import CHECKPOINT_HEADER
from tinytrain_mlir.program import Program
from tinytrain_mlir.quantization import Quantization
from tinytrain_mlir.session import Session

Array = npt.NDArray[Any]
Draw = Callable[..., Any]
TARGETS = ("host", "cortex-m7", "cortex-a72")

seeds = st.integers(0, 2**32 - 1)
zero_points = st.sampled_from([-128, 127, -7, 0, 5])
batches = st.sampled_from([1, 3])


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def assert_same(got: Array, wanted: Array, message: str) -> None:
    """Integers bit for bit; f32 within 1e-6 of the largest value."""
    assert got.dtype == wanted.dtype and got.shape == wanted.shape, message
    limit = 1e-6 * np.abs(wanted).max() if got.dtype == np.float32 else 0
    np.testing.assert_allclose(got, wanted, rtol=0, atol=limit, err_msg=message)


def check_inference(graph: Graph, xs: list[Array], targets: tuple[str, ...] = TARGETS) -> None:
    wanted = [infer(graph, x) for x in xs]
    for target in targets:
        with tt.compile(graph, loss=None, target=target).load() as session:
            for x, y in zip(xs, wanted, strict=True):
                assert_same(session.infer(x), y, target)


def labels(program: Program) -> list[str]:
    return [call.label for call in program.compiled.calls]


# Inference


def window(draw: Draw, layers: Layers, largest: int = 3) -> dict[str, Any]:
    """A kernel that fits the image, strides, and padding smaller than the kernel."""
    kernel = tuple(draw(st.integers(1, min(largest, size))) for size in layers.x.shape[1:3])
    strides = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    padding = tuple(draw(st.integers(0, kernel[d // 2] - 1)) for d in range(4))
    return {"kernel": kernel, "strides": strides, "padding": padding}


def add_convolution(draw: Draw, layers: Layers, kind: str) -> None:
    channels = layers.x.shape[3]
    attributes = window(draw, layers) | {"zero_point": draw(zero_points)}
    attributes["by_channel"] = draw(st.booleans())
    outputs, groups = draw(st.integers(1, 9)), 1
    if kind == "depthwise":
        outputs = groups = channels
    elif kind == "grouped" and channels % 2 == 0:
        outputs, groups = 2 * draw(st.integers(1, 3)), 2
    if kind == "dense" and max(attributes["kernel"]) * 2 <= min(layers.x.shape[1:3]):
        attributes["dilations"] = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    layers.conv(outputs, groups=groups, **attributes)


def pool(op: Any, layers: Layers, scale: float, zero_point: int, *attributes: Any) -> None:
    """An average with a scale of its own."""
    type_ = layers.builder._type  # the builder's own method keeps the input's scale
    shape = layers.builder._op(op, layers.x, *attributes).shape
    with layers.builder._location:
        result = type_(shape, Quantization((scale,), zero_point))
    layers.x = layers.builder._op(op, layers.x, *attributes, results=[result])


def add_layer(draw: Draw, layers: Layers) -> None:
    kinds = ["dense", "grouped", "depthwise", "residual", "avg_pool", "max_pool", "requantize"]
    kind = draw(st.sampled_from(kinds))
    zero, builder, x = draw(zero_points), layers.builder, layers.x
    if kind in ("dense", "grouped", "depthwise"):
        add_convolution(draw, layers, kind)
    elif kind == "residual":
        layers.conv(x.shape[3], zero_point=draw(zero_points))
        layers.add(x, zero)
    elif kind == "requantize":
        layers.x = builder.requantize(x, Quantization((layers.scale * 0.7,), zero))
    else:
        kernel, strides, padding = window(draw, layers).values()
        if kind == "max_pool":
            layers.x = builder.max_pool(x, kernel, strides, padding, (1, 1))
        elif draw(st.booleans()):
            layers.x = builder.avg_pool(x, kernel, strides, padding, True)
        else:
            lists = (list(kernel), list(strides), list(padding))
            pool(tinytrain.AvgPoolOp, layers, layers.scale * 0.6, zero, *lists)


def draw_graph(draw: Draw) -> Graph:
    size = (draw(st.integers(3, 9)), draw(st.integers(3, 9)), draw(st.sampled_from([1, 3, 4, 8])))
    random = generator(draw(seeds))
    layers = Layers(random, (draw(batches), *size), draw(zero_points), draw(st.booleans()))
    for _ in range(draw(st.integers(1, 3))):
        add_layer(draw, layers)
    end = draw(st.sampled_from(["image", "real image", "mean", "matmul", "head"]))
    if end == "real image":
        layers.x = layers.builder.dequantize(layers.x)
    elif end == "mean":
        scale = layers.scale * 0.3
        pool(tinytrain.GlobalAvgPoolOp, layers, scale, draw(zero_points))
    elif end == "matmul":
        layers.matmul(draw(st.integers(1, 9)), draw(zero_points))
    elif end == "head":
        layers.head(3)
    return layers.finish()


@given(st.data())
def test_inference(data: st.DataObject) -> None:
    graph = draw_graph(data.draw)
    random = generator(0)
    check_inference(graph, [image(random, graph) for _ in range(2)])


@pytest.mark.parametrize("zero", [-128, 127])
def test_saturation(zero: int) -> None:
    """Inputs and weights at the ends of their range, biases far outside of what a product gives."""
    layers = Layers(generator(1), (3, 5, 5, 8), zero)
    ends = np.array([-128, 127], np.int8)
    values = ends[layers.random.integers(0, 2, (6, 3, 3, 8))]
    bias = np.array([2**29, -(2**29), 2**23, 0, -1, 70_000], np.int32)
    w = layers.stored("w", values, np.full(6, 0.01), 0)
    b = layers.stored("b", bias, np.full(6, 0.02 * 0.01), 0)
    y = layers.builder.conv2d(layers.x, w, (1, 1), (1, 1, 1, 1), (1, 1), 1)
    y = layers.builder.bias_add(y, b)
    layers.x = layers.builder.requantize(y, Quantization((3.0,), -1 - zero))
    graph = layers.finish()
    shape = graph.input.layout.torch_shape
    xs = [np.full(shape, -128, np.int8), np.full(shape, 127, np.int8), image(generator(2), graph)]
    xs.append(ends[generator(3).integers(0, 2, shape)])
    check_inference(graph, xs)
    assert {-128, 127} <= set(np.unique(infer(graph, xs[3])).tolist())


@given(seeds, zero_points)
def test_scales_between_extremes(seed: int, zero: int) -> None:
    """Multipliers from 1e-9 to 1e3, with sums of up to 2^30."""
    layers = Layers(generator(seed), (1, 3, 4, 4))
    channels = 37
    factors = 10 ** layers.random.uniform(-9, 3, channels)
    bias = layers.random.uniform(-200, 200, channels) / factors
    bias = np.clip(np.rint(bias), -(2**30), 2**30).astype(np.int32)
    values = layers.random.integers(-128, 128, (channels, 1, 1, 4), np.int8)
    w = layers.stored("w", values, factors, 0)
    b = layers.stored("b", bias, factors * 0.02, 0)
    y = layers.builder.conv2d(layers.x, w, (1, 1), (0, 0, 0, 0), (1, 1), 1)
    layers.x = layers.builder.requantize(layers.builder.bias_add(y, b), Quantization((0.02,), zero))
    graph = layers.finish()
    check_inference(graph, [image(layers.random, graph) for _ in range(4)])


@pytest.mark.parametrize("scales", [(0.02, 0.03, 0.08), (1 + 2.0**-23, 1.0, 2.0)])
def test_every_sum_of_two(scales: tuple[float, float, float]) -> None:
    """With the second scales, sums become ties when they are rounded to f32."""
    first, second, result = scales
    layers = Layers(generator(0), (1, 128, 512, 2), 3, scale=first)
    builder, x = layers.builder, layers.x
    halves = [builder.slice(x, (0, 0, 0, c), (1, 128, 512, 1), (1, 1, 1, 1)) for c in (0, 1)]
    other = builder.requantize(halves[1], Quantization((second,), -11))
    layers.x = builder.quantized_add(halves[0], other, Quantization((result,), 1))
    pairs = np.stack(np.meshgrid(*[np.arange(-128, 128)] * 2)).reshape(1, 2, 128, 512)
    check_inference(layers.finish(), [pairs.astype(np.int8)])


def test_sums_that_f32_cannot_hold() -> None:
    """An odd sum above 2^24 times 2^-25 is next to a tie; rounded to f32 it is the tie."""
    layers = Layers(generator(0), (1, 16, 16, 1), 3, scale=2.0**-20)
    channels = 32
    bias = ((2 * np.arange(channels) - channels + 1) << 24).astype(np.int32)
    w = layers.stored("w", np.ones((channels, 1, 1, 1), np.int8), np.full(1, 1.0), None)
    b = layers.stored("b", bias, np.full(1, 2.0**-20), None)
    y = layers.builder.conv2d(layers.x, w, (1, 1), (0, 0, 0, 0), (1, 1), 1)
    y = layers.builder.bias_add(y, b)
    layers.x = layers.builder.requantize(y, Quantization((2.0**5,), 0))
    x = np.arange(-128, 128, dtype=np.int8).reshape(1, 1, 16, 16)
    check_inference(layers.finish(), [x])


def test_groups_of_two_channels() -> None:
    """Vectors of two lanes: of the instructions for groups only SDOT has them."""
    layers = Layers(generator(0), (1, 16, 16, 4))
    layers.block(18, 6, stride=2)
    graph = layers.finish()
    x = image(layers.random, graph)
    for target in ("host", "cortex-a72", "cortex-a76"):
        program = tt.compile(graph, loss=None, target=target, passes=tt.MemoryPasses(rows=False))
        assert len(program.compiled.calls) > 4
        with program.load() as session:
            np.testing.assert_array_equal(session.infer(x), infer(graph, x))


def test_a_frozen_network_runs_row_by_row() -> None:
    for batch, rows, kernel in ((1, 9, 3), (3, 10, 5)):
        layers = Layers(generator(batch), (batch, rows, 8, 4))
        layers.block(24, 4, kernel)
        layers.block(32, 6, stride=2)
        graph = layers.finish()
        x = image(layers.random, graph)
        wanted = infer(graph, x)
        for target in TARGETS:
            program = tt.compile(graph, loss=None, target=target)
            assert labels(program).count("row_pipeline") == 2
            with program.load() as session:
                assert_same(session.infer(x), wanted, f"{target}, batch {batch}")
                assert_same(session.infer(x), wanted, f"{target}, batch {batch}, again")
        plain = tt.compile(graph, loss=None, passes=tt.MemoryPasses.none())
        assert "row_pipeline" not in labels(plain)
        with plain.load() as session:
            assert_same(session.infer(x), wanted, f"op by op, batch {batch}")


# Training


def assert_close(got: Array, wanted: Array, name: str) -> None:
    """f32 within its rounding; stored integers within one, of which at most 1 % (or one) differ."""
    assert got.dtype == wanted.dtype
    if got.dtype == np.float32:
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
        return
    distance = np.abs(got.astype(np.int64) - wanted)
    assert distance.max() <= 1, name
    assert (distance > 0).sum() <= max(1, 0.01 * distance.size), name


def small_network(seed: int, batch: int) -> Graph:
    """A strided convolution, a block with a sum, a grouped convolution, poolings, an f32 head."""
    layers = Layers(generator(seed), (batch, 8, 7, 3))
    layers.conv(8, (3, 3), (2, 2), (1, 1, 1, 1))
    layers.block(12, 8)
    layers.conv(6, groups=2, zero_point=4)
    builder, none = layers.builder, (0, 0, 0, 0)
    layers.x = builder.max_pool(layers.x, (2, 2), (1, 1), none, (1, 1))
    layers.x = builder.avg_pool(layers.x, (2, 2), (1, 1), none, True)
    layers.head(4)
    return layers.finish()


def random_state(program: Program, session: Session) -> int:
    (slot,) = (s for s in program.compiled.slots if s.name == "random_state")
    start = CHECKPOINT_HEADER + slot.offset
    return int.from_bytes(session.save()[start : start + slot.bytes], "little")


FRACTIONS = {"*.bias": True, "0.weight": 0.67, "1.weight": 0.5, "2.weight": 0.25, "4.weight": True}
TRAINING: list[Any] = [
    # Without scaling, gradients with respect to integers are small, and the head does not learn.
    (1, tt.SGD(0.1), tt.Int8(seed=7), None),
    (3, tt.SGD(3000.0), tt.Int8(seed=2**32 - 1, qas=False), {"*": True, "fc.*": False}),
    (1, tt.SGD(0.02, momentum=0.9, weight_decay=1e-3), tt.Int8(seed=1), FRACTIONS),
    (1, tt.SGD(0.1), tt.Int8(seed=5, grad="int8", master="i16"), None),
    (3, tt.SGD(0.1), tt.Int8(seed=6, grad="int8", master="f32"), FRACTIONS),
]


def check_training(
    graph: Graph,
    optimizer: tt.SGD,
    int8: tt.Int8,
    update: tt.SparseUpdate | None = None,
    passes: tt.MemoryPasses | None = None,
) -> None:
    """Five steps on each target, compared with the oracle's after the first and the last."""
    random = generator(9)
    with ExitStack() as stack:
        programs = [
            tt.compile(
                graph,
                optimizer=optimizer,
                update=update,
                precision=int8,
                target=target,
                passes=passes,
            )
            for target in TARGETS
        ]
        sessions = [stack.enter_context(program.load()) for program in programs]
        oracle = OracleSession(programs[0], optimizer.lr, int8.seed)
        start = oracle.parameters()
        for step in range(5):
            x, y = image(random, graph), random.integers(0, 4, graph.input.layout.torch_shape[0])
            loss = oracle.step(x, y)
            for session in sessions:
                assert session.step(x, y) == pytest.approx(loss, rel=1e-4, abs=1e-6)
            if step not in (0, 4):
                continue
            wanted = oracle.parameters()
            for session in sessions:
                for name, value in session.parameters().items():
                    assert_close(value, wanted[name], f"{name} after step {step}")
        changed = sum(np.count_nonzero(wanted[n] != start[n]) for n in start)
        assert changed > 0.1 * sum(value.size for value in start.values())
        if int8.grad == "int8":
            parameters = [session.parameters() for session in sessions]
            for name in start:
                assert len({p[name].tobytes() for p in parameters}) == 1, name
        states = {random_state(p, s) for p, s in zip(programs, sessions, strict=True)}
        assert states == {int(oracle.values["random_state"]) % 2**32}


@pytest.mark.parametrize(("batch", "optimizer", "int8", "rules"), TRAINING)
def test_training(
    batch: int, optimizer: tt.SGD, int8: tt.Int8, rules: dict[str, Any] | None
) -> None:
    graph = small_network(4, batch)
    check_training(graph, optimizer, int8, tt.SparseUpdate(rules) if rules else None)


# Sums and rows around the sizes at which words and pairs of rows change over to single bytes.
@pytest.mark.parametrize(("channels", "width"), [(4, 4), (6, 7), (7, 8), (10, 9)])
def test_int8_gradients_of_any_size(channels: int, width: int) -> None:
    layers = Layers(generator(channels), (1, 5, width, 3))
    layers.conv(channels, (3, 3), (1, 1), (1, 1, 1, 1))
    layers.conv(channels + 5)
    layers.conv(channels, (3, 3), (2, 1), (1, 1, 1, 1))
    layers.head(4)
    check_training(layers.finish(), tt.SGD(0.1), tt.Int8(seed=3, grad="int8"))


def test_a_zero_point_of_zero_keeps_its_bias() -> None:
    """A depthwise convolution whose input looks like a gradient, with terms enough for a window."""
    layers = Layers(generator(2), (1, 9, 8, 48), zero_point=0)
    layers.depthwise(3)
    graph = layers.finish()
    x = image(layers.random, graph)
    passes = tt.MemoryPasses(overlap=False)
    with tt.compile(graph, loss=None, target="cortex-m7", passes=passes).load() as session:
        assert_same(session.infer(x), infer(graph, x), "cortex-m7")


# Enough terms for code without loops: gradients of the input in windows, of the weight by rows of taps.
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (7, 2)])
def test_int8_gradients_of_depthwise_convolutions(kernel: int, stride: int) -> None:
    layers = Layers(generator(kernel), (1, 9, 8, 3))
    layers.conv(48)
    layers.depthwise(kernel, stride)
    layers.head(4)
    passes = tt.MemoryPasses(overlap=False)
    check_training(layers.finish(), tt.SGD(0.1), tt.Int8(seed=8, grad="int8"), passes=passes)


@pytest.mark.parametrize("grad", ["f32", "int8"])
def test_an_int8_head_learns(grad: str) -> None:
    layers = Layers(generator(2), (2, 6, 5, 3))
    layers.conv(6, (3, 3), (2, 2))
    layers.matmul(4, 3)
    layers.x = layers.builder.dequantize(layers.x)
    check_training(layers.finish(), tt.SGD(0.1), tt.Int8(seed=2, grad=grad))


def replaced(graph: Graph, arrays: dict[str, Array]) -> Graph:
    """The graph with other values of some parameters."""
    parameters = dict(graph.parameters)
    for name, array in arrays.items():
        parameters[name] = replace(
            parameters[name], array=array.astype(parameters[name].array.dtype)
        )
    return replace(graph, parameters=parameters)


def train_on_all(graph: Graph, lr: float, steps: int = 1, **options: Any) -> Iterator[Any]:
    """The integer parameters after some steps, of each target and of the oracle."""
    random = generator(11)
    data = [(image(random, graph), random.integers(0, 4, 1)) for _ in range(steps)]
    for target in TARGETS:
        program = tt.compile(graph, optimizer=tt.SGD(lr), target=target, **options)
        with program.load() as session:
            for x, y in data:
                session.step(x, y)
            yield target, session.parameters()
    oracle = OracleSession(program, lr)
    for x, y in data:
        oracle.step(x, y)
    yield "oracle", oracle.parameters()


def test_saturated_layers_learn_nothing() -> None:
    """All gradients of integers are zero, however large the learning rate."""
    layers = Layers(generator(3), (1, 5, 5, 3))
    layers.conv(8, (3, 3))
    layers.depthwise(zero_point=0)
    layers.head(4)
    graph = layers.finish()
    ends = np.resize([2**29, -(2**29)], 8)
    graph = replaced(graph, {"0.bias": ends, "1.bias": ends})
    for target, parameters in train_on_all(graph, 1e6, steps=3):
        for name, p in graph.parameters.items():
            value = p.layout.to_torch(p.array)
            assert (parameters[name] == value).all() == (value.dtype != np.float32), (target, name)


def test_weights_stay_in_range() -> None:
    layers = Layers(generator(5), (1, 7, 6, 4))
    layers.conv(8, (3, 3), (2, 2))
    layers.depthwise(zero_point=4)
    layers.head(4)
    graph, random = layers.finish(), layers.random
    names = [name for name, p in graph.parameters.items() if p.array.dtype == np.int8]
    starts = {n: random.choice([-128, 127], graph.parameters[n].array.shape) for n in names}
    graph = replaced(graph, starts)
    *targets, (_, wanted) = train_on_all(graph, 1e9, update=tt.SparseUpdate({"*.weight": True}))
    moved = kept = 0
    for name in names:
        assert set(np.unique(wanted[name]).tolist()) <= {-128, 127}
        moved += (wanted[name] != starts[name]).sum()
        kept += (wanted[name] == starts[name]).sum()
        for target, parameters in targets:
            np.testing.assert_array_equal(parameters[name], wanted[name], f"{target} {name}")
    assert moved > 20 and kept > 20


def test_biases_stay_in_range() -> None:
    """Near +-2^30 with a scale so small that nothing saturates but they."""
    layers = Layers(generator(8), (1, 4, 4, 3))
    limit, margin = 2**30, 5
    signs = np.resize([1, -1], 24)
    w = layers.random.integers(-128, 128, (24, 1, 1, 3), np.int8)
    weight = layers.stored("0.weight", w, np.full(1, 5e-7), None)
    bias = (signs * (limit - margin)).astype(np.int32)
    b = layers.stored("0.bias", bias, np.full(1, 1e-8), None)
    y = layers.builder.conv2d(layers.x, weight, (1, 1), (0, 0, 0, 0), (1, 1), 1)
    y = layers.builder.bias_add(y, b)
    layers.x = layers.builder.requantize(y, Quantization((0.5,), 0))
    layers.head(4)
    graph = layers.finish()
    update = tt.SparseUpdate({"0.bias": True})
    *targets, (_, wanted) = train_on_all(graph, 1e4, update=update)
    outward = np.abs(wanted["0.bias"]) == limit
    assert 4 < outward.sum() < 20
    np.testing.assert_array_equal(
        wanted["0.bias"], signs * np.where(outward, limit, limit - margin - 2**29)
    )
    for target, parameters in targets:
        np.testing.assert_array_equal(parameters["0.bias"], wanted["0.bias"], target)


# Gradients

# Powers of two, so that the sum is exact.
S_Y, S_Z = 2.0**-5, 2.0**-4


def straight_through(v: torch.Tensor, zero_point: int) -> torch.Tensor:
    """The stored integer, whose gradient is that of v unless it saturates."""
    y = (v.round() + zero_point).clamp(-128, 127).detach()
    passed = torch.where((y > -128) & (y < 127), v, 0)
    return y + passed - passed.detach()


def gradients(program: Program, x: Array, y: Array) -> dict[str, Array]:
    """What updates the parameters, by their names, in the graph's layout."""
    names = list(program.graph.parameters)
    values: dict[Any, Array] = {}
    result = {}

    def watch(op: Any, value: Array) -> None:
        values[op.results[0]] = value
        if op.name == "tinytrain.sgd_update":
            number = ir.BlockArgument(op.operands[0]).arg_number
            result[names[number - 1]] = values[op.operands[1]]

    OracleSession(program, 1.0).step(x, y, watch)
    return result


@pytest.mark.parametrize("qas", [True, False])
def test_gradients_are_those_of_pytorch(qas: bool) -> None:
    """conv, bias, requantize; depthwise, requantize; add; mean; f32 head."""
    random = generator(3)
    layers = Layers(random, (1, 6, 6, 2))
    builder, x = layers.builder, layers.x
    s_x = layers.scale
    s_w, s_v = (2.0 ** random.integers(-9, -5, 4).astype(np.float64) for _ in range(2))
    w = random.integers(-128, 128, (4, 3, 3, 2), np.int8)
    v = random.integers(-128, 128, (1, 3, 3, 4), np.int8)
    bias = random.integers(-5000, 20000, 4).astype(np.int32)
    weights = layers.stored("w", w, s_w, 0), layers.stored("v", v, s_v, 3)
    y = builder.conv2d(x, weights[0], (2, 2), (1, 1, 1, 1), (1, 1), 1)
    y = builder.bias_add(y, layers.stored("b", bias, s_w * s_x, 0))
    y = builder.requantize(y, Quantization((S_Y,), -128))
    u = builder.conv2d(y, weights[1], (1, 1), (1, 1, 1, 1), (1, 1), 4)
    layers.x = builder.requantize(u, Quantization((S_Z,), 5))
    layers.x = builder.quantized_add(y, layers.x, Quantization((S_Z,), -7))
    layers.head(3)
    graph = layers.finish()
    program = tt.compile(graph, optimizer=tt.SGD(1.0), precision=tt.Int8(qas=qas))
    data = image(random, graph)
    got = gradients(program, data, np.array([2]))

    def parameter(values: Array, order: tuple[int, ...]) -> torch.Tensor:
        return torch.tensor(values).double().permute(order).requires_grad_()

    tw, tv, tb = parameter(w, (0, 3, 1, 2)), parameter(v, (3, 0, 1, 2)), parameter(bias, (0,))
    channels = (slice(None), None, None)

    def factors(s_in: float, s: Array, s_out: float) -> torch.Tensor:
        return torch.tensor((s_in * s / s_out).astype(np.float32)).double()[channels]

    acc = functional.conv2d(torch.tensor(data).double() - 3, tw, tb, 2, 1)
    ty = straight_through(acc * factors(s_x, s_w, S_Y), -128)
    acc = functional.conv2d(ty + 128, tv, None, 1, 1, 1, 4)
    tu = straight_through(acc * factors(S_Y, s_v, S_Z), 5)
    z = straight_through((ty + 128) * S_Y / S_Z + (tu - 5), -7)
    q = straight_through((z + 7).sum((2, 3)) * np.float32(1 / 9).item(), -7)
    inside = [((t > -128) & (t < 127)).float().mean().item() for t in (ty, tu, z, q)]
    assert min(inside) > 0.2 and min(inside[:3]) < 1  # gradients flow, and some do not
    head = [torch.tensor(graph.parameters[f"fc.{n}"].array).double() for n in ("weight", "bias")]
    functional.cross_entropy(functional.linear((q + 7) * S_Z, *head), torch.tensor([2])).backward()

    def close(
        name: str, wanted: torch.Tensor | None, order: tuple[int, ...], scales: Array
    ) -> None:
        assert wanted is not None
        expected = wanted.permute(order).numpy() / (scales**2 if qas else 1)
        limit = 1e-5 * np.abs(expected).max()
        assert limit > 0
        np.testing.assert_allclose(got[name], expected, rtol=0, atol=limit, err_msg=name)

    close("w", tw.grad, (0, 2, 3, 1), s_w[:, None, None, None])
    close("v", tv.grad, (1, 2, 3, 0), s_v)
    close("b", tb.grad, (0,), s_w * s_x)


@pytest.mark.parametrize("target", ["host", "cortex-m7"])
def test_memory_passes_change_nothing(target: str) -> None:
    """Of a network whose last block learns and whose others run row by row."""
    layers = Layers(generator(1), (1, 12, 12, 4))
    layers.block(32, 4)
    layers.block(32, 8, stride=2)
    layers.block(16, 8)
    layers.head(3)
    graph = layers.finish()
    update = tt.SparseUpdate({"6.*": True, "7.weight": 0.5, "8.weight": 0.25, "fc.*": True})
    x, label = image(layers.random, graph), np.array([1])
    outcomes = []
    for passes in (tt.MemoryPasses(), tt.MemoryPasses.none()):
        program = tt.compile(
            graph,
            update=update,
            passes=passes,
            target=target,
            optimizer=tt.SGD(0.1),
            precision=tt.Int8(seed=3),
        )
        assert ("row_pipeline" in labels(program)) == passes.fuse
        with program.load() as session:
            y = session.infer(x)
            losses = [session.step(x, label) for _ in range(2)]
            outcomes.append((y, losses, session.parameters()))
    (y, losses, got), (plain_y, plain_losses, wanted) = outcomes
    assert_same(y, plain_y, "infer")
    np.testing.assert_allclose(losses, plain_losses, rtol=1e-5)
    start = {name: p.array for name, p in graph.parameters.items()}
    assert all((wanted[name] != start[name]).any() for name in ("6.weight", "7.weight", "8.weight"))
    for name, value in wanted.items():
        assert_close(got[name], value, name)


def test_the_largest_channels_take_their_scales_along() -> None:
    """Of a depthwise and a dense weight in the middle of a network."""
    layers = Layers(generator(2), (1, 8, 8, 4))
    layers.block(16, 4)
    layers.block(16, 4)
    layers.head(3)
    graph = layers.finish()
    update = tt.SparseUpdate({"4.weight": tt.Largest(0.5), "5.weight": [1, 6, 9], "fc.*": True})
    x = image(layers.random, graph)
    plain = tt.compile(graph, loss=None)
    permuted = tt.compile(graph, update=update)
    assert permuted.graph.parameters["4.weight"].layout.order
    with plain.load() as wanted, permuted.load() as got:
        assert_same(got.infer(x), wanted.infer(x), "infer")
        for name, value in wanted.parameters().items():
            np.testing.assert_array_equal(got.parameters()[name], value, name)
        got.step(x, np.array([1]))
        after = got.parameters()
        changed = np.nonzero(
            (after["5.weight"] != wanted.parameters()["5.weight"]).any(axis=(0, 1, 2))
        )[0]
        assert set(changed) <= {1, 6, 9}


def test_a_saved_graph_is_the_same(tmp_path: Path) -> None:
    layers = Layers(generator(3), (1, 8, 8, 4))
    layers.block(16, 4)
    layers.head(3)
    graph = layers.finish()
    graph.save(tmp_path / "graph.mlir")
    x = image(layers.random, graph)
    outcomes = []
    for model in (graph, tmp_path / "graph.mlir"):
        with tt.compile(model, precision=tt.Int8(seed=2)).load() as session:
            session.step(x, np.array([1]))
            outcomes.append((session.infer(x), session.parameters()))
    (y, before), (again, after) = outcomes
    assert_same(y, again, "infer")
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value, name)
