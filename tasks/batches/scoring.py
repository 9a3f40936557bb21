"""Scoring a batch with the champion and its challengers, side by side, in one pass over its rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from tasks.base.errors import DethroneError
from tasks.base.project import Project
from tasks.batches.contenders import contender_of_model, keep_found
from tasks.batches.one_pass import score_rows
from tasks.batches.predictions import Manifest, Part, commit_manifest, read_manifest
from tasks.batches.progress import VersionCost
from tasks.batches.rows import BatchError, BatchRows, RowDigest, open_batch
from tasks.batches.staging import Staging
from tasks.batches.version_run import VersionRun
from tasks.models.errors import ScoringError
from tasks.models.integrity import keep_digest
from tasks.models.registry import Registry
from tasks.models.versions import Versions
from tasks.models.workers import WorkersError
from tasks.reigns import Reign
from tasks.store import AlreadyThereError, Store

__all__ = ["ChampionFailedError", "keep_identities", "require_columns", "score_batch", "score_with"]

log = logging.getLogger("dethrone")


class ChampionFailedError(DethroneError):
    """The champion could not score the batch, so the batch is not scored."""

    traced = True  # the model's author needs to see where


def score_batch(store: Store, registry: Registry, project: Project, reign: Reign, batch: str, day: date) -> Manifest:
    """Score one batch as ``score_with`` does, with versions that are started for it alone."""
    with Versions(store, registry, project) as versions:
        return score_with(versions, reign, batch, day)


def score_with(
    versions: Versions,
    reign: Reign,
    batch: str,
    day: date,
    today: date | None = None,
    costs: dict[str, list[VersionCost]] | None = None,
) -> Manifest:
    """Score one batch and commit its manifest; of a batch that is scored already, check that its rows are the same.

    ``day`` is the date of the batch; contenders that are new count as found ``today``, by default on that day. What each version cost
    is added to ``costs`` if this run commits the batch.

    The manifest has the failure of each challenger that does not load or score, ends its process, or needs more time or memory than the
    project file gives it. Raises ChampionFailedError if the champion fails, BatchError if the rows cannot be read or differ from those
    that were scored before; then nothing is written.
    """
    store, project = versions.store, versions.project
    rows = open_batch(store, project, batch)
    done = read_manifest(store, project.name, batch)
    if done is None:
        with Staging(store, project.name, batch) as staging:
            scoring = _Scoring(versions, reign, rows, staging, today or day)
            manifest = scoring.manifest(day)
            staging.upload([*manifest.parts, *(p for s in manifest.scored for p in s.parts)])
        try:
            commit_manifest(store, project.name, manifest)
        except AlreadyThereError:  # another run was first
            done = read_manifest(store, project.name, batch)
        else:
            if costs is not None:
                costs[batch] = scoring.costs
            return manifest
    assert done is not None
    _check_same_rows(rows, done)
    return done


def keep_identities(versions: Versions, reign: int, runs: Sequence[VersionRun], today: date) -> None:
    """Store, once a run, when each contender was first found in the reign, and the digests of the models that have scored."""
    store, name, kept = versions.store, versions.project.name, versions.kept
    for run in runs:
        if run.contender and (key := (reign, run.contender.digest)) not in versions.found:
            versions.found[key] = keep_found(store, name, reign, run.contender, today)
        if run.loaded and run.failure is None and run.version not in kept:
            keep_digest(store, name, run.loaded.artifacts)
            kept.add(run.version)


@dataclass
class _Scoring:
    """One batch while it is scored."""

    versions: Versions
    reign: Reign
    rows: BatchRows
    staging: Staging
    today: date
    costs: list[VersionCost] = field(default_factory=list)

    def manifest(self, day: date) -> Manifest:
        """Score the batch; every part that the manifest names is staged."""
        runs = self._load()
        try:
            total, row_parts = self._score(runs)
        except BatchError as error:
            self._fail_those_with_errors(runs)
            _fail_challengers_with_more_columns(runs, self.reign, self.rows, error)
            total, row_parts = self._score(runs)
        keep_identities(self.versions, self.reign.number, runs, self.today)
        self.costs = [VersionCost(run.version, run.seconds, run.flagged) for run in runs]
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
                # before it loads: a model that lacks a library today is the same contender once it has it
                run.contender = contender_of_model(known[version], self.versions.artifacts(known[version]).digest)
                run.loaded = self.versions.load(known[version], champion=version == self.reign.version)
                require_columns(run, self.rows)
            except WorkersError:
                raise
            except Exception as error:  # noqa: BLE001  files of any kind can be registered
                _fail(run, self.reign, self.rows.batch, "load", error)
            else:
                self._check_types(run)
            runs.append(run)
        return runs

    def _check_types(self, run: VersionRun) -> None:
        try:
            run.signature.check(self.rows.schema)
        except ScoringError as error:
            _fail(run, self.reign, self.rows.batch, "score", error)

    def _score(self, runs: list[VersionRun]) -> tuple[RowDigest, list[Part]]:
        """Let every version score every row; the digest of the rows, and their parts."""
        champion = next(run for run in runs if run.version == self.reign.version)
        total, row_parts = score_rows(self.versions, self.rows, runs, self.staging, needed=champion)
        self._fail_those_with_errors(runs)
        if total.rows == 0:
            msg = f"batch {self.rows.batch}: its files hold no rows; put its rows there, or remove it"
            raise BatchError(msg)
        return total, row_parts

    def _fail_those_with_errors(self, runs: list[VersionRun]) -> None:
        for run in runs:
            if run.error:
                _fail(run, self.reign, self.rows.batch, "score", run.error)


def require_columns(run: VersionRun, rows: BatchRows) -> None:
    """Raise BatchError if the batch lacks a column that the version needs."""
    missing = [repr(c) for c in run.signature.missing(rows.columns)]
    if missing:
        msg = f"its signature names the column {', '.join(missing)}, which batch {rows.batch} does not have"
        raise BatchError(msg)


def _fail(run: VersionRun, reign: Reign, batch: str, verb: str, error: BaseException) -> None:
    text = run.fail(verb, error)
    if run.version == reign.version:
        msg = f"batch {batch}: the champion, version {run.version}, failed to {verb}, so nothing was scored: {text}"
        raise ChampionFailedError(msg) from error
    log.warning("challenger %s failed to %s and is left out of this batch: %s", run.version, verb, text)


def _fail_challengers_with_more_columns(
    runs: list[VersionRun], reign: Reign, rows: BatchRows, error: BatchError
) -> None:
    """Fail the challengers that read other columns than the champion; raise ``error`` if there are none.

    So a column that only challengers read does not stop the champion.
    """
    champion = next(r for r in runs if r.version == reign.version)
    columns = set(champion.signature.present(rows.columns))
    failing = [r for r in runs if r.loaded and not r.failure and not set(r.signature.present(rows.columns)) <= columns]
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
