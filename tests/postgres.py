"""A PostgreSQL server of one's own on a free port of this machine, from the binaries that a wheel brings."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["free_port", "postgres"]

_NOBODY = 65534
_PATIENCE = 60


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def postgres() -> Iterator[str]:
    """Run PostgreSQL for as long as the context lasts; yields ``postgres@127.0.0.1:<port>/postgres``, the end of a URI.

    PostgreSQL refuses to run as root. Then it runs as nobody, from a copy that nobody may read.
    """
    folder = Path(tempfile.mkdtemp(prefix="dethrone-postgres-"))
    as_somebody: dict[str, Any] = {"cwd": "/"}
    data = folder / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        as_somebody |= {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        folder.chmod(0o755)
        os.chown(data, _NOBODY, _NOBODY)
    programs = _copy_of_programs(folder)
    port = free_port()
    server = None
    try:
        made = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]
        subprocess.run([*made, "--no-locale"], check=True, capture_output=True, **as_somebody)
        command = [str(programs / "postgres"), "-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1"]
        quick = ["-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "max_connections=200"]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen([*command, *quick], stderr=log, **as_somebody)
        _wait(server, port, folder / "log")
        yield f"postgres@127.0.0.1:{port}/postgres"
    finally:
        if server:
            server.terminate()
            server.wait(timeout=_PATIENCE)
        shutil.rmtree(folder, ignore_errors=True)


def _copy_of_programs(folder: Path) -> Path:
    """The programs find their libraries by a path relative to their own, so the wheel's layout is kept."""
    spec = importlib.util.find_spec("pgserver")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    shutil.copytree(package / "pginstall", folder / package.name / "pginstall", symlinks=True)
    for libraries in package.parent.glob("pgserver*.libs"):
        shutil.copytree(libraries, folder / libraries.name)
    return folder / package.name / "pginstall" / "bin"


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            try:
                server.wait(timeout=0.1)
            except subprocess.TimeoutExpired:
                continue
        else:
            return
    msg = f"PostgreSQL did not answer within {_PATIENCE} seconds: {log.read_text()}"
    raise AssertionError(msg)
