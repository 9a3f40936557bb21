"""Paired losses of regressions: sums that add, Student's t, and labels so large that digits could cancel."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import get_args

import numpy as np
import pytest
from analysis_examples import PROPERTY, SLOW_PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.metrics import mean_absolute_error, mean_squared_error

from analysis.one_look.losses import (
    REGRESSION_LOSSES,
    PairedLosses,
    PairedT,
    loss_difference,
    paired_losses,
    paired_t,
    regression_losses,
)
from analysis.one_look.mcnemar import Alternative
from analysis.tables.counts import Undefined
from analysis.tables.metrics import Difference

LOSSES = tuple(REGRESSION_LOSSES)
LOSS = st.one_of(st.floats(0, 1e6), st.sampled_from([0.0, 1.0, 1e9]))
PAIRS = st.lists(st.tuples(LOSS, LOSS), max_size=20)


def predicted(n: int, *, level: float = 0.0, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels around ``level`` and two models' predictions of them, the challenger's somewhat better."""
    rng = np.random.default_rng(seed)
    y = level + 10 * rng.standard_normal(n)
    return y, y + 1.2 * rng.standard_normal(n), y + rng.standard_normal(n)


def summed(pairs: list[tuple[float, float]]) -> PairedLosses:
    return paired_losses([c for c, _ in pairs], [h for _, h in pairs])


def of_models(
    labels: ArrayLike, champion: ArrayLike, challenger: ArrayLike, *, loss: str, clip: float | None = None
) -> PairedLosses:
    return paired_losses(*(regression_losses(labels, p, loss=loss, clip=clip) for p in (champion, challenger)))


def student(losses: PairedLosses, alternative: Alternative = "greater", level: float = 0.9) -> PairedT:
    found = paired_t(losses, confidence_level=level, alternative=alternative)
    assert isinstance(found, PairedT)
    return found


def difference(losses: PairedLosses) -> Difference:
    found = loss_difference(losses)
    assert isinstance(found, Difference)
    return found


@pytest.mark.parametrize("level", [0.0, 1e9])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_t_test_and_its_interval_against_scipy(loss: str, level: float) -> None:
    y, c, h = predicted(200, level=level)
    power = 2 if loss == "squared_error" else 1
    old, new = np.abs(c - y) ** power, np.abs(h - y) ** power
    for alternative in get_args(Alternative):
        found = student(of_models(y, c, h, loss=loss), alternative)
        peer = stats.ttest_rel(old, new, alternative=alternative)
        assert found.statistic == pytest.approx(peer.statistic, rel=1e-9)
        assert found.p_value == pytest.approx(peer.pvalue, rel=1e-9)
        assert found.degrees_of_freedom == peer.df == 199
        interval = stats.ttest_1samp(old - new, 0).confidence_interval(0.9)
        assert (found.interval.low, found.interval.high) == pytest.approx(interval, rel=1e-9)
        assert found.interval.confidence_level == 0.9


def test_mean_losses_of_each_model_against_scikit_learn() -> None:
    y, c, h = predicted(300)
    squared = difference(of_models(y, c, h, loss="squared_error"))
    absolute = difference(of_models(y, c, h, loss="absolute_error"))
    assert (squared.champion, squared.challenger) == pytest.approx((mean_squared_error(y, c), mean_squared_error(y, h)))
    assert (absolute.champion, absolute.challenger) == pytest.approx(
        (mean_absolute_error(y, c), mean_absolute_error(y, h))
    )
    assert squared.value == pytest.approx(squared.challenger - squared.champion)
    assert squared.value < 0, "the challenger is better, so its loss is lower"


def test_the_standard_error_against_the_jackknife() -> None:
    """For a mean they are the same."""
    y, c, h = predicted(60)
    keep = ~np.eye(60, dtype=bool)
    left_out = np.array([difference(of_models(y[k], c[k], h[k], loss="squared_error")).value for k in keep])
    jackknife = math.sqrt(59 / 60 * float(np.sum((left_out - left_out.mean()) ** 2)))
    found = difference(of_models(y, c, h, loss="squared_error"))
    assert found.standard_error == pytest.approx(jackknife, rel=1e-9)


