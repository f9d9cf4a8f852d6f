"""The forward graph: one function of the tinytrain dialect, and its parameters' values."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from . import ir
from .dialects import arith as arith_dialect
from .dialects import func, tinytrain
from .errors import ModelError
from .frontends.graph_builder import Array, ParamLayout, Shape
from .quantization import Quantization


@dataclass(frozen=True)
class Parameter:
    """A parameter's value and layout.

    Attributes:
        name: as in the PyTorch `state_dict`.
        array: f32, or the stored integers of a quantized parameter, in the graph's layout.
        layout: maps between the framework's layout and the graph's.
    """

    name: str
    array: Array
    layout: ParamLayout


@dataclass(frozen=True)
class Port:
    """An input or output.

    Attributes:
        layout: maps the framework's shape to the graph's.
        quantization: of stored integers; None for f32.
    """

    name: str
    layout: ParamLayout
    quantization: Quantization | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of an element in memory."""
        return self.quantization.dtype if self.quantization else np.dtype(np.float32)

    @property
    def bytes(self) -> int:
        """Size in memory."""
        return self.dtype.itemsize * math.prod(self.layout.ir_shape)


@dataclass
class Graph:
    """A forward graph ready to compile.

    Attributes:
        module: holds one function, `infer`; its arguments are the input, then the parameters.
        parameters: in the order in which they are first used.
    """

    module: ir.Module
    parameters: dict[str, Parameter]
    input: Port
    output: Port

    @property
    def ports(self) -> tuple[Port, Port]:
        """The input and the output."""
        return self.input, self.output

    def save(self, path: str | Path) -> None:
        """Writes the graph as MLIR text, and parameters and layouts beside it as `.npz`.

        Raises:
            ModelError: the file's name does not end in .mlir.
        """
        path = Path(path)
        if path.suffix != ".mlir":
            raise ModelError(f"expected a file name that ends in .mlir, got '{path.name}'")
        layouts = {name: _layout_to_json(p.layout) for name, p in self.parameters.items()}
        meta = {
            "parameters": layouts,
            "input": [self.input.name, _layout_to_json(self.input.layout)],
            "output": [self.output.name, _layout_to_json(self.output.layout)],
        }
        arrays = {f"param:{name}": p.array for name, p in self.parameters.items()}
        text = str(self.module.operation.get_asm(enable_debug_info=True))
        path.write_text(text, encoding="utf-8")
        np.savez(path.with_suffix(".npz"), meta=np.array(json.dumps(meta)), **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path) -> Graph:
        """Reads what `save` wrote.

        Raises:
            ModelError: a file is absent or damaged.
        """
        path = Path(path)
        data = path.with_suffix(".npz")
        for file in (path, data):
            if not file.is_file():
                raise ModelError(
                    f"expected the graph file {path.name} and its parameters {data.name} in "
                    f"{path.parent}, but {file.name} is missing: write both with Graph.save"
                )
        try:
            arrays = np.load(data)
            meta = json.loads(str(arrays["meta"]))
            with ir.Context():
                module = ir.Module.parse(path.read_text(encoding="utf-8"))
            functions = [str(op.name) for op in module.body.operations]
            if functions != ['"infer"']:
                raise ValueError(f"expected one function 'infer', got {functions}")
            parameters = {
                name: Parameter(name, arrays[f"param:{name}"], _layout_from_json(layout))
                for name, layout in meta["parameters"].items()
            }
            type_ = cast(Any, module.body.operations[0]).type
            ports = [
                Port(n, _layout_from_json(x), Quantization.parse(str(t)))
                for (n, x), t in (
                    (meta["input"], type_.inputs[0]),
                    (meta["output"], type_.results[0]),
                )
            ]
        except Exception as error:
            message = str(error).strip().splitlines()
            raise ModelError(
                f"{path} cannot be read ({message[0] if message else type(error).__name__}): write "
                "it again with Graph.save"
            ) from error
        return cls(module, parameters, *ports)


