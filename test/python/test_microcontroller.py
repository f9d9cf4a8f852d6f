"""A published int8 network trains in the memory of a product: benchmarks/microcontroller.py."""

from __future__ import annotations

from functools import cache
from typing import Any

import microcontroller
import numpy as np
import published
import pytest
from click.testing import CliRunner

import tinytrain_mlir as tt
from tinytrain_mlir.errors import EmulatorError, LinkError
from tinytrain_mlir.runtime.memory_map import KB

needs_networks = pytest.mark.skipif(not published.present(), reason=published.WHY_ABSENT)
needs_images = pytest.mark.skipif(not published.has_images(), reason=published.WHY_NO_IMAGES)
qemu = pytest.mark.requires_qemu
emulators = pytest.mark.parametrize("emulator", ["unicorn", pytest.param("qemu", marks=qemu)])

PRODUCT = {"ram": 256 * KB, "flash": 1024 * KB, "stack": 2 * KB}
STEPS = 2


@cache
def program(target: str) -> tt.Program:
    return microcontroller.compile_network("mcunet-5fps", "99kb", target, lr=0.001)


def train(emulator: Any, **sizes: int) -> microcontroller.Run:
    images, labels = published.images(STEPS)
    return microcontroller.train(program("cortex-m7"), emulator, images, labels, epochs=1, **sizes)


@cache
def in_product(emulator: Any) -> microcontroller.Run:
    return train(emulator, **PRODUCT)


def least() -> dict[str, int]:
    """The smallest sizes that suffice, from the stack and the layout of another run."""
    run = in_product("unicorn")
    stack = round_up(max(step.stack_bytes for step in run.steps), 16)
    ram = run.layout.bank("RAM").used - PRODUCT["stack"] + stack
    flash = run.layout.bank("flash").used
    return {"ram": round_up(ram, 4 * KB), "flash": round_up(flash, 4 * KB), "stack": stack}


def round_up(size: int, unit: int) -> int:
    return (size + unit - 1) // unit * unit


@needs_networks
@needs_images
@emulators
def test_mcunet_trains_in_256_kb(emulator: Any) -> None:
    """Each call checks the guard, and there is no other memory."""
    run, memory = in_product(emulator), program("cortex-m7").memory
    ram, flash = run.layout.bank("RAM"), run.layout.bank("flash")
    assert (ram.region.size, flash.region.size) == (256 * KB, 1024 * KB)
    assert ram.free > 0 and flash.free > 0
    parts = {part.name: part.region.size for part in ram.parts}
    assert parts["arena"] == memory.arena_bytes
    assert parts["trained parameters"] == memory.param_bytes
    assert 0 < parts["input and output"] <= 64  # the image lies in the arena
    assert len(run.steps) == STEPS and all(s.stack_bytes <= 512 for s in run.steps)
    assert run.is_equal(train("unicorn"))


@needs_networks
@needs_images
@emulators
def test_mcunet_trains_in_the_least_memory(emulator: Any) -> None:
    sizes = least()
    assert train(emulator, **sizes).is_equal(in_product("unicorn"))
    with pytest.raises(EmulatorError, match="network_step: it wrote the guard below the stack"):
        train(emulator, **{**sizes, "stack": sizes["stack"] - 16})
    arena = program("cortex-m7").memory.arena_bytes
    for name, words in (
        ("ram", rf"^RAM of \d+ .* too small for arena .* {arena}"),
        ("flash", "^flash"),
    ):
        with pytest.raises(LinkError, match=words):
            train(emulator, **{**sizes, name: sizes[name] - 4 * KB})


@needs_networks
@needs_images
def test_mcunet_learns_what_it_learns_on_the_host() -> None:
    """Integers are exact on every target; sums of the f32 classifier may round otherwise."""
    run = in_product("unicorn")
    images, labels = published.images(STEPS)
    with program("host").load() as session:
        before = session.parameters()
        losses = [session.step(images[i : i + 1], labels[i : i + 1]) for i in range(STEPS)]
        wanted = session.parameters()
    np.testing.assert_allclose([s.loss for s in run.steps], losses, rtol=1e-5)
    changed = different = 0
    for name, value in wanted.items():
        got = run.parameters[name]
        if value.dtype == np.float32:
            np.testing.assert_allclose(got, value, rtol=1e-4, atol=1e-6)
        else:
            changed += int((value != before[name]).sum())
            different += int((value != got).sum())
    assert changed > 1000 and different <= changed / 1000


def test_the_benchmark_prints_memory_steps_and_the_guard() -> None:
    options = ["--network", "small-cnn", "--policy", "full", "--emulator", "unicorn"]
    sizes = ["--ram", "128KB", "--flash", "64KB", "--images", "1", "--epochs", "2"]
    done = CliRunner().invoke(microcontroller.main, [*options, *sizes])
    assert done.exit_code == 0, done.output
    for words in (".tinytrain.arena", "epoch 1: mean loss", "the guard below it is intact"):
        assert words in done.output
    sizes[1] = "64KB"
    done = CliRunner().invoke(microcontroller.main, [*options, *sizes])
    assert done.exit_code == 1 and "RAM of 65536 bytes is" in done.output
