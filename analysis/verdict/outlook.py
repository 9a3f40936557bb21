"""The forecast of when the evidence on a challenger may decide, for every evidence process."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from analysis.any_look.asymptotic import rho_squared
from analysis.any_look.forecast import Forecast, forecast, forecast_batches, forecast_estimate, forecast_losses
from analysis.any_look.process import BatchProcess, LossProcess
from analysis.evidence import Evidence
from analysis.evidence.gains import total_difference
from analysis.policy import Policy
from analysis.tables.counts import Undefined
from analysis.verdict.assess import Measured
from analysis.verdict.process_choice import LOOKS_UNTIL_TIGHTEST, batch_process, process, under_assumption

__all__ = ["outlook_of"]


def outlook_of(
    evidence: Evidence, m: Measured, adjusted: float, policy: Policy, rng: np.random.Generator
) -> Forecast | Undefined | None:
    """When the adjusted log e-value may reach its threshold, if the other challengers stay as they are.

    None if it has reached it, and with a horizon, which has an end of its own.
    """
    threshold = -math.log(policy.alpha)
    if adjusted >= threshold or policy.horizon:
        return None
    if isinstance(m.method, Undefined):
        return Undefined(m.method.reason)
    evidence, raised = under_assumption(evidence, policy), threshold + m.log_e - adjusted
    if m.method in ("rows", "entities"):
        pairs = m.pairs
        if (
            policy.unlabelled == "worst_case" and policy.min_gain > 0
        ):  # rows without a label count as ties against a gain above 0
            pairs = replace(pairs, ties=pairs.ties + evidence.counts.unlabelled_rows)
        size = pairs.n / max(len(evidence.batches), 1)
        return forecast(
            pairs, rows_per_batch=size, null_gain=policy.min_gain, threshold=raised, prior=policy.prior, rng=rng
        )
    if m.method == "batches":
        units = batch_process(evidence, policy.primary, policy)
        assert isinstance(units, BatchProcess)  # a policy with unit: batch has no assumption about labels
        x = units.batches.standardised(np.array([policy.min_gain]))
        return forecast_batches(x[0], null_gain=policy.min_gain, threshold=raised, rng=rng)
    if m.method == "losses":
        clipped = process(evidence, policy.primary, policy)
        assert isinstance(clipped, LossProcess)
        return forecast_losses(
            clipped.losses, bound=clipped.bound, rows_per_batch=clipped.losses.n / max(len(evidence.batches), 1),
            null_gain=policy.min_gain, threshold=raised, rng=rng,
        )  # fmt: skip
    difference = total_difference(evidence, policy.primary, policy)
    if isinstance(difference, Undefined) or difference.standard_error == 0:
        return Undefined("no disagreement to extrapolate from")
    rows = sum(b.counts.n for b in evidence.batches)
    size = rows / len(evidence.batches)
    return forecast_estimate(
        policy.measure(policy.primary).sign * difference.value - policy.min_gain,
        difference.standard_error,
        rows=rows,
        rows_per_batch=size,
        rho2=rho_squared(2 * policy.alpha, size * LOOKS_UNTIL_TIGHTEST),
        threshold=raised,
        rng=rng,
    )
