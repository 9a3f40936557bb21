"""A real MLflow server on a free port of this machine, which keeps the artifacts too."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from postgres import free_port

__all__ = ["mlflow_server"]

PATIENCE = 120


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Its address, for as long as the context lasts; what it says may tell of no error."""
    uri = f"http://127.0.0.1:{free_port()}"
    keeps = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "kept")]
    listens = ["--host", "127.0.0.1", "--port", uri.rpartition(":")[2], "--workers", "1"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *keeps, *listens],
            stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + PATIENCE
        while not _answers(uri):
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
        yield uri
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=PATIENCE)
    said = (folder / "log").read_text()
    assert not re.search(r"Traceback|\bERROR\b", said), said


def _answers(uri: str) -> bool:
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=5):  # noqa: S310
            return True
    except OSError:
        return False
