"""Exactly exchangeable models, looked at every week for a year: how often does each rule promote a challenger that is no better?

A latent score per row decides its label and is what both models see, each with its own jitter of the same law and the
same threshold. Exchanging the models changes nothing about the data's distribution, so every promotion is false.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from analysis_examples import evidence
from scipy import stats

from analysis.any_look.eprocess import log_e, log_e_array
from analysis.seasons.season import bootstrap_rule, mcnemar_rule, seed_rule
from analysis.tables.counts import PairedCounts

pytestmark = pytest.mark.slow

YEARS, WEEKS, ROWS = 10_000, 52, 400
CONFIDENCE = 0.998  # two-sided: each bound holds with 99.9 %
BOOTSTRAP_YEARS = 1000


@functools.cache
def years() -> np.ndarray:
    """Cumulative counts of the eight cells at each look; shape (YEARS, WEEKS, 8)."""
    rng = np.random.default_rng(2026)
    weekly = np.empty((YEARS, WEEKS, 8), dtype=np.int64)
    for year in range(YEARS):
        latent = rng.standard_normal((WEEKS, ROWS), dtype=np.float32)
        label = rng.random((WEEKS, ROWS), dtype=np.float32) < 1 / (1 + np.exp(1.7 - 2 * latent))
        champion, challenger = (
            latent + 0.25 * rng.standard_normal((WEEKS, ROWS), dtype=np.float32) > 0.2 for _ in range(2)
        )
        cell = 4 * label + 2 * champion + challenger + 8 * np.arange(WEEKS)[:, None]
        weekly[year] = np.bincount(cell.ravel(), minlength=8 * WEEKS).reshape(WEEKS, 8)
    return weekly.cumsum(axis=1)


def wins_and_losses() -> tuple[np.ndarray, np.ndarray]:
    return years()[..., 5], years()[..., 6]


def counts_at(year: int, week: int) -> PairedCounts:
    return PairedCounts(tuple(int(n) for n in years()[year, week]))  # type: ignore[arg-type]


@functools.cache
def seed_looks() -> np.ndarray:
    """The rule "higher recall" at every look: more wins than losses."""
    w, l = wins_and_losses()
    return w > l


@functools.cache
def mcnemar_looks() -> np.ndarray:
    """The rule "one-sided mid-p below .05" at every look."""
    w, l = wins_and_losses()
    return stats.binom.sf(w, w + l, 0.5) + stats.binom.pmf(w, w + l, 0.5) / 2 < 0.05


@functools.cache
def eprocess_looks() -> np.ndarray:
    """The rule "E has reached 20" at every look."""
    w, l = wins_and_losses()
    return log_e_array(w, l, 0) >= math.log(20)


def bootstrap_promotes(year: int) -> bool:
    """Whether the rule of the bootstrap interval promotes within the year.

    The rule itself is asked, and only at looks with w - l above one standard deviation of it: where the lead is
    smaller, hundreds of replicates in 2000 lie at or below 0 and its 2.5 % quantile cannot be above.
    """
    w, l = (x[year] for x in wins_and_losses())
    candidates = np.flatnonzero(w - l > np.sqrt(w + l))
    likeliest = sorted(candidates, key=lambda week: -(w[week] - l[week]) / math.sqrt(w[week] + l[week]))
    return any(bootstrap_rule(evidence(counts_at(year, int(week)))) is not None for week in likeliest)


def rate_bounds(promoted: int, of: int) -> tuple[float, float]:
    interval = stats.binomtest(promoted, of).proportion_ci(CONFIDENCE, method="exact")
    return float(interval.low), float(interval.high)


def show(rule: str, promoted: int, of: int) -> None:
    low, high = rate_bounds(promoted, of)
    print(f"{rule:<40} {promoted / of:6.3f}   [{low:.3f}, {high:.3f}] of {of} years")


def test_the_models_are_exchangeable_and_there_are_about_a_hundred_positives_a_week() -> None:
    """Swapping them leaves every mean as it is, within 4 standard errors."""
    last = years()[:, -1].astype(float)
    assert 90 < last[:, 4:].sum(axis=1).mean() / WEEKS < 120
    for one, other in ((5, 6), (1, 2)):
        gap = last[:, one] - last[:, other]
        assert abs(gap.mean()) < 4 * gap.std() / math.sqrt(YEARS)
    assert 5 < (last[:, 5] + last[:, 6]).mean() / WEEKS < 40


@pytest.mark.parametrize("seed", range(3))
def test_the_vectorised_rules_are_the_rules_of_the_season_on_sampled_looks(seed: int) -> None:
    """300 looks a seed, early ones and close calls of McNemar's test among them."""
    rng = np.random.default_rng(seed)
    by_seed, by_mcnemar, by_e = seed_looks(), mcnemar_looks(), eprocess_looks()
    close = np.argwhere(by_mcnemar[:, 1:] != by_mcnemar[:, :-1])
    sampled = [(int(y), int(w)) for y, w in close[rng.choice(len(close), 150)]]
    sampled += [
        (int(y), int(w)) for y, w in zip(rng.integers(YEARS, size=150), rng.integers(WEEKS, size=150), strict=True)
    ]
    for year, week in sampled:
        e = evidence(counts_at(year, week))
        assert (seed_rule(e) is not None) == by_seed[year, week]
        assert (mcnemar_rule(e) is not None) == by_mcnemar[year, week]
        assert (log_e(e.counts.outcomes("recall")) >= math.log(20)) == by_e[year, week]


