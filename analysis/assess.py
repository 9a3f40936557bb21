"""Every number on one pair that a verdict, or its reader, looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from analysis.batch_unit import Overdispersion
from analysis.bootstrap import Bootstrap, bootstrap
from analysis.counts import BinaryMetric, PairedCounts, PairedOutcomes, Undefined
from analysis.evidence import Evidence
from analysis.gains import total_difference
from analysis.guardrails import Guardrail, SegmentGuardrail, guardrail, segment_guardrails
from analysis.intervals import Interval
from analysis.labels import label_selection_p_value
from analysis.mcnemar import McNemar, mcnemar
from analysis.measures import LinearMetric, Measure, is_linear
from analysis.metrics import METRICS, Difference, Metric
from analysis.planned import PlannedLook, planned_look
from analysis.policy import Policy
from analysis.process import Method
from analysis.proof import as_assumed, batch_process, process, total_outcomes, unevenness
from analysis.segments import Reversal, Segment, homogeneity_p_value, paired_interval, reversals, segment_forest

__all__ = ["RECENT_BATCHES", "Measured", "measure"]

RECENT_BATCHES = 8
"""Shown beside the total: a challenger that was better and has turned worse can still lead on cumulative evidence."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The numbers on one pair. Log e-values are natural logarithms; differences are challenger minus champion.

    ``log_e``, ``interval`` and the batch-unit values are of the gain in the primary metric, positive where the
    challenger is better also if lower values are. ``pairs`` are the outcomes that a metric counting wins and losses
    rests on: of rows, or of entities.
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
    bootstrap: Mapping[Metric, Bootstrap | Undefined]
    guardrails: tuple[Guardrail, ...]
    segment_guardrails: tuple[SegmentGuardrail, ...]
    overdispersion: Overdispersion | Undefined
    log_e_batch_unit: float
    log_e_batch_unit_reverse: float
    label_selection_p_value: float | Undefined
    segments: tuple[Segment, ...]
    homogeneity_p_value: Mapping[str, float | Undefined]
    reversals: tuple[Reversal, ...]


def measure(evidence: Evidence, policy: Policy, *, rng: np.random.Generator) -> Measured:
    """Compute every number on one pair from its evidence."""
    selection = label_selection_p_value(evidence.counts)  # before any assumption about the missing labels
    evidence = as_assumed(evidence, policy)
    counts, primary = evidence.counts, policy.primary
    shown: LinearMetric = primary if is_linear(primary) else "accuracy"
    level = 1 - 2 * policy.alpha
    found = process(evidence, primary, policy)
    batches = batch_process(evidence, primary, policy)
    forest = segment_forest(evidence.segments, shown, confidence_level=level)
    return Measured(
        counts=counts,
        pairs=total_outcomes(evidence, shown),
        method=found if isinstance(found, Undefined) else found.method,
        log_e=0.0 if isinstance(found, Undefined) else found.log_e(policy.min_gain),
        interval=found if isinstance(found, Undefined) else found.interval(policy.alpha),
        planned=planned_look(evidence.outcomes(shown), policy.horizon, alpha=policy.alpha) if policy.horizon else None,
        mcnemar={name: mcnemar(total_outcomes(evidence, name)) for name in get_args(BinaryMetric)},
        paired_interval=paired_interval(counts, shown, confidence_level=level),
        metrics={name: total_difference(evidence, name, policy) for name in _shown_metrics(evidence, policy)},
        recent=total_difference(replace(evidence, batches=evidence.batches[-RECENT_BATCHES:]), primary, policy),
        bootstrap=bootstrap(counts, METRICS, rng=rng, confidence_level=level, n_resamples=policy.n_resamples),
        guardrails=tuple(guardrail(evidence, name, margin, policy) for name, margin in policy.guardrails.items()),
        segment_guardrails=segment_guardrails(evidence, policy),
        overdispersion=unevenness(evidence, primary, policy),
        log_e_batch_unit=batches.log_e(policy.min_gain),
        log_e_batch_unit_reverse=batches.log_e_reverse(policy.min_gain),
        label_selection_p_value=selection,
        segments=tuple(forest),
        homogeneity_p_value={c: homogeneity_p_value(forest, c) for c in sorted({s.column for s in forest})},
        reversals=tuple(reversals(evidence.segments)),
    )


def _shown_metrics(evidence: Evidence, policy: Policy) -> list[Measure]:
    """All metrics of the tallies, the scores that lie beside them, and cost where it has a price."""
    scores = sorted({name for b in evidence.batches for name in b.scores})
    cost: list[Measure] = ["cost"] if policy.costs else []
    return [*METRICS, *cost, *scores]
