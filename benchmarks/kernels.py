"""Instructions per multiplication with addition of int8 kernels on an emulated Cortex-M.

    python benchmarks/kernels.py

Each row is one convolution with its bias and requantization, alone in a program; what the call
itself costs is counted too. The input lies where the program keeps it, as in TinyEngine. Beside
it stand TinyEngine's and CMSIS-NN's kernels of the same shape, built with arm-none-eabi-gcc 12.2
-Ofast for a Cortex-M7 and counted in the same way. The second table is of the same convolutions in
a training step: the gradient of the input, and that of the weight with its update in place, with
gradients of activations in f32 and in int8; TinyEngine has the first only. Results there do not
overlap operands: in a network the planner allows each kernel the fastest order of loops with which the
arena does not grow.
"""

from __future__ import annotations

from dataclasses import dataclass

import click
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

import tinytrain_mlir as tt
from tinytrain_mlir.frontends.graph_builder import ParamLayout
from tinytrain_mlir.graph import Graph, MlirBuilder, Tensor
from tinytrain_mlir.quantization import Quantization


@dataclass(frozen=True)
class Shape:
    """A convolution of a square image that pads by half of its kernel.

    `tinyengine` and `cmsis_nn` are instructions per multiplication of those libraries.
    """

    side: int
    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    depthwise: bool = False
    tinyengine: float | None = None
    cmsis_nn: float | None = None

    @property
    def name(self) -> str:
        """As in `pointwise 8²·96→24`."""
        kind = "depthwise" if self.depthwise else "pointwise" if self.kernel == 1 else "conv"
        window = "" if self.kernel == 1 else f" {self.kernel}×{self.kernel} s{self.stride}"
        channels = f"{self.inputs}" if self.depthwise else f"{self.inputs}→{self.outputs}"
        return f"{kind}{window} {self.side}²·{channels}"

    @property
    def macs(self) -> int:
        """Multiplications, those with padding among them."""
        side = (self.side - 1) // self.stride + 1
        terms = self.kernel**2 * (1 if self.depthwise else self.inputs)
        return side**2 * self.outputs * terms

    def graph(self, *, trains: bool = False) -> Graph:
        """The convolution with random weights; one that trains stands between other layers.

        Ahead of it is a pointwise convolution, whose bias asks for the gradient of the input.
        """
        builder = MlirBuilder()
        x = builder.input("input", (1, self.side, self.side, self.inputs), "f32", _ACTIVATION)
        random = np.random.default_rng(0)
        if trains:
            x = _convolution(builder, random, "first", x, (self.inputs, 1, 1, self.inputs))
        taps = (self.kernel, self.kernel)
        shape = (1, *taps, self.outputs) if self.depthwise else (self.outputs, *taps, self.inputs)
        y = _convolution(builder, random, "conv", x, shape, self.stride)
        if trains:
            features = builder.dequantize(builder.global_avg_pool(y))
            head = random.normal(0, 0.1, (10, self.outputs)).astype(np.float32)
            w = builder.parameter("head.weight", head, ParamLayout.identity(head.shape))
            y = builder.matmul(features, w, transpose_b=True)
        builder.output([y])
        return builder.finish()

    def instructions(self, target: str) -> int:
        """Of one inference, on the emulated target."""
        program = tt.compile(self.graph(), loss=None, update=tt.NoUpdate(), target=target)
        with program.load() as session:
            session.infer(self._image())
            count = session.instructions
        assert count is not None
        return count

    def gradient(self, of: str, target: str, grad: str) -> int:
        """Instructions of one gradient in a training step.

        Args:
            of: "input", past a weight that is frozen, or "weight", with its update.
            target: one that unicorn emulates.
            grad: how gradients of activations are held, see `tt.Int8`.
        """
        program = tt.compile(
            self.graph(trains=True),
            update=tt.SparseUpdate({"first.bias" if of == "input" else "conv.weight": True}),
            precision=tt.Int8(grad=grad),
            target=target,
            passes=tt.MemoryPasses(overlap=False),
        )
        with program.load("unicorn") as session:
            session.step(self._image(), np.array([1]))
            rows = session.profile().rows
        return sum(row.instructions for row in rows if f"conv2d_{of}_grad" in row.label)

    def _image(self) -> npt.NDArray[np.int8]:
        shape = (1, self.inputs, self.side, self.side)
        return np.random.default_rng(1).integers(-128, 128, shape, np.int8)


_ACTIVATION = Quantization((0.02,), -3)


