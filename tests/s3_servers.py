"""S3 servers on free ports of this machine, for a test session: SeaweedFS, moto, and rclone, which ignores conditional writes.

``DETHRONE_TEST_S3_URI`` names one more, with boto3's own settings: whatever is put below it is removed again.
"""

from __future__ import annotations

import functools
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

__all__ = ["NAMED", "Server", "moto", "named", "rclone", "running", "seaweedfs", "use"]

NAMED = os.environ.get("DETHRONE_TEST_S3_URI", "")
OWN = {k: v for k, v in os.environ.items() if k.startswith("AWS_")}
BUCKET = "tests"
PATIENCE = 30
BIN = Path(sys.executable).parent
# moto looks whether a key is taken and writes it in two steps: of two writers at once both may be told that they created it.
MOTO_ONE_AT_A_TIME = """
import sys, threading
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.server import MotoRequestHandler
from werkzeug.serving import run_simple

moto, turn = DomainDispatcherApplication(create_backend_app), threading.Lock()

def serve(environ, start_response):
    with turn:
        return moto(environ, start_response)

run_simple("127.0.0.1", int(sys.argv[1]), serve, threaded=True, request_handler=MotoRequestHandler)
"""
KEYS = {"AWS_ACCESS_KEY_ID": "dethrone", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}


@dataclass(frozen=True)
class Server:
    """A running server: the AWS_ variables that lead to it, and a place in it."""

    environment: dict[str, str]
    place: str = f"s3://{BUCKET}"

    @property
    def endpoint(self) -> str:
        return self.environment["AWS_ENDPOINT_URL"]

    def fresh_uri(self) -> str:
        """The URI of an empty store."""
        return f"{self.place}/{uuid.uuid4().hex[:12]}"


def use(monkeypatch: pytest.MonkeyPatch, server: Server, **changes: str) -> None:
    """Let boto3 find this server and nothing else of the machine's: its default session too, which is slow to make."""
    for name in OWN:
        monkeypatch.delenv(name, raising=False)
    for name, value in {**server.environment, **changes}.items():
        monkeypatch.setenv(name, value)
    settings = frozenset(item for item in server.environment.items() if item[0] != "AWS_ENDPOINT_URL")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None if changes else _session_with(settings))


@functools.cache
def _session_with(_: frozenset[tuple[str, str]]) -> boto3.Session:
    """One for each of the settings that a session keeps; the endpoint is each client's."""
    return boto3.Session()


def environment(port: int) -> dict[str, str]:
    return {
        **KEYS,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def free_ports(n: int, *beside: int) -> list[int]:
    """Ports that nobody has, nor the ports ``beside`` them."""
    found: list[int] = []
    while len(found) < n:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind(("127.0.0.1", port))
                for distance in beside:
                    other.bind(("127.0.0.1", port + distance))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


@contextmanager
def running(command: list[str | Path], port: int, log: Path) -> Iterator[None]:
    """The server that a command starts, once it answers on its port; ended by its own process id."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, **KEYS}, cwd=log.parent)
    try:
        deadline = time.monotonic() + PATIENCE
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{command[0]} does not run: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _make_bucket(server: Server) -> None:
    """The first signed request of a server that just started may be refused."""
    session = boto3.Session(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1")
    client = session.client("s3", endpoint_url=server.endpoint)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if BUCKET not in {b["Name"] for b in client.list_buckets()["Buckets"]}:
                client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"")
        except client.exceptions.ClientError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("seaweedfs")
    ports = free_ports(5, 10_000)  # each with its gRPC port 10,000 beyond
    names = ("s3", "master", "volume", "filer", "admin")
    options = [f"-{name}.port={port}" for name, port in zip(names, ports, strict=True)]
    local = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"]
    without = ["-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    command = [BIN / "weed", "mini", f"-dir={folder}", *options, *local, *without, f"-bucket={BUCKET}"]
    with running(command, ports[0], folder / "log"):
        server = Server(environment(ports[0]))
        _make_bucket(server)
        yield server


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    (port,) = free_ports(1)
    log = tmp_path_factory.mktemp("moto") / "log"
    with running([sys.executable, "-c", MOTO_ONE_AT_A_TIME, str(port)], port, log):
        server = Server(environment(port))
        _make_bucket(server)
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("rclone")
    (folder / BUCKET).mkdir()
    (port,) = free_ports(1)
    keys = ",".join(KEYS.values())
    options = ["--addr", f"127.0.0.1:{port}", "--auth-key", keys, "--config", os.devnull]
    command = [BIN / "rclone", "serve", "s3", folder, *options]
    with running(command, port, tmp_path_factory.mktemp("rclone-log") / "log"):
        server = Server(environment(port))
        _make_bucket(server)
        yield server


@pytest.fixture(scope="session")
def named() -> Iterator[Server]:
    """The server that the user names."""
    if not NAMED:
        pytest.skip("DETHRONE_TEST_S3_URI names no server")
    server = Server(OWN, f"{NAMED.rstrip('/')}/dethrone-tests-{uuid.uuid4().hex[:8]}")
    yield server
    bucket, _, prefix = server.place.removeprefix("s3://").partition("/")
    boto3.resource("s3").Bucket(bucket).objects.filter(Prefix=f"{prefix}/").delete()
