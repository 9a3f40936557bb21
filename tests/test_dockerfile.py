"""deployments/Dockerfile, as far as it can be tried without Docker: what it copies is there, and is enough to run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "deployments"
TEXT = re.sub(r"\\\n", " ", (FOLDER / "Dockerfile").read_text(encoding="utf-8"))
OPTIONAL = {"requirements-models.tx[t]"}


def instructions(name: str) -> list[list[str]]:
    """The words of each instruction of this kind, in their order."""
    return [shlex.split(line)[1:] for line in TEXT.splitlines() if line.startswith(f"{name} ")]


def lay_out(folder: Path) -> None:
    """Copy what the instructions copy."""
    for *sources, target in instructions("COPY"):
        for source in (s for s in sources if s not in OPTIONAL):
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, folder / target)


def test_whatever_is_copied_is_there_and_not_ignored() -> None:
    allowed = (FOLDER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert allowed[0] == "*"
    for *sources, _ in instructions("COPY"):
        for source in sources:
            assert source in OPTIONAL or (ROOT / source).exists()
            kept = [a[1:] for a in allowed if a.startswith("!")]
            assert source in kept or any(k.endswith("*") and source.startswith(k[:-1]) for k in kept)


def test_the_environment_is_that_of_the_makefile_and_its_python_one_that_is_supported() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [words[1] for words in instructions("RUN") if words[0] == "make"]
    assert targets == ["env"]
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
    copied = {s for words in instructions("COPY") for s in words[:-1]}
    assert set(re.findall(r"[\w-]+\.lock", makefile)) - {"requirements-dev.lock"} <= copied
    (image,) = instructions("FROM")
    version = re.fullmatch(r"python:3\.(\d+)-slim-\w+", image[0])
    assert version
    assert 11 <= int(version[1]) < 14


@pytest.mark.slow
def test_what_is_copied_is_enough_for_every_flow_and_for_up(tmp_path: Path) -> None:
    lay_out(tmp_path)
    names = [p.stem for p in sorted((tmp_path / "flows").glob("*.py")) if p.stem != "__init__"]
    program = (
        "".join(f"import flows.{name}\n" for name in names) + "import deployments.up, deployments.down\nprint('all')"
    )
    outside = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=outside, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (0, "all\n"), run.stderr
    asked = subprocess.run(
        [sys.executable, "-m", "flows.score", "--help"],
        cwd=tmp_path,
        env=outside,
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
