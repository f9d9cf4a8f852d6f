"""A client of the GDB remote serial protocol, as far as QEMU's stub needs it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from ..errors import EmulatorError, EmulatorTimeoutError

_RETRIES = 3
_REPLY_SECONDS = 20.0
# Bytes of memory in a packet: hexadecimal, within the 4096 bytes that QEMU offers.
_CHUNK = 2000


class RspClient:
    """Packets over a connected socket.

    Args:
        connection: to the stub; owned by the client from now on.
        on_lost: gives the text that explains a lost connection.
    """

    def __init__(self, connection: socket.socket, on_lost: Callable[[], str]) -> None:
        self._socket = connection
        self._on_lost = on_lost
        self._buffer = bytearray()
        self._acknowledge = True
        supported = self.command("qSupported:xmlRegisters=arm")
        if "QStartNoAckMode+" in supported and self.command("QStartNoAckMode") == "OK":
            self._acknowledge = False
        # QEMU serves single registers (p, P) only to clients that asked for their list.
        self.command("qXfer:features:read:target.xml:0,ffb")

    def command(self, text: str, timeout: float = _REPLY_SECONDS) -> str:
        """Send a packet and return the reply's payload.

        Raises:
            EmulatorTimeoutError: no reply came; the connection is closed, as a late reply
                would be taken for the next command's.
        """
        deadline = time.monotonic() + timeout
        try:
            self._send(text.encode("ascii"), deadline)
            return self._receive(deadline)
        except (EmulatorTimeoutError, KeyboardInterrupt):
            self.close()
            raise

    def read_memory(self, address: int, size: int) -> bytes:
        """Read memory.

        Raises:
            EmulatorError: there is no memory at these addresses.
        """
        result = bytearray()
        while len(result) < size:
            count = min(_CHUNK, size - len(result))
            reply = self.command(f"m{address + len(result):x},{count:x}")
            if _is_error(reply):
                raise EmulatorError(f"no memory at {address + len(result):#x}, {count} bytes")
            result += bytes.fromhex(reply)
        return bytes(result)

    def write_memory(self, address: int, data: bytes) -> None:
        """Write memory.

        Raises:
            EmulatorError: there is no memory at these addresses.
        """
        for start in range(0, len(data), _CHUNK):
            chunk = data[start : start + _CHUNK]
            reply = self.command(f"M{address + start:x},{len(chunk):x}:{chunk.hex()}")
            if reply != "OK":
                raise EmulatorError(f"no memory at {address + start:#x}, {len(chunk)} bytes")

    def read_register(self, number: int) -> int:
        """Read a register, little endian, of any width."""
        reply = self.command(f"p{number:x}")
        if _is_error(reply) or not reply:
            raise EmulatorError(f"the stub has no register {number}")
        return int.from_bytes(bytes.fromhex(reply), "little")

    def write_register(self, number: int, value: int, size: int) -> None:
        """Write a register of `size` bytes."""
        data = (value & ((1 << (8 * size)) - 1)).to_bytes(size, "little")
        if self.command(f"P{number:x}={data.hex()}") != "OK":
            raise EmulatorError(f"the stub has no register {number}")

    def set_breakpoint(self, address: int, kind: int) -> None:
        """Stop before the instruction at `address`; `kind` is its size in bytes."""
        if self.command(f"Z0,{address:x},{kind:x}") != "OK":
            raise EmulatorError(f"the stub refused a breakpoint at {address:#x}")

    def run(self, timeout: float) -> str:
        """Continue until the program stops; the stop reply.

        Raises:
            EmulatorTimeoutError: it had to be interrupted.
        """
        deadline = time.monotonic() + timeout
        self._send(b"c", time.monotonic() + _REPLY_SECONDS)
        try:
            return self._receive(deadline)
        except (EmulatorTimeoutError, KeyboardInterrupt):
            self._write(b"\x03")
            self._receive(time.monotonic() + _REPLY_SECONDS)
            raise

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _send(self, payload: bytes, deadline: float) -> None:
        packet = b"$%s#%02x" % (_escape(payload), sum(_escape(payload)) & 0xFF)
        for _ in range(_RETRIES):
            self._write(packet)
            if not self._acknowledge:
                return
            mark = self._byte(deadline)
            while mark not in b"+-":
                mark = self._byte(deadline)
            if mark == b"+":
                return
        raise EmulatorError("the debug stub refused a packet three times")

    def _receive(self, deadline: float) -> str:
        for _ in range(_RETRIES):
            while self._byte(deadline) != b"$":
                pass
            while (end := self._buffer.find(b"#")) < 0 or len(self._buffer) < end + 3:
                self._fill(deadline)
            raw, check = bytes(self._buffer[:end]), bytes(self._buffer[end + 1 : end + 3])
            del self._buffer[: end + 3]
            if not self._acknowledge:
                return _unescape(raw).decode("latin-1")
            if _checksum_matches(raw, check):
                self._write(b"+")
                return _unescape(raw).decode("latin-1")
            self._write(b"-")
        raise EmulatorError("the debug stub sent three packets with wrong checksums")

    def _byte(self, deadline: float) -> bytes:
        if not self._buffer:
            self._fill(deadline)
        result = bytes(self._buffer[:1])
        del self._buffer[:1]
        return result

    def _fill(self, deadline: float) -> None:
        self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            raise EmulatorTimeoutError("the emulator gave no answer in time") from None
        except OSError as error:
            raise EmulatorError(self._on_lost()) from error
        if not data:
            raise EmulatorError(self._on_lost())
        self._buffer += data

    def _write(self, data: bytes) -> None:
        self._socket.settimeout(_REPLY_SECONDS)
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise EmulatorTimeoutError("the emulator takes no input") from None
        except OSError as error:
            raise EmulatorError(self._on_lost()) from error


def _is_error(reply: str) -> bool:
    return len(reply) == 3 and reply[0] == "E"


def _checksum_matches(payload: bytes, check: bytes) -> bool:
    try:
        return int(check, 16) == sum(payload) & 0xFF
    except ValueError:
        return False


def _escape(payload: bytes) -> bytes:
    result = bytearray()
    for byte in payload:
        if byte in b"#$}*":
            result += bytes((0x7D, byte ^ 0x20))
        else:
            result.append(byte)
    return bytes(result)


def _unescape(payload: bytes) -> bytes:
    """Undo escapes and run-length encoding."""
    result = bytearray()
    position = 0
    while position < len(payload):
        byte = payload[position]
        if byte == 0x7D and position + 1 < len(payload):
            result.append(payload[position + 1] ^ 0x20)
            position += 2
        elif byte == 0x2A and result and position + 1 < len(payload):
            result += result[-1:] * (payload[position + 1] - 29)
            position += 2
        else:
            result.append(byte)
            position += 1
    return bytes(result)
