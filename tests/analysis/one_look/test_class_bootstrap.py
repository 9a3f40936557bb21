"""The bootstrap of multiclass metrics from counts against its moments, the rows themselves and the binary bootstrap."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from analysis_examples import HUGE, MODEST_COUNTS, SLOW_PROPERTY
from class_examples import ANY_ROWS, rows, simulated
from hypothesis import given
from scipy import stats

from analysis.one_look.bootstrap import Bootstrap, bootstrap
from analysis.one_look.class_bootstrap import class_bootstrap
from analysis.one_look.class_metrics import CLASS_METRICS, class_difference, class_metric_array
from analysis.tables.class_counts import ClassCounts
from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.metrics import Difference


def run(
    counts: ClassCounts, name: str, *, level: float = 0.95, n: int = 20_000, seed: int = 42, **options: Any
) -> Bootstrap | Undefined:
    rng = np.random.default_rng(seed)
    return class_bootstrap(counts, [name], rng=rng, confidence_level=level, n_resamples=n, **options)[name]


def defined(counts: ClassCounts, name: str, **options: Any) -> Bootstrap:
    found = run(counts, name, **options)
    assert isinstance(found, Bootstrap)
    return found


def test_multinomial_against_resampling_the_rows_themselves() -> None:
    """4000 draws of 300 rows with replacement: the same quantiles within 4 standard errors."""
    counts = simulated(np.random.default_rng(1), 300, classes=3)
    rng, n = np.random.default_rng(3), 4000
    picked = rng.integers(counts.n, size=(n, counts.n))
    y, c, h = (column[picked] for column in rows(counts))
    by_rows: dict[str, np.ndarray] = {"macro_recall": np.zeros(n), "macro_f1": np.zeros(n)}
    for label in counts.labels:
        for sign, model in ((-1, c), (1, h)):
            right = ((y == label) & (model == label)).sum(axis=1)
            labelled, predicted = (y == label).sum(axis=1), (model == label).sum(axis=1)
            by_rows["macro_recall"] += sign * right / labelled / 3
            by_rows["macro_f1"] += sign * 2 * right / (labelled + predicted) / 3
    for name, values in by_rows.items():
        found = defined(counts, name, method="multinomial", level=0.9)
        error = 4 * math.sqrt(0.05 * 0.95 / n) * float(values.std()) / 0.103  # density of a normal at its 5 % quantile
        assert found.interval.low == pytest.approx(np.quantile(values, 0.05), abs=error)
        assert found.interval.high == pytest.approx(np.quantile(values, 0.95), abs=error)


def test_dirichlet_macro_recall_has_the_moments_of_its_posterior() -> None:
    """Within each class Dirichlet(N + 1/2) shares of four outcomes, independent between classes; normal quantiles."""
    counts = simulated(np.random.default_rng(2), 6000)
    pairs = [counts.outcomes_of(name) for name in counts.labels]
    means = [(p.wins - p.losses) / (p.n + 2) for p in pairs]
    parts = [((p.discordant + 1) / (p.n + 2) - m * m) / (p.n + 3) for p, m in zip(pairs, means, strict=True)]
    sd = math.sqrt(sum(parts)) / len(pairs)
    found = defined(counts, "macro_recall", n=50_000)
    middle = (found.interval.low + found.interval.high) / 2
    assert middle == pytest.approx(np.mean(means), abs=4 * 2.7 * sd / math.sqrt(50_000))
    assert found.interval.high - found.interval.low == pytest.approx(2 * 1.95996 * sd, rel=0.03)


@pytest.mark.parametrize("name", CLASS_METRICS)
def test_with_many_rows_both_methods_agree_with_the_delta_method(name: str) -> None:
    counts = ClassCounts.of((key, 1000 * n) for key, n in simulated(np.random.default_rng(3), 1000).labelled)
    exact = class_difference(name, counts)
    assert isinstance(exact, Difference)
    for method in ("dirichlet", "multinomial"):
        found = defined(counts, name, method=method)
        half = 1.95996 * exact.standard_error
        assert found.interval.low == pytest.approx(exact.value - half, abs=half / 10)
        assert found.interval.high == pytest.approx(exact.value + half, abs=half / 10)


@pytest.mark.parametrize("method", ["dirichlet", "multinomial"])
def test_with_two_classes_it_is_the_binary_bootstrap(method: Any) -> None:
    """The same distribution of balanced accuracy and accuracy, few disagreements and an empty cell included."""
    binary = PairedCounts((40, 3, 0, 7, 6, 5, 1, 30))
    names = "no", "yes"
    counts = ClassCounts.of(
        ((names[j >> 2], names[(j >> 1) & 1], names[j & 1]), n) for j, n in enumerate(binary.labelled)
    )
    options = {"confidence_level": 0.9, "n_resamples": 100_000, "method": method}
    peer = bootstrap(binary, ["balanced_accuracy", "accuracy"], rng=np.random.default_rng(1), **options)
    found = class_bootstrap(counts, ["macro_recall", "accuracy"], rng=np.random.default_rng(2), **options)
    for ours, theirs in (("macro_recall", "balanced_accuracy"), ("accuracy", "accuracy")):
        one, other = found[ours], peer[theirs]  # type: ignore[index]
        assert isinstance(one, Bootstrap)
        assert isinstance(other, Bootstrap)
        assert one.interval.low == pytest.approx(other.interval.low, abs=2e-3)
        assert one.interval.high == pytest.approx(other.interval.high, abs=2e-3)
        assert one.share_above_zero == pytest.approx(other.share_above_zero, abs=0.01)


def test_with_two_classes_the_half_rows_fall_on_the_same_predictions_as_in_the_binary_bootstrap() -> None:
    """Precision and F1 see where wrong predictions go: both classes' mean is that of the binary metric and of its flip."""
    binary = PairedCounts((9, 1, 0, 2, 1, 2, 0, 8))
    draws = np.random.default_rng(1).standard_gamma(np.array(binary.labelled) + 0.5, size=(100_000, 8))
    n = draws.T
    table = {
        "tp": (n[6] + n[7], n[5] + n[7]),
        "tn": (n[0] + n[1], n[0] + n[2]),
        "wrong": (n[2:6].sum(0), n[[1, 3, 4, 6]].sum(0)),
    }
    old, new = (tp / (2 * tp + wrong) + tn / (2 * tn + wrong) for tp, tn, wrong in zip(*table.values(), strict=True))
    names = "no", "yes"
    counts = ClassCounts.of(
        ((names[j >> 2], names[(j >> 1) & 1], names[j & 1]), n) for j, n in enumerate(binary.labelled)
    )
    found = defined(counts, "macro_f1", n=100_000, level=0.9)
    low, high = np.quantile(new - old, [0.05, 0.95])
    assert (found.interval.low, found.interval.high) == (pytest.approx(low, abs=4e-3), pytest.approx(high, abs=4e-3))


