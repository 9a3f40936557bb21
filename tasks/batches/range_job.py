"""What a worker of a cluster does: predict consecutive chunks of a batch with one version, and write the predictions to the store."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from analysis.evidence import Contender
from tasks.batches.predictions import Part
from tasks.batches.rows import BatchRows, RowDigest, open_batch
from tasks.batches.side_by_side import SideBySide
from tasks.batches.staging import Staging
from tasks.batches.version_run import VersionRun
from tasks.models.kept_versions import kept_version
from tasks.models.signature import Signature
from tasks.models.versions import LoadedVersion, Versions
from tasks.models.workers import Failure, Order, WorkersError

__all__ = ["Predicted", "Range", "RangeJob", "columns_of"]


@dataclass(frozen=True, slots=True)
class Range:
    """Consecutive chunks of a batch: the first one's number and first row, and the rows of each.

    ``digest`` is that of ``columns`` in these rows, ``nullable`` the integer and boolean columns with a gap anywhere in the batch.
    """

    batch: str
    first_chunk: int
    first_row: int
    heights: tuple[int, ...]
    columns: tuple[str, ...]
    digest: str
    nullable: frozenset[str]

    def __str__(self) -> str:
        last = self.first_chunk + len(self.heights) - 1
        return f"chunks {self.first_chunk} to {last} of batch {self.batch}"


@dataclass(frozen=True, slots=True)
class Predicted:
    """The predictions of a version for a range, which are in the store, and a few of its numbers; or what it failed with."""

    parts: tuple[Part, ...]
    values: frozenset[float]
    failure: Failure | None


def columns_of(signature: Signature, names: Collection[str], id_column: str) -> tuple[str, ...]:
    """What is read of a batch to predict it with one version: its columns of these, and the ids, which say whose rows they are."""
    return tuple(sorted({id_column, *signature.present(names)}))


@dataclass(frozen=True, slots=True)
class RangeJob:
    """Predict a range with a version as its contender.

    A failure of the version is a result. Raises WorkersError if the rows are not those that were read where the job comes from,
    BatchError if they cannot be read, and StoreError.
    """

    order: Order
    contender: Contender
    range: Range

    def __call__(self) -> Predicted:
        with kept_version(self.order) as (versions, loaded):
            if isinstance(loaded, Failure):
                return Predicted((), frozenset(), loaded)
            return self._predicted(versions, loaded)

    def _predicted(self, versions: Versions, loaded: LoadedVersion) -> Predicted:
        store, project = versions.store, versions.project
        run = VersionRun(self.contender.version)
        run.loaded, run.contender = loaded, self.contender
        rows = open_batch(store, project, self.range.batch)
        with Staging(store, project.name, self.range.batch) as staging:
            self._predict(SideBySide(versions, [run], self.range.nullable, staging), run, rows)
            if run.fault:
                raise run.fault
            if run.error:
                return Predicted((), frozenset(), Failure.of(run.error))
            staging.upload(run.parts)
        return Predicted(tuple(run.parts), frozenset(run.values), None)

    def _predict(self, place: SideBySide, run: VersionRun, rows: BatchRows) -> None:
        chunks, total = self.range, RowDigest(self.range.columns)
        try:
            for number, chunk in enumerate(rows.cut(chunks.columns, chunks.first_row, chunks.heights)):
                if not run.runs:
                    break
                total.update(chunk)
                place.put(chunks.first_chunk + number, chunk)
        except BaseException as error:
            place.abandon(error)
            raise
        place.finish()
        if run.runs and total.hexdigest() != chunks.digest:
            msg = (
                f"a worker reads other rows in {chunks} than were read where they are digested; let all reach the same store, and leave "
                "its files as they are while they are scored"
            )
            raise WorkersError(msg)
