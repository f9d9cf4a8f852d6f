"""Training runs against PyTorch: networks, optimizers, and what is trained."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from conftest import calibrate, fuse_bn
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import MobileNetV2, ResNet, SmallCNN, mlp, tiny_net
from torch import nn
from training import train_both

import tinytrain_mlir as tt

Network = Callable[[], tuple[nn.Module, tuple[int, ...]]]


def small_cnn() -> tuple[nn.Module, tuple[int, ...]]:
    return calibrate(SmallCNN(), (3, 16, 16)), (3, 16, 16)


def resnet() -> tuple[nn.Module, tuple[int, ...]]:
    return calibrate(ResNet(), (3, 12, 12)), (3, 12, 12)


def mobilenet_32() -> tuple[nn.Module, tuple[int, ...]]:
    return calibrate(MobileNetV2(0.35, 10), (3, 32, 32)), (3, 32, 32)


def mobilenet_96() -> tuple[nn.Module, tuple[int, ...]]:
    return calibrate(MobileNetV2(0.35, 10), (3, 96, 96)), (3, 96, 96)


def perceptron() -> tuple[nn.Module, tuple[int, ...]]:
    return mlp([20, 33, 16, 10]), (20,)


# Networks


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize(
    ("network", "lr"), [(small_cnn, 2e-3), (resnet, 1e-3), (perceptron, 1e-2), (mobilenet_32, 1e-5)]
)
def test_network(network: Network, lr: float, batch: int) -> None:
    train_both(network(), batch=batch, lr=lr)


def test_mobilenet_at_96() -> None:
    train_both(mobilenet_96(), lr=1e-5, steps=4)


def test_mse() -> None:
    train_both(small_cnn(), batch=2, loss="mse")


def test_fifty_steps() -> None:
    train_both(small_cnn(), steps=50)


# Optimizers


@pytest.mark.parametrize(
    ("momentum", "weight_decay"), [(0.9, 0.0), (0.0, 0.05), (0.9, 0.05), (0.5, 0.001)]
)
def test_sgd_options(momentum: float, weight_decay: float) -> None:
    train_both(resnet(), batch=2, lr=5e-4, momentum=momentum, weight_decay=weight_decay)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_learning_rate_at_run_time(momentum: float) -> None:
    rates = [None, 2e-3, None, 1e-4, 3e-3, None, 1e-5]
    train_both(perceptron(), lr=1e-3, rates=rates, momentum=momentum)


def test_reset_restores_the_learning_rate_and_the_velocity() -> None:
    program = tt.compile(mlp([4, 8, 3]), torch.zeros(2, 4), optimizer=tt.SGD(0.05, 0.9))
    data = [(torch.randn(2, 4), torch.randint(3, (2,))) for _ in range(4)]
    with program.load() as session:
        first = [session.step(x, y) for x, y in data]
        state = session.save()
        session.step(*data[0], lr=1.0)
        session.reset()
        assert [session.step(x, y) for x, y in data] == first
        assert session.save() == state


# What is trained


@settings(max_examples=6)
@given(st.data())
def test_needs_grad_at_random(data: st.DataObject) -> None:
    network = data.draw(st.sampled_from([small_cnn, resnet]))()
    names = [name for name, _ in fuse_bn(network[0]).named_parameters()]
    wanted = {name: data.draw(st.booleans()) for name in names}
    momentum = data.draw(st.sampled_from([0.0, 0.9]))
    train_both(
        network,
        batch=2,
        steps=4,
        momentum=momentum,
        update=tt.SparseUpdate(wanted),
        trained=wanted.__getitem__,
    )


def test_needs_grad_of_mobilenet_blocks() -> None:
    model, shape = mobilenet_32()
    update = tt.SparseUpdate({"features.1[0-2].*": True, "*.bias": True, "features.0.*": False})

    def trained(name: str) -> bool:
        late = name.startswith(("features.10.", "features.11.", "features.12."))
        return not name.startswith("features.0.") and (late or name.endswith(".bias"))

    train_both((model, shape), steps=4, lr=1e-5, update=update, trained=trained)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.6, (0, 1, 2)])
def test_a_fraction_of_the_input_channels(share: float | tuple[int, ...]) -> None:
    """Trained channels change as with full update, the others stay bit-identical."""
    model = tiny_net()
    names = ["3.weight", "5.weight", "8.weight"]  # depthwise, 1x1, linear
    x, y = torch.randn(2, 1, 8, 8), torch.tensor([0, 2])
    states = []
    for value in (True, share):
        update = tt.SparseUpdate(dict.fromkeys(names, value))
        with tt.compile(model, x, update=update).load() as session:
            before = session.parameters()
            session.step(x, y)
            states.append(session.parameters())
    full, part = states
    for name in names:
        axis = 0 if full[name].shape[1] == 1 else 1
        channels = full[name].shape[axis]
        count = len(share) if isinstance(share, tuple) else max(1, round(share * channels))
        trained, frozen = np.split(np.arange(channels), [count])
        np.testing.assert_array_equal(
            part[name].take(frozen, axis), before[name].take(frozen, axis), err_msg=name
        )
        change = full[name] - before[name]
        error = np.abs((part[name] - full[name]).take(trained, axis)).max()
        assert error <= 1e-5 * np.abs(change).max() + 1e-7, name
        assert (part[name] != before[name]).take(trained, axis).any(), name


def test_last_layer() -> None:
    train_both(resnet(), update=tt.LastLayer(), trained=lambda name: name.startswith("fc."))


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_bias_only(count: int) -> None:
    biases = ["conv1.bias", "conv2.bias", "fc.bias"]
    wanted = {"fc.weight", "fc.bias", *biases[3 - count :]}
    train_both(small_cnn(), steps=4, update=tt.BiasOnly(count), trained=wanted.__contains__)


def test_no_update() -> None:
    network = small_cnn()
    train_both(network, update=tt.NoUpdate(), trained=lambda name: False)
    program = tt.compile(network[0], torch.zeros(1, 3, 16, 16), update=tt.NoUpdate())
    assert program.memory.param_bytes == 0
    assert not program.trains


def test_training_fewer_parameters_needs_less_memory() -> None:
    model, shape = small_cnn()
    sizes = [
        tt.compile(model, torch.zeros(1, *shape), update=update).memory
        for update in (tt.FullUpdate(), tt.BiasOnly(2), tt.LastLayer(), tt.NoUpdate())
    ]
    for more, less in pairwise(sizes):
        assert more.param_bytes > less.param_bytes
        assert more.arena_bytes >= less.arena_bytes


def test_inference_only() -> None:
    model, shape = resnet()
    x = torch.randn(2, *shape)
    program = tt.compile(model, x, loss=None)
    assert "step" not in program.ir("training")
    assert program.memory.param_bytes == 0
    with program.load() as session:
        expected = copy.deepcopy(model).double()(x.double()).detach().numpy()
        np.testing.assert_allclose(session.infer(x), expected, rtol=1e-5, atol=1e-5)
        assert set(session.parameters()) == {n for n, _ in fuse_bn(model).named_parameters()}


def test_the_model_is_left_as_it_was() -> None:
    model = SmallCNN()
    before = copy.deepcopy(model.state_dict())
    program = tt.compile(model, torch.zeros(1, 3, 16, 16))
    with program.load() as session:
        session.step(torch.randn(1, 3, 16, 16), torch.tensor([3]))
        session.parameters()["fc.bias"][:] = 7  # a copy
        assert not (session.parameters()["fc.bias"] == 7).any()
    assert model.training and model.conv1.weight.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_graphs_are_saved_and_loaded(tmp_path: Any) -> None:
    from tinytrain_mlir.api import import_model

    model, shape = small_cnn()
    x, y = torch.randn(2, *shape), torch.tensor([1, 2])
    graph = import_model(model, x)
    graph.save(tmp_path / "net.mlir")
    programs = [tt.compile(graph), tt.compile(tmp_path / "net.mlir"), tt.compile(model, x)]
    assert len({p.compiled.object for p in programs}) == 1
    states = []
    for program in programs:
        with program.load() as session:
            states.append((session.step(x, y), session.infer(x).tobytes()))
    assert states[0] == states[1] == states[2]
