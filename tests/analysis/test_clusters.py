"""Clustered McNemar tests against the published thyroid example, and their error rates where rows are alike."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis.clusters import ClusteredTest, ClusterMethod, clustered_test, entity_outcomes
from analysis.counts import Undefined
from analysis.eprocess import log_e_array

ORACLES = Path(__file__).resolve().parents[1] / "oracles"
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
