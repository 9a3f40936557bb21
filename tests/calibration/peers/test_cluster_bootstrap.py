"""The bootstrap of entities against enumeration, against the normal interval that is shipped, and its coverage."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from analysis.one_look.clusters import ClusteredDifference, clustered_difference
from analysis.tables.counts import Undefined
from analysis.tables.intervals import Interval
from calibration.peers.cluster_bootstrap import cluster_bootstrap


def draws(net: np.ndarray, size: np.ndarray, *, seed: int = 1, level: float = 0.9, n: int = 10_000) -> Interval:
    rng = np.random.default_rng(seed)
    found = cluster_bootstrap(net, size, rng=rng, confidence_level=level, n_resamples=n)
    assert isinstance(found, Interval)
    return found


def normal(net: np.ndarray, size: np.ndarray) -> Interval:
    found = clustered_difference(net, size)
    assert isinstance(found, ClusteredDifference)
    return found.interval(0.9)


def test_the_bootstrap_of_entities_against_enumeration_of_all_resamples() -> None:
    """Five entities have 3125 resamples: both limits stand at their levels of that distribution, within 4 standard errors."""
    net, size, n = np.array([3, -1, 0, 2, -1]), np.array([4, 1, 2, 5, 3]), 20_000
    picked = np.array(list(itertools.product(range(5), repeat=5)))
    exact = net[picked].sum(axis=1) / size[picked].sum(axis=1)
    found = draws(net, size, n=n)
    error = 4 * np.sqrt(0.05 * 0.95 / n)
    for level, limit in ((0.05, found.low), (0.95, found.high)):
        assert np.mean(exact <= limit + 1e-9) >= level - error
        assert np.mean(exact < limit - 1e-9) <= level + error
    assert found.confidence_level == 0.9


def test_with_many_entities_both_intervals_say_the_same() -> None:
    rng = np.random.default_rng(5)
    size = rng.integers(1, 9, 2000)
    net = rng.binomial(size, 0.12) - rng.binomial(size, 0.08) * (rng.random(2000) < 0.5)
    net = np.clip(net, -size, size)
    estimate, drawn = normal(net, size), draws(net, size, n=40_000)
    width = estimate.high - estimate.low
    assert (drawn.low, drawn.high) == pytest.approx((estimate.low, estimate.high), abs=0.03 * width)


@pytest.mark.parametrize(("largest", "net_win"), [(9, 4), (40, 5)])
def test_the_same_seed_draws_the_same_entities_in_any_order_and_however_many_at_a_time(
    largest: int, net_win: int
) -> None:
    """Ten thousand by default: the quantiles of as many multinomial draws of 400 entities over their pairs of net win and rows.

    A million counts are held at a time, so beyond a hundred pairs they are drawn in parts.
    """
    rng = np.random.default_rng(3)
    size = rng.integers(net_win, largest, 400)
    net = rng.integers(-net_win, net_win + 1, 400)
    pairs, entities = np.unique(np.stack([net, size], axis=1), axis=0, return_counts=True)
    assert (len(pairs) > 100) == (largest > 9)
    d, n = (np.random.default_rng(1).multinomial(400, entities / 400, size=10_000) @ pairs).T
    low, high = np.quantile(d / n, [0.05, 0.95])
    found = cluster_bootstrap(net[::-1], size[::-1], rng=np.random.default_rng(1), confidence_level=0.9)
    assert isinstance(found, Interval)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)
    assert draws(net, size, seed=2) != found


def test_more_pairs_than_are_held_are_drawn_one_by_one() -> None:
    """Every net win that an entity of up to a thousand rows can have: 1,002,000 entities, no two alike."""
    size = np.repeat(np.arange(1, 1001), 2 * np.arange(1, 1001) + 1)
    net = np.concatenate([np.arange(-n, n + 1) for n in range(1, 1001)])
    found = draws(net, size, n=5)
    assert -0.01 < found.low < found.high < 0.01


@pytest.mark.parametrize(
    ("net", "size", "reason"),
    [
        ([], [], "fewer than two entities"),
        ([2], [5], "fewer than two entities"),
        ([0, 0], [3, 1], "no entity differs from the others"),
        ([1, 2, 3], [3, 6, 9], "no entity differs from the others"),
    ],
)
def test_without_entities_that_differ_there_is_no_interval(net: list[int], size: list[int], reason: str) -> None:
    rng = np.random.default_rng(1)
    assert cluster_bootstrap(net, size, rng=rng, confidence_level=0.9) == Undefined(reason)


def test_impossible_entities_are_refused() -> None:
    with pytest.raises(ValueError, match="need one net win and one number of rows an entity"):
        cluster_bootstrap([3, 1], [2, 3], rng=np.random.default_rng(1), confidence_level=0.9)


def test_it_covers_where_rows_are_alike() -> None:
    """500 tables of 80 entities of one to eight rows, whose net win grows with their rows: 90 % intervals, true difference known."""
    rng = np.random.default_rng(12)
    size = rng.integers(1, 9, (500, 80))
    leaning = np.where(rng.random(size.shape) < 0.15 + 0.02 * size, 1, -1) * (rng.random(size.shape) < 0.4)
    net = leaning * rng.binomial(size, 0.8)
    share = np.arange(1, 9)
    true = float((0.4 * 0.8 * share * (2 * (0.15 + 0.02 * share) - 1)).sum() / share.sum())
    drawn = [draws(d, n, n=400) for d, n in zip(net, size, strict=True)]
    covered = sum(i.low <= true <= i.high for i in drawn)
    assert stats.binomtest(covered, 500, 0.9).pvalue > 1e-3
