"""Networks published for the Tiny Training Engine: a JSON file of layers and an .npz of arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast
from zipfile import BadZipFile

import numpy as np

from ..errors import ConfigError, ModelError
from ..graph import Graph, MlirBuilder, Tensor
from ..quantization import MAX_BIAS, Quantization
from .graph_builder import Array, ParamLayout

_RELU6_ZERO_POINT = -128


def load_tte(
    json_path: str | Path,
    npz_path: str | Path,
    *,
    num_classes: int = 10,
    dequantize: bool = False,
    seed: int = 0,
    batch: int = 1,
) -> Graph:
    """The graph of a published network, with a new or its own classifier.

    Args:
        json_path: its layers in order.
        npz_path: their arrays: `<layer>.weight` (int8, OIHW), `<layer>.bias` (int32) and
            `<layer>.weight_scale` (f32, one per output channel).
        num_classes: outputs of the new f32 classifier, which starts uniform in ±1/√width. As
            many as the network's own classifier has keep that one.
        dequantize: gives the float network: weight · weight_scale, bias · scale of the
            accumulator, ReLU6 where an output's zero point is -128. Else the graph is int8: its
            input is stored integers, and so are weights and biases.
        seed: of the classifier.
        batch: images in one call.

    Raises:
        ModelError: a file is absent or damaged.
        ConfigError: no classes, or no images.
    """
    for name, count in (("num_classes", num_classes), ("batch", batch)):
        if count < 1:
            raise ConfigError(f"load_tte: expected {name} >= 1, got {count}")
    try:
        meta = json.loads(Path(json_path).read_text(encoding="utf-8"))
        arrays = dict(np.load(npz_path))
        reader = _Reader(arrays) if dequantize else _QuantizedReader(arrays)
        meta["input_shape_nchw"][0] = batch
        return reader.read(meta, num_classes, seed)
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise ModelError(
            f"{json_path} and {npz_path} are no published network ({type(error).__name__}: "
            f"{error}): expected its JSON file of layers and its .npz of arrays"
        ) from error


class _Reader:
    """Builds the float network."""

    def __init__(self, arrays: dict[str, Array]) -> None:
        self._arrays = _with_headroom(arrays)
        self._builder = MlirBuilder()

    def read(self, meta: dict[str, Any], num_classes: int, seed: int) -> Graph:
        x = self._input(meta)
        for layer in meta["layers"]:
            if layer["op"] == "conv2d":
                x = self._conv(x, layer)
            elif layer["op"] == "block":
                x = self._block(x, layer)
            elif layer["op"] == "global_avg_pool":
                x = self._builder.global_avg_pool(x)
            elif layer["op"] == "classifier_conv1x1":
                self._builder.set_location(None, 0, 0, "classifier")
                own = layer["out_channels"] == num_classes
                x = (
                    self._own_classifier(x, layer)
                    if own
                    else self._classifier(x, num_classes, seed)
                )
            else:
                raise ValueError(f"unknown layer {layer['op']!r}")
        self._builder.output([x])
        return self._builder.finish()

    def _input(self, meta: dict[str, Any]) -> Tensor:
        n, c, h, w = meta["input_shape_nchw"]
        return self._builder.input("input", (n, h, w, c), "f32")

    def _block(self, x: Tensor, block: dict[str, Any]) -> Tensor:
        start = x
        for layer in block["layers"]:
            x = self._conv(x, layer)
        self._builder.set_location(None, 0, 0, block["name"])
        return self._add(start, x, block["residual"]) if block["residual"] else x

    def _add(self, x: Tensor, y: Tensor, _residual: dict[str, Any]) -> Tensor:
        return self._builder.add(x, y)

    def _conv(self, x: Tensor, layer: dict[str, Any]) -> Tensor:
        name, builder = layer["name"], self._builder
        builder.set_location(None, 0, 0, name)
        stride, (top, left) = layer["stride"], layer["padding"]
        weight, bias = self._weight(layer), self._bias(layer)
        padding = (top, top, left, left)
        y = builder.conv2d(x, weight, (stride, stride), padding, (1, 1), layer["groups"])
        return self._activation(builder.bias_add(y, bias), layer["output"])

    def _weight(self, layer: dict[str, Any]) -> Tensor:
        name, groups = f"{layer['name']}.weight", layer["groups"]
        o, i, kh, kw = shape = cast(tuple[int, ...], self._arrays[name].shape)
        layout = ParamLayout(shape, shape, (0, 2, 3, 1), (o, kh, kw, i))
        if groups == layer["in_channels"] == o and groups > 1:
            layout = ParamLayout(shape, shape, (1, 2, 3, 0), (1, kh, kw, o))
        return self._stored(name, self._weight_scales(layer), layout, 3 if groups > 1 else 0)

    def _bias(self, layer: dict[str, Any]) -> Tensor:
        name = f"{layer['name']}.bias"
        scales = self._weight_scales(layer) * layer["input"]["scale"]
        return self._stored(name, scales, ParamLayout.identity(scales.shape), 0)

    def _weight_scales(self, layer: dict[str, Any]) -> Array:
        return self._arrays[f"{layer['name']}.weight_scale"].astype(np.float64)

    def _stored(self, name: str, scales: Array, layout: ParamLayout, axis: int) -> Tensor:
        """A parameter that the file holds as integers, one scale per output channel."""
        array = layout.to_ir(self._arrays[name])
        along = scales.reshape([-1 if d == axis else 1 for d in range(array.ndim)])
        return self._builder.parameter(name, array * along, layout)

    def _activation(self, y: Tensor, output: dict[str, Any]) -> Tensor:
        relu6 = output["zero_point"] == _RELU6_ZERO_POINT
        return self._builder.clamp(y, 0.0, 6.0) if relu6 else y

    def _own_classifier(self, x: Tensor, layer: dict[str, Any]) -> Tensor:
        weight = self._arrays[f"{layer['name']}.weight"]
        shape = cast(tuple[int, ...], weight.shape)
        layout = ParamLayout(shape, shape[:2], (0, 1), shape[:2])
        scales = self._weight_scales(layer)
        w = self._stored(f"{layer['name']}.weight", scales, layout, 0)
        return self._builder.bias_add(
            self._builder.matmul(x, w, transpose_b=True), self._bias(layer)
        )

    def _classifier(self, x: Tensor, classes: int, seed: int) -> Tensor:
        width = x.shape[1]
        bound = width**-0.5
        weight = np.random.default_rng(seed).uniform(-bound, bound, (classes, width))
        y = self._builder.matmul(x, self._parameter("classifier.weight", weight), transpose_b=True)
        return self._builder.bias_add(y, self._parameter("classifier.bias", np.zeros(classes)))

    def _parameter(self, name: str, array: Array) -> Tensor:
        return self._builder.parameter(name, array, ParamLayout.identity(array.shape))


class _QuantizedReader(_Reader):
    """Builds the int8 network; a new classifier is f32."""

    def _input(self, meta: dict[str, Any]) -> Tensor:
        n, c, h, w = meta["input_shape_nchw"]
        quantization = _quantization(meta["layers"][0]["input"])
        return self._builder.input("input", (n, h, w, c), "f32", quantization)

    def _add(self, x: Tensor, y: Tensor, residual: dict[str, Any]) -> Tensor:
        return self._builder.quantized_add(x, y, _quantization(residual["output"]))

    def _stored(self, name: str, scales: Array, layout: ParamLayout, axis: int) -> Tensor:
        array = layout.to_ir(self._arrays[name])
        bits = 8 if array.dtype == np.int8 else 32
        quantization = Quantization(tuple(scales.tolist()), axis=axis, bits=bits)
        return self._builder.parameter(name, array, layout, quantization)

    def _activation(self, y: Tensor, output: dict[str, Any]) -> Tensor:
        return self._builder.requantize(y, _quantization(output))

    def _own_classifier(self, x: Tensor, layer: dict[str, Any]) -> Tensor:
        y = super()._own_classifier(x, layer)
        return self._builder.dequantize(self._activation(y, layer["output"]))

    def _classifier(self, x: Tensor, classes: int, seed: int) -> Tensor:
        return super()._classifier(self._builder.dequantize(x), classes, seed)


def _quantization(entry: dict[str, Any]) -> Quantization:
    return Quantization((float(entry["scale"]),), int(entry["zero_point"]))


def _with_headroom(arrays: dict[str, Array]) -> dict[str, Array]:
    """The arrays with larger scales where a bias would leave no room for sums, or to learn.

    Channels that are all but dead have tiny scales, and biases that saturate int32.
    """
    result = dict(arrays)
    for name in arrays:
        if not name.endswith(".bias"):
            continue
        layer = name.removesuffix(".bias")
        bias = arrays[name].astype(np.float64)
        excess = np.maximum(np.abs(bias) / MAX_BIAS, 1.0)
        factor = 2.0 ** np.ceil(np.log2(excess))
        weight = arrays[f"{layer}.weight"] / factor[:, None, None, None]
        result[name] = np.rint(bias / factor).astype(np.int32)
        result[f"{layer}.weight"] = np.rint(weight).astype(np.int8)
        result[f"{layer}.weight_scale"] = arrays[f"{layer}.weight_scale"] * factor
    return result
