"""examples/baremetal, linked by arm-none-eabi-gcc and run in QEMU."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from torch import nn

import tinytrain_mlir as tt

EXAMPLE = Path(__file__).parents[2] / "examples" / "baremetal"
TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm", "make")

missing = [tool for tool in TOOLS if shutil.which(tool) is None]


@pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")
def test_example_links_runs_and_learns(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 16, 10),
    ).eval()
    program = tt.compile(
        model, torch.zeros(1, 1, 8, 8), optimizer=tt.SGD(lr=0.05), target="cortex-m7", name="digits"
    )
    folder = program.save(tmp_path / "digits")
    work = tmp_path / "baremetal"
    shutil.copytree(EXAMPLE, work)
    done = subprocess.run(
        ["make", "run", f"MODEL={folder}"],
        cwd=work,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    losses = [float(value) for value in re.findall(r"loss[ :=]+([0-9.]+)", output)]
    assert len(losses) >= 2 and losses[-1] < losses[0], output
