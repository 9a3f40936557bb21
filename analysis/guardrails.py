"""Guardrails: proof that a challenger is not worse by more than a margin, overall and in every segment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from analysis.batch_unit import Overdispersion
from analysis.counts import Undefined
from analysis.evidence import Evidence
from analysis.measures import LinearMetric, Measure
from analysis.multiplicity import holm
from analysis.policy import Policy
from analysis.process import Method
from analysis.proof import as_assumed, batch_process, process, unevenness

__all__ = ["CHECK_LEVEL", "Guardrail", "SegmentGuardrail", "Status", "guardrail", "is_uneven", "segment_guardrails"]

CHECK_LEVEL = 0.05  # of the tests that can only forbid a promotion; a stricter alpha must not make them laxer

Status = Literal["held", "open", "broken"]


@dataclass(frozen=True, slots=True)
class Guardrail:
    """Proof that the challenger is not worse by the margin (``held``), or that it is (``broken``); else ``open``.

    ``log_e_batch_unit`` is the evidence with batches as units, where the lead varies between them more than chance
    allows: the status is about the batches that were judged, this about the next one. It is for the reader; the policy's
    ``unit: batch`` makes it decide.
    """

    metric: Measure
    margin: float
    method: Method | Undefined
    log_e: float
    log_e_reverse: float
    log_e_batch_unit: float | None
    status: Status


@dataclass(frozen=True, slots=True)
class SegmentGuardrail:
    """A guardrail within one segment; p-values are anytime-valid (1/E) and adjusted by Holm over the segments."""

    column: str
    value: str
    metric: LinearMetric
    margin: float
    p_value: float
    p_value_reverse: float
    status: Status


def is_uneven(found: Overdispersion | Undefined) -> bool:
    """Whether the lead varies between batches more than chance allows."""
    return isinstance(found, Overdispersion) and found.p_value < CHECK_LEVEL


def guardrail(evidence: Evidence, name: Measure, margin: float, policy: Policy) -> Guardrail:
    """Test non-inferiority within the margin, and its reverse, at the policy's alpha."""
    found = process(evidence, name, policy)
    if isinstance(found, Undefined):
        return Guardrail(name, margin, found, 0.0, 0.0, None, "open")
    forward, reverse = found.log_e(-margin), found.log_e_reverse(-margin)
    threshold, unit = -math.log(policy.alpha), None
    if found.method != "batches" and is_uneven(unevenness(evidence, name, policy)):
        unit = batch_process(evidence, name, policy).log_e(-margin)
    status = _status(held=forward >= threshold, broken=reverse >= threshold)
    return Guardrail(name, margin, found.method, forward, reverse, unit, status)


def segment_guardrails(evidence: Evidence, policy: Policy) -> tuple[SegmentGuardrail, ...]:
    """Every segment guardrail of the policy in every segment that has a row for its metric.

    The adjusted p-values allow a statement on each segment by itself; the policy asks for all of them.
    """
    found: list[SegmentGuardrail] = []
    assumed = as_assumed(evidence, policy).segments
    for name, margin in policy.segment_guardrails.items():
        keys = [key for key, counts in assumed.items() if counts.outcomes(name).n]
        tested = [process(evidence.within(key), name, policy) for key in keys]
        exact = [p for p in tested if not isinstance(p, Undefined)]  # shares of rows all have a process
        forward = holm([_anytime_p(p.log_e(-margin)) for p in exact])
        reverse = holm([_anytime_p(p.log_e_reverse(-margin)) for p in exact])
        for (column, value), p, q in zip(keys, forward, reverse, strict=True):
            status = _status(held=p <= policy.alpha, broken=q <= policy.alpha)
            found.append(SegmentGuardrail(column, value, name, margin, p, q, status))
    return tuple(found)


def _anytime_p(log_e_value: float) -> float:
    return math.exp(-max(log_e_value, 0.0))


def _status(*, held: bool, broken: bool) -> Status:
    if held:
        return "held"
    return "broken" if broken else "open"
