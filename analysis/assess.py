"""Every number on one pair that a verdict, or its reader, looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from analysis.batch_unit import Overdispersion, log_e_batch_unit, overdispersion
from analysis.bootstrap import Bootstrap, bootstrap
from analysis.counts import BinaryMetric, PairedCounts, PairedOutcomes, Undefined
from analysis.eprocess import confidence_sequence, log_e
from analysis.evidence import Evidence
from analysis.intervals import Interval
from analysis.labels import label_selection_p_value
from analysis.mcnemar import McNemar, mcnemar
from analysis.metrics import METRICS, Difference, Metric, difference
from analysis.policy import GuardrailMetric, Policy
from analysis.precision import log_e_precision
from analysis.segments import Segment, homogeneity_p_value, paired_interval, segment_forest

__all__ = ["Guardrail", "Measured", "measure"]


@dataclass(frozen=True, slots=True)
class Guardrail:
    """Proof that the challenger is not worse by the margin (``held``), or that it is (``broken``); else ``open``."""

    metric: GuardrailMetric
    margin: float
    log_e: float
    log_e_reverse: float
    status: Literal["held", "open", "broken"]


@dataclass(frozen=True, slots=True)
class Measured:
    """The numbers on one pair. Log e-values are natural logarithms; differences are challenger minus champion."""

    counts: PairedCounts
    pairs: PairedOutcomes
    log_e: float
    interval: Interval
    mcnemar: Mapping[BinaryMetric, McNemar]
    paired_interval: Interval | Undefined
    metrics: Mapping[Metric, Difference | Undefined]
    bootstrap: Mapping[Metric, Bootstrap | Undefined]
    guardrails: tuple[Guardrail, ...]
    overdispersion: Overdispersion | Undefined
    log_e_batch_unit: float
    log_e_batch_unit_reverse: float
    label_selection_p_value: float | Undefined
    segments: tuple[Segment, ...]
    homogeneity_p_value: Mapping[str, float | Undefined]


def measure(evidence: Evidence, policy: Policy, *, rng: np.random.Generator) -> Measured:
    """Compute every number on one pair from its evidence."""
    counts = evidence.counts
    pairs = counts.outcomes(policy.primary)
    per_batch = [b.counts.outcomes(policy.primary) for b in evidence.batches]
    two_sided = 1 - 2 * policy.alpha
    forest = segment_forest(evidence.segments, policy.primary, confidence_level=two_sided)
    return Measured(
        counts=counts,
        pairs=pairs,
        log_e=log_e(pairs, null_gain=policy.min_gain, prior=policy.prior),
        interval=confidence_sequence(pairs, alpha=policy.alpha, prior=policy.prior),
        mcnemar={name: mcnemar(counts.outcomes(name)) for name in get_args(BinaryMetric)},
        paired_interval=paired_interval(counts, policy.primary, confidence_level=two_sided),
        metrics={name: difference(name, counts) for name in METRICS},
        bootstrap=bootstrap(counts, METRICS, rng=rng, confidence_level=two_sided, n_resamples=policy.n_resamples),
        guardrails=tuple(guardrail(counts, name, margin, policy) for name, margin in policy.guardrails.items()),
        overdispersion=overdispersion(per_batch),
        log_e_batch_unit=log_e_batch_unit(per_batch, null_gain=policy.min_gain),
        log_e_batch_unit_reverse=log_e_batch_unit([b.swap() for b in per_batch], null_gain=-policy.min_gain),
        label_selection_p_value=label_selection_p_value(counts),
        segments=tuple(forest),
        homogeneity_p_value={c: homogeneity_p_value(forest, c) for c in sorted({s.column for s in forest})},
    )


def guardrail(counts: PairedCounts, name: GuardrailMetric, margin: float, policy: Policy) -> Guardrail:
    """Test non-inferiority within the margin, and its reverse, at the policy's alpha."""
    if name == "precision":
        forward = log_e_precision(counts, null_gain=-margin, prior=policy.prior)
        reverse = log_e_precision(counts.swap(), null_gain=margin, prior=policy.prior)
    else:
        pairs = counts.outcomes(name)
        forward = log_e(pairs, null_gain=-margin, prior=policy.prior)
        reverse = log_e(pairs.swap(), null_gain=margin, prior=policy.prior)
    threshold = -np.log(policy.alpha)
    status: Literal["held", "open", "broken"] = "open"
    if forward >= threshold:
        status = "held"
    elif reverse >= threshold:
        status = "broken"
    return Guardrail(name, margin, forward, reverse, status)
