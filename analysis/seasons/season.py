"""A season played again: who would have led, batch by batch, if another rule had decided."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from analysis.evidence import BatchTally, Evidence, closing_date, gather, scores_of
from analysis.evidence.gains import total_difference
from analysis.evidence.score_sums import merge, merge_losses, version_value
from analysis.evidence.tally import ENTITY, confusion, pair_classes
from analysis.one_look.bootstrap import Bootstrap, bootstrap
from analysis.one_look.losses import PairedT, RegressionLoss, paired_t
from analysis.one_look.mcnemar import mcnemar
from analysis.one_look.measures import (
    REGRESSION_LOSSES,
    LinearMetric,
    Measure,
    Task,
    amount,
    gain_sign,
    is_class_measure,
    is_regression_loss,
    is_tally_metric,
    loss_bound,
)
from analysis.one_look.multiclass import class_metric
from analysis.policy import Policy
from analysis.policy.budget import allowance
from analysis.tables.class_counts import ClassCounts
from analysis.tables.counts import Confusion, Undefined
from analysis.tables.metrics import Difference, difference, metric
from analysis.verdict.judge import Verdict, judge
from analysis.verdict.proof import process

__all__ = [
    "NAIVE_RULES", "Outcome", "Rule", "Switch", "Tape", "bootstrap_rule", "leader_on", "loss_rule", "mcnemar_rule", "naive_rules",
    "policy_rule", "seed_rule", "student_rule",
]  # fmt: skip

Rule = Callable[[Evidence], str | None]


@dataclass(frozen=True, slots=True)
class Switch:
    """A change of champion at the end of a day, and what the rule had to say for it."""

    date: date
    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a season under one rule was worth: ``served`` are measures over all labelled rows, each predicted by who led then."""

    switches: tuple[Switch, ...]
    not_better: int
    broke_guardrail: int
    served: Mapping[Measure, float | Undefined]


def seed_rule(evidence: Evidence, name: LinearMetric = "recall") -> str | None:
    """Promote whoever has the higher ``name`` so far."""
    found = difference(name, evidence.counts)
    if isinstance(found, Undefined) or found.value <= 0:
        return None
    return f"{name} {found.challenger:.4f} > {found.champion:.4f}"


def mcnemar_rule(evidence: Evidence, name: LinearMetric = "recall") -> str | None:
    """Promote at McNemar's one-sided mid-p below 0.05."""
    p = mcnemar(evidence.counts.outcomes(name)).p_value
    return f"McNemar p = {p:.2g}" if p < 0.05 else None


def bootstrap_rule(evidence: Evidence, name: LinearMetric = "recall") -> str | None:
    """Promote when the 95 % percentile interval of a row bootstrap of the difference in ``name`` is above 0."""
    counts = evidence.counts
    rng = np.random.default_rng(counts.labelled)
    found = bootstrap(counts, [name], rng=rng, confidence_level=0.95, n_resamples=2000, method="multinomial")[name]
    if isinstance(found, Bootstrap) and found.interval.low > 0:
        return f"bootstrap 95% interval from {found.interval.low:.4f}"
    return None


def loss_rule(evidence: Evidence, name: RegressionLoss) -> str | None:
    """Promote whoever has the lower mean loss so far."""
    found = merge(name, scores_of(evidence.batches, name))
    if isinstance(found, Undefined) or found.value >= 0:
        return None
    return f"{name} {amount(name, found.challenger)} < {amount(name, found.champion)}"


def student_rule(evidence: Evidence, name: RegressionLoss) -> str | None:
    """Promote at a paired t test's one-sided p below 0.05."""
    losses = merge_losses(scores_of(evidence.batches, name))
    found = paired_t(losses, confidence_level=0.95)
    return f"paired t p = {found.p_value:.2g}" if isinstance(found, PairedT) and found.p_value < 0.05 else None


def policy_rule(policy: Policy) -> Rule:
    """Promote when ``judge`` would, for a challenger that stands alone and is the first one."""
    own = allowance(policy.error_budget, policy.alpha, wave=1, order=1, promotions=0)

    def rule(evidence: Evidence) -> str | None:
        found = process(evidence, policy.primary, policy)
        if not policy.horizon and (isinstance(found, Undefined) or found.log_e(policy.min_gain) < -math.log(own.alpha)):
            return None  # the condition that fails most often, before the costly ones
        (assessment,) = judge([evidence], policy, seed=0, allowances={evidence.challenger.version: own}).assessments
        proven = assessment.verdict is Verdict.PROMOTE
        return f"proven better by more than {policy.min_gain:g}" if proven else None

    return rule


NAIVE_RULES: Mapping[str, Rule] = {
    "recall > recall_live": seed_rule,
    "McNemar p < 0.05 each week": mcnemar_rule,
    "bootstrap 95% interval > 0 each week": bootstrap_rule,
}


def naive_rules(policy: Policy) -> Mapping[str, Rule]:
    """The rules that people use today for such a task: the number that went up, and tests of one look, looked at each week."""
    if is_regression_loss(policy.primary):
        return {
            f"{policy.primary} < {policy.primary}_live": functools.partial(loss_rule, name=policy.primary),
            "paired t p < 0.05 each week": functools.partial(student_rule, name=policy.primary),
        }
    if policy.task == "binary":
        return NAIVE_RULES
    return {
        "accuracy > accuracy_live": functools.partial(seed_rule, name="accuracy"),
        "McNemar p < 0.05 each week": functools.partial(mcnemar_rule, name="accuracy"),
        "bootstrap 95% interval > 0 each week": functools.partial(bootstrap_rule, name="accuracy"),
    }


_SERVED: dict[Task, tuple[Measure, ...]] = {
    "binary": ("recall", "precision", "alert_rate"),
    "multiclass": ("accuracy", "macro_recall"),
    "regression": REGRESSION_LOSSES,
}


