"""Guardrails: proof that a challenger is not worse by more than a margin, overall and in every segment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.any_look.process import Method, PrecisionProcess, Process
from analysis.evidence import Evidence
from analysis.one_look.multiplicity import holm
from analysis.policy import Policy
from analysis.tables.counts import Undefined
from analysis.verdict.process_choice import under_assumption
from analysis.verdict.proof import Proof

__all__ = ["CHECK_LEVEL", "Guardrail", "SegmentGuardrail", "Status", "guardrail", "holds", "segment_guardrails"]

CHECK_LEVEL = (
    0.05  # of the tests that can only forbid a promotion, so that a smaller alpha does not make them less strict
)

Status = Literal["held", "open", "broken"]


@dataclass(frozen=True, slots=True)
class Guardrail:
    """Proof that the challenger is not worse by the margin (``held``), or that it is (``broken``); else ``open``.

    Where batches are uneven (``Proof.uneven``), the batches as units have to carry either proof too, by
    ``log_e_batch_unit`` or ``log_e_batch_unit_reverse``; else these are None.
    """

    metric: str
    margin: float
    method: Method | Undefined
    log_e: float
    log_e_reverse: float
    log_e_batch_unit: float | None
    log_e_batch_unit_reverse: float | None
    status: Status


@dataclass(frozen=True, slots=True)
class SegmentGuardrail:
    """A guardrail within one segment; p-values are anytime-valid (1/E) and adjusted by Holm over the segments."""

    column: str
    value: str
    metric: str
    margin: float
    p_value: float
    p_value_reverse: float
    status: Status


def guardrail(evidence: Evidence, name: str, margin: float, policy: Policy) -> Guardrail:
    """Test non-inferiority within the margin, and its reverse, at the policy's alpha."""
    proof = Proof(evidence, name, policy)
    process = proof.process
    if isinstance(process, Undefined):
        return Guardrail(name, margin, process, 0.0, 0.0, None, None, "open")
    rows = _both_directions(process, -margin)
    batches_too = process.method != "batches" and proof.uneven
    units = _both_directions(proof.batches, -margin) if batches_too else None
    forward, reverse = rows if units is None else np.minimum(rows, units)
    threshold = -math.log(policy.alpha)
    status = _status(held=forward >= threshold, broken=reverse >= threshold)
    unit, unit_reverse = units or (None, None)
    return Guardrail(name, margin, process.method, *rows, unit, unit_reverse, status)


def holds(evidence: Evidence, name: str, margin: float, policy: Policy) -> bool:
    """Whether ``guardrail`` is held, computed only as far as this takes."""
    proven, proof = -math.log(policy.alpha), Proof(evidence, name, policy)
    process = proof.process
    if isinstance(process, Undefined):
        return False
    if isinstance(process, PrecisionProcess) and process.at_most(-margin) < proven:
        return False
    if process.log_e(-margin) < proven:
        return False
    return process.method == "batches" or not proof.uneven or proof.batches.log_e(-margin) >= proven


def _both_directions(process: Process, null_gain: float) -> tuple[float, float]:
    return process.log_e(null_gain), process.log_e_reverse(null_gain)


def segment_guardrails(evidence: Evidence, policy: Policy) -> tuple[SegmentGuardrail, ...]:
    """Every segment guardrail of the policy in every segment that has a row for its metric.

    The adjusted p-values allow a statement on each segment by itself; a promotion needs all segments.
    """
    guardrails: list[SegmentGuardrail] = []
    assumed = under_assumption(evidence, policy).segments
    for name, margin in policy.segment_guardrails.items():
        keys = [key for key, counts in assumed.items() if counts.outcomes(name).n]
        tested = [guardrail(evidence.within(key), name, margin, policy) for key in keys]
        forward = holm([_anytime_p(g.log_e, g.log_e_batch_unit) for g in tested])
        reverse = holm([_anytime_p(g.log_e_reverse, g.log_e_batch_unit_reverse) for g in tested])
        for (column, value), p, q in zip(keys, forward, reverse, strict=True):
            status = _status(held=p <= policy.alpha, broken=q <= policy.alpha)
            guardrails.append(SegmentGuardrail(column, value, name, margin, p, q, status))
    return tuple(guardrails)


def _anytime_p(rows: float, batches: float | None) -> float:
    """1/E, at most 1; E is the smaller of the two if batches have to carry the proof too."""
    return math.exp(-max(rows if batches is None else min(rows, batches), 0.0))


def _status(*, held: bool, broken: bool) -> Status:
    if held:
        return "held"
    return "broken" if broken else "open"
