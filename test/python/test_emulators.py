"""Compiled programs on emulated targets: same results as the host, exact counts, checkpoints."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from conftest import calibrate
from networks import SmallCNN
from torch import nn

import tinytrain_mlir as tt
from tinytrain_mlir.errors import CheckpointError, EmulatorError, MissingToolError
from tinytrain_mlir.llvm_module import CHECKPOINT_HEADER, fingerprint

if TYPE_CHECKING:
    from tinytrain_mlir.program import Program
    from tinytrain_mlir.session import Session

UNICORN = ("cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-a72", "cortex-a76")
ARM = (*UNICORN, "cortex-m55")
qemu = pytest.mark.requires_qemu
RUNS = [
    *((target, "unicorn") for target in UNICORN),
    *(pytest.param(target, "qemu", marks=qemu) for target in ARM),
]

# Instructions of one step of `tiny_net` with batch 2 and momentum, by target. A change beyond
# 2 % is a change of the generated code: look at it, then write the new number here.
INSTRUCTIONS = {
    "cortex-m0plus": 4_274_399,  # most of them in compiler-rt
    "cortex-m4": 191_035,
    "cortex-m7": 165_242,
    "cortex-m33": 184_581,
    "cortex-m55": 61_982,
    "cortex-a72": 34_651,
    "cortex-a76": 34_637,
}

Programs = Callable[[str], "Program"]
Data = list[tuple[Any, Any]]


@pytest.fixture(scope="module")
def data() -> Data:
    rng = np.random.default_rng(3)
    return [
        (rng.standard_normal((2, 1, 8, 8), dtype=np.float32), rng.integers(0, 3, 2))
        for _ in range(4)
    ]


def near(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    return bool(np.abs(a - b).max() <= 1e-5 * np.abs(b).max())


@pytest.mark.parametrize(("target", "emulator"), RUNS)
def test_training_is_that_of_the_host(
    programs: Programs, data: Data, target: str, emulator: Any
) -> None:
    host = programs("host").load()
    with programs(target).load(emulator=emulator) as session:
        for x, y in data:
            assert session.step(x, y) == pytest.approx(host.step(x, y), rel=1e-5)
            assert session.instructions and session.stack_bytes
        assert near(session.infer(data[0][0]), host.infer(data[0][0]))
        expected = host.parameters()
        for name, value in session.parameters().items():
            assert near(value, expected[name]), name


@qemu
@pytest.mark.parametrize("target", UNICORN)
def test_unicorn_and_qemu_agree_exactly(programs: Programs, data: Data, target: str) -> None:
    outcomes = []
    for emulator in ("unicorn", "qemu"):
        trace: list[Any] = []
        with programs(target).load(emulator=emulator) as session:
            for x, y in data[:3]:
                loss = struct.pack("<f", session.step(x, y))
                trace.append((loss, session.instructions, session.stack_bytes))
            trace.append((session.infer(data[0][0]).tobytes(), session.instructions))
            trace.append(session.save())
        outcomes.append(trace)
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("target", [*UNICORN, pytest.param("cortex-m55", marks=qemu)])
def test_instructions_and_stack(programs: Programs, data: Data, target: str) -> None:
    with programs(target).load() as session:
        counts = []
        for _ in range(2):
            session.reset()
            session.step(*data[0])
            counts.append(session.instructions)
        assert session.stack_bytes is not None and session.stack_bytes <= 1024
    assert counts[0] == counts[1]
    assert counts[0] == pytest.approx(INSTRUCTIONS[target], rel=0.02)


def test_a_network_with_batch_norm_on_the_m7() -> None:
    model = calibrate(SmallCNN(), (3, 16, 16))
    x, y = torch.randn(1, 3, 16, 16), torch.tensor([3])
    with (
        tt.compile(model, x).load() as host,
        tt.compile(model, x, target="cortex-m7").load() as device,
    ):
        for _ in range(2):
            assert device.step(x, y) == pytest.approx(host.step(x, y), rel=1e-5)


def test_learning_rate_on_the_device(programs: Programs, data: Data) -> None:
    with programs("host").load() as host, programs("cortex-m7").load() as device:
        for (x, y), lr in zip(data, (0.01, None, 0.2, None), strict=True):
            host.step(x, y, lr)
            device.step(x, y, lr)
        expected = host.parameters()
        assert all(near(value, expected[name]) for name, value in device.parameters().items())


# Checkpoints, on the host and on the device


@pytest.fixture(params=["host", "cortex-m7", "cortex-a72"])
def session(request: pytest.FixtureRequest, programs: Programs) -> Any:
    with programs(request.param).load() as session:
        yield session


def test_reset(session: Session, data: Data) -> None:
    start = session.parameters()
    losses = [session.step(x, y, 0.1) for x, y in data]
    assert any((value != start[name]).any() for name, value in session.parameters().items())
    session.reset()
    assert all((value == start[name]).all() for name, value in session.parameters().items())
    assert [session.step(x, y, 0.1) for x, y in data] == losses


def test_checkpoint_round_trip(session: Session, programs: Programs, data: Data) -> None:
    for x, y in data[:2]:
        session.step(x, y, 0.02)
    checkpoint = session.save()
    assert struct.unpack_from("<2I", checkpoint) == (
        fingerprint(session._program.compiled.slots),
        len(checkpoint) - CHECKPOINT_HEADER,
    )
    continued = [session.step(x, y) for x, y in data[2:]]
    end = session.save()
    session.reset()
    session.load(checkpoint)
    assert session.save() == checkpoint
    assert [session.step(x, y) for x, y in data[2:]] == continued
    assert session.save() == end
    with session._program.load() as other:
        other.load(checkpoint)
        assert [other.step(x, y) for x, y in data[2:]] == continued


def test_a_checkpoint_of_another_program_of_the_same_size_is_refused() -> None:
    wide, tall = (
        tt.compile(nn.Linear(i, o, bias=False), torch.zeros(1, i)).load()
        for i, o in ((4, 6), (6, 4))
    )
    with pytest.raises(CheckpointError, match="not a checkpoint of this program"):
        tall.load(wide.save())
    # The C function, without Python's own check.
    before = tall.save()
    tall._device.call("load", wide.save())
    assert tall.save() == before


def test_damaged_checkpoints_change_nothing(session: Session, data: Data) -> None:
    checkpoint = session.save()
    session.step(*data[0])
    state = session.save()
    flipped = bytearray(checkpoint)
    flipped[-1] ^= 1
    magic = b"ABCD" + checkpoint[4:]
    for bad, words in (
        (checkpoint[:-1], "truncated"),
        (checkpoint + b"\0", "another program"),
        (b"", "expected a checkpoint of"),
        (bytes(flipped), "CRC-32"),
        (magic, "not a checkpoint"),
    ):
        with pytest.raises(CheckpointError, match=words):
            session.load(bad)
        assert session.save() == state


@pytest.mark.parametrize("target", ["cortex-m7", "cortex-a72"])
def test_the_c_function_refuses_damaged_checkpoints(
    programs: Programs, data: Data, target: str
) -> None:
    with programs(target).load() as session:
        checkpoint = session.save()
        session.step(*data[0])
        state = session.save()
        device: Any = session._device
        address = device._io.base

        def load(contents: bytes) -> int:
            device._machine.write(address, contents)
            result = device._machine.call(device.image.address("model_load"), address)
            return int(result.value & 0xFFFF_FFFF)

        for position in (0, 4, 8, CHECKPOINT_HEADER, len(checkpoint) - 1):
            bad = bytearray(checkpoint)
            bad[position] ^= 0x10
            assert load(bytes(bad)) == 0xFFFF_FFFF
            assert session.save() == state
        assert load(checkpoint) == 0
        assert session.save() == checkpoint


# What cannot run


def test_unicorn_has_no_m55(programs: Programs) -> None:
    with pytest.raises(MissingToolError, match="qemu-system-arm"):
        programs("cortex-m55").load(emulator="unicorn")


def test_missing_qemu(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(MissingToolError, match="qemu-system-arm is not installed"):
        programs("cortex-m7").load(emulator="qemu")


@pytest.mark.parametrize("target", ["host", "cortex-m7"])
def test_a_closed_session_says_so(programs: Programs, data: Data, target: str) -> None:
    session = programs(target).load()
    session.close()
    session.close()
    with pytest.raises(EmulatorError, match="closed"):
        session.infer(data[0][0])


def test_a_program_too_large_for_the_board() -> None:
    model = torch.nn.Linear(2100, 2100)
    program = tt.compile(model, torch.zeros(1, 2100), loss="mse", target="cortex-m7")
    with pytest.raises(tt.TinyTrainError):
        program.load()


def test_a_program_that_fills_ram_and_flash() -> None:
    """2.56 MB of parameters: once in RAM, once in flash (4 MB each)."""
    model = torch.nn.Linear(800, 800, bias=False)
    x, y = torch.randn(1, 800), torch.randn(1, 800)
    with tt.compile(model, x, loss="mse", target="cortex-m7").load() as session:
        expected = torch.nn.functional.mse_loss(model(x), y).item()
        assert session.step(x, y) == pytest.approx(expected, rel=1e-5)


def test_data_moves_to_the_large_region() -> None:
    model = torch.nn.Conv2d(1, 4, 1)
    x, y = torch.randn(1, 1, 512, 512), torch.randn(1, 4, 512, 512)
    with tt.compile(model, x, loss="mse", target="cortex-m7").load() as session:
        expected = torch.nn.functional.mse_loss(model(x), y).item()
        assert session.step(x, y) == pytest.approx(expected, rel=1e-3)  # a sum of 2²⁰ numbers
