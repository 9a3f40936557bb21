"""Newcombe's interval of a paired difference."""

from __future__ import annotations

import math
from typing import Any

import pytest
from analysis_examples import OUTCOMES, PROPERTY, oracle
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from analysis.tables.counts import PairedOutcomes, Undefined
from analysis.tables.intervals import Interval, newcombe


@pytest.mark.parametrize("case", oracle("paired_ci"), ids=lambda c: c["name"].split()[0])
def test_newcombe_against_the_oracle(case: dict[str, Any]) -> None:
    """The oracle's difference is first minus second, so its first is the challenger."""
    pairs = PairedOutcomes(case["only_first"], case["only_second"], case["n11"] + case["n00"])
    found = newcombe(pairs, case["n11"], confidence_level=1 - case["alpha"])
    assert isinstance(found, Interval)
    assert [found.low, found.high] == pytest.approx(case["computed"]["newcombe"], abs=1e-9)
    assert found.confidence_level == 1 - case["alpha"]
    assert found.low <= case["estimate"] <= found.high + 1e-12


def test_a_correlation_smaller_than_its_correction_is_none() -> None:
    """2 x 1 - 1 x 1 = 1 against 5 / 2: both shares are 3 of 5, so the limits are those of independent samples."""
    found = newcombe(PairedOutcomes(1, 1, 3), 2, confidence_level=0.95)
    low, high = proportion_confint(3, 5, 0.05, method="wilson")
    half = math.sqrt((0.6 - low) ** 2 + (high - 0.6) ** 2)
    assert isinstance(found, Interval)
    assert [found.low, found.high] == pytest.approx([-half, half], abs=1e-12)


@PROPERTY
@given(st.integers(0, 3000), st.integers(1, 3000), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_beside_a_model_that_is_always_right_it_is_made_of_wilsons_limits_as_statsmodels_has_them(
    wins: int, both_right: int, level: float
) -> None:
    """There is no correlation then."""
    n = wins + both_right
    found = newcombe(PairedOutcomes(wins, 0, both_right), both_right, confidence_level=level)
    (l1, _), (l2, u2) = (proportion_confint(k, n, 1 - level, method="wilson") for k in (n, both_right))
    new, old = 1.0, both_right / n
    assert isinstance(found, Interval)
    assert found.low == pytest.approx(new - old - math.hypot(new - l1, u2 - old), abs=1e-12)
    assert found.high == pytest.approx(new - old + (old - l2), abs=1e-12)


def test_without_rows_there_is_no_interval() -> None:
    assert isinstance(newcombe(PairedOutcomes(0, 0, 0), 0, confidence_level=0.9), Undefined)


def test_it_is_wider_at_a_higher_confidence_level_and_narrower_with_more_rows() -> None:
    def width(scale: int, level: float) -> float:
        found = newcombe(PairedOutcomes(12 * scale, 5 * scale, 83 * scale), 50 * scale, confidence_level=level)
        assert isinstance(found, Interval)
        return found.high - found.low

    assert width(1, 0.8) < width(1, 0.9) < width(1, 0.99)
    assert width(100, 0.9) == pytest.approx(width(1, 0.9) / 10, rel=0.1)


def test_a_large_sample_gives_walds_interval() -> None:
    found = newcombe(PairedOutcomes(52_000_000, 48_000_000, 900_000_000), 650_000_000, confidence_level=0.95)
    assert isinstance(found, Interval)
    half = 1.959963985 * math.sqrt(100_000_000 - 4_000_000**2 / 10**9) / 10**9
    assert [found.low, found.high] == pytest.approx([0.004 - half, 0.004 + half], abs=1e-7)


@PROPERTY
@given(OUTCOMES, st.floats(0, 1), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_the_interval_is_finite_around_the_estimate_and_mirrors_when_swapped(
    pairs: PairedOutcomes, share: float, level: float
) -> None:
    both_right = round(share * pairs.ties)
    found = newcombe(pairs, both_right, confidence_level=level)
    back = newcombe(pairs.swap(), both_right, confidence_level=level)
    if pairs.n == 0:
        assert isinstance(found, Undefined)
        return
    assert isinstance(found, Interval)
    assert isinstance(back, Interval)
    assert -1 - 1e-9 <= found.low <= (pairs.wins - pairs.losses) / pairs.n + 1e-12
    assert (pairs.wins - pairs.losses) / pairs.n - 1e-12 <= found.high <= 1 + 1e-9
    assert [back.low, back.high] == pytest.approx([-found.high, -found.low], abs=1e-9)


@pytest.mark.parametrize(("both_right", "level"), [(-1, 0.9), (8, 0.9), (3, 0.0), (3, 1.0)])
def test_rows_that_cannot_be_and_levels_beyond_0_and_1_are_refused(both_right: int, level: float) -> None:
    with pytest.raises(ValueError, match=r"both_right lies in \[0, ties\] and confidence_level in \(0, 1\)"):
        newcombe(PairedOutcomes(2, 1, 7), both_right, confidence_level=level)
