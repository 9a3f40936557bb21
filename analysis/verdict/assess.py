"""Every number on one pair that a verdict, or its reader, looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from analysis.any_look.batch_unit import Overdispersion
from analysis.any_look.process import Method
from analysis.any_look.sampled_bootstrap import sampled_bootstrap
from analysis.evidence import Evidence, PairedBatch, scores_of
from analysis.evidence.gains import is_corrected, total_difference
from analysis.evidence.score_sums import merge_losses
from analysis.one_look.bootstrap import Bootstrap, bootstrap
from analysis.one_look.by_class import ByClass, Marginal, by_class, marginal_tests
from analysis.one_look.class_bootstrap import class_bootstrap
from analysis.one_look.losses import PairedT, RegressionLoss, paired_t
from analysis.one_look.marginals import TableTest
from analysis.one_look.mcnemar import McNemar, mcnemar
from analysis.one_look.measures import (
    CLASS_MEASURES,
    LINEAR,
    MEASURES,
    REGRESSION_LOSSES,
    LinearMetric,
    Measure,
    gain_sign,
    is_linear,
    is_regression_loss,
    is_score_measure,
)
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
from analysis.tables.counts import BinaryMetric, PairedCounts, PairedOutcomes, Undefined
from analysis.tables.intervals import Interval
from analysis.tables.metrics import METRICS, Difference
from analysis.verdict.guardrails import Guardrail, SegmentGuardrail, guardrail, segment_guardrails
from analysis.verdict.label_checks import LabelChecks, label_checks
from analysis.verdict.proof import as_assumed, batch_process, process, total_outcomes, unevenness, varies

__all__ = ["RECENT_BATCHES", "Measured", "measure", "shown_metric"]

RECENT_BATCHES = 8
"""Shown beside the total: a challenger that was better and has turned worse can still lead on cumulative evidence."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The numbers on one pair. Log e-values are natural logarithms; differences are challenger minus champion.

    ``log_e``, ``interval`` and the batch-unit values are of the gain in the primary metric, positive where the
    challenger is better also if lower values are. ``pairs`` are the outcomes that a metric counting wins and losses
    rests on: of rows, or of entities. ``uneven``: batches as units have to carry the proof too.
    ``paired_interval`` is Newcombe's of their difference, or Student's of the gain in
    the primary loss. What a task does not have is empty: ``class_counts`` by (label, champion, challenger),
    ``classes`` and ``marginals`` are of several classes, ``losses`` of numbers, which have neither ``bootstrap`` nor ``mcnemar`` nor
    ``segments``.
    """

    counts: PairedCounts
    pairs: PairedOutcomes
    method: Method | Undefined
    log_e: float
    interval: Interval | Undefined
    planned: PlannedLook | None
    mcnemar: Mapping[BinaryMetric, McNemar]
    paired_interval: Interval | Undefined
    metrics: Mapping[Measure, Difference | Undefined]
    recent: Difference | Undefined
    bootstrap: Mapping[Measure, Bootstrap | Undefined]
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
    marginals: Mapping[Marginal, TableTest | Undefined]
    losses: Mapping[RegressionLoss, PairedT | Undefined]


def measure(evidence: Evidence, policy: Policy, *, rng: np.random.Generator) -> Measured:
    """Compute every number on one pair from its evidence."""
    given, evidence = evidence, as_assumed(evidence, policy)
    counts, classes, primary, shown = evidence.counts, evidence.classes, policy.primary, shown_metric(policy)
    level = 1 - 2 * policy.alpha
    found = process(given, primary, policy)
    batches = batch_process(given, primary, policy)
    sampled = policy.sampling is not None
    segments = {} if policy.task == "regression" or sampled else evidence.segments
    forest = segment_forest(segments, shown, confidence_level=level)
    losses = _losses(evidence, policy)
    return Measured(
        counts=counts,
        pairs=total_outcomes(evidence, shown),
        method=found if isinstance(found, Undefined) else found.method,
        log_e=0.0 if isinstance(found, Undefined) else found.log_e(policy.min_gain),
        interval=found if isinstance(found, Undefined) else found.interval(policy.alpha),
        planned=planned_look(evidence.outcomes(shown), policy.horizon, alpha=policy.alpha) if policy.horizon else None,
        mcnemar={
            name: mcnemar(total_outcomes(evidence, name))
            for name in LINEAR
            if name in MEASURES[policy.task] and not sampled
        },
        paired_interval=_interval_at_one_look(evidence, losses, policy),
        metrics={name: total_difference(evidence, name, policy) for name in _shown_metrics(evidence, policy)},
        recent=total_difference(replace(evidence, batches=_newest(evidence)), primary, policy),
        bootstrap=_bootstrap(evidence, policy, rng),
        guardrails=tuple(guardrail(given, name, margin, policy) for name, margin in policy.guardrails.items()),
        segment_guardrails=segment_guardrails(given, policy),
        overdispersion=unevenness(given, primary, policy),
        uneven=varies(given, primary, policy),
        log_e_batch_unit=batches.log_e(policy.min_gain),
        log_e_batch_unit_reverse=batches.log_e_reverse(policy.min_gain),
        labels=label_checks(given, found, policy),
        segments=tuple(forest),
        homogeneity_p_value={c: homogeneity_p_value(forest, c) for c in sorted({s.column for s in forest})},
        reversals=tuple(reversals(segments)) if policy.task == "binary" else (),
        class_counts=dict(classes.labelled),
        classes=by_class(classes) if policy.task == "multiclass" else {},
        marginals=marginal_tests(classes) if policy.task == "multiclass" else {},
        losses=losses,
    )


def _newest(evidence: Evidence) -> tuple[PairedBatch, ...]:
    return tuple(sorted(evidence.batches, key=lambda b: (b.date, b.batch)))[-RECENT_BATCHES:]


def shown_metric(policy: Policy) -> LinearMetric:
    """The metric whose wins and losses are shown, also by segment: the primary one, or accuracy where it has none."""
    return policy.primary if is_linear(policy.primary) else "accuracy"


def _interval_at_one_look(
    evidence: Evidence, losses: Mapping[RegressionLoss, PairedT | Undefined], policy: Policy
) -> Interval | Undefined:
    if policy.sampling:
        return _sampled_interval(evidence, policy)
    if is_regression_loss(policy.primary):
        found = losses[policy.primary]
        return found if isinstance(found, Undefined) else found.interval
    return paired_interval(evidence.counts, shown_metric(policy), confidence_level=1 - 2 * policy.alpha)


def _sampled_interval(evidence: Evidence, policy: Policy) -> Interval | Undefined:
    """The normal interval of the weighted gain; Newcombe's is for rows that count alike."""
    found = total_difference(evidence, policy.primary, policy)
    if isinstance(found, Undefined):
        return found
    half = float(stats.norm.isf(policy.alpha)) * found.standard_error
    gain = gain_sign(policy.primary) * found.value
    return Interval(gain - half, gain + half, 1 - 2 * policy.alpha)


