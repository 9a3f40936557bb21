"""The bootstrap from counts against enumeration and against a bootstrap of the rows themselves."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from analysis_examples import HUGE, MODEST_COUNTS, SLOW_PROPERTY, oracle
from hypothesis import given
from scipy import stats

from analysis.one_look.bootstrap import Bootstrap, bootstrap
from analysis.one_look.bootstrap_intervals import IntervalKind, acceleration
from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.metrics import METRICS, Difference, difference, paired_metric, paired_standard_error

ENUMERATED = oracle("bootstrap_exact_small")


def run(
    counts: PairedCounts, name: str, *, level: float = 0.95, n: int = 200_000, **options: Any
) -> Bootstrap | Undefined:
    rng = np.random.default_rng(42)
    return bootstrap(counts, [name], rng=rng, confidence_level=level, n_resamples=n, **options)[name]


def differences(name: str, tables: np.ndarray) -> np.ndarray:
    champion, challenger = paired_metric(name, tables)
    return challenger - champion


def enumerate_tables(table: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Every table that n draws with replacement can give, and its probability."""
    cells, n = np.flatnonzero(table), sum(table)
    slots = n + len(cells) - 1
    bars = np.array(list(itertools.combinations(range(slots), len(cells) - 1)))
    edges = np.hstack([np.full((len(bars), 1), -1), bars, np.full((len(bars), 1), slots)])
    draws = np.zeros((len(bars), 8))
    draws[:, cells] = np.diff(edges, axis=1) - 1
    share = np.array(table)[cells] / n
    return draws, stats.multinomial.pmf(draws[:, cells], n, share)


@pytest.mark.parametrize("case", ENUMERATED, ids=lambda c: c["metric"])
def test_multinomial_against_enumeration_of_all_resamples(case: dict[str, Any]) -> None:
    """P(difference > 0), the undefined replicates and the ranks of both limits, within 4 Monte-Carlo standard errors."""
    counts, n = PairedCounts(tuple(case["table"])), 200_000
    found = run(counts, case["metric"], method="multinomial", n=n)
    assert isinstance(found, Bootstrap)
    p, undefined = case["P_gt0"], case["P_undefined"]
    assert found.share_above_zero == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / n))
    assert abs(found.undefined_replicates - n * undefined) <= 4 * math.sqrt(n * undefined) + 1
    tables, pmf = enumerate_tables(counts.labelled)
    values = differences(case["metric"], tables)
    assert pmf[values > 1e-12].sum() / (1 - undefined) == pytest.approx(p, abs=1e-6)
    for level, limit, exact in [(0.025, found.interval.low, case["q025"]), (0.975, found.interval.high, case["q975"])]:
        error = 4 * math.sqrt(level * (1 - level) / n)
        assert pmf[values <= limit + 1e-9].sum() / (1 - undefined) >= level - error
        assert pmf[values < limit - 1e-9].sum() / (1 - undefined) <= level + error
        assert pmf[values <= exact + 1e-9].sum() / (1 - undefined) >= level - 1e-6
        assert limit == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize("case", ENUMERATED, ids=lambda c: c["metric"])
def test_basic_limits_mirror_the_enumerated_quantiles_at_the_observed_difference(case: dict[str, Any]) -> None:
    counts = PairedCounts(tuple(case["table"]))
    found, observed = (
        run(counts, case["metric"], method="multinomial", interval="basic"),
        difference(case["metric"], counts),
    )
    assert isinstance(found, Bootstrap)
    assert isinstance(observed, Difference)
    assert found.kind == "basic"
    assert found.interval.low == pytest.approx(2 * observed.value - case["q975"], abs=0.01)
    assert found.interval.high == pytest.approx(2 * observed.value - case["q025"], abs=0.01)


