"""What is known about the rows without a label on which the two models disagree, and what they could overturn."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from analysis.any_look.batch_unit import log_e_of_batches
from analysis.any_look.label_selection import (
    binary_audit,
    binary_splits,
    binary_withdrawn,
    class_audit,
    class_splits,
    log_e_audit,
    log_e_selection,
)
from analysis.any_look.process import OutcomeProcess, Process
from analysis.any_look.sampled import log_e_declared
from analysis.evidence import Evidence, PairedBatch
from analysis.evidence.score_sums import PREDICTED, PREDICTED_UNLABELLED
from analysis.one_look.measures import LinearMetric, is_linear
from analysis.policy import Policy
from analysis.tables.class_counts import ClassCounts
from analysis.tables.counts import PairedCounts, PairedOutcomes, Undefined

__all__ = ["LabelChecks", "TippingPoint", "label_checks"]


@dataclass(frozen=True, slots=True)
class TippingPoint:
    """Of the ``missing`` labels of ``rows``, at least ``needed`` would have to be ``label`` to overturn the proof."""

    rows: str
    label: str
    missing: int
    needed: int


@dataclass(frozen=True, slots=True)
class LabelChecks:
    """Log e-values against labels that do not depend on the decisions, and what missing labels could do.

    ``missing`` of the ``disagreements`` have no label, and at least ``corrected`` had another one when their batch closed; ``audited``:
    batches whose late and corrected labels have been looked at. ``tipping_point`` is None where nothing is proven, where no missing
    label could overturn it, or where that is not known.
    """

    log_e: float | Undefined
    log_e_audit: float | Undefined
    audited: int
    missing: int
    corrected: int
    disagreements: int
    tipping_point: TippingPoint | None


def label_checks(evidence: Evidence, found: Process | Undefined, policy: Policy) -> LabelChecks:
    """The checks of one pair; ``found`` is the process of its primary metric."""
    batches = evidence.batches
    missing = sum(_missing(b) for b in batches)
    differing = evidence.counts.outcomes("accuracy").discordant if policy.task != "multiclass" else _differing(evidence)
    return LabelChecks(
        _selection(evidence, policy),
        _audit(batches, policy),
        sum(b.settled is not None for b in batches),
        missing,
        sum(_corrected(b) for b in batches),
        differing + missing,
        _tipping_point(evidence, found, policy),
    )


def _missing(batch: PairedBatch) -> int:
    if batch.classes is not None:
        return sum(n for (c, h), n in batch.classes.unlabelled if c != h)
    return sum(batch.counts.unlabelled[1:3])


def _corrected(batch: PairedBatch) -> int:
    """Rows on which the two disagree that are not any more of the class that they had when the batch closed."""
    if batch.settled is None:
        return 0
    if batch.classes is not None:
        after = dict((batch.settled_classes or ClassCounts()).labelled)
        return sum(max(0, n - after.get(key, 0)) for key, n in batch.classes.labelled if key[1] != key[2])
    pairs = zip(batch.counts.labelled, batch.settled.labelled, strict=True)
    return sum(max(0, before - after) for j, (before, after) in enumerate(pairs) if (j & 3) in (1, 2))


def _differing(evidence: Evidence) -> int:
    return sum(n for (_, c, h), n in evidence.classes.labelled if c != h)


def _selection(evidence: Evidence, policy: Policy) -> float | Undefined:
    if policy.task == "regression":
        return _selection_of_numbers(evidence)
    if policy.sampling:
        return log_e_declared(evidence.counts, evidence.sampled, heaviest=policy.sampling.heaviest, prior=policy.prior)
    if not sum(_missing(b) for b in evidence.batches):
        return Undefined("every row on which the two disagree is labelled")
    if policy.task == "binary":
        return log_e_selection(binary_splits(b.counts for b in evidence.batches))
    pairs = class_splits([b.classes or ClassCounts() for b in evidence.batches])
    each = [log_e_selection(splits) for splits in pairs.values()]
    return float(special.logsumexp(each) - math.log(len(each)))


def _selection_of_numbers(evidence: Evidence) -> float | Undefined:
    """Whether the two models differ otherwise on rows without a label than on labelled ones: one number a batch, symmetric under H0.

    The mean difference of the predictions without a label less that with one, over its standard error; both directions.
    """
    x = []
    for b in evidence.batches:
        known, unknown = b.scores.get(PREDICTED), b.scores.get(PREDICTED_UNLABELLED)
        variance = known.variance + unknown.variance if known and unknown else 0.0
        if known and unknown and variance > 0:
            gap = (unknown.challenger - unknown.champion) - (known.challenger - known.champion)
            x.append(gap / math.sqrt(variance))
    if not x:
        return Undefined("no batch has rows with a label and rows without one")
    both = np.array([x, [-v for v in x]])
    return float(special.logsumexp(log_e_of_batches(both, np.zeros(2))) - math.log(2))


def _audit(batches: tuple[PairedBatch, ...], policy: Policy) -> float | Undefined:
    settled = [b for b in batches if b.settled is not None]
    if policy.task == "regression" or not settled:
        return Undefined("no batch is old enough for its late labels to be looked at")
    if policy.task == "multiclass":
        pairs = [(b.classes or ClassCounts(), b.settled_classes or ClassCounts()) for b in settled]
        return log_e_audit(class_audit(pairs))
    both = [(b.counts, b.settled or PairedCounts()) for b in settled]
    return log_e_audit(binary_audit(both), binary_withdrawn(both))


def _tipping_point(evidence: Evidence, found: Process | Undefined, policy: Policy) -> TippingPoint | None:
    """The fewest losses among the rows without a label with which E would be below 1/alpha; E falls with every loss."""
    name = policy.primary
    if (
        not isinstance(found, OutcomeProcess)
        or found.method != "rows"
        or not is_linear(name)
        or policy.task != "binary"
    ):
        return None
    rows, label, missing = _could_be_lost(evidence.counts, name)

    def holds(losses: int) -> bool:
        pairs: PairedOutcomes = replace(found.pairs, losses=found.pairs.losses + losses)
        return replace(found, pairs=pairs).log_e(policy.min_gain) >= -math.log(policy.alpha)

    if not holds(0) or holds(missing):
        return None
    low, high = 0, missing  # it holds at the lower one and not at the higher one
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return TippingPoint(rows, label, missing, high)


def _could_be_lost(counts: PairedCounts, name: LinearMetric) -> tuple[str, str, int]:
    _, challenger, champion, _ = counts.unlabelled
    if name == "recall":
        return "rows that the champion alone flagged", "positive", champion
    if name == "specificity":
        return "rows that the challenger alone flagged", "negative", challenger
    return "rows on which the two disagree", "as the champion says", champion + challenger
