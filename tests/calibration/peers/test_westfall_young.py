"""Westfall and Young's max-T: families of challengers at a fixed horizon."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from calibration.peers.westfall_young import westfall_young


def patterns_of(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.unique(rows, axis=0, return_counts=True)


def family(rng: np.random.Generator, n: int, k: int, gain: float, shared: float) -> np.ndarray:
    """n positives found (1) by the champion and k challengers; the challengers share a part of their luck."""
    champion = rng.random(n) < 0.5
    common = rng.random((n, 1))
    own = np.where(rng.random((n, k)) < shared, common, rng.random((n, k)))
    flip = own < 0.12
    won = rng.random((n, k)) < gain
    better = np.where(flip, ~champion[:, None], champion[:, None]) | (won & ~champion[:, None])
    return np.column_stack([champion, better]).astype(int)


def test_one_challenger_alone_is_a_bootstrap_test_close_to_mcnemars() -> None:
    rows = family(np.random.default_rng(8), 2000, 1, 0.02, 0.0)
    wins = int(((rows[:, 1] == 1) & (rows[:, 0] == 0)).sum())
    losses = int(((rows[:, 1] == 0) & (rows[:, 0] == 1)).sum())
    (found,) = westfall_young(*patterns_of(rows), rng=np.random.default_rng(1))
    z = (wins - losses) / np.sqrt(wins + losses - (wins - losses) ** 2 / 2000)
    assert found == pytest.approx(stats.norm.sf(z), abs=0.015)


def test_copies_of_one_challenger_cost_nothing() -> None:
    """Holm multiplies by their number; max-T sees that they are one."""
    rows = family(np.random.default_rng(3), 2000, 1, 0.02, 0.0)
    copies = np.column_stack([rows, rows[:, 1], rows[:, 1], rows[:, 1]])
    (alone,) = westfall_young(*patterns_of(rows), rng=np.random.default_rng(1))
    four = westfall_young(*patterns_of(copies), rng=np.random.default_rng(1))
    assert four == pytest.approx([alone] * 4, abs=0.01)


def test_five_equal_challengers_are_rejected_no_more_often_than_alpha_allows() -> None:
    """Family-wise error over 300 families, by the binomial bound; unadjusted tests reject far more often."""
    rng = np.random.default_rng(11)
    any_adjusted = any_raw = 0
    for _ in range(300):
        rows = family(rng, 1000, 5, 0.0, 0.5)
        adjusted = westfall_young(*patterns_of(rows), rng=rng, n_resamples=400)
        any_adjusted += min(adjusted) < 0.05
        gains = rows[:, 1:] - rows[:, :1]
        z = gains.sum(axis=0) / np.sqrt((gains**2).sum(axis=0))
        any_raw += stats.norm.sf(z).min() < 0.05
    assert stats.binomtest(any_adjusted, 300, 0.061, alternative="greater").pvalue > 1e-3
    assert any_raw / 300 > 0.1


def test_p_values_keep_the_order_of_the_statistics_and_never_reach_0() -> None:
    rows = np.column_stack([family(np.random.default_rng(5), 800, 3, g, 0.3)[:, :2] for g in (0.0, 0.05, 0.3)])
    rows = rows[:, [0, 1, 3, 5]]
    found = westfall_young(*patterns_of(rows), rng=np.random.default_rng(2), n_resamples=999)
    assert min(found) >= 1 / 1000
    assert all(0 < p <= 1 for p in found)


def test_a_challenger_that_never_disagrees_and_a_family_without_rows_prove_nothing() -> None:
    rows = np.array([[1, 1, 1], [0, 0, 1]])
    found = westfall_young(rows, [50, 30], rng=np.random.default_rng(1), n_resamples=500)
    assert found[0] == 1.0
    assert found[1] < 0.01
    assert westfall_young(rows, [0, 0], rng=np.random.default_rng(1)) == [1.0, 1.0]


def test_shapes_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="need patterns x versions and one count a pattern"):
        westfall_young([[0, 1]], [1, 2], rng=np.random.default_rng(1))


def test_one_row_won_is_as_little_evidence_as_its_resamples_say() -> None:
    """It is drawn k ~ Poisson(1) times, and t* >= t where (k - 1) / sqrt(k) >= 1: where k is 3 or more."""
    (found,) = westfall_young([[0, 1], [1, 1]], [1, 999], rng=np.random.default_rng(1))
    assert found == pytest.approx(stats.poisson.sf(2, 1), abs=0.01)


def test_a_statistic_that_is_reached_again_counts_as_reached() -> None:
    """As many wins as losses: t is 0, and so is t* in every resample that is as even; p is P(X >= 5), X ~ Binomial(10, 1/2)."""
    (found,) = westfall_young([[0, 1], [1, 0]], [5, 5], rng=np.random.default_rng(1))
    assert found == pytest.approx(stats.binom.sf(4, 10, 0.5), abs=0.015)


ROWS = 60  # few, so that statistics tie and the square of a net gain counts


def test_step_down_max_t_against_its_definition_challenger_by_challenger() -> None:
    """From the most to the least significant: how often the largest centred statistic of those left is as large."""
    rows = np.column_stack([family(np.random.default_rng(s), ROWS, 2, g, 0.5) for s, g in ((5, 0.2), (6, 0.0))])
    patterns, n = patterns_of(rows[:, [0, 1, 2, 4, 5]])
    draws = np.random.default_rng(7).multinomial(ROWS, n / ROWS, size=1000)
    gains = [[p[j] - p[0] for p in patterns.tolist()] for j in range(1, 5)]

    def t(counts: np.ndarray, gain: list[int], centre: float = 0.0) -> float:
        net = sum(g * k for g, k in zip(gain, counts, strict=True))
        discordant = sum(g * g * k for g, k in zip(gain, counts, strict=True))
        return float((net - centre) / np.sqrt(discordant - net**2 / ROWS))

    observed = [t(n, g) for g in gains]
    centred = [[t(d, g, float(np.dot(g, n))) for g in gains] for d in draws]
    expected, highest_before, left = [0.0] * 4, 0.0, sorted(range(4), key=lambda j: -observed[j])
    while left:
        hits = sum(max(run[j] for j in left) >= observed[left[0]] for run in centred)
        highest_before = expected[left[0]] = max(highest_before, (1 + hits) / 1001)
        left = left[1:]
    found = westfall_young(patterns, n, rng=np.random.default_rng(7), n_resamples=1000)
    assert found == pytest.approx(expected, abs=1e-12)
    assert len(set(found)) > 2


def test_patterns_and_counts_may_be_lists_and_ten_thousand_resamples_are_the_default() -> None:
    """The smallest p-value there is tells the number of resamples."""
    assert westfall_young([[0, 1], [1, 0]], [400, 1], rng=np.random.default_rng(1)) == [1 / 10_001]


def test_a_challenger_that_wins_every_row_has_the_p_value_of_the_sign_test() -> None:
    """Its resamples are all alike; beside another challenger there are two to be right about."""
    assert westfall_young([[0, 1]], [10], rng=np.random.default_rng(1)) == [0.5**10]
    assert westfall_young([[1, 0]], [10], rng=np.random.default_rng(1)) == [1.0]
    assert westfall_young([[0, 1, 1, 1, 1]], [1], rng=np.random.default_rng(1)) == [1.0] * 4
    patterns, counts = [[0, 1, 0], [0, 1, 1]], [7, 3]
    both = westfall_young(patterns, counts, rng=np.random.default_rng(1), n_resamples=2000)
    assert both[0] == 2 * 0.5**10
    (alone,) = westfall_young([[0, 0], [0, 1]], counts, rng=np.random.default_rng(1), n_resamples=2000)
    assert both[1] == alone >= both[0]
