"""Training with PyTorch and with the compiler, side by side.

PyTorch trains in float64 from the same start. Networks at random start are chaotic: where a value
lies within rounding of a ReLU's corner, its gradient comes or goes, in PyTorch's own f32 too. So
learning rates are small. At each step the loss is within 1e-4 (relative). At the end every
parameter is within 1e-3 of its largest value (at least 0.01), and what training changed of the
network is within `tolerance` (L2 norm; 5 times that for each parameter, plus the rounding of f32
at each step): a wrong gradient cannot hide behind a small learning rate. What is not trained, whole
parameters or channels of one, is bit-identical to the start, whatever the optimizer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from conftest import fuse_bn
from torch import nn

import tinytrain_mlir as tt
from tinytrain_mlir.config import NeedsGrad
from tinytrain_mlir.frontends.graph_builder import ParamLayout

Mask = npt.NDArray[np.bool_]


def channel_axes(model: nn.Module) -> dict[str, int]:
    """The dimension of each parameter that a fraction or a set of channels counts.

    The channels of a bias and of a depthwise weight, the input channels of any other.
    """
    axes = {}
    for prefix, module in model.named_modules():
        depthwise = (
            isinstance(module, nn.Conv2d)
            and module.groups == module.in_channels == module.out_channels
        )
        for name, parameter in module.named_parameters(prefix, recurse=False):
            axes[name] = 0 if depthwise or parameter.ndim < 2 else 1
    return axes


def trained_channels(wanted: NeedsGrad, channels: int) -> int:
    """How many leading channels are trained."""
    if isinstance(wanted, bool):
        return channels if wanted else 0
    if isinstance(wanted, tuple):
        return len(wanted)
    half_up = np.floor(np.float64(np.float32(wanted)) * channels + 0.5)  # r is kept as f32
    return max(1, int(half_up))


def trained_mask(shape: Sequence[int], axis: int, wanted: NeedsGrad, layout: ParamLayout) -> Mask:
    """True where a parameter of this shape is trained.

    The inputs of a linear layer behind a flattened image count in the graph's order, pixel by
    pixel, and not in PyTorch's, channel by channel.
    """
    count = trained_channels(wanted, shape[axis])
    flattened = len(layout.view) > len(shape)
    mask = np.zeros(layout.ir_shape if flattened else shape, bool)
    np.moveaxis(mask, axis, 0)[:count] = True
    return layout.to_torch(mask) if flattened else mask


def train_both(
    network: tuple[nn.Module, tuple[int, ...]],
    *,
    batch: int = 1,
    steps: int = 8,
    lr: float = 1e-3,
    rates: Sequence[float | None] | None = None,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    loss: str = "cross_entropy",
    update: Any = None,
    trained: Callable[[str], NeedsGrad] = lambda name: True,
    masks: Mapping[str, Mask] | None = None,
    target: str = "host",
    tolerance: float = 0.02,
    all_change: bool = False,
) -> None:
    """Trains a network with PyTorch and with the compiler, and compares.

    Args:
        network: the model in eval mode and the shape of one input.
        rates: learning rate given to each step; None leaves it as it is.
        trained: what `update` should train, by parameter name.
        masks: the same entry by entry, instead; what is not named is not trained.
        tolerance: error of what training changed, relative.
        all_change: every parameter that is trained has to change.
    """
    model, shape = network
    reference = fuse_bn(model).double()
    axes = channel_axes(reference)
    start = {n: p.detach().clone().numpy() for n, p in reference.named_parameters()}
    sgd = torch.optim.SGD(reference.parameters(), lr, momentum=momentum, weight_decay=weight_decay)
    program = tt.compile(
        model,
        torch.zeros(batch, *shape),
        loss=loss,
        optimizer=tt.SGD(lr, momentum, weight_decay),
        update=update,
        target=target,
    )
    masks = {
        name: trained_mask(
            p.shape, axes[name], trained(name), program.graph.parameters[name].layout
        )
        if masks is None
        else masks.get(name, np.zeros(p.shape, bool))
        for name, p in reference.named_parameters()
    }
    with program.load() as session:
        before = session.parameters()
        assert set(before) == set(start)
        for step, rate in enumerate(rates if rates is not None else [None] * steps):
            x = torch.randn(batch, *shape)
            output = reference(x.double())
            logits = output.detach().numpy()
            np.testing.assert_allclose(session.infer(x), logits, rtol=1e-3, atol=1e-4)
            if loss == "mse":
                y = torch.randn(output.shape)
                value = F.mse_loss(output, y.double())
            else:
                y = torch.randint(output.shape[1], (batch,))
                value = F.cross_entropy(output, y)
            if rate is not None:
                sgd.param_groups[0]["lr"] = rate
            sgd.zero_grad()
            value.backward()
            sgd.step()
            with torch.no_grad():  # elementwise: the rest does not feel what is put back
                for name, parameter in reference.named_parameters():
                    frozen = torch.from_numpy(~masks[name])
                    parameter[frozen] = torch.from_numpy(start[name])[frozen]
            got = session.step(x, y, lr=rate)
            assert got == pytest.approx(value.item(), rel=1e-4), f"loss of step {step}"
        after = session.parameters()
    errors = [(0.0, 0.0)]
    for name, parameter in reference.named_parameters():
        mask = masks[name]
        np.testing.assert_array_equal(after[name][~mask], before[name][~mask], err_msg=name)
        if not mask.any():
            continue
        wanted = parameter.detach().numpy()
        largest = max(np.abs(wanted).max(), 0.01)
        assert np.abs(after[name] - wanted).max() <= 1e-3 * largest, name
        change = wanted - start[name]
        rounding = 1e-7 * steps * np.sqrt(mask.sum()) * largest
        error = np.linalg.norm(after[name].astype(np.float64) - before[name] - change)
        norm = np.linalg.norm(change)
        assert error <= 5 * tolerance * norm + rounding, f"change of {name}"
        assert norm > 0 or not all_change, f"{name} does not change"
        errors.append((float(max(error - rounding, 0.0)), float(norm)))
    error, norm = (np.linalg.norm(column) for column in zip(*errors, strict=True))
    assert error <= tolerance * norm, "change of all parameters"
