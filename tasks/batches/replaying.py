"""Replaying: versions that came late, or that failed, score batches that were scored without them."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from analysis.evidence import Contender
from tasks.base.errors import DethroneError, first_line
from tasks.batches.contenders import Claim, contender_of_model, keep_claim, with_threshold
from tasks.batches.one_pass import score_rows
from tasks.batches.predictions import Manifest, Part, Replay, Scored, commit_replay, manifests, read_parts
from tasks.batches.rows import BatchError, BatchRows, open_batch
from tasks.batches.scoring import keep_identities, require_columns
from tasks.batches.staging import Staging
from tasks.batches.version_run import VersionRun
from tasks.models.integrity import kept_digest
from tasks.models.version import ModelVersion
from tasks.models.versions import Versions
from tasks.models.workers import WorkersError
from tasks.reigns import Reign

__all__ = ["Due", "due_replays", "keep_claims", "replay_batch"]


@dataclass(frozen=True, slots=True)
class Due:
    """The batches on which versions are to be replayed, newest first; ``unfit``: why others cannot be, by version."""

    batches: tuple[tuple[Manifest, tuple[ModelVersion, ...]], ...]
    unfit: Mapping[str, str] = field(default_factory=dict)


def due_replays(versions: Versions, reign: Reign, left_out: Collection[str] = ()) -> Due:
    """What there is to replay in the reign, as far back as ``replay`` in the project file has it.

    A version is due on a batch that is dated after its ``trained_through`` and was not scored by it as it is now, with this model and this
    threshold. ``left_out`` are numbers of versions that are not asked about.
    """
    project = versions.project
    past = [m for m in manifests(versions.store, project.name) if m.reign == reign.number]
    if isinstance(project.replay, int):
        past = past[-project.replay :]
    rivals: dict[str, tuple[ModelVersion, Contender]] = {}
    unfit: dict[str, str] = {}
    for version in versions.registry.versions() if past else ():
        if version.version == reign.version or version.version in left_out:
            continue
        try:
            rivals[version.version] = version, contender_of_model(version, _model_digest(versions, version))
        except Exception as error:  # noqa: BLE001  files of any kind can be registered
            unfit[version.version] = str(error) if isinstance(error, DethroneError) else first_line(error)
    due = [(m, tuple(v for v, c in rivals.values() if _is_due(m, c))) for m in reversed(past)]
    return Due(tuple((m, wanted) for m, wanted in due if wanted), unfit)


def _model_digest(versions: Versions, version: ModelVersion) -> str:
    kept = kept_digest(versions.store, versions.project.name, version.version)
    return kept or versions.artifacts(version).digest


def _is_due(manifest: Manifest, contender: Contender) -> bool:
    if contender.trained_through and manifest.date <= contender.trained_through:
        return False
    done = {(s.version, s.contender.digest) for s in manifest.scored if s.contender and not s.failure}
    done |= {(r.scored.version, r.contender.digest) for r in manifest.replays}
    return (contender.version, contender.digest) not in done


def keep_claims(versions: Versions, today: date) -> list[str]:
    """Store what the tags ``labels_seen_through`` claim; a sentence for each that is not what was claimed first."""
    store, name, registry = versions.store, versions.project.name, versions.registry
    said = []
    for version in registry.versions():
        try:
            through = version.labels_seen_through
            if through is None:
                continue
            contender = contender_of_model(version, _model_digest(versions, version))
            if version.trained_through and through < version.trained_through:
                said.append(
                    f"Version {version.version} claims that it saw labels through {through} and was trained through "
                    f"{version.trained_through}: its claim counts for nothing, as whoever learned from rows saw their labels."
                )
                continue
            claim = Claim(through, registry.author(version), today)
            kept = keep_claim(store, name, contender.digest, claim)
        except Exception as error:  # noqa: BLE001  files of any kind can be registered
            why = str(error) if isinstance(error, DethroneError) else f"version {version.version}: {first_line(error)}"
            said.append(f"Its labels_seen_through counts for nothing: {why}.")
            continue
        if kept.labels_seen_through != through:
            said.append(
                f"Version {version.version} claims now that it saw labels through {through}; its first claim, {kept.labels_seen_through}, "
                "counts: register the model anew to claim something else."
            )
    return said


def replay_batch(
    versions: Versions, manifest: Manifest, wanted: Sequence[ModelVersion], today: date
) -> dict[str, str | None]:
    """Let these versions score a batch that was scored without them, and commit a replay of each; why each failed, or None.

    A version of which scores are stored and only the threshold has changed decides by these. Contenders that are new count as found
    ``today``. Raises BatchError if the rows are not there any more, or not those that were scored, by their digest.
    """
    store, project = versions.store, versions.project
    with Staging(store, project.name, manifest.batch) as staging:
        replays = _Replaying(versions, manifest, staging)
        runs = [replays.run(version) for version in wanted]
        try:
            replays.score(runs)
        except _UnreadableError as error:  # a column that one of several versions reads can be what is wrong
            if len(runs) > 1:
                return {k: v for w in wanted for k, v in replay_batch(versions, manifest, [w], today).items()}
            runs[0].fail("score", error)
        done = [run for run in runs if run.failure is None]
        # a contender that failed is not found by that: nothing would count it in the error budget
        keep_identities(versions, manifest.reign, done, today)
        staging.upload(itertools.chain.from_iterable(run.parts for run in done))
        for run in done:
            assert run.contender is not None
            found = versions.found[manifest.reign, run.contender.digest]
            commit_replay(store, project.name, Replay(manifest.batch, run.scored(), found))
    return {run.version: run.failure for run in runs}


class _UnreadableError(DethroneError):
    """A column that is read for the versions, or for the digest, cannot be read."""


@dataclass(frozen=True, slots=True)
class _Replaying:
    """One batch while versions are replayed on it."""

    versions: Versions
    manifest: Manifest
    staging: Staging

    def run(self, version: ModelVersion) -> VersionRun:
        """The run of a version, which has its predictions already if they follow from stored scores."""
        run = VersionRun(version.version)
        try:
            model = _model_digest(self.versions, version)
            run.contender = contender_of_model(version, model)
            stored = self._stored_scores(version, model)
            if stored:
                run.parts = self._decided(stored, run.contender)
            else:
                run.loaded = self.versions.load(version)
        except WorkersError:
            raise
        except Exception as error:  # noqa: BLE001  files of any kind can be registered
            run.fail("load", error)
        return run

    def _stored_scores(self, version: ModelVersion, model: str) -> Scored | None:
        """What the version gave for the batch under another threshold; None if there is nothing."""
        if version.threshold is None:
            return None
        before = (*self.manifest.scored, *(r.scored for r in self.manifest.replays))
        for s in before:
            if (
                s.version == version.version
                and s.contender
                and not s.failure
                and with_threshold(s.contender, version, model)
            ):
                return s
        return None

    def _decided(self, stored: Scored, contender: Contender) -> list[Part]:
        """The stored scores with the decisions of the contender."""
        parts = []
        for number, part in enumerate(stored.parts):
            scores = read_parts(self.versions.store, (part,)).select("score")
            decided = scores.with_columns(decision=(pl.col("score") >= contender.threshold).cast(pl.Int8))
            parts.append(self.staging.add(contender.version, number, decided))
        return parts

    def _require_known_columns(self, run: VersionRun, rows: BatchRows) -> None:
        """Fail a version that reads a column which the digest does not cover, if the files are not those that were scored.

        A column that was added or filled in afterwards can tell of labels.
        """
        new = sorted(set(run.signature.present(rows.columns)) - set(self.manifest.columns))
        if new and self.manifest.files and rows.named_files(self.versions.project.name) != self.manifest.files:
            msg = (
                f"it reads the column '{new[0]}' of batch {rows.batch}, which no version read when the batch was scored, and the files of "
                "the batch were changed since; put those back that were scored"
            )
            run.fail("score", BatchError(msg))

    def score(self, runs: Sequence[VersionRun]) -> None:
        """Let the loaded versions score the rows, if these are still what was scored. Raises BatchError, _UnreadableError."""
        live = [run for run in runs if run.runs]
        if not live:
            return
        rows = open_batch(self.versions.store, self.versions.project, self.manifest.batch)
        for run in live:
            try:
                require_columns(run, rows)
                run.signature.check(rows.schema)
            except DethroneError as error:
                run.fail("score", error)
        try:
            total, _ = score_rows(self.versions, rows, runs, self.staging, digested=self.manifest.columns)
        except BatchError as error:
            raise _UnreadableError(str(error)) from error
        for run in live:
            if run.error:
                run.fail("score", run.error)
        if any(run.failure is None for run in live) and total.hexdigest() != self.manifest.rows_digest:
            msg = (
                f"batch {self.manifest.batch}: its rows are not the {self.manifest.rows} that were scored; put those back: "
                "a scored batch does not change"
            )
            raise BatchError(msg)
        for run in live:
            if run.failure is None:
                self._require_known_columns(run, rows)
