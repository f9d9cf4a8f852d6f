"""The published networks, their sparse update schemes, and CIFAR-10: they lie outside this project.

They are looked for in `models` and `data` of `$TINYTRAIN_SHARED`, by default `../shared` beside the
project.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

import tinytrain_mlir as tt
from tinytrain_mlir.frontends.graph_builder import Array
from tinytrain_mlir.quantization import Quantization

NETWORKS = ("mbv2-w0.35", "mcunet-5fps", "proxyless-w0.3")

_DEFAULT = Path(__file__).resolve().parents[2] / "shared"
_SHARED = Path(os.environ.get("TINYTRAIN_SHARED") or _DEFAULT)
MODELS = _SHARED / "models"
CIFAR10 = _SHARED / "data" / "cifar10.npz"

WHY_ABSENT = f"{MODELS}: no published networks there; set TINYTRAIN_SHARED to the folder above"
WHY_NO_IMAGES = f"{CIFAR10}: no such file; set TINYTRAIN_SHARED to the folder above data"


def present() -> bool:
    """Whether the networks are on this machine."""
    return (MODELS / "schemes.json").is_file()


def has_images() -> bool:
    """Whether CIFAR-10 is on this machine."""
    return CIFAR10.is_file()


def load(
    network: str, num_classes: int = 10, *, dequantize: bool = True, batch: int = 1
) -> tt.Graph:
    """A published network, input [batch, 3, 128, 128]; f32 unless `dequantize` is False."""
    files = (MODELS / f"{network}{suffix}" for suffix in (".json", ".npz"))
    return tt.load_tte(*files, num_classes=num_classes, dequantize=dequantize, batch=batch)


def as_input(pixels: Array, size: Sequence[int], quantization: Quantization) -> Array:
    """Images [N, height, width, 3], 0 to 255, as an int8 network takes them: -1 to 1, resized."""
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    x = torch.nn.functional.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)
    return quantization.quantize((2 * x - 1).numpy())


def images(count: int, size: int = 128) -> tuple[Array, Array]:
    """The first images of CIFAR-10, as the int8 networks take them, and their classes.

    Returns:
        int8 [count, 3, size, size], of which 127.5 is 1.0, and int32 [count].
    """
    with np.load(CIFAR10) as data:
        pixels, classes = data["train_images"][:count], data["train_labels"][:count]
    return as_input(pixels, (size, size), Quantization((2 / 255,))), classes.astype(np.int32)


def schemes(network: str) -> dict[str, tt.config.TteScheme]:
    """Its update schemes, by the extra memory that their authors give, smallest first."""
    data = json.loads((MODELS / "schemes.json").read_text(encoding="utf-8"))[network]
    return {name: tt.SparseUpdate.from_tte(**scheme) for name, scheme in data.items()}
