"""What is known about the rows without a label on which the two models disagree, and whether they could overturn a proof."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from analysis.any_look.process import OutcomeProcess, Process
from analysis.any_look.sampled import log_e_declared
from analysis.evidence import Evidence
from analysis.kinds.kind import NOTHING_SETTLED
from analysis.policy import Policy
from analysis.tables.counts import PairedCounts, PairedOutcomes, Undefined

__all__ = ["LabelChecks", "TippingPoint", "label_checks"]


@dataclass(frozen=True, slots=True)
class TippingPoint:
    """Of the ``missing`` labels of ``rows`` (in words), at least ``needed`` would have to be ``label`` to overturn the proof."""

    rows: str
    label: str
    missing: int
    needed: int


@dataclass(frozen=True, slots=True)
class LabelChecks:
    """Log e-values against H0 that labels do not depend on the decisions, and whether missing labels could overturn a proof.

    ``log_e`` is of missing labels, ``log_e_audit`` of late ones. Of the ``disagreements``, ``missing`` have no label, and at least
    ``corrected`` had another label when their batch closed. ``audited``: batches whose late and corrected labels were looked at.
    ``tipping_point`` is None if nothing is proven, if no missing label could overturn the proof, or if this is not known.
    """

    log_e: float | Undefined
    log_e_audit: float | Undefined
    audited: int
    missing: int
    corrected: int
    disagreements: int
    tipping_point: TippingPoint | None


def label_checks(evidence: Evidence, primary: Process | Undefined, policy: Policy) -> LabelChecks:
    """The label checks of one pair; ``primary`` is the process of the primary metric."""
    settled = [(b.counts, b.settled) for b in evidence.batches if b.settled is not None]
    missing = sum(b.counts.unlabelled_disagreements for b in evidence.batches)
    return LabelChecks(
        log_e=_selection(evidence, missing, policy),
        log_e_audit=policy.kind.log_e_audit(settled) if settled else NOTHING_SETTLED,
        audited=len(settled),
        missing=missing,
        corrected=sum(closed.corrected(later) for closed, later in settled),
        disagreements=evidence.counts.disagreements + missing,
        tipping_point=_tipping_point(evidence, primary, policy),
    )


def _selection(evidence: Evidence, missing: int, policy: Policy) -> float | Undefined:
    if policy.sampling:
        return log_e_declared(evidence.counts, evidence.sampled, heaviest=policy.sampling.heaviest, prior=policy.prior)
    if policy.kind.right_or_wrong and not missing:
        return Undefined("every row on which the two disagree is labelled")
    return policy.kind.log_e_selection([b.counts for b in evidence.batches], [b.scores for b in evidence.batches])


def _tipping_point(evidence: Evidence, primary: Process | Undefined, policy: Policy) -> TippingPoint | None:
    """The least number of losses among the rows without a label that makes E less than 1/alpha; E decreases with every loss."""
    if not isinstance(primary, OutcomeProcess) or primary.method != "rows" or not policy.kind.decides:
        return None
    rows, label, missing = _could_be_lost(evidence.counts, policy.primary)

    def holds(losses: int) -> bool:
        pairs: PairedOutcomes = replace(primary.pairs, losses=primary.pairs.losses + losses)
        return replace(primary, pairs=pairs).log_e(policy.min_gain) >= -math.log(policy.alpha)

    if not holds(0) or holds(missing):
        return None
    low, high = 0, missing  # the proof holds with ``low`` losses, and not with ``high``
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return TippingPoint(rows, label, missing, high)


def _could_be_lost(counts: PairedCounts, name: str) -> tuple[str, str, int]:
    _, challenger, champion, _ = counts.unlabelled
    if name == "recall":
        return "rows that the champion alone flagged", "positive", champion
    if name == "specificity":
        return "rows that the challenger alone flagged", "negative", challenger
    return "rows on which the two disagree", "as the champion says", champion + challenger