def test_losses_of_a_billion_that_differ_by_a_thousandth_keep_their_digits_over_batches() -> None:
    """Against exact fractions. Sums of d and d^2, or of each model's losses, would have lost them all."""
    rng = np.random.default_rng(2)
    d = 1e9 + 1e-3 * rng.standard_normal(1000)
    challenger = np.full(1000, 1e9)
    champion = challenger + d
    exact = [Fraction(a) - Fraction(b) for a, b in zip(champion.tolist(), challenger.tolist(), strict=True)]
    mean = sum(exact) / 1000
    error = math.sqrt(sum((x - mean) ** 2 for x in exact) / 999 / 1000)
    batches = [paired_losses(champion[i : i + 100], challenger[i : i + 100]) for i in range(0, 1000, 100)]
    found = difference(sum(batches, PairedLosses()))
    assert found.value == pytest.approx(-float(mean), rel=1e-15)
    assert found.standard_error == pytest.approx(error, rel=1e-6)
    square, total = float(np.sum((champion - challenger) ** 2)), float(np.sum(champion - challenger))
    naive = math.sqrt(max(square - total**2 / 1000, 0) / 999 / 1000)
    assert not 0.5 < naive / error < 2


def test_labels_of_a_billion_give_the_test_of_labels_around_zero() -> None:
    """Predictions are rounded to 1e-7 there, and nothing else is lost."""
    for loss in LOSSES:
        near = student(of_models(*predicted(500), loss=loss))
        far = student(of_models(*predicted(500, level=1e9), loss=loss))
        assert far.statistic == pytest.approx(near.statistic, rel=1e-5)
        assert far.gain == pytest.approx(near.gain, rel=1e-5)


@PROPERTY
@given(PAIRS, PAIRS, PAIRS)
def test_sums_of_batches_are_the_sums_of_their_rows_in_any_order(
    one: list[tuple[float, float]], two: list[tuple[float, float]], three: list[tuple[float, float]]
) -> None:
    whole = summed([*one, *two, *three])
    scale = max(whole.largest, 1e-300)
    for batches in itertools.permutations((one, two, three)):
        total = sum((summed(batch) for batch in batches), PairedLosses())
        assert (total.n, total.largest, total.differing) == (whole.n, whole.largest, whole.differing)
        assert (total.champion, total.challenger) == pytest.approx((whole.champion, whole.challenger), rel=1e-12)
        assert total.gain == pytest.approx(whole.gain, abs=1e-13 * scale)
        assert total.deviation == pytest.approx(whole.deviation, rel=1e-9, abs=1e-20 * scale * scale)
    assert whole + PairedLosses() == whole == PairedLosses() + whole


@PROPERTY
@given(PAIRS)
def test_swapping_the_models_negates_the_gain_and_keeps_its_standard_error(pairs: list[tuple[float, float]]) -> None:
    there, back = summed(pairs), summed([(h, c) for c, h in pairs])
    assert there.swap() == back
    one, other = loss_difference(there), loss_difference(back)
    if isinstance(one, Difference) and isinstance(other, Difference):
        assert (other.value, other.standard_error) == (-one.value, one.standard_error)
        assert all(math.isfinite(x) for x in (one.champion, one.challenger, one.value, one.standard_error))
    test = paired_t(there, confidence_level=0.9, alternative="two-sided")
    mirror = paired_t(back, confidence_level=0.9, alternative="two-sided")
    assert isinstance(test, PairedT) == isinstance(mirror, PairedT)
    if isinstance(test, PairedT) and isinstance(mirror, PairedT):
        assert (mirror.statistic, mirror.p_value) == (-test.statistic, test.p_value)
        assert (mirror.interval.low, mirror.interval.high) == (-test.interval.high, -test.interval.low)


@PROPERTY
@given(st.lists(LOSS, min_size=2, max_size=20))
def test_identical_models_do_not_differ_and_have_no_standard_error(losses: list[float]) -> None:
    same = paired_losses(losses, losses) + paired_losses(losses[:1], losses[:1])
    assert (difference(same).value, difference(same).standard_error, same.differing) == (0, 0, 0)
    assert isinstance(paired_t(same, confidence_level=0.9), Undefined)


