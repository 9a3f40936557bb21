"""Versions of the software that computes a judgement. They are stored with it and explain numbers that differ later."""

from __future__ import annotations

import functools
import importlib.metadata
import tomllib
from pathlib import Path

__all__ = ["software"]

_PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
_LIBRARIES = ("numpy", "scipy", "polars")


@functools.cache
def software() -> dict[str, str]:
    """Name to version, of Dethrone (from ``pyproject.toml``, as the clone is not installed) and of the numerical libraries."""
    own = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["version"]
    return {"dethrone": own, **{name: importlib.metadata.version(name) for name in _LIBRARIES}}
