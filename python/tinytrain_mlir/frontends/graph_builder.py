"""What a front end needs from a graph under construction, and how parameters map between two layouts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from ..quantization import Quantization

Shape = tuple[int, ...]
Array = npt.NDArray[Any]


class Value(Protocol):
    """An opaque value of the graph."""

    @property
    def shape(self) -> Shape: ...


V = TypeVar("V", bound=Value)


@dataclass(frozen=True)
class ParamLayout:
    """How a parameter array of the framework becomes the array of the graph: reshape, transpose, reshape, reorder.

    ``torch_shape`` → reshape(``view``) → transpose(``permutation``) → reshape(``ir_shape``); all four hold the same
    number of elements, so the map is a bijection and `to_torch` undoes `to_ir` exactly. ``order`` is empty, or holds
    for each dim of ``ir_shape`` the entries in their new order, ``()`` for a dim that stays as it is.
    """

    torch_shape: Shape
    view: Shape
    permutation: tuple[int, ...]
    ir_shape: Shape
    order: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        size = math.prod(self.torch_shape)
        if math.prod(self.view) != size or math.prod(self.ir_shape) != size:
            raise ValueError(f"layout changes the number of elements: {self}")
        if sorted(self.permutation) != list(range(len(self.view))):
            raise ValueError(f"{self.permutation} is not a permutation of the dims of {self.view}")
        if self.order and len(self.order) != len(self.ir_shape):
            raise ValueError(f"expected {len(self.ir_shape)} orders, got {len(self.order)}")
        for entries, dim in zip(self.order, self.ir_shape, strict=False):
            if entries and sorted(entries) != list(range(dim)):
                raise ValueError(f"an order is no permutation of the {dim} entries of its dim")

    @staticmethod
    def identity(shape: Sequence[int]) -> ParamLayout:
        """The layout that leaves an array of this shape as it is."""
        dims = tuple(shape)
        return ParamLayout(dims, dims, tuple(range(len(dims))), dims)

    @property
    def permuted_shape(self) -> Shape:
        """The shape between the transpose and the last reshape."""
        return tuple(self.view[d] for d in self.permutation)

    @property
    def is_permuted(self) -> bool:
        """Whether the transpose moves anything."""
        return self.permutation != tuple(range(len(self.permutation)))

    def reshape(self, shape: Sequence[int]) -> ParamLayout:
        """This layout followed by a reshape."""
        if self.order:
            raise ValueError("a reordered layout cannot be reshaped")
        dims = tuple(shape)
        if not self.is_permuted:
            return ParamLayout(self.torch_shape, dims, tuple(range(len(dims))), dims)
        return ParamLayout(self.torch_shape, self.view, self.permutation, dims)

    def permute(self, permutation: Sequence[int]) -> ParamLayout | None:
        """This layout followed by a transpose, or None where a reshape in between makes that inexpressible."""
        if self.ir_shape != self.permuted_shape or self.order:
            return None
        composed = tuple(self.permutation[d] for d in permutation)
        return ParamLayout(
            self.torch_shape, self.view, composed, tuple(self.view[d] for d in composed)
        )

    def axis(self, dim: int) -> int | None:
        """The graph's dim that holds the framework's ``dim``, or None where a reshape splits or merges it."""
        axis = _same_dim(dim, self.torch_shape, self.view)
        if axis is None:
            return None
        return _same_dim(self.permutation.index(axis), self.permuted_shape, self.ir_shape)

    def reorder(self, order: Sequence[Sequence[int]]) -> ParamLayout:
        """This layout followed by a new order of the entries of each dim."""
        before = self.order or ((),) * len(self.ir_shape)
        composed = []
        for dim, old, new in zip(self.ir_shape, before, order, strict=True):
            entries = tuple(old[i] for i in new) if old else tuple(new)
            composed.append(() if entries == tuple(range(dim)) else entries)
        return replace(self, order=tuple(composed) if any(composed) else ())

    def to_ir(self, array: Array) -> Array:
        """The graph's array for a framework array of shape ``torch_shape``."""
        result = np.ascontiguousarray(array.reshape(self.view).transpose(self.permutation))
        result = result.reshape(self.ir_shape)
        for dim, entries in enumerate(self.order):
            result = result.take(entries, dim) if entries else result
        return result

    def to_torch(self, array: Array) -> Array:
        """The framework's array for a graph array of shape ``ir_shape``."""
        array = array.reshape(self.ir_shape)
        for dim, entries in enumerate(self.order):
            array = array.take(np.argsort(entries), dim) if entries else array
        inverse = tuple(int(d) for d in np.argsort(self.permutation))
        return np.ascontiguousarray(array.reshape(self.permuted_shape).transpose(inverse)).reshape(
            self.torch_shape
        )


