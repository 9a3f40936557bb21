"""The e-process for precision: its oracle, its direction, and its promise at the boundary of H0."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from analysis_examples import HUGE, MODEST_COUNTS, PROPERTY, SLOW_PROPERTY, oracle
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from analysis.any_look.precision import _GRID, _log_e_at, log_e_precision
from analysis.tables.counts import PairedCounts

CASES = oracle("eprocess")["precision_noninferiority"]


def log_e_at(pi: np.ndarray, counts: PairedCounts, gain: float, prior: float = 3.0) -> np.ndarray:
    """The definition written as loops over kappas and bets: the log of the e-value at each nuisance value."""
    nodes, weights = np.polynomial.legendre.leggauss(64)
    theta = stats.beta.isf((1 - nodes) / 4, prior, prior)
    logs = []
    for kappa in (0.6, 0.8, 1.0, 1.25, 1.6):
        g = [h * (y - pi - gain) - kappa * c * (y - pi) for y in (0, 1) for c in (0, 1) for h in (0, 1)]
        scale = -np.min(g, axis=0)
        for t, weight in zip(theta, weights / 2, strict=True):
            factors = zip(g, counts.labelled, strict=True)
            capital = sum(n * np.log1p((2 * t - 1) * x / scale) for x, n in factors if n)
            logs.append(math.log(0.9 * weight / 5) + capital)
    tp, fp = counts.champion.tp, counts.champion.fp
    of_pi = special.betaln(tp + 1, fp + 1) - tp * np.log(pi) - fp * np.log(1 - pi)
    return np.asarray(special.logsumexp([np.broadcast_to(x, pi.shape) for x in (*logs, math.log(0.1) + of_pi)], axis=0))


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"n{c['counts'][0]}")
def test_the_minimum_over_the_grid_against_the_oracle(case: dict[str, Any]) -> None:
    counts = PairedCounts(tuple(case["counts"]))
    on_the_grid = log_e_precision(counts, null_gain=-case["margin"], prior=case["a"], refine=False)
    assert on_the_grid == pytest.approx(case["log_e"], abs=1e-6)
    refined = log_e_precision(counts, null_gain=-case["margin"], prior=case["a"])
    assert on_the_grid - 0.02 < refined <= on_the_grid


def test_against_a_plain_sum_over_the_nuisance_the_kappas_and_the_bets() -> None:
    for cells in [(5, 1, 2, 1, 2, 4, 1, 6), (400, 30, 28, 20, 10, 60, 60, 90), (9, 0, 4, 0, 3, 2, 0, 0)]:
        for gain, prior in ((-0.03, 3.0), (-0.1, 3.0), (0.05, 10.0)):
            counts = PairedCounts(cells)  # type: ignore[arg-type]
            lowest = log_e_at(np.linspace(0.005, 0.995, 199), counts, gain, prior).min()
            found = log_e_precision(counts, null_gain=gain, prior=prior, refine=False)
            assert found == pytest.approx(lowest, rel=1e-9, abs=1e-9)


def test_it_proves_the_direction_that_is_true_and_not_the_other() -> None:
    """A challenger with precision .9 beside a champion with .6; the reverse question is the swapped counts."""
    counts = PairedCounts((9000, 20, 320, 80, 50, 300, 150, 600))
    assert log_e_precision(counts, null_gain=0) > math.log(1e4)
    assert log_e_precision(counts, null_gain=-0.03) > log_e_precision(counts, null_gain=0)
    assert log_e_precision(counts.swap(), null_gain=0) < 0
    assert log_e_precision(counts.swap(), null_gain=0.03) < 0
    assert log_e_precision(counts, null_gain=0.5) < 0


@pytest.mark.slow
def test_the_error_at_the_boundary_of_h0_over_a_year_of_weekly_looks_is_at_most_alpha() -> None:
    """Precision exactly at the margin (.80 against .83): the share of years that cross E = 5 is at most 1/5.

    A lax threshold gives a test that can fail with few years: the exact binomial bound at 99.9 %.
    """
    rng = np.random.default_rng(20)
    margin, champion = 0.03, 0.83
    both, alone = 30, 10  # rows a week that both flag, and that each flags alone
    share_alone = champion - margin * (both + alone) / alone  # the challenger's own flags carry the whole difference
    years, crossed = 100, 0
    for _ in range(years):
        total = PairedCounts()
        for _week in range(26):
            hit_both = int(rng.binomial(both, champion))
            hit_old = int(rng.binomial(alone, champion))
            hit_new = int(rng.binomial(alone, share_alone))
            total += PairedCounts(
                (900, alone - hit_new, alone - hit_old, both - hit_both, 5, hit_new, hit_old, hit_both)
            )
            if log_e_precision(total, null_gain=-margin, refine=False) >= math.log(5):
                crossed += 1
                break
    bound = stats.binomtest(crossed, years).proportion_ci(0.998, method="exact").low
    assert bound <= 0.2


def test_one_more_flagged_row_never_raises_the_mean_evidence_at_the_boundary_by_enumeration() -> None:
    """For the true nuisance the capital is a supermartingale: mean E at the true pi after one more row is at most E.

    What is reported lies below it, whatever the rows.
    """

    def true(counts: tuple[int, ...]) -> float:
        evidence = PairedCounts(counts)  # type: ignore[arg-type]
        there = float(log_e_at(np.array([pi]), evidence, gain)[0])
        assert log_e_precision(evidence, null_gain=gain) <= there + 1e-9
        return math.exp(there)

    pi, gain = 0.7, -0.1
    p = {7: 0.30, 3: 0.10, 6: 0.19, 2: 0.11, 5: 0.0, 1: 0.0, 0: 0.0, 4: 0.0}
    # c is right on .49 of .70; h adds flags of its own so that its precision is exactly pi + gain = .6
    p[5], p[1] = 0.06, 0.14
    p[0] = 1 - sum(p.values())
    assert (p[7] + p[6]) / (p[7] + p[6] + p[3] + p[2]) == pytest.approx(pi)
    assert (p[7] + p[5]) / (p[7] + p[5] + p[3] + p[1]) == pytest.approx(pi + gain)
    for start in [(0,) * 8, (20, 3, 2, 2, 1, 4, 3, 9), (400, 30, 28, 20, 10, 60, 60, 90)]:
        here = true(start)
        after = 0.0
        for cell, share in p.items():
            after += share * true(tuple(n + (i == cell) for i, n in enumerate(start)))
        assert after <= here * (1 + 1e-9)


@pytest.mark.parametrize(
    "counts",
    [
        (0, 2000, 0, 0, 0, 2000, 4000, 0),  # champion 1.000, challenger 0.500
        (0, 5000, 10, 0, 0, 5000, 9990, 0),  # champion 0.999, challenger 0.500
        (0, 0, 0, 4000, 0, 0, 0, 0),  # both 0.000, on the same rows
    ],
    ids=["champion-never-wrong", "champion-hardly-wrong", "champion-never-right"],
)
def test_a_challenger_with_no_better_precision_is_not_proven_better_however_extreme_the_champion(
    counts: tuple[int, ...],
) -> None:
    """The champion's precision may be anything in [0, 1], so the minimum has to reach its ends."""
    assert log_e_precision(PairedCounts(counts), null_gain=0) < math.log(20)  # type: ignore[arg-type]


