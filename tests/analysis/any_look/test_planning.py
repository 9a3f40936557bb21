"""The e-process's own sample size: how soon it reaches 1/alpha after every possible sequence of wins and losses."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from analysis_examples import PRIORS, SLOW_PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.any_look.eprocess import log_e, log_e_array, prior_for
from analysis.any_look.planning import DisagreementsNeeded, e_process_pairs, fewest_disagreements
from analysis.tables.counts import PairedOutcomes


@pytest.mark.parametrize(
    ("prior", "alpha", "wins"),
    [
        (1, 0.05, 7),
        (3, 0.05, 9),
        (10, 0.05, 13),
        (30, 0.05, 20),
        (1, 0.01, 9),
        (3, 0.01, 12),
        (10, 0.01, 18),
        (3, 0.9, 1),
    ],
)
def test_straight_wins_to_a_proof_against_the_published_ones(prior: float, alpha: float, wins: int) -> None:
    assert fewest_disagreements(alpha=alpha, prior=prior) == wins
    assert log_e(PairedOutcomes(wins, 0, 0), prior=prior) >= -math.log(alpha)
    assert log_e(PairedOutcomes(wins - 1, 0, 0), prior=prior) < -math.log(alpha)


@pytest.mark.parametrize("alpha", [0, 1, -0.1, math.nan])
def test_a_proof_needs_an_alpha_between_0_and_1(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha must lie between 0 and 1, not "):
        fewest_disagreements(alpha=alpha)


@pytest.mark.parametrize("win_share", [0.55, 0.75, 0.9])
@pytest.mark.parametrize(("alpha", "prior"), [(0.3, 3.0), (0.2, 1.0)])
def test_all_sequences_of_fourteen_disagreements_against_enumeration(
    win_share: float, alpha: float, prior: float
) -> None:
    """The chance that E has reached 1/alpha by each n, summed over 16,384 sequences, crosses 1/2 and 80 % where it is said."""
    sequences = np.array(list(itertools.product((0, 1), repeat=14)))
    wins, n = sequences.cumsum(axis=1), np.arange(1, 15)
    reached = np.maximum.accumulate(log_e_array(wins, n - wins, 0, prior=prior) >= -math.log(alpha), axis=1)
    chance = win_share ** wins[:, -1] * (1 - win_share) ** (14 - wins[:, -1])
    decided = (chance[:, None] * reached).sum(axis=0)
    expected = [int(n[decided >= level][0]) if decided[-1] >= level else None for level in (0.5, 0.8)]
    found = e_process_pairs(win_share, alpha=alpha, prior=prior, horizon=14)
    assert [found.half, found.likely] == expected


@pytest.mark.parametrize(
    ("win_share", "half", "likely"), [(0.9, 12, 15), (0.75, 23, 42), (0.7, 37, 67), (0.6, 147, 289), (0.55, 672, 1314)]
)
def test_the_default_process_against_simulation(win_share: float, half: int, likely: int) -> None:
    """4000 seeded records, looked at after each disagreement: as many are decided by then, and fewer one disagreement before."""
    assert e_process_pairs(win_share, alpha=0.05, horizon=2000) == DisagreementsNeeded(half, likely)
    wins = (np.random.default_rng(3).random((4000, likely)) < win_share).cumsum(axis=1)
    least = _least_wins(likely)
    reached = np.maximum.accumulate(wins >= least, axis=1).sum(axis=0)
    for level, at in ((0.5, half), (0.8, likely)):
        assert stats.binomtest(int(reached[at - 1]), 4000, level, alternative="less").pvalue > 1e-3
        assert stats.binomtest(int(reached[at - 2]), 4000, level, alternative="greater").pvalue > 1e-3


def _least_wins(horizon: int) -> np.ndarray:
    """For each number of disagreements the fewest wins with E >= 20, by trying all."""
    found = []
    for n in range(1, horizon + 1):
        wins = np.arange(n // 2, n + 1)
        enough = wins[log_e_array(wins, n - wins, 0) >= math.log(20)]
        found.append(enough[0] if len(enough) else n + 1)
    return np.array(found)


def test_a_planned_prior_needs_fewer_near_a_tie() -> None:
    """At a win share of .55 the default needs 672 and 1314; the prior planned for it 577 and 1065."""
    found = e_process_pairs(0.55, alpha=0.05, prior=prior_for(0.55), horizon=2000)
    assert found == DisagreementsNeeded(577, 1065)


def test_wins_alone_decide_at_the_first_record_that_can() -> None:
    """Nine straight wins reach 20 with the default prior, and twelve reach 100."""
    assert e_process_pairs(1.0, alpha=0.05, horizon=9) == DisagreementsNeeded(9, 9)
    assert e_process_pairs(1.0, alpha=0.05, horizon=8) == DisagreementsNeeded(None, None)
    assert e_process_pairs(1.0, alpha=0.01, horizon=50) == DisagreementsNeeded(12, 12)


def test_shares_of_exactly_a_half_and_80_percent_are_enough() -> None:
    """At alpha = 0.8 the first win decides: E = 1 + the mean of u = 1 + 5 / 16."""
    assert log_e(PairedOutcomes(1, 0, 0)) == pytest.approx(math.log(21 / 16))
    assert e_process_pairs(0.5, alpha=0.8, horizon=1) == DisagreementsNeeded(1, None)
    assert e_process_pairs(0.8, alpha=0.8, horizon=1) == DisagreementsNeeded(1, 1)


def test_beyond_the_horizon_there_is_no_number() -> None:
    assert e_process_pairs(0.7, alpha=0.05, horizon=67).likely == 67
    assert e_process_pairs(0.7, alpha=0.05, horizon=66) == DisagreementsNeeded(37, None)
    assert e_process_pairs(0.7, alpha=0.05, horizon=36) == DisagreementsNeeded(None, None)
    assert e_process_pairs(0.5, alpha=0.05, horizon=3000) == DisagreementsNeeded(None, None)
    assert e_process_pairs(0.0, alpha=0.05, horizon=300) == DisagreementsNeeded(None, None)


@pytest.mark.parametrize(("win_share", "alpha"), [(-0.1, 0.05), (1.1, 0.05), (0.7, 0.0), (0.7, 1.0)])
def test_impossible_shares_and_levels_are_refused(win_share: float, alpha: float) -> None:
    with pytest.raises(ValueError, match=r"a win share lies in \[0, 1\] and alpha in \(0, 1\), not "):
        e_process_pairs(win_share, alpha=alpha, horizon=10)


@SLOW_PROPERTY
@given(st.integers(1, 3000), st.floats(0, 1), PRIORS)
def test_a_win_never_lowers_the_evidence_and_a_loss_never_raises_it(n: int, share: float, prior: float) -> None:
    wins = round(share * n)
    before = log_e(PairedOutcomes(wins, n - wins, 0), prior=prior)
    assert log_e(PairedOutcomes(wins + 1, n - wins, 0), prior=prior) >= before - 1e-9
    assert log_e(PairedOutcomes(wins, n - wins + 1, 0), prior=prior) <= before + 1e-9
