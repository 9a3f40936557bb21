"""Error budgets: what a challenger may spend, by its place among all that were registered."""

from __future__ import annotations

import math

import pytest
from analysis_examples import evidence

from analysis.budget import allowance
from analysis.counts import PairedCounts
from analysis.judge import Verdict, judge
from analysis.policy import ErrorBudget, Policy


def alphas(budget: ErrorBudget, n: int, promotions: int = 0) -> list[float]:
    return [allowance(budget, 0.05, order_in_reign=j, order=j, promotions=promotions).alpha for j in range(1, n + 1)]


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
    with pytest.raises(ValueError, match="orders count from 1"):
        allowance("reign", 0.05, order_in_reign=in_reign, order=order, promotions=promotions)


def test_a_later_challenger_needs_more_evidence() -> None:
    good = [PairedCounts((1800, 10, 10, 30, 10, 4, 2, 150))] * 15
    policy = Policy(error_budget="reign", guardrails={})
    first = allowance("reign", 0.05, order_in_reign=1, order=1, promotions=0)
    tenth = allowance("reign", 0.05, order_in_reign=10, order=10, promotions=0)
    verdicts = []
    for given in (first, tenth):
        (a,) = judge([evidence(*good)], policy, seed=0, allowances={"2": given}).assessments
        assert a.alpha == given.alpha
        assert f"({1 / given.alpha:g} needed)" in next(c.finding for c in a.checks if c.name == "evidence")
        verdicts.append(a.verdict)
    assert verdicts == [Verdict.PROMOTE, Verdict.WAIT]


def test_only_a_family_is_closed() -> None:
    """Beside a hopeless challenger E is averaged in a family; a reign's budget has paid for that already."""
    tables = (
        [PairedCounts((1800, 10, 10, 30, 10, 6, 2, 150))] * 15,
        [PairedCounts((1800, 10, 10, 30, 10, 2, 9, 150))] * 15,
    )
    both = [evidence(*t, challenger=v) for t, v in zip(tables, ("2", "3"), strict=True)]
    family = judge(both, Policy(guardrails={}), seed=0).assessments[0]
    reign = judge(both, Policy(guardrails={}, error_budget="reign"), seed=0).assessments[0]
    assert family.log_e_adjusted < family.measured.log_e
    assert reign.log_e_adjusted == reign.measured.log_e == family.measured.log_e
