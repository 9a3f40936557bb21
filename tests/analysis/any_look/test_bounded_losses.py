"""The exact e-process for losses with a declared bound."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np
import pytest
from analysis_examples import HUGE, SLOW_PROPERTY
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from analysis.any_look.bounded_losses import confidence_sequence_of_loss, log_e_loss, log_e_sums
from analysis.one_look.losses import PairedLosses, paired_losses

D = st.one_of(st.floats(-1, 1), st.sampled_from([-1.0, 0.0, 1.0]))
ROWS = st.lists(D, max_size=40)


def of(d: object) -> PairedLosses:
    """Losses in [0, 1] that differ by ``d``."""
    d = np.asarray(d, dtype=np.float64)
    return paired_losses(np.maximum(d, 0), np.maximum(-d, 0))


@pytest.mark.parametrize("gain", [0.0, 0.05, -0.3])
@pytest.mark.parametrize("n", [1, 40, 5000])
def test_against_quadrature_with_thirty_digits(n: int, gain: float) -> None:
    """The mean over bets b of the product over rows of exp(b x + (log(1 - b) + b) x^2)."""
    d = np.clip(np.random.default_rng(1).normal(0.1, 0.4, size=n), -1, 1)
    x = (d - gain) / (1 + gain)
    s, v = float(x.sum()), float(np.sum(x * x))
    with mpmath.workdps(30):
        edges = np.linspace(0, 1, 41).tolist()
        value = mpmath.quad(lambda b: mpmath.exp(b * s + v * (b + mpmath.log(1 - b))) if b < 1 else 0, edges)
        expected = float(mpmath.log(value))
    assert log_e_loss(of(d), bound=1, null_gain=gain) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("s", "v"), [(0.5, 1e6), (1.0, 50.0), (-3e3, 1e6), (40.0, 1e7)])
def test_many_rows_without_a_lead_against_quadrature_with_thirty_digits(s: float, v: float) -> None:
    """All of the integral lies near bets of 0."""
    n = 10**8
    losses = PairedLosses(n, gain=s / n, deviation=v - s * s / n, largest=1.0, differing=n)
    with mpmath.workdps(30):
        edges = [0, *np.geomspace(1e-7, 1, 60).tolist()]
        value = mpmath.quad(lambda b: mpmath.exp(b * s + v * (b + mpmath.log(1 - b))) if b < 1 else 0, edges)
        assert log_e_loss(losses, bound=1) == pytest.approx(float(mpmath.log(value)), rel=1e-9)


def test_the_inequality_that_it_rests_on() -> None:
    """exp(b x + (log(1 - b) + b) x^2) <= 1 + b x for x >= -1 and 0 <= b < 1."""
    x = np.concatenate([np.linspace(-1, 3, 801), np.geomspace(3, 1e6, 200)])
    for b in (*np.linspace(0, 0.99, 100), 1 - 1e-9):
        assert np.all(np.exp(b * x + (math.log1p(-b) + b) * x * x) <= 1 + b * x + 1e-12)


@pytest.mark.parametrize("gain", [0.0, 0.1, -0.1])
@pytest.mark.parametrize("high", [1.0, 0.3])
def test_it_is_at_most_one_on_average_over_all_rows_by_enumeration(high: float, gain: float) -> None:
    """Twelve rows of d = -1 or ``high`` with the mean that H0 allows at most: all outcomes with their probabilities."""
    share = (gain + 1) / (high + 1)
    mean = 0.0
    for wins in range(13):
        d = [high] * wins + [-1.0] * (12 - wins)
        mean += stats.binom.pmf(wins, 12, share) * math.exp(log_e_loss(of(d), bound=1, null_gain=gain))
    assert 0.05 < mean <= 1


def test_heavy_tails_looked_at_every_week_err_in_at_most_five_percent_of_the_years() -> None:
    """Clipped Student t with 2 degrees of freedom, 20 rows a week, 52 looks, 300 years; a real lead is found."""
    rng = np.random.default_rng(3)
    d = np.clip(rng.standard_t(2, size=(300, 52, 20)), -5, 5)

    def promoted(rows: np.ndarray) -> int:
        found = 0
        for year in rows:
            total = PairedLosses()
            for week in year:
                total += paired_losses(np.maximum(week, 0), np.maximum(-week, 0))
                if total.gain > 0 and log_e_loss(total, bound=5) >= math.log(20):
                    found += 1
                    break
        return found

    assert stats.binomtest(promoted(d), 300).proportion_ci(0.998).low <= 0.05
    assert promoted(np.clip(d[:30] + 0.5, -5, 5)) == 30


def test_no_row_and_no_difference_are_no_evidence() -> None:
    assert log_e_loss(PairedLosses(), bound=1) == pytest.approx(0, abs=1e-12)
    assert log_e_loss(of([0.0] * 50), bound=1) == pytest.approx(0, abs=1e-12)
    assert log_e_loss(of([0.0] * 500), bound=1, null_gain=-0.1) > math.log(20), "no worse by a tenth is proven"


@SLOW_PROPERTY
@given(ROWS, st.sampled_from([0.0, 0.2, -0.2]), st.floats(0.01, 1e6))
def test_it_does_not_depend_on_order_split_or_units(d: list[float], gain: float, unit: float) -> None:
    value = log_e_loss(of(d), bound=1, null_gain=gain)
    assert math.isfinite(value)
    split = of(d[: len(d) // 2]) + of(d[len(d) // 2 :][::-1])
    assert log_e_loss(split, bound=1, null_gain=gain) == pytest.approx(value, rel=1e-6, abs=1e-6)
    scaled = paired_losses(unit * np.maximum(d, 0), unit * np.maximum(-np.array(d), 0))
    larger = unit * (1 + 1e-12)
    assert log_e_loss(scaled, bound=larger, null_gain=unit * gain) == pytest.approx(value, rel=1e-6, abs=1e-6)


@SLOW_PROPERTY
@given(ROWS, st.sampled_from([0.05, 0.2]))
@example([1.0] * 30, 0.05)
@example([-1.0] * 30, 0.05)
@example([1.0, -1.0] * 20, 0.05)
def test_the_sequence_excludes_a_gain_when_its_e_value_reaches_one_over_alpha(d: list[float], alpha: float) -> None:
    losses = of(d)
    found = confidence_sequence_of_loss(losses, bound=1, alpha=alpha)
    assert -1 <= found.low <= losses.gain <= found.high <= 1
    assert found.confidence_level == 1 - 2 * alpha
    if found.low > -1:
        assert log_e_loss(losses, bound=1, null_gain=found.low) == pytest.approx(-math.log(alpha), abs=1e-5)
    for gain in np.linspace(found.low, losses.gain, 7)[1:]:
        if -1 < gain < 1:
            assert log_e_loss(losses, bound=1, null_gain=float(gain)) < -math.log(alpha)
    mirror = confidence_sequence_of_loss(losses.swap(), bound=1, alpha=alpha)
    assert (mirror.low, mirror.high) == pytest.approx((-found.high, -found.low), abs=1e-9)


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_the_sequence_has_the_unit_of_the_losses(unit: float) -> None:
    d = np.clip(np.random.default_rng(1).normal(0.1, 0.4, size=400), -1, 1)
    scaled = paired_losses(unit * np.maximum(d, 0), unit * np.maximum(-d, 0))
    found = confidence_sequence_of_loss(scaled, bound=unit * (1 + 1e-12), alpha=0.05)
    plain = confidence_sequence_of_loss(of(d), bound=1, alpha=0.05)
    assert (found.low / unit, found.high / unit) == pytest.approx((plain.low, plain.high), abs=1e-9)


@pytest.mark.parametrize(("gain", "n"), list(itertools.product([0.3, -0.3, 1e-4], [1, 10**4, HUGE])))
def test_counts_up_to_a_billion_give_finite_evidence_that_grows_with_them(gain: float, n: int) -> None:
    losses = PairedLosses(n=n, gain=gain, deviation=0.1 * n, largest=1.0, differing=n)
    value = log_e_loss(losses, bound=1)
    assert math.isfinite(value)
    if n == HUGE:
        assert (value > 100) == (gain > 0 and n * gain**2 > 1000 * 0.1)
    if gain < 0:
        assert value < 0
    found = confidence_sequence_of_loss(losses, bound=1, alpha=0.05)
    assert found.low < gain < found.high


def test_losses_beyond_the_bound_and_gains_out_of_reach_are_refused() -> None:
    with pytest.raises(ValueError, match="more than the bound"):
        log_e_loss(of([0.7]), bound=0.5)
    with pytest.raises(ValueError, match="bound inf"):
        log_e_loss(of([0.7]), bound=math.inf)
    for gain in (1.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="the gain must lie between"):
            log_e_loss(of([0.7]), bound=1, null_gain=gain)


def test_many_sums_at_once_are_each_ones_evidence() -> None:
    rng, bound, null = np.random.default_rng(2), 4.0, 0.1
    losses = [
        paired_losses(rng.uniform(0, 4, n), rng.uniform(0, 4 - d, n)) for n in (1, 10, 300, 5000) for d in (0, 0.3, 1)
    ]
    s = np.array([l.n * (l.gain - null) / (bound + null) for l in losses])
    v = np.array([(l.deviation + l.n * (l.gain - null) ** 2) / (bound + null) ** 2 for l in losses])
    expected = np.array([log_e_loss(l, bound=bound, null_gain=null) for l in losses])
    near = np.abs(expected) < 30
    assert near.sum() >= 6
    assert log_e_sums(s, v)[near] == pytest.approx(expected[near], abs=1e-3)
    assert ((log_e_sums(s, v) >= 3) == (expected >= 3)).all()


@pytest.mark.parametrize("rows", [1, 10**6, 10**9])
def test_where_every_row_wins_all_there_is_to_win_the_interval_ends_there(rows: int) -> None:
    losses = PairedLosses(rows, 3.0 * rows, 0.0, 3.0, 0.0, 3.0, rows)
    interval = confidence_sequence_of_loss(losses, bound=3.0, alpha=0.05)
    assert interval.high == 3
    assert interval.low <= 3
    assert interval.low > 2.99 or rows == 1
