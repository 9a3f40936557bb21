"""Batches as the unit of evidence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from analysis_examples import HUGE, OUTCOMES, PROPERTY, oracle
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from statsmodels.stats.meta_analysis import combine_effects

from analysis.any_look.batch_unit import (
    BatchGains,
    Overdispersion,
    effective_batches,
    log_e_batch_unit,
    log_e_cosh,
    log_e_of_batches,
    log_e_symmetric,
    outcome_gains,
    overdispersion,
    overdispersion_of_differences,
    scale_free,
)
from analysis.tables.counts import PairedOutcomes, Undefined
from analysis.tables.metrics import Difference


@pytest.mark.parametrize("case", oracle("eprocess")["sign_symmetric"], ids=lambda c: f"S{c['S']}-V{c['V']}")
def test_the_symmetric_e_value_against_the_oracle(case: dict[str, Any]) -> None:
    assert float(log_e_symmetric(case["S"], case["V"], rho=case["rho"])) == pytest.approx(case["log_e"], abs=1e-9)


@pytest.mark.parametrize(("s", "v"), [(0, 0), (3, 4), (-5, 9), (12, 20)])
def test_the_symmetric_e_value_against_quadrature_of_its_mixture(s: float, v: float) -> None:
    """The half-normal mixture over lambda of exp(lambda S - lambda^2 V / 2)."""
    rho = 0.2

    def integrand(x: float) -> float:
        return 2 * stats.norm.pdf(x, scale=math.sqrt(rho)) * math.exp(x * s - x * x * v / 2)

    value, _ = integrate.quad(integrand, 0, 12)
    assert float(log_e_symmetric(s, v)) == pytest.approx(math.log(value), abs=1e-7)


def test_it_is_at_most_one_on_average_over_all_signs_by_enumeration() -> None:
    """Increments of any size and random sign: the mean of E over all 2^10 signs is at most 1."""
    size = np.array([0.3, 1, 4, 1, 1, 0.1, 2, 2, 1, 7])
    signs = 2 * ((np.arange(1024)[:, None] >> np.arange(10)) & 1) - 1
    mean = float(np.mean(np.exp(log_e_symmetric((signs * size).sum(axis=1), np.sum(size**2)))))
    assert 0.1 < mean <= 1


def test_batch_unit_takes_one_studentised_number_a_batch() -> None:
    batches = [PairedOutcomes(9, 0, 5), PairedOutcomes(2, 2, 0), PairedOutcomes(0, 4, 1), PairedOutcomes(0, 0, 9)]
    x = scale_free(np.array([3.0, 0.0, -2.0, 0.0]))
    assert log_e_batch_unit(batches) == pytest.approx(float(log_e_cosh(x)[-1]))


def test_the_e_value_is_along_the_last_axis_and_against_no_gain_that_of_symmetric_numbers() -> None:
    x, nulls = np.random.default_rng(3).normal(0.5, 1, size=(3, 7)), np.array([0.0, -0.1, 0.1])
    found, free = log_e_of_batches(x, nulls), scale_free(x)
    assert found.shape == (3,)
    assert found[0] == pytest.approx(float(log_e_cosh(free[0])[-1]))
    assert found[1:] == pytest.approx(log_e_symmetric(free[1:].sum(axis=1), (free[1:] ** 2).sum(axis=1)))
    assert log_e_of_batches(np.zeros((2, 0)), np.zeros(2)).tolist() == [0, 0]


def test_the_process_of_symmetric_numbers_against_an_integral_of_another_library() -> None:
    x = [1.5, -0.3, 0.9, 1.5, 0.0, 1.1]

    def density(bet: float) -> float:
        factors = [math.exp(bet * v) / math.cosh(bet * v) for v in x]
        return math.prod(factors) * 2 * float(stats.norm.pdf(bet, scale=0.8))

    value, _ = integrate.quad(density, 0, 8)
    assert float(log_e_cosh(np.array(x))[-1]) == pytest.approx(math.log(value), abs=1e-5)


def test_it_has_mean_one_over_all_signs_of_any_sizes_and_grows_by_batch() -> None:
    """All 2^10 signs of ten sizes: the mean is 1, by enumeration, whatever the quadrature."""
    size = np.array([0.3, 1, 1.5, 1, 1, 0.1, 1.2, 1.4, 1, 0.7])
    signs = 2 * ((np.arange(1024)[:, None] >> np.arange(10)) & 1) - 1
    e = np.exp(log_e_cosh(signs * size))
    assert e.mean(axis=0) == pytest.approx(np.ones(10), rel=1e-9)
    assert log_e_cosh(np.full(4000, 1.5))[-1] > 1000
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        assert np.isfinite(log_e_cosh(np.full(4000, -1.5))).all()


@pytest.mark.parametrize(
    ("sizes", "worth"),
    [([5, 5, 5, 5], 4.0), ([90, 5, 5], 10_000 / 8150), ([7], 1.0), ([0, 0], 0.0), ([], 0.0), ([3, 0], 1.0)],
)
def test_batches_of_unequal_size_are_worth_fewer_equal_ones(sizes: list[int], worth: float) -> None:
    assert effective_batches(sizes) == pytest.approx(worth)


def test_batch_unit_subtracts_the_null_gain_from_each_row() -> None:
    batches = [PairedOutcomes(9, 0, 91), PairedOutcomes(3, 1, 46)]
    weight = (
        0.02 / 0.09
    )  # of the 0.09 disagreements a row that the first batch lets expect, a gain of 0.02 explains this
    square = (1 - weight) * 4 + weight * 0.09 * 50
    x = scale_free(np.array([(9 - 100 * 0.02) / 3, (2 - 50 * 0.02) / math.sqrt(square)]))
    expected = float(log_e_symmetric(x.sum(), (x**2).sum()))
    assert log_e_batch_unit(batches, null_gain=0.02) == pytest.approx(expected)


def test_a_batch_has_the_gain_of_its_rows_and_the_scale_of_its_disagreements() -> None:
    batches = [PairedOutcomes(1, 0, 49), PairedOutcomes(6, 3, 91), PairedOutcomes(0, 0, 20), PairedOutcomes(0, 0, 0)]
    found = outcome_gains(batches)
    assert found.gains == pytest.approx([1 / 50, 3 / 100, 0])
    assert found.scales == pytest.approx([1 / 50, 3 / 100, 1 / 20]), "a batch without disagreement has that of one"
    assert found.share == pytest.approx([1 / 50, 1 / 50, 10 / 150]), "the first batch is its own expectation"
    assert found.expected == pytest.approx([1 / 50, math.sqrt(2) / 100, math.sqrt(20 / 15) / 20])
    assert outcome_gains([]) == BatchGains((), ())


def test_a_lead_is_over_its_own_scale_at_no_gain_and_over_the_expected_one_where_a_gain_explains_all_disagreements() -> (
    None
):
    found = outcome_gains([PairedOutcomes(0, 4, 96), PairedOutcomes(0, 9, 91), PairedOutcomes(0, 0, 100)])
    own, all_lost, beyond = found.standardised(np.array([0.0, -0.04, -0.5]))
    assert own == pytest.approx([-2, -3, 0])
    assert all_lost == pytest.approx([0, -5 / 2, 4 / math.sqrt((1 - 0.04 / 0.065) * 1 + 0.04 / 0.065 * 6.5)])
    assert beyond == pytest.approx([46 / 2, 41 / 2, 50 / math.sqrt(6.5)])
    differences = BatchGains((0.1, 0.2), (0.05, 0.05))
    assert differences.standardised(np.array([0.1])) == pytest.approx(np.array([[0, 2]]))


def test_no_disagreement_so_far_and_no_gain_is_no_number_that_is_none() -> None:
    silent = outcome_gains([PairedOutcomes(0, 0, 50)] * 3)
    assert silent.standardised(np.array([0.0, 0.01])) == pytest.approx(np.array([[0.0] * 3, [-0.5] * 3]))


@pytest.mark.parametrize(
    ("n", "win", "loss", "margin"), [(100, 0.0, 0.02, 0.02), (20, 0.01, 0.06, 0.05), (300, 0.02, 0.03, 0.01)]
)
def test_non_inferiority_by_batches_exactly_at_the_margin_is_proven_in_at_most_alpha_of_the_years(
    n: int, win: float, loss: float, margin: float
) -> None:
    """52 looks, 300 years; with each batch's own scale .20 of the first kind would pass."""
    rng, hits = np.random.default_rng(6), 0
    for _ in range(300):
        cells = rng.multinomial(n, [win, loss, 1 - win - loss], size=52)
        x = outcome_gains([PairedOutcomes(*map(int, c)) for c in cells]).standardised(np.array([-margin]))[0]
        free = scale_free(x)
        log_e = log_e_symmetric(free.cumsum(), (free**2).cumsum())
        assert log_e[-1] == pytest.approx(
            log_e_batch_unit([PairedOutcomes(*map(int, c)) for c in cells], null_gain=-margin), abs=1e-9
        )
        hits += log_e.max() >= math.log(20)
    assert stats.binomtest(hits, 300).proportion_ci(0.998).low <= 0.05


