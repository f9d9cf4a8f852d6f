"""Instructions a multiplication with addition of int8 kernels on an emulated Cortex-M.

    python benchmarks/kernels.py

Each row is one convolution with its bias and requantization, alone in a program; what the call
itself costs is counted too. The input lies where the program keeps it, as in TinyEngine. Beside
it stand TinyEngine's and CMSIS-NN's kernels of the same shape, built with arm-none-eabi-gcc 12.2
-Ofast for a Cortex-M7 and counted in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import tinytrain_mlir as tt
from tinytrain_mlir.frontends.graph_builder import ParamLayout
from tinytrain_mlir.graph import Graph, MlirBuilder
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

    def graph(self) -> Graph:
        """The convolution with random weights."""
        random = np.random.default_rng(0)
        builder = MlirBuilder()
        shape = (1, self.side, self.side, self.inputs)
        x = builder.input("input", shape, "f32", Quantization((0.02,), -3))
        taps = (self.kernel, self.kernel)
        w_shape = (1, *taps, self.outputs) if self.depthwise else (self.outputs, *taps, self.inputs)
        axis = 3 if self.depthwise else 0
        scales = tuple(np.geomspace(1e-3, 3e-3, self.outputs).tolist())
        w = builder.parameter(
            "conv.weight",
            random.integers(-127, 128, w_shape, np.int8),
            ParamLayout.identity(w_shape),
            Quantization(scales, axis=axis),
        )
        b = builder.parameter(
            "conv.bias",
            random.integers(-999, 1000, self.outputs).astype(np.int32),
            ParamLayout.identity((self.outputs,)),
            Quantization(tuple(0.02 * s for s in scales), axis=0, bits=32),
        )
        side = self.kernel // 2
        groups = self.inputs if self.depthwise else 1
        y = builder.conv2d(x, w, (self.stride,) * 2, (side,) * 4, (1, 1), groups)
        y = builder.requantize(builder.bias_add(y, b), Quantization((0.05,), -128))
        builder.output([y])
        return builder.finish()

    def instructions(self, target: str) -> int:
        """Of one inference, on the emulated target."""
        program = tt.compile(self.graph(), loss=None, update=tt.NoUpdate(), target=target)
        with program.load() as session:
            session.infer(np.zeros((1, self.inputs, self.side, self.side), np.int8))
            count = session.instructions
        assert count is not None
        return count


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


@click.command(help=__doc__)
@click.option("--target", default="cortex-m7", show_default=True, help="An emulated target.")
def main(target: str) -> None:
    """Prints the table."""
    table = Table("kernel", "MACs", f"{target}", "TinyEngine", "CMSIS-NN", "TinyEngine / ours")
    for column in table.columns[1:]:
        column.justify = "right"
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
    Console().print(table)


if __name__ == "__main__":
    main()
