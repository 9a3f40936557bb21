"""Gathering the evidence on one pair from the tallies of closed batches: which batches and rows count, and why others do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from analysis.evidence.entities import entity_evidence
from analysis.evidence.evidence import BatchTally, Contender, Evidence, Feed, PairedBatch
from analysis.evidence.pair_counts import PairCounts
from analysis.evidence.row_labels import base_reason
from analysis.evidence.tally import ENTITY
from analysis.kinds.score_sums import ScoreSums, stacked_sums, sums_of_pair
from analysis.policy import Policy

__all__ = [
    "ANOTHER_CLIP", "ANOTHER_CONTENDER", "BEFORE_TRAINED_THROUGH", "LABELS_SEEN", "NOT_CLOSED", "WITHOUT_PROBABILITIES", "Gatherer",
    "gather", "labels_unseen",
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
    return Gatherer(closed).gather(champion, challenger, open_rows, policy=policy, feed=feed)


class Gatherer:
    """Closed batches of a reign, from which the evidence on any pair is gathered, as ``gather`` says. All of a look share one."""

    def __init__(self, closed: Sequence[BatchTally]) -> None:
        self._closed = closed
        self._counts = PairCounts([t.frame for t in closed])
        self._scores = stacked_sums([t.scores for t in closed])
        self._settled = PairCounts([t.settled for t in closed])
        unseen = ((t, v, unseen) for t in closed for v, unseen in t.replayed.items())
        self._could_be_seen = frozenset((t.batch, t.scored[v].digest) for t, v, unseen in unseen if not unseen)

    def gather(
        self,
        champion: Contender,
        challenger: Contender,
        open_rows: int = 0,
        *,
        policy: Policy = _USUAL,
        feed: Feed | None = None,
    ) -> Evidence:
        """The evidence on one pair."""
        excluded: Counter[str] = Counter()
        usable, seen = [], []
        for i in self._of_pair(champion, challenger):
            why = self._unusable(i, champion, challenger)
            if why:
                excluded[why] += self._counts.rows[i]
            if why == LABELS_SEEN:
                seen.append(i)
            elif not why:
                usable.append(i)
        pair = champion.version, challenger.version
        excluded.update(self._counts.exclusions(*pair, usable))
        tables = self._counts.tables(*pair, policy.kind, [*usable, *seen])
        usable = [i for i in usable if _is_evidence(tables[i], policy)]
        scores = sums_of_pair(self._scores, *pair)
        sampled = self._counts.sampled(*pair, usable) if policy.sampling else {}
        other = {i: why for i in usable if (why := _other_setting(policy, scores.get(i, {}), i in sampled))}
        for i, why in other.items():
            excluded[why] += tables[i].n
        usable = [i for i in usable if i not in other]
        segments = self._counts.segments(*pair, policy.kind, usable)
        settled = self._settled.tables(*pair, policy.kind, [i for i in usable if self._closed[i].settled is not None])
        batches = []
        for i in usable:
            t = self._closed[i]
            batches.append(
                PairedBatch(
                    t.batch,
                    t.date,
                    tables[i],
                    segments[i],
                    scores.get(i, {}),
                    settled.get(i),
                    sampled.get(i),
                    bool(t.replayed),
                )
            )
        context = [
            PairedBatch(self._closed[i].batch, self._closed[i].date, tables[i], {}, replayed=True)
            for i in seen
            if tables[i].n
        ]
        for reasons in feed.silent if feed else ():
            excluded.update(reasons)
        excluded = _by_base(excluded)
        if open_rows:
            excluded[NOT_CLOSED] = open_rows
        frames, known = ([self._closed[i].frame for i in positions] for positions in (usable, seen))
        entities = entity_evidence(frames, *pair, seen=known) if any(ENTITY in f.columns for f in frames) else None
        left_out = dict(sorted(excluded.items()))
        return Evidence(champion, challenger, tuple(batches), left_out, entities, feed, policy.kind, tuple(context))

    def _of_pair(self, champion: Contender, challenger: Contender) -> list[int]:
        """The positions of the pair's tallies: one with a replay stands for its batch in the pairs of the replay, and in no other."""
        has = [t.has(champion, challenger) for t in self._closed]
        replayed = {t.batch for t, h in zip(self._closed, has, strict=True) if t.replayed and h}
        return [i for i, t in enumerate(self._closed) if (has[i] if t.replayed else t.batch not in replayed)]

    def _unusable(self, i: int, *pair: Contender) -> str | None:
        """Why all rows of a tally count for nothing in this pair; None if they may count."""
        tally = self._closed[i]
        if any(c.trained_through and tally.date <= c.trained_through for c in pair):
            return BEFORE_TRAINED_THROUGH
        if any(tally.scored.get(c.version, c).digest != c.digest for c in pair):
            return ANOTHER_CONTENDER
        # whichever of its tallies a replay was counted in first
        if tally.replayed and any((tally.batch, c.digest) in self._could_be_seen for c in pair):
            return LABELS_SEEN
        return None


def _is_evidence(table: Any, policy: Policy) -> bool:
    in_doubt = policy.unlabelled == "worst_case" and table.unlabelled_disagreements
    return bool(table.n or in_doubt or (policy.sampling and table.unlabelled_rows))


def _other_setting(policy: Policy, scores: Mapping[str, ScoreSums], has_probabilities: bool) -> str | None:
    """Why a batch that closed under another setting is no evidence under this one."""
    if not _clipped_as(policy, scores):
        return ANOTHER_CLIP
    return WITHOUT_PROBABILITIES if policy.sampling and not has_probabilities else None


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
