"""Prints the requirements of the build, one a line, for `pip install`.

They are `build-system.requires` of pyproject.toml, and the programs that the build
backend would ask pip for: CMake and Ninja, which a bare machine lacks.
"""

from __future__ import annotations

import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    from pip._vendor import tomli as tomllib

pyproject = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text("utf-8"))
backend = pyproject["tool"]["scikit-build"]
print(*pyproject["build-system"]["requires"], sep="\n")
print(f"cmake{backend['cmake']['version']}", f"ninja{backend['ninja']['version']}", sep="\n")
