"""The sparse K x K x K table of a pair."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from analysis_examples import PROPERTY
from class_examples import ANY_ROWS, FEW_ROWS, counted, one_vs_rest, rows
from hypothesis import given
from sklearn.metrics import multilabel_confusion_matrix

from analysis.tables.class_counts import ClassCounts
from analysis.tables.counts import Confusion, PairedOutcomes

COUNTS = ClassCounts.of(
    [
        (("bee", "bee", "ant"), 2),
        (("ant", "ant", "ant"), 5),
        (("ant", "bee", "ant"), 3),
        (("ant", "bee", "cat"), 1),
        (("ant", "bee", "ant"), 1),
    ],
    [(("ant", "dog"), 4)],
)


def test_entries_are_sorted_add_up_and_leave_out_zeros() -> None:
    assert COUNTS.labelled == (
        (("ant", "ant", "ant"), 5),
        (("ant", "bee", "ant"), 4),
        (("ant", "bee", "cat"), 1),
        (("bee", "bee", "ant"), 2),
    )
    assert ClassCounts.of([(("ant", "ant", "ant"), 0)]) == ClassCounts()


def test_rows_labels_and_classes_by_hand() -> None:
    assert COUNTS.n == 12
    assert COUNTS.labels == ("ant", "bee")
    assert COUNTS.classes == ("ant", "bee", "cat", "dog")


def test_wins_losses_and_ties_by_hand() -> None:
    assert COUNTS.outcomes() == PairedOutcomes(wins=4, losses=2, ties=6)
    assert COUNTS.outcomes_of("ant") == PairedOutcomes(wins=4, losses=0, ties=6)
    assert COUNTS.outcomes_of("bee") == PairedOutcomes(wins=0, losses=2, ties=0)
    assert COUNTS.outcomes_of("dog") == PairedOutcomes(0, 0, 0)


@pytest.mark.parametrize(
    "entries",
    [
        ((("b", "b", "b"), 1), (("a", "a", "a"), 1)),
        ((("a", "a", "a"), 1), (("a", "a", "a"), 1)),
        ((("a", "a", "a"), 0),),
        ((("a", "a", "a"), -3),),
        ((("a", "a"), 3),),
    ],
    ids=["unsorted", "twice", "zero", "negative", "a pair"],
)
def test_entries_that_are_not_in_their_one_form_are_refused(entries: tuple) -> None:
    with pytest.raises(ValueError, match="class names"):
        ClassCounts(entries)


def test_negative_counts_are_refused_on_the_way_in_too() -> None:
    with pytest.raises(ValueError, match="class names"):
        ClassCounts.of([], [(("a", "b"), -1)])


@PROPERTY
@given(FEW_ROWS, FEW_ROWS)
def test_counts_add_as_their_rows_do(one: ClassCounts, other: ClassCounts) -> None:
    both = [np.concatenate(pair) for pair in zip(rows(one), rows(other), strict=True)]
    total = one + other
    assert total.labelled == counted(*both).labelled
    assert total == other + one
    assert sum(n for _, n in total.unlabelled) == sum(n for c in (one, other) for _, n in c.unlabelled)
    assert total + ClassCounts() == total


@PROPERTY
@given(ANY_ROWS)
def test_swapping_exchanges_the_models_and_nothing_else(counts: ClassCounts) -> None:
    assert counts.swap().swap() == counts
    assert counts.swap().champion == counts.challenger
    assert counts.swap().outcomes() == counts.outcomes().swap()
    assert counts.swap().classes == counts.classes
    assert np.array_equal(counts.swap().predictions(), counts.predictions().T)


@PROPERTY
@given(ANY_ROWS)
def test_the_outcomes_of_the_classes_add_up_to_those_of_all_rows(counts: ClassCounts) -> None:
    parts = [counts.outcomes_of(name) for name in counts.classes]
    total = PairedOutcomes(sum(p.wins for p in parts), sum(p.losses for p in parts), sum(p.ties for p in parts))
    assert total == counts.outcomes()
    assert total.n == counts.n


@PROPERTY
@given(FEW_ROWS)
def test_each_class_against_the_rest_against_scikit_learn(counts: ClassCounts) -> None:
    y, c, h = rows(counts)
    for model, predicted in ((counts.champion, c), (counts.challenger, h)):
        names = sorted({*y, *predicted})
        assert list(model) == names
        if names:
            for name, ((tn, fp), (fn, tp)) in zip(
                names, multilabel_confusion_matrix(y, predicted, labels=names), strict=True
            ):
                assert model[name] == Confusion(tp, fp, fn, tn)


@PROPERTY
@given(FEW_ROWS)
def test_one_against_the_rest_has_the_confusion_matrices_and_the_recall_outcomes_of_the_class(
    counts: ClassCounts,
) -> None:
    unlabelled = sum(n for _, n in counts.unlabelled)
    for name in counts.labels:
        table = one_vs_rest(counts, name)
        assert (table.n, sum(table.unlabelled)) == (counts.n, unlabelled)
        assert table.champion == counts.champion[name]
        assert table.challenger == counts.challenger[name]
        assert table.outcomes("recall") == counts.outcomes_of(name)


def test_one_against_the_rest_tells_the_unlabelled_rows_by_which_model_names_the_class() -> None:
    pairs = [(("a", "a"), 1), (("a", "b"), 2), (("b", "a"), 4), (("b", "c"), 8)]
    assert one_vs_rest(ClassCounts.of([], pairs), "a").unlabelled == (8, 4, 2, 1)


@PROPERTY
@given(FEW_ROWS)
def test_the_table_of_predictions_counts_every_row_with_or_without_a_label(counts: ClassCounts) -> None:
    _, c, h = rows(counts)
    seen = Counter(zip(c.tolist(), h.tolist(), strict=True)) + Counter(dict(counts.unlabelled))
    expected = [[seen[old, new] for new in counts.classes] for old in counts.classes]
    assert counts.predictions().tolist() == expected


def test_no_row_has_no_class() -> None:
    assert (ClassCounts().n, ClassCounts().classes, ClassCounts().champion) == (0, (), {})
    assert ClassCounts().predictions().shape == (0, 0)
    assert one_vs_rest(ClassCounts(), "ant").n == 0
