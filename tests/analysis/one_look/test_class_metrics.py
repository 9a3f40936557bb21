"""Multiclass metrics, their differences and standard errors, and the recall of each class."""

from __future__ import annotations

import functools
import math
import warnings

import numpy as np
import pytest
from analysis_examples import HUGE, PROPERTY, SLOW_PROPERTY
from class_examples import ANY_ROWS, FEW_ROWS, one_vs_rest, rows, simulated
from hypothesis import given
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, precision_score, recall_score

from analysis.one_look.class_metrics import (
    CLASS_METRICS,
    ClassRecall,
    class_difference,
    class_metric,
    class_metric_array,
    recall_by_class,
)
from analysis.one_look.mcnemar import mcnemar
from analysis.tables.class_counts import ClassCounts
from analysis.tables.counts import PairedOutcomes, Undefined
from analysis.tables.metrics import Difference, difference

MACRO: list[tuple[str, str, object]] = [
    ("macro_recall", "macro", recall_score),
    ("macro_precision", "macro", precision_score),
    ("macro_f1", "macro", f1_score),
]


def found(name: str, counts: ClassCounts) -> Difference:
    value = class_difference(name, counts)
    assert isinstance(value, Difference)
    return value


def scaled(counts: ClassCounts, by: int) -> ClassCounts:
    return ClassCounts.of((key, n * by) for key, n in counts.labelled)


@SLOW_PROPERTY
@given(FEW_ROWS)
def test_values_against_scikit_learn_over_the_classes_among_the_labels(counts: ClassCounts) -> None:
    """Undefined exactly where scikit-learn's value depends on ``zero_division``."""
    if not counts.n:
        return
    y, *predictions = rows(counts)
    for model, predicted in zip((counts.champion, counts.challenger), predictions, strict=True):
        assert class_metric("accuracy", model) == pytest.approx(accuracy_score(y, predicted), abs=1e-12)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert class_metric("macro_recall", model) == pytest.approx(balanced_accuracy_score(y, predicted))
            for name, average, peer in MACRO:
                options = {"labels": counts.labels, "average": average}
                zero, one = (peer(y, predicted, zero_division=z, **options) for z in (0, 1))  # type: ignore[operator]
                value = class_metric(name, model)
                assert isinstance(value, Undefined) == (abs(zero - one) > 1e-9)
                if not isinstance(value, Undefined):
                    assert value == pytest.approx(zero, abs=1e-12)


@PROPERTY
@given(FEW_ROWS)
def test_values_against_scikit_learns_defaults_where_every_class_is_labelled_and_predicted(counts: ClassCounts) -> None:
    y, *predictions = rows(counts)
    for model, predicted in zip((counts.champion, counts.challenger), predictions, strict=True):
        if counts.n and set(y) == set(predicted):
            for name, average, peer in MACRO:
                expected = peer(y, predicted, average=average)  # type: ignore[operator]
                assert class_metric(name, model) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", CLASS_METRICS)
def test_standard_error_against_numerical_differentiation(name: str) -> None:
    """SE = sqrt(sum_j N_j (d theta / d N_j)^2), with central differences; one class is predicted and never the label."""
    counts = simulated(np.random.default_rng(1), 300) + ClassCounts.of([(("k00", "else", "k01"), 3)])
    keys = [key for key, _ in counts.labelled]
    cells = np.array([n for _, n in counts.labelled], dtype=np.float64)

    y, *predictions = np.array(keys).T
    labels = np.array(counts.labels)[:, None]

    def theta(n: np.ndarray) -> float:
        old, new = (
            class_metric_array(name, ((y == labels) & (y == p)) @ n, (y == labels) @ n, (p == labels) @ n)
            for p in predictions
        )
        return float(new - old)

    step = 1e-3
    slopes = [(theta(cells + step * e) - theta(cells - step * e)) / (2 * step) for e in np.eye(len(cells))]
    assert found(name, counts).value == pytest.approx(theta(cells), abs=1e-14)
    assert found(name, counts).standard_error == pytest.approx(
        math.sqrt(float(np.sum(cells * np.square(slopes)))), rel=1e-6
    )


