"""Evidence: what the tallies of all closed batches say about one champion/challenger pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import polars as pl

from analysis.any_look.sampled import SampledCounts
from analysis.evidence.entities import EntityEvidence
from analysis.evidence.segment_tables import changed, total_by_segment
from analysis.kinds import BINARY, Kind
from analysis.kinds.score_sums import ScoreSums
from analysis.one_look.missing_labels import worst_case
from analysis.tables.counts import PairedCounts, PairedOutcomes
from analysis.tables.pair_table import PairTable

__all__ = ["BatchTally", "Contender", "Evidence", "Feed", "PairedBatch", "closing_date", "scores_of"]


@dataclass(frozen=True, slots=True)
class Contender:
    """A model version as a judgement sees it. ``threshold`` is None unless it decides between 0 and 1.

    Data up to ``trained_through`` may have been used for training; batches up to this day do not count.
    """

    version: str
    digest: str
    threshold: float | None
    trained_through: date | None


@dataclass(frozen=True, slots=True)
class BatchTally:
    """The tally of one closed batch, and the contenders, by version, as they were when it was scored.

    ``scores`` are the score sums beside the tally. ``settled`` is a second tally, with the labels as they were some time after the
    batch had closed; None before it is made. A batch on which versions were replayed has one more tally, with these versions too:
    ``replayed`` says of each whether its replay is evidence (``labels_unseen``). Such a tally stands for its batch in pairs with them.
    """

    batch: str
    date: date
    frame: pl.DataFrame
    scored: Mapping[str, Contender]
    scores: pl.DataFrame | None = None
    settled: pl.DataFrame | None = None
    replayed: Mapping[str, bool] = field(default_factory=dict)

    def has(self, *pair: Contender) -> bool:
        """Whether both contenders scored it as they are now; of a tally of replays, at least one of them in one of these."""
        same = all(c.version in self.scored and self.scored[c.version].digest == c.digest for c in pair)
        return same and (not self.replayed or any(c.version in self.replayed for c in pair))


@dataclass(frozen=True, slots=True)
class PairedBatch:
    """What one closed batch says about one pair; ``replayed``: at least one version scored it in a replay.

    ``segments`` has a table for each (column, value). ``sampled`` is there if labels have probabilities. Records hold neither, because the
    tally does.
    """

    batch: str
    date: date
    counts: PairTable
    segments: Mapping[tuple[str, str], PairTable] = field(metadata={"record": False})
    scores: Mapping[str, ScoreSums] = field(default_factory=dict)
    settled: PairTable | None = None
    sampled: SampledCounts | None = field(default=None, metadata={"record": False})
    replayed: bool = field(default=False, metadata={"record": False})


@dataclass(frozen=True, slots=True)
class Feed:
    """How labels and scores arrive, as far as a verdict depends on it.

    ``silent``: for each batch that is due but has no label that can be used, the reasons with numbers of rows. ``absent_is_negative``:
    rows without a label were counted as negatives. ``failed_lately``: by version, the newest batches in which it failed.
    ``looked_again``: at least one closed batch was looked at again, for labels that came late or were corrected.
    """

    silent: tuple[Mapping[str, int], ...] = ()
    absent_is_negative: bool = False
    failed_lately: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    looked_again: bool = True


@dataclass(frozen=True)
class Evidence:
    """What all closed batches of a reign say about one pair, in the order of their first use, and the rows that were left out, by reason.

    If rows share entities, ``entities`` holds the outcomes with entities as units. ``feed`` is None if nothing is known about the feed.
    ``context`` are the replayed batches that are no evidence, as the challenger could have been chosen on their labels.
    """

    champion: Contender
    challenger: Contender
    batches: tuple[PairedBatch, ...]
    excluded: Mapping[str, int] = field(default_factory=dict)
    entities: EntityEvidence | None = None
    feed: Feed | None = None
    kind: Kind = field(default=BINARY, metadata={"record": False})  # follows from the recorded policy
    context: tuple[PairedBatch, ...] = field(default=(), metadata={"record": False})

    @cached_property
    def counts(self) -> Any:
        """The table of the pair over all batches; its type depends on the kind of task."""
        return self.kind.total(b.counts for b in self.batches)

    @property
    def sampled(self) -> SampledCounts:
        """The labelled rows of all batches by the probability with which they were chosen; empty if none is known."""
        return SampledCounts.of(part for b in self.batches if b.sampled for part in b.sampled.by_probability)

    @property
    def segments(self) -> Mapping[tuple[str, str], Any]:
        """The table over all batches for each segment, (column, value)."""
        return total_by_segment([b.segments for b in self.batches], self.kind)

    def outcomes(self, name: str) -> list[PairedOutcomes]:
        """Wins, losses and ties in each batch: of entities if rows share them, else of rows."""
        if self.entities:
            return list(self.entities.batches[name])
        if name not in self._outcomes:
            self._outcomes[name] = [b.counts.outcomes(name) for b in self.batches]
        return list(self._outcomes[name])

    @cached_property
    def _outcomes(self) -> dict[str, list[PairedOutcomes]]:
        """Of rows, as far as they were asked for: a judgement asks many times."""
        return {}

    def total_outcomes(self, name: str) -> PairedOutcomes:
        """The same over all batches."""
        if not self.entities:
            outcomes: PairedOutcomes = self.counts.outcomes(name)
            return outcomes
        parts = self.entities.batches[name]
        return PairedOutcomes(sum(p.wins for p in parts), sum(p.losses for p in parts), sum(p.ties for p in parts))

    def until(self, day: date) -> Evidence:
        """The evidence of the batches dated up to ``day``."""
        positions = [i for i, b in enumerate(self.batches) if b.date <= day]
        batches = tuple(self.batches[i] for i in positions)
        return replace(self, batches=batches, entities=self.entities.pick(positions) if self.entities else None)

    def within(self, segment: tuple[str, str]) -> Evidence:
        """The evidence of one segment, (column, value): counts only, without score sums and settled tables."""
        parts = ((b, b.segments[segment]) for b in self.batches if segment in b.segments)
        return replace(self, batches=tuple(PairedBatch(b.batch, b.date, counts, {}) for b, counts in parts))

    def assuming_the_worst(self) -> Evidence:
        """Every unlabelled row on which the two models disagree is counted as a loss, in every batch and segment."""
        return self._with_counts(worst_case)

    def assuming_the_best(self) -> Evidence:
        """Every unlabelled row on which the two models disagree is counted as a win, in every batch and segment."""
        return self._with_counts(lambda counts: worst_case(counts.swap()).swap())

    def _with_counts(self, change: Callable[[Any], PairedCounts]) -> Evidence:
        batches = tuple(replace(b, counts=change(b.counts), segments=changed(b.segments, change)) for b in self.batches)
        return replace(self, batches=batches)


def scores_of(batches: Sequence[PairedBatch], name: str) -> list[ScoreSums]:
    """The score sums of the measure ``name`` in each of these batches that has them."""
    return [b.scores[name] for b in batches if name in b.scores]


def closing_date(batch_date: date, maturity_days: int) -> date:
    """The day at whose end the batch is closed. It depends on the calendar only, not on the labels that have come."""
    return batch_date + timedelta(days=maturity_days)
