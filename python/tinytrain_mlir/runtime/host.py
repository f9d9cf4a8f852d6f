"""Programs for this machine, linked into the process."""

from __future__ import annotations

import ctypes
import os
import weakref
from typing import Any

from .._mlir_libs import _tinytrain
from ..errors import EmulatorError
from ..llvm_module import CHECKPOINT_HEADER


def _stop(function: Any, _jit: Any) -> None:
    """Ends a program's threads; `_jit` keeps their code until then."""
    function()


class HostDevice:
    """A `Device` in this process; ctypes releases the global interpreter lock."""

    instructions: int | None = None
    stack_bytes: int | None = None
    layout = None
    _stop: weakref.finalize[..., HostDevice] | None = None

    def __init__(self, name: str, object_bytes: bytes, threads: int) -> None:
        self._name = name
        self._jit: Any = _tinytrain.JitObject(object_bytes)
        self._functions: dict[str, Any] = {}
        if threads > 1:
            if error := self._function("start")():
                raise EmulatorError(
                    f"{threads} threads cannot be started ({os.strerror(error)}): "
                    "compile with fewer threads="
                )
            # Code must not be unloaded while they are in it.
            self._stop = weakref.finalize(self, _stop, self._function("stop"), self._jit)

    def _function(self, name: str) -> Any:
        if self._jit is None:
            raise EmulatorError("the session is closed")
        if name not in self._functions:
            prototype = ctypes.CFUNCTYPE(ctypes.c_int)
            self._functions[name] = prototype(self._jit.lookup(f"{self._name}_{name}"))
        return self._functions[name]

    def call(self, function: str, *args: bytes | int) -> tuple[bytes, ...]:
        """See `Device.call`."""
        buffers = [
            ctypes.create_string_buffer(a, a if isinstance(a, int) else len(a)) for a in args
        ]
        self._function(function)(*buffers)
        return tuple(b.raw for a, b in zip(args, buffers, strict=True) if isinstance(a, int))

    def set_learning_rate(self, lr: float) -> None:
        """See `Device.set_learning_rate`."""
        self._function("set_learning_rate")(ctypes.c_float(lr))

    def state(self, size: int) -> bytes:
        """See `Device.state`."""
        return self.call("save", CHECKPOINT_HEADER + size)[0][CHECKPOINT_HEADER:]

    def instructions_by_function(self) -> dict[str, int]:
        """See `Device.instructions_by_function`: nothing is counted."""
        return {}

    def close(self) -> None:
        """Ends the program's threads and unloads the code."""
        if self._stop is not None:
            self._stop()
        self._functions.clear()
        self._jit = None
