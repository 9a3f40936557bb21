"""Scoring a batch by the champion and its challengers, in one read of its rows."""

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
from analysis.tables.record import digest
from tasks.base.errors import DethroneError, first_line
from tasks.base.project import Project
from tasks.batches.predictions import Manifest, Part, Scored, Staging, commit_manifest, read_manifest
from tasks.batches.rows import BatchError, BatchRows, RowDigest, open_batch
from tasks.models.integrity import keep_digest, load_checked
from tasks.models.registry import ModelVersion, Registry, Scorer
from tasks.models.time_limit import with_timeout
from tasks.reigns import Reign
from tasks.store import AlreadyThereError, Store

__all__ = ["ChampionFailedError", "score_batch"]

_FEW = 2  # different numbers up to which those of a version are kept, to be told
_TELLING = 100  # rows from which on they are odd

log = logging.getLogger("dethrone")


class ChampionFailedError(DethroneError):
    """The champion could not score the batch, so the batch is not scored."""

    traced = True  # the model's author needs to see where


@dataclass
class _Run:
    """One version on its way through the batch."""

    version: str
    batch: str
    scorer: Scorer | None = None
    contender: Contender | None = None
    parts: list[Part] = field(default_factory=list)
    failure: str | None = None
    values: set[float] = field(default_factory=set)

    def note(self) -> str | None:
        """What is odd about its numbers, if anything: a model that was logged by its classes looks like one that scores."""
        if self.failure or not self.values or len(self.values) > _FEW or sum(p.rows for p in self.parts) < _TELLING:
            return None
        threshold = self.contender.threshold if self.contender else None
        if len(self.values) == 1:
            return f"gave every row the same number, {min(self.values):g}"
        if self.values == {0.0, 1.0} and threshold is not None and 0 < threshold < 1:
            return f"gave only 0 and 1, so its threshold of {threshold:g} has no effect: log it so that it gives probabilities"
        return None


def score_batch(store: Store, registry: Registry, project: Project, reign: Reign, batch: str, day: date) -> Manifest:
    """Score one batch and commit its manifest; a batch that is scored already is checked and left alone.

    A challenger that fails to load or to score, or takes longer over either than ``model_seconds``, is recorded with
    its error and does not harm the rest. Raises ChampionFailedError if the champion fails, BatchError if the rows
    cannot be read or differ from those scored before; then nothing is written.
    """
    rows = open_batch(store, project, batch)
    done = read_manifest(store, project, batch)
    if done is None:
        runs = _load(store, registry, project, reign, rows)
        with tempfile.TemporaryDirectory(prefix="dethrone-") as folder:
            staging = Staging(Path(folder))
            try:
                manifest = _score(staging, project, reign, rows, day, runs)
            except BatchError as error:
                _fail_beyond_champion(runs, reign, error)
                manifest = _score(staging, project, reign, rows, day, runs)
            for run in runs:
                if run.scorer and run.failure is None:
                    keep_digest(store, project.name, run.scorer)
            staging.upload(store, [*manifest.parts, *(p for s in manifest.scored for p in s.parts)])
        try:
            commit_manifest(store, project, manifest)
        except AlreadyThereError:  # another run was first
            done = read_manifest(store, project, batch)
        else:
            return manifest
    assert done is not None
    _check_same_rows(rows, done)
    return done


def _load(store: Store, registry: Registry, project: Project, reign: Reign, rows: BatchRows) -> list[_Run]:
    known = {v.version: v for v in registry.versions()}
    if reign.version not in known:  # tagged as retired, and yet it leads
        known[reign.version] = registry.version(reign.version)
    runs = []
    for version in sorted(known, key=int):
        run = _Run(version, rows.batch)
        try:
            load = functools.partial(load_checked, store, registry, project.name, version)
            run.scorer = with_timeout(project.model_seconds, load)
            run.contender = _contender(known[version], run.scorer)
            _require_columns(run.scorer, rows)
        except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a model raises is its own failure, not the batch's
            _fail(run, reign, "load", error)
        runs.append(run)
    return runs


