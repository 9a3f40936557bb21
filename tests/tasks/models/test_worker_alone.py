"""The worker's side runs where Dethrone is not, under whatever name it is mounted."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import tasks.models.worker

ALONE = """
import sys
from mounted.fork_server import run
from mounted.serve import serve
from mounted.frames import frame_of
known = {"tasks", "analysis", "polars", "prefect", "mlflow", "sklearn"} & set(sys.modules)
assert not known, known
"""


def test_it_imports_nothing_of_dethrone_nor_a_models_library(tmp_path: Path) -> None:
    folder = Path(tasks.models.worker.__file__).parent
    shutil.copytree(folder, tmp_path / "mounted", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-c", ALONE], cwd=tmp_path, check=True)
