"""Depthwise convolutions in f32 on small images, in each order of their loops, against PyTorch."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import tinytrain_mlir as tt
from tinytrain_mlir import driver, ir
from tinytrain_mlir.program import Program

CHANNELS, LR = 64, 0.5


def network(
    kernel: Any, stride: Any, padding: Any, dilation: int, size: tuple[int, int]
) -> nn.Module:
    """A depthwise convolution between two layers that learn, behind a clamp."""
    depthwise = nn.Conv2d(
        CHANNELS, CHANNELS, kernel, stride, padding, dilation=dilation, groups=CHANNELS
    )
    front = nn.Sequential(nn.Conv2d(2, CHANNELS, 1), nn.ReLU6(), depthwise, nn.Flatten())
    features = front(torch.zeros(1, 2, *size)).shape[1]
    return nn.Sequential(front, nn.Linear(features, 3)).eval()


def compile_in_order(
    order: str, model: nn.Module, x: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> Program:
    """A program for the Cortex-M7 whose depthwise convolutions run in an order.

    Channel by channel they run wherever nothing may overlap. The other order is written on all
    kernels; pixel by pixel it is not.
    """
    plain = driver._run

    def run(module: ir.Module, stage: str, pipeline: str) -> tuple[driver.Statistic, ...]:
        if stage == "codegen" and order == "rows":
            for function in module.body.operations:
                for op in (op for region in function.regions for op in region.blocks[0].operations):
                    if op.operation.name == "tinytrain.kernel":
                        op.attributes["tinytrain.order"] = ir.StringAttr.get("rows")
            pipeline = "tinytrain-lower-kernels{target=cortex-m7}," + pipeline
        return plain(module, stage, pipeline)

    monkeypatch.setattr(driver, "_run", run)
    passes = tt.MemoryPasses(overlap=order != "channels")
    return tt.compile(model, x, optimizer=tt.SGD(lr=LR), target="cortex-m7", passes=passes)


@pytest.mark.parametrize("order", ["channels", "rows"])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "size", "batch"),
    [
        (3, 1, 1, 1, (8, 8), 1),
        (3, 1, 1, 1, (5, 9), 2),
        (3, 1, 1, 1, (16, 12), 1),
        (3, 1, 0, 1, (8, 8), 1),
        (3, 1, 2, 2, (6, 6), 1),
        (5, 1, 2, 1, (4, 4), 1),
        (7, 1, 3, 1, (4, 5), 1),
        (3, 2, 1, 1, (8, 8), 1),
        (3, 2, 1, 1, (7, 9), 1),
        (3, 2, 0, 1, (8, 10), 2),
        (5, 2, 2, 1, (8, 8), 1),
        (7, 2, 3, 1, (10, 8), 1),
        ((3, 5), (1, 2), (1, 2), 1, (6, 8), 1),
        ((3, 3), (2, 1), (0, 1), 1, (9, 6), 1),
        (3, 3, 1, 1, (9, 12), 1),
    ],
)
def test_one_step(
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: int,
    size: tuple[int, int],
    batch: int,
    order: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = network(kernel, stride, padding, dilation, size)
    x, y = 3 * torch.randn(batch, 2, *size), torch.arange(batch) % 3
    program = compile_in_order(order, model, x, monkeypatch)
    wanted = copy.deepcopy(model).double()
    optimizer = torch.optim.SGD(wanted.parameters(), lr=LR)
    scores = wanted(x.double())
    loss = F.cross_entropy(scores, y)
    loss.backward()
    optimizer.step()
    with program.load() as session:
        np.testing.assert_allclose(session.infer(x), scores.detach(), rtol=1e-4, atol=1e-5)
        assert session.step(x, y) == pytest.approx(loss.item(), rel=1e-5)
        learned = session.parameters()
    start = dict(model.named_parameters())
    for name, parameter in wanted.named_parameters():
        change = (parameter - start[name]).detach().numpy()
        ours = learned[name] - start[name].detach().numpy()
        np.testing.assert_allclose(ours, change, atol=2e-4 * np.abs(change).max())


def test_orders_are_chosen() -> None:
    """Where nothing may overlap each of the kernels runs channel by channel: forward and adjoint."""
    model = network(3, 2, 1, 1, (10, 8))
    program = tt.compile(
        model,
        torch.zeros(1, 2, 10, 8),
        target="cortex-m7",
        passes=tt.MemoryPasses(overlap=False),
    )
    (count,) = (
        s.value for s in program.compiled.statistics if s.pass_name == "tinytrain-choose-orders"
    )
    assert count == 2
