"""Clustered McNemar tests against the published thyroid example, and their error rates where rows are alike."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from analysis_examples import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.regression.linear_model import OLS

from analysis.any_look.eprocess import log_e_array
from analysis.one_look.clusters import (
    ClusteredDifference,
    ClusteredTest,
    ClusterMethod,
    clustered_difference,
    clustered_test,
    entity_outcomes,
)
from analysis.tables.counts import PairedOutcomes, Undefined
from analysis.tables.intervals import Interval
from calibration.peers.paired_difference import paired_difference

ORACLES = Path(__file__).resolve().parents[2] / "oracles"
CASE = json.loads((ORACLES / "clustered.json").read_text())["thyroids"]
with (ORACLES / "thyroids_clusters.csv").open() as file:
    ROWS = [{k: int(v) for k, v in row.items()} for row in csv.DictReader(file)]
NET = np.array([r["ck"] - r["bk"] for r in ROWS])
SIZE = np.array([r["ak"] + r["bk"] + r["ck"] + r["dk"] for r in ROWS])


def run(method: ClusterMethod, net: np.ndarray = NET, size: np.ndarray = SIZE) -> ClusteredTest:
    found = clustered_test(net, size, method=method)
    assert isinstance(found, ClusteredTest)
    return found


def test_the_table_is_that_of_the_oracle() -> None:
    for name in ("ak", "bk", "ck", "dk"):
        assert [r[name] for r in ROWS] == CASE[name]


@pytest.mark.parametrize(
    ("method", "key"), [("sign-flip", "signflip"), ("obuchowski", "obuchowski"), ("durkalski", "durkalski")]
)
def test_thyroids_against_the_oracle(method: ClusterMethod, key: str) -> None:
    assert run(method).statistic == pytest.approx(CASE["computed"][key], abs=1e-8)


def test_thyroids_against_the_printed_digits() -> None:
    """2.86 as recomputed by Durkalski 2003 (Obuchowski 1998 prints 2.88), and 2.32."""
    assert run("obuchowski").statistic == pytest.approx(CASE["published"]["obuchowski_durkalski2003"], abs=5e-3)
    assert run("durkalski").statistic == pytest.approx(CASE["published"]["durkalski"], abs=5e-3)


@pytest.mark.parametrize("method", ["sign-flip", "obuchowski", "durkalski"])
def test_swapping_the_models_turns_the_sign(method: ClusterMethod) -> None:
    assert run(method, -NET).z == pytest.approx(-run(method).z)
    assert run(method, -NET).p_value == pytest.approx(1 - run(method).p_value)


def test_one_row_an_entity_is_mcnemars_test() -> None:
    net = np.array([1] * 16 + [-1] * 6 + [0] * 40)
    assert run("sign-flip", net, np.ones(62)).z == pytest.approx(10 / np.sqrt(22))


def test_without_a_net_win_there_is_nothing_to_test() -> None:
    assert clustered_test([0, 0], [3, 1]) == Undefined("no entity has a net win or loss")


@pytest.mark.parametrize(("net", "rows"), [([1, 2], [3]), ([0, 1], [0, 3]), ([3, 1], [2, 3])])
def test_impossible_entities_are_refused(net: list[int], rows: list[int]) -> None:
    with pytest.raises(ValueError, match="need one net win and one number of rows an entity"):
        clustered_test(net, rows)


def entities(rng: np.random.Generator, shape: tuple[int, ...], rows: int, alike: float) -> np.ndarray:
    """Wins and losses under H0: the models disagree on one entity in four, there on most rows, mostly with the same winner."""
    luck = rng.random((*shape, 1)) < 0.5
    own = rng.random((*shape, rows)) < 0.5
    won = np.where(rng.random((*shape, rows)) < alike, luck, own)
    contested = (rng.random((*shape, 1)) < 0.25) & (rng.random((*shape, rows)) < 0.8)
    return np.where(contested, np.where(won, 1, -1), 0)


@pytest.mark.parametrize("method", ["sign-flip", "obuchowski", "durkalski"])
def test_size_with_rows_that_are_alike(method: ClusterMethod) -> None:
    """2000 tables of 200 entities with four rows each: at most a little above .05, where the test of rows has .1 and more."""
    d = entities(np.random.default_rng(4), (2000, 200), 4, 0.85)
    net = d.sum(axis=-1)
    rejected = sum(run(method, one, np.full(200, 4)).p_value < 0.05 for one in net)
    assert stats.binomtest(rejected, 2000, 0.057, alternative="greater").pvalue > 1e-3
    z = net.sum(axis=1) / np.sqrt(np.abs(d).sum(axis=(1, 2)))
    assert (stats.norm.sf(z) < 0.05).mean() > 0.09


def test_signs_of_entities_keep_the_e_process_valid_where_rows_break_it() -> None:
    """A year of weekly looks, 50 new entities of four like rows each: 1000 years under H0."""
    d = entities(np.random.default_rng(9), (1000, 52, 50), 4, 0.85)
    by_row = [(d == s).sum(axis=(2, 3)).cumsum(axis=1) for s in (1, -1)]
    net = d.sum(axis=-1)
    by_entity = [(np.sign(net) == s).sum(axis=2).cumsum(axis=1) for s in (1, -1)]
    zero = np.zeros_like(by_row[0])
    row_years = (log_e_array(*by_row, zero).max(axis=1) >= np.log(20)).sum()
    entity_years = (log_e_array(*by_entity, zero).max(axis=1) >= np.log(20)).sum()
    assert stats.binomtest(int(entity_years), 1000, 0.05, alternative="greater").pvalue > 1e-3
    assert row_years > 80


def test_entities_are_won_lost_or_tied_on_balance() -> None:
    found = entity_outcomes([3, 1, -2, 0, 0])
    assert (found.wins, found.losses, found.ties) == (2, 1, 2)


def estimate(net: np.ndarray = NET, size: np.ndarray = SIZE) -> ClusteredDifference:
    found = clustered_difference(net, size)
    assert isinstance(found, ClusteredDifference)
    return found


def test_the_difference_of_the_thyroids_against_a_regression_with_cluster_robust_errors() -> None:
    """The 51 rows regressed on a constant, their entities as clusters."""
    rows = np.concatenate([np.repeat([1.0, -1.0, 0.0], [r["ck"], r["bk"], r["ak"] + r["dk"]]) for r in ROWS])
    entity = np.repeat(np.arange(len(ROWS)), SIZE)
    fitted = OLS(rows, np.ones_like(rows)).fit(cov_type="cluster", cov_kwds={"groups": entity})
    found = estimate()
    assert found.value == pytest.approx(fitted.params[0], rel=1e-12)
    assert found.standard_error == pytest.approx(fitted.bse[0], rel=1e-9)
    interval = found.interval(0.95)
    assert (interval.low, interval.high) == pytest.approx(tuple(fitted.conf_int()[0]), rel=1e-9)
    assert interval.confidence_level == 0.95


def test_entities_of_one_row_have_walds_interval_but_for_one_entity_in_the_divisor() -> None:
    net = np.array([1] * 16 + [-1] * 6 + [0] * 40)
    wald = paired_difference(PairedOutcomes(16, 6, 40), method="wald", confidence_level=0.9)
    assert isinstance(wald, Interval)
    interval = estimate(net, np.ones(62)).interval(0.9)
    assert interval.low + interval.high == pytest.approx(wald.low + wald.high)
    assert interval.high - interval.low == pytest.approx((wald.high - wald.low) * np.sqrt(62 / 61))


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
    assert clustered_difference(net, size) == Undefined(reason)


def test_two_entities_are_enough_and_impossible_ones_are_refused() -> None:
    assert estimate(np.array([1, 0]), np.array([2, 2])) == ClusteredDifference(0.25, 0.25)
    with pytest.raises(ValueError, match="need one net win and one number of rows an entity"):
        clustered_difference([3, 1], [2, 3])


def test_intervals_of_entities_cover_where_rows_are_alike_and_those_of_rows_do_not() -> None:
    """500 tables of 80 entities of one to eight rows, whose net win grows with their rows: 90 % intervals, true difference known."""
    rng = np.random.default_rng(12)
    size = rng.integers(1, 9, (500, 80))
    leaning = np.where(rng.random(size.shape) < 0.15 + 0.02 * size, 1, -1) * (rng.random(size.shape) < 0.4)
    net = leaning * rng.binomial(size, 0.8)
    share = np.arange(1, 9)
    true = float((0.4 * 0.8 * share * (2 * (0.15 + 0.02 * share) - 1)).sum() / share.sum())
    normal = [estimate(d, n).interval(0.9) for d, n in zip(net, size, strict=True)]
    covered = sum(i.low <= true <= i.high for i in normal)
    assert stats.binomtest(covered, 500, 0.9).pvalue > 1e-3
    rows = [
        paired_difference(
            PairedOutcomes(int(d[d > 0].sum()), -int(d[d < 0].sum()), int((n - abs(d)).sum())),
            method="wald",
            confidence_level=0.9,
        )
        for d, n in zip(net, size, strict=True)
    ]
    assert sum(isinstance(i, Interval) and i.low <= true <= i.high for i in rows) < 400


@PROPERTY
@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(9, 2000)), min_size=2, max_size=12))
def test_swapping_the_models_mirrors_the_estimate_and_shares_of_rows_average_to_it(
    pairs: list[tuple[int, int]],
) -> None:
    net, size = np.array(pairs).T
    there, back = clustered_difference(net, size), clustered_difference(-net, size)
    if isinstance(there, Undefined):
        assert back == there
    else:
        assert isinstance(back, ClusteredDifference)
        assert (back.value, back.standard_error) == pytest.approx((-there.value, there.standard_error))
        assert there.value == pytest.approx(np.average(net / size, weights=size), abs=1e-12)
        assert there.standard_error > 0