def test_batches_without_rows_say_nothing() -> None:
    some = [PairedOutcomes(9, 3, 91), PairedOutcomes(3, 1, 46)]
    empty = PairedOutcomes(0, 0, 0)
    assert log_e_batch_unit([empty, *some, empty], null_gain=0.01) == log_e_batch_unit(some, null_gain=0.01)
    assert log_e_batch_unit([]) == log_e_batch_unit([empty]) == 0


def test_no_single_batch_however_large_proves_anything() -> None:
    """E >= 20 takes several batches that agree, whatever the number of rows."""
    for batch in (PairedOutcomes(HUGE, 0, 0), PairedOutcomes(500, 100, 0), PairedOutcomes(9, 1, 0)):
        proven = [log_e_batch_unit([batch] * n) >= math.log(20) for n in range(40)]
        assert not any(proven[:5])
        assert proven.index(True) in (6, 7, 8)


def test_false_promotion_under_common_shocks_is_at_most_alpha_where_rows_are_not() -> None:
    """Win shares Normal(1/2, .1) by batch, 52 looks, 400 years: the row-level rule errs often, the batch-unit one rarely."""
    from analysis.any_look.eprocess import log_e_array

    rng = np.random.default_rng(5)
    years, weeks, d = 400, 52, 100
    share = np.clip(rng.normal(0.5, 0.1, size=(years, weeks)), 0, 1)
    w = rng.binomial(d, share)
    x = (2 * w - d) / math.sqrt(d)
    e = log_e_cosh(scale_free(x))
    by_batch = e.max(axis=1) >= math.log(20)
    by_row = log_e_array(w.cumsum(axis=1), (d - w).cumsum(axis=1), 0).max(axis=1) >= math.log(20)
    assert stats.binomtest(int(by_batch.sum()), years).proportion_ci(0.998).low <= 0.05
    assert stats.binomtest(int(by_row.sum()), years).proportion_ci(0.998).low > 0.2
    single = [log_e_batch_unit([PairedOutcomes(int(k), int(d - k), 0) for k in row]) for row in w[:5]]
    assert single == pytest.approx(e[:5, -1].tolist())