@pytest.mark.parametrize("kind", ["percentile", "basic", "bca", "studentized"])
@pytest.mark.parametrize("name", ["recall", "precision", "f1", "mcc"])
def test_both_limits_stand_at_their_levels_of_the_exact_distribution(name: str, kind: IntervalKind) -> None:
    """118,755 resamples of 24 rows: the replicates, and t*, at the levels that the exact z0 gives; 4 standard errors."""
    counts, n = PairedCounts((6, 0, 3, 3, 0, 5, 3, 4)), 100_000
    tables, pmf = enumerate_tables(counts.labelled)
    observed, a = difference(name, counts), acceleration(name, counts)
    assert isinstance(observed, Difference)
    assert isinstance(a, float)
    found = run(counts, name, level=0.9, n=n, method="multinomial", interval=kind)
    assert isinstance(found, Bootstrap)
    exact, levels, limits = (
        differences(name, tables),
        np.array([0.05, 0.95]),
        [found.interval.low, found.interval.high],
    )
    below = (pmf[exact < observed.value - 1e-9].sum() + pmf[exact < observed.value + 1e-9].sum()) / 2
    if kind == "basic":
        limits = [2 * observed.value - x for x in reversed(limits)]
    elif kind == "bca":
        shifted = stats.norm.ppf(below) + stats.norm.ppf(levels)
        levels = stats.norm.cdf(stats.norm.ppf(below) + shifted / (1 - a * shifted))
    elif kind == "studentized":
        errors = paired_standard_error(name, tables)
        known = errors > 1e-12
        pmf = pmf[known] / pmf[known].sum()
        exact = (exact[known] - observed.value) / errors[known]
        limits = [(observed.value - x) / observed.standard_error for x in reversed(limits)]
    slack = 4 * (math.sqrt(0.05 * 0.95 / n) + (math.sqrt(0.25 / n) if kind == "bca" else 0))
    for level, limit in zip(levels, limits, strict=True):
        assert pmf[exact <= limit + 1e-9].sum() >= level - slack
        assert pmf[exact < limit - 1e-9].sum() <= level + slack


@pytest.mark.parametrize("case", ENUMERATED, ids=lambda c: c["metric"])
def test_mean_and_spread_of_the_replicates_against_enumeration(case: dict[str, Any]) -> None:
    """The mean within 4 standard errors; the standard deviation within 2 %."""
    cells, n = np.array(case["table"], dtype=float), 100_000
    draws = np.random.default_rng(7).multinomial(int(cells.sum()), cells / cells.sum(), size=n).astype(float)
    values = differences(case["metric"], draws)
    values = values[np.isfinite(values)]
    assert values.mean() == pytest.approx(case["mean"], abs=4 * case["sd"] / math.sqrt(n))
    assert values.std() == pytest.approx(case["sd"], rel=0.02)


def test_multinomial_against_resampling_the_rows_themselves() -> None:
    """4000 draws of 200 rows with replacement: the same share above 0 and the same quantiles."""
    cells = (90, 6, 4, 10, 15, 20, 12, 43)
    rows = np.repeat(np.arange(8), cells)
    rng, n = np.random.default_rng(3), 4000
    picked = rng.choice(rows, size=(n, len(rows)))
    y, c, h = picked >> 2, (picked >> 1) & 1, picked & 1
    recall = ((y & h).sum(axis=1) - (y & c).sum(axis=1)) / y.sum(axis=1)
    f1 = 2 * (y & h).sum(axis=1) / (y + h).sum(axis=1) - 2 * (y & c).sum(axis=1) / (y + c).sum(axis=1)
    names: list[tuple[str, np.ndarray]] = [("recall", recall), ("f1", f1)]
    for name, by_rows in names:
        found = run(PairedCounts(cells), name, method="multinomial", level=0.9)
        assert isinstance(found, Bootstrap)
        share = float(np.mean(by_rows > 0))
        assert found.share_above_zero == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / n))
        sd = float(by_rows.std())
        quantile_error = 4 * math.sqrt(0.05 * 0.95 / n) * sd / 0.103  # density of a normal at its 5 % quantile
        assert found.interval.low == pytest.approx(np.quantile(by_rows, 0.05), abs=quantile_error)
        assert found.interval.high == pytest.approx(np.quantile(by_rows, 0.95), abs=quantile_error)


