"""A proxy on this machine, between boto3 and an S3 server, that goes wrong as networks and servers do, as a test dictates."""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

__all__ = ["By", "Cut", "Fault", "FaultProxy", "Late", "Lost", "Never", "Pass", "Reply", "Request", "Slow", "Truncate"]

PATIENCE = 30


@dataclass(frozen=True)
class Request:
    """What the client asks, as far as a test has to know."""

    method: str
    path: str
    create_only: bool
    checksum: bool = False


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a request."""


@dataclass(frozen=True)
class Pass(Fault):
    """Nothing: the request goes through, and the answer comes back."""


@dataclass(frozen=True)
class Reply(Fault):
    """The client gets an error; the request gets to the server before (``landed``) or not at all."""

    status: int
    code: str
    landed: bool = False
    message: str = "as dictated"


@dataclass(frozen=True)
class Lost(Fault):
    """The server does as asked, and the connection is reset before the client hears of it."""


@dataclass(frozen=True)
class Slow(Fault):
    """The server does as asked, and the client hears nothing until it gives up."""


@dataclass(frozen=True)
class Late(Fault):
    """The client hears nothing and gives up; the request gets to the server only after this many more of the client's."""

    after: int = 1


@dataclass(frozen=True)
class Never(Fault):
    """The client hears nothing until it gives up, or dies; the request never gets to the server."""


@dataclass(frozen=True)
class Cut(Fault):
    """Half of the request's body gets to the server, then both connections are reset."""


@dataclass(frozen=True)
class Truncate(Fault):
    """Half of the answer's body gets to the client, then its connection is closed, or reset."""

    reset: bool = False


class By:
    """A session whose clients go by way of a proxy."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._endpoint = proxy.endpoint

    def client(self, name: str, **settings: Any) -> Any:
        import boto3

        return boto3.client(name, endpoint_url=self._endpoint, **settings)


class FaultProxy:
    """Serves on a port of its own; asks ``choose`` for every request what goes wrong with it, one request at a time."""

    def __init__(self, upstream: str, choose: Callable[[Request], Fault]) -> None:
        self._upstream = urlsplit(upstream)
        self._choose = choose
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._turn = threading.Lock()
        self._late: list[list[Any]] = []  # how many requests each waits for, and what it is
        self._threads: list[threading.Thread] = []
        self._clients: list[socket.socket] = []
        self.seen: Counter[str] = Counter()
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for client in self._clients:
            _close(client)
        for thread in self._threads:
            thread.join(PATIENCE)
        self._deliver_late(now=True)

    def _deliver_late(self, *, now: bool = False) -> None:
        """Let land what has waited for its number of requests, or everything; the answers are nobody's any more."""
        for waiting in self._late:
            waiting[0] -= 1
        for waiting in [w for w in self._late if now or w[0] <= 0]:
            self._late.remove(waiting)
            self._forward(waiting[1])

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._clients.append(client)
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        """One connection of the client's, until a fault or the client ends it."""
        with client, client.makefile("rb") as stream, contextlib.suppress(OSError):  # the client went away
            while (message := _read(stream, client)) and self._answer(client, message):
                pass

    def _answer(self, client: socket.socket, message: _Message) -> bool:
        """Deal with one request; whether the connection goes on."""
        with self._turn:
            fault = self._choose(message.request)
            self.seen[type(fault).__name__] += 1
            match fault:
                case Cut():
                    self._forward_half(message)
                    return _reset(client)
                case Never():
                    pass
                case Late():
                    self._late.append([fault.after, message])
                case Reply(landed=False):
                    self._deliver_late()
                    client.sendall(_error(fault, message.request))
                    return True
                case _:
                    reply = self._forward(message)
                    if not isinstance(fault, Slow):
                        self._deliver_late()
                        return _pass_on(client, fault, message.request, reply)
        select.select([client], [], [], PATIENCE)  # readable as soon as the client gives up and closes it
        return False

    def _forward(self, message: _Message) -> bytes:
        """The server's whole answer."""
        upstream = http.client.HTTPConnection(self._upstream.hostname or "", self._upstream.port, timeout=PATIENCE)
        try:
            upstream.connect()
            assert upstream.sock is not None
            upstream.sock.sendall(message.head + message.body)
            response = http.client.HTTPResponse(upstream.sock, method=message.request.method)
            response.begin()
            body = response.read()
        finally:
            upstream.close()
        dropped = ("transfer-encoding", "content-length", "connection")
        headers = [f"{k}: {v}" for k, v in response.getheaders() if k.lower() not in dropped]
        length = response.getheader("content-length") if message.request.method == "HEAD" else len(body)
        lines = [f"HTTP/1.1 {response.status} {response.reason}", *headers, f"Content-Length: {length or 0}"]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body

    def _forward_half(self, message: _Message) -> None:
        with socket.create_connection((self._upstream.hostname or "", self._upstream.port or 80)) as upstream:
            upstream.sendall(message.head + message.body[: len(message.body) // 2])
            _reset(upstream)


@dataclass(frozen=True)
class _Message:
    request: Request
    head: bytes
    body: bytes


def _read(stream: object, client: socket.socket) -> _Message | None:
    """The next request on the connection, None at its end. A client that waits for leave to send its body gets it."""
    lines: list[bytes] = []
    while (line := stream.readline()) not in (b"\r\n", b""):
        lines.append(line)
    if not lines:
        return None
    method, path, _ = lines[0].decode("latin-1").split(" ", 2)
    headers = {
        k.strip().lower(): v.strip() for k, _, v in (line.decode("latin-1").partition(":") for line in lines[1:])
    }
    if headers.get("expect", "").lower() == "100-continue":
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = stream.read(int(headers.get("content-length", 0)))
    kept = [line for line in lines if not line.lower().startswith((b"expect:", b"connection:"))]
    head = b"".join(kept) + b"Connection: close\r\n\r\n"
    return _Message(
        Request(
            method, path, headers.get("if-none-match") == "*", method == "PUT" and any("checksum" in h for h in headers)
        ),
        head,
        body,
    )


def _pass_on(client: socket.socket, fault: Fault, request: Request, reply: bytes) -> bool:
    """Give the client what the fault leaves of the server's answer; whether the connection goes on."""
    match fault:
        case Lost():
            return _reset(client)
        case Truncate():
            head, end, body = reply.partition(b"\r\n\r\n")
            client.sendall(head + end + body[: len(body) // 2])
            return _reset(client) if fault.reset else False
        case Reply():
            client.sendall(_error(fault, request))
        case _:
            client.sendall(reply)
    return True


def _error(fault: Reply, request: Request) -> bytes:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{fault.code}</Code><Message>{fault.message}</Message></Error>'
    head = (
        f"HTTP/1.1 {fault.status} {fault.code}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head if request.method == "HEAD" else head + body).encode()


def _reset(connection: socket.socket) -> bool:
    """Close at once with a reset; False, as the connection does not go on."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return False


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
