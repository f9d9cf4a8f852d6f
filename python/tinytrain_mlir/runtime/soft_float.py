"""What a core without an FPU or a divider calls: compiler-rt, as the ziglang package has it.

Firmware takes the same functions of the Arm run-time ABI from its own compiler (libgcc).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from ..errors import LinkError
from ..target import lookup_target

_TIMEOUT_SECONDS = 300


@cache
def soft_float_library(target_name: str) -> bytes | None:
    """An archive with the functions; None where a target needs none.

    Building it takes some seconds, once per machine: zig keeps it.

    Raises:
        LinkError: it cannot be built.
    """
    target = lookup_target(target_name)
    if target.has_fpu:
        return None
    # As zig calls the same triple and CPU.
    arch, cpu = "thumb-freestanding-eabi", target.cpu.replace("-", "_")
    options = ["-fcompiler-rt", "-OReleaseSmall", "-target", arch, f"-mcpu={cpu}"]
    with tempfile.TemporaryDirectory(prefix="tinytrain-soft-float-") as folder:
        source = Path(folder, "empty.c")
        source.touch()
        command = [
            sys.executable,
            "-m",
            "ziglang",
            "build-lib",
            *options,
            "--name",
            "rt",
            source.name,
        ]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LinkError(f"compiler-rt was not built in {_TIMEOUT_SECONDS} s") from error
        if done.returncode != 0:
            raise LinkError(
                f"compiler-rt cannot be built for {target_name}:\n{done.stderr.strip()}"
            )
        return Path(folder, "librt.a").read_bytes()
