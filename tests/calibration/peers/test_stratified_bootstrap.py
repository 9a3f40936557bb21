"""The bootstrap of a sample whose strata have sizes fixed by design."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from analysis_examples import MODEST_COUNTS, SLOW_PROPERTY
from hypothesis import given
from hypothesis import strategies as st

from analysis.one_look.bootstrap import Bootstrap, Resampling, bootstrap
from analysis.tables.counts import PairedCounts, PairedOutcomes, Undefined
from analysis.tables.metrics import METRICS, paired_metric
from calibration.peers.stratified_bootstrap import stratified_bootstrap

NORTH = PairedCounts((80, 3, 6, 9, 10, 14, 5, 40))
SOUTH = PairedCounts((500, 40, 5, 30, 30, 12, 22, 100))
POSITIVES = PairedCounts((0, 0, 0, 0, 30, 40, 20, 110))
NEGATIVES = PairedCounts((700, 20, 30, 50, 0, 0, 0, 0))
Z95 = 1.6448536269514722


def run(
    strata: list[PairedCounts], name: str, *, seed: int = 1, n: int = 40_000, method: Resampling = "dirichlet"
) -> Bootstrap:
    rng = np.random.default_rng(seed)
    found = stratified_bootstrap(strata, [name], rng=rng, confidence_level=0.9, n_resamples=n, method=method)[name]
    assert isinstance(found, Bootstrap)
    return found


def half_width(found: Bootstrap) -> float:
    return (found.interval.high - found.interval.low) / 2


def spread(pairs: PairedOutcomes) -> float:
    """The variance of the gain (+1, -1 or 0) of one row."""
    return pairs.discordant / pairs.n - ((pairs.wins - pairs.losses) / pairs.n) ** 2


@pytest.mark.parametrize("method", ["dirichlet", "multinomial"])
def test_one_stratum_is_the_plain_bootstrap(method: Resampling) -> None:
    rngs = [np.random.default_rng(4) for _ in range(2)]
    plain = bootstrap(NORTH, METRICS, rng=rngs[0], confidence_level=0.9, n_resamples=2000, method=method)
    empty = PairedCounts(unlabelled=(3, 3, 3, 3))
    found = stratified_bootstrap(
        [empty, NORTH], METRICS, rng=rngs[1], confidence_level=0.9, n_resamples=2000, method=method
    )
    assert list(found) == list(plain) == list(METRICS)
    for name in METRICS:
        a, b = plain[name], found[name]
        assert isinstance(a, Bootstrap)
        assert isinstance(b, Bootstrap)
        assert (b.interval.low, b.interval.high) == pytest.approx((a.interval.low, a.interval.high), abs=1e-12)
        assert b.share_above_zero == pytest.approx(a.share_above_zero, abs=0.02)
        assert (b.method, b.kind, b.n_resamples, b.undefined_replicates) == (method, "percentile", 2000, 0)
        assert b.interval.confidence_level == 0.9


def test_two_strata_against_enumeration_of_all_their_resamples() -> None:
    """Strata of three and four rows have 27 * 256 resamples: the share above 0 and both limits, within 4 standard errors."""
    small, large, n = (6, 5, 4), (5, 7, 2, 3), 40_000
    tables = [
        np.bincount(picked, minlength=8).astype(float)
        for a in itertools.product(small, repeat=3)
        for b in itertools.product(large, repeat=4)
        for picked in [(*a, *b)]
    ]
    champion, challenger = paired_metric("accuracy", np.array(tables))
    exact = challenger - champion
    strata = [PairedCounts(tuple(np.bincount(rows, minlength=8).tolist())) for rows in (small, large)]
    found = run(strata, "accuracy", method="multinomial", n=n)
    share = float(np.mean(exact > 1e-9))
    assert found.share_above_zero == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / n))
    error = 4 * math.sqrt(0.05 * 0.95 / n)
    for level, limit in ((0.05, found.interval.low), (0.95, found.interval.high)):
        assert np.mean(exact <= limit + 1e-9) >= level - error
        assert np.mean(exact < limit - 1e-9) <= level + error


@pytest.mark.parametrize("method", ["dirichlet", "multinomial"])
def test_the_spread_of_accuracy_is_that_of_a_stratified_sample(method: Resampling) -> None:
    """Var = sum n_s sigma_s^2 / n^2; of rows drawn from all strata together it is larger, since their gains differ."""
    parts = [c.outcomes("accuracy") for c in (NORTH, SOUTH)]
    n = sum(p.n for p in parts)
    stratified = math.sqrt(sum(p.n * spread(p) for p in parts)) / n
    assert half_width(run([NORTH, SOUTH], "accuracy", method=method)) == pytest.approx(Z95 * stratified, rel=0.03)


def test_strata_whose_gains_differ_have_a_narrower_interval_than_the_same_rows_in_one() -> None:
    """All of one stratum won, half of the other lost: within them nothing but the second's coin is left."""
    won, even = PairedCounts((0, 0, 100, 0, 0, 0, 0, 0)), PairedCounts((50, 50, 0, 0, 0, 0, 0, 0))
    apart = half_width(run([won, even], "accuracy", method="multinomial"))
    together = half_width(run([won + even], "accuracy", method="multinomial"))
    assert apart == pytest.approx(Z95 * math.sqrt(100 * 0.25) / 200, abs=0.003)
    assert together == pytest.approx(Z95 * math.sqrt((0.75 - 0.25**2) / 200), abs=0.006)
    assert apart < together / 1.9