def test_dirichlet_draws_have_the_moments_of_the_posterior() -> None:
    """The recall difference of Dirichlet(N + 1/2) shares: mean (w - l) / (P + 2) and normal quantiles in a large table."""
    counts = PairedCounts((5000, 0, 0, 0, 300, 400, 300, 1000))
    found = run(counts, "recall")
    assert isinstance(found, Bootstrap)
    mean = 100 / 2002
    sd = math.sqrt((701 / 2002 - mean**2) / 2003)
    assert (found.interval.low + found.interval.high) / 2 == pytest.approx(mean, abs=4 * 2.7 * sd / math.sqrt(200_000))
    assert found.interval.high - found.interval.low == pytest.approx(2 * 1.95996 * sd, rel=0.02)


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (1, 0), (0, 3), (5, 2), (40, 30)])
def test_dirichlet_share_above_zero_against_the_beta_distribution(wins: int, losses: int) -> None:
    """Of two Gamma(N + 1/2) draws the first is larger with probability P(Beta(w + 1/2, l + 1/2) > 1/2)."""
    found = run(PairedCounts((9, 0, 0, 2, 3, wins, losses, 7)), "recall")
    assert isinstance(found, Bootstrap)
    p = float(stats.beta.sf(0.5, wins + 0.5, losses + 0.5))
    assert found.share_above_zero == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 200_000))


def test_dirichlet_keeps_its_width_where_a_discordant_cell_is_empty() -> None:
    """The multinomial one degenerates to [0, 0] without disagreements; the default never does."""
    counts = PairedCounts((90, 0, 0, 2, 3, 0, 0, 7))
    classic, default = run(counts, "recall", method="multinomial"), run(counts, "recall")
    assert isinstance(classic, Bootstrap)
    assert isinstance(default, Bootstrap)
    assert (classic.interval.low, classic.interval.high) == (0, 0)
    assert default.interval.low < -0.05
    assert default.interval.high > 0.05
    assert default.method == "dirichlet"
    assert default.undefined_replicates == 0
    assert default.share_above_zero == pytest.approx(0.5, abs=0.005)


def test_dirichlet_replicates_are_measured_against_the_smoothed_table_that_they_were_drawn_from() -> None:
    """So the basic interval is the percentile one mirrored at (w - l) / (P + 2), and one-sided wins do not double it."""
    counts = PairedCounts((90, 0, 0, 2, 3, 6, 0, 7))
    mirrored, percentile = run(counts, "recall", interval="basic"), run(counts, "recall")
    assert isinstance(mirrored, Bootstrap)
    assert isinstance(percentile, Bootstrap)
    centre = 6 / 18
    assert mirrored.interval.low + percentile.interval.high == pytest.approx(2 * centre, abs=1e-12)
    assert mirrored.interval.high + percentile.interval.low == pytest.approx(2 * centre, abs=1e-12)


def test_a_smoothed_replicate_is_studentized_as_a_table_of_as_many_rows() -> None:
    """Gamma draws have any sum; the standard error of their shares is that of the rows there are."""
    counts = PairedCounts((300, 12, 9, 20, 12, 20, 9, 80))
    found = bootstrap(
        counts, ["recall"], rng=np.random.default_rng(5), confidence_level=0.9, n_resamples=3000, interval="studentized"
    )["recall"]
    origin = np.array(counts.labelled) + 0.5
    tables = np.vstack([origin, np.random.default_rng(5).standard_gamma(origin, size=(3000, 8))])
    rows = counts.n * tables / tables.sum(axis=1, keepdims=True)
    old, new = paired_metric("recall", tables)
    errors = paired_standard_error("recall", rows)
    t = ((new - old)[1:] - (new - old)[0]) / errors[1:]
    high, low = (new - old)[0] - np.quantile(t, [0.05, 0.95]) * errors[0]
    assert isinstance(found, Bootstrap)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), rel=1e-9)


@pytest.mark.parametrize("kind", ["basic", "bca", "studentized"])
def test_a_table_without_disagreement_has_no_second_order_interval_from_its_own_rows(kind: IntervalKind) -> None:
    """Nothing varies in a row bootstrap; the smoothed one still has an interval on both sides of 0."""
    counts = PairedCounts((90, 0, 0, 2, 3, 0, 0, 7))
    assert isinstance(run(counts, "recall", n=1000, method="multinomial", interval=kind), Undefined)
    smoothed = run(counts, "recall", n=1000, interval=kind)
    assert isinstance(smoothed, Bootstrap)
    assert smoothed.interval.low < -0.05 < 0.05 < smoothed.interval.high


