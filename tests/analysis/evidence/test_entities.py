"""Rows that share an entity: one outcome an entity, in the first batch in which it appears."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from analysis_examples import FIRST_DAY, contender
from scipy import stats

from analysis.any_look.process import OutcomeProcess
from analysis.evidence import BatchTally, Evidence, gather
from analysis.evidence.entities import entity_evidence
from analysis.one_look.clusters import ClusteredTest, clustered_difference
from analysis.policy import Policy
from analysis.tables.counts import PairedOutcomes, Undefined
from analysis.tables.record import plain
from analysis.verdict.judge import judge
from analysis.verdict.process_choice import process

Row = tuple[str, int | None, int | None, int | None, int]  # entity, label, champion, challenger, n


def frame(rows: list[Row]) -> pl.DataFrame:
    schema = {"entity": pl.String, "label": pl.Int8, "v1": pl.Int8, "v2": pl.Int8, "n": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(excluded=pl.lit(None, dtype=pl.String))


def gathered(frames: list[pl.DataFrame]) -> Evidence:
    both = {v: contender(v) for v in ("1", "2")}
    days = [FIRST_DAY + timedelta(weeks=i) for i in range(len(frames))]
    tallies = [BatchTally(str(d), d, f, both) for d, f in zip(days, frames, strict=True)]
    return gather(both["1"], both["2"], tallies)


def test_an_entity_is_won_if_the_challenger_is_right_on_more_of_its_rows() -> None:
    found = entity_evidence(
        [frame([("a", 1, 0, 1, 2), ("a", 1, 1, 0, 1), ("b", 1, 0, 1, 1), ("b", 1, 1, 0, 1), ("c", 0, 0, 1, 3), ("d", 1, 1, 1, 5)])],
        "1", "2",
    )  # fmt: skip
    assert found.batches["recall"] == (PairedOutcomes(1, 0, 2),)
    assert found.batches["specificity"] == (PairedOutcomes(0, 1, 0),)
    assert found.batches["accuracy"] == (PairedOutcomes(1, 1, 2),)


def test_an_entity_that_returns_counts_once() -> None:
    weeks = [
        frame([("a", 1, 0, 1, 1), ("b", 1, 1, 1, 1)]),
        frame([("a", 1, 0, 1, 1), ("b", 1, 0, 1, 1), ("c", 1, 1, 0, 1)]),
    ]
    found = entity_evidence(weeks, "1", "2")
    assert found.batches["recall"] == (PairedOutcomes(1, 0, 1), PairedOutcomes(0, 1, 0))
    assert found.repeated_share == pytest.approx(2 / 4)


def test_all_rows_of_an_entity_count_for_the_estimate_and_a_record_has_none() -> None:
    """a: 2 of 3 rows won on balance, over both weeks; b: 1 of 4 lost; c: 0 of 2. No row has label 0."""
    weeks = [
        frame([("a", 1, 0, 1, 1), ("b", 1, 1, 0, 1), ("b", 1, 1, 1, 3)]),
        frame([("a", 1, 0, 1, 1), ("a", 1, 1, 1, 1), ("c", 1, 0, 0, 2)]),
    ]
    found = entity_evidence(weeks, "1", "2")
    expected = clustered_difference([2, -1, 0], [3, 4, 2])
    assert not isinstance(expected, Undefined)
    assert expected.value == 1 / 9
    assert found.differences == {
        "recall": expected, "specificity": Undefined("fewer than two entities"), "accuracy": expected,
    }  # fmt: skip
    assert found.pick([0]).differences == found.differences
    assert set(plain(found)) == {"batches", "repeated_share", "clustered"}


def test_entities_without_a_disagreement_leave_nothing_unused() -> None:
    found = entity_evidence([frame([("a", 1, 1, 1, 4)]), frame([("a", 1, 1, 1, 4)])], "1", "2")
    assert (found.repeated_share, found.leaves_much_unused) == (0.0, False)


def test_more_than_a_fifth_of_the_disagreements_is_much() -> None:
    for new, much in ((8, False), (7, True)):
        first = frame([("a", 1, 0, 1, 2), *[(f"n{i}", 1, 0, 1, 1) for i in range(new - 2)]])
        found = entity_evidence([first, frame([("a", 0, 1, 0, 2)])], "1", "2")
        assert found.repeated_share == pytest.approx(2 / (new + 2))
        assert found.leaves_much_unused is much


def test_rows_that_do_not_count_and_versions_that_did_not_score_leave_no_entity() -> None:
    rows: list[Row] = [("a", None, 0, 1, 1), ("b", 1, None, 1, 1), ("c", 1, 0, None, 1)]
    excluded = frame([("d", 1, 0, 1, 1)]).with_columns(excluded=pl.lit("duplicate id"))
    found = entity_evidence([pl.concat([frame(rows), excluded])], "1", "2")
    assert found.batches["accuracy"] == (PairedOutcomes(0, 0, 0),)
    assert entity_evidence([frame(rows)], "1", "3").batches["accuracy"] == (PairedOutcomes(0, 0, 0),)
    assert entity_evidence([], "1", "2").batches["accuracy"] == ()


def test_batches_from_before_rows_named_an_entity_count_for_none() -> None:
    before = frame([("a", 1, 0, 1, 5)]).drop("entity")
    found = gathered([before, frame([("a", 1, 0, 1, 2), ("b", 1, 1, 0, 1)])])
    assert found.entities is not None
    assert found.entities.batches["recall"] == (PairedOutcomes(0, 0, 0), PairedOutcomes(1, 1, 0))
    assert gathered([before]).entities is None


def test_the_policy_judges_entities_where_rows_share_them() -> None:
    weeks = [frame([(f"{w}-{i}", 1, *((0, 1) if i % 3 else (1, 0)), 1) for i in range(30)]) for w in range(3)]
    found = process(gathered(weeks), "recall", Policy())
    assert isinstance(found, OutcomeProcess)
    assert found.method == "entities"
    assert found.pairs == PairedOutcomes(60, 30, 0)
    precision = process(gathered(weeks), "precision", Policy())
    assert precision is not None
    assert getattr(precision, "method", None) == "batches"


def test_errors_that_stick_to_an_entity_do_not_add_up_to_evidence() -> None:
    """The rows alone would promote an equal challenger in more than a tenth of all half-years; entities keep alpha."""
    rng = np.random.default_rng(6)
    runs, by_rows, by_entities = 60, 0, 0
    for _ in range(runs):
        leaning = {f"e{i}": int(rng.random() < 0.5) for i in range(60)}
        weeks = []
        for _ in range(12):
            drawn = rng.choice(list(leaning), size=40, replace=False)
            weeks.append(frame([(e, 1, 1 - leaning[e], leaning[e], 2) for e in drawn]))
        e = gathered(weeks)
        by_entities += _proven(e)
        by_rows += _proven(Evidence(e.champion, e.challenger, e.batches))
    assert by_rows > stats.binom.ppf(0.999, runs, 0.05)
    assert by_entities <= stats.binom.ppf(0.999, runs, 0.05)


def _proven(e: Evidence) -> bool:
    for batch in e.batches:
        found = process(e.until(batch.date), "recall", Policy())
        assert isinstance(found, OutcomeProcess)
        if found.log_e(0.0) >= math.log(20):
            return True
    return False


def test_a_judgement_of_entities_shows_the_test_over_all_their_rows() -> None:
    weeks = [
        frame([(f"{w}-{i}", 1, 0, 1, 1) for i in range(9)] + [(f"{w}-n{i}", 0, 0, 0, 50) for i in range(9)])
        for w in range(12)
    ]
    (a,) = judge([gathered(weeks)], Policy(guardrails={}), seed=0).assessments
    assert a.verdict.value == "PROMOTE"
    assert [c.name for c in a.checks] == ["batches", "disagreement", "evidence", "mcnemar", "entities"]
    assert a.evidence.entities is not None
    assert isinstance(a.evidence.entities.clustered["recall"], ClusteredTest)
