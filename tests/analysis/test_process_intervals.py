"""Where the intervals of evidence processes end, whatever the unit and the spread of what they are given."""

from __future__ import annotations

import math

import pytest

from analysis.asymptotic import half_width, log_e_asymptotic, rho_squared
from analysis.counts import PairedCounts
from analysis.process import AsymptoticProcess, BatchProcess, PrecisionProcess


@pytest.mark.parametrize(
    ("cells", "low", "high"),
    [
        ((0, 0, 0, 0, 0, 0, 0, 0), -1, 1),
        ((0, 0, 10**9, 0, 0, 10**9, 0, 0), 1 - 1e-6, 1),
        ((0, 10**9, 0, 0, 0, 0, 10**9, 0), -1, -1 + 1e-6),
    ],
    ids=["no row excludes nothing", "every flag right against every flag wrong", "and the other way round"],
)
def test_a_precision_interval_ends_where_gains_end(cells: tuple[int, ...], low: float, high: float) -> None:
    interval = PrecisionProcess(PairedCounts(cells), 3.0).interval(0.05)  # type: ignore[arg-type]
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-12)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_batches_as_units_have_an_interval_in_the_unit_of_their_gains(unit: float) -> None:
    gains, scales = (0.5, 0.7, 0.4, 0.6, 0.3, 0.8) * 4, (0.2, 0.25, 0.2, 0.3, 0.2, 0.25) * 4
    plain = BatchProcess(gains, scales).interval(0.05)
    found = BatchProcess(tuple(unit * g for g in gains), tuple(unit * s for s in scales)).interval(0.05)
    assert -math.inf < plain.low < 0.5 < plain.high < math.inf
    assert (found.low / unit, found.high / unit) == pytest.approx((plain.low, plain.high), abs=1e-5)


def test_batches_as_units_are_searched_from_the_mean_that_weighs_each_by_its_precision() -> None:
    """Four batches that say little, far from the others, do not draw the interval away from them."""
    found = BatchProcess((0.5, 0.7, 0.4, 0.6, 0.3, 0.8) * 4 + (-5.0,) * 4, (0.2,) * 24 + (10.0,) * 4).interval(0.05)
    assert found.low < 0.5 < found.high
    assert 0 < found.high - found.low < 1


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_an_asymptotic_interval_is_that_of_the_one_sided_mixture_and_a_little_within_its_closed_form(
    alpha: float,
) -> None:
    found = AsymptoticProcess(0.02, 0.01, 3000, 800, alpha)
    rho2 = rho_squared(2 * alpha, 800)
    for null in (-0.01, 0.0, 0.03):
        assert found.log_e(null) == float(log_e_asymptotic((0.02 - null) / 0.01, 3000, rho2=rho2))
    interval = found.interval(alpha)
    half = half_width(3000, 0.01 * math.sqrt(3000), alpha=alpha, n_opt=800, sides=1)
    assert (interval.low + interval.high) / 2 == pytest.approx(0.02)
    assert 0.99 * half < interval.high - 0.02 < half


def test_batches_as_units_without_a_batch_or_with_too_few_of_them_reject_no_gain() -> None:
    for units in (BatchProcess((), ()), BatchProcess((0.1, 0.2), (0.05, 0.05))):
        found = units.interval(0.05)
        assert (found.low, found.high) == (-math.inf, math.inf)
