"""Commands in the root of the clone, as ``make up`` and ``make down`` start them, on ports and in a folder of a test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from postgres import free_port
from prefect_server import ROOT

__all__ = ["Terminal", "with_this_in_their_environment"]


def with_this_in_their_environment(text: str) -> list[int]:
    """The processes of this machine that were started with it."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and text.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


class Terminal:
    """Commands in the root of the clone, as ``make up`` and ``make down`` start them."""

    def __init__(self, state: Path, **environment: str) -> None:
        self.state = state
        ports = {"PREFECT_SERVER_API_PORT": str(free_port()), "MLFLOW_PORT": str(free_port())}
        api = f"http://127.0.0.1:{ports['PREFECT_SERVER_API_PORT']}/api"
        own = {"DETHRONE_STATE": str(state), "PREFECT_API_URL": api, "PREFECT_WORKER_QUERY_SECONDS": "1"}
        self.environment = {**os.environ, **own, **ports, **environment}

    def __call__(self, *command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def pids(self) -> dict[str, int]:
        return {f.stem: json.loads(f.read_text())["pid"] for f in (self.state / "run").glob("*.json")}