def _same_dim(dim: int, old: Shape, new: Shape) -> int | None:
    """The dim of shape ``new`` that ``dim`` of ``old`` becomes in a reshape, if it is a whole one."""
    if old == new:
        return dim
    before = math.prod(old[:dim])
    whole = (d for d, n in enumerate(new) if n == old[dim] and math.prod(new[:d]) == before)
    return next(whole, None)


class GraphBuilder(Protocol[V]):
    """Receives a forward graph op by op; ``V`` is the builder's own value type.

    Images are NHWC, convolution weights OHWI ([O, KH, KW, I / groups]), depthwise ones [1, KH, KW, C]. All values are
    statically shaped, and float32 but for the int8 ones between `quantize` and `dequantize`. Padding of windows is
    (top, bottom, left, right). Binary elementwise ops take equal shapes; `broadcast` is always explicit, and its
    ``dims`` are increasing.
    """

    def input(self, name: str, shape: Shape, dtype: str) -> V: ...
    def parameter(self, name: str, array: Array, layout: ParamLayout) -> V: ...
    def constant(self, array: Array) -> V: ...
    def output(self, values: Sequence[V]) -> None: ...
    def set_location(self, file: str | None, line: int, column: int, scope: str) -> None: ...

    def conv2d(
        self,
        x: V,
        w: V,
        strides: tuple[int, int],
        padding: tuple[int, int, int, int],
        dilations: tuple[int, int],
        groups: int,
    ) -> V: ...
    def bias_add(self, x: V, b: V) -> V: ...
    def matmul(self, a: V, b: V, transpose_a: bool = False, transpose_b: bool = False) -> V: ...

    def add(self, x: V, y: V) -> V: ...
    def sub(self, x: V, y: V) -> V: ...
    def mul(self, x: V, y: V) -> V: ...
    def div(self, x: V, y: V) -> V: ...
    def scale(self, x: V, factor: float) -> V: ...
    def shift(self, x: V, value: float) -> V: ...
    def relu(self, x: V) -> V: ...
    def clamp(self, x: V, min: float, max: float, inclusive: bool = False) -> V: ...
    def softmax(self, x: V) -> V: ...
    def log_softmax(self, x: V) -> V: ...

    def max_pool(
        self,
        x: V,
        kernel: tuple[int, int],
        strides: tuple[int, int],
        padding: tuple[int, int, int, int],
        dilations: tuple[int, int],
    ) -> V: ...
    def avg_pool(
        self,
        x: V,
        kernel: tuple[int, int],
        strides: tuple[int, int],
        padding: tuple[int, int, int, int],
        count_include_pad: bool,
    ) -> V: ...
    def global_avg_pool(self, x: V) -> V: ...
    def reduce_sum(self, x: V, dims: tuple[int, ...]) -> V: ...
    def reduce_mean(self, x: V, dims: tuple[int, ...]) -> V: ...

    def reshape(self, x: V, shape: Shape) -> V: ...
    def transpose(self, x: V, permutation: tuple[int, ...]) -> V: ...
    def broadcast(self, x: V, shape: Shape, dims: tuple[int, ...]) -> V: ...
    def slice(
        self, x: V, offsets: tuple[int, ...], sizes: tuple[int, ...], strides: tuple[int, ...]
    ) -> V: ...
    def pad(self, x: V, low: tuple[int, ...], high: tuple[int, ...], value: float) -> V: ...
    def concat(self, xs: Sequence[V], axis: int) -> V: ...

    def quantize(self, x: V, quantization: Quantization) -> V: ...
    def dequantize(self, x: V) -> V: ...
