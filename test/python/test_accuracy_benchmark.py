"""The accuracy benchmark trains a cut network with cached inputs as it would the whole one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import accuracy
import frozen_layers
import numpy as np
import published
import pytest

from tinytrain_mlir.config import TteScheme
from tinytrain_mlir.frontends.graph_builder import Array

BATCH, CLASSES, STEPS, LR = 2, 4, 3, 0.02

METHODS = pytest.mark.parametrize("method", ["fp32", "stochastic"])


class Network:
    """A small network in the form of the published ones, with random weights.

    The first convolution, and three blocks, one of them with a residual: nine convolutions.
    """

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.arrays: dict[str, Array] = {}
        self.count = 0
        self.last: dict[str, Any] = {"scale": 2 / 255, "zero_point": 0}
        layers: list[dict[str, Any]] = [self.conv("first_conv", 3, 8, 3, stride=2, relu6=True)]
        layers += [self.block("blocks.0", 8, 8, 12), self.block("blocks.1", 12, 24, 12, True)]
        layers += [self.block("blocks.2", 12, 24, 16, stride=2), {"op": "global_avg_pool"}]
        head = {"op": "classifier_conv1x1", "name": "classifier", "out_channels": 1000}
        layers.append({**head, "in_channels": 16, "input": self.last})
        self.meta = {
            "input_shape_nchw": [1, 3, 16, 16],
            "input_quantization": {"scale": 2 / 255, "zero_point": 0},
            "layers": layers,
        }

    def conv(
        self, name: str, i: int, o: int, k: int, *, stride: int = 1, groups: int = 1, relu6: bool
    ) -> dict[str, Any]:
        shape = (o, i // groups, k, k)
        bound = 127 * np.sqrt(3 / np.prod(shape[1:]))
        self.arrays[f"{name}.weight"] = self.random.uniform(-127, 127, shape).astype(np.int8)
        self.arrays[f"{name}.bias"] = self.random.integers(-500, 500, o).astype(np.int32)
        scales = self.random.uniform(0.5, 1.5, o) * bound / 127**2
        self.arrays[f"{name}.weight_scale"] = scales.astype(np.float32)
        before, self.count = self.last, self.count + 1
        self.last = {"scale": 6 / 255, "zero_point": -128} if relu6 else self.linear()
        return {
            "op": "conv2d",
            "name": name,
            "conv_index": self.count - 1,
            "in_channels": i,
            "out_channels": o,
            "kernel": [k, k],
            "stride": stride,
            "padding": [k // 2, k // 2],
            "groups": groups,
            "input": before,
            "output": self.last,
        }

    def linear(self) -> dict[str, Any]:
        return {"scale": 0.03 + 0.01 * self.random.random(), "zero_point": 3}

    def block(
        self, name: str, i: int, hidden: int, o: int, residual: bool = False, stride: int = 1
    ) -> dict[str, Any]:
        start = self.last
        layers: list[dict[str, Any]] = []
        if hidden != i:
            layers.append(self.conv(f"{name}.expand", i, hidden, 1, relu6=True))
        layers += [
            self.conv(f"{name}.dw", hidden, hidden, 3, stride=stride, groups=hidden, relu6=True),
            self.conv(f"{name}.project", hidden, o, 1, relu6=False),
        ]
        rhs, output = self.last, self.linear()
        add = {"op": "add", "lhs": start, "rhs": rhs, "output": output}
        self.last = output if residual else rhs
        return {
            "op": "block",
            "name": name,
            "layers": layers,
            "residual": add if residual else None,
        }


# Convolutions: first_conv; blocks.0: 1 and 2, blocks.1: 3 to 5, blocks.2: 6 to 8. Behind each
# scheme, the number of layers that are frozen, and of convolutions in them.
SCHEMES = {
    "at a boundary": (TteScheme(3, (6, 8), (0.5, 1.0)), 3, 6),
    "within a block": (TteScheme(2, (4, 8), (1.0, 0.25)), 2, 3),
    "a ratio of zero": (TteScheme(1, (0, 7), (0.0, 1.0)), 3, 6),
    "the classifier alone": (TteScheme(0, (), ()), 4, 9),
}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """A description and its arrays."""
    made = Network()
    arrays = tmp_path_factory.mktemp("network") / "network.npz"
    np.savez(arrays, **made.arrays)  # type: ignore[arg-type]
    return made.meta, arrays


def same_training(
    meta: dict[str, Any], arrays: Path, scheme: TteScheme, method: str, batch: int
) -> None:
    """Some steps of the cut network and of the whole: losses and parameters are equal."""
    f32 = method == "fp32"
    parts = frozen_layers.cut(meta, scheme)
    whole = frozen_layers.Cut(meta, meta, scheme)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (STEPS * batch, 8, 8, 3), np.uint8)
    labels = random.integers(0, CLASSES, (STEPS, batch))
    inputs = {
        "whole": frozen_layers.resized(meta, images, f32),
        "cut": frozen_layers.features(parts.frozen, arrays, images, f32),
    }
    losses, after = {}, {}
    for name, network in (("whole", whole), ("cut", parts)):
        program = accuracy.compile_method(
            network, arrays, accuracy.METHODS[method], CLASSES, batch, 1
        )
        with program.load() as session:
            x = inputs[name].reshape(STEPS, batch, *inputs[name].shape[1:])
            start = session.parameters()
            losses[name] = [session.step(*pair, lr=LR) for pair in zip(x, labels, strict=True)]
            after[name] = session.parameters()
    assert losses["cut"] == losses["whole"]
    assert losses["cut"][0] != losses["cut"][-1]
    assert after["cut"].keys() < after["whole"].keys()
    changed = [name for name in after["cut"] if (after["cut"][name] != start[name]).any()]
    assert len(changed) > 2 or not scheme.n_bias_update
    for name, value in after["cut"].items():
        np.testing.assert_array_equal(value, after["whole"][name], err_msg=name)


@METHODS
@pytest.mark.parametrize("scheme", ["within a block", "the classifier alone"])
def test_cut_network_learns_as_the_whole(
    network: tuple[dict[str, Any], Path], scheme: str, method: str
) -> None:
    same_training(*network, SCHEMES[scheme][0], method, BATCH)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_cut_is_at_a_boundary(network: tuple[dict[str, Any], Path], scheme: str) -> None:
    original, layers, convolutions = SCHEMES[scheme]
    parts = frozen_layers.cut(network[0], original)
    assert [*parts.frozen["layers"], *parts.rest["layers"][1:]] == [
        *network[0]["layers"][:layers],
        *network[0]["layers"][layers + 1 :],
    ]
    assert parts.scheme.n_bias_update == original.n_bias_update
    wanted = [i for i, r in zip(original.weight_idx, original.ratio, strict=True) if r]
    assert [i + convolutions for i in parts.scheme.weight_idx] == wanted


def test_nothing_is_frozen(network: tuple[dict[str, Any], Path]) -> None:
    with pytest.raises(ValueError, match="the first layer learns"):
        frozen_layers.cut(network[0], TteScheme(9, (), ()))


@pytest.mark.slow
@METHODS
@pytest.mark.skipif(not published.present(), reason=published.WHY_ABSENT)
def test_published_network_learns_as_the_whole(method: str) -> None:
    text = (published.MODELS / "mcunet-5fps.json").read_text(encoding="utf-8")
    scheme = published.schemes("mcunet-5fps")["99kb"]
    same_training(json.loads(text), published.MODELS / "mcunet-5fps.npz", scheme, method, BATCH)


@METHODS
def test_training_is_reproducible(network: tuple[dict[str, Any], Path], method: str) -> None:
    meta, arrays = network
    parts = frozen_layers.cut(meta, SCHEMES["within a block"][0])
    setting = accuracy.Setting("net", "scheme", images=7, epochs=2, batch=BATCH)
    random, f32 = np.random.default_rng(0), method == "fp32"
    images = random.integers(0, 256, (12, 8, 8, 3), np.uint8)
    labels = random.integers(0, CLASSES, 12)
    data = frozen_layers.Data(images[:7], labels[:7], images[7:], labels[7:]).through(
        lambda x: frozen_layers.features(parts.frozen, arrays, x, f32)
    )
    program = accuracy.compile_method(parts, arrays, accuracy.METHODS[method], CLASSES, BATCH, 0)
    with program.load() as session:
        runs = [list(accuracy.train(session, data, setting, LR, seed=0)) for _ in range(2)]
    first, again = ([e.loss if isinstance(e, accuracy.Epoch) else e for e in r] for r in runs)
    assert first == again
    assert len(first) == 2 * (3 + 1)  # three steps of two images, then the epoch
    last = runs[0][-1]
    assert isinstance(last, accuracy.Epoch) and last.accuracy % 20 == 0  # of five images


def test_learning_rate_is_warmed_up_and_ends_at_zero() -> None:
    rates = [accuracy.learning_rate(0.1, step, 100) for step in range(1, 101)]
    assert rates.index(max(rates)) == 9
    assert rates[0] == pytest.approx(0.01, rel=0.01)
    assert rates[49] == pytest.approx(0.05)
    assert 0 < rates[-1] < 1e-30


def test_padded_batches_repeat_the_last_image() -> None:
    batches = [(list(x), real) for x, real in frozen_layers.padded(np.arange(5), 2)]
    assert batches == [([0, 1], 2), ([2, 3], 2), ([4, 4], 1)]
