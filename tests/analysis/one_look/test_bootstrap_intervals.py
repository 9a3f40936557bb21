"""The four bootstrap intervals: closed forms, scipy's bootstrap of the rows, and their coverage."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
from analysis_examples import COUNTS, HUGE, PROPERTY, SLOW_PROPERTY, oracle
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from analysis.one_look.bootstrap import Bootstrap, Resampling, bootstrap
from analysis.one_look.bootstrap_intervals import (
    IntervalKind,
    acceleration,
    basic_interval,
    bca_interval,
    percentile_interval,
    studentized_interval,
)
from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.intervals import Interval
from analysis.tables.metrics import METRICS, Difference, difference, paired_metric

PAIRED1 = oracle("predictive_values_and_metrics")[0]
KINDS: tuple[IntervalKind, ...] = get_args(IntervalKind)
NORMAL = stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)  # the replicates of an exactly normal statistic
Z = stats.norm.ppf(0.975)


def limits(found: Interval | Undefined) -> tuple[float, float]:
    assert isinstance(found, Interval)
    return found.low, found.high


@pytest.mark.parametrize("name", ["recall", "precision", "f1", "mcc"])
def test_acceleration_against_the_oracle_table_paired1(name: str) -> None:
    found = acceleration(name, PairedCounts(tuple(PAIRED1["counts_flat_4y2ch"])))
    assert found == pytest.approx(PAIRED1["bca_accel"][name], rel=1e-8)


@pytest.mark.parametrize("name", METRICS)
def test_acceleration_is_that_of_a_jackknife_of_the_rows(name: str) -> None:
    """Each row left out in turn: sum (mean - theta_i)^3 / (6 (sum (mean - theta_i)^2)^1.5)."""
    table = (40, 3, 0, 4, 2, 6, 1, 9)
    rows = np.repeat(np.arange(8), table)
    left = np.array([np.bincount(np.delete(rows, i), minlength=8) for i in range(len(rows))], dtype=float)
    champion, challenger = paired_metric(name, left)
    d = np.mean(challenger - champion) - (challenger - champion)
    expected = np.sum(d**3) / (6 * np.sum(d**2) ** 1.5)
    assert acceleration(name, PairedCounts(table)) == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_acceleration_where_a_row_cannot_be_missed_or_none_matters() -> None:
    one_positive = acceleration("recall", PairedCounts((9, 1, 1, 1, 0, 1, 0, 0)))
    assert isinstance(one_positive, Undefined)
    assert "one row left out" in one_positive.reason
    assert isinstance(acceleration("accuracy", PairedCounts()), Undefined)
    assert acceleration("recall", PairedCounts((9, 1, 1, 1, 4, 0, 0, 5))) == 0.0


def test_limits_of_a_normal_statistic_are_those_of_the_closed_forms() -> None:
    """Replicates N(0, 1) and an estimate e: percentile +-z; basic 2e +- z; BCa z0 + (z0 +- z) / (1 - a (z0 +- z)), z0 = e."""
    e, a = 0.3, 0.05
    assert limits(percentile_interval(NORMAL, 0.95)) == pytest.approx((-Z, Z), abs=1e-4)
    assert limits(basic_interval(NORMAL, e, 0.95)) == pytest.approx((2 * e - Z, 2 * e + Z), abs=1e-4)
    assert limits(bca_interval(NORMAL, e, 0.0, 0.95)) == pytest.approx((2 * e - Z, 2 * e + Z), abs=1e-3)
    expected = tuple(e + (e + z) / (1 - a * (e + z)) for z in (-Z, Z))
    assert limits(bca_interval(NORMAL, e, a, 0.95)) == pytest.approx(expected, abs=1e-3)
    assert limits(bca_interval(NORMAL, 0.0, 0.0, 0.95)) == pytest.approx((-Z, Z), abs=1e-4)


def test_studentized_limits_are_the_estimate_less_the_quantiles_of_t_in_its_own_standard_errors() -> None:
    """t* exponential: its quantiles are -log(1 - p)."""
    t = -np.log1p(-(np.arange(200_000) + 0.5) / 200_000)
    errors = 0.5 + np.linspace(0, 1, len(t))
    found = studentized_interval(2 + t * errors, errors, 2.0, 0.1, 0.9)
    assert limits(found) == pytest.approx((2 - 0.1 * math.log(20), 2 + 0.1 * math.log(0.95)), abs=1e-4)


def test_ties_with_the_estimate_count_half_in_the_bias_correction() -> None:
    """20 % below, 60 % tied, 20 % above: no bias. 60 % tied and 40 % above: Phi(z0) = 0.3."""
    even = np.repeat([-1.0, 0.0, 1.0], [200, 600, 200])
    assert bca_interval(even, 0.0, 0.0, 0.5) == percentile_interval(even, 0.5)
    spread = np.concatenate([np.full(600, 0.0), np.linspace(0.01, 1, 400)])
    low, high = limits(bca_interval(spread, 0.0, 0.0, 0.9))
    z0, z = stats.norm.ppf(0.3), stats.norm.ppf(0.95)
    assert (low, high) == pytest.approx(tuple(np.quantile(spread, stats.norm.cdf([2 * z0 - z, 2 * z0 + z]))))


def test_replicates_that_are_equal_but_for_rounding_are_ties() -> None:
    rounded = np.repeat([0.1, 0.3 - 0.2, 0.5], [400, 400, 200])
    assert rounded[0] != rounded[400]
    exact = np.repeat([0.1, 0.5], [800, 200])
    assert limits(bca_interval(rounded, 0.1, 0.0, 0.5)) == pytest.approx(limits(bca_interval(exact, 0.1, 0.0, 0.5)))
    assert isinstance(basic_interval(rounded[:800], 0.1, 0.5), Undefined)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (basic_interval(np.full(100, 0.2), 0.2, 0.9), "no bootstrap replicate differs"),
        (bca_interval(np.full(100, 0.2), 0.2, 0.0, 0.9), "no bootstrap replicate differs"),
        (bca_interval(NORMAL, 9.0, 0.0, 0.9), "one side of the estimate"),
        (bca_interval(NORMAL, -9.0, 0.0, 0.9), "one side of the estimate"),
        (bca_interval(NORMAL, 3.0, 0.4, 0.9), "acceleration is too large"),
        (bca_interval(NORMAL, -3.0, -0.4, 0.9), "acceleration is too large"),
        (studentized_interval(NORMAL, np.ones_like(NORMAL), 0.0, 0.0, 0.9), "standard error of the difference is 0"),
        (studentized_interval(NORMAL, np.zeros_like(NORMAL), 0.0, 1.0, 0.9), "undefined in 200000 of 200000"),
        (basic_interval(np.append(np.ones(98), [np.nan] * 2), 1.0, 0.9), "undefined in 2 of 100"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_interval_that_does_not_exist_says_why(found: Interval | Undefined, reason: str) -> None:
    assert isinstance(found, Undefined)
    assert reason in found.reason


def test_a_replicate_without_standard_error_is_left_out_of_the_studentized_interval() -> None:
    errors = np.ones(1000)
    values = np.linspace(-1, 1, 1000)
    errors[:5], values[5:10] = 0.0, np.nan
    assert studentized_interval(values, errors, 0.0, 1.0, 0.9) == studentized_interval(
        values[10:], errors[10:], 0.0, 1.0, 0.9
    )


@PROPERTY
@given(
    st.lists(st.floats(-1, 1), min_size=2, max_size=50), st.floats(-1, 1), st.floats(-0.15, 0.15), st.floats(0.5, 0.99)
)
def test_negating_replicates_and_estimate_negates_the_interval(
    values: list[float], estimate: float, a: float, level: float
) -> None:
    x, errors = np.array(values), np.linspace(1, 2, len(values))
    pairs = [
        (percentile_interval(x, level), percentile_interval(-x, level)),
        (basic_interval(x, estimate, level), basic_interval(-x, -estimate, level)),
        (bca_interval(x, estimate, a, level), bca_interval(-x, -estimate, -a, level)),
        (
            studentized_interval(x, errors, estimate, 0.1, level),
            studentized_interval(-x, errors, -estimate, 0.1, level),
        ),
    ]
    for there, back in pairs:
        assert isinstance(there, Undefined) == isinstance(back, Undefined)
        if isinstance(there, Interval) and isinstance(back, Interval):
            assert there.low <= there.high
            assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-6)


@SLOW_PROPERTY
@given(COUNTS, st.sampled_from(get_args(Resampling)), st.sampled_from(KINDS), st.floats(0.5, 0.99))
@example(PairedCounts(), "multinomial", "bca", 0.9)
@example(PairedCounts((HUGE,) * 8), "multinomial", "studentized", 0.9)
@example(PairedCounts((0, 0, 0, 0, 0, 1, 0, 0)), "dirichlet", "bca", 0.9)
@example(PairedCounts((0, 4, 0, 0, 0, 0, 4, 0)), "dirichlet", "studentized", 0.9)
def test_any_counts_give_finite_limits_in_order_or_a_reason(
    counts: PairedCounts, method: Resampling, kind: IntervalKind, level: float
) -> None:
    rng = np.random.default_rng(1)
    found = bootstrap(counts, METRICS, rng=rng, confidence_level=level, n_resamples=500, method=method, interval=kind)
    for name, b in found.items():
        if isinstance(b, Bootstrap):
            assert math.isfinite(b.interval.low)
            assert math.isfinite(b.interval.high)
            assert b.interval.low <= b.interval.high
            assert (b.method, b.kind) == (method, kind)
        elif kind != "percentile" and isinstance(difference(name, counts), Undefined):
            assert b == difference(name, counts) or counts.n == 0


TABLE = (150, 9, 6, 8, 20, 24, 13, 70)


@pytest.mark.parametrize("kind", ["percentile", "basic", "bca"])
def test_limits_against_scipys_bootstrap_of_the_rows(kind: Any) -> None:
    """4000 resamples of 300 rows by scipy, 200,000 tables by us: within 4 Monte-Carlo standard errors of both limits."""
    y, c, h = (np.repeat(np.arange(8), TABLE) >> k & 1 for k in (2, 1, 0))

    def f1_difference(y: np.ndarray, c: np.ndarray, h: np.ndarray, axis: int = -1) -> np.ndarray:
        new = 2 * (y & h).sum(axis=axis) / (y + h).sum(axis=axis)
        old = 2 * (y & c).sum(axis=axis) / (y + c).sum(axis=axis)
        return np.asarray(new - old)

    peer = stats.bootstrap(
        (y, c, h), f1_difference, paired=True, vectorized=True, n_resamples=4000, confidence_level=0.9,
        method={"bca": "BCa"}.get(kind, kind), rng=np.random.default_rng(1),
    )  # fmt: skip
    ours = bootstrap(
        PairedCounts(TABLE), ["f1"], rng=np.random.default_rng(2), confidence_level=0.9, n_resamples=200_000,
        method="multinomial", interval=kind,
    )["f1"]  # fmt: skip
    assert isinstance(ours, Bootstrap)
    error = 4 * math.sqrt(0.05 * 0.95 / 4000) / stats.norm.pdf(1.645) * peer.standard_error
    if kind == "bca":
        error *= 1.8  # z0 is estimated from the same 4000
    assert ours.interval.low == pytest.approx(peer.confidence_interval.low, abs=error)
    assert ours.interval.high == pytest.approx(peer.confidence_interval.high, abs=error)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", get_args(Resampling))
def test_with_many_disagreements_every_interval_covers_as_often_as_it_says(
    method: Resampling, kind: IntervalKind
) -> None:
    """200 tables of 20,000 rows: a binomial bound on the coverage of 90 % of the difference in recall and in MCC."""
    shares = np.array([0.85, 0.03, 0.03, 0.04, 0.012, 0.010, 0.004, 0.024])
    names: tuple[str, ...] = ("recall", "mcc")
    true = {}
    for name in names:
        champion, challenger = paired_metric(name, shares[None, :])
        true[name] = float((challenger - champion)[0])
    rng, covered = np.random.default_rng(11), dict.fromkeys(names, 0)
    for _ in range(200):
        counts = PairedCounts(tuple(int(n) for n in rng.multinomial(20_000, shares)))
        found = bootstrap(counts, names, rng=rng, confidence_level=0.9, n_resamples=500, method=method, interval=kind)
        for name in names:
            low, high = limits(found[name].interval)  # type: ignore[union-attr]
            covered[name] += low <= true[name] <= high
    for name in names:
        assert stats.binomtest(covered[name], 200, 0.9).pvalue > 1e-3


def test_in_a_large_table_all_intervals_are_the_normal_one() -> None:
    counts = PairedCounts((10**7, 2000, 1000, 3000, 90_000, 110_000, 80_000, 720_000))
    observed = difference("recall", counts)
    assert isinstance(observed, Difference)
    for kind in KINDS:
        for method in get_args(Resampling):
            found = bootstrap(
                counts, ["recall"], rng=np.random.default_rng(5), confidence_level=0.95, n_resamples=200_000,
                method=method, interval=kind,
            )["recall"]  # fmt: skip
            assert isinstance(found, Bootstrap)
            half = Z * observed.standard_error
            assert limits(found.interval) == pytest.approx(
                (observed.value - half, observed.value + half), abs=0.03 * half
            )
