"""Quantized graphs with random weights, layer by layer, in which few values saturate."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinytrain_mlir.dialects import tinytrain
from tinytrain_mlir.frontends.graph_builder import ParamLayout
from tinytrain_mlir.graph import Graph, MlirBuilder, Tensor
from tinytrain_mlir.quantization import Quantization

Array = npt.NDArray[Any]

_SPREAD = 40.0  # of what a layer gives, in stored integers
_PRODUCT = 64.0 * 74.0  # a usual product of an activation, less its zero point, and a weight


class Layers:
    """A graph under construction.

    Args:
        random: draws all values.
        shape: of the input, NHWC.
        zero_point: of the input.
        quantized: whether the input is int8; else it is f32 and quantized first.
        scale: of the input.
    """

    def __init__(
        self,
        random: np.random.Generator,
        shape: tuple[int, int, int, int],
        zero_point: int = 3,
        quantized: bool = True,
        scale: float = 0.02,
    ) -> None:
        self.random, self.builder = random, MlirBuilder()
        real = Quantization((scale,), zero_point)
        self.x = self.builder.input("input", shape, "f32", real if quantized else None)
        if not quantized:
            self.x = self.builder.quantize(self.x, real)
        self._count = 0

    @property
    def scale(self) -> float:
        """Of the last layer's result."""
        assert self.x.quantization is not None
        return self.x.quantization.scales[0]

    def finish(self) -> Graph:
        """The graph that gives the last layer's result."""
        self.builder.output([self.x])
        return self.builder.finish()

    def stored(self, name: str, array: Array, scales: Array, axis: int | None) -> Tensor:
        """A parameter of int8 or int32."""
        bits = 8 * array.itemsize
        quantization = Quantization(tuple(scales.tolist()), axis=axis, bits=bits)
        return self.builder.parameter(name, array, ParamLayout.identity(array.shape), quantization)

    def weight(
        self, shape: tuple[int, ...], axis: int, by_channel: bool = True
    ) -> tuple[Tensor, Array]:
        """A random weight and its scales, with which values stay as large as they are."""
        usual = _SPREAD / _PRODUCT / np.sqrt(np.prod(shape) / shape[axis])
        scales = usual * 10 ** self.random.uniform(-0.3, 0.3, shape[axis] if by_channel else 1)
        values = self.random.integers(-128, 128, shape, np.int8)
        name = f"{self._count}.weight"
        return self.stored(name, values, scales, axis if by_channel else None), scales

    def accumulated(self, sums: Tensor, scales: Array, terms: int, zero_point: int) -> None:
        """Adds a bias to the sums of a weight with these scales, and requantizes."""
        spread = float(np.sqrt(terms) * _PRODUCT)
        bias = self.random.normal(0, spread / 4, sums.shape[-1]).astype(np.int32)
        axis = 0 if len(scales) > 1 else None
        b = self.stored(f"{self._count}.bias", bias, scales * self.scale, axis)
        scale = float(spread * self.scale * scales.mean() / _SPREAD)
        y = self.builder.bias_add(sums, b)
        self.x = self.builder.requantize(y, Quantization((scale,), zero_point))
        self._count += 1

    def conv(
        self,
        outputs: int,
        kernel: tuple[int, int] = (1, 1),
        strides: tuple[int, int] = (1, 1),
        padding: tuple[int, int, int, int] = (0, 0, 0, 0),
        dilations: tuple[int, int] = (1, 1),
        groups: int = 1,
        zero_point: int = -128,
        by_channel: bool = True,
    ) -> None:
        """Convolution, bias, requantize; depthwise where there are as many groups as channels."""
        channels = self.x.shape[3]
        depthwise = groups == channels == outputs and groups > 1
        shape = (1 if depthwise else outputs, *kernel, outputs if depthwise else channels // groups)
        w, scales = self.weight(shape, 3 if depthwise else 0, by_channel)
        y = self.builder.conv2d(self.x, w, strides, padding, dilations, groups)
        terms = kernel[0] * kernel[1] * channels // groups
        self.accumulated(y, scales, terms, zero_point)

    def depthwise(self, kernel: int = 3, stride: int = 1, zero_point: int = -128) -> None:
        """A depthwise convolution that keeps the image's size, or divides it by the stride."""
        side, channels = kernel // 2, self.x.shape[3]
        self.conv(
            channels,
            (kernel, kernel),
            (stride, stride),
            (side,) * 4,
            groups=channels,
            zero_point=zero_point,
        )

    def block(
        self, hidden: int, outputs: int, kernel: int = 3, stride: int = 1, zero_point: int = 5
    ) -> None:
        """Expansion, depthwise convolution, projection; a sum with the input of the same shape."""
        start = self.x
        self.conv(hidden)
        self.depthwise(kernel, stride)
        self.conv(outputs, zero_point=zero_point)
        if start.shape == self.x.shape:
            self.add(start, -zero_point)

    def add(self, other: Tensor, zero_point: int) -> None:
        """A sum of quantized tensors."""
        assert other.quantization is not None
        scale = float(np.hypot(self.scale, other.quantization.scales[0]))
        self.x = self.builder.quantized_add(other, self.x, Quantization((scale,), zero_point))

    def matmul(self, outputs: int, zero_point: int) -> None:
        """A linear layer of stored integers; images are flattened."""
        n, *rest = self.x.shape
        terms = int(np.prod(rest))
        if len(rest) > 1:
            op, element = tinytrain.ReshapeOp, self.x.quantization
            self.x = self.builder._typed(op, (n, terms), self.x, quantization=element)
        w, scales = self.weight((outputs, terms), 0)
        y = self.builder.matmul(self.x, w, transpose_b=True)
        self.accumulated(y, scales, terms, zero_point)

    def head(self, classes: int) -> None:
        """The mean of each image, and a linear layer of f32."""
        x = self.builder.dequantize(self.builder.global_avg_pool(self.x))
        weight = self.random.normal(0, 0.5, (classes, x.shape[1])).astype(np.float32)
        bias = self.random.normal(0, 0.5, classes).astype(np.float32)
        w = self.builder.parameter("fc.weight", weight, ParamLayout.identity(weight.shape))
        b = self.builder.parameter("fc.bias", bias, ParamLayout.identity(bias.shape))
        self.x = self.builder.bias_add(self.builder.matmul(x, w, transpose_b=True), b)


def image(random: np.random.Generator, graph: Graph) -> Array:
    """A random input, as in PyTorch, of the graph's own type."""
    shape = graph.input.layout.torch_shape
    if graph.input.quantization is None:
        return (random.standard_normal(shape) * 1.5).astype(np.float32)
    return random.integers(-128, 128, shape, np.int8)
