"""A real Prefect server on a free port, its command line, and a worker, in the environment that the tests run in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from postgres import free_port

__all__ = ["QUIET", "ROOT", "PrefectServer"]

ROOT = Path(__file__).resolve().parents[1]
QUIET = {
    f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false"
    for service in (
        "TASK_RUN_RECORDER", "EVENT_PERSISTER", "EVENT_LOGGER", "TRIGGERS", "SCHEDULER", "LATE_RUNS", "FOREMAN",
    )
}  # fmt: skip
"""Settings of a server without the services that write to its database beside the runs, until SQLite finds it locked."""
_PREFECT = str(Path(sys.executable).parent / "prefect")


class PrefectServer:
    """A running server whose home is ``home``; on SQLite, or on the database of ``database``, an SQLAlchemy URI."""

    def __init__(self, home: Path, environment: dict[str, str], database: str | None = None) -> None:
        port = free_port()
        self.home = home
        self.api = f"http://127.0.0.1:{port}/api"
        self.environment = {
            **os.environ,
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": self.api,
            "PREFECT_LOGGING_LEVEL": "INFO",
            **environment,
        }
        own = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database} if database else {}
        command = [_PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        self._server = self._start(command, "server.log", own)
        try:
            self.wait_for(self._answers, 180, lambda: f"an answer of the server: {self.log()}")
        except BaseException:
            self.stop()
            raise

    def _start(self, command: list[str], log: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        with (self.home / log).open("wb") as file:
            return subprocess.Popen(
                command,
                env={**self.environment, **environment},
                cwd=ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _answers(self) -> bool:
        assert self._server.poll() is None, f"the server ended: {self.log()}"
        try:
            with urllib.request.urlopen(f"{self.api}/health", timeout=5):  # noqa: S310
                return True
        except OSError:
            return False

    def wait_for(self, holds: Callable[[], Any], seconds: float, what: Callable[[], str]) -> None:
        """Ask until it holds; after so many seconds, fail and say what was waited for."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"waited {seconds:g} seconds for {what()}"
            try:
                self._server.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                continue
            msg = f"the server ended: {self.log()}"
            raise AssertionError(msg)

    def __call__(self, *arguments: str) -> str:
        """What ``prefect <arguments>`` prints."""
        run = subprocess.run(
            [_PREFECT, "--no-prompt", *arguments],
            env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    @contextmanager
    def worker(self, pool: str, *options: str) -> Iterator[None]:
        """A worker of this pool for as long as the context lasts."""
        running = self._start([_PREFECT, "worker", "start", "--pool", pool, *options], "worker.log", {})
        try:
            yield
        finally:
            _end(running)

    def runs(self) -> list[dict[str, Any]]:
        """The flow runs, first come first; a schedule has made many that are to come."""
        body = json.dumps({"sort": "EXPECTED_START_TIME_ASC"}).encode()
        request = urllib.request.Request(  # noqa: S310
            f"{self.api}/flow_runs/filter", body, {"content-type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            found: list[dict[str, Any]] = json.load(answer)
            return found

    def states(self) -> dict[str, str]:
        """The state of every flow run, by the flow run's name."""
        return {run["name"]: run["state_type"] for run in self.runs()}

    def log(self, name: str = "server.log") -> str:
        """What the server, or the worker, has said so far."""
        return (self.home / name).read_text(errors="replace")

    def stop(self) -> None:
        _end(self._server)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    process.wait(timeout=60)