def test_the_bootstrap_rule_never_promotes_at_a_lead_below_one_standard_deviation() -> None:
    """The looks that ``bootstrap_promotes`` skips, sampled among those nearest to its limit."""
    w, l = wins_and_losses()
    z = np.where(w + l > 0, (w - l) / np.sqrt(np.maximum(w + l, 1)), 0)
    near = np.argwhere((z > 0.5) & (z <= 1))
    for year, week in near[np.random.default_rng(4).choice(len(near), 300)]:
        assert bootstrap_rule(evidence(counts_at(int(year), int(week)))) is None


def test_the_seeds_rule_promotes_an_equal_challenger_in_more_than_eight_years_of_ten() -> None:
    promoted = int(seed_looks().any(axis=1).sum())
    show("recall > recall_live", promoted, YEARS)
    assert rate_bounds(promoted, YEARS)[0] > 0.8


def test_mcnemar_every_week_errs_far_more_often_than_its_five_percent() -> None:
    promoted = int(mcnemar_looks().any(axis=1).sum())
    show("McNemar mid-p < 0.05 each week", promoted, YEARS)
    assert rate_bounds(promoted, YEARS)[0] > 0.25
    once = int(mcnemar_looks()[:, -1].sum())
    show("McNemar mid-p < 0.05 once, at the end", once, YEARS)
    low, high = rate_bounds(once, YEARS)
    assert low <= 0.05 <= high


def test_the_bootstrap_interval_every_week_errs_far_more_often_than_its_two_and_a_half_percent() -> None:
    promoted = sum(bootstrap_promotes(year) for year in range(BOOTSTRAP_YEARS))
    show("bootstrap 95% interval > 0 each week", promoted, BOOTSTRAP_YEARS)
    assert rate_bounds(promoted, BOOTSTRAP_YEARS)[0] > 0.1


def test_the_e_process_errs_in_at_most_five_percent_of_the_years() -> None:
    promoted = int(eprocess_looks().any(axis=1).sum())
    show("E >= 20 each week", promoted, YEARS)
    low, high = rate_bounds(promoted, YEARS)
    assert low <= 0.05, "more errors than promised"
    assert high <= 0.05, "so many years tell even that it errs less often than promised"
    assert low > 0.01, "no errors at all would mean that nobody is ever promoted"