def _layout_to_json(layout: ParamLayout) -> list[list[Any]]:
    shapes = (layout.torch_shape, layout.view, layout.permutation, layout.ir_shape)
    order = [[list(entries) for entries in layout.order]] if layout.order else []
    return [*(list(x) for x in shapes), *order]


def _layout_from_json(data: list[list[Any]]) -> ParamLayout:
    shape, view, permutation, ir_shape = (tuple(x) for x in data[:4])
    order = tuple(tuple(x) for x in data[4]) if len(data) > 4 else ()
    return ParamLayout(shape, view, permutation, ir_shape, order)


def image_layout(shape: Shape) -> ParamLayout:
    """The layout of an activation given its shape in the graph: NHWC holds a framework's NCHW."""
    if len(shape) != 4:
        return ParamLayout.identity(shape)
    n, h, w, c = shape
    return ParamLayout((n, c, h, w), (n, c, h, w), (0, 2, 3, 1), shape)


@dataclass(frozen=True)
class Tensor:
    """A value of the graph under construction."""

    value: Any

    @property
    def shape(self) -> Shape:
        """Static shape, NHWC for images."""
        return tuple(ir.RankedTensorType(self.value.type).shape)

    @property
    def quantization(self) -> Quantization | None:
        """Of stored integers; None for f32."""
        return Quantization.parse(str(self.value.type))