def test_with_the_classes_as_strata_recall_has_the_spread_of_its_positives_alone() -> None:
    positives = POSITIVES.outcomes("recall")
    expected = Z95 * math.sqrt(spread(positives) / positives.n)
    found = run([POSITIVES, NEGATIVES], "recall", method="multinomial")
    assert half_width(found) == pytest.approx(expected, rel=0.03)
    assert (found.interval.low + found.interval.high) / 2 == pytest.approx(0.1, abs=0.003)


def test_the_smoothed_draws_keep_the_size_of_every_stratum() -> None:
    """300 rows won and 100 lost: n_s times the mean of Dirichlet(N_s + 1/2), whose smoothing is four rows in each stratum."""
    wins, losses = PairedCounts((0, 0, 0, 0, 0, 300, 0, 0)), PairedCounts((0, 0, 0, 0, 0, 0, 100, 0))
    found = run([wins, losses], "accuracy")
    centre = (300 * 300 / 304 - 100 * 100 / 104) / 400
    assert (found.interval.low + found.interval.high) / 2 == pytest.approx(centre, abs=0.002)


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others() -> None:
    assert run([NORTH, SOUTH], "f1") == run([NORTH, SOUTH], "f1")
    assert run([NORTH, SOUTH], "f1") != run([NORTH, SOUTH], "f1", seed=2)


def test_ten_thousand_dirichlet_draws_are_the_default() -> None:
    found = stratified_bootstrap([NORTH, SOUTH], ["mcc"], rng=np.random.default_rng(1), confidence_level=0.9)
    assert found["mcc"] == run([NORTH, SOUTH], "mcc", n=10_000, method="dirichlet")


def test_strata_without_a_labelled_row_have_no_interval() -> None:
    rng = np.random.default_rng(1)
    for strata in ([], [PairedCounts(unlabelled=(1, 2, 3, 4))]):
        found = stratified_bootstrap(strata, ["recall", "f1"], rng=rng, confidence_level=0.9)
        assert found == {"recall": Undefined("no labelled row"), "f1": Undefined("no labelled row")}


def test_a_metric_that_no_stratum_has_rows_for_is_undefined() -> None:
    rng = np.random.default_rng(1)
    found = stratified_bootstrap(
        [NEGATIVES, NEGATIVES], ["recall", "specificity"], rng=rng, confidence_level=0.9, method="multinomial"
    )
    assert found["recall"] == Undefined("undefined in 10000 of 10000 bootstrap replicates")
    assert isinstance(found["specificity"], Bootstrap)


@SLOW_PROPERTY
@given(st.lists(MODEST_COUNTS, min_size=1, max_size=3))
def test_swapping_the_models_mirrors_the_interval_within_monte_carlo_error(strata: list[PairedCounts]) -> None:
    if any(s.n for s in strata):
        there, back = run(strata, "accuracy", n=20_000), run([s.swap() for s in strata], "accuracy", n=20_000)
        width = there.interval.high - there.interval.low
        assert back.interval.low == pytest.approx(-there.interval.high, abs=0.1 * width)
        assert back.interval.high == pytest.approx(-there.interval.low, abs=0.1 * width)
