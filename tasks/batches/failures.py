"""Failures of challengers, counted over batches and put into sentences."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tasks.batches.arrivals import Arrivals
from tasks.batches.predictions import Manifest
from tasks.tables.files import PassedOver

__all__ = [
    "LOST", "Failure", "came_and_left", "failed_sentences", "failures", "notes", "passed_over_sentence", "replay_sentences",
    "score_summary",
]  # fmt: skip

LOST = (
    "Once the cause is put right, the next run of score replays a challenger on the batches in which it failed; they count as evidence "
    "if their labels could not be seen when it was first found"
)
_MOST_FILES = 3
_MOST_LISTED = 12  # a sentence lists up to so many batches one by one


@dataclass(frozen=True, slots=True)
class Failure:
    """A version that failed in ``failed`` of ``batches`` batches; ``batch`` and ``failure`` are of the last one."""

    version: str
    batch: str
    failure: str
    failed: int
    batches: int

    def __str__(self) -> str:
        return f"failed in {self.failed} of {self.batches} batches, last in {self.batch}: it {self.failure}"


def failures(scored: Sequence[Manifest]) -> list[Failure]:
    """The failures in these batches, oldest first, one per version that the last batch was scored with."""
    counted = []
    for version in sorted((s.version for s in scored[-1].scored), key=int) if scored else ():
        tried = [(m.batch, s.failure) for m in scored for s in m.scored if s.version == version]
        failed = [(batch, failure) for batch, failure in tried if failure]
        if failed:
            counted.append(Failure(version, *failed[-1], len(failed), len(tried)))
    return counted


def failed_sentences(failures: Sequence[Failure]) -> str:
    """A sentence per failure, and one on the batches that they cost; empty if there are none."""
    return " ".join([*(f"Version {f.version} {f}." for f in failures), f"{LOST}."]) if failures else ""


def notes(scored: Sequence[Manifest]) -> list[str]:
    """The newest note on each version of the last batch, a sentence each; notes say what is odd about a version's numbers."""
    versions = [s.version for s in scored[-1].scored] if scored else []
    last = {s.version: (m.batch, s.note) for m in scored for s in m.scored if s.note}
    return [f"Version {v} {last[v][1]} (batch {last[v][0]})." for v in sorted(versions, key=int) if v in last]


def score_summary(
    asked: Sequence[Manifest],
    left_alone: Sequence[str] = (),
    arrivals: Arrivals | None = None,
    passed_over: Sequence[str] = (),
) -> str:
    """The result of ``score`` in a few sentences: batches that were scored, left alone or wait, notes, failures, and odd files."""
    new = [m.batch for m in asked if m.batch not in left_alone]
    sentences = [] if left_alone and not new else [f"Scored: {_listed(new) or 'nothing new'}."]
    if left_alone:
        sentences.append(f"Left alone, because it was scored before: {_listed(left_alone)}.")
    sentences += [*notes(asked), failed_sentences(failures(asked)), *passed_over]
    if arrivals:
        sentences += [_waiting(arrivals.waiting), *arrivals.unreadable, *arrivals.changed]
    return " ".join(filter(None, sentences))


def replay_sentences(done: Mapping[str, Sequence[str]], failed: Mapping[str, str]) -> list[str]:
    """A sentence on the batches on which each version was replayed, and one for each that could not be, with the reason."""
    replayed = [f"Replayed: version {v} on {_listed(sorted(batches))}." for v, batches in done.items() if batches]
    told = (why if why.startswith(f"version {v} ") else f"version {v} {why}" for v, why in failed.items())
    return [*replayed, *(f"Not replayed: {why.removesuffix('.')}." for why in told)]


def came_and_left(newest: Manifest | None, replayed: Collection[str], live: Collection[str]) -> str:
    """A sentence on the versions that compete since the newest batch was scored, or replayed, and on those that do not any more."""
    if newest is None:
        return ""
    known = {*(s.version for s in newest.scored), *replayed}
    came, left = sorted(set(live) - known, key=int), sorted(known - {*live, newest.champion}, key=int)
    told = (("Came", came), ("Left", left))
    return " ".join(f"{what}: version {', '.join(versions)}." for what, versions in told if versions)


def passed_over_sentence(what: str, passed: Sequence[PassedOver]) -> str:
    """A sentence on the files that somebody may have meant to be read; empty if there are none."""
    rows = [p for p in passed if p.may_hold_rows]
    if not rows:
        return ""
    more = f", and {len(rows) - _MOST_FILES} more" if len(rows) > _MOST_FILES else ""
    return f"Not read of {what}: {'; '.join(map(str, rows[:_MOST_FILES]))}{more}."


def _waiting(waiting: Mapping[str, str]) -> str:
    """The batches that are not whole yet; those with one reason together."""
    batches: dict[str, list[str]] = {}
    for batch, why in waiting.items():
        batches.setdefault(why, []).append(batch)
    return " ".join(f"Not whole yet: {_listed(b)} ({why})." for why, b in batches.items())


def _listed(batches: Sequence[str]) -> str:
    if len(batches) <= _MOST_LISTED:
        return ", ".join(batches)
    return f"{len(batches)} batches, {batches[0]} to {batches[-1]}"
