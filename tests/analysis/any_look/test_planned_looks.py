"""Asymptotic sequences, group-sequential boundaries and sample sizes against published and computed tables."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from analysis.any_look.asymptotic import half_width
from analysis.any_look.group_sequential import Spending, boundaries, spent
from analysis.any_look.planning import connor, rows_for

ORACLES = Path(__file__).resolve().parents[2] / "oracles"
SEQUENTIAL = json.loads((ORACLES / "group_sequential.json").read_text())
POWER = json.loads((ORACLES / "power.json").read_text())
SPENDING: dict[str, Spending] = {"obf": "obrien-fleming", "pocock": "pocock"}


@pytest.mark.parametrize("case", json.loads((ORACLES / "asympcs.json").read_text()), ids=lambda c: f"n{c['n']}")
def test_half_widths_against_the_oracle(case: dict[str, Any]) -> None:
    options = {"alpha": case["alpha"], "n_opt": case["t_opt"]}
    assert half_width(case["n"], case["sd"], **options) == pytest.approx(case["half_two"], abs=1e-9)
    assert half_width(case["n"], case["sd"], **options, sides=1) == pytest.approx(case["half_one"], abs=1e-9)


def test_a_sequence_is_wider_than_one_look_and_tightest_near_its_chosen_size() -> None:
    """Relative to the fixed interval it is narrowest at about n_opt."""
    ratio = [half_width(n, 1.0, alpha=0.05, n_opt=1000) * math.sqrt(n) / 1.96 for n in (10, 100, 1000, 10_000, 10**6)]
    assert min(ratio) == ratio[2] > 1


def test_an_asymptotic_sequence_covers_at_all_looks_at_once() -> None:
    """600 walks of 4000 normal steps, looked at after 100 and then at every 10th: misses are at most alpha."""
    rng = np.random.default_rng(5)
    n = np.arange(1, 4001)
    looks = np.arange(99, 4000, 10)
    width = np.array([half_width(int(k), 1.0, alpha=0.05, n_opt=1000) for k in n[looks]])
    means = np.cumsum(rng.standard_normal((600, 4000)), axis=1) / n
    missed = int((np.abs(means[:, looks]) > width).any(axis=1).sum())
    assert stats.binomtest(missed, 600, 0.05, alternative="greater").pvalue > 1e-3


@pytest.mark.parametrize("key", SPENDING)
def test_five_looks_against_the_standard_tables(key: str) -> None:
    found = boundaries([0.2, 0.4, 0.6, 0.8, 1.0], alpha=0.025, spending=SPENDING[key])
    assert found == pytest.approx(SEQUENTIAL["five_looks_alpha025"][key], abs=6e-5)
    assert found == pytest.approx(SEQUENTIAL["five_looks_alpha025"][f"published_{key}"], abs=1.5e-4)


@pytest.mark.parametrize("key", SPENDING)
def test_weekly_looks_against_the_oracle(key: str) -> None:
    """The oracle's first three O'Brien-Fleming values are where its search stopped: less than 1e-12 may be spent there."""
    found = boundaries([(i + 1) / 52 for i in range(52)], alpha=0.05, spending=SPENDING[key])
    first = 3 if key == "obf" else 0
    assert all(math.isinf(b) for b in found[:first])
    assert found[first:] == pytest.approx(SEQUENTIAL["weekly52_alpha05"][key][first:], abs=6e-4)


@pytest.mark.parametrize("fraction", [0, -0.1, 1.001])
def test_what_is_spent_before_the_first_row_or_after_the_last_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\], not .*; the horizon cannot be extended"):
        spent(fraction, alpha=0.05, spending="pocock")


@pytest.mark.parametrize("spending", ["obrien-fleming", "pocock"])
def test_boundaries_spend_alpha_by_simulation(spending: Spending) -> None:
    fractions = [0.1, 0.25, 0.5, 0.8, 1.0]
    limits = np.array(boundaries(fractions, alpha=0.05, spending=spending))
    rng = np.random.default_rng(3)
    steps = rng.standard_normal((100_000, 5)) * np.sqrt(np.diff([0.0, *fractions]))
    z = steps.cumsum(axis=1) / np.sqrt(fractions)
    crossed = np.maximum.accumulate(z > limits, axis=1).mean(axis=0)
    expected = np.array([spent(t, alpha=0.05, spending=spending) for t in fractions])
    assert np.all(np.abs(crossed - expected) < 4 * np.sqrt(0.05 * 0.95 / 100_000))


@pytest.mark.parametrize("fractions", [[0.5, 0.4], [0.0, 0.5], [0.5, 0.5]])
def test_information_rises(fractions: list[float]) -> None:
    with pytest.raises(ValueError, match="information must increase"):
        boundaries(fractions, alpha=0.05, spending="pocock")


@pytest.mark.parametrize("fractions", [[0.5, 1.0, 1.2], [1.0, 1.5], [1.1, 1.5]])
def test_a_horizon_is_not_extended(fractions: list[float]) -> None:
    with pytest.raises(ValueError, match=r"no look may follow .*; the horizon cannot be extended"):
        boundaries(fractions, alpha=0.05, spending="pocock")


@pytest.mark.parametrize("spending", ["obrien-fleming", "pocock"])
@pytest.mark.parametrize(("horizon", "looks"), [(1000, (300, 600, 900, 5900)), (1000, (500, 5500)), (400, (360, 4000))])
def test_an_end_that_brings_more_than_was_planned_spends_what_is_left_and_no_more_by_enumeration(
    spending: Spending, horizon: int, looks: tuple[int, ...]
) -> None:
    """All ways to win disagreements under H0. Were the end taken for the planned one, .06 to .08 would cross."""
    limits = boundaries([d / horizon for d in looks], alpha=0.05, spending=spending)
    walk, crossed, before = np.ones(1), 0.0, 0
    for d, limit in zip(looks, limits, strict=True):
        walk = np.convolve(walk, stats.binom.pmf(np.arange(d - before + 1), d - before, 0.5))
        above = (2 * np.arange(d + 1) - d) / math.sqrt(d) >= limit
        crossed, walk, before = crossed + walk[above].sum(), np.where(above, 0, walk), d
    assert crossed == pytest.approx(0.05, abs=0.005)


def test_what_is_too_little_to_be_spent_at_one_look_is_left_to_a_later_one() -> None:
    """Each of forty looks may spend less than 1e-12 of 2e-11: the boundary comes back as soon as enough has gathered."""
    found = boundaries([(i + 1) / 40 for i in range(40)], alpha=2e-11, spending="pocock")
    finite = [i for i, b in enumerate(found) if b < math.inf]
    assert 10 < len(finite) < 40
    assert boundaries([0.5, 1.0], alpha=1e-12, spending="pocock")[-1] == pytest.approx(stats.norm.isf(1e-12), abs=1e-3)


@pytest.mark.parametrize("spending", ["obrien-fleming", "pocock"])
def test_looks_that_bring_next_to_nothing_neither_decide_nor_disturb_the_plan(spending: Spending) -> None:
    half, end = boundaries([0.5, 1.0], alpha=0.05, spending=spending)
    for gap in (1e-9, 1e-5, 1.4e-4):
        crowded = [0.5, *(0.5 + gap * (i + 1) / 20 for i in range(20)), 1.0]
        found = boundaries(crowded, alpha=0.05, spending=spending)
        assert found == [half, *[math.inf] * 20, pytest.approx(end, abs=1e-9)]
    close = boundaries([0.5, 0.5002, 1.0], alpha=0.05, spending=spending)
    assert close[1] < math.inf
    assert close[2] == pytest.approx(end, abs=2e-4)
    for gap in (1e-9, 1e-4):
        near, last = boundaries([1 - gap, 1.0], alpha=0.05, spending=spending)
        assert near < last < near + 0.15, "what is left is next to nothing"


def test_sample_sizes_against_the_oracle() -> None:
    first, second, third = POWER["connor"]
    assert connor(0.5, 0.4, alpha=0.05, power=0.8, alternative="two-sided") == pytest.approx(
        first["two_sided"], abs=1e-7
    )
    assert connor(0.5, 0.4, alpha=0.05, power=0.8) == pytest.approx(first["one_sided"], abs=1e-5)
    assert connor(0.3, 0.1, alpha=0.05, power=0.8, alternative="two-sided") == pytest.approx(
        second["two_sided80"], abs=1e-6
    )
    assert connor(0.375, 0.125, alpha=0.05, power=0.9, alternative="two-sided") == pytest.approx(
        third["two_sided90"], abs=1e-6
    )


def test_connors_size_gives_mcnemars_mid_p_the_power_asked_for_by_enumeration() -> None:
    discordance, gain = 0.2, 0.06
    n = math.ceil(connor(discordance, gain, alpha=0.05, power=0.8))
    power = 0.0
    for d in range(n + 1):
        w = np.arange(d + 1)
        p = stats.binom.sf(w, d, 0.5) + stats.binom.pmf(w, d, 0.5) / 2
        win = (discordance + gain) / (2 * discordance)
        power += stats.binom.pmf(d, n, discordance) * stats.binom.pmf(w, d, win)[p < 0.05].sum()
    assert 0.79 < power < 0.82


def test_rows_are_pairs_over_prevalence_rounded_up() -> None:
    assert rows_for(22.01, prevalence=0.05) == 441
    assert rows_for(22.01, prevalence=1) == 23


def test_a_challenger_that_wins_every_disagreement_needs_no_spread_of_wins() -> None:
    """Where the models disagree on every pair as well, only the test's own quantile is left: n = z_alpha^2."""
    assert connor(1.0, 1.0, alpha=0.05, power=0.8) == pytest.approx(stats.norm.isf(0.05) ** 2)
    assert connor(0.3, 0.3, alpha=0.05, power=0.8) > connor(0.3, 0.3, alpha=0.05, power=0.5)


@pytest.mark.parametrize(("gain", "discordance"), [(0.0, 0.3), (-0.1, 0.3), (0.4, 0.3), (0.1, 1.5)])
def test_gains_beyond_the_disagreement_are_refused(gain: float, discordance: float) -> None:
    with pytest.raises(ValueError, match="need 0 < gain <= discordance <= 1"):
        connor(discordance, gain, alpha=0.05, power=0.8)


@pytest.mark.parametrize(("alpha", "power"), [(0.0, 0.8), (1.0, 0.8), (0.05, 1.0), (0.05, 0.0)])
def test_levels_beyond_0_and_1_are_refused(alpha: float, power: float) -> None:
    with pytest.raises(ValueError, match="alpha and power lie between 0 and 1"):
        connor(0.3, 0.1, alpha=alpha, power=power)


@pytest.mark.parametrize("prevalence", [0.0, 1.5])
def test_a_prevalence_beyond_0_and_1_is_refused(prevalence: float) -> None:
    with pytest.raises(ValueError, match="a prevalence lies in"):
        rows_for(10, prevalence=prevalence)
