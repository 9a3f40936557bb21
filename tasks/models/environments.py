"""The environment in which a version loads: this clone's, or its own, built from its requirements."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from tasks.base.errors import DethroneError

__all__ = ["BuildError", "lacking", "own_python"]

_DETERMINING = ("python_env.yaml", "requirements.txt", "conda.yaml", "uv.lock", "pyproject.toml")


class BuildError(DethroneError):
    """The environment of a version cannot be built."""


def lacking(folder: Path) -> list[str]:
    """The requirements of the model in this folder that this clone's environment does not have at all, or has in another version."""
    missing = []
    for requirement in _requirements(folder / "requirements.txt"):
        try:
            installed = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            # the module can come from a distribution of another name, such as xgboost from xgboost-cpu
            if requirement.name.replace("-", "_") not in importlib.metadata.packages_distributions():
                missing.append(f"{requirement} (not installed)")
        else:
            if not requirement.specifier.contains(installed, prereleases=True):
                missing.append(f"{requirement} (here {installed})")
    return missing


def _requirements(file: Path) -> Iterable[Requirement]:
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        try:
            requirement = Requirement(line.split("#")[0].strip())
        except InvalidRequirement:  # an option of pip, a path or an address
            continue
        if requirement.marker is None or requirement.marker.evaluate():
            yield requirement


def own_python(version: str, folder: Path, seconds: float) -> str:
    """The Python of the version's own environment, which MLflow builds with uv the first time, within so many seconds.

    Environments lie in ``DETHRONE_ENVIRONMENTS``, by default ``~/.cache/dethrone/environments``, below the digest of what determines
    them, so that versions with the same requirements share one. Raises BuildError.
    """
    root = Path(os.environ.get("DETHRONE_ENVIRONMENTS") or Path.home() / ".cache/dethrone/environments")
    place = root / _digest(folder)
    place.mkdir(parents=True, exist_ok=True)
    ready = place / "ready"
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs do not build the same environment
        if not ready.exists():
            shutil.rmtree(place / "env", ignore_errors=True)  # an earlier run was ended while it built
            _build(version, folder, place / "env", seconds)
            ready.touch()
    (python,) = (place / "env").glob("*/bin/python")
    return str(python)


def _digest(folder: Path) -> str:
    total = hashlib.sha256()
    for name in _DETERMINING:
        file = folder / name
        total.update(name.encode() + b"\0" + (hashlib.sha256(file.read_bytes()).digest() if file.is_file() else b""))
    return total.hexdigest()[:16]


def _build(version: str, folder: Path, target: Path, seconds: float) -> None:
    uv = Path(sys.executable).parent  # where make env installs uv
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "prepare-env",
        "--env-manager",
        "uv",
        "--model-uri",
        str(folder),
    ]
    environment = {
        **os.environ,
        "MLFLOW_ENV_ROOT": str(target),
        "PATH": f"{uv}{os.pathsep}{os.environ.get('PATH', '')}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    try:
        built = subprocess.run(  # noqa: S603  MLflow's own command, with a folder that it wrote
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        msg = f"the environment of version {version} was not built within {seconds:g} seconds; raise 'model_seconds' in the project file"
        raise BuildError(msg) from None
    if built.returncode:
        lines = [line.strip() for line in (built.stdout + built.stderr).splitlines() if line.strip()]
        told = next(
            (line for line in lines if line.startswith(("×", "error:", "ERROR"))), lines[-1] if lines else "no output"
        )
        msg = f"the environment of version {version} cannot be built from its requirements: {told.removeprefix('×').strip()}"
        raise BuildError(msg)