@pytest.mark.parametrize("name", CLASS_METRICS)
def test_standard_error_against_the_jackknife(name: str) -> None:
    """Leaving out one row at a time: one value for each occupied cell. Within 2 % at 2000 rows."""
    counts = simulated(np.random.default_rng(2), 2000)
    left_out, weights = [], []
    for key, n in counts.labelled:
        others = ClassCounts.of((k, m - (k == key)) for k, m in counts.labelled)
        left_out.append(found(name, others).value)
        weights.append(n)
    mean = np.average(left_out, weights=weights)
    jackknife = math.sqrt((1 - 1 / counts.n) * float(np.sum(weights * (np.array(left_out) - mean) ** 2)))
    assert found(name, counts).standard_error == pytest.approx(jackknife, rel=0.02)


@functools.cache
def data_sets() -> list[ClassCounts]:
    return [simulated(np.random.default_rng(seed), 1500) for seed in range(400)]


@pytest.mark.parametrize("name", CLASS_METRICS)
def test_standard_error_against_the_spread_over_data_sets(name: str) -> None:
    """400 seeded data sets of 1500 rows: the mean standard error is their standard deviation within 4 of its errors."""
    drawn = [found(name, counts) for counts in data_sets()]
    spread = float(np.std([d.value for d in drawn]))
    assert np.mean([d.standard_error for d in drawn]) == pytest.approx(spread, rel=4 / math.sqrt(800))


def test_accuracy_against_the_closed_form_of_paired_shares() -> None:
    counts = simulated(np.random.default_rng(3), 500)
    pairs = counts.outcomes()
    w, l, n = pairs.wins, pairs.losses, pairs.n
    assert found("accuracy", counts).value == pytest.approx((w - l) / n, abs=1e-14)
    assert found("accuracy", counts).standard_error == pytest.approx(math.sqrt(w + l - (w - l) ** 2 / n) / n)


def test_macro_recall_against_the_closed_form_of_paired_shares_within_classes() -> None:
    counts = simulated(np.random.default_rng(4), 500)
    pairs = [counts.outcomes_of(name) for name in counts.labels]
    value = np.mean([(p.wins - p.losses) / p.n for p in pairs])
    variance = sum((p.discordant - (p.wins - p.losses) ** 2 / p.n) / p.n**2 for p in pairs) / len(pairs) ** 2
    assert found("macro_recall", counts).value == pytest.approx(value, abs=1e-14)
    assert found("macro_recall", counts).standard_error == pytest.approx(math.sqrt(variance))


@SLOW_PROPERTY
@given(ANY_ROWS)
def test_with_two_classes_macro_recall_is_the_binary_balanced_accuracy(counts: ClassCounts) -> None:
    def merged(name: str) -> str:
        return "ant" if name == "ant" else "rest"

    two = ClassCounts.of(((merged(y), merged(c), merged(h)), n) for (y, c, h), n in counts.labelled)
    binary = difference("balanced_accuracy", one_vs_rest(two, "ant"))
    if isinstance(binary, Difference):
        assert found("macro_recall", two).value == pytest.approx(binary.value, abs=1e-12)
        assert found("macro_recall", two).standard_error == pytest.approx(binary.standard_error, rel=1e-6, abs=1e-12)
        assert found("accuracy", two).value == pytest.approx((two.outcomes().wins - two.outcomes().losses) / two.n)


@PROPERTY
@given(ANY_ROWS)
def test_swapping_the_models_negates_every_difference_and_keeps_its_standard_error(counts: ClassCounts) -> None:
    for name in CLASS_METRICS:
        there, back = class_difference(name, counts), class_difference(name, counts.swap())
        assert isinstance(there, Undefined) == isinstance(back, Undefined)
        if isinstance(there, Difference) and isinstance(back, Difference):
            assert back.value == -there.value
            assert back.standard_error == pytest.approx(there.standard_error, rel=1e-9, abs=1e-15)
            assert math.isfinite(there.standard_error)
            assert 0 <= there.champion <= 1 + 1e-12
            assert 0 <= there.challenger <= 1 + 1e-12


@PROPERTY
@given(ANY_ROWS)
def test_identical_models_do_not_differ_and_have_no_standard_error(counts: ClassCounts) -> None:
    same = ClassCounts.of(((y, c, c), n) for (y, c, _), n in counts.labelled)
    for name in CLASS_METRICS:
        value = class_difference(name, same)
        if isinstance(value, Difference):
            assert (value.value, value.standard_error) == (0, 0)


