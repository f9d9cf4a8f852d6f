"""Memory optimisations change no result: random networks, policies and optimizers.

Every case draws a small network, what of each parameter is trained, and the options of SGD. It
trains as PyTorch does with masked gradients (see training.py), and as the program that is
compiled without any of the optimisations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import calibrate
from hypothesis import given
from hypothesis import strategies as st
from networks import MobileNetV2, mlp, resnet18
from torch import nn
from training import channel_axes, train_both

import tinytrain_mlir as tt
from tinytrain_mlir.config import NeedsGrad

Network = tuple[nn.Module, tuple[int, ...]]
Policy = dict[str, NeedsGrad]

REORDER_TOLERANCE = 1e-6  # relative to a parameter's largest value; sums may be in another order


class Residual(nn.Module):
    """`x + body(x)`, the sum through a ReLU if `relu`."""

    def __init__(self, body: nn.Module, relu: bool) -> None:
        super().__init__()
        self.body = body
        self.relu = relu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes stay as they are."""
        y: torch.Tensor = x + self.body(x)
        return torch.relu(y) if self.relu else y


def draw_activation(draw: Any) -> list[nn.Module]:
    layers: list[nn.Module] = draw(st.sampled_from([[], [nn.ReLU()], [nn.ReLU()], [nn.ReLU6()]]))
    return layers


def draw_convolution(draw: Any, cin: int, cout: int, stride: int = 1) -> list[nn.Module]:
    """A convolution, of each channel by itself if there are `cin` results, and its activation."""
    kernel = draw(st.sampled_from([1, 3, 5]))
    groups = cin if cin == cout and draw(st.booleans()) else 1
    bias = draw(st.booleans())
    conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=bias)
    return [conv, *draw_activation(draw)]


