"""Labels as real feeds bring them, through the real flows: equal models are never promoted because of how labels dropped out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import mlflow
import numpy as np
import polars as pl
import pytest
from feeds import BETTER, EQUAL, FIRST, LATER, WEEKS, Feed, Spoil
from parcels import Echo, decisions_frame, put_batch, put_frame, register_version

from flows.enthrone import enthrone
from flows.judge import judge
from flows.score import score
from tasks.base.project import Project
from tasks.decisions import all_records
from tasks.reigns import reigns
from tasks.store import Store

pytestmark = pytest.mark.usefixtures("prefect_server")

ALERTS = (pl.col("x1") > 0) & (pl.int_range(pl.len()) % 10 < 7)
"""Seven in ten of the champion's own alerts are reviewed by hand."""


def as_nan(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(label=pl.when(ALERTS).then(float("nan")).otherwise(pl.col("label").cast(pl.Float64)))


def as_code(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(label=pl.when(ALERTS).then(2).otherwise("label"))


def as_null(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(label=pl.when(~ALERTS).then("label"))


def as_conflict(frame: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([frame, frame.filter(ALERTS).with_columns(label=1 - pl.col("label"))])


def as_absence(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(~ALERTS)


def too_late(frame: pl.DataFrame) -> pl.DataFrame:
    after = pl.col("observed_at").dt.offset_by("10d")
    return frame.with_columns(observed_at=pl.when(ALERTS).then(after).otherwise("observed_at"))


def as_word(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(label=pl.when(ALERTS).then(pl.lit("open")).otherwise(pl.col("label").cast(pl.String)))


FEEDS = [as_nan, as_code, as_null, as_conflict, as_absence, too_late, as_word]


@pytest.mark.parametrize("labels", FEEDS, ids=lambda f: f.__name__)
def test_equal_models_are_invalid_where_only_the_champions_alerts_have_no_label_that_can_be_used(
    feed: Feed, labels: Spoil
) -> None:
    feed.play(EQUAL, labels)
    verdict, reason = feed.verdict()
    assert verdict == "INVALID"
    assert reason.startswith(
        "labels depend on the decisions: rows flagged by one model alone lack a label at different rates"
    )
    assert len(reigns(feed.store, feed.project.name)) == 1


@pytest.mark.parametrize("labels", [as_code, as_conflict], ids=lambda f: f.__name__)
@pytest.mark.parametrize("unlabelled", ["worst_case", "begg_greenes"])
def test_nor_are_they_promoted_where_the_policy_bounds_or_corrects(feed: Feed, labels: Spoil, unlabelled: str) -> None:
    feed.play(EQUAL, labels, policy={"unlabelled": unlabelled})
    assert feed.verdict()[0] == "WAIT"


def positives_late(frame: pl.DataFrame) -> pl.DataFrame:
    """Half of the positives come three weeks later, whatever the models said."""
    later = (pl.col("label") == 1) & (pl.int_range(pl.len()) % 2 == 0)
    return frame.with_columns(
        observed_at=pl.when(later).then(pl.col("observed_at").dt.offset_by("18d")).otherwise("observed_at")
    )


def test_positives_that_come_later_than_negatives_keep_no_winner_from_its_promotion(feed: Feed) -> None:
    feed.play(BETTER, positives_late)
    verdict, reason = feed.verdict()
    assert (verdict, "closed batches" in reason) == ("PROMOTE", True)
    (decision,) = all_records(feed.store, feed.project.name)
    report = feed.store.read(f"parcels/reports/{decision['id']}/report.md").decode()
    assert (
        "have no label. The verdict takes it that within each class they went missing whatever the models said"
        in report
    )


def positives_only(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("label") == 1)


def test_a_feed_of_positives_alone_is_judged_once_absence_is_declared_a_negative(feed: Feed) -> None:
    feed.play(BETTER, positives_only, absent="negative")
    assert feed.verdict()[0] == "PROMOTE"


def test_and_refused_where_it_is_not(feed: Feed) -> None:
    feed.play(BETTER, positives_only)
    assert feed.verdict()[0] == "INVALID"
    (decision,) = all_records(feed.store, feed.project.name)
    assert "are of one class" in decision["judgement"]["assessments"][0]["reasons"][-1]


def in_words(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(label=pl.when(pl.col("label") == 1).then(pl.lit("fraud")).otherwise(pl.lit("legit")))


def test_words_are_labels_once_they_are_named(feed: Feed) -> None:
    feed.play(BETTER, in_words, labels={"positive": ["fraud"], "negative": ["legit"]})
    assert feed.verdict()[0] == "PROMOTE"


def of_other_rows(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(id=pl.format("claim {}", "id"))


def test_labels_that_match_no_id_are_said_with_an_example_of_each(feed: Feed) -> None:
    feed.play(BETTER, of_other_rows)
    verdict, reason = feed.verdict()
    assert verdict == "INVALID"
    assert reason.startswith(
        "no label has an id of this batch, such as '2024-01-07-0'; the labels have ids such as 'claim 2024-0"
    )


def last_months(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(observed_at=pl.col("observed_at").dt.offset_by("-30d"))


def test_labels_from_before_their_batch_are_never_taken(feed: Feed) -> None:
    feed.play(BETTER, last_months)
    verdict, _ = feed.verdict()
    (decision,) = all_records(feed.store, feed.project.name)
    (assessment,) = decision["judgement"]["assessments"]
    rows = sum(BETTER.values()) * WEEKS
    assert (verdict, assessment["evidence"]["excluded"]) == ("INVALID", {"label observed before its batch": rows})


@pytest.mark.parametrize(("task", "word"), [("multiclass", ""), ("regression", None)])
def test_the_same_holds_for_classes_and_for_numbers(
    feed: Feed, project: Project, store: Store, task: str, word: str | None
) -> None:
    """Two models that are equally good; where the champion says much, or the first class, the label is no label."""
    example: Any = "a" if task == "multiclass" else 0.5
    for column in ("x1", "x2"):
        register_version(project, column, model=Echo(), threshold=None, example=example)
    rng, names = np.random.default_rng(2), np.array(["a", "b", "c"])
    for week in range(16):
        day = FIRST + timedelta(weeks=week)
        if task == "multiclass":
            y = rng.integers(0, 3, 400)
            x1, x2 = (names[np.where(rng.random(400) < 0.7, y, rng.integers(0, 3, 400))] for _ in range(2))
            label, gone = names[y].tolist(), (x1 == "a") & (rng.random(400) < 0.7)
        else:
            z = rng.normal(10, 2, 400)
            x1, x2 = z + rng.normal(0, 1, 400), z + rng.normal(0, 1, 400)
            label, gone = z.tolist(), x1 > 11
        ids = [f"{day}-{i}" for i in range(400)]
        put_batch(store, project, str(day), pl.DataFrame({"id": ids, "x1": x1, "x2": x2}))
        label = [word if g else v for v, g in zip(label, gone, strict=True)]
        put_frame(
            store,
            f"parcels/labels/{day}.parquet",
            pl.DataFrame({"id": ids, "label": label, "observed_at": [day] * 400}),
        )
    feed.settings(task=task)
    enthrone("parcels", "1", author="test", as_of=FIRST)
    score("parcels", as_of=LATER)
    verdict, reason = feed.verdict()
    assert verdict == "INVALID"
    assert reason.startswith("labels depend on the decisions: rows on which the two ")


class Flags(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A model that gives classes where scores are asked for, as the native flavours of boosters do through pyfunc."""

    def __init__(self, constant: float | None = None) -> None:
        self._constant = constant

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG002  (MLflow reads hints)
        flags = (model_input.iloc[:, 0] > 0).astype(float)
        return flags if self._constant is None else flags * 0 + self._constant


def test_a_threshold_without_effect_and_constant_scores_are_said_by_score_and_in_the_report(
    feed: Feed, project: Project, store: Store
) -> None:
    for model in (None, Flags(), Flags(0.7)):
        register_version(project, "x1", model=model, threshold="0.3")
    frame = decisions_frame(EQUAL)
    put_batch(store, project, str(FIRST), frame.drop("label"))
    put_frame(store, "parcels/labels/all.parquet", frame.select("id", "label").with_columns(observed_at=pl.lit(FIRST)))
    feed.settings()
    enthrone("parcels", "1", author="test", as_of=FIRST)
    effect = "Version 2 gave only 0 and 1, so its threshold of 0.3 has no effect: log it so that it gives probabilities"
    constant = "Version 3 gave every row the same number, 0.7"
    assert (
        score("parcels", as_of=LATER)
        == f"Scored: 2024-01-07. {effect} (batch 2024-01-07). {constant} (batch 2024-01-07)."
    )
    judge("parcels", as_of=LATER)
    (decision,) = all_records(store, project.name)
    report = store.read(f"parcels/reports/{decision['id']}/report.md").decode().replace("\\", "")
    assert f"- **{effect} (batch 2024-01-07).**\n- **{constant} (batch 2024-01-07).**" in report
