"""Feeds that are wrong without looking wrong: nobody is promoted or retired by them, and what is wrong is said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from feeds import BETTER, EQUAL, FIRST, LATER, Feed
from parcels import Echo, decisions_frame, put_batch, put_frame, register_version
from spoilt import RAISES, dictated

from flows.enthrone import enthrone
from flows.judge import judge
from flows.score import score
from tasks.base.project import load_project
from tasks.decisions import all_records, decide, save_decision
from tasks.labels.batch_labels import settled_date
from tasks.labels.label_files import LabelError
from tasks.labels.tallying import close_batches
from tasks.reigns import head, reigns

pytestmark = pytest.mark.usefixtures("prefect_server")

Spoil = Callable[[pl.DataFrame], pl.DataFrame]
LABEL, CHAMPION, CHALLENGER, ROW = pl.col("label"), pl.col("x1") > 0, pl.col("x2") > 0, pl.int_range(pl.len())
FLAGS_LESS = {(1, 1, 1): 20, (1, 1, 0): 30, (1, 0, 0): 20, (0, 1, 1): 10, (0, 1, 0): 30, (0, 0, 0): 300}
"""As often right as the champion: what it misses and what it clears are as many. Positives that are lost make it look better."""
ACCURACY: dict[str, Any] = {"policy": {"primary": "accuracy", "guardrails": {}}, "absent": "negative"}


def corrected(who: pl.Expr) -> Spoil:
    """Every row is called negative at first; the positives that ``who`` found come two weeks later."""

    def feed(frame: pl.DataFrame) -> pl.DataFrame:
        late = (LABEL == 1) & who
        return pl.concat(
            [
                frame.with_columns(label=pl.when(late).then(0).otherwise(LABEL).cast(pl.Int64)),
                frame.filter(late).with_columns(observed_at=pl.col("observed_at").dt.offset_by("14d")),
            ]
        )

    return feed


def said(feed: Feed) -> tuple[str, str]:
    """Verdict and all reasons of the newest decision."""
    judge("parcels", as_of=LATER)
    (assessment,) = all_records(feed.store, feed.project.name)[-1]["judgement"]["assessments"]
    return assessment["verdict"], "; ".join(assessment["reasons"])


@pytest.mark.parametrize("who", [CHAMPION & ~CHALLENGER, CHALLENGER & ~CHAMPION], ids=["champion", "challenger"])
@pytest.mark.parametrize("unlabelled", ["refuse", "worst_case", "begg_greenes"])
def test_labels_that_are_corrected_after_closing(feed: Feed, who: pl.Expr, unlabelled: str) -> None:
    feed.play(EQUAL, corrected(who), policy={"unlabelled": unlabelled})
    verdict, reasons = said(feed)
    assert verdict == "INVALID"
    assert "get their label, or its correction, late at different rates" in reasons
    assert len(reigns(feed.store, feed.project.name)) == 1


def test_corrections_of_both_models_alike_keep_no_winner_waiting(feed: Feed) -> None:
    late = (CHAMPION != CHALLENGER) & (ROW % 5 == 0)
    feed.play(BETTER, corrected(late))
    assert said(feed)[0] == "PROMOTE"


@pytest.mark.slow
@pytest.mark.parametrize("dated", ["when it came", "when it happened"])
@pytest.mark.parametrize("absent", ["negative", "missing"])
def test_positives_that_come_after_closing_whatever_they_say_of_their_time(feed: Feed, dated: str, absent: str) -> None:
    """Looked at every week: those that the champion alone flagged are delivered after their batch has closed."""
    late = (LABEL == 1) & CHAMPION & ~CHALLENGER
    frames: dict[date, pl.DataFrame] = {}

    def in_time(frame: pl.DataFrame) -> pl.DataFrame:
        frames[frame["observed_at"][0]] = frame
        kept = (LABEL == 1) & ~late if absent == "negative" else ~late
        return frame.filter(kept)

    feed.play(EQUAL, in_time, weeks=12, absent=absent)
    project = load_project("parcels")
    for week in range(3, 15):
        today = FIRST + timedelta(weeks=week)
        for seen, frame in frames.items():
            came = seen + timedelta(days=10)
            if came <= today:
                whole = frame.filter(late).drop("region", "x1", "x2")
                if dated == "when it came":
                    whole = whole.with_columns(observed_at=pl.lit(came))
                put_frame(feed.store, f"parcels/labels/late-{seen}.parquet", whole)
        closed = close_batches(feed.store, project, today)
        taken = decide(feed.store, project, head(feed.store, project.name), closed, today)
        if taken is not None:  # else no batch has closed yet
            assert taken.promote is None, today
            save_decision(feed.store, project.name, taken)
    assert said(feed)[0] == "INVALID"
    assert len(reigns(feed.store, project.name)) == 1


def strange_ids(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(LABEL == 1).with_columns(id=pl.when(ROW % 10 < 6).then(pl.format("0{}", "id")).otherwise("id"))


def without_time(frame: pl.DataFrame) -> pl.DataFrame:
    lost = pl.when(ROW % 10 < 6).then(None).otherwise("observed_at")
    return frame.filter(LABEL == 1).with_columns(observed_at=lost)


def every_other_week(frame: pl.DataFrame) -> pl.DataFrame:
    """The feed is down in every second week."""
    week = (frame["observed_at"][0] - FIRST).days // 7
    return frame.filter((LABEL == 1) & (week % 2 == 0))


@pytest.mark.parametrize(
    ("broken", "weeks", "reason"),
    [
        (strange_ids, 8, "silence is no negative: many labels of these days have ids that no batch has, such as '0"),
        (without_time, 8, "label without the time when it was observed"),
        (every_other_week, 20, "no label has an id of this batch, such as '2024-01-07-0'"),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_silence_is_no_negative_where_the_feed_is_broken(feed: Feed, broken: Spoil, weeks: int, reason: str) -> None:
    feed.play(FLAGS_LESS, broken, weeks=weeks, **ACCURACY)
    verdict, _ = said(feed)
    decision = all_records(feed.store, feed.project.name)[-1]
    assert verdict in ("WAIT", "INVALID")
    excluded = decision["judgement"]["assessments"][0]["evidence"]["excluded"]
    assert any(r.startswith(reason) for r in excluded)
    report = feed.store.read(f"parcels/reports/{decision['id']}/report.md").decode()
    assert "rows of which no label came are negatives" in report
    assert len(reigns(feed.store, feed.project.name)) == 1


def test_positives_that_are_only_looked_for_among_the_champions_alerts(feed: Feed) -> None:
    feed.play(BETTER, lambda f: f.filter((LABEL == 1) & CHAMPION), absent="negative")
    verdict, reasons = said(feed)
    assert verdict == "INVALID"
    assert "version 1 flagged every one of the 224 positives" in reasons


def test_ids_that_stand_twice_in_their_batch_are_missing_labels(feed: Feed) -> None:
    """A join that fans out: of the positives that the champion alone flagged, seven in ten stand twice."""
    twice = (LABEL == 1) & CHAMPION & ~CHALLENGER & (ROW % 10 < 7)
    feed.play(EQUAL, lambda f: f, rows=lambda f: pl.concat([f, f.filter(twice)]))
    verdict, reasons = said(feed)
    assert verdict == "INVALID"
    assert "lack a label at different rates" in reasons


def test_a_period_that_is_the_day_of_two_batches_names_neither(feed: Feed) -> None:
    for column in ("x1", "x2"):
        register_version(feed.project, column)
    feed.settings(columns={"period": "day"})
    enthrone("parcels", "1", author="test", as_of=FIRST)
    from parcels import decisions_frame

    frame = decisions_frame(BETTER)
    for half in ("am", "pm"):
        put_batch(feed.store, feed.project, f"{FIRST}-{half}", frame.drop("label"))
        score("parcels", batch=f"{FIRST}-{half}", batch_dated=FIRST, as_of=LATER)
    labels = frame.select("id", "label").with_columns(observed_at=pl.lit(FIRST), day=pl.lit(FIRST))
    put_frame(feed.store, "parcels/labels/all.parquet", labels)
    with pytest.raises(
        LabelError, match="write the id of the batch into the labels' column 'day', as both batches have the same date"
    ):
        judge("parcels", as_of=LATER)
    both = [labels.with_columns(day=pl.lit(f"{FIRST}-{half}")) for half in ("am", "pm")]
    put_frame(feed.store, "parcels/labels/all.parquet", pl.concat(both))
    judge("parcels", as_of=LATER)
    (decision,) = all_records(feed.store, feed.project.name)
    assert [b["batch"] for b in decision["basis"]["batches"]] == [f"{FIRST}-am", f"{FIRST}-pm"]


def test_nobody_takes_over_who_could_not_score_the_newest_batch(feed: Feed) -> None:
    register_version(feed.project, "x1")
    register_version(feed.project, "x2", model=dictated("x2"))
    from parcels import decisions_frame

    for week in range(8):
        day = FIRST + timedelta(weeks=week)
        frame = decisions_frame(BETTER, prefix=f"{day}-")
        rows = frame.with_columns(x2=pl.when(ROW == 0).then(RAISES).otherwise("x2")) if week == 7 else frame
        put_batch(feed.store, feed.project, str(day), rows.drop("label"))
        put_frame(
            feed.store,
            f"parcels/labels/{day}.parquet",
            frame.select("id", "label").with_columns(observed_at=pl.lit(day)),
        )
    feed.settings()
    enthrone("parcels", "1", author="test", as_of=FIRST)
    score("parcels", as_of=LATER)
    verdict, reasons = said(feed)
    assert verdict == "WAIT"
    assert "it failed in 2024-02-25 of the newest batches" in reasons


@pytest.mark.parametrize("model", [CHAMPION, CHALLENGER], ids=["champion", "challenger"])
def test_labels_that_a_model_has_made(feed: Feed, model: pl.Expr) -> None:
    feed.play(EQUAL, lambda f: f.with_columns(label=model.cast(pl.Int64)))
    verdict, reasons = said(feed)
    assert verdict == "INVALID"
    assert "labels that a model has made cannot judge models" in reasons


LOADED = {"at load time": datetime(2024, 5, 30), "for ever": datetime(9999, 12, 31), "never": None}  # noqa: DTZ001


@pytest.mark.parametrize("when", LOADED)
def test_labels_none_of_which_came_in_time_are_told_with_the_reason(feed: Feed, when: str) -> None:
    observed = pl.lit(LOADED[when], dtype=pl.Datetime("us"))
    feed.play(BETTER, lambda f: f.with_columns(observed_at=observed))
    verdict, reasons = said(feed)
    assert verdict == "INVALID"
    reason = (
        "label without the time when it was observed"
        if when == "never"
        else "label observed after its batch had closed, such as "
    )
    assert reasons.startswith(
        f"no row of 8 batches that are due has a label that can be used; of 2400 others: {reason}"
    )


def test_and_are_judged_once_the_cause_is_mended(feed: Feed) -> None:
    """Nothing was closed for good by a wrong setting."""
    feed.play(BETTER, lambda f: f.with_columns(outcome="label").drop("label").with_columns(label=pl.lit(7)))
    assert said(feed)[0] == "INVALID"
    feed.settings(columns={"label": "outcome"})
    judge("parcels", as_of=LATER)
    assert [r.version for r in reigns(feed.store, feed.project.name)] == ["1", "2"]


def test_a_period_that_names_no_batch_is_told_with_an_example(feed: Feed) -> None:
    feed.play(BETTER, lambda f: f.with_columns(week=pl.lit("KW01")), columns={"period": "week"})
    verdict, reasons = said(feed)
    assert verdict == "INVALID"
    assert "in the period '2024-01-07'; labels of such ids have 'week' 'KW01'" in reasons


def test_classes_that_no_model_names(feed: Feed) -> None:
    rng, names = np.random.default_rng(2), np.array(["a", "b", "c"])
    for column in ("x1", "x2"):
        register_version(feed.project, column, model=Echo(), threshold=None, example="a")
    for week in range(6):
        day = FIRST + timedelta(weeks=week)
        y = rng.integers(0, 3, 200)
        x1, x2 = (names[np.where(rng.random(200) < p, y, rng.integers(0, 3, 200))] for p in (0.6, 0.8))
        ids = [f"{day}-{i}" for i in range(200)]
        put_batch(feed.store, feed.project, str(day), pl.DataFrame({"id": ids, "x1": x1, "x2": x2}))
        labels = pl.DataFrame({"id": ids, "label": [n.upper() for n in names[y]], "observed_at": [day] * 200})
        put_frame(feed.store, f"parcels/labels/{day}.parquet", labels)
    feed.settings(task="multiclass")
    enthrone("parcels", "1", author="test", as_of=FIRST)
    score("parcels", as_of=LATER)
    verdict, reasons = said(feed)
    assert verdict == "INVALID"
    assert (
        "no label is a class that a model names: labels such as 'A', classes such as 'a'; write them alike" in reasons
    )


def test_a_number_that_stands_for_no_number(feed: Feed) -> None:
    rng = np.random.default_rng(2)
    for column in ("x1", "x2"):
        register_version(feed.project, column, model=Echo(), threshold=None, example=0.5)
    for week in range(12):
        day = FIRST + timedelta(weeks=week)
        z = rng.normal(10, 2, 400)
        x1, x2 = z + rng.normal(0, 1, 400), z + rng.normal(0, 1, 400)
        ids = [f"{day}-{i}" for i in range(400)]
        put_batch(feed.store, feed.project, str(day), pl.DataFrame({"id": ids, "x1": x1, "x2": x2}))
        labels = pl.DataFrame({"id": ids, "label": np.where(x1 > 11, -999.0, z), "observed_at": [day] * 400})
        put_frame(feed.store, f"parcels/labels/{day}.parquet", labels)
    feed.settings(task="regression")
    enthrone("parcels", "1", author="test", as_of=FIRST)
    score("parcels", as_of=LATER)
    with pytest.raises(LabelError, match=r"such as -999, far outside all predictions .* labels: {ignored: \[-999\]}"):
        judge("parcels", as_of=LATER)
    feed.settings(task="regression", labels={"ignored": [-999]})
    assert said(feed)[0] == "INVALID"


@pytest.mark.parametrize(
    ("spelled", "values"),
    [
        (("yes", "no"), {"positive": [True], "negative": [False]}),
        ((1, 0), {"positive": ["1"], "negative": ["0"]}),
        ((True, False), {"positive": ["true"], "negative": ["false"]}),
        ((1.0, 0.0), {"positive": ["1"], "negative": [0]}),
    ],
)
def test_values_are_known_however_yaml_and_the_file_write_them(
    feed: Feed, spelled: tuple[Any, Any], values: Any
) -> None:
    yes, no = (pl.lit(v) for v in spelled)
    feed.play(BETTER, lambda f: f.with_columns(label=pl.when(LABEL == 1).then(yes).otherwise(no)), labels=values)
    assert said(feed)[0] == "PROMOTE"


def test_a_label_that_is_withdrawn_is_none_any_more(feed: Feed) -> None:
    wrong = (LABEL == 1) & CHALLENGER & ~CHAMPION
    null = pl.lit(None, dtype=pl.Int64)

    def withdrawn(frame: pl.DataFrame) -> pl.DataFrame:
        later = frame.filter(wrong).with_columns(label=null, observed_at=pl.col("observed_at").dt.offset_by("2d"))
        return pl.concat([frame, later])

    feed.play(BETTER, withdrawn)
    assert said(feed)[0] == "INVALID"
    (decision,) = all_records(feed.store, feed.project.name)
    assert decision["judgement"]["assessments"][0]["evidence"]["excluded"] == {"label withdrawn": 8 * 32}


def test_an_empty_file_without_types_is_no_fault(feed: Feed) -> None:
    empty = pl.DataFrame({"id": [], "label": [], "observed_at": []})
    feed.play(BETTER, lambda f: empty if f["observed_at"][0] == FIRST + timedelta(weeks=4) else f)
    assert said(feed)[0] == "PROMOTE"
    (decision,) = all_records(feed.store, feed.project.name)
    assert [s["batch"] for s in decision["basis"]["silent"]] == [str(FIRST + timedelta(weeks=3))]


def test_the_day_of_the_audit_follows_the_day_of_closing() -> None:
    assert [settled_date(FIRST, days) - FIRST for days in (0, 14, 60)] == [timedelta(days=d) for d in (7, 28, 88)]


def test_a_label_that_is_withdrawn_after_closing(feed: Feed) -> None:
    """The challenger's own alerts are called positive at first; those that were none are withdrawn two weeks later."""
    own = CHALLENGER & ~CHAMPION

    def suspected(frame: pl.DataFrame) -> pl.DataFrame:
        first = frame.with_columns(label=pl.when(own).then(1).otherwise(LABEL).cast(pl.Int64))
        none = frame.filter(own & (LABEL == 0)).with_columns(
            label=pl.lit(None, dtype=pl.Int64), observed_at=pl.col("observed_at").dt.offset_by("13d")
        )
        return pl.concat([first, none])

    feed.play(EQUAL, suspected)
    verdict, reasons = said(feed)
    assert verdict == "INVALID"
    assert "late at different rates" in reasons


