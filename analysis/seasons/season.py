"""A season played again: who would have led, batch by batch, if another rule had decided."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from analysis.evidence import BatchTally, Evidence, closing_date, gather, scores_of
from analysis.evidence.gains import total_difference
from analysis.evidence.tally import ENTITY, pair_table
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
    served: Mapping[str, float | Undefined]


def seed_rule(evidence: Evidence, name: str = "recall") -> str | None:
    """Promote whoever has the higher ``name`` so far."""
    lead = difference(name, evidence.counts.as_recorded())
    if isinstance(lead, Undefined) or lead.value <= 0:
        return None
    return f"{name} {lead.challenger:.4f} > {lead.champion:.4f}"


def mcnemar_rule(evidence: Evidence, name: str = "recall") -> str | None:
    """Promote at McNemar's one-sided mid-p below 0.05."""
    p = mcnemar(evidence.counts.outcomes(name)).p_value
    return f"McNemar p = {p:.2g}" if p < 0.05 else None


def bootstrap_rule(evidence: Evidence, name: str = "recall") -> str | None:
    """Promote when the 95 % percentile interval of a row bootstrap of the difference in ``name`` is above 0."""
    counts: PairedCounts = evidence.counts.as_recorded()
    rng = np.random.default_rng(counts.labelled)
    lead = bootstrap(counts, [name], rng=rng, confidence_level=0.95, n_resamples=2000, method="multinomial")[name]
    if isinstance(lead, Bootstrap) and lead.interval.low > 0:
        return f"bootstrap 95% interval from {lead.interval.low:.4f}"
    return None


def loss_rule(evidence: Evidence, name: str) -> str | None:
    """Promote whoever has the lower mean loss so far."""
    lead, amount = merge(name, scores_of(evidence.batches, name)), REGRESSION_LOSSES[name].amount
    if isinstance(lead, Undefined) or lead.value >= 0:
        return None
    return f"{name} {amount(lead.challenger)} < {amount(lead.champion)}"


def student_rule(evidence: Evidence, name: str) -> str | None:
    """Promote at a paired t test's one-sided p below 0.05."""
    test = paired_t(merge_losses(scores_of(evidence.batches, name)), confidence_level=0.95)
    return f"paired t p = {test.p_value:.2g}" if isinstance(test, PairedT) and test.p_value < 0.05 else None


def policy_rule(policy: Policy) -> Rule:
    """Promote when ``judge`` would, for a challenger that stands alone and is the first one."""
    own = allowance(policy.error_budget, policy.alpha, wave=1, order=1, promotions=0)

    def rule(evidence: Evidence) -> str | None:
        primary = process(evidence, policy.primary, policy)
        proven = not isinstance(primary, Undefined) and primary.log_e(policy.min_gain) >= -math.log(own.alpha)
        if not policy.horizon and not proven:
            return None  # the condition that fails most often, before the costly ones
        (assessment,) = judge([evidence], policy, seed=0, allowances={evidence.challenger.version: own}).assessments
        promoted = assessment.verdict is Verdict.PROMOTE
        return f"proven better by more than {policy.min_gain:g}" if promoted else None

    return rule


NAIVE_RULES: Mapping[str, Rule] = {
    "recall > recall_live": seed_rule,
    "McNemar p < 0.05 each week": mcnemar_rule,
    "bootstrap 95% interval > 0 each week": bootstrap_rule,
}

DETHRONE = "Dethrone's policy"
"""What the project's own policy is called beside the rules that people use."""


def naive_rules(policy: Policy) -> Mapping[str, Rule]:
    """The rules that people use today for such a task: the number that went up, and tests of one look, looked at each week."""
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
    """The closed batches of a season, to be played under one rule after another; each pair of each batch is counted once."""

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
        """The evidence of those of these batches that both have scored, if there are any."""
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
        """Let ``rule`` decide on every look day, from the batches scored since the last switch and closed by then.

        The tallies tell what any other course of the season would have seen; a version counts in the batches that it has scored. Of
        several challengers that the rule would promote, the one with the highest recall is, on the batches that all of them have
        scored; of classes, the one that is right most often; of numbers, the one with the least squared error.
        """
        leader, since = first, date.min
        switches: list[Switch] = []
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
        evidence = {v: self.evidence(indices, leader, v) for v in proven}
        return max((_standing(e), v) for v, e in evidence.items() if e)[1]

    def outcome(self, switches: Sequence[Switch], *, first: str) -> Outcome:
        """Judge the switches by what the rest of the season showed."""
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
    """What the better of two challengers has more of, where a rule would promote both."""
    error = merge("squared_error", scores_of(evidence.batches, "squared_error"))
    return evidence.counts.as_recorded().challenger.tp if isinstance(error, Undefined) else -error.challenger


def _served(led: Sequence[tuple[BatchTally, str]], name: str, policy: Policy) -> float | Undefined:
    """``name`` over the rows of all batches, each predicted by who led then; losses clipped elsewhere are left out."""
    measure, kind = policy.measure(name), policy.kind
    if not measure.beside_tally:
        return kind.value(name, kind.total(pair_table(t.frame, leader, leader, kind) for t, leader in led))
    bound = measure.bound(policy.largest_error)
    values = [version_value(t.scores, name, leader, bound=bound) for t, leader in led if t.scores is not None]
    parts = [v for v in values if v is not None]
    rows = sum(n for n, _ in parts)
    return sum(n * value for n, value in parts) / rows if rows else Undefined("no labelled row with a prediction")


def _gain(rest: Evidence | None, name: str, policy: Policy) -> float | None:
    """The gain in ``name`` over what came after a switch, if there is any."""
    lead = total_difference(rest, name, policy) if rest else None
    return policy.measure(name).sign * lead.value if isinstance(lead, Difference) else None


def leader_on(day: date, switches: Sequence[Switch], first: str) -> str:
    """Who scored the batch of this day: a switch takes effect the day after."""
    return next((s.after for s in reversed(switches) if s.date < day), first)
