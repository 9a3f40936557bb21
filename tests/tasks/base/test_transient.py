"""Which errors may pass: each is raised by the library itself, on a real server, socket or database."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import httpx
import mlflow
import pytest
import requests
import sqlalchemy
from botocore.config import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from mlflow.exceptions import MlflowException
from mlflow.utils.rest_utils import MlflowHostCreds, http_request, verify_rest_response

from tasks.base.errors import DethroneError
from tasks.base.transient import may_pass
from tasks.store import AlreadyThereError
from tasks.store.s3_errors import store_error


class Says(BaseHTTPRequestHandler):
    """A server that answers every request with the status in its path; status 0 resets the connection."""

    def do_GET(self) -> None:
        status = int(self.path.strip("/").split("/")[0].split("?")[0])
        if status == 0:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.connection.close()
            return
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class Quiet(ThreadingHTTPServer):
    """One that does not print that a client went away."""

    def handle_error(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def serving() -> Iterator[ThreadingHTTPServer]:
    with Quiet(("127.0.0.1", 0), Says) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as running:
        yield f"http://127.0.0.1:{running.server_port}"


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose certificate it has signed itself."""
    file = tmp_path_factory.mktemp("certificate") / "both.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    valid = made.not_valid_before(datetime(2020, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(secret + valid.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with serving() as running:
        running.socket = context.wrap_socket(running.socket, server_side=True)
        yield f"https://127.0.0.1:{running.server_port}"


@pytest.fixture
def nobody() -> str:
    """An address at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def by_boto3(url: str) -> None:
    address, _, status = url.rpartition("/") if url.count("/") > 2 else (url, "", "503")
    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "us-east-1"}
    once = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    client = boto3.Session(**keys).client("s3", endpoint_url=address, config=once)  # type: ignore[call-overload]
    client.get_object(Bucket=status.zfill(3), Key="rows")


def by_requests(url: str) -> None:
    requests.get(url, timeout=30).raise_for_status()


def by_mlflow(url: str) -> None:
    """As its client asks a server, with one of the retries that it makes by itself."""
    address, _, path = url.rpartition("/") if url.count("/") > 2 else (url, "", "")
    at_once = {"max_retries": 1, "backoff_factor": 0, "backoff_jitter": 0, "timeout": 30}
    answer = http_request(MlflowHostCreds(address), f"/{path}", "GET", **at_once)
    verify_rest_response(answer, f"/{path}")


def by_httpx(url: str) -> None:
    httpx.get(url, timeout=30).raise_for_status()


CLIENTS = [by_boto3, by_requests, by_mlflow, by_httpx]


def raised(act: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011  any, of any library
        act()
    return caught.value


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("status", "passes"), [(429, True), (502, True), (503, True), (504, True), (403, False), (404, False)]
)
def test_an_answer_of_a_server_says_whether_it_may_pass(
    server: str, client: Callable[[str], None], status: int, passes: bool
) -> None:
    assert may_pass(raised(lambda: client(f"{server}/{status}"))) is passes


@pytest.mark.parametrize("client", CLIENTS)
def test_a_connection_that_is_refused_or_reset_may_pass(
    server: str, nobody: str, client: Callable[[str], None]
) -> None:
    assert may_pass(raised(lambda: client(nobody)))
    assert may_pass(raised(lambda: client(f"{server}/0")))


@pytest.mark.parametrize("client", CLIENTS)
def test_a_host_that_nobody_knows_is_a_mistake(client: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network a name server cannot say so; with one that is overloaded the same may pass."""
    for errno, passes in ((socket.EAI_NONAME, False), (socket.EAI_AGAIN, True)):

        def nowhere(*_: Any, errno: int = errno, **__: Any) -> None:
            raise socket.gaierror(errno, "as dictated")

        monkeypatch.setattr(socket, "getaddrinfo", nowhere)
        assert may_pass(raised(lambda: client("http://mlflow.invalid:5000"))) is passes


@pytest.mark.parametrize("client", CLIENTS)
def test_a_certificate_that_nobody_trusts_is_a_mistake(self_signed: str, client: Callable[[str], None]) -> None:
    assert not may_pass(raised(lambda: client(self_signed)))


def test_a_locked_sqlite_may_pass_and_a_table_that_is_missing_does_not(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/some.db"
    engine = sqlalchemy.create_engine(url, connect_args={"timeout": 0})
    with (
        engine.connect() as reader,
        contextlib.closing(sqlite3.connect(tmp_path / "some.db", isolation_level=None)) as writer,
    ):
        writer.execute("BEGIN EXCLUSIVE")
        assert may_pass(raised(lambda: reader.execute(sqlalchemy.text("CREATE TABLE rows (a)"))))
    with engine.connect() as reader:
        missing = raised(lambda: reader.execute(sqlalchemy.text("SELECT * FROM rows")))
    assert not may_pass(missing)
    as_mlflow_wraps_it = MlflowException(str(missing), error_code=503)
    as_mlflow_wraps_it.__cause__ = missing
    assert not may_pass(as_mlflow_wraps_it)
    engine.dispose()


def test_what_mlflow_itself_raises_on_this_machine_does_not_pass(tmp_path: Path) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    assert not may_pass(raised(lambda: client.get_registered_model("nobody")))
    assert not may_pass(MlflowException("a fault in its own code, with the status of an internal error"))


def test_our_own_sentence_is_as_its_cause(server: str) -> None:
    slow_down, missing = (raised(lambda s=s: by_boto3(f"{server}/{s}")) for s in (503, 404))

    def ours(cause: Exception) -> Exception:
        def act() -> None:
            raise store_error(cause, "s3://bucket", "rows") from cause

        return raised(act)

    assert may_pass(ours(slow_down))
    assert not may_pass(ours(missing))
    assert not may_pass(DethroneError("the key 'model' is missing"))
    assert not may_pass(BrokenPipeError("a model's process has ended"))


def test_an_error_that_was_dealt_with_says_nothing(server: str) -> None:
    slow_down, missing = (raised(lambda s=s: by_boto3(f"{server}/{s}")) for s in (503, 404))

    def after(first: Exception, then: Exception, *, hidden: bool = False) -> Exception:
        then.__context__, then.__suppress_context__ = (
            first,
            hidden,
        )  # what "raise" and "raise ... from None" leave behind
        return then

    assert not may_pass(after(slow_down, missing))
    missing.__context__ = None
    assert may_pass(after(missing, slow_down))
    taken = AlreadyThereError("s3://bucket: reigns/2.json is already there")
    assert not may_pass(after(slow_down, taken, hidden=True))  # the store has found out what became of the write
