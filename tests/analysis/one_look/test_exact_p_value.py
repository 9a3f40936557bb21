"""Fisher's exact test of more than two groups against enumeration, and against Fisher's own of two."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from analysis_examples import MODEST_COUNT, SLOW_PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from analysis.one_look.segments import exact_p_value
from analysis.tables.counts import Undefined

GROUPS = [
    [(3, 0), (1, 4), (2, 2)],
    [(5, 1), (0, 6), (3, 3), (2, 0)],
    [(9, 2), (4, 1), (1, 7)],
    [(2, 2), (2, 2), (2, 2)],
    [(0, 3), (1, 1), (6, 0), (1, 2), (0, 1)],
]


def enumerated(table: list[tuple[int, int]]) -> float:
    """The share of all ways to choose the first counts that give a table at most as likely as this one, in whole numbers."""
    sizes, total = [a + b for a, b in table], sum(a for a, _ in table)
    ways = [
        math.prod(math.comb(n, k) for n, k in zip(sizes, first, strict=True))
        for first in itertools.product(*(range(n + 1) for n in sizes))
        if sum(first) == total
    ]
    observed = math.prod(math.comb(a + b, a) for a, b in table)
    return sum(w for w in ways if w <= observed) / sum(ways)


@pytest.mark.parametrize("table", GROUPS)
def test_more_than_two_groups_against_enumeration_of_all_tables(table: list[tuple[int, int]]) -> None:
    """Within four Monte Carlo standard errors."""
    exact = enumerated(table)
    assert exact_p_value(table) == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 9_999) + 1e-4)


@pytest.mark.parametrize("table", [[(3, 1), (0, 6)], [(10, 2), (1, 9)], [(4, 4), (4, 4)], [(2, 0), (5, 0)]])
def test_two_groups_against_enumeration(table: list[tuple[int, int]]) -> None:
    assert exact_p_value(table) == pytest.approx(enumerated(table), rel=1e-9)
    assert exact_p_value([*table, (0, 0)]) == exact_p_value(table), "a group without a count is none"


def test_a_table_that_no_draw_equals_has_the_smallest_p_that_the_draws_can_give_and_the_likeliest_has_one() -> None:
    assert exact_p_value([(60, 0), (0, 60), (0, 50)]) == 1 / 10_000
    assert exact_p_value([(2, 2), (2, 2), (2, 2)]) == 1


def test_tables_that_are_equally_likely_count_whatever_the_rounding() -> None:
    """Three losses among three groups of 1000: one each is the only likelier table, of 1000^3 among C(3000, 3) ways."""
    exact = 1 - 1000**3 / math.comb(3000, 3)
    found = exact_p_value([(999, 1), (998, 2), (1000, 0)])
    assert found == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 9_999))


def test_less_than_two_groups_are_nothing_to_compare() -> None:
    for table in ([], [(3, 4)], [(3, 4), (0, 0)]):
        assert exact_p_value(table) == Undefined("fewer than two groups to compare")


def test_from_a_billion_rows_on_no_table_is_drawn() -> None:
    assert exact_p_value([(2, 0), (1, 3), (0, 10**9 - 6)]) == Undefined("too many rows for an exact test")
    assert exact_p_value([(2, 0), (1, 10**9 - 3)]) == Undefined("too many rows for an exact test")
    assert isinstance(exact_p_value([(2, 0), (1, 3), (0, 10**9 - 7)]), float)


@pytest.mark.parametrize("groups", [100, 101, 150])
def test_many_groups_are_drawn_in_parts_of_which_no_draw_is_lost(groups: int) -> None:
    """Beyond a hundred groups the 9 999 tables come in parts: the p of as many hypergeometric draws within four standard errors."""
    table = [(int(k), 5 - int(k)) for k in np.random.default_rng(1).binomial(5, 0.3, groups)]
    first, size = np.array([(a, a + b) for a, b in table]).T
    drawn = np.random.default_rng(2).multivariate_hypergeometric(size, first.sum(), size=9_999, method="marginals")
    likely = [special.gammaln(k + 1).sum(-1) + special.gammaln(size - k + 1).sum(-1) for k in (drawn, first)]
    other = np.mean(likely[0] >= likely[1] - 1e-7)
    assert 0 < other < 1
    assert exact_p_value(table) == pytest.approx(other, abs=4 * math.sqrt(2 * other * (1 - other) / 9_999))
    assert exact_p_value([(5, 0), (0, 5)] * (groups // 2)) == 1 / 10_000


def test_where_any_one_table_is_too_unlikely_for_a_float_they_are_still_told_apart() -> None:
    """Of 400 groups of 100 rows the likeliest table has a probability of about exp(-1000); the chi-square says .087."""
    table = [(int(k), 100 - int(k)) for k in np.random.default_rng(0).binomial(100, 0.5, 400)]
    chi_square = stats.chi2_contingency(table, correction=False).pvalue
    assert 0.05 < chi_square < 0.1
    assert exact_p_value(table) == pytest.approx(chi_square, abs=0.02)


def test_its_size_where_expected_counts_are_small() -> None:
    """400 seeded draws of four groups of 4, 6, 8 and 10 with one share: p < .05 in at most 5 %, and in some."""
    rng = np.random.default_rng(11)
    sizes = np.array([4, 6, 8, 10])
    found = [
        exact_p_value([(int(a), int(b)) for a, b in zip(k, sizes - k, strict=True)])
        for k in rng.binomial(sizes, 0.3, (400, 4))
    ]
    small = sum(p <= 0.05 for p in found if isinstance(p, float))
    assert stats.binomtest(small, 400, 0.05, alternative="greater").pvalue > 1e-3
    assert small > 5


@SLOW_PROPERTY
@given(st.lists(st.tuples(MODEST_COUNT, MODEST_COUNT), max_size=6))
def test_neither_the_order_of_groups_nor_that_of_the_two_counts_matters(table: list[tuple[int, int]]) -> None:
    found = exact_p_value(table)
    assert exact_p_value(table[::-1]) == exact_p_value([(b, a) for a, b in table]) == found
    assert isinstance(found, Undefined) or 0 <= found <= 1