def _bootstrap(evidence: Evidence, policy: Policy, rng: np.random.Generator) -> dict[Measure, Bootstrap | Undefined]:
    """All metrics of decisions from the same draws."""
    level, n = 1 - 2 * policy.alpha, policy.n_resamples
    if policy.task == "multiclass":
        by_name = class_bootstrap(evidence.classes, CLASS_MEASURES, rng=rng, confidence_level=level, n_resamples=n)
        return {name: by_name[name] for name in CLASS_MEASURES}
    if policy.sampling:
        drawn_weighted = sampled_bootstrap(evidence.sampled, METRICS, rng=rng, confidence_level=level, n_resamples=n)
        return {name: drawn_weighted[name] for name in METRICS}
    if policy.task == "binary":
        drawn = begg_greenes if is_corrected(evidence.batches, policy) else bootstrap
        found = drawn(evidence.counts, METRICS, rng=rng, confidence_level=level, n_resamples=n)
        return {name: found[name] for name in METRICS}
    return {}


def _losses(evidence: Evidence, policy: Policy) -> dict[RegressionLoss, PairedT | Undefined]:
    if policy.task != "regression":
        return {}
    sums = {name: merge_losses(scores_of(evidence.batches, name)) for name in REGRESSION_LOSSES}
    return {name: paired_t(total, confidence_level=1 - 2 * policy.alpha) for name, total in sums.items()}


def _shown_metrics(evidence: Evidence, policy: Policy) -> list[Measure]:
    """All metrics of the tallies, the scores that lie beside them or are asked for, and cost where it has a price."""
    if policy.task != "binary":
        return list(MEASURES[policy.task])
    if policy.sampling:
        return [*METRICS, "cost"] if policy.costs else [*METRICS]
    asked = {name for name in (policy.primary, *policy.guardrails) if is_score_measure(name)}
    scores = sorted(asked.union(*(b.scores for b in evidence.batches)))
    cost: list[Measure] = ["cost"] if policy.costs else []
    return [*METRICS, *cost, *scores]
