"""Instructions of inference and of one training step of the published int8 networks.

    python benchmarks/step.py
    python benchmarks/step.py --network mcunet-5fps --scheme 49kb --layers

128×128, batch 1, 10 classes, on an emulated Cortex-M7; the networks are those of
../shared/models, or of the folder in TINYTRAIN_SHARED.
"""

from __future__ import annotations

from itertools import zip_longest

import click
import published
from rich.console import Console
from rich.table import Table

import tinytrain_mlir as tt

# TinyEngine's own demo: MCUNet-5FPS, the 49kb scheme, counted in the same way.
TINYENGINE = {("mcunet-5fps", "49kb"): (65.0e6, 106.4e6)}


@click.command(help=__doc__)
@click.option("--network", type=click.Choice(published.NETWORKS), multiple=True, help="Some only.")
@click.option("--scheme", multiple=True, help="Some update schemes only, such as 49kb.")
@click.option("--grad", type=click.Choice(["f32", "int8"]), default="f32", show_default=True)
@click.option("--target", default="cortex-m7", show_default=True, help="An emulated target.")
@click.option("--layers", is_flag=True, help="Show each step by layer, too.")
def main(
    network: tuple[str, ...], scheme: tuple[str, ...], grad: str, target: str, layers: bool
) -> None:
    """Prints the table."""
    console = Console()
    table = Table("program", "call", "MACs", "instructions", "a MAC", "TinyEngine", "ratio")
    for column in table.columns[2:]:
        column.justify = "right"
    image, label = published.images(1)
    for name in network or published.NETWORKS:
        graph = published.load(name, dequantize=False)
        for number, update in published.schemes(name).items():
            if scheme and number not in scheme:
                continue
            program = tt.compile(
                graph,
                update=update,
                target=target,
                precision=tt.Int8(grad="int8" if grad == "int8" else "f32"),
            )
            others = TINYENGINE.get((name, number), ()) if grad == "f32" else ()
            with program.load("unicorn") as session:
                calls = (lambda: session.infer(image), lambda: session.step(image, label))
                for call, run, other in zip_longest(("inference", "step"), calls, others):
                    run()
                    profile = session.profile()
                    macs = sum(row.macs for row in profile.rows)
                    table.add_row(
                        f"{name} {number}" if call == "inference" else "",
                        call,
                        f"{macs / 1e6:.2f} M",
                        f"{profile.instructions / 1e6:.2f} M",
                        f"{profile.instructions / macs:.2f}",
                        f"{other / 1e6:.1f} M" if other else "",
                        f"{other / profile.instructions:.2f}" if other else "",
                    )
            table.add_row("", "code bytes", "", f"{program.memory.code_bytes:,}", end_section=True)
            if layers:
                console.print(profile)
    console.print(table)


if __name__ == "__main__":
    main()
