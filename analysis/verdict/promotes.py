"""Whether a judgement promotes, without the numbers that it would show: for simulation, which asks thousands of times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import scipy

from analysis.evidence import Evidence
from analysis.evidence.gains import total_difference
from analysis.one_look.bootstrap import Bootstrap, bootstrap
from analysis.one_look.mcnemar import mcnemar
from analysis.one_look.multiplicity import e_closure_by_wave
from analysis.policy import Policy
from analysis.policy.budget import Allowance
from analysis.policy.planned import may_cross, planned_look
from analysis.policy.policy import Horizon
from analysis.tables.counts import PairedOutcomes, Undefined
from analysis.tables.metrics import METRICS, Difference
from analysis.verdict.assess import shown_metric
from analysis.verdict.guardrails import holds
from analysis.verdict.judge import own_policy, waves_of
from analysis.verdict.proof import Proof
from analysis.verdict.validity import follow_a_model

__all__ = ["promotes"]


def promotes(
    evidence: Sequence[Evidence], policy: Policy, *, seed: int, allowances: Mapping[str, Allowance] | None = None
) -> bool:
    """Whether ``judge`` promotes any of these challengers, of decisions between 0 and 1 whose rows all have a label.

    The conditions are those of ``judge``, by the same functions, the fastest first, and each only as far as the answer takes: the first
    that fails is the last that is computed. They leave out what such evidence has not: rows without a label, entities, segments, a feed.
    """
    allowed = allowances or {}
    waves = waves_of(evidence, policy, allowed)
    policies = [
        own_policy(policy, allowed.get(e.challenger.version), waves.count(w))
        for e, w in zip(evidence, waves, strict=True)
    ]
    proofs = [Proof(e, p.primary, p) for e, p in zip(evidence, policies, strict=True)]
    if policy.horizon or len(evidence[0].batches) < policy.min_batches:
        adjusted = [math.nan] * len(proofs)
    else:
        log_es = [_log_e(proof, p) for proof, p in zip(proofs, policies, strict=True)]
        adjusted = log_es if policy.error_budget == "programme" else e_closure_by_wave(log_es, waves, {})
    return any(
        _passes(e, proof, log_e, p, np.random.default_rng([seed, i]))
        for i, (e, proof, log_e, p) in enumerate(zip(evidence, proofs, adjusted, policies, strict=True))
    )


def _log_e(proof: Proof, policy: Policy) -> float:
    return 0.0 if isinstance(proof.process, Undefined) else proof.process.log_e(policy.min_gain)


def _passes(evidence: Evidence, proof: Proof, adjusted: float, policy: Policy, rng: np.random.Generator) -> bool:
    """Whether one challenger is judged to be PROMOTE; ``adjusted`` is the log e-value of the gain, adjusted for the other challengers."""
    outcomes, process = evidence.outcomes(shown_metric(policy)), proof.process
    if len(evidence.batches) < policy.min_batches or not any(o.discordant for o in outcomes):
        return False
    if policy.horizon:
        if not may_cross(outcomes, policy.horizon, alpha=policy.alpha):
            return False
    elif isinstance(process, Undefined) or adjusted < -math.log(policy.alpha):
        return False
    counts = evidence.counts
    if counts.one_class or evidence.champion.digest == evidence.challenger.digest or follow_a_model(evidence, counts):
        return False
    return (
        _batches_agree(proof, policy)
        and all(holds(evidence, name, margin, policy) for name, margin in _fastest_first(policy))
        and _agree_at_one_look(evidence, policy, rng)
        and (policy.horizon is None or _crossed(outcomes, policy.horizon, policy))
    )


def _agree_at_one_look(evidence: Evidence, policy: Policy, rng: np.random.Generator) -> bool:
    measure, level = policy.measure(policy.primary), 1 - 2 * policy.alpha
    if measure.counts_outcomes and mcnemar(evidence.total_outcomes(measure.name)).p_value >= policy.alpha:
        return False
    if measure.name not in METRICS:
        total = total_difference(evidence, measure.name, policy)
        assert isinstance(total, Difference)  # a cost is defined for any row
        excess = measure.sign * total.value - policy.min_gain
        return excess > float(scipy.stats.norm.isf(policy.alpha)) * total.standard_error
    drawn = bootstrap(evidence.counts, [measure.name], rng=rng, confidence_level=level, n_resamples=policy.n_resamples)[
        measure.name
    ]
    return isinstance(drawn, Bootstrap) and drawn.interval.low > policy.min_gain


def _batches_agree(proof: Proof, policy: Policy) -> bool:
    """Whether the batches as units do not speak against the gain, and carry it where they have to."""
    proven, process = -math.log(policy.alpha), proof.process
    if not isinstance(process, Undefined) and process.method == "batches":
        return proof.batches.log_e_reverse(policy.min_gain) < proven
    return not proof.uneven or proof.batches.log_e(policy.min_gain) >= proven


def _fastest_first(policy: Policy) -> list[tuple[str, float]]:
    return sorted(policy.guardrails.items(), key=lambda item: not policy.measure(item[0]).counts_outcomes)


def _crossed(outcomes: Sequence[PairedOutcomes], horizon: Horizon, policy: Policy) -> bool:
    """Whether the planned test promotes; what crosses its boundary leads, so that no interval retires it."""
    look = planned_look(outcomes, horizon, alpha=policy.alpha)
    return look is not None and look.crossed
