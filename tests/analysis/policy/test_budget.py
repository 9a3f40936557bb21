"""Error budgets: what a challenger may spend, by its place among all that were registered."""

from __future__ import annotations

import math

import numpy as np
import pytest
from analysis_examples import evidence
from scipy import stats

from analysis.any_look.eprocess import log_e_array
from analysis.evidence import Evidence
from analysis.policy import ErrorBudget, Policy
from analysis.policy.budget import Allowance, allowance
from analysis.tables.counts import PairedCounts
from analysis.verdict.judge import Verdict, judge


def alphas(budget: ErrorBudget, n: int, promotions: int = 0) -> list[float]:
    return [allowance(budget, 0.05, wave=j, order=j, promotions=promotions).alpha for j in range(1, n + 1)]


def test_a_family_shares_alpha_and_each_is_judged_at_all_of_it() -> None:
    assert alphas("family", 5) == [0.05] * 5


def test_the_allowances_of_a_reign_add_up_to_alpha() -> None:
    given = alphas("reign", 100_000)
    assert given[0] == pytest.approx(0.05 * 6 / math.pi**2)
    assert given[2] == pytest.approx(given[0] / 9)
    assert 0.05 * (1 - 1e-5) < sum(given) < 0.05


def test_the_allowances_of_a_programme_are_those_of_e_lond() -> None:
    """gamma_j = j^-1.6 / zeta(1.6) adds up to 1; every promotion before raises what comes after."""
    given = alphas("programme", 100_000)
    assert given[1] / given[0] == pytest.approx(2**-1.6)
    tail = (100_000.5**-0.6 / 0.6) / 2.2857656
    assert sum(given) / 0.05 + tail == pytest.approx(1, abs=1e-5)
    assert alphas("programme", 3, promotions=2) == pytest.approx([3 * a for a in given[:3]])


@pytest.mark.parametrize("orders", [(0, 1, 0), (2, 1, 0), (1, 1, -1)])
def test_orders_count_from_one(orders: tuple[int, int, int]) -> None:
    in_reign, order, promotions = orders
    with pytest.raises(ValueError, match="need 1 <= wave <= order and promotions >= 0, not wave "):
        allowance("reign", 0.05, wave=in_reign, order=order, promotions=promotions)


def test_a_later_challenger_needs_more_evidence() -> None:
    good = [PairedCounts((1800, 10, 10, 30, 10, 4, 2, 150))] * 15
    policy = Policy(error_budget="reign", guardrails={})
    first = allowance("reign", 0.05, wave=1, order=1, promotions=0)
    tenth = allowance("reign", 0.05, wave=10, order=10, promotions=0)
    verdicts = []
    for given in (first, tenth):
        (a,) = judge([evidence(*good)], policy, seed=0, allowances={"2": given}).assessments
        assert a.alpha == given.alpha
        assert f"({1 / given.alpha:.4g} needed)" in next(c.finding for c in a.checks if c.name == "evidence")
        verdicts.append(a.verdict)
    assert verdicts == [Verdict.PROMOTE, Verdict.WAIT]


GOOD = [PairedCounts((1800, 10, 10, 30, 10, 6, 2, 150))] * 15
BAD = [PairedCounts((1800, 10, 10, 30, 10, 2, 9, 150))] * 15


def adjusted(budget: ErrorBudget, waves: tuple[int, int]) -> tuple[float, float]:
    """Of a good challenger beside a hopeless one: the adjusted and the plain log e-value."""
    both = [evidence(*GOOD, challenger="2"), evidence(*BAD, challenger="3")]
    given = {v: Allowance(0.05, 1, wave) for v, wave in zip(("2", "3"), waves, strict=True)}
    found = judge(both, Policy(guardrails={}, error_budget=budget), seed=0, allowances=given).assessments[0]
    return found.log_e_adjusted, found.measured.log_e


def test_challengers_that_came_at_once_are_closed_and_those_of_other_waves_have_paid_already() -> None:
    """Beside a hopeless challenger E is averaged."""
    for budget, waves, closed in (
        ("family", (1, 2), True), ("reign", (1, 1), True), ("reign", (1, 2), False), ("programme", (1, 1), False),
    ):  # fmt: skip
        with_others, alone = adjusted(budget, waves)  # type: ignore[arg-type]
        assert (with_others < alone) is closed
        assert closed or with_others == alone


def test_who_has_left_stays_in_its_wave() -> None:
    """Without it the best of several that came at once would be judged as if it had stood alone."""
    policy, given = Policy(guardrails={}), {"2": Allowance(0.05, 1, 1)}
    hopeless = evidence(*BAD, challenger="3")

    def log_e(*left: tuple[Evidence, Allowance]) -> float:
        return judge([evidence(*GOOD)], policy, seed=0, allowances=given, departed=left).assessments[0].log_e_adjusted

    both = judge([evidence(*GOOD), hopeless], policy, seed=0, allowances={**given, "3": Allowance(0.05, 1, 1)})
    assert log_e((hopeless, Allowance(0.05, 1, 1))) == both.assessments[0].log_e_adjusted < log_e()
    assert log_e((hopeless, Allowance(0.01, 2, 2))) == log_e()


def test_thresholds_that_are_tuned_again_after_every_wait_promote_an_equal_model_in_at_most_alpha_of_the_reigns() -> (
    None
):
    """A new contender every eight weeks for two years, 100 positives a week, 400 reigns; at full alpha each .13 would be."""
    rng, hits = np.random.default_rng(3), np.zeros(2)
    for _ in range(400):
        wins = rng.binomial(10, 0.5, size=(13, 8)).cumsum(axis=1)
        log_e = log_e_array(wins, 10 * np.arange(1, 9) - wins, 0)
        own = [math.log(1 / allowance("reign", 0.05, wave=j, order=j, promotions=0).alpha) for j in range(1, 14)]
        hits += [(log_e.max(axis=1) >= own).any(), (log_e.max() >= math.log(20))]
    by_reign, by_family = (stats.binomtest(int(n), 400).proportion_ci(0.998) for n in hits)
    assert by_reign.low <= 0.05
    assert by_family.low > 0.05