def _convolution(
    builder: MlirBuilder,
    random: np.random.Generator,
    name: str,
    x: Tensor,
    shape: tuple[int, ...],
    stride: int = 1,
) -> Tensor:
    """A convolution that pads by half of its kernel, a bias and a requantization."""
    depthwise = shape[0] == 1 and shape[3] == x.shape[3]
    axis, side = 3 if depthwise else 0, shape[1] // 2
    outputs = shape[axis]
    scales = tuple(np.geomspace(1e-3, 3e-3, outputs).tolist())
    w = builder.parameter(
        f"{name}.weight",
        random.integers(-127, 128, shape, np.int8),
        ParamLayout.identity(shape),
        Quantization(scales, axis=axis),
    )
    b = builder.parameter(
        f"{name}.bias",
        random.integers(-999, 1000, outputs).astype(np.int32),
        ParamLayout.identity((outputs,)),
        Quantization(tuple(0.02 * s for s in scales), axis=0, bits=32),
    )
    groups = x.shape[3] if depthwise else 1
    y = builder.conv2d(x, w, (stride,) * 2, (side,) * 4, (1, 1), groups)
    return builder.requantize(builder.bias_add(y, b), _ACTIVATION)


SHAPES = (
    Shape(64, 16, 8, tinyengine=3.23, cmsis_nn=3.90),
    Shape(64, 8, 48, tinyengine=4.47, cmsis_nn=6.68),
    Shape(16, 48, 16, tinyengine=1.88, cmsis_nn=2.24),
    Shape(8, 96, 24, tinyengine=1.91, cmsis_nn=1.86),
    Shape(8, 24, 144, tinyengine=2.15, cmsis_nn=3.33),
    Shape(4, 576, 160, tinyengine=1.61, cmsis_nn=1.65),
    Shape(64, 16, 16, 3, 1, True, tinyengine=6.11, cmsis_nn=9.17),
    Shape(64, 48, 48, 3, 2, True, tinyengine=7.48, cmsis_nn=8.72),
    Shape(8, 144, 144, 3, 1, True, tinyengine=7.11, cmsis_nn=8.13),
    Shape(8, 160, 160, 5, 1, True, tinyengine=4.47, cmsis_nn=8.49),
    Shape(8, 160, 160, 7, 1, True, tinyengine=3.52, cmsis_nn=7.45),
    Shape(128, 3, 16, 3, 2, tinyengine=1.97, cmsis_nn=4.86),
)


# What TinyEngine takes for its kernels of f32: the gradient of the input of pointwise convolutions,
# of depthwise ones, of those with stride 2; that of a weight with its update.
TINYENGINE_GRADIENTS = {"pointwise": "3.5-3.7", "depthwise": "3.0-4.0", "stride 2": "9-11"}
TINYENGINE_WEIGHT = "4.0-4.2"


def _of_input(shape: Shape) -> str:
    kind = "pointwise" if shape.kernel == 1 else "depthwise" if shape.depthwise else ""
    return TINYENGINE_GRADIENTS.get("stride 2" if kind and shape.stride == 2 else kind, "")


def _table(*columns: str) -> Table:
    table = Table(*columns)
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _forward(target: str) -> Table:
    table = _table("kernel", "MACs", target, "TinyEngine", "CMSIS-NN", "TinyEngine / ours")
    for shape in SHAPES:
        ours = shape.instructions(target) / shape.macs
        others = [shape.tinyengine, shape.cmsis_nn]
        table.add_row(
            shape.name,
            f"{shape.macs:,}",
            f"{ours:.2f}",
            *(f"{other:.2f}" if other else "" for other in others),
            f"{shape.tinyengine / ours:.2f}" if shape.tinyengine else "",
        )
    return table


def _backward(target: str) -> Table:
    table = _table(
        "gradients",
        *("dX f32", "dX int8", "TinyEngine"),
        *("dW f32", "dW int8", "TinyEngine"),
    )
    for shape in SHAPES:
        inputs, weights = (
            [f"{shape.gradient(of, target, grad) / shape.macs:.2f}" for grad in ("f32", "int8")]
            for of in ("input", "weight")
        )
        table.add_row(shape.name, *inputs, _of_input(shape), *weights, TINYENGINE_WEIGHT)
    return table


@click.command(help=__doc__)
@click.option("--target", default="cortex-m7", show_default=True, help="An emulated target.")
@click.option("--forward-only", is_flag=True, help="Leave out gradients, which unicorn counts.")
def main(target: str, forward_only: bool) -> None:
    """Prints the tables."""
    Console().print(_forward(target))
    if not forward_only:
        Console().print(_backward(target))


if __name__ == "__main__":
    main()
