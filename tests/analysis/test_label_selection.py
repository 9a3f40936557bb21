"""Whether labels follow the decisions."""

from __future__ import annotations

import numpy as np
import pytest
from analysis_examples import COUNTS, SLOW_PROPERTY
from hypothesis import given
from scipy import stats

from analysis.counts import PairedCounts, Undefined
from analysis.freeman_halton import freeman_halton
from analysis.labels import label_selection_p_value, label_share_p_value


def counts(champion_only: tuple[int, int], challenger_only: tuple[int, int]) -> PairedCounts:
    """(labelled, unlabelled) rows flagged by one model alone, among many on which the two agree."""
    (c, no_c), (h, no_h) = champion_only, challenger_only
    return PairedCounts((500, h // 3, c // 4, 40, 30, h - h // 3, c - c // 4, 60), (900, no_h, no_c, 80))


@pytest.mark.parametrize(
    ("champion_only", "challenger_only"),
    [((30, 10), (20, 20)), ((100, 3), (60, 50)), ((5, 0), (0, 5)), ((40, 9), (38, 11))],
)
def test_few_rows_against_fisher_by_the_hypergeometric_distribution(
    champion_only: tuple[int, int], challenger_only: tuple[int, int]
) -> None:
    (a, b), (c, d) = champion_only, challenger_only
    pmf = stats.hypergeom(a + b + c + d, a + c, a + b).pmf(np.arange(a + b + 1))
    expected = pmf[pmf <= pmf[a] * (1 + 1e-9)].sum()
    assert label_selection_p_value(counts(champion_only, challenger_only)) == pytest.approx(expected)


def test_many_rows_against_the_two_sample_z_test() -> None:
    """Above 10 000 rows the chi-square is the square of the pooled two-sample z."""
    (a, b), (c, d) = (6000, 1000), (5900, 1100)
    share = (a + c) / (a + b + c + d)
    z = (a / (a + b) - c / (c + d)) / (share * (1 - share) * (1 / (a + b) + 1 / (c + d))) ** 0.5
    found = label_selection_p_value(counts((a, b), (c, d)))
    assert found == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-9)
    assert found == pytest.approx(stats.fisher_exact([[a, c], [b, d]]).pvalue, rel=0.1)


@pytest.mark.parametrize(("champion_only", "challenger_only"), [((10_000, 20), (50, 1)), ((1_000_000, 200), (100, 1))])
def test_many_rows_of_which_few_are_unlabelled_against_fisher(
    champion_only: tuple[int, int], challenger_only: tuple[int, int]
) -> None:
    """Where a tenth of a row is expected, one row is no proof, however many rows there are in all."""
    expected = stats.fisher_exact([champion_only, challenger_only]).pvalue
    assert label_selection_p_value(counts(champion_only, challenger_only)) == pytest.approx(expected, rel=0.2)


def test_rows_on_which_the_models_agree_do_not_matter() -> None:
    few = PairedCounts((0, 10, 12, 0, 0, 5, 8, 0), (0, 6, 20, 0))
    assert label_selection_p_value(few + PairedCounts((900, 0, 0, 9, 7, 0, 0, 70), (50, 0, 0, 5))) == (
        label_selection_p_value(few)
    )


def test_labels_that_follow_the_champion_are_found_and_equal_shares_are_not() -> None:
    found, equal = (
        label_selection_p_value(counts((90, 10), (40, 60))),
        label_selection_p_value(counts((70, 30), (70, 30))),
    )
    assert isinstance(found, float)
    assert isinstance(equal, float)
    assert found < 1e-6
    assert equal > 0.99


@pytest.mark.parametrize(
    ("champion_only", "challenger_only", "reason"),
    [
        ((50, 0), (40, 0), "every row on which the two disagree is labelled"),
        ((50, 9), (0, 0), "only one of the two flags"),
        ((0, 0), (50, 9), "only one of the two flags"),
    ],
)
def test_where_there_is_nothing_to_compare_it_is_undefined(
    champion_only: tuple[int, int], challenger_only: tuple[int, int], reason: str
) -> None:
    found = label_selection_p_value(counts(champion_only, challenger_only))
    assert isinstance(found, Undefined)
    assert reason in found.reason


def test_nothing_labelled_at_all_is_no_sign_of_selection() -> None:
    assert label_selection_p_value(counts((0, 40), (0, 70))) == 1
    assert label_selection_p_value(counts((0, 40_000), (0, 70_000))) == 1


def test_the_size_of_the_test_under_labels_at_random() -> None:
    """1000 seeded draws with the same labelling rate: p < .05 in at most 5 % (Fisher's test is conservative)."""
    rng = np.random.default_rng(2)
    small = 0
    for _ in range(1000):
        c, h = (int(n) for n in rng.binomial(60, 0.7, size=2))
        p = label_selection_p_value(counts((c, 60 - c), (h, 60 - h)))
        small += isinstance(p, float) and p < 0.05
    assert stats.binomtest(small, 1000).proportion_ci(0.998).low <= 0.05
    assert small > 5


def cells(*rows: tuple[int, int]) -> PairedCounts:
    """(labelled, unlabelled) rows in each cell of (champion, challenger), a third of the labels positive."""
    labelled = [a - a // 3 for a, _ in rows] + [a // 3 for a, _ in rows]
    return PairedCounts(tuple(labelled), tuple(u for _, u in rows))  # type: ignore[arg-type]


def test_the_shares_of_all_four_cells_against_the_sum_of_squared_z_values() -> None:
    """Chi-square with 3 df: the sum over cells of n (share - mean share)^2 / (mean share (1 - mean share))."""
    rows = ((900, 100), (80, 20), (70, 30), (190, 10))
    n, labelled = np.array([a + u for a, u in rows]), np.array([a for a, _ in rows])
    share = labelled.sum() / n.sum()
    statistic = (n * (labelled / n - share) ** 2).sum() / (share * (1 - share))
    assert label_share_p_value(cells(*rows)) == pytest.approx(stats.chi2.sf(statistic, 3), rel=1e-9)


@pytest.mark.parametrize("empty", range(4))
def test_a_cell_without_rows_takes_its_degree_of_freedom_with_it(empty: int) -> None:
    rows = [(90, 20), (80, 40), (70, 30), (100, 25)]
    rows[empty] = (0, 0)
    table = [r for r in rows if r != (0, 0)]
    expected = stats.chi2_contingency(table, correction=False)
    assert expected.dof == 2
    assert label_share_p_value(cells(*rows)) == pytest.approx(expected.pvalue)


def test_two_cells_are_enough_and_one_counts_whose_rows_are_all_labelled_and_half_of_them_positive() -> None:
    two = ((90, 20), (0, 0), (0, 0), (100, 60))
    expected = stats.chi2_contingency([two[0], two[3]], correction=False).pvalue
    assert label_share_p_value(cells(*two)) == pytest.approx(expected)
    even = PairedCounts((60, 40, 0, 0, 30, 40, 0, 0), (20, 0, 0, 0))
    expected = stats.chi2_contingency([(90, 20), (80, 0)], correction=False).pvalue
    assert label_share_p_value(even) == pytest.approx(expected)


def test_with_an_expected_count_below_five_the_shares_are_tested_exactly_and_with_five_not() -> None:
    few = ((30, 20), (3, 6), (5, 4), (30, 22))
    assert label_share_p_value(cells(*few)) == freeman_halton(few)
    five = ((30, 30), (4, 6), (5, 5), (31, 29))
    assert label_share_p_value(cells(*five)) == stats.chi2_contingency(five, correction=False).pvalue


def test_labels_that_favour_what_both_flag_favour_neither_model() -> None:
    """The four cells differ beyond doubt, the two on which the models disagree not at all."""
    harmless = cells((500, 500), (60, 40), (60, 40), (190, 10))
    share, selection = label_share_p_value(harmless), label_selection_p_value(harmless)
    assert isinstance(share, float)
    assert share < 1e-6
    assert selection == 1


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (cells((50, 0), (9, 0), (8, 0), (7, 0)), "every row is labelled"),
        (PairedCounts(), "every row is labelled"),
        (cells((0, 50), (0, 9), (0, 8), (0, 7)), "no row is labelled"),
        (cells((50, 9), (0, 0), (0, 0), (0, 0)), "all rows have the same pair of decisions"),
    ],
)
def test_where_no_shares_can_differ_they_are_not_tested(table: PairedCounts, reason: str) -> None:
    assert label_share_p_value(table) == Undefined(reason)