def test_overdispersion_against_scipy() -> None:
    """At the pooled share W / D instead of (W + 1/2) / (D + 1) it is the chi-square of the 2 x T table."""
    batches = [PairedOutcomes(520, 480, 5), PairedOutcomes(610, 500, 5), PairedOutcomes(300, 390, 5)]
    found = overdispersion(batches)
    expected = stats.chi2_contingency([(b.wins, b.losses) for b in batches], correction=False)
    assert isinstance(found, Overdispersion)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-3)
    assert found.degrees_of_freedom == 2
    assert found.p_value == pytest.approx(stats.chi2.sf(found.statistic, 2))


def test_overdispersion_by_hand_over_the_batches_with_a_disagreement() -> None:
    """W = 6 of D = 10: p = 6.5 / 11."""
    found = overdispersion([PairedOutcomes(5, 1, 0), PairedOutcomes(0, 0, 50), PairedOutcomes(1, 3, 0)])
    p = 6.5 / 11
    assert isinstance(found, Overdispersion)
    assert found.statistic == pytest.approx(((5 - 6 * p) ** 2 / 6 + (1 - 4 * p) ** 2 / 4) / (p * (1 - p)))
    assert found.degrees_of_freedom == 1


def test_overdispersion_needs_two_batches_with_a_disagreement() -> None:
    for batches in ([], [PairedOutcomes(5, 1, 0)], [PairedOutcomes(5, 1, 0), PairedOutcomes(0, 0, 9)]):
        assert isinstance(overdispersion(batches), Undefined)