@pytest.mark.parametrize("gap", [0.1, 1 / 3, 1e9 / 7])
def test_a_difference_that_never_varies_has_no_test(gap: float) -> None:
    """Not a t of 1e16 from rounding, within a batch or between batches."""
    batch = paired_losses([gap] * 7, [0.0] * 7)
    found = sum([batch, paired_losses([gap] * 4, [0.0] * 4), batch], PairedLosses())
    assert difference(found).standard_error == 0
    assert difference(found).value == -gap
    assert isinstance(paired_t(found, confidence_level=0.9), Undefined)
    shifted = paired_losses(np.arange(1.0, 50) + gap, np.arange(1.0, 50))
    assert shifted.gain == pytest.approx(gap)


def test_a_difference_that_varies_by_rounding_alone_has_no_test() -> None:
    d = [0.3, np.nextafter(0.3, 1), 0.3, np.nextafter(0.3, 0)]
    assert paired_losses(d, [0.0] * 4).deviation > 0
    assert isinstance(paired_t(paired_losses(d, [0.0] * 4), confidence_level=0.9), Undefined)


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_rows_have_no_standard_error(n: int) -> None:
    losses = paired_losses([2.0] * n, [1.0] * n)
    assert losses.n == losses.differing == n
    for found in (loss_difference(losses), paired_t(losses, confidence_level=0.9)):
        assert found == Undefined("fewer than two rows with a loss under both models")


@SLOW_PROPERTY
@given(st.sampled_from(LOSSES), st.floats(0.1, 5))
def test_a_clip_is_the_most_that_a_row_costs(loss: str, clip: float) -> None:
    y, c, h = predicted(100)
    c[0], h[1] = 1e200, -1e200
    power = 2 if loss == "squared_error" else 1
    old, new = (np.minimum(np.minimum(np.abs(p - y), 1e6) ** power, clip) for p in (c, h))
    found = of_models(y, c, h, loss=loss, clip=clip)
    assert (found.champion, found.challenger) == pytest.approx((old.sum(), new.sum()))
    assert found.largest <= clip
    assert found.differing == np.sum(old != new)


@pytest.mark.parametrize("clip", [0.0, -1.0, math.inf, math.nan])
def test_a_clip_is_a_number_above_zero(clip: float) -> None:
    with pytest.raises(ValueError, match="clip"):
        regression_losses([1.0], [1.0], loss="squared_error", clip=clip)


def test_what_is_not_finite_or_does_not_pair_up_is_refused() -> None:
    for y, predictions in (([1.0], [math.nan]), ([math.inf], [1.0]), ([1.0], [1.0, 2.0])):
        with pytest.raises(ValueError, match="one finite label and prediction a row"):
            regression_losses(y, predictions, loss="absolute_error")
    for c, h in (([1.0], [math.nan]), ([1.0], [1.0, 2.0]), ([[1.0]], [[1.0]])):
        with pytest.raises(ValueError, match="one finite loss a row"):
            paired_losses(c, h)
    with pytest.raises(ValueError, match="one finite loss a row"):
        of_models([0.0], [1e200], [1.0], loss="squared_error")
    with pytest.raises(ValueError, match="must be finite"):
        paired_losses([1e200, 0.0], [0.0, 1.0])
    with pytest.raises(ValueError, match="not negative"):
        PairedLosses(n=3, deviation=-1.0)


def test_the_size_of_the_t_test_where_the_models_are_exchangeable() -> None:
    """2000 seeded data sets of 100 rows: one-sided rejections at .05."""
    rng = np.random.default_rng(7)
    rejected = 0
    for _ in range(2000):
        e = rng.standard_normal((2, 100))
        rejected += student(of_models(np.zeros(100), *e, loss="squared_error")).p_value < 0.05
    assert stats.binomtest(rejected, 2000, 0.05).pvalue > 1e-3


def test_two_rows_have_a_difference_and_one_gap_among_predictions_is_refused() -> None:
    found = loss_difference(paired_losses([2.0, 3.0], [1.0, 1.0]))
    assert isinstance(found, Difference)
    assert (found.value, found.standard_error) == pytest.approx((-1.5, 0.5))
    for labels, predictions in (([1.0, 2.0], [1.0, math.nan]), ([math.inf, 2.0], [1.0, 2.0])):
        with pytest.raises(ValueError, match="one finite label and prediction a row"):
            regression_losses(labels, predictions, loss="squared_error")
