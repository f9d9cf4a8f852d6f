"""Networks published for the Tiny Training Engine: a JSON file of layers and an .npz of arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast
from zipfile import BadZipFile

import numpy as np

from ..errors import ConfigError, ModelError
from ..graph import Graph, MlirBuilder, Tensor
from .graph_builder import Array, ParamLayout

_RELU6_ZERO_POINT = -128


def load_tte(
    json_path: str | Path,
    npz_path: str | Path,
    *,
    num_classes: int = 10,
    dequantize: bool = False,
    seed: int = 0,
) -> Graph:
    """The graph of a published network, with a new classifier.

    Args:
        json_path: its layers in order.
        npz_path: their arrays: `<layer>.weight` (int8, OIHW), `<layer>.bias` (int32) and
            `<layer>.weight_scale` (f32, one per output channel).
        num_classes: outputs of the new classifier, which starts uniform in ±1/√width.
        dequantize: gives the float network: weight · weight_scale, bias · scale of the
            accumulator, ReLU6 where an output's zero point is -128.
        seed: of the classifier.

    Raises:
        ModelError: a file is absent or damaged.
        ConfigError: the quantized network is asked for, or no classes.
    """
    if not dequantize:
        raise ConfigError("load_tte: int8 graphs are not supported yet: pass dequantize=True")
    if num_classes < 1:
        raise ConfigError(f"load_tte: expected at least one class, got {num_classes}")
    try:
        meta = json.loads(Path(json_path).read_text(encoding="utf-8"))
        arrays = dict(np.load(npz_path))
        return _Reader(arrays).read(meta, num_classes, seed)
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise ModelError(
            f"{json_path} and {npz_path} are no published network ({type(error).__name__}: "
            f"{error}): expected its JSON file of layers and its .npz of arrays"
        ) from error


class _Reader:
    def __init__(self, arrays: dict[str, Array]) -> None:
        self._arrays = arrays
        self._builder = MlirBuilder()

    def read(self, meta: dict[str, Any], num_classes: int, seed: int) -> Graph:
        n, c, h, w = meta["input_shape_nchw"]
        x = self._builder.input("input", (n, h, w, c), "f32")
        for layer in meta["layers"]:
            if layer["op"] == "conv2d":
                x = self._conv(x, layer)
            elif layer["op"] == "block":
                x = self._block(x, layer)
            elif layer["op"] == "global_avg_pool":
                x = self._builder.global_avg_pool(x)
            elif layer["op"] == "classifier_conv1x1":
                x = self._classifier(x, num_classes, seed)
            else:
                raise ValueError(f"unknown layer {layer['op']!r}")
        self._builder.output([x])
        return self._builder.finish()

    def _block(self, x: Tensor, block: dict[str, Any]) -> Tensor:
        start = x
        for layer in block["layers"]:
            x = self._conv(x, layer)
        self._builder.set_location(None, 0, 0, block["name"])
        return self._builder.add(start, x) if block["residual"] else x

    def _conv(self, x: Tensor, layer: dict[str, Any]) -> Tensor:
        name, builder = layer["name"], self._builder
        builder.set_location(None, 0, 0, name)
        scale = self._arrays[f"{name}.weight_scale"].astype(np.float32)
        weight = self._arrays[f"{name}.weight"] * scale[:, None, None, None]
        bias = self._arrays[f"{name}.bias"] * (scale * np.float32(layer["input"]["scale"]))
        groups = layer["groups"]
        o, i, kh, kw = shape = cast(tuple[int, ...], weight.shape)
        layout = ParamLayout(shape, shape, (0, 2, 3, 1), (o, kh, kw, i))
        if groups == layer["in_channels"] == o and groups > 1:
            layout = ParamLayout(shape, shape, (1, 2, 3, 0), (1, kh, kw, o))
        stride, (top, left) = layer["stride"], layer["padding"]
        y = builder.conv2d(
            x,
            self._parameter(f"{name}.weight", weight, layout),
            (stride, stride),
            (top, top, left, left),
            (1, 1),
            groups,
        )
        y = builder.bias_add(y, self._parameter(f"{name}.bias", bias))
        if layer["output"]["zero_point"] == _RELU6_ZERO_POINT:
            y = builder.clamp(y, 0.0, 6.0)
        return y

    def _classifier(self, x: Tensor, classes: int, seed: int) -> Tensor:
        self._builder.set_location(None, 0, 0, "classifier")
        width = x.shape[1]
        bound = width**-0.5
        weight = np.random.default_rng(seed).uniform(-bound, bound, (classes, width))
        y = self._builder.matmul(x, self._parameter("classifier.weight", weight), transpose_b=True)
        return self._builder.bias_add(y, self._parameter("classifier.bias", np.zeros(classes)))

    def _parameter(self, name: str, array: Array, layout: ParamLayout | None = None) -> Tensor:
        layout = layout or ParamLayout.identity(array.shape)
        return self._builder.parameter(name, layout.to_ir(array.astype(np.float32)), layout)