class MlirBuilder:
    """The `GraphBuilder` that builds the tinytrain dialect."""

    def __init__(self) -> None:
        self._context = ir.Context()
        self._location = ir.Location.unknown(self._context)
        self._module = ir.Module.create(self._location)
        with self._location:
            self._f32 = ir.F32Type.get()
            with ir.InsertionPoint(self._module.body):
                self._func = func.FuncOp("infer", ((), ()))
            self._block = self._func.add_entry_block()
        self._ip = ir.InsertionPoint(self._block)
        self._input: Port | None = None
        self._output: Port | None = None
        self._parameters: dict[str, Parameter] = {}

    def finish(self) -> Graph:
        """The finished graph."""
        assert self._input is not None and self._output is not None
        return Graph(self._module, self._parameters, self._input, self._output)

    # Structure -----------------------------------------------------------------

    def input(
        self, name: str, shape: Shape, dtype: str, quantization: Quantization | None = None
    ) -> Tensor:
        """Adds the input; a quantized one is stored integers."""
        if self._input is not None:
            raise ModelError(
                "expected a model with one input tensor, got several: concatenate them"
            )
        self._input = Port(name, image_layout(shape), quantization)
        return self._argument(shape, quantization)

    def parameter(
        self,
        name: str,
        array: Array,
        layout: ParamLayout,
        quantization: Quantization | None = None,
    ) -> Tensor:
        """Adds a parameter as an argument; of a quantized one `array` holds the integers."""
        dtype = quantization.dtype if quantization else np.float32
        self._parameters[name] = Parameter(name, np.ascontiguousarray(array, dtype), layout)
        return self._argument(array.shape, quantization)

    def constant(self, array: Array) -> Tensor:
        """Adds a constant."""
        data = np.array(array, np.float32, order="C")
        with self._location, self._ip:
            type_ = ir.RankedTensorType.get(data.shape, self._f32)
            if data.size and bool((data == data.flat[0]).all()):
                splat = ir.FloatAttr.get(self._f32, float(data.flat[0]))
                attr = ir.DenseElementsAttr.get_splat(type_, splat)
            else:
                attr = ir.DenseElementsAttr.get(cast(Any, data), type=type_)
            return Tensor(cast(Any, arith_dialect).ConstantOp(type_, attr).result)

    def output(self, values: Sequence[Tensor]) -> None:
        """Ends the function."""
        if len(values) != 1:
            raise ModelError(f"expected a model with one output tensor, got {len(values)}")
        quantization = Quantization.parse(str(values[0].value.type))
        self._output = Port("output", image_layout(values[0].shape), quantization)
        with self._location, self._ip:
            func.ReturnOp([v.value for v in values])
        types = [a.type for a in self._block.arguments]
        with self._context:
            type_ = ir.FunctionType.get(types, [v.value.type for v in values])
            self._func.attributes["function_type"] = ir.TypeAttr.get(type_)
            names = [None, *self._parameters]
            self._func.arg_attrs = ir.ArrayAttr.get(
                [
                    ir.DictAttr.get({"tinytrain.param": ir.StringAttr.get(n)} if n else {})
                    for n in names
                ]
            )
        self._module.operation.verify()

    def set_location(self, file: str | None, line: int, column: int, scope: str) -> None:
        """Sets the location of the ops that follow."""
        with self._context:
            where = ir.Location.file(file, line, column) if file else ir.Location.unknown()
            self._location = ir.Location.name(scope, where) if scope else where

    def _argument(self, shape: Shape, quantization: Quantization | None) -> Tensor:
        with self._location:
            type_ = self._type(shape, quantization)
            return Tensor(self._block.add_argument(type_, self._location))

    def _type(self, shape: Shape, quantization: Quantization | None = None) -> ir.Type:
        element = ir.Type.parse(quantization.text) if quantization else self._f32
        return ir.RankedTensorType.get(shape, element)

    # Ops ---------------------------------------------------------------------------

    def _op(self, op: Any, *args: object, **kwargs: object) -> Tensor:
        values = [a.value if isinstance(a, Tensor) else a for a in args]
        with self._location, self._ip:
            return Tensor(op(*values, **kwargs).results[0])

    def _typed(
        self, op: Any, shape: Shape, *args: object, quantization: Quantization | None = None
    ) -> Tensor:
        with self._location:
            type_ = self._type(shape, quantization)
        return self._op(op, type_, *args)

    def quantize(self, x: Tensor, quantization: Quantization) -> Tensor:
        """Real numbers to stored integers."""
        return self._typed(tinytrain.QuantizeOp, x.shape, x, quantization=quantization)

    def dequantize(self, x: Tensor) -> Tensor:
        """Stored integers to real numbers."""
        return self._typed(tinytrain.DequantizeOp, x.shape, x)

    def requantize(self, x: Tensor, quantization: Quantization) -> Tensor:
        """Stored integers to those of another scale."""
        return self._typed(tinytrain.RequantizeOp, x.shape, x, quantization=quantization)

    def quantized_add(self, x: Tensor, y: Tensor, quantization: Quantization) -> Tensor:
        """Elementwise sum of quantized tensors."""
        with self._location:
            type_ = self._type(x.shape, quantization)
        return self._op(tinytrain.AddOp, x, y, results=[type_])

    def conv2d(
        self,
        x: Tensor,
        w: Tensor,
        strides: tuple[int, int],
        padding: tuple[int, int, int, int],
        dilations: tuple[int, int],
        groups: int,
    ) -> Tensor:
        """2-D convolution."""
        return self._op(
            tinytrain.Conv2DOp, x, w, list(strides), list(padding), list(dilations), groups=groups
        )

    def bias_add(self, x: Tensor, b: Tensor) -> Tensor:
        """Adds a vector along the last dimension."""
        return self._op(tinytrain.BiasAddOp, x, b)

    def matmul(
        self, a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False
    ) -> Tensor:
        """Matrix product."""
        return self._op(
            tinytrain.MatmulOp, a, b, transpose_lhs=transpose_a, transpose_rhs=transpose_b
        )

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """Elementwise sum."""
        return self._op(tinytrain.AddOp, x, y)

    def sub(self, x: Tensor, y: Tensor) -> Tensor:
        """Elementwise difference."""
        return self._op(tinytrain.SubOp, x, y)

    def mul(self, x: Tensor, y: Tensor) -> Tensor:
        """Elementwise product."""
        return self._op(tinytrain.MulOp, x, y)

    def div(self, x: Tensor, y: Tensor) -> Tensor:
        """Elementwise quotient."""
        return self._op(tinytrain.DivOp, x, y)

    def scale(self, x: Tensor, factor: float) -> Tensor:
        """Product with a constant."""
        return self._op(tinytrain.ScaleOp, x, factor)

    def shift(self, x: Tensor, value: float) -> Tensor:
        """Sum with a constant."""
        return self._op(tinytrain.ShiftOp, x, value)

    def relu(self, x: Tensor) -> Tensor:
        """Rectified linear unit."""
        return self._op(tinytrain.ReluOp, x)

    def clamp(self, x: Tensor, min: float, max: float, inclusive: bool = False) -> Tensor:
        """Clamp to [min, max]; `inclusive`: the gradient passes at the bounds."""
        return self._op(tinytrain.ClampOp, x, min, max, inclusive=inclusive)

    def softmax(self, x: Tensor) -> Tensor:
        """Softmax over the last dimension."""
        return self._op(tinytrain.SoftmaxOp, x)

    def log_softmax(self, x: Tensor) -> Tensor:
        """Logarithm of softmax over the last dimension."""
        return self._op(tinytrain.LogSoftmaxOp, x)

    def max_pool(
        self,
        x: Tensor,
        kernel: tuple[int, int],
        strides: tuple[int, int],
        padding: tuple[int, int, int, int],
        dilations: tuple[int, int],
    ) -> Tensor:
        """Maximum over windows; `dilations` are 1."""
        return self._op(tinytrain.MaxPoolOp, x, list(kernel), list(strides), list(padding))

    def avg_pool(
        self,
        x: Tensor,
        kernel: tuple[int, int],
        strides: tuple[int, int],
        padding: tuple[int, int, int, int],
        count_include_pad: bool,
    ) -> Tensor:
        """Mean over windows."""
        y = self._op(tinytrain.AvgPoolOp, x, list(kernel), list(strides), list(padding))
        if count_include_pad or not any(padding):
            return y
        counts = []
        for d in range(2):
            low, size = padding[2 * d], x.shape[d + 1]
            start = np.arange(y.shape[d + 1]) * strides[d] - low
            counts.append(np.minimum(start + kernel[d], size) - np.maximum(start, 0))
        factor = kernel[0] * kernel[1] / np.outer(*counts)
        image = np.broadcast_to(factor[None, :, :, None], y.shape)
        return self.mul(y, self.constant(image))

    def global_avg_pool(self, x: Tensor) -> Tensor:
        """Mean over height and width."""
        return self._op(tinytrain.GlobalAvgPoolOp, x)

    def reduce_sum(self, x: Tensor, dims: tuple[int, ...]) -> Tensor:
        """Sum over dimensions, which disappear."""
        return self._op(tinytrain.ReduceSumOp, x, sorted(dims))

    def reduce_mean(self, x: Tensor, dims: tuple[int, ...]) -> Tensor:
        """Mean over dimensions, which disappear."""
        return self._op(tinytrain.ReduceMeanOp, x, sorted(dims))

    def reshape(self, x: Tensor, shape: Shape) -> Tensor:
        """Same elements, other shape."""
        return self._typed(tinytrain.ReshapeOp, shape, x, quantization=x.quantization)

    def transpose(self, x: Tensor, permutation: tuple[int, ...]) -> Tensor:
        """Permutes dimensions."""
        return self._op(tinytrain.TransposeOp, x, list(permutation))

    def broadcast(self, x: Tensor, shape: Shape, dims: tuple[int, ...]) -> Tensor:
        """Repeats along new dimensions."""
        return self._typed(tinytrain.BroadcastOp, shape, x, list(dims))

    def slice(
        self, x: Tensor, offsets: tuple[int, ...], sizes: tuple[int, ...], strides: tuple[int, ...]
    ) -> Tensor:
        """Strided sub-tensor."""
        return self._op(tinytrain.SliceOp, x, list(offsets), list(sizes), list(strides))

    def pad(self, x: Tensor, low: tuple[int, ...], high: tuple[int, ...], value: float) -> Tensor:
        """Surrounds with a constant."""
        interior = [0] * len(low)
        return self._op(tinytrain.PadOp, x, list(low), list(high), interior, value=value)

    def concat(self, xs: Sequence[Tensor], axis: int) -> Tensor:
        """Joins along a dimension."""
        return self._op(tinytrain.ConcatOp, [x.value for x in xs], axis)
