"""Challengers that failed: what a batch lost by it, counted, so that a verdict and a run can say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.batches.predictions import Manifest

__all__ = ["LOST", "Failure", "failed_sentences", "failures", "notes", "score_summary"]

LOST = (
    "Batches in which a challenger failed do not come back by themselves: once the cause is put right, it is judged on the "
    "batches that are scored from then on"
)
_NAMED = 12  # batches up to which a sentence lists all of them


@dataclass(frozen=True, slots=True)
class Failure:
    """How often a version failed, ``failed`` of ``batches``, and how it failed in the last ``batch`` of these."""

    version: str
    batch: str
    failure: str
    failed: int
    batches: int

    def __str__(self) -> str:
        return f"failed in {self.failed} of {self.batches} batches, last in {self.batch}: it {self.failure}"


def failures(scored: Sequence[Manifest]) -> list[Failure]:
    """The failures in these batches, by version; one that is not asked any more in the last of them is left out."""
    found = []
    for version in sorted((s.version for s in scored[-1].scored), key=int) if scored else ():
        tried = [(m.batch, s.failure) for m in scored for s in m.scored if s.version == version]
        failed = [(batch, failure) for batch, failure in tried if failure]
        if failed:
            found.append(Failure(version, *failed[-1], len(failed), len(tried)))
    return found


def failed_sentences(found: Sequence[Failure]) -> str:
    """What failed, a sentence for each version, and what becomes of the batches; empty if nothing failed."""
    return " ".join([*(f"Version {f.version} {f}." for f in found), f"{LOST}."]) if found else ""


def notes(scored: Sequence[Manifest]) -> list[str]:
    """What is odd about the numbers of the versions of the last of these batches, a sentence each, with the last batch of it."""
    versions = [s.version for s in scored[-1].scored] if scored else []
    last = {s.version: (m.batch, s.note) for m in scored for s in m.scored if s.note}
    return [f"Version {v} {last[v][1]} (batch {last[v][0]})." for v in sorted(versions, key=int) if v in last]


def score_summary(asked: Sequence[Manifest], left_alone: Sequence[str] = ()) -> str:
    """What has become of the batches that ``score`` was asked for, in a few sentences: scored, left alone, challengers that failed."""
    new = [m.batch for m in asked if m.batch not in left_alone]
    said = [] if left_alone and not new else [f"Scored: {_listed(new) or 'nothing new'}."]
    if left_alone:
        said.append(f"Left alone, because it was scored before: {_listed(left_alone)}.")
    return " ".join(filter(None, [*said, *notes(asked), failed_sentences(failures(asked))]))


def _listed(batches: Sequence[str]) -> str:
    if len(batches) <= _NAMED:
        return ", ".join(batches)
    return f"{len(batches)} batches, {batches[0]} to {batches[-1]}"
