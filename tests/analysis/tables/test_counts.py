"""The counts that everything else is a function of."""

from __future__ import annotations

import itertools

import pytest
from analysis_examples import COUNTS, PROPERTY
from hypothesis import given

from analysis.tables.counts import Confusion, PairedCounts, PairedOutcomes

TABLE = PairedCounts((1, 2, 4, 8, 16, 32, 64, 128), (256, 512, 1024, 2048))  # every sum tells which cells are in it


def test_the_confusion_of_each_model_is_read_from_its_own_axis() -> None:
    assert TABLE.champion == Confusion(tp=64 + 128, fp=4 + 8, fn=16 + 32, tn=1 + 2)
    assert TABLE.challenger == Confusion(tp=32 + 128, fp=2 + 8, fn=16 + 64, tn=1 + 4)


def test_the_cells_agree_with_counting_single_rows() -> None:
    """The index of a cell is 4 label + 2 champion + challenger."""
    for label, champion, challenger in itertools.product((0, 1), repeat=3):
        cells = [0] * 8
        cells[4 * label + 2 * champion + challenger] = 1
        counts = PairedCounts(tuple(cells))  # type: ignore[arg-type]
        assert (counts.positives, counts.negatives, counts.n) == (label, 1 - label, 1)
        for decision, confusion in ((champion, counts.champion), (challenger, counts.challenger)):
            assert confusion.tp == (label and decision)
            assert confusion.fp == ((1 - label) and decision)
            assert confusion.fn == (label and 1 - decision)
            assert confusion.tn == ((1 - label) and 1 - decision)
        pairs = counts.outcomes("accuracy")
        assert pairs.wins == int(challenger == label != champion)
        assert pairs.losses == int(champion == label != challenger)


def test_outcomes_of_each_metric_are_over_its_own_rows() -> None:
    assert TABLE.outcomes("recall") == PairedOutcomes(wins=32, losses=64, ties=16 + 128)
    assert TABLE.outcomes("specificity") == PairedOutcomes(wins=4, losses=2, ties=1 + 8)
    assert TABLE.outcomes("accuracy") == PairedOutcomes(wins=36, losses=66, ties=1 + 8 + 16 + 128)
    assert TABLE.outcomes("recall").n == TABLE.positives
    assert TABLE.outcomes("recall").discordant == 96


@PROPERTY
@given(COUNTS, COUNTS, COUNTS)
def test_counts_add_in_any_order_and_grouping_with_nothing_as_zero(
    a: PairedCounts, b: PairedCounts, c: PairedCounts
) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + PairedCounts() == a
    assert (a + b).n == a.n + b.n
    assert (a + b).unlabelled == tuple(x + y for x, y in zip(a.unlabelled, b.unlabelled, strict=True))


@PROPERTY
@given(COUNTS)
def test_swapping_exchanges_the_models_and_twice_is_nothing(counts: PairedCounts) -> None:
    assert counts.swap().swap() == counts
    assert counts.swap().champion == counts.challenger
    assert counts.swap().unlabelled[1] == counts.unlabelled[2]
    assert counts.swap().unlabelled[3] == counts.unlabelled[3]
    assert counts.swap().outcomes("recall") == counts.outcomes("recall").swap()
    assert counts.swap().outcomes("specificity") == counts.outcomes("specificity").swap()
    assert counts.swap().outcomes("accuracy") == counts.outcomes("accuracy").swap()


@pytest.mark.parametrize(
    ("labelled", "unlabelled"),
    [
        ((0,) * 7, (0,) * 4),
        ((0,) * 9, (0,) * 4),
        ((0,) * 8, (0,) * 3),
        ((0,) * 7 + (-1,), (0,) * 4),
        ((0,) * 8, (0, 0, -1, 0)),
    ],
)
def test_counts_of_another_shape_or_below_zero_are_refused(
    labelled: tuple[int, ...], unlabelled: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="8 labelled and 4 unlabelled"):
        PairedCounts(labelled, unlabelled)  # type: ignore[arg-type]


@pytest.mark.parametrize("outcomes", [(-1, 0, 0), (0, -1, 0), (0, 0, -1)])
def test_negative_outcomes_are_refused(outcomes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="negative"):
        PairedOutcomes(*outcomes)


def test_flipping_negates_label_and_decisions() -> None:
    """So positives become negatives, right stays right, and the NPV of a table is the precision of its flip."""
    flipped, old = TABLE.flip(), TABLE.champion
    assert flipped.champion == Confusion(tp=old.tn, fp=old.fn, fn=old.fp, tn=old.tp)
    assert flipped.outcomes("accuracy") == TABLE.outcomes("accuracy")
    assert flipped.outcomes("recall") == TABLE.outcomes("specificity")
    assert flipped.unlabelled == (2048, 1024, 512, 256)
