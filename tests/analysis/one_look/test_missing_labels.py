"""Labels that depend on the decisions: the correction removes the bias that the labelled rows alone show; bounds hold it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from analysis_examples import PROPERTY
from hypothesis import given
from hypothesis import strategies as st

from analysis.one_look.bootstrap import Bootstrap
from analysis.one_look.missing_labels import begg_greenes, corrected_difference, worst_case
from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.metrics import METRICS, Difference, difference

ALL = PairedCounts((6000, 400, 400, 300, 300, 200, 200, 700))  # equal recall when every label is known
CELL = st.sampled_from([0, 1, 3, 40, 2000])
TABLES = st.builds(PairedCounts, st.tuples(*[CELL] * 8), st.tuples(*[CELL] * 4))


def partly(counts: PairedCounts, shares: dict[tuple[int, int], float]) -> PairedCounts:
    """The same rows with only a share of the labels of each pair of decisions known."""
    labelled, unlabelled = list(counts.labelled), [0] * 4
    for (c, h), share in shares.items():
        for label in (0, 1):
            cell = 4 * label + 2 * c + h
            known = round(counts.labelled[cell] * share)
            unlabelled[2 * c + h] += counts.labelled[cell] - known
            labelled[cell] = known
    return PairedCounts(tuple(labelled), tuple(unlabelled))  # type: ignore[arg-type]


# what the champion flagged is investigated first
FOLLOWS_CHAMPION = partly(ALL, {(0, 0): 0.2, (0, 1): 0.2, (1, 0): 0.9, (1, 1): 0.9})


def boot(counts: PairedCounts, metric: str = "recall", n_resamples: int = 2000, level: float = 0.95) -> Bootstrap:
    rng = np.random.default_rng(1)
    found = begg_greenes(counts, [metric], rng=rng, confidence_level=level, n_resamples=n_resamples)[metric]
    assert isinstance(found, Bootstrap)
    return found


@pytest.mark.parametrize("metric", METRICS)
def test_what_is_missing_at_random_given_the_decisions_is_corrected_exactly_in_every_metric(metric: str) -> None:
    """The shares labelled are exact, so no sampling error is left."""
    every = PairedCounts((6000, 300, 400, 300, 300, 260, 200, 700))
    seen = partly(every, {(0, 0): 0.2, (0, 1): 0.2, (1, 0): 0.9, (1, 1): 0.9})
    found, true = corrected_difference(seen, metric), difference(metric, every)
    assert isinstance(found, Difference)
    assert isinstance(true, Difference)
    assert (found.champion, found.challenger, found.value) == pytest.approx(
        (true.champion, true.challenger, true.value), abs=1e-12
    )
    assert found.standard_error > true.standard_error or metric == "alert_rate"


def test_the_correction_finds_the_difference_that_all_labels_would_show() -> None:
    naive, found = difference("recall", FOLLOWS_CHAMPION), boot(FOLLOWS_CHAMPION)
    assert isinstance(naive, Difference)
    assert naive.value < -0.1
    assert found.interval.low < 0 < found.interval.high
    assert 0.3 < found.share_above_zero < 0.7
    assert (found.method, found.kind, found.n_resamples) == ("multinomial", "percentile", 2000)


def test_the_interval_covers_by_simulation() -> None:
    """95 % intervals of 300 samples with labels that follow the champion cover the true difference 0 in about 95 %."""
    rng = np.random.default_rng(4)
    shares = np.array([*FOLLOWS_CHAMPION.labelled, *FOLLOWS_CHAMPION.unlabelled]) / ALL.n
    covered = 0
    for _ in range(300):
        cells = [int(x) for x in rng.multinomial(4000, shares)]
        found = begg_greenes(
            PairedCounts(tuple(cells[:8]), tuple(cells[8:])),  # type: ignore[arg-type]
            ["recall"],
            rng=rng,
            confidence_level=0.95,
            n_resamples=500,
        )["recall"]
        assert isinstance(found, Bootstrap)
        covered += found.interval.low <= 0 <= found.interval.high
    assert 0.90 < covered / 300 < 0.99


def test_decisions_without_any_label_cannot_be_corrected() -> None:
    counts = partly(ALL, {(0, 1): 0.0})
    found = begg_greenes(counts, ["recall"], rng=np.random.default_rng(1), confidence_level=0.9)
    assert found == {"recall": Undefined("rows with one pair of decisions have no label at all")}


@PROPERTY
@given(TABLES)
def test_any_counts_give_a_number_or_a_reason(counts: PairedCounts) -> None:
    found = begg_greenes(counts, ["recall", "mcc"], rng=np.random.default_rng(1), confidence_level=0.9, n_resamples=200)
    for value in found.values():
        if isinstance(value, Bootstrap):
            assert np.isfinite((value.interval.low, value.interval.high, value.share_above_zero)).all()
        else:
            assert value.reason


@PROPERTY
@given(st.tuples(*[st.integers(0, 3)] * 8), st.tuples(*[st.integers(0, 2)] * 2))
def test_no_labels_are_worse_for_the_challenger_by_enumeration(
    labelled: tuple[int, ...], missing: tuple[int, int]
) -> None:
    """Over all ways to label the rows on which the two disagree, wins minus losses is lowest in the worst case."""
    counts = PairedCounts(labelled, (0, missing[0], missing[1], 0))  # type: ignore[arg-type]
    for metric in ("recall", "accuracy"):
        worst = worst_case(counts).outcomes(metric)
        best = worst_case(counts.swap()).swap().outcomes(metric)
        for by_challenger, by_champion in itertools.product(range(missing[0] + 1), range(missing[1] + 1)):
            cells = list(labelled)
            cells[5] += by_challenger
            cells[1] += missing[0] - by_challenger
            cells[6] += by_champion
            cells[2] += missing[1] - by_champion
            pairs = PairedCounts(tuple(cells)).outcomes(metric)  # type: ignore[arg-type]
            assert worst.wins - worst.losses <= pairs.wins - pairs.losses <= best.wins - best.losses


@pytest.mark.parametrize("metric", ["recall", "precision", "accuracy", "f1", "mcc"])
def test_with_every_label_known_the_delta_method_gives_the_standard_error_of_the_influence_function(
    metric: str,
) -> None:
    found, plain = corrected_difference(ALL, metric), difference(metric, ALL)
    assert isinstance(found, Difference)
    assert isinstance(plain, Difference)
    assert (found.champion, found.challenger, found.value) == pytest.approx(
        (plain.champion, plain.challenger, plain.value)
    )
    assert found.standard_error == pytest.approx(plain.standard_error, rel=1e-6)


def test_the_delta_method_agrees_with_the_bootstrap_of_the_twelve_cells() -> None:
    """Width of a 90 % normal interval, within 5 %: about 4 standard errors of two quantiles of 4000 resamples."""
    for metric in ("recall", "precision", "mcc"):
        found = corrected_difference(FOLLOWS_CHAMPION, metric)  # type: ignore[arg-type]
        drawn = boot(FOLLOWS_CHAMPION, metric, n_resamples=4000, level=0.9).interval  # type: ignore[arg-type]
        assert isinstance(found, Difference)
        assert drawn.high - drawn.low == pytest.approx(2 * 1.6449 * found.standard_error, rel=0.05)
        assert (drawn.high + drawn.low) / 2 == pytest.approx(found.value, abs=0.2 * found.standard_error)


def test_decisions_that_nobody_took_need_no_label() -> None:
    """The challenger never flags what the champion does not."""
    counts = PairedCounts((6000, 0, 400, 300, 300, 0, 200, 700), (500, 0, 40, 80))
    found = corrected_difference(counts, "recall")
    assert isinstance(found, Difference)
    assert found.champion == pytest.approx((200 * 640 / 600 + 700 * 1.08) / (300 * 6800 / 6300 + 200 * 640 / 600 + 756))
    assert boot(counts).interval.low < found.value < boot(counts).interval.high


def test_what_cannot_be_corrected_has_a_reason() -> None:
    reasons = {
        PairedCounts(): "no labelled row",
        partly(ALL, {(0, 1): 0.0}): "rows with one pair of decisions have no label at all",
        PairedCounts((5, 1, 1, 9, 0, 0, 0, 0)): "the metric does not exist for these counts",
    }
    for counts, reason in reasons.items():
        assert_undefined(counts, "recall", reason)
    one_unlabelled = PairedCounts((*ALL.labelled[:1], 0, *ALL.labelled[2:5], 0, *ALL.labelled[6:]), (0, 1, 0, 0))
    assert_undefined(one_unlabelled, "recall", "rows with one pair of decisions have no label at all")
    no_flag = PairedCounts((50, 0, 4, 0, 9, 0, 5, 0))
    for counts in (no_flag, no_flag.swap()):
        assert_undefined(counts, "precision", "the metric does not exist for these counts")


def assert_undefined(counts: PairedCounts, metric: str, reason: str) -> None:
    assert corrected_difference(counts, metric) == Undefined(reason)
    rng = np.random.default_rng(1)
    assert begg_greenes(counts, [metric], rng=rng, confidence_level=0.9) == {metric: Undefined(reason)}


def test_a_metric_that_does_not_exist_leaves_the_others_alone() -> None:
    found = begg_greenes(
        PairedCounts((50, 0, 4, 0, 9, 0, 5, 0), (9, 0, 3, 0)), ["precision", "recall"],
        rng=np.random.default_rng(1), confidence_level=0.9,
    )  # fmt: skip
    assert isinstance(found["precision"], Undefined)
    assert isinstance(found["recall"], Bootstrap)


def test_one_labelled_row_stands_for_all_with_its_decisions() -> None:
    counts = PairedCounts((600, 0, 40, 30, 30, 1, 20, 70), (0, 9, 0, 0))
    found = corrected_difference(counts, "recall")
    assert isinstance(found, Difference)
    assert found.challenger == pytest.approx((70 + 10) / (30 + 10 + 20 + 70))


def test_in_the_worst_case_each_unlabelled_row_on_which_the_two_disagree_has_the_label_the_champion_gives_it() -> None:
    counts = PairedCounts((600, 5, 40, 30, 30, 1, 20, 70), (11, 9, 7, 3))
    assert worst_case(counts) == PairedCounts((600, 14, 40, 30, 30, 1, 27, 70), (11, 0, 0, 3))
