"""Sample sizes and the boundary that plans do not give, against published tables and the e-process itself."""

from __future__ import annotations

import math

import pytest
from analysis_examples import oracle
from scipy import optimize, stats

from analysis.any_look.eprocess import log_e_array
from calibration.peers.planning import e_process_boundary, miettinen


def test_miettinens_size_against_the_oracle() -> None:
    assert miettinen(0.3, 0.1, alpha=0.05, power=0.8, alternative="two-sided") == pytest.approx(
        oracle("power")["miettinen"][0]["two_sided80"], abs=1e-6
    )


def test_a_challenger_that_wins_every_disagreement_needs_no_spread_of_wins() -> None:
    """Where the models disagree on every pair as well, only the test's own quantile is left: n = z_alpha^2."""
    assert miettinen(1.0, 1.0, alpha=0.05, power=0.8) == pytest.approx(stats.norm.isf(0.05) ** 2)
    assert miettinen(0.3, 0.3, alpha=0.05, power=0.8) > miettinen(0.3, 0.3, alpha=0.05, power=0.5)


@pytest.mark.parametrize(("gain", "discordance"), [(0.0, 0.3), (-0.1, 0.3), (0.4, 0.3), (0.1, 1.5)])
def test_gains_beyond_the_disagreement_are_refused(gain: float, discordance: float) -> None:
    with pytest.raises(ValueError, match="need 0 < gain <= discordance <= 1"):
        miettinen(discordance, gain, alpha=0.05, power=0.8)


@pytest.mark.parametrize(
    ("n", "tolerance"), [(20, 0.3), (50, 0.3), (100, 0.3), (1000, 0.06), (30_000, 0.06), (10**5, 0.06)]
)
def test_the_boundary_is_about_where_the_e_process_stands_at_one_over_alpha(n: int, tolerance: float) -> None:
    def excess(wins: float) -> float:
        return float(log_e_array(wins, n - wins, 0)) - math.log(20)

    wins = optimize.brentq(excess, n / 2, n)
    assert e_process_boundary(n, alpha=0.05) == pytest.approx((2 * wins - n) / math.sqrt(n), abs=tolerance)


def test_the_boundary_to_its_value() -> None:
    """At n = 7 = 2a + 1: sqrt(2 (2 log 10 + log 2)); at a prior of 10 and n = 63: sqrt(4/3 (2 log 50 + log 4))."""
    assert e_process_boundary(7, alpha=0.05) == pytest.approx(math.sqrt(2 * (2 * math.log(10) + math.log(2))))
    found = e_process_boundary(63, alpha=0.01, prior=10)
    assert found == pytest.approx(math.sqrt(4 / 3 * (2 * math.log(50) + math.log(4))))


@pytest.mark.parametrize("alpha", [0, 0.5, 0.6, -0.1])
def test_a_boundary_needs_an_alpha_below_one_half(alpha: float) -> None:
    with pytest.raises(ValueError, match=r"alpha must lie between 0 and 0.5, not "):
        e_process_boundary(20, alpha=alpha)
