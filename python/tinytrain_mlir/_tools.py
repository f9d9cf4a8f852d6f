"""Console scripts for the programs inside the package, and their locations."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn


def _in_package(relative: str) -> Path:
    # The package may be spread over two folders (an editable install).
    spec = find_spec(__package__)
    roots = (spec and spec.submodule_search_locations) or []
    for root in roots:
        path = Path(root, relative)
        if path.exists():
            return path
    raise FileNotFoundError(f"{relative} is missing from tinytrain_mlir ({', '.join(roots)})")


def opt_path() -> Path:
    """The tinytrain-opt program."""
    return _in_package("bin/tinytrain-opt")


def plugin_path() -> Path:
    """The plugin for mlir-opt's --load-dialect-plugin and --load-pass-plugin."""
    return _in_package("lib/TinyTrainPlugin.so")


def tinytrain_opt() -> NoReturn:
    """Runs tinytrain-opt in place of this process."""
    path = str(opt_path())
    os.execv(path, [path, *sys.argv[1:]])
