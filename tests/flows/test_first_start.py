"""The first command in a clone, on a Prefect that has never run here: it works, and nothing in what it prints looks like a fault."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from prefect_server import ROOT

NOISE = re.compile(r"Traceback|ERROR|WARNING|telemetry|locked|sqlite3", re.IGNORECASE)


@pytest.mark.slow
def test_two_first_commands_at_once_print_no_error_and_send_nothing(parcels: Path, tmp_path: Path) -> None:
    """Both find the same empty home, and no setting but those of the clone."""
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_")) and k != "DO_NOT_TRACK"}
    environment = {**bare, "HOME": str(tmp_path / "home"), "DETHRONE_PROJECTS": str(parcels)}
    (tmp_path / "home").mkdir()
    enthrone = [sys.executable, "-m", "flows.enthrone", "parcels", "1", "--author", "ada", "--as-of", "2024-01-07"]
    both = [
        subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for command in (enthrone, [sys.executable, "-m", "flows.history", "parcels"])
    ]
    for process in both:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        assert out
        assert [line for line in err.splitlines() if NOISE.search(line)] == []