def test_the_size_of_the_overdispersion_test_under_binomial_chance() -> None:
    """2000 seeded draws of 12 homogeneous batches: p < .05 in about 5 %, within 4 standard errors and the chi-square's bias."""
    wins = np.random.default_rng(8).binomial(40, 0.55, size=(2000, 12))
    p = []
    for row in wins:
        found = overdispersion([PairedOutcomes(int(w), int(40 - w), 0) for w in row])
        assert isinstance(found, Overdispersion)
        p.append(found.p_value)
    rate = float(np.mean(np.array(p) < 0.05))
    assert abs(rate - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 2000) + 0.005


@PROPERTY
@given(st.lists(OUTCOMES, max_size=6), st.sampled_from([-0.05, 0.0, 0.05]))
def test_results_are_numbers_and_swapping_the_models_reverses_them(batches: list[PairedOutcomes], gain: float) -> None:
    value = log_e_batch_unit(batches, null_gain=gain)
    assert math.isfinite(value)
    swapped = log_e_batch_unit([b.swap() for b in batches], null_gain=-gain)
    assert min(value, swapped) < math.log(20)
    there, back = overdispersion(batches), overdispersion([b.swap() for b in batches])
    if isinstance(there, Overdispersion):
        assert isinstance(back, Overdispersion)
        assert back.statistic == pytest.approx(there.statistic, rel=1e-6, abs=1e-6)
        assert 0 <= there.p_value <= 1


def test_overdispersion_of_differences_is_cochrans_q_of_statsmodels() -> None:
    effects, errors = [0.02, -0.01, 0.05, 0.011], [0.01, 0.02, 0.015, 0.008]
    found = overdispersion_of_differences(
        [Difference(0.5, 0.5 + e, e, s) for e, s in zip(effects, errors, strict=True)]
    )
    expected = combine_effects(np.array(effects), np.array(errors) ** 2)
    assert isinstance(found, Overdispersion)
    assert found.statistic == pytest.approx(expected.q)
    assert found.degrees_of_freedom == 3
    assert found.p_value == pytest.approx(stats.chi2.sf(expected.q, 3))


def test_overdispersion_of_differences_needs_two_batches_with_a_standard_error() -> None:
    known, unknown = Difference(0.5, 0.6, 0.1, 0.02), Difference(0.5, 0.5, 0.0, 0.0)
    for batches in ([], [known], [known, unknown]):
        assert isinstance(overdispersion_of_differences(batches), Undefined)
    two = overdispersion_of_differences([known, unknown, known])
    assert isinstance(two, Overdispersion)
    assert (two.statistic, two.degrees_of_freedom, two.p_value) == (0.0, 1, 1.0)


def test_a_number_is_divided_by_the_root_mean_square_of_those_before_it_and_clipped() -> None:
    found = scale_free(np.array([[1.2, -4.0, 4.0, -20.0], [0.5, 0.5, 0.5, 9.0]]))
    expected = [[1.2, -1.5, 4 / math.sqrt((1.44 + 16) / 2), -1.5], [0.5, 0.5, 0.5, 1.5]]
    assert found.tolist() == [pytest.approx(row) for row in expected]
