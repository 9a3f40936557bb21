"""Scoring a batch with the champion and its challengers, in one pass over its rows."""

from __future__ import annotations

import functools
import logging
import tempfile
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from analysis.evidence import Contender
from analysis.evidence.tally import ENTITY, segment_column
from analysis.kinds import KINDS
from analysis.tables.record import digest
from tasks.base.errors import DethroneError, first_line
from tasks.base.project import Project
from tasks.batches.predictions import Manifest, Part, Scored, Staging, commit_manifest, read_manifest, scored_batches
from tasks.batches.rows import BatchError, BatchRows, RowDigest, batch_date, batches_in, is_dated, open_batch
from tasks.models.integrity import keep_digest, load_checked
from tasks.models.registry import ModelVersion, Registry, Scorer
from tasks.models.time_limit import with_timeout
from tasks.reigns import Reign
from tasks.store import AlreadyThereError, Store

__all__ = ["ChampionFailedError", "score_batch", "unscored_batches"]

_FEW_VALUES = 2  # a version with so many different numbers or fewer gets a note
_NOTE_ROWS = 100  # rows from which on it does

log = logging.getLogger("dethrone")


class ChampionFailedError(DethroneError):
    """The champion could not score the batch, so the batch is not scored."""

    traced = True  # the model's author needs to see where


@dataclass
class _VersionRun:
    """The state of one version while a batch is scored; ``values`` are its first few different numbers."""

    version: str
    batch: str
    scorer: Scorer | None = None
    contender: Contender | None = None
    parts: list[Part] = field(default_factory=list)
    failure: str | None = None
    values: set[float] = field(default_factory=set)

    def note(self) -> str | None:
        """What is odd about the numbers; None if nothing is. A model that returns classes can look like one that returns scores."""
        if (
            self.failure
            or not self.values
            or len(self.values) > _FEW_VALUES
            or sum(p.rows for p in self.parts) < _NOTE_ROWS
        ):
            return None
        threshold = self.contender.threshold if self.contender else None
        if len(self.values) == 1:
            return f"gave every row the same number, {min(self.values):g}"
        if self.values == {0.0, 1.0} and threshold is not None and 0 < threshold < 1:
            return f"gave only 0 and 1, so its threshold of {threshold:g} has no effect: log it so that it gives probabilities"
        return None


def unscored_batches(store: Store, project_name: str, as_of: date) -> list[str]:
    """The batches that are dated by their id, on or before ``as_of``, and are not scored yet."""
    scored = set(scored_batches(store, project_name))
    return [b for b in batches_in(store, project_name) if b not in scored and is_dated(b) and batch_date(b) <= as_of]


def score_batch(store: Store, registry: Registry, project: Project, reign: Reign, batch: str, day: date) -> Manifest:
    """Score one batch and commit its manifest; of a batch that is scored already, check that its rows are the same.

    The manifest has the failure of each challenger that does not load or score, or needs more than ``model_seconds`` for
    it. Raises ChampionFailedError if the champion fails, BatchError if the rows cannot be read or differ from those that
    were scored before; then nothing is written.
    """
    rows = open_batch(store, project.name, batch)
    done = read_manifest(store, project.name, batch)
    if done is None:
        runs = _load(store, registry, project, reign, rows)
        with tempfile.TemporaryDirectory(prefix="dethrone-") as folder:
            staging = Staging(Path(folder))
            try:
                manifest = _score(staging, project, reign, rows, day, runs)
            except BatchError as error:
                _fail_challengers_with_more_columns(runs, reign, error)
                manifest = _score(staging, project, reign, rows, day, runs)
            for run in runs:
                if run.scorer and run.failure is None:
                    keep_digest(store, project.name, run.scorer)
            staging.upload(store, [*manifest.parts, *(p for s in manifest.scored for p in s.parts)])
        try:
            commit_manifest(store, project.name, manifest)
        except AlreadyThereError:  # another run was first
            done = read_manifest(store, project.name, batch)
        else:
            return manifest
    assert done is not None
    _check_same_rows(rows, done)
    return done


def _load(store: Store, registry: Registry, project: Project, reign: Reign, rows: BatchRows) -> list[_VersionRun]:
    known = {v.version: v for v in registry.versions()}
    if reign.version not in known:  # the champion scores also if it is tagged as retired
        known[reign.version] = registry.version(reign.version)
    runs = []
    for version in sorted(known, key=int):
        run = _VersionRun(version, rows.batch)
        try:
            load = functools.partial(load_checked, store, registry, project.name, version)
            run.scorer = with_timeout(project.model_seconds, load)
            run.contender = _contender(known[version], run.scorer)
            _require_columns(run.scorer, rows)
        except (Exception, SystemExit) as error:  # noqa: BLE001  any error of a model is its own failure, not the batch's
            _fail(run, reign, "load", error)
        runs.append(run)
    return runs


def _require_columns(scorer: Scorer, rows: BatchRows) -> None:
    missing = [repr(c) for c in scorer.columns if c not in rows.columns]
    if missing:
        msg = f"its signature names the column {', '.join(missing)}, which batch {rows.batch} does not have"
        raise BatchError(msg)


