"""What all tests share: the hypothesis profile, markers, and PyTorch models to compare with.

`TINYTRAIN_EXAMPLES` sets how many cases hypothesis draws for each test; they are the same in
every run unless `TINYTRAIN_RANDOM=1`.
"""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise

import pytest
import torch
from hypothesis import HealthCheck, settings
from networks import tiny_net
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import tinytrain_mlir as tt
from tinytrain_mlir.api import import_model
from tinytrain_mlir.graph import Graph
from tinytrain_mlir.program import Program

settings.register_profile(
    "tinytrain",
    max_examples=int(os.environ.get("TINYTRAIN_EXAMPLES", "8")),
    derandomize=os.environ.get("TINYTRAIN_RANDOM") != "1",
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("tinytrain")
torch.set_num_threads(1)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requires_qemu: needs qemu-system-arm and -aarch64")


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    programs = ("qemu-system-arm", "qemu-system-aarch64")
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        skip = pytest.mark.skip(reason=f"{' and '.join(missing)}: not installed")
        for item in items:
            if item.get_closest_marker("requires_qemu"):
                item.add_marker(skip)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def graph() -> Graph:
    """The graph of `tiny_net`, batch 2."""
    torch.manual_seed(1)
    return import_model(tiny_net(), torch.zeros(2, 1, 8, 8))


@pytest.fixture(scope="module")
def programs(graph: Graph) -> Callable[[str], Program]:
    """The training program of `graph` for a target, compiled once."""

    @cache
    def get(target: str) -> Program:
        return tt.compile(graph, optimizer=tt.SGD(0.05, 0.9, 1e-3), target=target)

    return get


def calibrate(model: nn.Module, shape: Sequence[int]) -> nn.Module:
    """Gives batch norms the statistics of random images, so that no activation vanishes.

    Args:
        shape: of one input, without the batch.
    """
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.momentum = None
            module.reset_running_stats()
    model.train()
    with torch.no_grad():
        for _ in range(4):
            model(torch.randn(16, *shape))
    return model.eval()


def fuse_bn(model: nn.Module) -> nn.Module:
    """A copy in which each batch norm is part of the convolution that stands before it.

    Every parameter of the copy is trainable, the new biases too. It has the parameters that
    the compiler's front end makes of `model`.
    """
    model = copy.deepcopy(model).eval()
    for parent in list(model.modules()):
        for (name, conv), (norm_name, norm) in pairwise(list(parent.named_children())):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(conv, norm))
                setattr(parent, norm_name, nn.Identity())
    return model.requires_grad_(True)
