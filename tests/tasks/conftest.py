"""Stores of every kind, and the servers behind them, for the tests that hold whatever a store is made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from s3_servers import NAMED, moto, named, rclone, seaweedfs, use  # noqa: F401
from troubled import calm, pauses, trouble, troubled_store  # noqa: F401


@pytest.fixture(
    params=["directory", pytest.param("seaweedfs", marks=pytest.mark.slow), "moto", *(["named"] if NAMED else [])]
)
def store_uri(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of an empty store of each kind."""
    if request.param == "directory":
        return str(tmp_path / "store")
    server = request.getfixturevalue(request.param)
    use(monkeypatch, server)
    return server.fresh_uri()


@pytest.fixture
def two(register: Callable[..., str]) -> None:
    """Version 1 flags where x1 is above 0, version 2 where x2 is."""
    register("x1")
    register("x2")
