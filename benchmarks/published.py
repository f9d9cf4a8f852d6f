"""The published networks and their sparse update schemes, which lie outside this project.

They are looked for in `$TINYTRAIN_SHARED/models`, by default `../shared/models` beside the project.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import tinytrain_mlir as tt

NETWORKS = ("mbv2-w0.35", "mcunet-5fps", "proxyless-w0.3")

_DEFAULT = Path(__file__).resolve().parents[2] / "shared"
MODELS = Path(os.environ.get("TINYTRAIN_SHARED") or _DEFAULT) / "models"

WHY_ABSENT = f"{MODELS}: no published networks there; set TINYTRAIN_SHARED to the folder above"


def present() -> bool:
    """Whether the networks are on this machine."""
    return (MODELS / "schemes.json").is_file()


def load(network: str, num_classes: int = 10) -> tt.Graph:
    """The f32 graph of a published network, input [1, 3, 128, 128]."""
    files = (MODELS / f"{network}{suffix}" for suffix in (".json", ".npz"))
    return tt.load_tte(*files, num_classes=num_classes, dequantize=True)


def schemes(network: str) -> dict[str, tt.config.TteScheme]:
    """Its update schemes, by the extra memory that their authors give, smallest first."""
    data = json.loads((MODELS / "schemes.json").read_text(encoding="utf-8"))[network]
    return {name: tt.SparseUpdate.from_tte(**scheme) for name, scheme in data.items()}