@pytest.mark.parametrize("kind", ["basic", "bca", "studentized"])
def test_without_an_observed_difference_there_is_no_interval_around_it(kind: IntervalKind) -> None:
    assert run(PairedCounts((5, 3, 2, 1, 0, 0, 0, 0)), "recall", n=1000, interval=kind) == Undefined(
        "no labelled positive"
    )


def test_undefined_replicates_are_left_out_and_counted_and_refused_above_one_percent() -> None:
    """With k positives among n rows a replicate has none with probability (1 - k/n)^n."""
    few = run(PairedCounts((96, 0, 0, 0, 1, 1, 1, 1)), "recall", method="multinomial")  # 1.7 %
    assert isinstance(few, Undefined)
    assert "bootstrap replicates" in few.reason
    enough = run(PairedCounts((95, 0, 0, 0, 1, 2, 1, 1)), "recall", method="multinomial")  # 0.6 %
    assert isinstance(enough, Bootstrap)
    p = 0.95**100
    assert enough.undefined_replicates == pytest.approx(200_000 * p, abs=4 * math.sqrt(200_000 * p))
    assert enough.n_resamples == 200_000


def test_all_metrics_come_from_the_same_draws() -> None:
    """A metric's interval does not depend on what else was asked for."""
    counts = PairedCounts((90, 6, 4, 10, 15, 20, 12, 43))
    every = bootstrap(counts, METRICS, rng=np.random.default_rng(42), confidence_level=0.95, n_resamples=5000)
    assert set(every) == set(METRICS)
    for name in METRICS:
        assert every[name] == run(counts, name, n=5000)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    counts = PairedCounts((90, 6, 4, 10, 15, 20, 12, 43))

    def with_seed(seed: int) -> Bootstrap | Undefined:
        rng = np.random.default_rng(seed)
        return bootstrap(counts, ["mcc"], rng=rng, confidence_level=0.9, n_resamples=2000)["mcc"]

    assert with_seed(1) == with_seed(1)
    assert with_seed(1) != with_seed(2)


def test_no_labelled_row_gives_no_interval() -> None:
    found = bootstrap(PairedCounts(unlabelled=(5, 5, 5, 5)), METRICS, rng=np.random.default_rng(), confidence_level=0.9)
    assert set(found) == set(METRICS)
    assert all(isinstance(b, Undefined) for b in found.values())


def test_a_billion_rows_a_cell_cost_and_say_what_the_normal_approximation_does() -> None:
    counts = PairedCounts((HUGE, 0, 0, 0, HUGE, 2 * HUGE, HUGE, HUGE))
    for method in ("dirichlet", "multinomial"):
        found = run(counts, "recall", method=method, n=20_000)
        assert isinstance(found, Bootstrap)
        half = 1.95996 * math.sqrt((3 - 1 / 5) * HUGE) / (5 * HUGE)
        assert found.interval.low == pytest.approx(0.2 - half, abs=half / 10)
        assert found.interval.high == pytest.approx(0.2 + half, abs=half / 10)


@SLOW_PROPERTY
@given(MODEST_COUNTS)
def test_the_interval_of_the_swapped_pair_is_the_mirror_within_monte_carlo_error(counts: PairedCounts) -> None:
    there, back = run(counts, "accuracy", n=20_000), run(counts.swap(), "accuracy", n=20_000)
    assert isinstance(there, Bootstrap) == isinstance(back, Bootstrap) == (counts.n > 0)
    if isinstance(there, Bootstrap) and isinstance(back, Bootstrap):
        width = there.interval.high - there.interval.low
        assert width > 0
        assert back.interval.low == pytest.approx(-there.interval.high, abs=0.1 * width)
        assert back.interval.high == pytest.approx(-there.interval.low, abs=0.1 * width)