def _require_columns(scorer: Scorer, rows: BatchRows) -> None:
    lacking = [repr(c) for c in scorer.columns if c not in rows.columns]
    if lacking:
        msg = f"its signature names the column {', '.join(lacking)}, which batch {rows.batch} does not have"
        raise BatchError(msg)


def _contender(version: ModelVersion, scorer: Scorer) -> Contender:
    """A threshold belongs to the identity: the same model with another threshold is another contender."""
    threshold = version.threshold
    identity = scorer.digest if threshold is None else digest({"model": scorer.digest, "threshold": threshold})
    return Contender(version.version, identity, threshold, version.trained_through)


def _fail(run: _Run, reign: Reign, verb: str, error: BaseException, hint: str = "") -> None:
    text = str(error) if isinstance(error, DethroneError) else f"{type(error).__name__}: {first_line(error)}{hint}"
    if isinstance(error, ModuleNotFoundError):
        text += f"; add the library of '{error.name}' to requirements-models.txt and run 'make env'"
    if run.version == reign.version:
        msg = f"batch {run.batch}: the champion, version {run.version}, failed to {verb}, so nothing was scored: {text}"
        raise ChampionFailedError(msg) from error
    log.warning("challenger %s failed to %s and is left out of this batch: %s", run.version, verb, text)
    run.failure = f"failed to {verb}: {text}"


def _fail_beyond_champion(runs: list[_Run], reign: Reign, error: BatchError) -> None:
    """A column that only challengers read must not stop the champion: leave out whoever reads more, or raise ``error``."""
    champion = next(r for r in runs if r.version == reign.version)
    assert champion.scorer is not None
    own = set(champion.scorer.columns)
    beyond = [r for r in runs if r.scorer and not r.failure and not set(r.scorer.columns) <= own]
    if not beyond:
        raise error
    for run in beyond:
        _fail(run, reign, "score", error)
    for run in runs:
        run.parts.clear()
        run.values.clear()


def _score(staging: Staging, project: Project, reign: Reign, rows: BatchRows, day: date, runs: list[_Run]) -> Manifest:
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
        msg = f"batch {rows.batch}: its files hold no rows; lay its rows there, or remove it"
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


def _predict(run: _Run, reign: Reign, ids: pl.Series, chunk: pl.DataFrame, seconds: float) -> pl.DataFrame | None:
    assert run.scorer is not None
    assert run.contender is not None
    try:
        given = with_timeout(seconds, functools.partial(run.scorer, chunk))
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a model raises is its own failure, not the batch's
        _fail(run, reign, "score", error, _gaps(chunk, run.scorer.columns))
        return None
    if run.scorer.task != "multiclass" and len(run.values) <= _FEW:
        run.values.update(np.unique(given).tolist()[: _FEW + 1])
    if run.scorer.task == "multiclass":
        return pl.DataFrame([ids, pl.Series("decision", given, dtype=pl.String)])
    score = pl.Series("score", given)
    if run.contender.threshold is None:
        return pl.DataFrame([ids, score])
    return pl.DataFrame([ids, score, pl.Series("decision", given >= run.contender.threshold).cast(pl.Int8)])


def _gaps(chunk: pl.DataFrame, columns: tuple[str, ...]) -> str:
    """The columns with gaps, which many models do not take."""
    gaps = [f"'{c}' is null in {n} rows" for c in columns if (n := chunk[c].null_count())]
    return f" (its column {', '.join(gaps)})" if gaps else ""


def _check_same_rows(rows: BatchRows, manifest: Manifest) -> None:
    total = RowDigest(manifest.columns)
    for chunk in rows.chunks(manifest.columns):
        total.update(chunk)
    if total.hexdigest() != manifest.rows_digest:
        msg = (
            f"batch {manifest.batch} was scored with {manifest.rows} rows and now holds {total.rows}, not the same ones; "
            "what was scored stays: give the new rows a batch id of their own"
        )
        raise BatchError(msg)
