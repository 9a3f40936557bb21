"""Segments: the difference within each, and whether it is the same everywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from analysis.one_look.segments import (
    Segment,
    exact_homogeneity_p_value,
    exact_p_value,
    homogeneity_p_value,
    paired_interval,
    reversals,
    segment_forest,
)
from analysis.tables.counts import PairedCounts, PairedOutcomes, Undefined
from analysis.tables.intervals import Interval, newcombe

NORTH = PairedCounts((80, 3, 6, 9, 10, 14, 5, 40))
SOUTH = PairedCounts((50, 2, 2, 5, 4, 3, 9, 30))
NO_POSITIVES = PairedCounts((50, 2, 2, 5, 0, 0, 0, 0))
FOREST = segment_forest(
    {("region", "north"): NORTH, ("region", "south"): SOUTH, ("size", "small"): NO_POSITIVES, ("size", "big"): NORTH},
    "recall",
    confidence_level=0.9,
)


def segment(value: str, wins: int, losses: int) -> Segment:
    return Segment("region", value, PairedOutcomes(wins, losses, 10), 0.0, Interval(-1, 1, 0.9))


def test_the_interval_of_each_metric_is_newcombes_over_its_own_rows() -> None:
    for name, outcomes, both_right in [
        ("recall", PairedOutcomes(14, 5, 50), 40),
        ("specificity", PairedOutcomes(6, 3, 89), 80),
        ("accuracy", PairedOutcomes(20, 8, 139), 120),
    ]:
        expected = newcombe(outcomes, both_right, confidence_level=0.9)
        assert paired_interval(NORTH, name, confidence_level=0.9) == expected  # type: ignore[arg-type]


def test_the_forest_has_every_segment_with_a_row_to_compare_on() -> None:
    assert [(s.column, s.value) for s in FOREST] == [("region", "north"), ("region", "south"), ("size", "big")]
    north = FOREST[0]
    assert north.difference == pytest.approx((14 - 5) / 69)
    assert north.pairs == NORTH.outcomes("recall")
    assert north.interval == paired_interval(NORTH, "recall", confidence_level=0.9)
    assert segment_forest({}, "recall", confidence_level=0.9) == []


def test_the_pooled_difference_is_the_weighted_mean_of_the_segments() -> None:
    """For recall no reversal between segments and the whole is possible."""
    north, south = FOREST[:2]
    pooled = (NORTH + SOUTH).outcomes("recall")
    mean = (north.difference * north.pairs.n + south.difference * south.pairs.n) / pooled.n
    assert (pooled.wins - pooled.losses) / pooled.n == pytest.approx(mean)


def test_homogeneity_against_the_two_sample_z_test() -> None:
    """With two segments the chi-square is the square of the pooled z of the win shares."""
    found = homogeneity_p_value(FOREST, "region")
    share = 17 / 31
    z = (14 / 19 - 3 / 12) / math.sqrt(share * (1 - share) * (1 / 19 + 1 / 12))
    assert found == pytest.approx(2 * stats.norm.sf(abs(z)))


def test_homogeneity_against_overdispersion_free_simulation() -> None:
    """Three segments with the same win share: p < .05 in about 5 % of 2000 seeded draws."""
    rng = np.random.default_rng(6)
    small = 0
    for _ in range(2000):
        wins = rng.binomial([40, 60, 80], 0.6)
        p = homogeneity_p_value(
            [segment(str(i), int(w), int(d - w)) for i, (w, d) in enumerate(zip(wins, (40, 60, 80), strict=True))],
            "region",
        )
        assert isinstance(p, float)
        small += p < 0.05
    assert abs(small / 2000 - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 2000) + 0.003


@pytest.mark.parametrize(
    ("forest", "reason"),
    [
        ([], "fewer than two segments"),
        ([segment("north", 30, 20)], "fewer than two segments"),
        ([segment("north", 30, 20), segment("south", 0, 0)], "fewer than two segments"),
        ([segment("north", 30, 0), segment("south", 20, 0)], "fewer than two segments"),
        ([segment("north", 30, 20), segment("south", 3, 2)], "expected counts below 5"),
        ([segment("north", 30, 2), segment("south", 40, 3)], "expected counts below 5"),
        ([segment("north", 2, 30), segment("south", 3, 40)], "expected counts below 5"),
    ],
)
def test_without_enough_disagreements_homogeneity_is_undefined(forest: list[Segment], reason: str) -> None:
    found = homogeneity_p_value(forest, "region")
    assert isinstance(found, Undefined)
    assert reason in found.reason


@pytest.mark.parametrize(
    ("few", "table"),
    [
        ([segment("n", 8, 1), segment("s", 2, 5)], [(8, 1), (2, 5)]),
        ([segment("n", 8, 1), segment("s", 2, 5), segment("e", 1, 3)], [(8, 1), (2, 5), (1, 3)]),
        ([segment("n", 8, 1), segment("s", 2, 5), segment("e", 0, 0)], [(8, 1), (2, 5)]),
        ([segment("n", 6, 0), segment("s", 0, 5)], [(6, 0), (0, 5)]),
    ],
)
def test_with_few_disagreements_homogeneity_is_tested_exactly(few: list[Segment], table: list[tuple[int, int]]) -> None:
    assert homogeneity_p_value(few, "region") == Undefined("expected counts below 5")
    assert exact_homogeneity_p_value(few, "region") == exact_p_value(table)


def test_with_many_disagreements_the_exact_test_says_what_the_chi_square_says() -> None:
    forest = [segment("n", 300, 210), segment("s", 160, 150), segment("e", 90, 70)]
    chi_square = homogeneity_p_value(forest, "region")
    assert exact_homogeneity_p_value(forest, "region") == pytest.approx(chi_square, abs=0.03)


@pytest.mark.parametrize(
    "forest",
    [
        [segment("north", 3, 2)],
        [segment("north", 3, 2), segment("south", 0, 0)],
        [segment("north", 3, 0), segment("south", 2, 0)],
        [segment("north", 0, 3), segment("south", 0, 2)],
    ],
)
def test_where_there_is_no_win_share_to_compare_the_exact_test_is_undefined_too(forest: list[Segment]) -> None:
    found = exact_homogeneity_p_value(forest, "region")
    assert found == homogeneity_p_value(forest, "region")
    assert found == Undefined("fewer than two segments with disagreements to compare")


def test_segments_of_another_column_do_not_matter() -> None:
    other = Segment("size", "big", PairedOutcomes(5, 95, 0), -0.9, Interval(-1, 1, 0.9))
    forest = [segment("north", 30, 20), segment("south", 20, 30)]
    assert homogeneity_p_value([*forest, other], "region") == homogeneity_p_value(forest, "region")
    assert exact_homogeneity_p_value([*forest, other], "region") == exact_homogeneity_p_value(forest, "region")
    assert isinstance(homogeneity_p_value([*forest, other], "size"), Undefined)


def test_expected_counts_of_exactly_five_are_enough() -> None:
    assert isinstance(
        homogeneity_p_value([segment("n", 5, 5), segment("s", 6, 4), segment("e", 4, 6)], "region"), float
    )


def test_a_total_that_contradicts_each_of_its_segments_is_found() -> None:
    """Simpson 1951: precision falls in either region (.90 to .89, .20 to .19) and rises in the total.

    The challenger flags more where precision is high, and less where it is low.
    """
    high = PairedCounts((0, 100, 0, 10, 0, 800, 0, 90))
    low = PairedCounts((0, 0, 719, 81, 0, 0, 181, 19))
    found = reversals({("region", "a"): high, ("region", "b"): low, ("size", "all"): high + low})
    assert {(r.metric, r.column) for r in found} >= {("precision", "region")}
    assert all(r.column == "region" for r in found)
    pooled = next(r.pooled for r in found if r.metric == "precision")
    assert pooled == pytest.approx((890 + 19) / 1100 - (90 + 200) / (100 + 1000))


def test_a_reversal_of_npv_is_found_where_the_challenger_flags_nothing_and_has_no_precision() -> None:
    """The champion's unflagged rows are negative a little more often than all rows in either region, and far less in the total."""
    a = PairedCounts((91, 0, 809, 0, 9, 0, 91, 0))
    b = PairedCounts((181, 0, 19, 0, 719, 0, 81, 0))
    (found,) = reversals({("region", "a"): a, ("region", "b"): b})
    assert (found.metric, found.column) == ("npv", "region")
    assert found.pooled == pytest.approx(1100 / 2000 - 272 / 1000)


def test_one_segment_that_agrees_with_the_total_or_equals_it_is_no_reversal() -> None:
    high = PairedCounts((0, 100, 0, 10, 0, 800, 0, 90))
    low = PairedCounts((0, 0, 719, 81, 0, 0, 181, 19))
    agrees = PairedCounts((0, 1, 10, 10, 0, 10, 5, 10))
    equal = PairedCounts((10, 0, 0, 10, 0, 0, 0, 10))
    empty = PairedCounts((10, 0, 0, 0, 0, 0, 0, 0))
    both = {("region", "a"): high, ("region", "b"): low}
    for third in (agrees, equal):
        found = reversals({**both, ("region", "c"): third})
        assert all(r.metric != "precision" for r in found)
    assert reversals({("region", "a"): high, ("region", "c"): empty}) == []
    lonely_first = {("area", "x"): high, ("region", "a"): high, ("region", "b"): low}
    assert {r.column for r in reversals(lonely_first)} == {"region"}
    assert any(r.metric == "precision" for r in reversals({**both, ("region", "c"): empty}))
