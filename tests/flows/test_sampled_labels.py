"""Rows that are chosen to be labelled with known probabilities, through the real flows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from feeds import BETTER, EQUAL, FIRST, LATER, Feed

from flows.judge import judge
from flows.verify import verify
from tasks.base.project import ProjectFileError, load_project
from tasks.decisions import all_records
from tasks.labels.label_files import LabelError
from tasks.reigns import reigns

pytestmark = pytest.mark.usefixtures("prefect_server")

SAMPLED: dict[str, Any] = {
    "columns": {"label_probability": "chance"},
    "policy": {"sampling": {"least": 0.1, "disagreements": 0.5}, "guardrails": {"accuracy": 0.02}},
}
CHAMPIONS, CHALLENGERS = pl.col("x1") > 0, pl.col("x2") > 0


def audited(frame: pl.DataFrame) -> pl.DataFrame:
    """All of the champion's alerts are looked into, of the challenger's own a half, and a tenth of the rest."""
    whole = pl.when(CHAMPIONS).then(1.0).when(CHALLENGERS).then(0.5).otherwise(0.1)
    rank = pl.int_range(pl.len()).over("label", "x1", "x2")
    every = (1 / whole).round().cast(pl.Int64)
    return frame.with_columns(chance=whole).filter(rank % every == 0)


def test_a_better_challenger_wins_though_half_of_its_own_finds_have_no_label(feed: Feed) -> None:
    feed.play(BETTER, audited, **SAMPLED)
    verdict, _ = feed.verdict()
    assert verdict == "PROMOTE"
    assert [r.version for r in reigns(feed.store, feed.project.name)] == ["1", "2"]
    (decision,) = all_records(feed.store, feed.project.name)
    report = feed.store.read(f"parcels/reports/{decision['id']}/report.md").decode()
    assert "weighs each by 1 / the probability" in report
    assert "at most 10, or 2 where models disagree" in report
    assert verify("parcels").endswith("every decision is the same to the last bit.")


def test_on_the_raw_labels_alone_it_would_not(feed: Feed) -> None:
    feed.play(BETTER, audited)
    assert feed.verdict()[0] == "INVALID"


def test_equal_models_are_not_told_apart_by_who_is_reviewed(feed: Feed) -> None:
    feed.play(EQUAL, audited, **SAMPLED)
    verdict, _ = feed.verdict()
    (decision,) = all_records(feed.store, feed.project.name)
    (assessment,) = decision["judgement"]["assessments"]
    assert (verdict, assessment["measured"]["method"]) == ("WAIT", "sampled")
    assert abs(assessment["measured"]["metrics"]["recall"]["value"]) < 1e-9


def test_a_probability_that_is_not_that_of_the_review_is_invalid(feed: Feed) -> None:
    feed.play(BETTER, lambda f: audited(f).with_columns(chance=pl.lit(1.0)), **SAMPLED)
    verdict, reason = feed.verdict()
    assert verdict == "INVALID"
    assert reason.startswith("labels come more or less often than their probabilities say")


Spoil = Callable[[pl.DataFrame], pl.DataFrame]
WRONG: dict[str, tuple[Spoil, str]] = {
    "none": (lambda f: audited(f).with_columns(chance=pl.lit(None, dtype=pl.Float64)), "has no number in 'chance'"),
    "above one": (lambda f: audited(f).with_columns(chance=pl.lit(1.5)), "has 1.5 in 'chance'"),
    "below the least": (lambda f: audited(f).with_columns(chance=pl.lit(0.05)), "has 0.05 in 'chance'"),
    "text": (lambda f: audited(f).with_columns(chance=pl.lit("high")), "the column 'chance' is String"),
    "no column": (lambda f: audited(f).drop("chance"), "the labels have no column 'chance'"),
    "rare": (
        lambda f: audited(f).with_columns(chance=pl.lit(0.2)),
        "the models disagree on '2024-01-07-0', which was labelled with probability 0.2",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_probability_that_cannot_be_is_refused_in_one_sentence_and_nothing_closes(feed: Feed, case: str) -> None:
    spoil, said = WRONG[case]
    feed.play(BETTER, spoil, **SAMPLED)
    with pytest.raises(LabelError, match=said.replace("(", r"\(")):
        judge("parcels", as_of=LATER)
    assert not [k for k in feed.store.keys("parcels/tallies") if k.endswith(".parquet")]


def test_batches_that_closed_before_the_setting_count_for_nothing_and_are_named(feed: Feed) -> None:
    feed.play(BETTER, audited)
    judge("parcels", as_of=FIRST + timedelta(days=30))
    feed.settings(**SAMPLED)
    judge("parcels", as_of=LATER)
    last = all_records(feed.store, feed.project.name)[-1]["judgement"]["assessments"][0]["evidence"]
    assert "closed without label probabilities" in last["excluded"]
    assert last["batches"]["count"] > 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"policy": {}}, r"give both or neither \(policy.sampling is missing\)"),
        ({"columns": {}}, r"give both or neither \(columns.label_probability is missing\)"),
        ({"absent": "negative"}, "columns.label_probability cannot be combined with absent: negative"),
        (
            {"policy": {"sampling": {"least": 0.1}, "primary": "f1"}},
            "recall, specificity, accuracy and cost; remove f1",
        ),
        (
            {"policy": {"sampling": {"least": 0.1}, "unlabelled": "worst_case"}},
            "does not go with unlabelled: worst_case",
        ),
        (
            {"policy": {"sampling": {"least": 0.5, "disagreements": 0.1}}},
            r"disagreements is 0.1, which is below least \(0.5\); raise it, or remove it",
        ),
        ({"policy": {"sampling": {"lowest": 0.5}}}, "unknown key 'policy.sampling.lowest'"),
        ({"policy": {"sampling": {"least": 0}}}, "policy.sampling.least"),
        ({"task": "multiclass", "policy": {"sampling": {"least": 0.1}}}, "sampling needs decisions of 0 and 1"),
    ],
)
def test_settings_that_cannot_stand_together(feed: Feed, changes: dict[str, Any], said: str) -> None:
    feed.settings(**{**SAMPLED, **changes})
    with pytest.raises(ProjectFileError, match=said):
        load_project("parcels")
