"""Evidence: the sum of the tallies of all closed batches, for one champion/challenger pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import polars as pl

from analysis.any_look.sampled import SampledCounts
from analysis.evidence.entities import EntityEvidence, entity_evidence
from analysis.evidence.row_labels import base_reason
from analysis.evidence.tally import ENTITY, pair_exclusions, pair_sampled, pair_table, segment_tables
from analysis.kinds import BINARY, Kind
from analysis.kinds.score_sums import ScoreSums, pair_sums
from analysis.one_look.missing_labels import worst_case
from analysis.policy import Policy
from analysis.tables.counts import PairedCounts, PairedOutcomes
from analysis.tables.pair_table import PairTable

__all__ = [
    "ANOTHER_CLIP",
    "ANOTHER_CONTENDER",
    "BEFORE_TRAINED_THROUGH",
    "NOT_CLOSED",
    "WITHOUT_PROBABILITIES",
    "BatchTally",
    "Contender",
    "Evidence",
    "Feed",
    "PairedBatch",
    "closing_date",
    "gather",
    "scores_of",
]

BEFORE_TRAINED_THROUGH = "before trained_through"
NOT_CLOSED = "batch not closed"
ANOTHER_CONTENDER = "scored with another model or threshold"
ANOTHER_CLIP = "closed under another largest_error"
WITHOUT_PROBABILITIES = "closed without label probabilities"

_USUAL = Policy()


@dataclass(frozen=True, slots=True)
class Contender:
    """A model version as a judgement sees it; only one that decides between 0 and 1 has an operating threshold."""

    version: str
    digest: str
    threshold: float | None
    trained_through: date | None


@dataclass(frozen=True, slots=True)
class BatchTally:
    """The tally of one closed batch, and the contenders as they were when it was scored.

    ``settled`` is the tally with the labels as they were some time after it had closed, once that was looked at.
    """

    batch: str
    date: date
    frame: pl.DataFrame
    scored: Mapping[str, Contender]
    scores: pl.DataFrame | None = None
    settled: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class PairedBatch:
    """What one closed batch says about one pair; ``sampled`` where labels have probabilities, which a record of it leaves to the tally."""

    batch: str
    date: date
    counts: PairTable
    segments: Mapping[tuple[str, str], PairTable]
    scores: Mapping[str, ScoreSums] = field(default_factory=dict)
    settled: PairTable | None = None
    sampled: SampledCounts | None = field(default=None, metadata={"record": False})


@dataclass(frozen=True, slots=True)
class Feed:
    """How labels and scores come: what a verdict has to know of them beside the counts.

    ``silent``: for each batch that is due and has no label that can be used, why, and of how many rows. ``absent_is_negative``: rows of
    which no label came were taken for negatives. ``failed_lately``: the newest batches in which a version failed, by version.
    ``looked_again``: one closed batch at least was looked at again, for labels that came late or were corrected.
    """

    silent: tuple[Mapping[str, int], ...] = ()
    absent_is_negative: bool = False
    failed_lately: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    looked_again: bool = True


@dataclass(frozen=True, slots=True)
class Evidence:
    """What all closed batches of a reign say about one pair, in the order of their first use, and the rows that were left out.

    Where rows share entities, ``entities`` holds the outcomes whose unit is the entity. ``feed`` is None where labels are taken as given.
    """

    champion: Contender
    challenger: Contender
    batches: tuple[PairedBatch, ...]
    excluded: Mapping[str, int] = field(default_factory=dict)
    entities: EntityEvidence | None = None
    feed: Feed | None = None
    kind: Kind = field(default=BINARY, metadata={"record": False})  # it follows from the policy on record

    @property
    def counts(self) -> Any:
        """The table of the pair over all batches, of the type that the kind of task has."""
        return self.kind.total(b.counts for b in self.batches)

    @property
    def sampled(self) -> SampledCounts:
        """The labelled rows over all batches by the probability with which they were chosen; empty where none is known."""
        return SampledCounts.of(part for b in self.batches if b.sampled for part in b.sampled.by_probability)

    @property
    def segments(self) -> dict[tuple[str, str], Any]:
        """The same within each value of each segment column."""
        parts: dict[tuple[str, str], list[PairTable]] = {}
        for batch in self.batches:
            for key, counts in batch.segments.items():
                parts.setdefault(key, []).append(counts)
        return {key: self.kind.total(tables) for key, tables in sorted(parts.items())}

    def outcomes(self, name: str) -> list[PairedOutcomes]:
        """Wins, losses and ties in each batch, of entities where rows share them, else of rows."""
        if self.entities:
            return list(self.entities.batches[name])
        return [b.counts.outcomes(name) for b in self.batches]

    def total_outcomes(self, name: str) -> PairedOutcomes:
        """The same over all batches."""
        parts = self.outcomes(name)
        return PairedOutcomes(sum(p.wins for p in parts), sum(p.losses for p in parts), sum(p.ties for p in parts))

    def until(self, day: date) -> Evidence:
        """What was known after the batches dated up to ``day``."""
        seen = [i for i, b in enumerate(self.batches) if b.date <= day]
        batches = tuple(self.batches[i] for i in seen)
        return replace(self, batches=batches, entities=self.entities.pick(seen) if self.entities else None)

    def within(self, segment: tuple[str, str]) -> Evidence:
        """The rows of one segment, (column, value), as far as their decisions and labels go."""
        parts = ((b, b.segments[segment]) for b in self.batches if segment in b.segments)
        return replace(self, batches=tuple(PairedBatch(b.batch, b.date, counts, {}) for b, counts in parts))

    def assuming_the_worst(self) -> Evidence:
        """Every unlabelled row on which the two disagree counted for the champion, in every batch and segment."""
        return self._with_counts(worst_case)

    def assuming_the_best(self) -> Evidence:
        """The same, counted for the challenger."""
        return self._with_counts(lambda counts: worst_case(counts.swap()).swap())

    def _with_counts(self, change: Callable[[Any], PairedCounts]) -> Evidence:
        batches = tuple(
            replace(b, counts=change(b.counts), segments={k: change(c) for k, c in b.segments.items()})
            for b in self.batches
        )
        return replace(self, batches=batches)


def scores_of(batches: Sequence[PairedBatch], name: str) -> list[ScoreSums]:
    """The sums of one score metric in each of these batches that has them."""
    return [b.scores[name] for b in batches if name in b.scores]


def closing_date(batch_date: date, maturity_days: int) -> date:
    """The day at whose end the batch is closed: by the calendar, never by its content."""
    return batch_date + timedelta(days=maturity_days)


def gather(
    champion: Contender,
    challenger: Contender,
    closed: Sequence[BatchTally],
    open_rows: int = 0,
    *,
    policy: Policy = _USUAL,
    feed: Feed | None = None,
) -> Evidence:
    """The evidence on one pair from the closed batches of a reign, in the order in which looks first used them.

    What depends on the order (scales, first appearances of entities, planned looks) then never changes what an earlier look saw.
    A batch dated on or before the ``trained_through`` of either version counts for nothing: no one is examined on
    what they learned from. Neither does one that a version scored with another threshold than now: that was another
    contender. Nor does one whose losses were clipped otherwise than the policy clips them, or that closed without the probabilities
    that it weighs labels by. Batches without one labelled row of the pair do not become batches of evidence, except where the worst is
    assumed of a row without a label on which the two disagree. ``open_rows`` are the rows of batches that are not due yet; of
    ``feed`` see there.
    """
    learned = [v.trained_through for v in (champion, challenger) if v.trained_through]
    excluded: Counter[str] = Counter()
    batches, frames, kind = [], [], policy.kind
    for tally in closed:
        if learned and tally.date <= max(learned):
            excluded[BEFORE_TRAINED_THROUGH] += int(tally.frame["n"].sum())
            continue
        if any(tally.scored.get(v.version, v).digest != v.digest for v in (champion, challenger)):
            excluded[ANOTHER_CONTENDER] += int(tally.frame["n"].sum())
            continue
        pair = champion.version, challenger.version
        excluded.update(pair_exclusions(tally.frame, *pair))
        counts = pair_table(tally.frame, *pair, kind)
        in_doubt = policy.unlabelled == "worst_case" and counts.unlabelled_disagreements
        if counts.n or in_doubt or (policy.sampling and counts.unlabelled_rows):
            scores = pair_sums(tally.scores, *pair) if tally.scores is not None else {}
            if not _clipped_as(policy, scores):
                excluded[ANOTHER_CLIP] += counts.n
                continue
            sampled = pair_sampled(tally.frame, *pair) if policy.sampling else None
            if policy.sampling and sampled is None:
                excluded[WITHOUT_PROBABILITIES] += counts.n
                continue
            segments = segment_tables(tally.frame, *pair, kind)
            settled = None if tally.settled is None else pair_table(tally.settled, *pair, kind)
            batches.append(PairedBatch(tally.batch, tally.date, counts, segments, scores, settled, sampled))
            frames.append(tally.frame)
    for reasons in feed.silent if feed else ():
        excluded.update(reasons)
    excluded = _by_base(excluded)
    if open_rows:
        excluded[NOT_CLOSED] = open_rows
    entities = entity_evidence(frames, champion.version, challenger.version) if _has_entities(frames) else None
    left_out = dict(sorted(excluded.items()))
    return Evidence(champion, challenger, tuple(batches), left_out, entities, feed, kind)


def _by_base(excluded: Mapping[str, int]) -> Counter[str]:
    """Reasons that differ by their example alone, added up under the first of them."""
    first: dict[str, str] = {}
    total: Counter[str] = Counter()
    for reason, n in sorted(excluded.items()):
        total[first.setdefault(base_reason(reason), reason)] += n
    return total


def _clipped_as(policy: Policy, scores: Mapping[str, ScoreSums]) -> bool:
    """Whether losses were clipped when the batch closed where the policy clips them."""
    measures = policy.kind.measures
    return all(s.bound == measures[name].bound(policy.largest_error) for name, s in scores.items() if name in measures)


def _has_entities(frames: Sequence[pl.DataFrame]) -> bool:
    return any(ENTITY in f.columns for f in frames)
