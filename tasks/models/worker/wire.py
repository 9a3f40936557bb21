"""What travels between processes over a Unix socket: JSON objects, and Arrow tables in open files."""

from __future__ import annotations

import json
import mmap
import os
import socket
import struct
import tempfile
from collections.abc import Sequence
from typing import Any

__all__ = ["read_table", "receive", "send", "write_table"]

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


def write_table(name: str, table: Any) -> int:
    """The descriptor of a new file with this Arrow table, which has no path and ends with its last user."""
    import pyarrow as pa

    descriptor = _anonymous_file(name)
    with os.fdopen(os.dup(descriptor), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return descriptor


def read_table(descriptor: int) -> Any:
    """The Arrow table in a file, without a copy; it stays readable when the descriptor is closed."""
    import pyarrow as pa

    data = pa.py_buffer(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))
    return pa.ipc.open_file(data, options=pa.ipc.IpcReadOptions(use_threads=False)).read_all()


def _anonymous_file(name: str) -> int:
    """A new file in memory where the system can do that, else on disk."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    with tempfile.TemporaryFile(prefix=name) as file:
        return os.dup(file.fileno())