def _contender(version: ModelVersion, scorer: Scorer) -> Contender:
    """The contender of a version; its digest includes the threshold, as another threshold makes other decisions."""
    threshold = version.threshold
    identity = scorer.digest if threshold is None else digest({"model": scorer.digest, "threshold": threshold})
    return Contender(version.version, identity, threshold, version.trained_through)


def _fail(run: _VersionRun, reign: Reign, verb: str, error: BaseException, hint: str = "") -> None:
    text = str(error) if isinstance(error, DethroneError) else f"{type(error).__name__}: {first_line(error)}{hint}"
    if isinstance(error, ModuleNotFoundError):
        text += f"; add the library of '{error.name}' to requirements-models.txt and run 'make env'"
    if run.version == reign.version:
        msg = f"batch {run.batch}: the champion, version {run.version}, failed to {verb}, so nothing was scored: {text}"
        raise ChampionFailedError(msg) from error
    log.warning("challenger %s failed to %s and is left out of this batch: %s", run.version, verb, text)
    run.failure = f"failed to {verb}: {text}"


def _fail_challengers_with_more_columns(runs: list[_VersionRun], reign: Reign, error: BatchError) -> None:
    """Fail the challengers that read other columns than the champion, and reset the rest; raise ``error`` if there are none.

    So a column that only challengers read does not stop the champion.
    """
    champion = next(r for r in runs if r.version == reign.version)
    assert champion.scorer is not None
    columns = set(champion.scorer.columns)
    failing = [r for r in runs if r.scorer and not r.failure and not set(r.scorer.columns) <= columns]
    if not failing:
        raise error
    for run in failing:
        _fail(run, reign, "score", error)
    for run in runs:
        run.parts.clear()
        run.values.clear()


def _score(
    staging: Staging, project: Project, reign: Reign, rows: BatchRows, day: date, runs: list[_VersionRun]
) -> Manifest:
    id_column, entity, segments = project.columns.id, project.columns.entity, project.segments
    shared = [entity] if entity else []
    wanted = {c for run in runs if run.scorer and not run.failure for c in run.scorer.columns} | {*segments, *shared}
    columns = (id_column, *sorted(wanted - {id_column}))
    prefix = f"{project.name}/predictions/{rows.batch}"
    total, row_parts = RowDigest(columns), []
    for number, chunk in enumerate(rows.chunks(columns)):
        total.update(chunk)
        ids = chunk[id_column].alias("id")
        if ids.dtype.is_float():
            msg = f"batch {rows.batch}: column '{id_column}' is {ids.dtype}; ids are integers or text, as in the labels"
            raise BatchError(msg)
        if ids.null_count():
            msg = f"batch {rows.batch}: column '{id_column}' is null in {ids.null_count()} rows; every row needs an id"
            raise BatchError(msg)
        if entity and chunk[entity].null_count():
            msg = f"batch {rows.batch}: column '{entity}' is null in {chunk[entity].null_count()} rows; every row needs its entity"
            raise BatchError(msg)
        kept = [*(pl.col(s).alias(segment_column(s)) for s in segments), *(pl.col(e).alias(ENTITY) for e in shared)]
        row_parts.append(staging.add(f"{prefix}/rows", number, chunk.select(ids, *kept)))
        for run in runs:
            if run.failure is None:
                predictions = _predict(run, reign, ids, chunk, project.model_seconds)
                if predictions is not None:
                    run.parts.append(staging.add(f"{prefix}/{run.version}", number, predictions))
    if total.rows == 0:
        msg = f"batch {rows.batch}: its files hold no rows; put its rows there, or remove it"
        raise BatchError(msg)
    return Manifest(
        batch=rows.batch,
        date=day,
        reign=reign.number,
        champion=reign.version,
        rows=total.rows,
        columns=columns,
        rows_digest=total.hexdigest(),
        parts=tuple(row_parts),
        scored=tuple(
            Scored(r.version, r.contender, () if r.failure else tuple(r.parts), r.failure, r.note()) for r in runs
        ),
    )


def _predict(
    run: _VersionRun, reign: Reign, ids: pl.Series, chunk: pl.DataFrame, seconds: float
) -> pl.DataFrame | None:
    assert run.scorer is not None
    assert run.contender is not None
    try:
        output = with_timeout(seconds, functools.partial(run.scorer, chunk))
    except (Exception, SystemExit) as error:  # noqa: BLE001  any error of a model is its own failure, not the batch's
        _fail(run, reign, "score", error, _null_columns(chunk, run.scorer.columns))
        return None
    if KINDS[run.scorer.task].names_classes:
        return pl.DataFrame([ids, pl.Series("decision", output, dtype=pl.String)])
    if len(run.values) <= _FEW_VALUES:
        run.values.update(np.unique(output).tolist()[: _FEW_VALUES + 1])
    score = pl.Series("score", output)
    if run.contender.threshold is None:
        return pl.DataFrame([ids, score])
    return pl.DataFrame([ids, score, pl.Series("decision", output >= run.contender.threshold).cast(pl.Int8)])


def _null_columns(chunk: pl.DataFrame, columns: tuple[str, ...]) -> str:
    """A hint for the error of a model: its columns with nulls, which many models do not accept."""
    nulls = [f"'{c}' is null in {n} rows" for c in columns if (n := chunk[c].null_count())]
    return f" (its column {', '.join(nulls)})" if nulls else ""


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