def draw_cnn(draw: Any) -> Network:
    """Convolutions, residual blocks and pools, then a linear classifier of 2 to 10 classes."""
    channels = draw(st.sampled_from([1, 2, 3, 4, 8]))
    size = draw(st.integers(4, 11))
    shape = (channels, size, size)
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["conv", "conv", "conv", "residual", "max", "avg"]))
        if kind == "conv":
            cout = draw(st.sampled_from([channels, 1, 2, 4, 5, 8, 12]))
            stride = draw(st.sampled_from([1, 1, 2]))
            layers += draw_convolution(draw, channels, cout, stride)
            channels, size = cout, -(-size // stride)
        elif kind == "residual":
            hidden = draw(st.sampled_from([channels, 2 * channels, 6]))
            inner = draw_convolution(draw, channels, hidden)
            if hidden != channels or draw(st.booleans()):
                inner += draw_convolution(draw, hidden, channels)
            layers.append(Residual(nn.Sequential(*inner), draw(st.booleans())))
        elif size >= 3:
            kernel, padding = draw(st.sampled_from([(2, 0), (3, 1)]))
            pool = nn.MaxPool2d if kind == "max" else nn.AvgPool2d
            layers.append(pool(kernel, 2, padding))
            size = (size + 2 * padding - kernel) // 2 + 1
    if draw(st.booleans()):
        layers.append(nn.AdaptiveAvgPool2d(1))
        size = 1
    layers += [nn.Flatten(), nn.Linear(channels * size**2, draw(st.sampled_from([2, 3, 10])))]
    return nn.Sequential(*layers), shape


@st.composite
def networks(draw: Any) -> Network:
    """A network at the random start that this draw gives, and the shape of one input."""
    torch.manual_seed(draw(st.integers(0, 2**16)))
    if draw(st.integers(0, 4)):
        return draw_cnn(draw)
    sizes = draw(st.lists(st.integers(1, 24), min_size=1, max_size=4))
    return mlp([*sizes, draw(st.sampled_from([2, 3, 10]))]), (sizes[0],)


@st.composite
def policies(draw: Any, model: nn.Module) -> Policy:
    """For each parameter True, False, a fraction, or the first channels; not False for all."""
    axes = channel_axes(model)
    flattens = any(isinstance(module, nn.Flatten) for module in model.modules())
    policy: Policy = {}
    for name, parameter in model.named_parameters():
        choices: list[st.SearchStrategy[Any]] = [
            st.just(True),
            st.just(False),
            st.sampled_from([0.125, 0.3, 0.5, 0.75, 1.0]),
        ]
        # The features of a flattened image cannot be chosen one by one.
        if not (flattens and parameter.ndim == 2):
            channels = st.integers(1, parameter.shape[axes[name]])
            choices.append(channels.map(lambda count: tuple(range(count))))
        policy[name] = draw(st.one_of(choices))
    if not any(policy.values()):
        policy[draw(st.sampled_from(sorted(policy)))] = True
    return policy


@st.composite
def optimizers(draw: Any) -> tt.SGD:
    momentum = draw(st.sampled_from([0.0, 0.0, 0.5, 0.9]))
    return tt.SGD(3e-3, momentum, draw(st.sampled_from([0.0, 0.0, 0.01, 0.1])))


# Random networks


@given(st.data())
def test_trains_as_pytorch(data: st.DataObject) -> None:
    network = data.draw(networks())
    policy = data.draw(policies(network[0]))
    sgd = data.draw(optimizers())
    train_both(
        network,
        batch=data.draw(st.sampled_from([1, 1, 3])),
        steps=4,
        lr=sgd.lr,
        momentum=sgd.momentum,
        weight_decay=sgd.weight_decay,
        loss=data.draw(st.sampled_from(["cross_entropy", "mse"])),
        update=tt.SparseUpdate(policy),
        trained=policy.__getitem__,
        tolerance=1e-3,
    )


@given(st.data())
def test_trains_as_without_optimisations(data: st.DataObject) -> None:
    model, shape = data.draw(networks())
    policy = data.draw(policies(model))
    sgd = data.draw(optimizers())
    batch = data.draw(st.sampled_from([1, 1, 3]))
    with torch.no_grad():
        classes = model(torch.zeros(1, *shape)).shape[1]
    images = [(torch.randn(batch, *shape), torch.randint(classes, (batch,))) for _ in range(4)]
    states = []
    for passes in (tt.MemoryPasses.none(), tt.MemoryPasses(detach=False), tt.MemoryPasses()):
        program = tt.compile(
            model, images[0][0], optimizer=sgd, update=tt.SparseUpdate(policy), passes=passes
        )
        with program.load() as session:
            losses = [session.step(x, y) for x, y in images]
            states.append((program.memory, losses, session.parameters()))
    (much, losses, wanted), (attached, *_), (little, *_) = states
    assert little.arena_bytes <= much.arena_bytes
    # Only the frozen part of a weight leaves the block of parameters.
    assert little.param_bytes <= attached.param_bytes == much.param_bytes
    for _, others, got in states[1:]:
        np.testing.assert_allclose(others, losses, rtol=REORDER_TOLERANCE)
        for name, value in wanted.items():
            limit = REORDER_TOLERANCE * np.abs(value).max()
            np.testing.assert_allclose(got[name], value, rtol=0, atol=limit, err_msg=name)


class Block(nn.Module):
    """Expansion, depthwise convolution and projection, with something for each pass to do."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Conv2d(3, 24, 1)
        self.depthwise = nn.Conv2d(24, 24, 3, 2, 1, groups=24)
        self.project = nn.Conv2d(24, 8, 1)
        self.last = nn.Conv2d(8, 8, 3, padding=1)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images [N, 3, H, W] to logits [N, 5]."""
        y = nn.functional.relu6(self.depthwise(nn.functional.relu6(self.expand(x))))
        y = self.project(y)
        y = y + torch.relu(self.last(y))
        logits: torch.Tensor = self.fc(y.mean((2, 3)))
        return logits


PASSES = [field.name for field in fields(tt.MemoryPasses)]
BLOCK_RULES: dict[str, NeedsGrad] = {
    "project.weight": 0.25,
    "project.bias": True,
    "last.*": True,
    "fc.*": True,
}


@pytest.mark.parametrize("name", PASSES)
def test_each_pass_saves_memory_and_changes_no_result(name: str) -> None:
    model, images = Block(), [(torch.randn(1, 3, 16, 16), torch.tensor([i])) for i in range(3)]
    states = []
    # The expansion as a whole, so that its result has something to overlap.
    start = tt.MemoryPasses(split=name != "overlap")
    for passes in (start, replace(start, **{name: False})):
        program = tt.compile(
            model, images[0][0], update=tt.SparseUpdate(BLOCK_RULES), passes=passes
        )
        with program.load() as session:
            losses = [session.step(x, y) for x, y in images]
            states.append((program.memory, losses, session.parameters()))
    (little, losses, wanted), (much, others, got) = states
    assert little.sram_bytes <= much.sram_bytes
    if name in ("detach", "fuse", "split", "overlap"):
        assert little.sram_bytes < much.sram_bytes
    np.testing.assert_allclose(others, losses, rtol=REORDER_TOLERANCE)
    for parameter, value in wanted.items():
        limit = REORDER_TOLERANCE * np.abs(value).max()
        np.testing.assert_allclose(got[parameter], value, rtol=0, atol=limit, err_msg=parameter)


@pytest.mark.parametrize("target", ["host", "cortex-m7", "cortex-a72"])
@pytest.mark.parametrize("channels", [1, 2, 3, 8])
def test_masks_behind_strided_convolutions(channels: int, target: str) -> None:
    """The bits of few channels, whose gradients run along pixels, some steps apart."""
    network = nn.Sequential(
        nn.Conv2d(2, channels, 1),
        nn.ReLU(),
        nn.Conv2d(channels, 8, 1, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 16, 4),
    )
    train_both(
        (network, (2, 8, 8)),
        steps=3,
        update=tt.SparseUpdate({"*.bias": True}),
        trained=lambda name: name.endswith(".bias"),
        target=target,
    )


# Networks of the field


def perceptron() -> Network:
    return mlp([64, 96, 48, 10]), (64,)


def mobilenet() -> Network:
    return calibrate(MobileNetV2(0.35, 10), (3, 32, 32)), (3, 32, 32)


def resnet() -> Network:
    return calibrate(resnet18(), (3, 32, 32)), (3, 32, 32)


POLICIES: dict[str, tuple[tt.config.UpdatePolicy, Callable[[str, str], bool]]] = {
    "full": (tt.FullUpdate(), lambda name, layer: True),
    "last layer": (tt.LastLayer(), lambda name, layer: name.startswith(layer)),
    "biases": (
        tt.SparseUpdate({"*.bias": True}),
        lambda name, layer: name.endswith(".bias"),
    ),
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("network", "layer", "lr"),
    [(perceptron, "4.", 1e-2), (mobilenet, "classifier.1.", 1e-3), (resnet, "fc.", 1e-3)],
)
def test_network(network: Callable[[], Network], layer: str, lr: float, policy: str) -> None:
    update, trained = POLICIES[policy]
    train_both(
        network(),
        steps=2,
        lr=lr,
        update=update,
        trained=lambda name: trained(name, layer),
        tolerance=5e-3,
    )


# The tests' own parts


@pytest.mark.parametrize(
    ("wanted", "count"),
    [(True, 5), (False, 0), (0.5, 3), (0.3, 2), (0.01, 1), (1.0, 5), ((0, 1), 2)],
)
def test_trained_channels(wanted: NeedsGrad, count: int) -> None:
    """The number of channels a rule stands for, of a linear layer with 5 inputs."""
    model, x, y = nn.Sequential(nn.Linear(5, 3)), torch.rand(1, 5) + 1, torch.tensor([1])
    program = tt.compile(model, x, update=tt.SparseUpdate({"0.weight": wanted}))
    with program.load() as session:
        before = session.parameters()["0.weight"]
        session.step(x, y)
        changed = (session.parameters()["0.weight"] != before).any(axis=0)
    assert changed.tolist() == [i < count for i in range(5)]
