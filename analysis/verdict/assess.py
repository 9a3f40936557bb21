"""All numbers on one pair: those that decide its verdict, and those that a report shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy

from analysis.any_look.batch_unit import Overdispersion
from analysis.any_look.process import Method
from analysis.any_look.sampled_bootstrap import sampled_bootstrap
from analysis.evidence import Evidence, PairedBatch, scores_of
from analysis.evidence.gains import is_corrected, total_difference
from analysis.kinds.score_sums import merge_losses
from analysis.one_look.bootstrap import Bootstrap
from analysis.one_look.by_class import ByClass
from analysis.one_look.losses import PairedT
from analysis.one_look.marginals import TableTest
from analysis.one_look.mcnemar import McNemar, mcnemar
from analysis.one_look.missing_labels import begg_greenes
from analysis.one_look.segments import (
    Reversal,
    Segment,
    homogeneity_p_value,
    paired_interval,
    reversals,
    segment_forest,
)
from analysis.policy import Policy
from analysis.policy.planned import PlannedLook, planned_look
from analysis.tables.counts import PairedOutcomes, Undefined
from analysis.tables.intervals import Interval
from analysis.tables.metrics import METRICS, Difference
from analysis.tables.pair_table import PairTable
from analysis.verdict.guardrails import Guardrail, SegmentGuardrail, guardrail, segment_guardrails
from analysis.verdict.label_checks import LabelChecks, label_checks
from analysis.verdict.process_choice import under_assumption
from analysis.verdict.proof import Proof

__all__ = ["RECENT_BATCHES", "Measured", "measure", "shown_metric"]

RECENT_BATCHES = 8
"""Their difference is shown beside the total: a challenger that has become worse may still be ahead on cumulative evidence."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The numbers on one pair. Log e-values are natural logarithms; differences are challenger minus champion.

    ``log_e``, ``interval`` and the batch-unit values are of the gain in the primary metric, which is positive if the
    challenger is better, also where lower values are better. ``pairs`` are the wins and losses, of rows or of entities,
    in ``shown_metric``. ``uneven``: batches as units have to carry the proof too. ``paired_interval``, at one look, is
    Newcombe's interval of the difference in ``shown_metric``, Student's of the gain in the primary loss, or the normal
    one of the weighted gain. Fields that a task does not have are empty: ``class_counts`` by (label, champion, challenger),
    ``classes`` and ``marginals`` are for several classes, ``losses`` for numbers; ``bootstrap``, ``mcnemar`` and
    ``segments`` are not for numbers.
    """

    counts: PairTable
    pairs: PairedOutcomes
    method: Method | Undefined
    log_e: float
    interval: Interval | Undefined
    planned: PlannedLook | None
    mcnemar: Mapping[str, McNemar]
    paired_interval: Interval | Undefined
    metrics: Mapping[str, Difference | Undefined]
    recent: Difference | Undefined
    bootstrap: Mapping[str, Bootstrap | Undefined]
    guardrails: tuple[Guardrail, ...]
    segment_guardrails: tuple[SegmentGuardrail, ...]
    overdispersion: Overdispersion | Undefined
    uneven: bool
    log_e_batch_unit: float
    log_e_batch_unit_reverse: float
    labels: LabelChecks
    segments: tuple[Segment, ...]
    homogeneity_p_value: Mapping[str, float | Undefined]
    reversals: tuple[Reversal, ...]
    class_counts: Mapping[tuple[str, str, str], int]
    classes: Mapping[str, ByClass | Undefined]
    marginals: Mapping[str, TableTest | Undefined]
    losses: Mapping[str, PairedT | Undefined]


def measure(evidence: Evidence, policy: Policy, *, rng: np.random.Generator) -> Measured:
    """Compute every number on one pair from its evidence."""
    assumed, level, kind = under_assumption(evidence, policy), 1 - 2 * policy.alpha, policy.kind
    counts, primary, shown, sampled = assumed.counts, policy.primary, shown_metric(policy), policy.sampling is not None
    proof = Proof(evidence, primary, policy)
    process = proof.process
    segments = assumed.segments if kind.right_or_wrong and not sampled else {}
    right_or_wrong = {key: table.as_recorded() for key, table in segments.items()}
    forest = segment_forest(right_or_wrong, shown, confidence_level=level)
    details = kind.details(counts, lambda name: merge_losses(scores_of(assumed.batches, name)), level)
    return Measured(
        counts=counts,
        pairs=assumed.total_outcomes(shown),
        method=process if isinstance(process, Undefined) else process.method,
        log_e=0.0 if isinstance(process, Undefined) else process.log_e(policy.min_gain),
        interval=process if isinstance(process, Undefined) else process.interval(policy.alpha),
        planned=planned_look(assumed.outcomes(shown), policy.horizon, alpha=policy.alpha) if policy.horizon else None,
        mcnemar={} if sampled else {name: mcnemar(assumed.total_outcomes(name)) for name in kind.outcome_metrics()},
        paired_interval=_interval_at_one_look(assumed, details.losses, policy),
        metrics={name: total_difference(assumed, name, policy) for name in _shown_measures(assumed, policy)},
        recent=total_difference(replace(assumed, batches=_newest(assumed)), primary, policy),
        bootstrap=_bootstrap(assumed, policy, rng),
        guardrails=tuple(guardrail(evidence, name, margin, policy) for name, margin in policy.guardrails.items()),
        segment_guardrails=segment_guardrails(evidence, policy),
        overdispersion=proof.overdispersion,
        uneven=proof.uneven,
        log_e_batch_unit=proof.batches.log_e(policy.min_gain),
        log_e_batch_unit_reverse=proof.batches.log_e_reverse(policy.min_gain),
        labels=label_checks(evidence, process, policy),
        segments=tuple(forest),
        homogeneity_p_value={c: homogeneity_p_value(forest, c) for c in sorted({s.column for s in forest})},
        reversals=tuple(reversals(segments)) if kind.decides else (),
        class_counts=details.class_counts,
        classes=details.classes,
        marginals=details.marginals,
        losses=details.losses,
    )


def _newest(evidence: Evidence) -> tuple[PairedBatch, ...]:
    return tuple(sorted(evidence.batches, key=lambda b: (b.date, b.batch)))[-RECENT_BATCHES:]


def shown_metric(policy: Policy) -> str:
    """The metric whose wins and losses are shown, also by segment: the primary one if it has them, else accuracy."""
    return policy.primary if policy.measure(policy.primary).counts_outcomes else "accuracy"


def _interval_at_one_look(
    evidence: Evidence, losses: Mapping[str, PairedT | Undefined], policy: Policy
) -> Interval | Undefined:
    if policy.sampling:
        return _sampled_interval(evidence, policy)
    if policy.primary in losses:
        test = losses[policy.primary]
        return test if isinstance(test, Undefined) else test.interval
    counts = evidence.counts.as_recorded()
    return paired_interval(counts, shown_metric(policy), confidence_level=1 - 2 * policy.alpha)


def _sampled_interval(evidence: Evidence, policy: Policy) -> Interval | Undefined:
    """The normal interval of the weighted gain, because Newcombe's is for rows without weights."""
    difference = total_difference(evidence, policy.primary, policy)
    if isinstance(difference, Undefined):
        return difference
    half = float(scipy.stats.norm.isf(policy.alpha)) * difference.standard_error
    gain = policy.measure(policy.primary).sign * difference.value
    return Interval(gain - half, gain + half, 1 - 2 * policy.alpha)


def _bootstrap(evidence: Evidence, policy: Policy, rng: np.random.Generator) -> Mapping[str, Bootstrap | Undefined]:
    """All measures that are functions of a table, from the same draws."""
    level, n = 1 - 2 * policy.alpha, policy.n_resamples
    if policy.sampling:
        return sampled_bootstrap(evidence.sampled, METRICS, rng=rng, confidence_level=level, n_resamples=n)
    if is_corrected(evidence.batches, policy):
        return begg_greenes(evidence.counts, METRICS, rng=rng, confidence_level=level, n_resamples=n)
    return policy.kind.bootstrap(evidence.counts, rng=rng, confidence_level=level, n_resamples=n)


def _shown_measures(evidence: Evidence, policy: Policy) -> list[str]:
    """All measures of the task, except cost without costs, and measures of scores that are neither stored nor named by the policy."""
    named = {policy.primary, *policy.guardrails}
    stored = {name for b in evidence.batches for name in b.scores}
    shown = []
    for measure in policy.kind.measures.values():
        if measure.family == "cost" and not policy.costs:
            continue
        if measure.family in ("scores", "ranks") and (policy.sampling or measure.name not in stored | named):
            continue
        shown.append(measure.name)
    return shown
