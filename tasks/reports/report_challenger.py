"""What the section of a report on one challenger names; its words are in ``templates/challenger.md.j2`` and what that includes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from analysis.any_look.batch_unit import Overdispersion
from analysis.any_look.forecast import Forecast
from analysis.any_look.planning import fewest_disagreements
from analysis.any_look.process import Method
from analysis.evidence.entities import EntityEvidence
from analysis.one_look.clusters import ClusteredDifference, ClusteredTest
from analysis.one_look.labels import label_share_p_value
from analysis.policy import Policy
from analysis.policy.planned import PlannedLook
from analysis.tables.counts import PairedOutcomes, Undefined
from analysis.tables.intervals import Interval
from analysis.tables.metrics import Difference
from analysis.verdict.assess import RECENT_BATCHES, shown_metric
from analysis.verdict.checks import needed
from analysis.verdict.judge import Assessment
from analysis.verdict.label_checks import TippingPoint
from tasks.reports.limits import MOST_LINES
from tasks.reports.report_numbers import Classes, Decisions, Losses, numbers
from tasks.reports.report_segments import Segments, segments_of

__all__ = ["Challenger", "challenger_values"]


@dataclass(frozen=True, slots=True)
class _Labels:
    """Whether labels follow the decisions, where any is missing, and what the missing ones could overturn.

    ``label_share_p_value`` is None where it would mean nothing: for classes, numbers and labels that were sampled.
    """

    log_e: float | Undefined
    log_e_audit: float | Undefined
    label_share_p_value: float | Undefined | None
    audited: int
    missing: int
    disagreements: int
    tipping_point: TippingPoint | None


@dataclass(frozen=True, slots=True)
class _Guardrail:
    """One guardrail; ``difference`` is None where the metric is not defined."""

    metric: str
    lower_is_better: bool
    margin: float
    difference: float | None
    log_e: float
    log_e_batch_unit: float | None
    log_e_reverse: float
    status: str


@dataclass(frozen=True, slots=True)
class _AllRows:
    """The difference over all rows of every entity; ``interval`` is robust to what rows of an entity share."""

    metric: str
    difference: ClusteredDifference | Undefined
    interval: Interval | Undefined
    test: ClusteredTest


@dataclass(frozen=True, slots=True)
class _Entities:
    """What sharing entities does to the evidence."""

    repeated_share: float
    leaves_much_unused: bool
    all_rows: list[_AllRows]


@dataclass(frozen=True, slots=True)
class _Looks:
    """The gain in the primary metric over repeated looks, and beside it at one look.

    ``interval_at_one_look`` is of the same measure where one is known for it, else of ``metric_at_one_look``.
    ``forecast`` is None where E has reached its threshold.
    """

    log_e: float
    log_e_adjusted: float
    method: Method | Undefined
    interval: Interval | Undefined
    interval_at_one_look: Interval | Undefined
    metric_at_one_look: str
    primary_has_interval_at_one_look: bool
    pairs: PairedOutcomes
    fewest_disagreements: int | None
    overdispersion: Overdispersion | Undefined
    log_e_batch_unit: float
    recent: Difference | Undefined
    recent_batches: int
    planned: PlannedLook | None
    entities: _Entities | None
    forecast: Forecast | Undefined | None

    @property
    def too_few_for_a_proof(self) -> bool:
        return self.fewest_disagreements is not None and self.pairs.discordant < self.fewest_disagreements


@dataclass(frozen=True, slots=True)
class Challenger:
    """One challenger against the champion, at its own alpha. ``e_needed`` is the e-value that decides, for a reader."""

    version: str
    champion: str
    verdict: str
    reasons: tuple[str, ...]
    reasons_left_out: int
    alpha: float
    e_needed: str
    confidence_level: float
    numbers: Decisions | Classes | Losses
    labels: _Labels | None
    guardrails: list[_Guardrail]
    looks: _Looks
    segments: Segments | None


def challenger_values(a: Assessment, policy: Policy, chosen: Collection[tuple[str, str]]) -> Challenger:
    """Everything on one challenger: reasons, metrics, labels, guardrails, repeated looks, and the ``chosen`` segments, (column, value)."""
    level = 1 - 2 * a.alpha
    return Challenger(
        version=a.evidence.challenger.version,
        champion=a.evidence.champion.version,
        verdict=a.verdict.value,
        reasons=a.reasons[:MOST_LINES],
        reasons_left_out=len(a.reasons[MOST_LINES:]),
        alpha=a.alpha,
        e_needed=needed(a.alpha),
        confidence_level=level,
        numbers=numbers(a.measured, policy),
        labels=_labels(a, policy),
        guardrails=_guardrails(a, policy),
        looks=_looks(a, policy, level),
        segments=segments_of(a, chosen),
    )


def _labels(a: Assessment, policy: Policy) -> _Labels | None:
    checks = a.measured.labels
    if not checks.missing and (policy.task != "regression" or isinstance(checks.log_e, Undefined)):
        return None
    equal_shares = policy.kind.decides and not policy.sampling
    return _Labels(
        log_e=checks.log_e,
        log_e_audit=checks.log_e_audit,
        label_share_p_value=label_share_p_value(a.evidence.counts) if equal_shares else None,
        audited=checks.audited,
        missing=checks.missing,
        disagreements=checks.disagreements,
        tipping_point=checks.tipping_point,
    )


def _guardrails(a: Assessment, policy: Policy) -> list[_Guardrail]:
    guardrails = []
    for g in a.measured.guardrails:
        difference = a.measured.metrics.get(g.metric)
        guardrails.append(
            _Guardrail(
                metric=g.metric,
                lower_is_better=policy.measure(g.metric).lower_is_better,
                margin=g.margin,
                difference=difference.value if isinstance(difference, Difference) else None,
                log_e=g.log_e,
                log_e_batch_unit=g.log_e_batch_unit,
                log_e_reverse=g.log_e_reverse,
                status=g.status,
            )
        )
    return guardrails


def _looks(a: Assessment, policy: Policy, level: float) -> _Looks:
    m, measure = a.measured, policy.measure(policy.primary)
    rows_decide = m.method in ("rows", "entities") and not policy.horizon
    return _Looks(
        log_e=m.log_e,
        log_e_adjusted=a.log_e_adjusted,
        method=m.method,
        interval=m.interval,
        interval_at_one_look=m.paired_interval,
        metric_at_one_look=shown_metric(policy),
        primary_has_interval_at_one_look=measure.counts_outcomes or measure.family == "numbers",
        pairs=m.pairs,
        fewest_disagreements=fewest_disagreements(alpha=a.alpha, prior=policy.prior) if rows_decide else None,
        overdispersion=m.overdispersion,
        log_e_batch_unit=m.log_e_batch_unit,
        recent=m.recent,
        recent_batches=RECENT_BATCHES,
        planned=m.planned,
        entities=_entities(a.evidence.entities, level) if a.evidence.entities else None,
        forecast=a.forecast,
    )


def _entities(entities: EntityEvidence, level: float) -> _Entities:
    all_rows = []
    for metric, test in entities.clustered.items():
        if isinstance(test, ClusteredTest):
            difference = entities.differences[metric]
            interval = difference if isinstance(difference, Undefined) else difference.interval(level)
            all_rows.append(_AllRows(metric, difference, interval, test))
    return _Entities(entities.repeated_share, entities.leaves_much_unused, all_rows)
