"""Where the intervals of evidence processes end, whatever the unit and the spread of what they are given."""

from __future__ import annotations

import math

import pytest

from analysis.any_look.asymptotic import half_width, log_e_asymptotic, rho_squared
from analysis.any_look.batch_unit import BatchGains
from analysis.any_look.process import AsymptoticProcess, BatchProcess, PrecisionProcess
from analysis.tables.counts import PairedCounts


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
    plain = BatchProcess(BatchGains(gains, scales)).interval(0.05)
    scaled = BatchGains(tuple(unit * g for g in gains), tuple(unit * s for s in scales))
    found = BatchProcess(scaled).interval(0.05)
    assert -math.inf < plain.low < 0.5 < plain.high < math.inf
    assert (found.low / unit, found.high / unit) == pytest.approx((plain.low, plain.high), abs=1e-5)


def test_batches_as_units_are_searched_from_the_mean_that_weighs_each_by_its_precision() -> None:
    """Four batches that say little, far from the others, do not draw the interval away from them."""
    gains = BatchGains((0.5, 0.7, 0.4, 0.6, 0.3, 0.8) * 4 + (-5.0,) * 4, (0.2,) * 24 + (10.0,) * 4)
    found = BatchProcess(gains).interval(0.05)
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
    for gains in (BatchGains((), ()), BatchGains((0.1, 0.2), (0.05, 0.05))):
        found = BatchProcess(gains).interval(0.05)
        assert (found.low, found.high) == (-math.inf, math.inf)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("off", [(-0.28,), (-0.5, 0.1)], ids=str)
def test_one_batch_far_off_does_not_take_the_interval_with_it(sign: int, off: tuple[float, ...]) -> None:
    """The mean of the batches is rejected itself, as no batch but that one is near it; the others hold the interval."""
    units = BatchProcess(BatchGains((*[sign * 0.02] * 14, *(sign * g for g in off)), (0.02,) * (14 + len(off))))
    assert max(units.log_e(0.0), units.log_e_reverse(0.0)) >= math.log(20)
    found = units.interval(0.05)
    assert found.low < sign * 0.02 < found.high
    assert min(abs(found.low), abs(found.high)) < 0.02
    for end, log_e in ((found.low, units.log_e), (found.high, units.log_e_reverse)):
        assert log_e(end) == pytest.approx(math.log(20), abs=1e-6)


def test_an_interval_is_found_however_far_off_in_standard_errors_it_ends() -> None:
    """Sixteen batches of a hundred million rows, whose gains differ by far more than their own errors."""
    gains = tuple(0.01 + 0.004 * (-1) ** i for i in range(40))
    units = BatchProcess(BatchGains(gains, (1e-7,) * 40))
    found = units.interval(0.05)
    assert units.log_e(0.0) >= math.log(20)
    assert 0 < found.low < 0.01 < found.high < math.inf


def test_precision_that_is_the_same_on_millions_of_rows_has_an_interval_around_nothing() -> None:
    found = PrecisionProcess(PairedCounts((9_000_000, 0, 0, 10, 100_000, 1, 1, 8_000_000)), 3.0)
    interval = found.interval(0.05)
    assert -1e-5 < interval.low < 0 < interval.high < 1e-5
    assert found.log_e(interval.low) == pytest.approx(math.log(20), abs=1e-3)


def test_at_any_alpha_below_one_half_an_asymptotic_interval_exists() -> None:
    widths = []
    for alpha in (0.05, 0.2, 0.3, 0.45, 0.499):
        interval = AsymptoticProcess(0.01, 0.005, 1000, 13_000, alpha).interval(alpha)
        assert interval.low < 0.01 < interval.high
        widths.append(interval.high - interval.low)
    assert widths == sorted(widths, reverse=True)
    assert half_width(1000, 1.0, alpha=0.45, n_opt=1000, sides=1) > 0
