"""Messages between processes over a Unix socket: a JSON object, and open files that travel with it."""

from __future__ import annotations

import json
import os
import socket
import struct
import tempfile
from collections.abc import Sequence
from typing import Any

__all__ = ["anonymous_file", "receive", "send"]

_LENGTH = struct.Struct("!I")
_MOST_FILES = 1


def send(connection: socket.socket, message: dict[str, Any], files: Sequence[int] = ()) -> None:
    """Send the message, and file descriptors that the receiver gets as its own. Raises OSError if nobody is there any more."""
    data = json.dumps(message).encode()
    socket.send_fds(connection, [_LENGTH.pack(len(data))], list(files))
    connection.sendall(data)


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next message with its file descriptors, which the caller closes; None if the other end was closed."""
    head, files, _, _ = socket.recv_fds(connection, _LENGTH.size, _MOST_FILES)
    for file in files:
        os.set_inheritable(file, False)
    head += _exactly(connection, _LENGTH.size - len(head)) if head else b""
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = _exactly(connection, length)
    return (json.loads(data), files) if len(data) == length else None


def _exactly(connection: socket.socket, length: int) -> bytes:
    """So many bytes; fewer if the other end was closed."""
    data = bytearray()
    while len(data) < length and (more := connection.recv(length - len(data))):
        data += more
    return bytes(data)


def anonymous_file(name: str) -> int:
    """The descriptor of a new file without a path: in memory where the system can do that, else on disk. It ends with its last user."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    with tempfile.TemporaryFile(prefix=name) as file:
        return os.dup(file.fileno())
