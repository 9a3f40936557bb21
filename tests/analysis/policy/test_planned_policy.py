"""A declared horizon: group-sequential boundaries on disagreements, and an end that cannot be moved."""

from __future__ import annotations

import math

import numpy as np
import pytest
from analysis_examples import evidence
from scipy import stats

from analysis.any_look.group_sequential import boundaries
from analysis.policy import Horizon, Policy
from analysis.policy.planned import PlannedLook, planned_look
from analysis.tables.counts import PairedCounts, PairedOutcomes
from analysis.verdict.judge import Verdict, judge

HORIZON = Horizon(disagreements=100, spending="pocock")
POLICY = Policy(horizon=HORIZON, guardrails={})


def pairs(wins: int, losses: int) -> PairedOutcomes:
    return PairedOutcomes(wins, losses, 50)


def table(wins: int, losses: int) -> PairedCounts:
    return PairedCounts((1800, 10, 10, 30, 10, wins, losses, 150))


def test_a_look_is_that_of_the_boundaries_at_the_disagreements_seen() -> None:
    found = planned_look([pairs(12, 8), pairs(0, 0), pairs(20, 10)], HORIZON, alpha=0.05)
    assert found is not None
    assert found.fraction == 0.5
    assert found.z == pytest.approx((32 - 18) / math.sqrt(50))
    assert found.boundary == boundaries([0.2, 0.5], alpha=0.05, spending="pocock")[-1]
    assert (found.crossed, found.over) == (found.z >= found.boundary, False)


def test_without_a_disagreement_there_is_no_look() -> None:
    assert planned_look([pairs(0, 0)], HORIZON, alpha=0.05) is None
    (a,) = judge([evidence(*[table(0, 0)] * 5)], POLICY, seed=0).assessments
    assert "has not begun" in next(c.finding for c in a.checks if c.name == "evidence")


def test_nothing_after_the_end_is_looked_at() -> None:
    until = [pairs(26, 24), pairs(30, 25)]
    end = planned_look(until, HORIZON, alpha=0.05)
    assert end is not None
    assert end.over
    assert end.fraction == 1
    assert planned_look([*until, pairs(90, 0)], HORIZON, alpha=0.05) == end


def test_a_plan_that_ends_without_proof_retires_the_challenger() -> None:
    (a,) = judge([evidence(*[table(13, 12)] * 5)], POLICY, seed=0).assessments
    assert a.verdict is Verdict.RETIRE
    assert "the declared horizon is over" in a.reasons[0]
    assert a.forecast is None


def test_a_challenger_that_crosses_is_promoted_at_once() -> None:
    (a,) = judge([evidence(*[table(14, 3)] * 4)], POLICY, seed=0).assessments
    assert a.verdict is Verdict.PROMOTE
    assert "of the declared horizon z is" in next(c.finding for c in a.checks if c.name == "evidence")


def test_a_family_divides_alpha_evenly() -> None:
    family = [evidence(*[table(8, 7)] * 4, challenger=str(v)) for v in (2, 3, 4, 5)]
    assert {a.alpha for a in judge(family, POLICY, seed=0).assessments} == {0.05 / 4}


@pytest.mark.parametrize("spending", ["obrien-fleming", "pocock"])
def test_equal_models_cross_with_probability_alpha_at_most(spending: str) -> None:
    horizon = Horizon(disagreements=260, spending=spending)  # type: ignore[arg-type]
    rng = np.random.default_rng(4)
    runs, seen = 400, 10 * np.arange(1, 27)
    limits = np.array(boundaries(list(seen / 260), alpha=0.05, spending=horizon.spending))
    wins = rng.binomial(10, 0.5, size=(runs, 26))
    z = (2 * wins.cumsum(axis=1) - seen) / np.sqrt(seen)
    hits = int(np.any(z >= limits, axis=1).sum())
    batches = [pairs(int(w), int(10 - w)) for w in wins[0]]
    last = planned_look(batches, horizon, alpha=0.05)
    assert last is not None
    assert last.boundary == pytest.approx(limits[-1])
    assert hits <= stats.binom.ppf(0.999, runs, 0.055)


def test_a_boundary_is_crossed_where_it_is_reached() -> None:
    assert PlannedLook(0.5, 2.0, 2.0).crossed
    assert not PlannedLook(0.5, 1.99, 2.0).crossed
