"""The published networks in int8, against the oracle."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import published
import pytest
from oracle_session import OracleSession, infer

import tinytrain_mlir as tt

Array = npt.NDArray[Any]

pytestmark = pytest.mark.skipif(not published.present(), reason=published.WHY_ABSENT)

CLASSES = 1000
PICTURES = {"chelsea": 285, "coffee": 967}  # ImageNet's Egyptian cat and espresso
NETWORKS = pytest.mark.parametrize("network", published.NETWORKS)


@cache
def load(network: str, classes: int) -> tt.Graph:
    files = (published.MODELS / f"{network}{suffix}" for suffix in (".json", ".npz"))
    return tt.load_tte(*files, num_classes=classes)


def picture(name: str) -> Array:
    """A picture of scikit-image as the networks take it: [1, 3, 128, 128] in [-1, 1]."""
    data = pytest.importorskip("skimage.data", reason="scikit-image: not installed")
    transform = pytest.importorskip("skimage.transform")
    pixels = getattr(data, name)()
    side = min(pixels.shape[:2])
    top, left = ((size - side) // 2 for size in pixels.shape[:2])
    square = pixels[top : top + side, left : left + side] / 255.0
    small = transform.resize(square, (128, 128), anti_aliasing=True)[None]
    return np.asarray((small * 2 - 1).transpose(0, 3, 1, 2), np.float32)


@pytest.mark.parametrize(
    ("network", "target"),
    [*((network, "host") for network in published.NETWORKS), ("mcunet-5fps", "cortex-m7")],
)
def test_scores_are_the_oracles(network: str, target: str) -> None:
    """The output is a multiple of one scale: equal scores are equal integers."""
    graph = load(network, CLASSES)
    x = np.random.default_rng(0).integers(-128, 128, (1, 3, 128, 128), np.int8)
    wanted = infer(graph, x)
    assert len(np.unique(wanted)) > 8
    with tt.compile(graph, loss=None, target=target).load() as session:
        np.testing.assert_array_equal(session.infer(x), wanted)


@NETWORKS
def test_pictures_are_named(network: str) -> None:
    with tt.compile(load(network, CLASSES), loss=None).load() as session:
        scores = {name: int(session.infer(picture(name)).argmax()) for name in PICTURES}
    assert scores == PICTURES


# KiB of arena, which holds the input image, and trained parameters on the Cortex-M7 at most.
MEMORY = {
    ("mbv2-w0.35", "99kb"): 160,
    ("mcunet-5fps", "99kb"): 172,
    ("proxyless-w0.3", "98kb"): 150,
}


@pytest.mark.parametrize(("network", "scheme"), MEMORY)
def test_training_memory(network: str, scheme: str) -> None:
    update = published.schemes(network)[scheme]
    memory = tt.compile(load(network, 10), update=update, target="cortex-m7").memory
    assert memory.arena_bytes >= 128 * 128 * 3  # the image lies in it
    assert memory.arena_bytes + memory.param_bytes <= 1024 * MEMORY[network, scheme]


@pytest.mark.requires_qemu
def test_int8_gradients_train_alike_everywhere() -> None:
    """Twenty steps on the host and in both emulators: the same parameters, bit for bit."""
    graph = load("mbv2-w0.35", 10)
    update = published.schemes("mbv2-w0.35")["99kb"]
    random = np.random.default_rng(2)
    samples = [
        (random.integers(-128, 128, (1, 3, 128, 128), np.int8), np.array([i % 10]))
        for i in range(20)
    ]
    outcomes = []
    for target, emulator in (("host", "auto"), ("cortex-m7", "unicorn"), ("cortex-m7", "qemu")):
        program = tt.compile(
            graph,
            update=update,
            target=target,
            optimizer=tt.SGD(0.002),
            precision=tt.Int8(grad="int8", seed=4),
        )
        with program.load(cast(Any, emulator)) as session:
            for x, label in samples:
                session.step(x, label)
            outcomes.append(session.parameters())
    host, *others = outcomes
    assert any(
        (host[name] != p.array.reshape(host[name].shape)).any()
        for name, p in graph.parameters.items()
        if p.array.dtype == np.int32
    )
    for other in others:
        for name, value in host.items():
            np.testing.assert_array_equal(other[name], value, name)


def test_steps_are_the_oracles() -> None:
    """With the smallest published scheme."""
    network = "proxyless-w0.3"
    graph = load(network, 10)
    update = next(iter(published.schemes(network).values()))
    program = tt.compile(graph, update=update, optimizer=tt.SGD(0.05), precision=tt.Int8(seed=1))
    random = np.random.default_rng(1)
    oracle = OracleSession(program, 0.05, 1)
    start = oracle.parameters()
    with program.load() as device:
        for label in (3, 7):
            x = random.integers(-128, 128, (1, 3, 128, 128), np.int8)
            loss = oracle.step(x, np.array([label]))
            assert device.step(x, np.array([label])) == pytest.approx(loss, rel=1e-5)
        got, wanted = device.parameters(), oracle.parameters()
    changed = different = 0
    for name, value in wanted.items():
        if value.dtype == np.float32:
            limit = 1e-5 * np.abs(value).max()
            np.testing.assert_allclose(got[name], value, rtol=0, atol=limit, err_msg=name)
            continue
        step = np.abs(value.astype(np.int64) - start[name])
        distance = np.abs(got[name].astype(np.int64) - value)
        assert (distance <= 1 + 1e-5 * step).all(), name
        changed += np.count_nonzero(step)
        different += np.count_nonzero(distance)
    assert changed > 100 and different <= 0.01 * changed
