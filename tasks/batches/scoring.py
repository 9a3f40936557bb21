"""Scoring a batch with the champion and its challengers, side by side, in one pass over its rows."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date

import polars as pl
import pyarrow as pa

from analysis.evidence import Contender
from analysis.evidence.tally import ENTITY, segment_column
from analysis.tables.record import digest
from tasks.base.errors import DethroneError, first_line
from tasks.base.project import Project
from tasks.batches.in_flight import InFlight
from tasks.batches.predictions import Manifest, Part, commit_manifest, read_manifest
from tasks.batches.rows import BatchError, BatchRows, RowDigest, open_batch
from tasks.batches.staging import Staging
from tasks.batches.version_run import VersionRun
from tasks.models.errors import ScoringError
from tasks.models.integrity import keep_digest
from tasks.models.registry import Registry
from tasks.models.signature import Column, Signature, arrow_column
from tasks.models.version import ModelVersion
from tasks.models.version_process import ModelRaisedError
from tasks.models.versions import LoadedVersion, Versions
from tasks.reigns import Reign
from tasks.store import AlreadyThereError, Store

__all__ = ["ChampionFailedError", "score_batch", "score_with"]

_IN_FLIGHT = 128 * 1024 * 1024  # bytes of rows that wait for a version or are with one

log = logging.getLogger("dethrone")


class ChampionFailedError(DethroneError):
    """The champion could not score the batch, so the batch is not scored."""

    traced = True  # the model's author needs to see where


def score_batch(store: Store, registry: Registry, project: Project, reign: Reign, batch: str, day: date) -> Manifest:
    """Score one batch as ``score_with`` does, with versions that are started for it alone."""
    with Versions(store, registry, project) as versions:
        return score_with(versions, reign, batch, day)


def score_with(versions: Versions, reign: Reign, batch: str, day: date) -> Manifest:
    """Score one batch and commit its manifest; of a batch that is scored already, check that its rows are the same.

    The manifest has the failure of each challenger that does not load or score, ends its process, or needs more time or memory than the
    project file gives it. Raises ChampionFailedError if the champion fails, BatchError if the rows cannot be read or differ from those
    that were scored before; then nothing is written.
    """
    store, project = versions.store, versions.project
    rows = open_batch(store, project, batch)
    done = read_manifest(store, project.name, batch)
    if done is None:
        with Staging(store, project.name, batch) as staging:
            manifest = _Scoring(versions, reign, rows, staging).manifest(day)
            staging.upload([*manifest.parts, *(p for s in manifest.scored for p in s.parts)])
        try:
            commit_manifest(store, project.name, manifest)
        except AlreadyThereError:  # another run was first
            done = read_manifest(store, project.name, batch)
        else:
            return manifest
    assert done is not None
    _check_same_rows(rows, done)
    return done


@dataclass
class _Scoring:
    """One batch while it is scored."""

    versions: Versions
    reign: Reign
    rows: BatchRows
    staging: Staging

    def manifest(self, day: date) -> Manifest:
        """Score the batch; every part that the manifest names is staged."""
        runs = self._load()
        try:
            total, row_parts = self._score(runs)
        except BatchError as error:
            self._fail_those_with_errors(runs)
            _fail_challengers_with_more_columns(runs, self.reign, self.rows, error)
            total, row_parts = self._score(runs)
        for run in runs:
            if run.loaded and run.failure is None:
                keep_digest(self.versions.store, self.versions.project.name, run.loaded.artifacts)
        return Manifest(
            batch=self.rows.batch,
            date=day,
            reign=self.reign.number,
            champion=self.reign.version,
            rows=total.rows,
            columns=total.columns,
            rows_digest=total.hexdigest(),
            parts=tuple(row_parts),
            scored=tuple(run.scored() for run in runs),
            files=self.rows.named_files(self.versions.project.name),
        )

    def _load(self) -> list[VersionRun]:
        registry = self.versions.registry
        known = {v.version: v for v in registry.versions()}
        if self.reign.version not in known:  # the champion scores also if it is tagged as retired
            known[self.reign.version] = registry.version(self.reign.version)
        runs = []
        for version in sorted(known, key=int):
            run = VersionRun(version)
            try:
                run.loaded = self.versions.load(known[version], champion=version == self.reign.version)
                run.contender = _contender(known[version], run.loaded)
                _require_columns(run.loaded, self.rows)
            except Exception as error:  # noqa: BLE001  files of any kind can be registered
                _fail(run, self.reign, self.rows.batch, "load", error)
            else:
                self._check_types(run)
            runs.append(run)
        return runs

    def _check_types(self, run: VersionRun) -> None:
        try:
            _signature(run).check(self.rows.schema)
        except ScoringError as error:
            _fail(run, self.reign, self.rows.batch, "score", error)

    def _score(self, runs: list[VersionRun]) -> tuple[RowDigest, list[Part]]:
        """Let every version score every row; the digest of the rows, and their parts."""
        project = self.versions.project
        live = [run for run in runs if run.runs]
        row_parts: list[Part] = []
        for run in live:
            run.start(project.task, self.staging)
        try:
            total = self._read(live, row_parts)
        except BaseException as error:
            if not isinstance(error, DethroneError):  # such as Ctrl-C, which is not to wait for the models
                for run in live:
                    self.versions.failed(run.version, error)
            raise
        finally:
            for run in live:
                run.finish()
                if wrong := run.error or run.fault:  # its process owes answers that nobody waits for any more
                    self.versions.failed(run.version, wrong)
        for run in live:
            if run.fault:
                raise run.fault
        self._fail_those_with_errors(live)
        if total.rows == 0:
            msg = f"batch {self.rows.batch}: its files hold no rows; put its rows there, or remove it"
            raise BatchError(msg)
        return total, row_parts

    def _fail_those_with_errors(self, runs: list[VersionRun]) -> None:
        for run in runs:
            if run.error:
                _fail(run, self.reign, self.rows.batch, "score", run.error)

    def _read(self, live: list[VersionRun], row_parts: list[Part]) -> RowDigest:
        """Read the rows once: digest them, write their ids, and hand each version its columns."""
        project, rows = self.versions.project, self.rows
        entity, segments = project.columns.entity, project.segments
        read = {c for run in live for c in _signature(run).present(rows.columns)}
        nullable = rows.with_gaps(sorted({c for run in live for c in _signature(run).integral(rows.schema)}))
        wanted = read | {*segments, *([entity] if entity else [])}
        columns = (project.columns.id, *sorted(wanted - {project.columns.id}))
        total, in_flight = RowDigest(columns), InFlight(_IN_FLIGHT)
        champion = next(run for run in live if run.version == self.reign.version)
        for number, chunk in enumerate(rows.chunks(columns)):
            if not champion.runs or any(run.fault for run in live):  # the batch will not be scored
                break
            total.update(chunk)
            row_parts.append(self.staging.add("rows", number, _identified(chunk, project, rows.batch)))
            converted: dict[Column, tuple[pa.Field, pa.Array]] = {}
            taking = [run for run in live if run.runs and _converts(run, chunk, nullable, converted)]
            names = {column: str(place) for place, column in enumerate(converted)}
            fields, arrays = zip(*converted.values(), strict=True) if converted else ((), ())
            schema = pa.schema([field.with_name(name) for field, name in zip(fields, names.values(), strict=True)])
            sent = in_flight.chunk(number, pa.Table.from_arrays(arrays, schema=schema))
            sent.shared_by(len(taking))
            for run in taking:
                run.put(sent, [(names[column], column.name) for column in _signature(run).columns])
        return total


def _signature(run: VersionRun) -> Signature:
    assert run.loaded is not None
    return run.loaded.artifacts.signature


def _converts(
    run: VersionRun,
    chunk: pl.DataFrame,
    nullable: frozenset[str],
    converted: dict[Column, tuple[pa.Field, pa.Array]],
) -> bool:
    """Whether the columns of a version can be converted to its types; they are added to ``converted``, once for all versions."""
    try:
        for column in _signature(run).columns:
            if column not in converted:
                converted[column] = arrow_column(chunk, column, run.version, gap=column.name in nullable)
    except ScoringError as error:
        run.error = error
        return False
    return True


def _identified(chunk: pl.DataFrame, project: Project, batch: str) -> pl.DataFrame:
    """The ids, segments and entities of the rows. Raises BatchError if an id or an entity cannot be used."""
    id_column, entity = project.columns.id, project.columns.entity
    ids = chunk[id_column].alias("id")
    if ids.dtype.is_float():
        msg = f"batch {batch}: column '{id_column}' is {ids.dtype}; ids are integers or text, as in the labels"
        raise BatchError(msg)
    if ids.null_count():
        msg = f"batch {batch}: column '{id_column}' is null in {ids.null_count()} rows; every row needs an id"
        raise BatchError(msg)
    if entity and chunk[entity].null_count():
        msg = (
            f"batch {batch}: column '{entity}' is null in {chunk[entity].null_count()} rows; every row needs its entity"
        )
        raise BatchError(msg)
    shared = [pl.col(entity).alias(ENTITY)] if entity else []
    return chunk.select(ids, *(pl.col(s).alias(segment_column(s)) for s in project.segments), *shared)


def _require_columns(loaded: LoadedVersion, rows: BatchRows) -> None:
    missing = [repr(c) for c in loaded.artifacts.signature.missing(rows.columns)]
    if missing:
        msg = f"its signature names the column {', '.join(missing)}, which batch {rows.batch} does not have"
        raise BatchError(msg)


def _contender(version: ModelVersion, loaded: LoadedVersion) -> Contender:
    """The contender of a version; its digest includes the threshold and the chosen output, as others make other decisions."""
    threshold, choices, model = version.threshold, version.choices, loaded.artifacts.digest
    named = {"threshold": threshold} if threshold is not None else {}
    identity = digest({"model": model, **named, **choices}) if named or choices else model
    return Contender(version.version, identity, threshold, version.trained_through)


def _fail(run: VersionRun, reign: Reign, batch: str, verb: str, error: BaseException) -> None:
    text = str(error) if isinstance(error, DethroneError) else f"{type(error).__name__}: {first_line(error)}"
    if isinstance(error, ModelRaisedError) and error.missing_module:
        text += (
            f"; add the library of '{error.missing_module}' to requirements-models.txt and run 'make env', or let the version load "
            "in its own environment (tag 'environment': 'model')"
        )
    if run.version == reign.version:
        msg = f"batch {batch}: the champion, version {run.version}, failed to {verb}, so nothing was scored: {text}"
        raise ChampionFailedError(msg) from error
    log.warning("challenger %s failed to %s and is left out of this batch: %s", run.version, verb, text)
    run.failure, run.error = f"failed to {verb}: {text}", None


def _fail_challengers_with_more_columns(
    runs: list[VersionRun], reign: Reign, rows: BatchRows, error: BatchError
) -> None:
    """Fail the challengers that read other columns than the champion; raise ``error`` if there are none.

    So a column that only challengers read does not stop the champion.
    """
    champion = next(r for r in runs if r.version == reign.version)
    columns = set(_signature(champion).present(rows.columns))
    failing = [
        r for r in runs if r.loaded and not r.failure and not set(_signature(r).present(rows.columns)) <= columns
    ]
    if not failing:
        raise error
    for run in failing:
        _fail(run, reign, rows.batch, "score", error)


def _check_same_rows(rows: BatchRows, manifest: Manifest) -> None:
    total = RowDigest(manifest.columns)
    for chunk in rows.chunks(manifest.columns):
        total.update(chunk)
    if total.hexdigest() != manifest.rows_digest:
        msg = (
            f"batch {manifest.batch} was scored with {manifest.rows} rows and now has {total.rows} different ones; "
            "a scored batch does not change: give the new rows another batch id"
        )
        raise BatchError(msg)
