"""An S3 store on a server that is asked directly, and the same by way of a network that goes wrong as a test dictates."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import polars as pl
import pytest
from fault_proxy import By, Fault, FaultProxy, Pass, Request
from s3_servers import Server, use

from tasks.store.s3_probe import PROBE
from tasks.store.s3_store import S3Store

__all__ = ["DATA", "KEY", "Trouble", "calm", "pauses", "table", "trouble", "troubled_store"]

KEY, DATA = "parcels/reigns/00000002.json", b'{"number": 2}'


class Trouble:
    """What goes wrong: these faults with the writes that create the key, in turn, or with whatever ``every`` says."""

    def __init__(self) -> None:
        self.creating: Iterator[Fault] = iter(())
        self.every: Callable[[Request], Fault | None] = lambda _: None
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> Fault:
        self.asked.append(request)
        if fault := self.every(request):
            return fault
        creates = request.create_only and not request.path.endswith(PROBE)
        return next(self.creating, Pass()) if creates else Pass()

    @property
    def writes(self) -> int:
        return sum(r.create_only and not r.path.endswith(PROBE) for r in self.asked)


@pytest.fixture
def trouble() -> Trouble:
    return Trouble()


@pytest.fixture
def calm(moto: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of an empty store on a server that is asked directly."""
    use(monkeypatch, moto)
    return moto.fresh_uri()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def troubled_store(
    calm: str, moto: Server, trouble: Trouble, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> Iterator[S3Store]:
    """The same store, by way of the trouble; boto3's own pauses are skipped."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with FaultProxy(moto.endpoint, trouble) as proxy:
        yield S3Store(calm, session=By(proxy), timeout=1, sleep=pauses.append)


def table(**columns: list[Any]) -> bytes:
    buffer = BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()