@pytest.mark.parametrize("name", ["macro_precision", "macro_f1"])
def test_half_a_row_on_a_random_wrong_class_is_nearly_half_a_row_spread_over_all(name: str) -> None:
    """Against Dirichlet draws of all 27 cells in which the cells of each outcome of a class share half a row evenly."""
    cells = np.zeros((3, 3, 3))
    cells[0, 0, 0], cells[1, 1, 1], cells[2, 2, 2], cells[0, 1, 0], cells[1, 1, 2] = 4, 30, 12, 3, 5
    y, c, h = np.indices(cells.shape)
    draws = np.random.default_rng(8).standard_gamma(
        cells + 0.5 / np.where(c == y, 1, 2) / np.where(h == y, 1, 2), (50_000, 3, 3, 3)
    )
    labelled = draws.sum(axis=(2, 3))
    old_right = np.einsum("ikkj->ik", draws)
    new_right = np.einsum("ikjk->ik", draws)
    values = class_metric_array(name, new_right, labelled, draws.sum(axis=(1, 2))) - class_metric_array(
        name, old_right, labelled, draws.sum(axis=(1, 3))
    )
    counts = ClassCounts.of((("abc"[i], "abc"[j], "abc"[k]), int(n)) for (i, j, k), n in np.ndenumerate(cells))
    found = defined(counts, name, n=50_000, level=0.9)
    width = found.interval.high - found.interval.low
    low, high = np.quantile(values, [0.05, 0.95])
    assert found.interval.low == pytest.approx(low, abs=0.03 * width)
    assert found.interval.high == pytest.approx(high, abs=0.03 * width)


def test_ten_classes_and_five_hundred_rows_are_covered_as_promised() -> None:
    """200 seeded data sets, a gain of 8 points in recall: half a row in each of the 1000 cells would never cover it."""
    truth, covered, runs = 0.08, 0, 200
    for seed in range(runs):
        counts = simulated(np.random.default_rng(seed), 500, classes=10, gain=truth)
        found = defined(counts, "macro_recall", n=1000, seed=seed)
        covered += found.interval.low <= truth <= found.interval.high
    assert stats.binomtest(covered, runs).proportion_ci(0.998).high >= 0.95
    assert covered / runs < 1


