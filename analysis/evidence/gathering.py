"""Gathering the evidence on one pair from the tallies of closed batches: which batches and rows count, and why others do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date

import polars as pl

from analysis.evidence.entities import entity_evidence
from analysis.evidence.evidence import BatchTally, Contender, Evidence, Feed, PairedBatch
from analysis.evidence.row_labels import base_reason
from analysis.evidence.tally import ENTITY, pair_exclusions, pair_sampled, pair_table, segment_tables
from analysis.kinds.score_sums import ScoreSums, pair_sums
from analysis.policy import Policy

__all__ = [
    "ANOTHER_CLIP", "ANOTHER_CONTENDER", "BEFORE_TRAINED_THROUGH", "LABELS_SEEN", "NOT_CLOSED", "WITHOUT_PROBABILITIES", "gather",
    "labels_unseen",
]  # fmt: skip

BEFORE_TRAINED_THROUGH = "before trained_through"
NOT_CLOSED = "batch not closed"
ANOTHER_CONTENDER = "scored with another model or threshold"
LABELS_SEEN = "replayed, and its labels could be seen before"
ANOTHER_CLIP = "closed under another largest_error"
WITHOUT_PROBABILITIES = "closed without label probabilities"

_USUAL = Policy()


def labels_unseen(
    batch: date, labels_from: date | None, seen_through: date, *, first_labels_after: int | None = None
) -> bool:
    """Whether a contender that may have been chosen on all labels seen through a day can have been chosen on no label of a batch.

    ``labels_from`` is the day on which the first label of the batch was observed; None if none ever was. ``first_labels_after`` is the
    smallest number of days after which the first label of any other batch had come by then: beyond that age, a batch without a label is
    not like others. A whole batch is evidence or none of it is: labels that come late can be of other rows than those that come early.
    docs/replay.md derives why E stays an e-process then.
    """
    if labels_from is not None and labels_from <= seen_through:
        return False
    return first_labels_after is None or (seen_through - batch).days < first_labels_after


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

    Some results depend on the order (scales, first rows of entities, planned looks); in this one a later look keeps what an earlier
    one saw.

    A batch counts for nothing, and its rows are left out with a reason, if

    - its date is not after the ``trained_through`` of both versions, which may have learned from its rows;
    - a version scored it with another model or threshold than now;
    - a version was replayed on it that could have been chosen on its labels;
    - its losses were clipped at another value than the policy's ``largest_error``;
    - it closed without label probabilities and the policy has ``sampling``.

    A batch without a labelled row of the pair is no batch of evidence, unless the policy assumes the worst of an unlabelled row on which
    the two models disagree, or has ``sampling``. ``open_rows`` is the number of rows in batches that are not due yet.
    """
    excluded: Counter[str] = Counter()
    seen = frozenset((t.batch, t.scored[v].digest) for t in closed for v, unseen in t.replayed.items() if not unseen)
    pairs = _Pairs(champion, challenger, policy, excluded, seen, [])
    replayed = {t.batch for t in closed if t.replayed and t.has(champion, challenger)}
    batches, frames, context = [], [], []
    for tally in closed:
        # the tally with the replay stands for the batch in its pairs, and in no other
        if tally.has(champion, challenger) if tally.replayed else tally.batch not in replayed:
            evidence, aside = pairs.of(tally)
            if evidence:
                batches.append(evidence)
                frames.append(tally.frame)
            context += aside
    for reasons in feed.silent if feed else ():
        excluded.update(reasons)
    excluded = _by_base(excluded)
    if open_rows:
        excluded[NOT_CLOSED] = open_rows
    entities = (
        entity_evidence(frames, champion.version, challenger.version, seen=pairs.seen)
        if _has_entities(frames)
        else None
    )
    left_out = dict(sorted(excluded.items()))
    return Evidence(champion, challenger, tuple(batches), left_out, entities, feed, policy.kind, tuple(context))


@dataclass(frozen=True, slots=True)
class _Pairs:
    """The evidence of single batches on one pair; adds rows that are left out to ``excluded``, and tallies that are context to ``seen``.

    ``context`` has the batches that are no evidence for a contender, by its digest, in whichever tally its replay was counted first.
    """

    champion: Contender
    challenger: Contender
    policy: Policy
    excluded: Counter[str]
    context: AbstractSet[tuple[str, str]]
    seen: list[pl.DataFrame]

    def of(self, tally: BatchTally) -> tuple[PairedBatch | None, list[PairedBatch]]:
        """The batch as evidence, or None, and as context if it is that only."""
        policy, kind = self.policy, self.policy.kind
        pair = self.champion.version, self.challenger.version
        rows = int(tally.frame["n"].sum())
        learned = [v.trained_through for v in (self.champion, self.challenger) if v.trained_through]
        if learned and tally.date <= max(learned):
            return self._left_out(BEFORE_TRAINED_THROUGH, rows)
        if any(tally.scored.get(v.version, v).digest != v.digest for v in (self.champion, self.challenger)):
            return self._left_out(ANOTHER_CONTENDER, rows)
        counts = pair_table(tally.frame, *pair, kind)
        if any((tally.batch, v.digest) in self.context for v in (self.champion, self.challenger) if tally.replayed):
            self.seen.append(tally.frame)
            aside = [PairedBatch(tally.batch, tally.date, counts, {}, replayed=True)] if counts.n else []
            return self._left_out(LABELS_SEEN, rows)[0], aside
        self.excluded.update(pair_exclusions(tally.frame, *pair))
        in_doubt = policy.unlabelled == "worst_case" and counts.unlabelled_disagreements
        if not (counts.n or in_doubt or (policy.sampling and counts.unlabelled_rows)):
            return None, []
        scores = pair_sums(tally.scores, *pair) if tally.scores is not None else {}
        if not _clipped_as(policy, scores):
            return self._left_out(ANOTHER_CLIP, counts.n)
        sampled = pair_sampled(tally.frame, *pair) if policy.sampling else None
        if policy.sampling and sampled is None:
            return self._left_out(WITHOUT_PROBABILITIES, counts.n)
        segments = segment_tables(tally.frame, *pair, kind)
        settled = None if tally.settled is None else pair_table(tally.settled, *pair, kind)
        replayed = bool(tally.replayed)
        return PairedBatch(tally.batch, tally.date, counts, segments, scores, settled, sampled, replayed), []

    def _left_out(self, reason: str, rows: int) -> tuple[None, list[PairedBatch]]:
        self.excluded[reason] += rows
        return None, []


def _by_base(excluded: Mapping[str, int]) -> Counter[str]:
    """Reasons that differ only in their example are added up under the first of them."""
    first: dict[str, str] = {}
    total: Counter[str] = Counter()
    for reason, n in sorted(excluded.items()):
        total[first.setdefault(base_reason(reason), reason)] += n
    return total


def _clipped_as(policy: Policy, scores: Mapping[str, ScoreSums]) -> bool:
    """Whether the losses were clipped at the same value as the policy clips them."""
    measures = policy.kind.measures
    return all(s.bound == measures[name].bound(policy.largest_error) for name, s in scores.items() if name in measures)


def _has_entities(frames: Sequence[pl.DataFrame]) -> bool:
    return any(ENTITY in f.columns for f in frames)
