"""Start Prefect, MLflow and a worker on this machine, and deploy everything of prefect.yaml: ``make up``.

What runs is left alone, so that it can be called again at any time. ``make down`` stops what this has started.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from deployments.processes import Service, Started
from tasks.base.errors import DethroneError

__all__ = ["Machine", "UpError"]

_ROOT = Path(__file__).resolve().parent.parent
_HOST = "127.0.0.1"
_POOL = "dethrone"
_DEAD_RUNS = "dethrone: a run that died"
_PATIENCE = 300  # seconds, as a first start makes both databases
_PAUSE = 0.5


class UpError(DethroneError):
    """Something does not start, and why."""


class Machine:
    """What runs on this machine, below ``DETHRONE_STATE`` (by default ``.dethrone/``). Ports and databases are set as for the tools alone:

    PREFECT_SERVER_API_PORT (4200), PREFECT_SERVER_DATABASE_CONNECTION_URL, MLFLOW_PORT (5000), MLFLOW_BACKEND_STORE_URI,
    MLFLOW_ARTIFACTS_DESTINATION. Both servers listen on this machine alone.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.state = Path(environment.get("DETHRONE_STATE") or _ROOT / ".dethrone").absolute()
        self._prefect_port = _port(environment, "PREFECT_SERVER_API_PORT", 4200)
        self._mlflow_port = _port(environment, "MLFLOW_PORT", 5000)
        self.prefect = f"http://{_HOST}:{self._prefect_port}"
        self.mlflow = f"http://{_HOST}:{self._mlflow_port}"
        kept = self.state / "mlflow"
        self._environment = {
            "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{kept / 'mlflow.db'}",
            "MLFLOW_ARTIFACTS_DESTINATION": str(kept / "artifacts"),
            **environment,
            "PREFECT_HOME": str(self.state / "prefect"),
            "PREFECT_API_URL": f"{self.prefect}/api",
            "DO_NOT_TRACK": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        run = self.state / "run"
        self.services = {name: Service(name, run) for name in ("prefect", "mlflow", "worker")}

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other command starts or stops anything here."""
        self.state.mkdir(parents=True, exist_ok=True)
        with (self.state / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def up(self) -> list[str]:
        """Start what is down, deploy, and say where everything is. Raises UpError."""
        for folder in ("prefect", "mlflow"):
            (self.state / folder).mkdir(parents=True, exist_ok=True)
        at = ["--host", _HOST, "--port"]
        ours = {
            "prefect": (self.prefect, ["prefect", "server", "start", *at, str(self._prefect_port)]),
            "mlflow": (self.mlflow, ["mlflow", "server", "--workers", "1", *at, str(self._mlflow_port)]),
        }
        servers = {name: self._server(name, url, command) for name, (url, command) in ours.items()}
        self._wait("prefect", servers["prefect"], lambda: _answers(f"{self.prefect}/api/health"))
        self._wait("mlflow", servers["mlflow"], lambda: _answers(f"{self.mlflow}/health"))
        if not _answers(f"{self.prefect}/api/work_pools/{_POOL}"):
            self._run("work-pool", "create", _POOL, "--type", "process")
        if not self._has_automation(_DEAD_RUNS):
            self._run("automation", "create", "--from-file", str(_ROOT / "deployments" / "dead-runs.yml"))
        worker = self.services["worker"].running() or self._new_worker()
        self._wait("worker", worker, lambda: self._is_online(worker.said))
        deployed = re.findall(r"Deployment '(\S+)'\s+successfully", self._run("deploy", "--all"))
        return [
            f"Prefect  {self.prefect}",
            f"MLflow   {self.mlflow}",
            f"worker   {worker.said}, of the pool {_POOL}",
            f"deployed {len(deployed)} deployments of prefect.yaml",
            f"logs     {self.services['worker'].log.parent}",
            f"In a terminal: export PREFECT_API_URL={self.prefect}/api",
        ]

    def down(self) -> list[str]:
        """Stop what ``up`` has started, the worker first; says what ran."""
        return [name for name in ("worker", "prefect", "mlflow") if self.services[name].stop()]

    def _server(self, name: str, url: str, command: list[str]) -> Started:
        running = self.services[name].running()
        if running and running.said != url:
            msg = f"{name} runs at {running.said} already, and not at {url}; run 'make down' before you change its port"
            raise UpError(msg)
        if running:
            return running
        self.services[name].stop()  # what is left of one that was killed holds the port
        port = int(url.rpartition(":")[2])
        if _is_taken(port):
            variable = {"prefect": "PREFECT_SERVER_API_PORT", "mlflow": "MLFLOW_PORT"}[name]
            msg = f"something else listens on port {port}, where {name} would; set {variable} to a free port"
            raise UpError(msg)
        return self._start(name, command, url)

    def _new_worker(self) -> Started:
        name = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"  # so that one that was killed is not taken for it
        return self._start("worker", ["prefect", "worker", "start", "--pool", _POOL, "--name", name], name)

    def _start(self, name: str, command: list[str], said: str) -> Started:
        program = str(Path(sys.executable).parent / command[0])
        return self.services[name].start([program, *command[1:]], cwd=_ROOT, environment=self._environment, said=said)

    def _is_online(self, worker: str) -> bool:
        body = json.dumps({"workers": {"status": {"any_": ["ONLINE"]}}}).encode()
        try:
            found: list[dict[str, Any]] = _ask(f"{self.prefect}/api/work_pools/{_POOL}/workers/filter", body)
        except OSError:
            return False
        return worker in (w["name"] for w in found)

    def _has_automation(self, name: str) -> bool:
        body = json.dumps({"automations": {"name": {"any_": [name]}}}).encode()
        return bool(_ask(f"{self.prefect}/api/automations/filter", body))

    def _wait(self, name: str, started: Started, holds: Callable[[], bool]) -> None:
        """Raises UpError if it ends before, or does not answer in time."""
        service, deadline = self.services[name], time.monotonic() + _PATIENCE
        while not holds():
            if not started.runs():
                msg = f"{name} does not start: ...{service.last_words()} ({service.log})"
                raise UpError(msg)
            if time.monotonic() > deadline:
                msg = f"{name} does not answer after {_PATIENCE} seconds; read {service.log}"
                raise UpError(msg)
            time.sleep(_PAUSE)

    def _run(self, *words: str) -> str:
        """What a command of Prefect's prints. Raises UpError."""
        command = [str(Path(sys.executable).parent / "prefect"), "--no-prompt", *words]
        wide = {**self._environment, "COLUMNS": "200"}
        done = subprocess.run(command, cwd=_ROOT, env=wide, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            msg = f"'prefect {' '.join(words)}' failed: {' '.join((done.stdout + done.stderr).split())[-500:]}"
            raise UpError(msg)
        return done.stdout


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    said = environment.get(name) or str(default)
    if not said.isdecimal() or not 0 < int(said) < 65536:
        msg = f"{name} is '{said}'; write the number of a free port, such as {default}"
        raise UpError(msg)
    return int(said)


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server that has just ended does not count
        try:
            probe.bind((_HOST, port))
        except OSError:
            return True
    return False


def _ask(url: str, body: bytes | None = None) -> Any:
    request = urllib.request.Request(url, body, {"content-type": "application/json"})  # noqa: S310  this machine
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.loads(answer.read() or b"null") if body else None


def _answers(url: str) -> bool:
    try:
        _ask(url)
    except OSError:
        return False
    return True


def main() -> None:
    try:
        machine = Machine(os.environ)
        with machine.alone():
            print("\n".join(machine.up()))
    except UpError as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
