"""Sample sizes that plans do not give, against published tables."""

from __future__ import annotations

import pytest
from analysis_examples import oracle
from scipy import stats

from calibration.peers.planning import miettinen


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