class Tape:
    """The closed batches of a season, to be played under one rule after another; each pair of each batch is counted once."""

    def __init__(
        self,
        closed: Sequence[BatchTally],
        looks: Sequence[date],
        maturity_days: int,
        policy: Policy | None = None,
    ) -> None:
        self.closed = sorted(closed, key=lambda t: (t.date, t.batch))
        self.looks = looks
        self._maturity_days = maturity_days
        self._policy = policy or Policy()
        self._counted = functools.cache(self._count)

    def _count(self, index: int, leader: str, version: str) -> Evidence:
        return self._gather([self.closed[index]], leader, version)

    def _gather(self, closed: Sequence[BatchTally], leader: str, version: str) -> Evidence:
        pair = closed[-1].scored[leader], closed[-1].scored[version]
        return gather(*pair, closed, policy=self._policy)

    def evidence(self, indices: Sequence[int], leader: str, version: str) -> Evidence | None:
        """The evidence of those of these batches that both have scored, if there are any."""
        common = self._scored_by(indices, [leader, version])
        if not common:
            return None
        if any(ENTITY in self.closed[i].frame.columns for i in common):  # an entity counts once over all of them
            return self._gather([self.closed[i] for i in common], leader, version)
        parts = [self._counted(i, leader, version) for i in common]
        return Evidence(parts[-1].champion, parts[-1].challenger, tuple(b for p in parts for b in p.batches))

    def _scored_by(self, indices: Sequence[int], versions: Sequence[str]) -> list[int]:
        return [i for i in indices if all(v in self.closed[i].scored for v in versions)]

    def replay(self, versions: Sequence[str], rule: Rule, *, first: str) -> list[Switch]:
        """Let ``rule`` decide on every look day, from the batches scored since the last switch and closed by then.

        The tallies tell what any other course of the season would have seen; a version counts in the batches that it has scored. Of
        several challengers that the rule would promote, the one with the highest recall is, on the batches that all of them have
        scored; of classes, the one that is right most often; of numbers, the one with the least squared error.
        """
        leader, since, switches = first, date.min, []
        for day in self.looks:
            seen = [
                i
                for i, t in enumerate(self.closed)
                if t.date > since and closing_date(t.date, self._maturity_days) <= day
            ]
            reasons: dict[str, str] = {}
            for version in versions if seen else ():
                evidence = self.evidence(seen, leader, version) if version != leader else None
                reason = rule(evidence) if evidence else None
                if reason:
                    reasons[version] = reason
            if reasons:
                version = self._best(list(reasons), self._scored_by(seen, [leader, *reasons]) or seen, leader)
                switches.append(Switch(day, leader, version, reasons[version]))
                leader, since = version, day
        return switches

    def _best(self, proven: Sequence[str], indices: Sequence[int], leader: str) -> str:
        """Of these versions, by name where they are alike."""
        found = {v: self.evidence(indices, leader, v) for v in proven}
        return max((_standing(e), v) for v, e in found.items() if e)[1]

    def outcome(self, switches: Sequence[Switch], policy: Policy, *, first: str) -> Outcome:
        """Judge the switches by what the rest of the season showed."""
        not_better = broke = 0
        for switch in switches:
            later = [i for i, t in enumerate(self.closed) if t.date > switch.date]
            rest = self.evidence(later, switch.before, switch.after) if later else None
            gain = _gain(rest, policy.primary, policy)
            not_better += gain is None or gain <= policy.min_gain
            harms = [(_gain(rest, name, policy), margin) for name, margin in policy.guardrails.items()]
            broke += any(harm is not None and harm < -margin for harm, margin in harms)
        led = [(t, leader_on(t.date, switches, first)) for t in self.closed]
        served = {name: _served(led, name, policy.task, self._policy.largest_error) for name in _SERVED[policy.task]}
        return Outcome(tuple(switches), not_better, broke, served)


def _standing(evidence: Evidence) -> float:
    """By what the better of two challengers is told that a rule would both promote."""
    found = merge("squared_error", scores_of(evidence.batches, "squared_error"))
    return evidence.counts.challenger.tp if isinstance(found, Undefined) else -found.challenger


def _served(
    led: Sequence[tuple[BatchTally, str]], name: Measure, task: Task, largest_error: float | None
) -> float | Undefined:
    """``name`` over the rows of all batches, each predicted by who led then; losses clipped elsewhere are left out."""
    if task == "multiclass" and is_class_measure(name):
        classes = [pair_classes(t.frame, leader, leader) or ClassCounts() for t, leader in led]
        return class_metric(name, ClassCounts.of(e for c in classes for e in c.labelled).champion)
    if is_tally_metric(name):
        total = [confusion(t.frame, leader) for t, leader in led]
        return metric(name, Confusion(*(sum(getattr(c, cell) for c in total) for cell in ("tp", "fp", "fn", "tn"))))
    bound = loss_bound(name, largest_error)
    values = [version_value(t.scores, name, leader, bound=bound) for t, leader in led if t.scores is not None]
    parts = [v for v in values if v is not None]
    rows = sum(n for n, _ in parts)
    return sum(n * value for n, value in parts) / rows if rows else Undefined("no labelled row with a prediction")


def _gain(rest: Evidence | None, name: Measure, policy: Policy) -> float | None:
    """The gain in ``name`` over what came after a switch, if there is any."""
    found = total_difference(rest, name, policy) if rest else None
    return gain_sign(name) * found.value if isinstance(found, Difference) else None


def leader_on(day: date, switches: Sequence[Switch], first: str) -> str:
    """Who scored the batch of this day: a switch takes effect the day after."""
    return next((s.after for s in reversed(switches) if s.date < day), first)
