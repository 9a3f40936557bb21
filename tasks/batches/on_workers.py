"""The versions of a pass on the workers of a cluster: the unit of work is a range of chunks and one version."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tasks.batches.range_job import Predicted, Range, RangeJob, columns_of
from tasks.batches.rows import CHUNK_ROWS, BatchRows, RowDigest
from tasks.batches.version_run import VersionRun
from tasks.models.versions_on_workers import VersionsOnWorkers
from tasks.models.workers import Answer

__all__ = ["OnWorkers"]

_RANGES = 32  # of a batch, for each version: so many workers share it, and so little is done again if one is lost


class OnWorkers:
    """Runs that predict on workers what is ``put``; their results come with ``finish``.

    Workers read the rows themselves, and only the columns of their version. That they are the rows that were put is checked by a digest.
    """

    def __init__(
        self,
        versions: VersionsOnWorkers,
        rows: BatchRows,
        live: Sequence[VersionRun],
        nullable: frozenset[str],
        needed: VersionRun | None,
    ) -> None:
        self._versions, self._live, self._nullable, self._needed = versions, live, nullable, needed
        self._batch, self._chunks = rows.batch, max(1, rows.rows // (CHUNK_ROWS * _RANGES))
        id_column = versions.project.columns.id
        self._columns = {run.version: columns_of(run.signature, rows.columns, id_column) for run in live}
        self._first_chunk = self._first_row = 0
        self._answers: list[tuple[VersionRun, Answer[Predicted]]] = []
        self._begin()
        for run in live:
            run.begin()

    def put(self, number: int, chunk: pl.DataFrame) -> None:
        """Let the versions predict the rows of a chunk, whose columns are all that any of them reads."""
        assert number == self._first_chunk + len(self._heights)
        self._digest.update(chunk)
        self._heights.append(chunk.height)
        if len(self._heights) == self._chunks:
            self._submit()

    def finish(self) -> None:
        """Wait until all is predicted; what a version failed with is in its run."""
        try:
            if self._heights:
                self._submit()
            for run, answer in self._answers:
                self._take(run, answer)
        except BaseException:  # such as Ctrl-C
            self._cancel()
            raise
        for run in self._live:
            if wrong := run.error or run.fault:
                self._versions.failed(run.version, wrong)

    def abandon(self, error: BaseException) -> None:  # noqa: ARG002  a worker's versions are not ended from here
        """Wait for nothing."""
        self._cancel()

    def _begin(self) -> None:
        self._heights: list[int] = []
        self._digest = RowDigest(sorted({c for columns in self._columns.values() for c in columns}))

    def _submit(self) -> None:
        for run in self._live:
            assert run.loaded is not None
            assert run.contender is not None
            columns = self._columns[run.version]
            chunks = Range(
                self._batch, self._first_chunk, self._first_row, tuple(self._heights), columns,
                self._digest.hexdigest(columns), self._nullable & frozenset(columns),
            )  # fmt: skip
            job = RangeJob(self._versions.order(run.loaded.artifacts), run.contender, chunks)
            what = f"score {chunks} with version {run.version}"
            self._answers.append((run, self._versions.workers.submit(what, job)))
        self._first_chunk += len(self._heights)
        self._first_row += sum(self._heights)
        self._begin()

    def _take(self, run: VersionRun, answer: Answer[Predicted]) -> None:
        """Wait for a range, unless nobody needs it any more."""
        over = any(r.fault for r in self._live) or (self._needed is not None and not self._needed.runs)
        if over or not run.runs:
            answer.cancel()
            return
        try:
            predicted = answer.result()
        except Exception as error:  # noqa: BLE001  raised again where the batch is scored
            run.fault = error
            return
        if predicted.failure:
            run.error = predicted.failure.error()
        else:
            run.add(predicted.parts, predicted.values)

    def _cancel(self) -> None:
        for _, answer in self._answers:
            answer.cancel()
