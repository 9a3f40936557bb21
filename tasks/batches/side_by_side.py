"""The versions of a pass on this machine: each chunk converted once for all of them, and predicted by them side by side."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from tasks.batches.in_flight import InFlight
from tasks.batches.staging import Staging
from tasks.batches.version_run import VersionRun
from tasks.models.errors import ScoringError
from tasks.models.signature import Column, arrow_column
from tasks.models.versions import Versions

__all__ = ["SideBySide"]

_IN_FLIGHT = 128 * 1024 * 1024  # bytes of rows that wait for a version or are with one


class SideBySide:
    """Runs that predict from ``put`` to ``finish``, each in its own thread and process; ``nullable``: see ``arrow_column``."""

    def __init__(
        self, versions: Versions, live: Sequence[VersionRun], nullable: frozenset[str], staging: Staging
    ) -> None:
        self._versions, self._live, self._nullable = versions, live, nullable
        self._in_flight = InFlight(_IN_FLIGHT)
        for run in live:
            run.start(versions.project.task, staging)

    def put(self, number: int, chunk: pl.DataFrame) -> None:
        """Let every version that still runs predict the rows of a chunk."""
        converted: dict[Column, tuple[pa.Field, pa.Array]] = {}
        taking = [run for run in self._live if run.runs and self._converts(run, chunk, converted)]
        names = {column: str(place) for place, column in enumerate(converted)}
        fields, arrays = zip(*converted.values(), strict=True) if converted else ((), ())
        schema = pa.schema([field.with_name(name) for field, name in zip(fields, names.values(), strict=True)])
        sent = self._in_flight.chunk(number, pa.Table.from_arrays(arrays, schema=schema))
        sent.shared_by(len(taking))
        for run in taking:
            run.put(sent, [(names[column], column.name) for column in run.signature.columns])

    def finish(self) -> None:
        """Wait until all is predicted; what a version failed with is in its run."""
        for run in self._live:
            run.finish()
            if wrong := run.error or run.fault:  # its process owes answers that nobody waits for any more
                self._versions.failed(run.version, wrong)

    def abandon(self, error: BaseException) -> None:
        """End the versions, and wait for none of them."""
        for run in self._live:
            self._versions.failed(run.version, error)
        self.finish()

    def _converts(
        self, run: VersionRun, chunk: pl.DataFrame, converted: dict[Column, tuple[pa.Field, pa.Array]]
    ) -> bool:
        """Whether the columns of a version can be converted to its types; they are added to ``converted``, once for all versions."""
        try:
            for column in run.signature.columns:
                if column not in converted:
                    converted[column] = arrow_column(chunk, column, run.version, gap=column.name in self._nullable)
        except ScoringError as error:
            run.error = error
            return False
        return True
