"""Any channels are trained as in PyTorch, by permuting the layers around them (see training.py)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from conftest import calibrate, fuse_bn
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import MobileNetV2, ResNet, SmallCNN, mlp, tiny_net
from torch import nn
from training import train_both

import tinytrain_mlir as tt
from tinytrain_mlir.api import import_model
from tinytrain_mlir.axes import Axis, parameter_axes, tie, value_axes
from tinytrain_mlir.channels import _reorder
from tinytrain_mlir.errors import CheckpointError, ConfigError
from tinytrain_mlir.frontends.graph_builder import Array, ParamLayout
from tinytrain_mlir.graph import Graph

Network = tuple[nn.Module, tuple[int, ...]]


def network(name: str) -> Network:
    networks: dict[str, Callable[[], Network]] = {
        "mlp": lambda: (mlp([20, 33, 16, 10]), (20,)),
        "cnn": lambda: (SmallCNN(), (3, 16, 16)),
        "resnet": lambda: (ResNet(), (3, 12, 12)),
        "mobilenet": lambda: (MobileNetV2(0.35, 10), (3, 32, 32)),
    }
    model, shape = networks[name]()
    return calibrate(model, shape), shape


# The parameters of some tensors' channels: those in a row share them.
SHARED: dict[str, list[tuple[int, list[str]]]] = {
    "mlp": [(33, ["2.weight", "0.bias"]), (16, ["4.weight", "2.bias"])],
    "cnn": [(8, ["conv2.weight", "conv1.bias"]), (16, ["conv2.bias"])],
    "resnet": [
        (8, ["blocks.0.conv1.weight", "blocks.0.conv2.bias", "blocks.1.downsample.0.weight"]),
        (8, ["blocks.0.conv2.weight"]),
        (16, ["fc.weight", "blocks.1.conv2.bias"]),
    ],
    "mobilenet": [
        (16, ["features.1.conv.0.0.weight", "features.0.0.bias", "features.1.conv.1.0.weight"]),
        (48, ["features.3.conv.1.0.weight", "features.3.conv.2.0.weight"]),
        (8, ["features.4.conv.0.0.weight", "features.3.conv.2.0.bias"]),
        (1280, ["classifier.1.weight"]),
    ],
}


def mask(shape: Sequence[int], trained: Any) -> Array:
    """Ones where a parameter in PyTorch's layout is trained."""
    result = np.zeros(shape, bool)
    axis = 0 if len(shape) == 1 or shape[1] == 1 else 1
    index = slice(None) if trained is True else list(trained or [])
    np.moveaxis(result, axis, 0)[index] = True
    return result


# Channels


@pytest.mark.parametrize(
    ("name", "lr"), [("mlp", 1e-2), ("cnn", 2e-3), ("resnet", 1e-3), ("mobilenet", 1e-4)]
)
@settings(max_examples=3)
@given(st.data())
def test_any_channels_train_as_in_pytorch(name: str, lr: float, data: st.DataObject) -> None:
    torch.manual_seed(0)
    net = network(name)
    fused = dict(fuse_bn(net[0]).named_parameters())
    rules: dict[str, bool | list[int]] = {}
    for size, names in SHARED[name]:
        order = data.draw(st.permutations(range(size)))
        for parameter in names:  # sets that lie within each other
            count = data.draw(st.integers(0, size))
            rules[parameter] = list(order[:count]) if count else False
    rules[list(fused)[-1]] = True
    masks = {n: mask(fused[n].shape, wanted) for n, wanted in rules.items()}
    momentum = data.draw(st.sampled_from([0.0, 0.9]))
    decay = data.draw(st.sampled_from([0.0, 0.01]))
    train_both(
        net,
        batch=2,
        steps=4,
        lr=lr,
        momentum=momentum,
        weight_decay=decay,
        update=tt.SparseUpdate(rules),
        masks=masks,
        tolerance=0.01,
        all_change=True,
    )


