"""Average precision against scikit-learn; its bootstrap against resampling the rows and sorting them anew."""

from __future__ import annotations

import math

import numpy as np
import pytest
from analysis_examples import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score

from analysis.one_look.average_precision import PairedAveragePrecision, average_precision, paired_average_precision
from analysis.tables.counts import Undefined


def scored(rng: np.random.Generator, n: int, digits: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, and two scores that are equally good."""
    y = (rng.random(n) < 0.2).astype(int)
    latent = rng.standard_normal(n) + y
    a, b = (np.round(latent + rng.standard_normal(n), digits) for _ in range(2))
    return y, a, b


def compared(
    y: np.ndarray, a: np.ndarray, b: np.ndarray, *, seed: int = 1, level: float = 0.95, n: int = 400
) -> PairedAveragePrecision:
    found = paired_average_precision(y, a, b, rng=np.random.default_rng(seed), confidence_level=level, n_resamples=n)
    assert isinstance(found, PairedAveragePrecision)
    return found


@pytest.mark.parametrize("digits", [0, 1, 2, 9])
def test_a_value_is_that_of_scikit_learn_whatever_the_ties(digits: int) -> None:
    rng = np.random.default_rng(digits)
    for n in (3, 20, 1000):
        y, s, _ = scored(rng, n, digits)
        y[0] = 1
        assert average_precision(y, s) == pytest.approx(average_precision_score(y, s), abs=1e-14)


def test_a_value_by_hand() -> None:
    """Falling: a positive, then a tie of a positive and two negatives, then a positive: (1/1 + 2/4 + 3/5) / 3."""
    assert average_precision([1, 1, 0, 0, 1], [0.9, 0.5, 0.5, 0.5, 0.1]) == pytest.approx((1 + 2 / 4 + 3 / 5) / 3)


@pytest.mark.parametrize("digits", [0, 1, 9])
def test_a_whole_weight_is_so_many_copies_of_the_row_and_any_weight_scikit_learns(digits: int) -> None:
    rng = np.random.default_rng(10 + digits)
    y, s, _ = scored(rng, 500, digits)
    copies, weights = rng.integers(0, 4, 500), rng.random(500)
    repeated = average_precision_score(np.repeat(y, copies), np.repeat(s, copies))
    assert average_precision(y, s, copies) == pytest.approx(repeated, abs=1e-14)
    assert average_precision(y, s, weights) == pytest.approx(
        average_precision_score(y, s, sample_weight=weights), abs=1e-13
    )


def test_rows_without_weight_before_all_others_do_not_count() -> None:
    assert average_precision([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.6], [0, 0, 1, 1]) == 1.0


@PROPERTY
@given(st.lists(st.tuples(st.booleans(), st.integers(-5, 5)), min_size=1, max_size=40))
def test_only_the_order_of_the_scores_matters(rows: list[tuple[bool, int]]) -> None:
    y, s = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    found = average_precision(y, s)
    assert found == average_precision(y, np.exp(s))
    if isinstance(found, Undefined):
        assert not y.any()
    else:
        k = np.arange(1, y.sum() + 1)
        worst = np.mean(k / (len(y) - y.sum() + k))  # all positives last
        assert worst - 1e-12 <= found <= 1 + 1e-12
        assert average_precision(y[::-1], s[::-1]) == pytest.approx(found, abs=1e-12)


@pytest.mark.parametrize("digits", [1, 9])
def test_replicates_are_those_of_resampled_rows_that_are_sorted_anew(digits: int) -> None:
    """The same draws of rows, each scored by scikit-learn: interval and standard error to the last digits."""
    y, a, b = scored(np.random.default_rng(5), 150, digits)
    found = compared(y, a, b, seed=8, level=0.9, n=200)
    order, rng = np.argsort(-a, kind="stable"), np.random.default_rng(8)
    y, a, b = y[order], a[order], b[order]
    replicates = []
    for _ in range(200):
        i = rng.integers(150, size=150)
        replicates.append(average_precision_score(y[i], b[i]) - average_precision_score(y[i], a[i]))
    assert (found.interval.low, found.interval.high) == pytest.approx(np.quantile(replicates, [0.05, 0.95]), abs=1e-13)
    assert found.standard_error == pytest.approx(np.std(replicates, ddof=1), abs=1e-13)
    assert found.difference == found.challenger - found.champion
    assert found.champion == pytest.approx(average_precision_score(y, a))
    assert found.challenger == pytest.approx(average_precision_score(y, b))
    assert found.n_resamples == 200


def test_the_swapped_pair_is_the_mirror_within_monte_carlo_error() -> None:
    y, a, b = scored(np.random.default_rng(6), 300)
    there, back = compared(y, a, b, n=4000), compared(y, b, a, n=4000)
    assert back.difference == -there.difference
    assert back.standard_error == pytest.approx(there.standard_error, rel=0.06)
    error = 4 * math.sqrt(2 * 0.025 * 0.975 / 4000) * there.standard_error / stats.norm.pdf(1.96)
    assert back.interval.low == pytest.approx(-there.interval.high, abs=error)
    assert back.interval.high == pytest.approx(-there.interval.low, abs=error)


def test_the_interval_of_equal_scores_covers_zero_as_often_as_it_says_and_the_standard_error_is_the_spread() -> None:
    """300 data sets of 400 rows, 80 of them positive: a binomial bound on the coverage of 90 %."""
    rng, covered, differences, errors = np.random.default_rng(7), 0, [], []
    for seed in range(300):
        found = compared(*scored(rng, 400), seed=seed, level=0.9, n=150)
        covered += found.interval.low <= 0 <= found.interval.high
        differences.append(found.difference)
        errors.append(found.standard_error)
    assert stats.binomtest(covered, 300, 0.9).pvalue > 1e-3
    assert np.mean(errors) == pytest.approx(np.std(differences), rel=0.12)  # 3 standard errors of a spread of 300


@pytest.mark.parametrize(
    ("labels", "champion", "challenger", "reason"),
    [
        ([], [], [], "no labelled positive"),
        ([0, 0], [0.1, 0.2], [0.2, 0.1], "no labelled positive"),
        ([1, 0, 0, 0], [4, 3, 2, 1], [1, 2, 3, 4], "bootstrap replicates"),  # without the positive in 32 % of them
        ([1, 0] * 20, [0.9, 0.1] * 20, [0.8, 0.3] * 20, "no bootstrap replicate differs"),
    ],
)
def test_a_comparison_that_does_not_exist_says_why(
    labels: list[int], champion: list[float], challenger: list[float], reason: str
) -> None:
    found = paired_average_precision(
        labels, champion, challenger, rng=np.random.default_rng(1), confidence_level=0.9, n_resamples=200
    )
    assert isinstance(found, Undefined)
    assert reason in found.reason


def test_no_positive_row_of_any_weight_is_undefined() -> None:
    assert average_precision([], []) == Undefined("no labelled positive")
    assert average_precision([0, 0], [0.1, 0.2]) == Undefined("no labelled positive")
    assert average_precision([1, 0], [0.1, 0.2], [0, 1]) == Undefined("no labelled positive")


@pytest.mark.parametrize(
    ("scores", "weights", "message"),
    [
        ([0.1, math.nan], None, "one score that is a number"),
        ([0.1], None, "one label and one score"),
        ([[0.1, 0.2]], None, "one label and one score"),
        ([0.1, 0.2], [1, -1], "none negative"),
        ([0.1, 0.2], [1, math.nan], "none negative"),
        ([0.1, 0.2], [1], "one weight for each row"),
    ],
)
def test_bad_scores_and_weights_are_refused(scores: list[float], weights: list[float] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        average_precision([0, 1], scores, weights)
    if weights is None:
        for pair in ((scores, [0.1, 0.2]), ([0.1, 0.2], scores)):
            with pytest.raises(ValueError, match=message):
                paired_average_precision([0, 1], *pair, rng=np.random.default_rng(1), confidence_level=0.9)
