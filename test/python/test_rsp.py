"""The packet layer against a scripted stub."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest

from tinytrain_mlir.errors import EmulatorError, EmulatorTimeoutError
from tinytrain_mlir.runtime.qemu_process import QemuProcess
from tinytrain_mlir.runtime.rsp import RspClient, _escape, _unescape


def packet(payload: bytes) -> bytes:
    return b"$%s#%02x" % (payload, sum(payload) & 0xFF)


def client_of(answer: Callable[[bytes], bytes]) -> RspClient:
    """A client whose stub sends `answer(payload)` for each packet."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        buffer = b""
        while data := theirs.recv(4096):
            buffer += data
            while (start := buffer.find(b"$")) >= 0 and (end := buffer.find(b"#")) >= 0:
                if len(buffer) < end + 3:
                    break
                payload, buffer = buffer[start + 1 : end], buffer[end + 3 :]
                if (reply := answer(payload)) == b"close":
                    theirs.close()
                    return
                theirs.sendall(b"+" + reply)

    threading.Thread(target=serve, daemon=True).start()
    return RspClient(ours, lambda: "the stub is gone")


def test_escape_round_trip() -> None:
    every = bytes(range(256))
    assert _unescape(_escape(every)) == every
    assert _unescape(b"0* ") == b"0000"


def test_wrong_checksum_is_asked_again() -> None:
    replies = iter([b"$abcd#00" + packet(b"12345678")])

    def answer(payload: bytes) -> bytes:
        return next(replies) if payload.startswith(b"m") else packet(b"OK")

    assert client_of(answer).read_memory(0, 4) == bytes.fromhex("12345678")


def test_error_replies() -> None:
    client = client_of(lambda payload: packet(b"E14" if payload[:1] in b"mM" else b""))
    with pytest.raises(EmulatorError, match="no memory at 0x10"):
        client.read_memory(0x10, 4)
    with pytest.raises(EmulatorError, match="no memory at 0x10"):
        client.write_memory(0x10, b"abc")
    with pytest.raises(EmulatorError, match="no register 3"):
        client.read_register(3)


def test_lost_connection_is_explained() -> None:
    client = client_of(lambda payload: b"close" if payload == b"?" else packet(b""))
    with pytest.raises(EmulatorError, match="the stub is gone"):
        client.command("?")


def test_silence_is_a_timeout() -> None:
    client = client_of(lambda payload: b"" if payload == b"?" else packet(b""))
    with pytest.raises(EmulatorTimeoutError):
        client.command("?", timeout=0.2)


@pytest.mark.requires_qemu
def test_dead_qemu_is_reported_with_its_words() -> None:
    with pytest.raises(EmulatorError, match="unsupported machine type"):
        QemuProcess("qemu-system-arm", ("-M", "no-such-board"))


@pytest.mark.requires_qemu
def test_qemu_killed_is_reported() -> None:
    process = QemuProcess("qemu-system-arm", ("-M", "mps2-an500"))
    process._process.kill()
    with pytest.raises(EmulatorError, match=r"ended the connection \(exit status -9\)"):
        process.rsp.read_memory(0, 4)
    process.close()
    process.close()
