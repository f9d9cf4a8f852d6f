"""A QEMU process that waits for a debugger on one end of a socket pair."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import weakref
from collections.abc import Sequence

from ..errors import MissingToolError
from .rsp import RspClient

_PACKAGES = {
    "qemu-system-arm": "qemu-system-arm",
    "qemu-system-aarch64": "qemu-system-arm",
}


class QemuProcess:
    """QEMU, stopped at its first instruction, with its debug stub as `rsp`.

    Raises:
        MissingToolError: the program is not installed.
        EmulatorError: it ended at once; the message holds what it printed.
    """

    def __init__(self, program: str, arguments: Sequence[str]) -> None:
        path = shutil.which(program)
        if path is None:
            package = _PACKAGES.get(program, program)
            raise MissingToolError(
                f"{program} is not installed (Debian package {package}; https://www.qemu.org)"
            )
        self._name = program
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in _end
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [
                        path,
                        *arguments,
                        *("-S", "-nodefaults", "-display", "none", "-monitor", "none"),
                        *("-serial", "none"),
                        *("-chardev", f"socket,id=debug,fd={theirs.fileno()}"),
                        *("-gdb", "chardev:debug"),
                    ],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self._log,
                    start_new_session=True,
                )
        except OSError:
            ours.close()
            self._log.close()
            raise
        # Ends QEMU at the interpreter's exit, too, where `close` was forgotten.
        self._finalizer = weakref.finalize(self, _kill, self._process)
        try:
            self.rsp = RspClient(ours, self._explain_loss)
        except BaseException:
            ours.close()
            self._end()
            raise

    def _explain_loss(self) -> str:
        """Why the connection ended: QEMU's exit status and what it printed."""
        try:
            status = f"exit status {self._process.wait(timeout=5)}"
        except subprocess.TimeoutExpired:
            status = "still running"
        if self._log.closed:
            return f"{self._name} is closed"
        self._log.seek(0)
        text = self._log.read().decode(errors="replace").strip()
        return f"{self._name} ended the connection ({status}): {text or 'it printed nothing'}"

    def close(self) -> None:
        """End the process; may be called twice."""
        self.rsp.close()
        self._end()

    def _end(self) -> None:
        self._finalizer()
        self._log.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
