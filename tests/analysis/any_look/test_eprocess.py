"""The e-process and its confidence sequence against closed forms, quadrature and exact martingale sums."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from math import comb
from typing import Any

import mpmath
import numpy as np
import pytest
from analysis_examples import HUGE, oracle
from scipy import stats

from analysis.any_look.eprocess import DEFAULT_PRIOR, confidence_sequence, log_e, log_e_array, prior_for
from analysis.tables.counts import PairedOutcomes

ORACLE = oracle("eprocess")


def mpmath_log_e(w: int, l: int, t: int, m: float, a: float) -> float:
    """The mixture integral with 40 digits, in panels around its mode; the density of u is c (1 - u^2)^(a - 1)."""
    with mpmath.workdps(40):
        gain, prior = mpmath.mpf(m), mpmath.mpf(a)

        def log_f(u: mpmath.mpf) -> mpmath.mpf:
            return (
                w * mpmath.log(1 + u * (1 - gain) / (1 + gain))
                + l * mpmath.log(1 - u)
                + t * mpmath.log(1 - u * gain / (1 + gain))
                + (prior - 1) * mpmath.log(1 - u * u)
            )

        grid = [mpmath.mpf(i) / 4000 for i in range(4000)]
        top = max(grid, key=log_f)
        near = [mpmath.mpf(k) / 4000 / 16 for k in range(-64, 65, 8)]
        points = sorted(
            {mpmath.mpf(0), *(p for p in (top + d for d in near) if 0 < p < 1), *grid[::400], mpmath.mpf(1)}
        )
        peak = log_f(top)
        total = mpmath.quad(lambda u: mpmath.exp(log_f(u) - peak) if u < 1 else mpmath.mpf(0), points)
        constant = 1 / mpmath.quad(lambda u: (1 - u * u) ** (prior - 1), [0, 1])
        return float(mpmath.log(total * constant) + peak)


@pytest.mark.parametrize("case", ORACLE["beta_binomial"], ids=lambda c: f"a{c['a']:g}-w{c['w']}-l{c['l']}")
def test_closed_form_against_the_oracle(case: dict[str, Any]) -> None:
    found = log_e(PairedOutcomes(case["w"], case["l"], 123), prior=case["a"])
    assert found == pytest.approx(case["log_e"], rel=1e-9, abs=1e-9)
    assert found == pytest.approx(case.get("log_e_mpmath", case["log_e"]), rel=1e-9, abs=1e-8)


@pytest.mark.parametrize("case", ORACLE["confidence_sequence"], ids=lambda c: f"w{c['w']}-l{c['l']}")
def test_confidence_sequence_against_the_oracle(case: dict[str, Any]) -> None:
    pairs = PairedOutcomes(case["w"], case["l"], case["n_concordant"])
    found = confidence_sequence(pairs, alpha=case["alpha_each_side"], prior=case["a"])
    assert [found.low, found.high] == pytest.approx([case["lower"], case["upper"]], rel=1e-6)
    assert found.confidence_level == pytest.approx(1 - 2 * case["alpha_each_side"])


@pytest.mark.parametrize("case", ORACLE["noninferiority"], ids=lambda c: f"w{c['w']}-l{c['l']}")
def test_noninferiority_against_the_oracle(case: dict[str, Any]) -> None:
    pairs = PairedOutcomes(case["w"], case["l"], case["n_concordant"])
    assert log_e(pairs, null_gain=-case["margin"], prior=case["a"]) == pytest.approx(
        case["log_e_noninferior"], rel=1e-6
    )


@pytest.mark.parametrize(("threshold", "key"), [(20, "threshold20"), (100, "threshold100")])
def test_the_first_straight_win_that_decides_against_the_oracle(threshold: int, key: str) -> None:
    for prior, wins in ORACLE["min_straight_wins"][key].items():
        reached = [log_e(PairedOutcomes(w, 0, 0), prior=float(prior)) >= math.log(threshold) for w in range(wins + 1)]
        assert reached == [False] * wins + [True]


@pytest.mark.parametrize(
    ("w", "l", "t", "m", "a"),
    [
        (0, 0, 0, 0.01, 3),
        (1, 0, 0, 0.3, 1),
        (0, 1, 0, -0.3, 1),
        (0, 0, 40, -0.9, 3),
        (5, 2, 30, 0.02, 3),
        (10, 12, 978, -0.01, 3),
        (30, 4, 500, 0.01, 10),
        (4, 30, 500, -0.005, 3),
        (60, 40, 900, -0.05, 200),
        (0, 25, 100, 0.5, 3),
        (150, 100, 750, 0.99, 3),
        (600, 200, 3000, 0.01, 3),
        (3000, 1000, 10_000, -0.02, 10),
        (1_001_000, 999_000, 10_000_000, 1e-4, 3),
        (50_040_000, 49_960_000, 100_000_000, 1e-4, 3),
        (600_000_000, 300_000_000, 100_000_000, 0.3, 3),
        (70_000_000, 30_000_000, 100_000_000, 0.01, 3),
    ],
)
def test_quadrature_against_mpmath(w: int, l: int, t: int, m: float, a: float) -> None:
    """Gains other than 0 go through quadrature: the same integral with 40 digits agrees to 1e-8."""
    assert log_e(PairedOutcomes(w, l, t), null_gain=m, prior=a) == pytest.approx(
        mpmath_log_e(w, l, t, m, a), rel=1e-8, abs=1e-8
    )


def test_closed_form_against_exact_rational_integration() -> None:
    """At a = 1, E = integral over u in [0, 1] of (1 + u)^w (1 - u)^l, expanded exactly."""
    for w in range(8):
        for l in range(8):
            exact = sum(
                Fraction(comb(w, i) * comb(l, j) * (-1) ** j, i + j + 1) for i in range(w + 1) for j in range(l + 1)
            )
            assert math.exp(log_e(PairedOutcomes(w, l, 0), prior=1)) == pytest.approx(float(exact), rel=1e-11)


@pytest.mark.parametrize("prior", [1.0, 3.0, 30.0])
@pytest.mark.parametrize("gain", [0.0, 0.1, -0.2])
def test_it_is_a_martingale_at_the_boundary_by_enumeration(gain: float, prior: float) -> None:
    """Whatever has been counted, the mean of E after one more row with mean gain exactly g is E itself."""
    for tie in (0.0, 0.3):
        p_win, p_loss = (1 - tie + gain) / 2, (1 - tie - gain) / 2
        for w, l, t in [(0, 0, 0), (3, 1, 5), (2, 9, 40), (60, 41, 300)]:
            e = functools.partial(lambda *n: math.exp(log_e(PairedOutcomes(*n), null_gain=gain, prior=prior)))
            after = p_win * e(w + 1, l, t) + p_loss * e(w, l + 1, t) + tie * e(w, l, t + 1)
            assert after == pytest.approx(e(w, l, t), rel=1e-9)


def test_crossing_probability_under_h0_by_enumeration_of_all_paths() -> None:
    """A fair coin watched after every one of 400 disagreements crosses E = 20 with probability at most 1/20."""
    alive, crossed = {0: 1.0}, 0.0
    for d in range(1, 401):
        step: dict[int, float] = {}
        for w, p in alive.items():
            for wins in (w, w + 1):
                if log_e(PairedOutcomes(wins, d - wins, 0)) >= math.log(20):
                    crossed += p / 2
                else:
                    step[wins] = step.get(wins, 0.0) + p / 2
        alive = step
    assert 0.01 < crossed <= 0.05
    assert crossed + sum(alive.values()) == pytest.approx(1)


def test_no_row_is_no_evidence() -> None:
    nothing = PairedOutcomes(0, 0, 0)
    assert log_e(nothing) == log_e(nothing, null_gain=0.1) == log_e(nothing, null_gain=-0.1) == 0
    assert log_e(PairedOutcomes(0, 0, HUGE)) == pytest.approx(0, abs=1e-12)
    interval = confidence_sequence(nothing, alpha=0.05)
    assert (interval.low, interval.high) == (-1, 1)


def test_a_billion_rows() -> None:
    """Closed forms at the far end: all wins give D log 2 - O(log D), all losses at most nothing."""
    assert log_e(PairedOutcomes(HUGE, 0, 0)) == pytest.approx(HUGE * math.log(2), rel=1e-6)
    assert log_e(PairedOutcomes(0, HUGE, 0)) == pytest.approx(-20.0946, abs=1e-3)
    assert -30 < log_e(PairedOutcomes(0, HUGE, 0), null_gain=0.01) < -10
    assert log_e(PairedOutcomes(0, 0, HUGE), null_gain=-0.01) == pytest.approx(-HUGE * math.log(0.99), rel=0.01)
    with mpmath.workdps(60):
        tied = mpmath.log(2) * (2 * HUGE) + mpmath.log(mpmath.beta(HUGE + 3, HUGE + 3) / mpmath.beta(3, 3))
    assert log_e(PairedOutcomes(HUGE, HUGE, 5)) == pytest.approx(float(tied), abs=1e-9)
    interval = confidence_sequence(PairedOutcomes(HUGE, HUGE, HUGE), alpha=0.05)
    assert -2e-4 < interval.low < 0 < interval.high < 2e-4
    assert confidence_sequence(PairedOutcomes(HUGE, 0, 0), alpha=0.05).high == 1
    assert confidence_sequence(PairedOutcomes(HUGE, 0, 0), alpha=0.05).low == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("gain", [0.0, 0.02])
def test_counts_of_any_shape_give_e_values_of_that_shape(gain: float) -> None:
    wins, losses = np.arange(6).reshape(2, 3, 1), np.array([[1, 4, 2, 0]])
    found = log_e_array(wins, losses, 7, null_gain=gain)
    assert found.shape == (2, 3, 4)
    for i in np.ndindex(found.shape):
        pairs = PairedOutcomes(int(wins[i[0], i[1], 0]), int(losses[0, i[2]]), 7)
        assert found[i] == pytest.approx(log_e(pairs, null_gain=gain), abs=1e-3)


@pytest.mark.parametrize("half", [499_999, 500_000, 4_999_000, 10**7])
def test_with_a_million_disagreements_log_e_still_has_nine_digits(half: int) -> None:
    """At even odds the tail is one half, so only the beta function is left, with 60 digits."""
    with mpmath.workdps(60):
        exact = mpmath.log(2) * (2 * half) + mpmath.log(mpmath.beta(half + 3, half + 3) / mpmath.beta(3, 3))
    assert log_e(PairedOutcomes(half, half, 0)) == pytest.approx(float(exact), abs=1e-9)


def test_log_e_array_is_log_e() -> None:
    """Exactly at a gain of 0; within 1e-3 at other gains up to 100 000 rows while |log E| < 30."""
    rng = np.random.default_rng(1)
    n = 10 ** rng.uniform(0, 5, size=400)
    d = rng.binomial(n.astype(int), rng.uniform(0, 0.6, size=400))
    w = rng.binomial(d, rng.uniform(0.35, 0.65, size=400))
    t = n.astype(int) - d
    for gain in (0.0, -0.005, 0.01, -0.05):
        for prior in (1.0, DEFAULT_PRIOR, 30.0):
            found = log_e_array(w, d - w, t, null_gain=gain, prior=prior)
            single = np.array(
                [
                    log_e(PairedOutcomes(int(a), int(b - a), int(c)), null_gain=gain, prior=prior)
                    for a, b, c in zip(w, d, t, strict=True)
                ]
            )
            near = np.abs(single) < 30
            assert near.sum() > 100
            np.testing.assert_allclose(found[near], single[near], atol=1e-12 if gain == 0 else 1e-3)
    assert log_e_array([0, 0], [0, 100_000], [0, 5]) == pytest.approx(
        [0, log_e(PairedOutcomes(0, 100_000, 5))], abs=1e-6
    )


def test_the_planned_prior_is_the_most_powerful_of_the_usual_ones() -> None:
    """At the planned share, the expected log E of the planned prior is within .15 of the best of a wide choice."""
    for share, pairs in [(0.75, 40), (0.6, 300), (0.55, 1200)]:
        wins = np.arange(pairs // 2, pairs + 1)  # below, nearly impossible
        pmf = stats.binom.pmf(wins, pairs, share)
        expected = {
            a: float(np.sum(pmf * log_e_array(wins, pairs - wins, 0, prior=a)))
            for a in (prior_for(share), 1, 2, 3, 5, 10, 20, 50, 100, 200)
        }
        assert expected[prior_for(share)] > max(expected.values()) - 0.15
    assert prior_for(0.5 + 1e-9) == 200
    assert prior_for(1) == 1
    assert prior_for(0.6) == pytest.approx(12)


@pytest.mark.parametrize("gain", [-1, 1, 1.5, math.nan])
def test_gains_outside_the_metric_are_refused(gain: float) -> None:
    with pytest.raises(ValueError, match="gain"):
        log_e(PairedOutcomes(1, 1, 1), null_gain=gain)
    with pytest.raises(ValueError, match="gain"):
        log_e_array(1, 1, 1, null_gain=gain)


@pytest.mark.parametrize("prior", [0.99, 0, -3, math.nan])
def test_priors_below_one_are_refused(prior: float) -> None:
    with pytest.raises(ValueError, match="prior"):
        log_e(PairedOutcomes(1, 1, 1), prior=prior)
    with pytest.raises(ValueError, match="prior"):
        log_e_array(1, 1, 1, prior=prior)


@pytest.mark.parametrize("alpha", [0, 0.5, 1, -0.1, math.nan])
def test_alphas_outside_zero_and_a_half_are_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        confidence_sequence(PairedOutcomes(1, 1, 1), alpha=alpha)


@pytest.mark.parametrize("share", [0.5, 0.2, 1.1, math.nan])
def test_planned_win_shares_that_are_no_wins_are_refused(share: float) -> None:
    with pytest.raises(ValueError, match="win share"):
        prior_for(share)
