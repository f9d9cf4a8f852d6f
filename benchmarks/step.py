"""Instructions of inference and of one training step of the published int8 networks.

    python benchmarks/step.py
    python benchmarks/step.py --network mcunet-5fps --scheme 49kb --layers

128×128, batch 1, 10 classes, on an emulated Cortex-M7; the networks are those of
../shared/models, or of the folder in TINYTRAIN_SHARED.
"""

from __future__ import annotations

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
    table = Table(
        "network",
        "scheme",
        "forward MACs",
        "inference",
        "a MAC",
        "step",
        "MACs",
        "a MAC",
        "code bytes",
        "TinyEngine",
        "TinyEngine / ours",
    )
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
            counts, macs = [], []
            with program.load("unicorn") as session:
                for run in (lambda: session.infer(image), lambda: session.step(image, label)):
                    run()
                    profile = session.profile()
                    counts.append(profile.instructions)
                    macs.append(sum(row.macs for row in profile.rows))
            other = TINYENGINE.get((name, number)) if grad == "f32" else None
            table.add_row(
                name,
                number,
                *(f"{n / 1e6:.2f} M" for n in (macs[0], counts[0])),
                f"{counts[0] / macs[0]:.2f}",
                *(f"{n / 1e6:.2f} M" for n in (counts[1], macs[1])),
                f"{counts[1] / macs[1]:.2f}",
                f"{program.memory.code_bytes:,}",
                " / ".join(f"{n / 1e6:.1f} M" for n in other) if other else "",
                " / ".join(f"{n / c:.2f}" for n, c in zip(other, counts, strict=True))
                if other
                else "",
            )
            if layers:
                console.print(profile)
    console.print(table)


if __name__ == "__main__":
    main()
