"""A season replayed: which version would have led, batch by batch, if another rule had decided."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from analysis.evidence import BatchTally, Evidence, closing_date, gather, scores_of
from analysis.evidence.gains import total_difference
from analysis.evidence.pair_counts import pair_table
from analysis.evidence.tally import ENTITY
from analysis.kinds.score_sums import merge, merge_losses, version_value
from analysis.one_look.bootstrap import Bootstrap, bootstrap
from analysis.one_look.losses import REGRESSION_LOSSES, PairedT, paired_t
from analysis.one_look.mcnemar import mcnemar
from analysis.policy import Policy
from analysis.policy.budget import allowance
from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.metrics import Difference, difference
from analysis.verdict.judge import Verdict, judge
from analysis.verdict.process_choice import process

__all__ = [
    "DETHRONE", "NAIVE_RULES", "Outcome", "Replay", "Rule", "Switch", "bootstrap_rule", "leader_on", "loss_rule", "mcnemar_rule",
    "naive_rules", "policy_rule", "seed_rule", "student_rule",
]  # fmt: skip

Rule = Callable[[Evidence], str | None]
"""From the evidence on a pair to the reason why the challenger is promoted, or None."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A change of champion at the end of the day ``date``, and the reason that the rule gives."""

    date: date
    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a season under one rule.

    ``not_better``: switches after which the gain was not above the policy's ``min_gain``, or is unknown. ``broke_guardrail``: switches
    after which a guardrail's margin was exceeded. ``served``: measures over all labelled rows, each predicted by the version that led.
    """

    switches: tuple[Switch, ...]
    not_better: int
    broke_guardrail: int
    served: Mapping[str, float | Undefined]


def seed_rule(evidence: Evidence, name: str = "recall") -> str | None:
    """Promote the challenger if its ``name`` is higher so far."""
    estimate = difference(name, evidence.counts.as_recorded())
    if isinstance(estimate, Undefined) or estimate.value <= 0:
        return None
    return f"{name} {estimate.challenger:.4f} > {estimate.champion:.4f}"


def mcnemar_rule(evidence: Evidence, name: str = "recall") -> str | None:
    """Promote if McNemar's one-sided mid-p is below 0.05."""
    p = mcnemar(evidence.counts.outcomes(name)).p_value
    return f"McNemar p = {p:.2g}" if p < 0.05 else None


def bootstrap_rule(evidence: Evidence, name: str = "recall") -> str | None:
    """Promote if the 95 % percentile interval of a row bootstrap of the difference in ``name`` is above 0."""
    counts: PairedCounts = evidence.counts.as_recorded()
    rng = np.random.default_rng(counts.labelled)
    result = bootstrap(counts, [name], rng=rng, confidence_level=0.95, n_resamples=2000, method="multinomial")[name]
    if isinstance(result, Bootstrap) and result.interval.low > 0:
        return f"bootstrap 95% interval from {result.interval.low:.4f}"
    return None


def loss_rule(evidence: Evidence, name: str) -> str | None:
    """Promote the challenger if its mean loss is lower so far."""
    estimate, amount = merge(name, scores_of(evidence.batches, name)), REGRESSION_LOSSES[name].amount
    if isinstance(estimate, Undefined) or estimate.value >= 0:
        return None
    return f"{name} {amount(estimate.challenger)} < {amount(estimate.champion)}"


def student_rule(evidence: Evidence, name: str) -> str | None:
    """Promote if the one-sided p of a paired t test is below 0.05."""
    test = paired_t(merge_losses(scores_of(evidence.batches, name)), confidence_level=0.95)
    return f"paired t p = {test.p_value:.2g}" if isinstance(test, PairedT) and test.p_value < 0.05 else None


def policy_rule(policy: Policy) -> Rule:
    """Promote if ``judge`` does, for a challenger that is the first one and the only one."""
    allowed = allowance(policy.error_budget, policy.alpha, wave=1, order=1, promotions=0)

    def rule(evidence: Evidence) -> str | None:
        primary = process(evidence, policy.primary, policy)
        proven = not isinstance(primary, Undefined) and primary.log_e(policy.min_gain) >= -math.log(allowed.alpha)
        if not policy.horizon and not proven:
            return None  # the condition that fails most often, before those that take more time
        allowances = {evidence.challenger.version: allowed}
        (assessment,) = judge([evidence], policy, seed=0, allowances=allowances).assessments
        promoted = assessment.verdict is Verdict.PROMOTE
        return f"proven better by more than {policy.min_gain:g}" if promoted else None

    return rule


NAIVE_RULES: Mapping[str, Rule] = {
    "recall > recall_live": seed_rule,
    "McNemar p < 0.05 each week": mcnemar_rule,
    "bootstrap 95% interval > 0 each week": bootstrap_rule,
}

DETHRONE = "Dethrone's policy"
"""The name of the project's own policy among the rules."""


def naive_rules(policy: Policy) -> Mapping[str, Rule]:
    """The rules in common use for such a task: the higher value is promoted, or tests for one look are repeated each week."""
    if policy.measure(policy.primary).family == "numbers":
        return {
            f"{policy.primary} < {policy.primary}_live": functools.partial(loss_rule, name=policy.primary),
            "paired t p < 0.05 each week": functools.partial(student_rule, name=policy.primary),
        }
    if policy.kind.decides:
        return NAIVE_RULES
    return {
        "accuracy > accuracy_live": functools.partial(seed_rule, name="accuracy"),
        "McNemar p < 0.05 each week": functools.partial(mcnemar_rule, name="accuracy"),
        "bootstrap 95% interval > 0 each week": functools.partial(bootstrap_rule, name="accuracy"),
    }


