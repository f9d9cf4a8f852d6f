"""Files that are written whole or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .errors import ConfigError


def write_file(path: Path, data: bytes, *, make_folder: bool = False) -> None:
    """Writes a file, whole or not at all; `make_folder`: its folder too, if it is absent.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".tinytrain-", dir=path.parent) as scratch:
            staged = Path(scratch, path.name)
            staged.write_bytes(data)
            staged.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error
