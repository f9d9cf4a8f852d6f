"""A published network cut before the first layer that learns, and the data behind the cut.

The frozen layers are run once for all images, by a program of their own.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np
import published

import tinytrain_mlir as tt
from tinytrain_mlir.config import TteScheme
from tinytrain_mlir.frontends.graph_builder import Array
from tinytrain_mlir.quantization import Quantization

DATA_KEYS = ("train_images", "train_labels", "test_images", "test_labels")
FROZEN_BATCH = 8  # images in one call of the frozen layers


@dataclass(frozen=True)
class Cut:
    """A network cut before the first layer that learns.

    Attributes:
        frozen: the layers' description up to there, as in the published JSON files.
        rest: of the other layers, its input shape that of the frozen layers' output.
        scheme: the scheme in the numbers of the convolutions of `rest`.
    """

    frozen: dict[str, Any]
    rest: dict[str, Any]
    scheme: TteScheme


def cut(meta: dict[str, Any], scheme: TteScheme) -> Cut:
    """Cuts at the last boundary of blocks before the first convolution that learns.

    Args:
        meta: a published network's description.
        scheme: what learns; neither weights nor bias of the first convolution.
    """
    layers = meta["layers"]
    counts = [len(layer.get("layers", [layer])) for layer in layers if _is_body(layer)]
    learning = [i for i, r in zip(scheme.weight_idx, scheme.ratio, strict=True) if r > 0]
    first = min(sum(counts) - scheme.n_bias_update, *learning, sum(counts))
    before = list(itertools.accumulate(counts, initial=0))
    at = max(i for i, number in enumerate(before) if number <= first)
    if at == 0:
        raise ValueError("the first layer learns: there is nothing to run once")
    frozen = {**meta, "layers": layers[:at]}
    entry, last = dict(layers[at]), layers[at - 1]
    entry["input"] = (last.get("residual") or last.get("layers", [last])[-1])["output"]
    kept = [(i, r) for i, r in zip(scheme.weight_idx, scheme.ratio, strict=True) if r > 0]
    return Cut(
        frozen,
        {**meta, "layers": [entry, *layers[at + 1 :]], "input_shape_nchw": _shape_after(frozen)},
        TteScheme(
            scheme.n_bias_update,
            tuple(index - before[at] for index, _ in kept),
            tuple(ratio for _, ratio in kept),
        ),
    )


def _is_body(layer: dict[str, Any]) -> bool:
    return layer["op"] in ("conv2d", "block")


def _shape_after(meta: dict[str, Any]) -> list[int]:
    n, c, h, w = meta["input_shape_nchw"]
    for layer in meta["layers"]:
        for conv in layer.get("layers", [layer]):
            (kh, kw), (top, left), c = conv["kernel"], conv["padding"], conv["out_channels"]
            h = (h + 2 * top - kh) // conv["stride"] + 1
            w = (w + 2 * left - kw) // conv["stride"] + 1
    return [n, c, h, w]


def load(meta: dict[str, Any], arrays: Path, **options: Any) -> tt.Graph:
    """`tt.load_tte` of a description in memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layers.json"
        path.write_text(json.dumps(meta), encoding="utf-8")
        return tt.load_tte(path, arrays, **options)


def features(meta: dict[str, Any], arrays: Path, images: Array, f32: bool) -> Array:
    """What frozen layers give for images as they are read: stored integers, or f32."""
    graph = load(meta, arrays, dequantize=f32, batch=FROZEN_BATCH)
    program = tt.compile(graph, loss=None, update=tt.NoUpdate(), name="frozen")
    with program.load() as session:
        parts = [
            session.infer(resized(meta, batch, f32)) for batch, _ in padded(images, FROZEN_BATCH)
        ]
    return np.concatenate(parts)[: len(images)]


def padded(images: Array, batch: int) -> Iterator[tuple[Array, int]]:
    """Batches in order, and how many images of each are real; the last image is repeated."""
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        fill = np.repeat(part[-1:], batch - len(part), axis=0)
        yield np.concatenate([part, fill]), len(part)


@dataclass(frozen=True)
class Data:
    """Images and labels [N], to train and to test with.

    Images are uint8 [N, height, width, 3] as they are read, then what the network or a part of
    it takes: [N, C, H, W], int8 or f32.
    """

    train_images: Array
    train_labels: Array
    test_images: Array
    test_labels: Array

    @classmethod
    def read(cls, path: Path, images: int) -> Data:
        """All test images of a file, and the first `images` for training."""
        with np.load(path) as file:
            if missing := [key for key in DATA_KEYS if key not in file]:
                raise click.ClickException(f"{path}: expected the arrays {DATA_KEYS}, no {missing}")
            data = cls(*(file[key] for key in DATA_KEYS))
        if images > len(data.train_images):
            raise click.ClickException(
                f"{path} has {len(data.train_images)} training images, not {images}"
            )
        return replace(
            data, train_images=data.train_images[:images], train_labels=data.train_labels[:images]
        )

    @property
    def classes(self) -> int:
        """The number of classes."""
        return int(max(self.train_labels.max(), self.test_labels.max())) + 1

    def through(self, function: Callable[[Array], Array]) -> Data:
        """With images that a function makes of these."""
        return replace(
            self,
            train_images=function(self.train_images),
            test_images=function(self.test_images),
        )


def resized(meta: dict[str, Any], images: Array, f32: bool) -> Array:
    """Images [N, height, width, 3], 0 to 255, as the network's input, -1 to 1.

    Both kinds of network see the same values: those that its int8 input can take.
    """
    entry = meta["input_quantization"]
    quantization = Quantization((entry["scale"],), entry["zero_point"])
    q = published.as_input(images, meta["input_shape_nchw"][2:], quantization)
    return quantization.dequantize(q) if f32 else q


class Networks:
    """Published networks and the data, each frozen part run once."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.prepared = cache(self._prepared)

    def _prepared(self, network: str, scheme: str, f32: bool) -> tuple[Cut, Data]:
        meta = json.loads((published.MODELS / f"{network}.json").read_text(encoding="utf-8"))
        parts = cut(meta, published.schemes(network)[scheme])

        arrays = arrays_of(network)
        return parts, self.data.through(lambda x: features(parts.frozen, arrays, x, f32))


def arrays_of(network: str) -> Path:
    """The file of a published network's arrays."""
    return published.MODELS / f"{network}.npz"