@pytest.mark.parametrize(("name", "lr"), [("cnn", 2e-3), ("resnet", 1e-3), ("mobilenet", 1e-4)])
def test_the_largest_channels_train_as_in_pytorch(name: str, lr: float) -> None:
    net = network(name)
    weights = [n for _, names in SHARED[name] for n in names if n.endswith("weight")]
    update = tt.SparseUpdate({n: tt.Largest(0.25) for n in weights})
    resolved = tt.resolve(update, import_model(net[0], torch.zeros(2, *net[1])))
    fused = dict(fuse_bn(net[0]).named_parameters())
    assert list(resolved.rules) == [n for n in fused if n in weights]
    masks = {n: mask(fused[n].shape, wanted) for n, wanted in resolved.rules.items()}
    train_both(
        net, batch=2, steps=4, lr=lr, update=update, masks=masks, tolerance=0.01, all_change=True
    )


def test_magnitude_is_the_sum_of_absolute_values() -> None:
    graph = import_model(tiny_net(), torch.zeros(1, 1, 8, 8))
    for name, axes, count in (("5.weight", (0, 2, 3), 2), ("8.weight", (0,), 2)):
        parameter = graph.parameters[name]
        sums = np.abs(parameter.layout.to_torch(parameter.array)).sum(axes)
        rules = tt.resolve(tt.SparseUpdate({name: tt.Largest(0.25)}), graph).rules
        assert rules == {name: tuple(sorted(np.argsort(-sums)[:count].tolist()))}
    rules = tt.resolve(tt.SparseUpdate({"5.weight": tt.Largest(1.0)}), graph).rules
    assert rules == {"5.weight": True}


def test_parameters_that_share_channels_take_the_leading_ones_of_one_order() -> None:
    graph = import_model(tiny_net(), torch.zeros(1, 1, 8, 8))
    total = np.zeros(8)
    for name, axes in (("3.weight", (1, 2, 3)), ("5.weight", (0, 2, 3))):
        parameter = graph.parameters[name]
        sums = np.abs(parameter.layout.to_torch(parameter.array).astype(np.float64)).sum(axes)
        total += sums / sums.sum()
    order = np.argsort(-total).tolist()
    update = tt.SparseUpdate({"3.weight": tt.Largest(0.25), "5.weight": tt.Largest(0.5)})
    rules = {"3.weight": tuple(sorted(order[:2])), "5.weight": tuple(sorted(order[:4]))}
    assert tt.resolve(update, graph).rules == rules
    # Channels that a rule names come before those chosen by magnitude.
    smallest = order[-1]
    parameter = graph.parameters["5.weight"]
    sums = np.abs(parameter.layout.to_torch(parameter.array)).sum((0, 2, 3))
    kept = [c for c in np.argsort(-sums).tolist() if c != smallest][:3]
    update = tt.SparseUpdate({"3.weight": [smallest], "5.weight": tt.Largest(0.5)})
    rules = {"3.weight": (smallest,), "5.weight": tuple(sorted([smallest, *kept]))}
    assert tt.resolve(update, graph).rules == rules


def test_first_channels_move_nothing() -> None:
    graph = import_model(tiny_net(), torch.zeros(1, 1, 8, 8))
    rules: dict[str, Any] = {"3.weight": 0.5, "5.weight": [1, 0], "8.*": True}
    program = tt.compile(graph, update=tt.SparseUpdate(rules))
    assert program.graph is graph
    assert tt.resolve(tt.SparseUpdate(rules), graph).rules == {
        "3.weight": 0.5,
        "5.weight": (0, 1),
        "8.weight": True,
        "8.bias": True,
    }


def test_any_channels_need_as_little_memory_as_the_first() -> None:
    model, x = mlp([8, 64, 64, 10]), torch.zeros(32, 8)
    memories = [
        tt.compile(model, x, update=tt.SparseUpdate({"2.weight": rule})).memory
        for rule in ([0, 1], [3, 60], True)
    ]
    sizes = [(m.arena_bytes, m.sram_bytes, m.flash_bytes) for m in memories]
    assert sizes[0] == sizes[1] < sizes[2]


# Which dimensions go together


class Branches(nn.Module):
    """Concatenation, slices and padding of channels."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, padding=1)
        self.c, self.d = nn.Conv2d(8, 6, 1), nn.Conv2d(6, 4, 1)
        self.e = nn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.c(torch.cat([self.a(x), self.b(x)], 1))
        y = y + F.pad(self.d(y), (0, 0, 0, 0, 1, 1))
        z: torch.Tensor = self.e(y[:, 1:5])
        return z.sum((2, 3))


class Shared(nn.Module):
    """One convolution used twice in a residual stream, one weight in two products."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 3, padding=1)
        self.mix, self.fc = nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.stem(x)
        y = y + self.conv(F.relu(self.conv(y)))
        z: torch.Tensor = self.fc(self.mix(self.mix(y.mean((2, 3))) * 2.0))
        return z


