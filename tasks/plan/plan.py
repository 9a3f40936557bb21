"""A plan: the project's own policy at its own volumes, simulated before or while it decides about real models."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from analysis.policy import Policy
from analysis.policy.budget import Allowance, allowance
from analysis.seasons.screens import Screen, screen_of_policy, screen_of_rule
from analysis.seasons.season import DETHRONE, NAIVE_RULES
from analysis.seasons.simulate import Promotions, Scenario, Trial, draw, play, trial_of_policy, trial_of_rule
from analysis.tables.record import digest
from tasks.base.project import Project
from tasks.batches.predictions import manifests
from tasks.decisions.registrations import registrations
from tasks.plan.plan_sizes import Sizes, sizes
from tasks.plan.plan_volumes import Basis, PlanError, Volumes, basis
from tasks.reigns import reigns
from tasks.store import Store

__all__ = ["Course", "Plan", "Question", "make_plan"]

_SILENCE = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be simulated. ``gains`` None means no gain, the smallest that matters, and two larger ones."""

    batches: int
    runs: int
    gains: tuple[float, ...] | None
    challengers: int
    seed: int
    said: Volumes


@dataclass(frozen=True, slots=True)
class Course:
    """What became of challengers that are better by ``gain``, under every rule, and how many rows a proof of that takes."""

    gain: float
    scenario: Scenario
    rules: Mapping[str, Promotions]
    sizes: Sizes | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The question, what the simulation rests on, and a course for every gain, from the smallest to the largest."""

    question: Question
    as_of: date
    basis: Basis
    alphas: tuple[float, ...]
    courses: tuple[Course, ...]

    @property
    def equal(self) -> Course:
        """The course of an equal challenger."""
        return next(c for c in self.courses if c.gain == 0)


def make_plan(
    store: Store,
    project: Project,
    question: Question,
    as_of: date,
    progress: Callable[[str], None],
    clock: Callable[[], float] = lambda: 0.0,
) -> Plan:
    """Simulate; nothing is written. Raises PlanError.

    ``progress`` is told of each rule at each gain, and how far it is whenever ten seconds have passed by the ``clock``.
    """
    _check(question)
    allowances = _allowances(store, project, question.challengers)
    try:
        ours = _Contestant(trial_of_policy(project.policy, allowances), screen_of_policy(project.policy, allowances))
        naive = {name: _Contestant(trial_of_rule(rule), screen_of_rule(rule)) for name, rule in NAIVE_RULES.items()}
        contestants = {DETHRONE: ours, **naive}
        assumed = basis(store, project, question.said, as_of)
        grid = _grid(assumed.scenario, project.policy, question.gains)
    except ValueError as error:
        msg = f"project {project.name} cannot be simulated: {error}"
        raise PlanError(msg) from None
    alphas = tuple(a.alpha for a in allowances.values())
    told = _Progress(progress, clock, len(grid) * len(contestants) * question.runs)
    told.say(f"{len(grid)} gains and {len(contestants)} rules, {question.runs} runs of {question.batches} batches each")
    courses = tuple(
        _course(gain, scenario, contestants, question, sizes(scenario, project.policy, alphas[0]), told)
        for gain, scenario in grid.items()
    )
    return Plan(question, as_of, assumed, alphas, courses)


def _check(question: Question) -> None:
    least = {"batches": 1, "runs": 1, "challengers": 1, "seed": 0}
    for name, value in least.items():
        if getattr(question, name) < value:
            msg = f"{name} must be at least {value}, not {getattr(question, name)}"
            raise PlanError(msg)


def _grid(scenario: Scenario, policy: Policy, gains: Sequence[float] | None) -> dict[float, Scenario]:
    """The scenario of each gain, and of no gain; a default gain that the champion leaves no room for is left out."""
    least = policy.min_gain if policy.primary != "cost" else 0.0
    scenarios = {0.0: scenario.improved(policy.primary, 0.0)}
    for gain in gains if gains is not None else (least or 0.01, least + 0.02, least + 0.05):
        try:
            scenarios[round(gain, 9) + 0.0] = scenario.improved(policy.primary, round(gain, 9))
        except ValueError:
            if gains is not None:
                raise
    return dict(sorted(scenarios.items()))


@dataclass(frozen=True, slots=True)
class _Contestant:
    """A rule as it is played: what it decides at a look, and the looks at which it has to be asked; None: all."""

    trial: Trial
    screen: Screen | None


class _Progress:
    """Tells what is done of ``work`` simulated runs over all rules and gains: when a rule is through, and else every ten seconds."""

    def __init__(self, tell: Callable[[str], None], clock: Callable[[], float], work: int) -> None:
        self._tell, self._clock, self._work = tell, clock, work
        self._done, self._told = 0, clock()

    def run(self, number: int, *, what: str, runs: int) -> None:
        """One more run is done, the ``number``-th of so many of what is played now."""
        self._done += 1
        if number < runs and self._clock() - self._told >= _SILENCE:
            self.say(f"{what}: {number} of {runs} runs")

    def say(self, text: str) -> None:
        self._told = self._clock()
        self._tell(f"{text}; {self._done / self._work:.0%} of the plan is done")


def _course(
    gain: float,
    scenario: Scenario,
    contestants: Mapping[str, _Contestant],
    question: Question,
    needed: Sizes | None,
    told: _Progress,
) -> Course:
    """Every rule on the same batches, whose random numbers depend on the seed and the scenario alone."""
    rng = np.random.default_rng([question.seed, int(digest(scenario)[:12], 16)])
    cells = draw(scenario, runs=question.runs, batches=question.batches, challengers=question.challengers, rng=rng)
    rules = {}
    for name, contestant in contestants.items():
        what = f"gain {gain:g}, {name}"
        tell = functools.partial(told.run, what=what, runs=question.runs)
        rules[name] = play(cells, contestant.trial, contestant.screen, tell)
        told.say(f"{what}: promoted in {rules[name].promoted} of {question.runs} runs")
    return Course(gain, scenario, rules, needed)


def _allowances(store: Store, project: Project, challengers: int) -> dict[str, Allowance]:
    """What the next challengers to be registered may spend, by their versions in the simulation."""
    log = reigns(store, project.name)
    registered = registrations(sorted(manifests(store, project.name), key=lambda m: (m.date, m.batch)))
    waves = max((r.wave for r in registered if r.reign == log[-1].number), default=0) if log else 0
    promotions = sum(r.kind == "promotion" for r in log)
    return {
        str(j + 1): allowance(
            project.policy.error_budget,
            project.policy.alpha,
            wave=waves + 1,
            order=len(registered) + j,
            promotions=promotions,
        )
        for j in range(1, challengers + 1)
    }
