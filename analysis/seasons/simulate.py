"""A rule played on simulated batches of a project's size: how often does it promote an equal challenger, how soon a better one?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import scipy

from analysis.evidence import Contender, Evidence, PairedBatch
from analysis.kinds import BINARY
from analysis.policy import Policy
from analysis.policy.budget import Allowance
from analysis.seasons.screens import Ints, Screen
from analysis.seasons.season import Rule
from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.intervals import Interval
from analysis.tables.metrics import METRICS, Floats, paired_metric
from analysis.verdict.promotes import promotes

__all__ = ["Promotions", "Scenario", "Trial", "draw", "evidence_of", "play", "trial_of_policy", "trial_of_rule"]

Trial = Callable[[Sequence[Evidence]], bool]
"""From the evidence on each challenger to whether any of them, judged together, is promoted at this look."""

_FIRST_DAY = date(2001, 1, 1)


@dataclass(frozen=True, slots=True)
class Scenario:
    """The labelled rows of every batch, a champion, and a challenger that is better by ``gain_recall`` and ``gain_specificity``.

    ``positives`` and ``negatives`` are rows per batch, all other fields shares. The two models disagree on the shares
    ``disagreement_positives`` and ``disagreement_negatives`` of the rows of each class; where this share is psi, the
    challenger alone is right on (psi + gain) / 2 of the rows. ``improved`` finds a disagreement that the rates allow.
    Raises ValueError for a rate outside [0, 1], and for a batch without a positive or without a negative.
    """

    positives: int
    negatives: int
    recall: float
    false_positive_rate: float
    disagreement_positives: float
    disagreement_negatives: float
    gain_recall: float = 0.0
    gain_specificity: float = 0.0

    def __post_init__(self) -> None:
        if self.positives < 1 or self.negatives < 1:
            msg = f"a batch needs at least one positive and one negative, not {self.positives} and {self.negatives}"
            raise ValueError(msg)
        for name in ("recall", "false_positive_rate", "disagreement_positives", "disagreement_negatives"):
            if not 0 <= getattr(self, name) <= 1:
                msg = f"the {name.replace('_', ' ')} must lie between 0 and 1, not {getattr(self, name)}"
                raise ValueError(msg)

    @property
    def prevalence(self) -> float:
        return self.positives / (self.positives + self.negatives)

    def shares(self) -> tuple[float, ...]:
        """The expected share of each of the eight cells (4 label + 2 champion + challenger) among the rows of its label.

        Raises ValueError for rates that no two models can have.
        """
        won, lost = _split(self.disagreement_positives, self.gain_recall)
        cleared, raised = _split(self.disagreement_negatives, self.gain_specificity)
        r, f = self.recall, self.false_positive_rate
        shares = (1 - f - raised, raised, cleared, f - cleared, 1 - r - won, won, lost, r - lost)
        if min(shares) < -1e-12:
            msg = f"no two models can have these rates: {self}"
            raise ValueError(msg)
        return tuple(0.0 if abs(s) < 1e-12 else s for s in shares)

    def expected(self) -> Floats:
        """The expected rows per batch in each cell, shape (8,)."""
        rows: Floats = np.array(self.shares()) * np.repeat([self.negatives, self.positives], 4)
        return rows

    def improved(self, primary: str, gain: float) -> Scenario:
        """The same scenario with a challenger that is better by ``gain``.

        For specificity, it is the gain in specificity at equal recall. For accuracy, it is the gain in accuracy, with the
        same share of wins among the disagreements of both classes. For every other measure, it is the gain in recall at
        an equal false positive rate. If the models disagree on too few or too many rows for this gain, the nearest
        possible disagreement is taken. Raises ValueError for a gain that the champion leaves no room for.
        """
        of_positives = of_negatives = 0.0
        if primary == "specificity":
            of_negatives = gain
        elif primary == "accuracy":
            d1, d0, pi = self.disagreement_positives, self.disagreement_negatives, self.prevalence
            both = pi * d1 + (1 - pi) * d0
            of_positives, of_negatives = (gain * d / both if both else gain for d in (d1, d0))
        else:
            of_positives = gain
        return replace(
            self,
            disagreement_positives=_room(self.disagreement_positives, of_positives, self.recall),
            disagreement_negatives=_room(self.disagreement_negatives, of_negatives, 1 - self.false_positive_rate),
            gain_recall=of_positives,
            gain_specificity=of_negatives,
        )

    def gain_in(self, name: str, policy: Policy) -> float | Undefined:
        """The challenger's gain in ``name`` at the expected counts; positive if the challenger is better."""
        cells = self.expected()
        if name == "cost" and policy.costs:
            return float(cells @ policy.costs.matrix.saved() / cells.sum())
        if name not in METRICS:
            return Undefined(f"{name} is not a metric of decisions")
        champion, challenger = paired_metric(name, cells[None, :])
        gain = METRICS[name].sign * float(challenger[0] - champion[0])
        return gain if math.isfinite(gain) else Undefined(f"{name} does not exist for these rates")


def _split(disagreement: float, gain: float) -> tuple[float, float]:
    """The shares of the rows that only the challenger, and that only the champion gets right."""
    return (disagreement + gain) / 2, (disagreement - gain) / 2


def _room(disagreement: float, gain: float, champion_right: float) -> float:
    """The disagreement nearest to this one that allows the gain; the shares of ``_split`` have to fit the champion's."""
    lowest, highest = abs(gain), min(2 * (1 - champion_right) - gain, 2 * champion_right + gain)
    if highest < lowest - 1e-12:
        room = 1 - champion_right if gain > 0 else champion_right
        msg = f"a gain of {gain:g} is more than the champion leaves room for ({room:g})"
        raise ValueError(msg)
    return min(max(disagreement, lowest), max(highest, lowest))


