"""What a version answers for some rows, loaded and called as scoring does it: in a process of its own."""

from __future__ import annotations

from typing import Any

import polars as pl
from numpy.typing import NDArray
from scorers import with_gaps

from tasks.batches.in_flight import InFlight
from tasks.models.outputs import predictions_of
from tasks.models.registry import Registry
from tasks.models.versions import Versions
from tasks.store import open_store


def answers(registry: Registry, number: str, rows: pl.DataFrame) -> NDArray[Any]:
    """One prediction per row. Raises what keeps the version from loading, or from answering."""
    project = registry.project
    with Versions(open_store(project.store), registry, project) as versions:
        loaded = versions.load(registry.version(number))
        signature = loaded.artifacts.signature
        chunk = InFlight(1 << 30).chunk(0, signature.table(rows, with_gaps(signature, rows)))
        loaded.process.send(chunk.file, [(c.name, c.name) for c in signature.columns])
        return predictions_of(project.task, number, loaded.process.receive(), rows.height)


def digest_of(registry: Registry, number: str) -> str:
    """The digest of a version's artifacts."""
    return registry.download(registry.version(number)).digest