@SLOW_PROPERTY
@given(MODEST_COUNTS)
def test_refining_only_lowers_it_and_it_is_always_a_number(counts: PairedCounts) -> None:
    for gain in (-0.03, 0.0, 0.03):
        refined = log_e_precision(counts, null_gain=gain)
        assert math.isfinite(refined)
        assert refined <= log_e_precision(counts, null_gain=gain, refine=False)


@SLOW_PROPERTY
@given(MODEST_COUNTS)
def test_rows_that_nobody_flags_say_nothing_and_unlabelled_rows_neither(counts: PairedCounts) -> None:
    n = counts.labelled
    other = PairedCounts((n[0] + 77, *n[1:4], n[4] + 55, *n[5:]), (1, 2, 3, 4))
    assert log_e_precision(other, null_gain=-0.03) == log_e_precision(counts, null_gain=-0.03)


def test_nothing_flagged_is_no_evidence_and_a_billion_rows_a_cell_are_a_number() -> None:
    assert log_e_precision(PairedCounts((HUGE, 0, 0, 0, HUGE, 0, 0, 0)), null_gain=-0.03) == pytest.approx(0, abs=1e-9)
    everywhere = PairedCounts((HUGE,) * 8)
    assert log_e_precision(everywhere, null_gain=-0.03) > 1e6
    assert log_e_precision(everywhere, null_gain=0.03) < 0


def test_refused_gains_and_priors() -> None:
    counts = PairedCounts((1,) * 8)
    for gain in (-1, 1, math.nan):
        with pytest.raises(ValueError, match="gain"):
            log_e_precision(counts, null_gain=gain)
    for prior in (0.5, math.nan):
        with pytest.raises(ValueError, match="prior"):
            log_e_precision(counts, null_gain=0, prior=prior)


@pytest.mark.parametrize(
    "cells",
    [
        (800, 30, 25, 200, 90, 40, 30, 600),
        (90_000, 900, 800, 6_000, 4_000, 1_500, 900, 20_000),
        (9, 3, 2, 6, 4, 5, 2, 30),
    ],
)
def test_the_refined_minimum_is_no_higher_than_that_of_a_grid_a_thousand_times_as_fine(cells: tuple[int, ...]) -> None:
    counts = PairedCounts(cells)  # type: ignore[arg-type]
    coarse = np.linspace(0.001, 0.999, 999)
    best = int(np.argmin(log_e_at(coarse, counts, -0.03)))
    fine = np.linspace(coarse[max(best - 1, 0)], coarse[min(best + 1, 998)], 4001)
    lowest = float(log_e_at(fine, counts, -0.03).min())
    assert log_e_precision(counts, null_gain=-0.03) <= lowest + 1e-7
    assert log_e_precision(counts, null_gain=-0.03) == pytest.approx(lowest, abs=1e-4)
    assert log_e_precision(counts, null_gain=-0.03) == log_e_precision(counts, null_gain=-0.03, prior=3.0)


def test_the_grid_alone_lies_above_the_refined_minimum() -> None:
    counts = PairedCounts((90_000, 900, 800, 6_000, 4_000, 1_500, 900, 20_000))
    refined = log_e_precision(counts, null_gain=-0.03)
    assert log_e_precision(counts, null_gain=-0.03, refine=False) > refined + 1e-3


@PROPERTY
@given(MODEST_COUNTS, st.sampled_from([-0.2, -0.03, 0.0, 0.05]), st.sampled_from([1.0, 3.0, 20.0]))
def test_what_is_left_out_of_the_grid_never_holds_its_minimum(counts: PairedCounts, gain: float, prior: float) -> None:
    found = log_e_precision(counts, null_gain=gain, prior=prior, refine=False)
    assert found == _log_e_at(_GRID, counts, gain, prior).min()