def draw(scenario: Scenario, *, runs: int, batches: int, challengers: int = 1, rng: np.random.Generator) -> Ints:
    """Simulated rows by cell, shape (runs, batches, challengers, 8), multinomial within each label.

    Rows are independent. Given label and champion, the challengers are independent too, and all are equally good.
    """
    shape = (runs, batches, challengers)
    s = scenario.shares()
    cells = np.zeros((*shape, 8), dtype=np.int64)
    for first, total in ((0, scenario.negatives), (4, scenario.positives)):
        flagged = np.broadcast_to(rng.binomial(total, s[first + 2] + s[first + 3], (runs, batches, 1)), shape)
        cells[..., first + 2] = rng.binomial(flagged, _within(s[first + 2], s[first + 3]))
        cells[..., first + 1] = rng.binomial(total - flagged, _within(s[first + 1], s[first]))
        cells[..., first + 3] = flagged - cells[..., first + 2]
        cells[..., first] = total - flagged - cells[..., first + 1]
    return cells


def _within(share: float, rest: float) -> float:
    return share / (share + rest) if share else 0.0


def evidence_of(cells: Ints) -> tuple[Evidence, ...]:
    """The evidence of one run on each challenger, with one batch per week; ``cells`` has the shape (batches, challengers, 8)."""
    champion = Contender("1", "champion", 0.5, None)
    return tuple(
        Evidence(
            champion,
            Contender(str(j + 2), f"challenger {j + 1}", 0.5, None),
            tuple(
                PairedBatch(str(i + 1), _FIRST_DAY + timedelta(weeks=i), PairedCounts(tuple(batch)), {})
                for i, batch in enumerate(cells[:, j].tolist())
            ),
        )
        for j in range(cells.shape[1])
    )


def trial_of_rule(rule: Rule) -> Trial:
    """A trial by a rule for one pair, which is asked about each challenger by itself."""
    return lambda evidence: any(rule(e) is not None for e in evidence)


def trial_of_policy(policy: Policy, allowances: Mapping[str, Allowance] | None = None) -> Trial:
    """A trial by what ``judge`` decides.

    Raises ValueError for a policy that simulated decisions of 0 and 1 cannot satisfy.
    """
    named = [policy.primary, *policy.guardrails]
    if policy.kind is not BINARY:
        msg = f"only decisions of 0 and 1 are simulated; the task is {policy.task}"
        raise ValueError(msg)
    if policy.sampling:
        msg = "rows that are chosen to be labelled with known probabilities are not simulated"
        raise ValueError(msg)
    for name in named:
        if policy.measure(name).beside_tally:
            msg = f"only decisions are simulated, not scores, and the policy asks for proof about {name}"
            raise ValueError(msg)
    return lambda evidence: promotes(evidence, policy, seed=0, allowances=allowances)


@dataclass(frozen=True, slots=True)
class Promotions:
    """Of ``runs`` simulated runs, ``at_batch`` has the numbers with their first promotion at batch 1, 2, ...; the others have none."""

    runs: int
    at_batch: tuple[int, ...]

    @property
    def promoted(self) -> int:
        """Runs with a promotion up to the last batch."""
        return sum(self.at_batch)

    @property
    def interval(self) -> Interval:
        """The 95 % interval of Clopper and Pearson (1934) for the probability of a promotion."""
        exact = scipy.stats.binomtest(self.promoted, self.runs).proportion_ci(0.95, method="exact")
        return Interval(float(exact.low), float(exact.high), 0.95)

    @property
    def mean_batches(self) -> float:
        """The mean number of batches up to the promotion; a run without one counts with all its batches."""
        return float(self._batches().mean())

    @property
    def standard_error(self) -> float:
        """The standard error of ``mean_batches``, from the spread of the runs."""
        return float(self._batches().std() / math.sqrt(self.runs))

    def _batches(self) -> Floats:
        length = len(self.at_batch)
        batches = [*range(1, length + 1), length]
        return np.repeat(np.array(batches, dtype=np.float64), [*self.at_batch, self.runs - self.promoted])

    def curve(self) -> list[float]:
        """The share of runs with a promotion up to batch 1, up to batch 2, and so on."""
        return [n / self.runs for n in itertools.accumulate(self.at_batch)]

    def batches_until(self, share: float) -> int | None:
        """The batch by which this share of the runs has a promotion; None if the simulated batches do not suffice."""
        return next((i for i, reached in enumerate(self.curve(), start=1) if reached >= share), None)


def play(
    cells: Ints, trial: Trial, screen: Screen | None = None, tell: Callable[[int], None] | None = None
) -> Promotions:
    """Let ``trial`` look after every batch of every run until it promotes; ``cells`` has the shape that ``draw`` returns.

    It is asked only at the looks that its ``screen`` leaves, if it has one. ``tell`` is told how many runs are done, after each.
    """
    runs, batches = cells.shape[:2]
    looks = np.ones((runs, batches), dtype=bool) if screen is None else screen(cells.cumsum(axis=1))
    at_batch = [0] * batches
    for number, (run, asked) in enumerate(zip(cells, looks, strict=True), start=1):
        first = _first_promotion(run, np.flatnonzero(asked).tolist(), trial)
        if first is not None:
            at_batch[first] += 1
        if tell:
            tell(number)
    return Promotions(runs, tuple(at_batch))


def _first_promotion(run: Ints, asked: Sequence[int], trial: Trial) -> int | None:
    """The first of these looks, counted from 0, at which somebody is promoted."""
    if not asked:
        return None
    evidence = evidence_of(run)
    days = [b.date for b in evidence[0].batches]
    return next((i for i in asked if trial([e.until(days[i]) for e in evidence])), None)
