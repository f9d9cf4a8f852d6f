"""The `tinytrain` command."""

from __future__ import annotations

import click


@click.group()
@click.version_option(package_name="tinytrain-mlir")
def main() -> None:
    """Compile the training step of a neural network for a small device."""


if __name__ == "__main__":
    main()
