"""Marginal homogeneity of the table of predicted classes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from analysis_examples import HUGE, PROPERTY, oracle
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import SquareTable

from analysis.one_look.by_class import ByClass, by_class, marginal_tests
from analysis.one_look.class_metrics import ClassRecall, recall_by_class
from analysis.one_look.marginals import TableTest, stuart_maxwell
from analysis.tables.class_counts import ClassCounts
from analysis.tables.counts import Undefined

CASE = oracle("multiclass")
VISION = np.array(CASE["vision_stuart_1955"])


def square(cell: st.SearchStrategy[int]) -> st.SearchStrategy[np.ndarray]:
    return st.integers(2, 5).flatmap(lambda k: st.lists(cell, min_size=k * k, max_size=k * k)).map(_shaped)


def _shaped(cells: list[int]) -> np.ndarray:
    k = math.isqrt(len(cells))
    return np.array(cells).reshape(k, k)


FULL = square(st.integers(1, 300))
ANY = square(st.one_of(st.just(0), st.integers(0, 5), st.integers(0, 3000), st.just(HUGE)))


def test_stuarts_vision_data_against_the_oracle() -> None:
    found, known = stuart_maxwell(VISION), CASE["stuart_maxwell"]
    assert isinstance(found, TableTest)
    assert found.statistic == pytest.approx(known["chi2"], rel=1e-12)
    assert found.degrees_of_freedom == known["df"]
    assert found.p_value == pytest.approx(known["p"], rel=1e-9)


@PROPERTY
@given(FULL)
def test_against_statsmodels(table: np.ndarray) -> None:
    found, known = stuart_maxwell(table), SquareTable(table, shift_zeros=False).homogeneity("stuart_maxwell")
    assert isinstance(found, TableTest)
    assert found.statistic == pytest.approx(known.statistic, rel=1e-7, abs=1e-9)
    assert found.degrees_of_freedom == known.df
    assert found.p_value == pytest.approx(known.pvalue, rel=1e-6, abs=1e-12)


def test_a_single_swap_is_a_pair_of_classes() -> None:
    assert stuart_maxwell([[5, 1], [0, 3]]) == TableTest(1.0, 1, pytest.approx(stats.chi2.sf(1, 1)))


def test_with_two_classes_it_is_mcnemars_test() -> None:
    table = [[40, 5], [12, 30]]
    assert stuart_maxwell(table) == TableTest(pytest.approx(49 / 17), 1, pytest.approx(stats.chi2.sf(49 / 17, 1)))


def test_classes_that_are_never_swapped_with_others_count_for_themselves() -> None:
    """Two groups of two classes, and a class on which both models always agree: two tests of one degree of freedom."""
    table = np.zeros((5, 5))
    table[:2, :2], table[2:4, 2:4], table[4, 4] = [[40, 5], [12, 30]], [[3, 9], [1, 7]], 50
    found = stuart_maxwell(table)
    assert isinstance(found, TableTest)
    assert (found.statistic, found.degrees_of_freedom) == (pytest.approx(49 / 17 + 64 / 10), 2)


@pytest.mark.parametrize("table", [np.diag([3, 0, 5]), np.zeros((3, 3)), np.zeros((0, 0)), [[7]]])
def test_models_that_never_differ_have_no_test(table: object) -> None:
    assert stuart_maxwell(table) == Undefined("the two models never differ")  # type: ignore[arg-type]


def test_where_every_row_moves_the_same_way_each_counts() -> None:
    assert stuart_maxwell([[0, 7], [0, 0]]) == TableTest(7, 1, stats.chi2.sf(7, 1))


def test_a_p_value_far_below_the_last_digit_of_1_is_told() -> None:
    found = stuart_maxwell([[500, 10], [120, 400]])
    assert isinstance(found, TableTest)
    assert found.p_value == pytest.approx(stats.chi2.sf(110**2 / 130, 1), rel=1e-9)
    assert 0 < found.p_value < 1e-20


@pytest.mark.parametrize("table", [[[1, 2, 3], [4, 5, 6]], [1, 2], [[1, -1], [0, 2]], [[1, math.nan], [0, 2]]])
def test_what_is_no_square_table_of_counts_is_refused(table: object) -> None:
    with pytest.raises(ValueError, match="square table"):
        stuart_maxwell(table)  # type: ignore[arg-type]


@PROPERTY
@given(ANY, st.randoms(use_true_random=False))
def test_neither_the_order_of_the_classes_nor_that_of_the_models_matters(table: np.ndarray, random: object) -> None:
    order = list(range(len(table)))
    random.shuffle(order)  # type: ignore[attr-defined]
    found = stuart_maxwell(table)
    for other in (table.T, table[np.ix_(order, order)]):
        again = stuart_maxwell(other)
        if isinstance(found, TableTest):
            assert isinstance(again, TableTest)
            assert again.degrees_of_freedom == found.degrees_of_freedom
            assert again.statistic == pytest.approx(found.statistic, rel=1e-6, abs=1e-9)
            assert 0 <= found.p_value <= 1
            assert math.isfinite(found.statistic)
        else:
            assert again == found


def test_the_size_where_the_models_are_exchangeable() -> None:
    """1000 seeded tables of 400 rows and 4 classes: p < .05 in 5 %, within 4 standard errors and the chi-square's bias."""
    rng = np.random.default_rng(9)
    share = rng.dirichlet(np.full(4, 3.0), size=4) / 4
    share = (share + share.T) / 2
    tables = rng.multinomial(400, share.ravel(), size=1000).reshape(-1, 4, 4)
    rate = np.mean([stuart_maxwell(t).p_value < 0.05 for t in tables])  # type: ignore[union-attr]
    assert abs(rate - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 1000) + 0.005


def test_every_class_is_shown_with_holms_p_in_both_directions_or_why_not() -> None:
    counts = ClassCounts.of(
        {("ant", "ant", "bee"): 9, ("ant", "bee", "ant"): 2, ("bee", "ant", "bee"): 7, ("bee", "bee", "cat"): 1}.items()
    )
    shown, better, worse = by_class(counts), recall_by_class(counts), recall_by_class(counts.swap())
    assert list(shown) == ["ant", "bee", "cat"]
    for name in ("ant", "bee"):
        one, up, down = shown[name], better[name], worse[name]
        assert isinstance(one, ByClass)
        assert isinstance(up, ClassRecall)
        assert isinstance(down, ClassRecall)
        assert (one.pairs, one.champion, one.challenger) == (up.pairs, up.champion, up.challenger)
        assert (one.p_better, one.p_worse) == (up.adjusted_p_value, down.adjusted_p_value)
    assert shown["ant"].champion == pytest.approx(9 / 11)  # type: ignore[union-attr]
    assert shown["cat"] == Undefined("no labelled row of class cat")


def test_how_predictions_moved_is_tested_over_all_rows_labelled_or_not() -> None:
    counts = ClassCounts.of(
        {("a", "a", "b"): 9, ("b", "b", "a"): 2, ("a", "a", "a"): 30}.items(), {("b", "a"): 4}.items()
    )
    table = counts.predictions()
    assert table.sum() == 45
    assert marginal_tests(counts) == {"stuart_maxwell": stuart_maxwell(table)}
