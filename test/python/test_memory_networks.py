"""Memory optimisations change no result: random networks, policies and optimizers.

Every case draws a small network, what of each parameter is trained, and the options of SGD. It
trains as PyTorch does with masked gradients (see training.py), and as the program that is
compiled without any of the optimisations.
"""

from __future__ import annotations

from collections.abc import Callable
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
    return draw(st.sampled_from([[], [nn.ReLU()], [nn.ReLU()], [nn.ReLU6()]]))  # type: ignore[no-any-return]


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
    classes = model[-1].out_features  # type: ignore[index]
    images = [(torch.randn(batch, *shape), torch.randint(classes, (batch,))) for _ in range(4)]
    states = []
    for reorder in (False, True):
        program = tt.compile(
            model,
            images[0][0],
            optimizer=sgd,
            update=tt.SparseUpdate(policy),
            reorder=reorder,
        )
        with program.load() as session:
            losses = [session.step(x, y) for x, y in images]
            states.append((program.memory, losses, session.parameters()))
    (much, losses, wanted), (little, others, got) = states
    assert little.arena_bytes <= much.arena_bytes
    assert little.param_bytes <= much.param_bytes
    np.testing.assert_allclose(others, losses, rtol=REORDER_TOLERANCE)
    for name, value in wanted.items():
        limit = REORDER_TOLERANCE * np.abs(value).max()
        np.testing.assert_allclose(got[name], value, rtol=0, atol=limit, err_msg=name)


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