def test_days_without_a_positive_are_negatives_where_none_is_to_be_expected(feed: Feed) -> None:
    """Sixteen days of 40 rows, one positive every other day: the false alarms of the quiet days count."""
    for column in ("x1", "x2"):
        register_version(feed.project, column)
    for number in range(16):
        day = FIRST + timedelta(days=number)
        frame = decisions_frame({(0, 0, 1): 2, (0, 0, 0): 37, (1, 0, 1): number % 2}, prefix=f"{day}-")
        put_batch(feed.store, feed.project, str(day), frame.drop("label"))
        put_frame(
            feed.store,
            f"parcels/labels/{day}.parquet",
            frame.filter(LABEL == 1).select("id", "label").with_columns(observed_at=pl.lit(day)),
        )
    feed.settings(**{**ACCURACY, "maturity_days": 3})
    enthrone("parcels", "1", author="test", as_of=FIRST)
    score("parcels", as_of=LATER)
    said(feed)
    (assessment,) = all_records(feed.store, feed.project.name)[-1]["judgement"]["assessments"]
    counts = [assessment["measured"]["counts"]["labelled"][i] for i in (1, 5)]
    assert (counts, assessment["evidence"]["excluded"]) == ([32, 8], {})


def test_labels_that_are_gone_at_the_second_look_are_no_second_look(feed: Feed) -> None:
    feed.play(BETTER, lambda f: f)
    judge("parcels", as_of=FIRST + timedelta(days=16))
    first = f"parcels/labels/{FIRST}.parquet"
    feed.store.delete(first)
    judge("parcels", as_of=LATER)
    assert f"parcels/tallies/{FIRST}.settled.parquet" not in feed.store.keys("parcels/tallies")
    (assessment,) = all_records(feed.store, feed.project.name)[-1]["judgement"]["assessments"]
    assert assessment["measured"]["labels"]["corrected"] == 0