class Attention(nn.Module):
    """Batched products of reshaped and transposed activations."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.ModuleList(nn.Linear(6, 12) for _ in range(3))
        self.out, self.fc = nn.Linear(12, 6), nn.Linear(6, 4)
        self.scale = nn.Parameter(torch.randn(12))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = x.shape[0]
        q, k, v = (f(x).reshape(n, 5, 3, 4).transpose(1, 2) for f in self.qkv)
        a = torch.softmax(q @ k.transpose(2, 3), -1) @ v
        y = self.out(a.transpose(1, 2).reshape(n, 5, 12) * self.scale)
        z: torch.Tensor = self.fc((x + y).mean(1))
        return z


def layers(*modules: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*modules)


ZOO: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], set[str]]] = {
    # Model, input, and parameters of which some axis is free.
    "branches": (Branches, (3, 5, 5), set()),
    "shared": (Shared, (3, 5, 5), {"stem.weight", "conv.weight", "mix.weight", "fc.weight"}),
    "attention": (Attention, (5, 6), {"qkv.0.weight", "out.weight", "scale"}),
    "grouped": (
        layers(nn.Conv2d(4, 12, 1), nn.Conv2d(12, 18, 3, groups=3), nn.Conv2d(18, 4, 1)),
        (4, 5, 5),
        {"0.weight", "1.weight", "2.weight"},
    ),
    "multiplier": (
        layers(nn.Conv2d(4, 6, 1), nn.Conv2d(6, 12, 3, groups=6), nn.Conv2d(12, 4, 1)),
        (4, 5, 5),
        {"0.weight", "1.weight", "2.weight"},
    ),
    "flatten": (
        layers(
            nn.Conv2d(3, 6, 3),
            nn.Hardtanh(),
            nn.AvgPool2d(3, 2, 1, count_include_pad=False),
            nn.Flatten(),
            nn.Linear(24, 8),
            nn.LogSoftmax(1),
            nn.Linear(8, 3),
        ),
        (3, 6, 6),
        {"0.weight", "0.bias", "4.weight", "6.weight"},
    ),
    "shuffle": (
        layers(nn.Conv2d(3, 8, 1), nn.PixelShuffle(2), nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)),
        (3, 4, 4),
        {"0.weight", "2.weight"},
    ),
    "norm": (  # the statistics are constants of the graph
        layers(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)),
        (3, 4, 4),
        set(),
    ),
}


def shuffled(graph: Graph, order: Callable[[Array], Array]) -> tuple[Graph, set[str]]:
    """Every axis that has no fixed order in another one; names of the parameters that changed."""
    axes = parameter_axes(graph, value_axes(graph))
    factors = {f: None for dims in axes.values() for axis in dims for f in axis.factors()}
    orders = {f: order(np.arange(f.size)) for f in factors if f.fixed_by is None}
    parameters = {n: _reorder(p, axes[n], orders) for n, p in graph.parameters.items()}
    changed = {n for n, p in parameters.items() if p is not graph.parameters[n]}
    return replace(graph, parameters=parameters), changed


@pytest.mark.parametrize("name", ZOO)
def test_free_axes_can_have_any_order(name: str) -> None:
    make, shape, free = ZOO[name]
    torch.manual_seed(1)
    model = calibrate(make(), shape)
    x = torch.randn(2, *shape)
    graph = import_model(model, x)
    expected = model(x).detach().numpy()
    seen: set[str] = set()
    for order in (np.flip, np.random.default_rng(0).permutation):
        other, changed = shuffled(graph, order)
        seen |= changed
        with tt.compile(other, loss=None).load() as session:
            np.testing.assert_allclose(session.infer(x), expected, rtol=1e-4, atol=1e-5)
            for n, array in session.parameters().items():
                parameter = graph.parameters[n]
                np.testing.assert_array_equal(array, parameter.layout.to_torch(parameter.array))
    assert free <= seen
    assert free or not seen


@pytest.mark.parametrize("name", SHARED)
def test_free_axes_of_networks(name: str) -> None:
    model, shape = network(name)
    x = torch.randn(2, *shape)
    other, changed = shuffled(import_model(model, x), np.random.default_rng(0).permutation)
    assert len(changed) >= len(other.parameters) - 1
    with tt.compile(other, loss=None).load() as session:
        np.testing.assert_allclose(session.infer(x), model(x).detach(), rtol=1e-3, atol=1e-4)


@given(st.data())
def test_tied_reshapes(data: st.DataObject) -> None:
    """Axes that are tied through a reshape permute its two sides alike."""
    factors = data.draw(st.lists(st.sampled_from([1, 2, 3, 4]), min_size=1, max_size=5))

    def merged() -> list[int]:
        sizes = [1]
        for factor in factors:
            if data.draw(st.booleans()):
                sizes.append(1)
            sizes[-1] *= factor
        return sizes

    left, right = ([Axis(n) for n in merged()] for _ in range(2))
    tie(left, right)
    assert [f for a in left for f in a.factors()] == [f for a in right for f in a.factors()]
    assert not any(f.fixed_by for a in left for f in a.factors()) or len(factors) > 1


# Errors


def fails(graph: Graph, rules: dict[str, Any], *words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        tt.compile(graph, update=tt.SparseUpdate(rules))
    text = str(caught.value)
    assert "\n" not in text and text.startswith("SparseUpdate: ")
    for word in words:
        assert word in text, text


def test_channels_that_cannot_be_moved() -> None:
    graph = import_model(network("cnn")[0], torch.zeros(1, 3, 16, 16))
    fails(graph, {"conv1.weight": [2]}, "'conv1.weight'", "channels 2", "network's input", "(True)")
    fails(graph, {"conv1.weight": tt.Largest(0.5)}, "the largest", "network's input")
    fails(graph, {"fc.bias": [1, 3]}, "'fc.bias'", "channels 1, 3 alone", "network's output")
    fails(graph, {"fc.weight": [5]}, "'fc.weight'", "image")
    fails(graph, {"fc.weight": tt.Largest(0.5)}, "'fc.weight'", "4 × 4 × 16 features")
    fails(graph, {"conv2.weight": [8]}, "below 8", "'conv2.weight'", "got 8")
    tt.resolve(tt.SparseUpdate({"conv1.weight": [0, 1], "fc.weight": 0.3}), graph)
    graph = import_model(Branches(), torch.zeros(1, 3, 5, 5))
    fails(graph, {"c.weight": [3]}, "'c.weight'", "tinytrain.concat")
    fails(graph, {"e.weight": [3]}, "'e.weight'", "tinytrain.slice")


def test_a_reshaped_parameter_has_no_channels() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.randn(2, 2, 3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.linear(x, self.w.reshape(3, 4))

    graph = import_model(Net(), torch.zeros(1, 4))
    fails(graph, {"w": [2]}, "'w'", "reshapes it")
    tt.compile(graph, update=tt.SparseUpdate({"w": 0.5}))


def test_parameters_that_disagree() -> None:
    graph = import_model(network("resnet")[0], torch.zeros(1, 3, 12, 12))
    one, two = "blocks.0.conv1.weight", "blocks.1.conv1.weight"
    fails(graph, {one: [1, 2], two: [3, 1]}, f"'{one}'", f"'{two}'", "1, 2", "1, 3", "tt.Largest")
    fails(graph, {one: 0.25, two: [7]}, f"'{one}'", f"'{two}'", "the first 0.25")
    tt.resolve(tt.SparseUpdate({one: [1, 2], two: [3, 1, 2]}), graph)


@pytest.mark.parametrize("value", [[], [-1], [1, 1], [0.5], ["a"], [True], {"largest": 0.5}])
def test_malformed_channels(value: Any) -> None:
    graph = import_model(tiny_net(), torch.zeros(1, 1, 8, 8))
    fails(graph, {"5.*": value}, "'5.*'", "a list of different channels", repr(value))


@pytest.mark.parametrize("value", [0.0, 1.5, float("nan"), 1, "0.5", None, True])
def test_malformed_largest(value: Any) -> None:
    with pytest.raises(ConfigError, match="fraction in"):
        tt.Largest(value)


def test_numpy_channels_and_names_that_look_like_patterns() -> None:
    rules: dict[str, Any] = {"a[1]": np.array([2, 0]), "b": True}
    wanted = tt.SparseUpdate(rules).resolve(["a1", "a[1]", "b"])
    assert wanted == {"a1": False, "a[1]": (0, 2), "b": True}


# Graphs and checkpoints


def test_graphs_keep_the_order(tmp_path: Path) -> None:
    model, shape = network("resnet")
    x, y = torch.randn(1, *shape), torch.tensor([3])
    graph = import_model(model, x)
    text = str(graph.module)
    arrays = {n: p.array.copy() for n, p in graph.parameters.items()}
    layouts = {n: p.layout for n, p in graph.parameters.items()}
    names = [n for _, names in SHARED["resnet"] for n in names if n.endswith("weight")]
    update = tt.SparseUpdate({n: tt.Largest(0.25) for n in names})
    program = tt.compile(graph, update=update)
    # The caller's graph is as it was.
    assert str(graph.module) == text
    for n, p in graph.parameters.items():
        assert p.layout is layouts[n]
        np.testing.assert_array_equal(p.array, arrays[n])
    # That of the program can be saved, loaded, and compiled with another policy.
    assert any(p.layout.order for p in program.graph.parameters.values())
    program.graph.save(tmp_path / "net.mlir")
    loaded = Graph.load(tmp_path / "net.mlir")
    assert {n: p.layout for n, p in loaded.parameters.items()} == {
        n: p.layout for n, p in program.graph.parameters.items()
    }
    assert tt.resolve(update, loaded) == tt.resolve(update, graph)
    again = tt.compile(loaded, update=update)
    assert again.graph.parameters.keys() == graph.parameters.keys()
    assert again.compiled.object == program.compiled.object
    for other in (tt.SparseUpdate(dict.fromkeys(names, 0.25)), tt.SparseUpdate({names[0]: [7, 4]})):
        states = []
        for source in (graph, loaded):
            with tt.compile(source, update=other).load() as session:
                session.step(x, y)
                states.append(session.parameters())
        for n, array in states[0].items():
            np.testing.assert_allclose(states[1][n], array, rtol=1e-3, atol=1e-6)
            changed = [s[n] != layouts[n].to_torch(arrays[n]) for s in states]
            np.testing.assert_array_equal(changed[0].any(), changed[1].any())


def test_graph_files_without_orders_load(tmp_path: Path) -> None:
    graph = import_model(tiny_net(), torch.zeros(1, 1, 8, 8))
    graph.save(tmp_path / "net.mlir")
    with np.load(tmp_path / "net.npz") as data:
        meta = json.loads(str(data["meta"]))
    assert all(len(layout) == 4 for layout in meta["parameters"].values())


@given(st.data())
def test_layouts_with_an_order(data: st.DataObject) -> None:
    shape = (3, 4, 2)
    layout = ParamLayout(shape, shape, (2, 0, 1), (2, 12))
    array = np.arange(24).reshape(shape)
    expected = layout.to_ir(array)
    for _ in range(2):
        order = [data.draw(st.permutations(range(n))) for n in (2, 12)]
        layout = layout.reorder(order)
        expected = expected[order[0]][:, order[1]]
    np.testing.assert_array_equal(layout.to_ir(array), expected)
    np.testing.assert_array_equal(layout.to_torch(layout.to_ir(array)), array)
    inverse = [
        np.argsort(entries).tolist() if entries else range(n)
        for entries, n in zip(layout.order or ((), ()), (2, 12), strict=True)
    ]
    assert layout.reorder(inverse).order == ()


@pytest.mark.parametrize("order", [((0, 0), ()), ((0,), ()), ((0, 1),), ((), (), ())])
def test_layouts_check_their_order(order: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match="order"):
        ParamLayout((2, 3), (2, 3), (0, 1), (2, 3), order)


def test_a_checkpoint_belongs_to_one_order() -> None:
    model, x, y = tiny_net(), torch.randn(1, 1, 8, 8), torch.tensor([1])
    sessions = [
        tt.compile(model, x, update=tt.SparseUpdate({"5.weight": rule})).load()
        for rule in ([0, 1], [2, 6], [2, 6])
    ]
    sessions[1].step(x, y)
    with pytest.raises(CheckpointError, match="not a checkpoint of this program"):
        sessions[0].load(sessions[1].save())
    sessions[2].load(sessions[1].save())
    for name, array in sessions[1].parameters().items():
        np.testing.assert_array_equal(sessions[2].parameters()[name], array)