@pytest.mark.parametrize("name", CLASS_METRICS)
def test_a_billion_rows_a_row_give_the_difference_of_one(name: str) -> None:
    small = simulated(np.random.default_rng(5), 200)
    one, many = found(name, small), found(name, scaled(small, HUGE))
    assert many.value == pytest.approx(one.value, rel=1e-9)
    assert many.standard_error == pytest.approx(one.standard_error / math.sqrt(HUGE), rel=1e-9)


def test_a_class_that_is_only_predicted_is_an_error_and_no_class_of_its_own() -> None:
    """The challenger says "fox", of which there is none: it loses a row of "ant" and the averages stay over two classes."""
    counts = ClassCounts.of([(("ant", "ant", "ant"), 3), (("ant", "ant", "fox"), 1), (("bee", "bee", "bee"), 4)])
    assert found("macro_recall", counts).challenger == (3 / 4 + 1) / 2
    assert found("macro_precision", counts).challenger == 1
    assert found("macro_f1", counts).challenger == (6 / 7 + 1) / 2


def test_a_class_that_one_model_never_predicts_leaves_macro_precision_undefined_and_f1_zero() -> None:
    counts = ClassCounts.of([(("ant", "ant", "ant"), 5), (("bee", "ant", "bee"), 5)])
    assert class_difference("macro_precision", counts) == Undefined(
        "class bee is among the labels and was never predicted, so it has no precision"
    )
    assert isinstance(class_difference("macro_precision", counts.swap()), Undefined)
    assert found("macro_f1", counts).champion == pytest.approx((10 / 15 + 0) / 2)


def test_without_a_labelled_row_nothing_is_defined() -> None:
    nothing = ClassCounts.of([], [(("ant", "bee"), 4)])
    for name in CLASS_METRICS:
        assert class_difference(name, nothing) == Undefined("no labelled row")
        assert class_metric(name, nothing.champion) == Undefined("no labelled row")
    assert set(recall_by_class(nothing).values()) == {
        Undefined("no labelled row of class ant"),
        Undefined("no labelled row of class bee"),
    }


@SLOW_PROPERTY
@given(FEW_ROWS)
def test_the_recall_of_each_class_is_mcnemars_test_on_its_rows_adjusted_by_holm(counts: ClassCounts) -> None:
    y, c, h = rows(counts)
    by_class = recall_by_class(counts)
    assert tuple(by_class) == counts.classes
    tested = {name: r for name, r in by_class.items() if isinstance(r, ClassRecall)}
    assert tuple(tested) == counts.labels
    for name, r in tested.items():
        own = y == name
        wins, losses = int(np.sum(own & (c != y) & (h == y))), int(np.sum(own & (c == y) & (h != y)))
        assert r.pairs == PairedOutcomes(wins, losses, int(own.sum()) - wins - losses)
        assert r.p_value == mcnemar(r.pairs).p_value
        assert (r.champion, r.challenger) == pytest.approx((np.mean(c[own] == name), np.mean(h[own] == name)))
    adjusted, running = {}, 0.0
    for rank, (p, name) in enumerate(sorted((r.p_value, name) for name, r in tested.items())):
        running = max(running, min(1.0, p * (len(tested) - rank)))
        adjusted[name] = running
    assert {name: r.adjusted_p_value for name, r in tested.items()} == pytest.approx(adjusted)


def test_a_class_without_labels_is_left_out_of_the_adjustment() -> None:
    """Two hypotheses, not three: the smaller p doubles."""
    counts = ClassCounts.of([(("ant", "bee", "ant"), 9), (("bee", "bee", "cat"), 1), (("bee", "bee", "bee"), 3)])
    by_class = recall_by_class(counts, alternative="two-sided")
    ant = by_class["ant"]
    assert isinstance(ant, ClassRecall)
    assert ant.p_value == mcnemar(counts.outcomes_of("ant"), alternative="two-sided").p_value
    assert ant.adjusted_p_value == 2 * ant.p_value
    assert by_class["cat"] == Undefined("no labelled row of class cat")
