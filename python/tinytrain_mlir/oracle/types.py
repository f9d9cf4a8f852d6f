"""Types of the graph, read from their text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import OracleError
from ..frontends.graph_builder import Array, Shape
from ..quantization import Quantization

_DTYPES = {"f32": np.float32, "i8": np.int8, "i32": np.int32}


@dataclass(frozen=True)
class TensorType:
    """A static shape and the type of the elements: "f32", "i8", "i32", or a quantization."""

    shape: Shape
    element: str | Quantization

    @classmethod
    def of(cls, type_: Any) -> TensorType:
        """Reads an MLIR type.

        Raises:
            OracleError: no static tensor of these elements.
        """
        text = str(type_)
        match = re.fullmatch(r"tensor<((?:\d+x)*)(!quant.*>|\w+)>", text)
        if match is None:
            raise OracleError(f"expected a static tensor, got {text}")
        shape = tuple(int(size) for size in match[1].split("x")[:-1])
        quantization = Quantization.parse(match[2])
        if quantization is None and match[2] not in _DTYPES:
            raise OracleError(f"expected elements of f32, i8, i32 or quantized ones, got {text}")
        if quantization and quantization.axis is not None:
            axis, count = quantization.axis, len(quantization.scales)
            if axis >= len(shape) or shape[axis] != count:
                raise OracleError(f"expected one scale per index of dimension {axis}: {text}")
        return cls(shape, quantization or match[2])

    @property
    def quantization(self) -> Quantization | None:
        """Of stored integers; None for others."""
        return self.element if isinstance(self.element, Quantization) else None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the arrays that hold such values."""
        if isinstance(self.element, Quantization):
            return self.element.dtype
        return np.dtype(_DTYPES[self.element])

    def holds(self, value: Array) -> bool:
        """Whether `value` has this shape and these elements."""
        return value.shape == self.shape and value.dtype == self.dtype

    def __str__(self) -> str:
        element = self.quantization.text if self.quantization else self.element
        return f"tensor<{''.join(f'{size}x' for size in self.shape)}{element}>"