class Replay:
    """The closed batches of a season, to be played under several rules; the counts of each pair in each batch are cached."""

    def __init__(
        self,
        closed: Sequence[BatchTally],
        looks: Sequence[date],
        maturity_days: int,
        policy: Policy,
    ) -> None:
        self.closed = sorted(closed, key=lambda t: (t.date, t.batch))
        self.looks = looks
        self._maturity_days = maturity_days
        self._policy = policy
        self._counted = functools.cache(self._count)

    def _count(self, index: int, leader: str, version: str) -> Evidence:
        return self._gather([self.closed[index]], leader, version)

    def _gather(self, closed: Sequence[BatchTally], leader: str, version: str) -> Evidence:
        pair = closed[-1].scored[leader], closed[-1].scored[version]
        return gather(*pair, closed, policy=self._policy)

    def evidence(self, indices: Sequence[int], leader: str, version: str) -> Evidence | None:
        """The evidence of the batches at these positions that both versions scored; None if there is none."""
        common = self._scored_by(indices, [leader, version])
        if not common:
            return None
        if any(ENTITY in self.closed[i].frame.columns for i in common):  # an entity counts once over all of them
            return self._gather([self.closed[i] for i in common], leader, version)
        parts = [self._counted(i, leader, version) for i in common]
        return replace(parts[-1], batches=tuple(b for p in parts for b in p.batches))

    def _scored_by(self, indices: Sequence[int], versions: Sequence[str]) -> list[int]:
        return [i for i in indices if all(v in self.closed[i].scored for v in versions)]

    def switches(self, versions: Sequence[str], rule: Rule, *, first: str) -> list[Switch]:
        """Let ``rule`` decide on every look day, from the batches that were scored since the last switch and have closed.

        The tallies have the decisions of all versions, so every other course of the season can be played; a version takes part in the
        batches that it scored. If the rule promotes several challengers, the best one on the batches that all of them scored is taken:
        the one with the most true positives, with the most right classes, or with the smallest squared error.
        """
        leader, since = first, date.min
        switches: list[Switch] = []
        for day in self.looks:
            closed = [
                i
                for i, t in enumerate(self.closed)
                if t.date > since and closing_date(t.date, self._maturity_days) <= day
            ]
            reasons: dict[str, str] = {}
            for version in versions if closed else ():
                evidence = self.evidence(closed, leader, version) if version != leader else None
                reason = rule(evidence) if evidence else None
                if reason:
                    reasons[version] = reason
            if reasons:
                version = self._best(list(reasons), self._scored_by(closed, [leader, *reasons]) or closed, leader)
                switches.append(Switch(day, leader, version, reasons[version]))
                leader, since = version, day
        return switches

    def _best(self, proven: Sequence[str], indices: Sequence[int], leader: str) -> str:
        """The version with the highest ``_standing``; of several, the last by name."""
        evidence = {v: self.evidence(indices, leader, v) for v in proven}
        return max((_standing(e), v) for v, e in evidence.items() if e)[1]

    def outcome(self, switches: Sequence[Switch], *, first: str) -> Outcome:
        """Judge each switch by the batches after it."""
        not_better, broke, policy = 0, 0, self._policy
        for switch in switches:
            later = [i for i, t in enumerate(self.closed) if t.date > switch.date]
            rest = self.evidence(later, switch.before, switch.after) if later else None
            gain = _gain(rest, policy.primary, policy)
            not_better += gain is None or gain <= policy.min_gain
            harms = [(_gain(rest, name, policy), margin) for name, margin in policy.guardrails.items()]
            broke += any(harm is not None and harm < -margin for harm, margin in harms)
        led = [(t, leader_on(t.date, switches, first)) for t in self.closed]
        served = {name: _served(led, name, policy) for name in policy.kind.served}
        return Outcome(tuple(switches), not_better, broke, served)


def _standing(evidence: Evidence) -> float:
    """What is compared if a rule promotes several challengers: true positives or right classes, or minus the squared error."""
    error = merge("squared_error", scores_of(evidence.batches, "squared_error"))
    return evidence.counts.as_recorded().challenger.tp if isinstance(error, Undefined) else -error.challenger


def _served(led: Sequence[tuple[BatchTally, str]], name: str, policy: Policy) -> float | Undefined:
    """``name`` over the rows of all batches, each predicted by the version that led; losses with another clip are left out."""
    measure, kind = policy.measure(name), policy.kind
    if not measure.beside_tally:
        return kind.value(name, kind.total(pair_table(t.frame, leader, leader, kind) for t, leader in led))
    bound = measure.bound(policy.largest_error)
    values = [version_value(t.scores, name, leader, bound=bound) for t, leader in led if t.scores is not None]
    parts = [v for v in values if v is not None]
    rows = sum(n for n, _ in parts)
    return sum(n * value for n, value in parts) / rows if rows else Undefined("no labelled row with a prediction")


def _gain(rest: Evidence | None, name: str, policy: Policy) -> float | None:
    """The gain in ``name`` over the batches after a switch; None if it is not defined."""
    estimate = total_difference(rest, name, policy) if rest else None
    return policy.measure(name).sign * estimate.value if isinstance(estimate, Difference) else None


def leader_on(day: date, switches: Sequence[Switch], first: str) -> str:
    """The version that leads on this day; a switch takes effect on the day after it."""
    return next((s.after for s in reversed(switches) if s.date < day), first)