def test_a_guardrail_that_mixes_classes_does_not_hold_on_a_few_negatives(feed: Feed) -> None:
    """Of the negatives one in thirty has a label, whatever the models say; the challenger's precision is far lower in truth."""
    false_alarms = {
        (1, 0, 1): 20,
        (1, 1, 0): 8,
        (1, 1, 1): 20,
        (1, 0, 0): 10,
        (0, 0, 1): 15,
        (0, 1, 0): 5,
        (0, 0, 0): 300,
    }
    feed.play(false_alarms, lambda f: f.filter((LABEL == 1) | (ROW % 30 == 0)))
    verdict, reasons = said(feed)
    assert verdict != "PROMOTE"
    assert "if it is one class that lacks more of them, accuracy is wrong" in reasons


def test_small_batches_without_a_chosen_row_are_part_of_the_sample(feed: Feed) -> None:
    """Sixteen days of 20 rows, of which one in twenty is chosen: what is not labelled counts as such."""
    rng = np.random.default_rng(5)
    for column in ("x1", "x2"):
        register_version(feed.project, column)
    for number in range(16):
        day = FIRST + timedelta(days=number)
        frame = decisions_frame({(1, 0, 1): 4, (1, 1, 0): 1, (1, 1, 1): 3, (0, 0, 0): 12}, prefix=f"{day}-")
        put_batch(feed.store, feed.project, str(day), frame.drop("label"))
        chosen = frame.filter(pl.Series(rng.random(20) < 0.05)).select("id", "label")
        labels = chosen.with_columns(observed_at=pl.lit(day), chance=pl.lit(0.05))
        put_frame(feed.store, f"parcels/labels/{day}.parquet", labels)
    policy = {"sampling": {"least": 0.05}, "guardrails": {}}
    feed.settings(columns={"label_probability": "chance"}, policy=policy, maturity_days=3)
    enthrone("parcels", "1", author="test", as_of=FIRST)
    score("parcels", as_of=LATER)
    said(feed)
    decision = all_records(feed.store, feed.project.name)[-1]
    (assessment,) = decision["judgement"]["assessments"]
    assert (assessment["evidence"]["batches"]["count"], decision["basis"]["silent"]) == (16, [])
    assert assessment["verdict"] == "WAIT"