def test_it_keeps_its_width_where_the_models_never_differ() -> None:
    same = ClassCounts.of([((k, k, k), 20) for k in "abc"] + [(("a", "b", "b"), 5)])
    classic, default = defined(same, "macro_f1", method="multinomial"), defined(same, "macro_f1")
    assert (classic.interval.low, classic.interval.high) == (0, 0)
    assert default.interval.low < -0.02
    assert default.interval.high > 0.02
    assert default.share_above_zero == pytest.approx(0.5, abs=0.02)


def test_replicates_that_lose_a_class_are_counted_and_refused_above_one_percent() -> None:
    """A class of k rows among n is lost with probability (1 - k/n)^n."""
    few = ClassCounts.of([(("a", "a", "a"), 90), (("a", "b", "a"), 7), (("b", "b", "b"), 3)])
    assert isinstance(run(few, "macro_recall", method="multinomial"), Undefined)
    assert isinstance(run(few, "macro_recall"), Bootstrap)
    enough = ClassCounts.of([(("a", "a", "a"), 88), (("a", "b", "a"), 7), (("b", "b", "b"), 5)])
    found = defined(enough, "macro_recall", method="multinomial")
    assert found.undefined_replicates == pytest.approx(20_000 * 0.95**100, abs=4 * math.sqrt(20_000 * 0.95**100))
    assert found.n_resamples == 20_000


def test_all_metrics_come_from_the_same_draws_and_a_seed_repeats_them() -> None:
    counts = simulated(np.random.default_rng(5), 200)
    every = class_bootstrap(
        counts, CLASS_METRICS, rng=np.random.default_rng(42), confidence_level=0.95, n_resamples=2000
    )
    assert tuple(every) == tuple(CLASS_METRICS)
    for name in CLASS_METRICS:
        assert every[name] == run(counts, name, n=2000)
        assert every[name] != run(counts, name, n=2000, seed=43)


def test_many_cells_are_drawn_in_blocks_that_add_up_to_the_replicates_asked_for() -> None:
    counts = simulated(np.random.default_rng(5), 3000, classes=10)
    assert len(counts.labelled) > 150
    found = defined(counts, "macro_recall", n=30_000)
    assert (found.n_resamples, found.undefined_replicates) == (30_000, 0)


def test_the_cost_does_not_grow_with_the_rows() -> None:
    """A billion rows a row: as many draws, and the interval shrinks by their root."""
    small = ClassCounts.of((key, 20 * n) for key, n in simulated(np.random.default_rng(6), 300).labelled)
    large = ClassCounts.of((key, HUGE // 1000 * n) for key, n in small.labelled)
    one, many = defined(small, "macro_f1"), defined(large, "macro_f1")
    ratio = (one.interval.high - one.interval.low) / (many.interval.high - many.interval.low)
    assert ratio == pytest.approx(1000, rel=0.05)


def test_what_is_not_observed_has_no_interval() -> None:
    """The champion never predicts "b": its precision is 0/0, and half a row of smoothing is not an observation."""
    counts = ClassCounts.of([(("a", "a", "a"), 50), (("b", "a", "b"), 50)])
    assert run(counts, "macro_precision") == class_difference("macro_precision", counts)
    nothing = class_bootstrap(ClassCounts(), CLASS_METRICS, rng=np.random.default_rng(1), confidence_level=0.9)
    assert nothing == dict.fromkeys(CLASS_METRICS, Undefined("no labelled row"))


@SLOW_PROPERTY
@given(ANY_ROWS)
def test_intervals_are_finite_and_in_order_whatever_the_counts(counts: ClassCounts) -> None:
    for method in ("dirichlet", "multinomial"):
        for name in CLASS_METRICS:
            found = run(counts, name, n=300, method=method)
            if isinstance(found, Bootstrap):
                assert -1 <= found.interval.low <= found.interval.high <= 1
                assert 0 <= found.share_above_zero <= 1
            elif method == "dirichlet":
                assert found == class_difference(name, counts)


@SLOW_PROPERTY
@given(MODEST_COUNTS)
def test_the_interval_of_the_swapped_pair_is_the_mirror_within_monte_carlo_error(binary: PairedCounts) -> None:
    names = "no", "yes", "maybe"
    counts = ClassCounts.of(
        ((names[j >> 2], names[(j >> 1) & 1], names[2 * (j & 1)]), n) for j, n in enumerate(binary.labelled)
    )
    there, back = run(counts, "macro_f1", n=5000), run(counts.swap(), "macro_f1", n=5000)
    if isinstance(there, Bootstrap) and isinstance(back, Bootstrap):
        width = there.interval.high - there.interval.low
        assert back.interval.low == pytest.approx(-there.interval.high, abs=0.15 * width)
        assert back.interval.high == pytest.approx(-there.interval.low, abs=0.15 * width)