def test_the_size_of_the_test_of_shares_under_labels_at_random() -> None:
    """2000 seeded draws with one labelling rate: p < .05 in about 5 %."""
    rng = np.random.default_rng(8)
    n = np.array([400, 30, 25, 90])
    found = [
        label_share_p_value(cells(*((int(a), int(u)) for a, u in zip(k, n - k, strict=True))))
        for k in rng.binomial(n, 0.7, (2000, 4))
    ]
    interval = stats.binomtest(sum(p < 0.05 for p in found if isinstance(p, float)), 2000).proportion_ci(0.998)
    assert interval.low <= 0.05 <= interval.high


@SLOW_PROPERTY
@given(COUNTS)
def test_the_test_of_shares_is_a_share_or_undefined_and_symmetric(table: PairedCounts) -> None:
    there, back = label_share_p_value(table), label_share_p_value(table.swap())
    if isinstance(there, Undefined):
        assert back == there
    else:
        assert 0 <= there <= 1
        assert back == pytest.approx(there, rel=1e-6, abs=1e-12)


@SLOW_PROPERTY
@given(COUNTS)
def test_it_is_a_share_or_undefined_and_symmetric(table: PairedCounts) -> None:
    there, back = label_selection_p_value(table), label_selection_p_value(table.swap())
    if isinstance(there, Undefined):
        assert back == there
    else:
        assert 0 <= there <= 1
        assert back == pytest.approx(there, rel=1e-6, abs=1e-12)
