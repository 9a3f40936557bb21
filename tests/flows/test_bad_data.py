"""Rows, models, labels and kept files that are wrong: one clear sentence each that says what to do, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import polars as pl
import pytest
from parcels import decisions_frame
from spoilt import (
    ABOVE_ONE,
    BETTER,
    FIRST,
    HANGS,
    INFINITE,
    LATER,
    NAN,
    NEXT,
    RAISES,
    TOO_FEW,
    WORDS,
    Row,
    World,
    telling,
)  # fmt: skip

from flows.judge import judge
from flows.promote import promote
from flows.score import score
from tasks.decisions import UnknownDecisionError
from tasks.predictions import DamagedError
from tasks.reigns import LogError, commit, following, head
from tasks.rows import BatchError
from tasks.scoring import ChampionFailedError
from tasks.tallying import LabelError, close_batches

pytestmark = pytest.mark.usefixtures("prefect_server")


ROWS = decisions_frame(BETTER).drop("label")
LABELS = pl.DataFrame({"id": ["a"], "label": [1], "observed_at": [FIRST]})


def score_next() -> object:
    return score("parcels", batch=NEXT)


def look_at_it() -> object:
    return judge("parcels", as_of=LATER)


def nothing(_: World) -> None:
    """The call itself is what is wrong."""


def put(frame: pl.DataFrame, **where: str) -> Callable[[World], object]:
    return lambda world: world.put(frame, **where)


def labels(frame: pl.DataFrame) -> Callable[[World], object]:
    return lambda world: world.only_labels(frame)


def bytes_in(key: str, data: bytes = b"no such thing") -> Callable[[World], object]:
    return lambda world: world.store.write(key, data)


def cut(pattern: str) -> Callable[[World], object]:
    return lambda world: world.cut(pattern)


def mixed(world: World) -> None:
    world.put(ROWS, name="1")
    world.put(ROWS.with_columns(x1=pl.lit("text")), name="2")


def grown(world: World) -> None:
    world.put(ROWS.head(3), str(FIRST), name="rows-2")


def closed(world: World) -> None:
    close_batches(world.store, world.project, LATER)


def tally_cut_short(world: World) -> None:
    closed(world)
    world.cut("parcels/tallies/2024-01-07.parquet")


def tally_of_a_stranger(world: World) -> None:
    closed(world)
    path = world.path("parcels/tallies/2024-01-07.parquet")
    pl.read_parquet(path).rename({"v2": "v9"}).write_parquet(path)


def a_part_is_gone(world: World) -> None:
    next(world.path("parcels/predictions/2024-01-07/2").iterdir()).unlink()


def gap_in_the_log(world: World) -> None:
    first = head(world.store, world.project)
    second = following(
        first, version="2", run_id="r", since=FIRST, kind="enthronement", decision=None, author="ada", reason="a slip"
    )
    commit(world.store, world.project, second)
    world.store.delete("parcels/reigns/00000001.json")


def renumbered_log(world: World) -> None:
    path = world.path("parcels/reigns/00000001.json")
    path.rename(path.with_name("00000002.json"))


BY_ROWS = (
    Row(
        "no such batch",
        nothing,
        partial(score, "parcels", batch="2024-02-25"),
        BatchError,
        r"batch 2024-02-25: \S+ holds no Parquet file below parcels/batches/2024-02-25/; lay its rows there, or correct the id",
    ),
    Row(
        "no date",
        put(ROWS, batch="spring"),
        partial(score, "parcels", batch="spring"),
        BatchError,
        r"batch spring: its id is not a date such as 2013-06-30, so its date has to be given with it: --batch-dated",
    ),
    Row(
        "text for a number",
        put(ROWS.with_columns(x1=pl.lit("much"))),
        score_next,
        ChampionFailedError,
        r"batch 2024-02-18: the champion, version 1, failed to score, so nothing was scored: version 1 reads the column 'x1' as double, "
        r"and the batch has it as String; write it as numbers",
    ),
    Row(
        "a missing number",
        put(ROWS.with_columns(x1=pl.lit(None, dtype=pl.Float64))),
        score_next,
        ChampionFailedError,
        r"batch 2024-02-18: the champion, version 1, failed to score, so nothing was scored: ValueError: Input X contains NaN "
        r"\(its column 'x1' is null in 160 rows\)",
    ),
    Row(
        "no feature column",
        put(ROWS.drop("x1")),
        score_next,
        ChampionFailedError,
        r"batch 2024-02-18: the champion, version 1, failed to load, so nothing was scored: its signature names the column 'x1', which "
        r"batch 2024-02-18 does not have",
    ),
    Row(
        "no segment column",
        put(ROWS.drop("region")),
        score_next,
        BatchError,
        r"batch 2024-02-18: its rows have no column 'region'; they have id, x1, x2; write it, or correct the project file",
    ),
    Row(
        "null id",
        put(ROWS.with_columns(id=pl.when(pl.col("x1") < 0).then("id"))),
        score_next,
        BatchError,
        r"batch 2024-02-18: column 'id' is null in 30 rows; every row needs an id",
    ),
    Row(
        "fractions for ids",
        put(ROWS.with_columns(id=pl.int_range(pl.len()).cast(pl.Float64))),
        score_next,
        BatchError,
        r"batch 2024-02-18: column 'id' is Float64; ids are integers or text, as in the labels",
    ),
    Row(
        "no rows",
        put(ROWS.head(0)),
        score_next,
        BatchError,
        r"batch 2024-02-18: its files hold no rows; lay its rows there, or remove it",
    ),
    Row(
        "no Parquet",
        bytes_in(f"parcels/batches/{NEXT}/rows.parquet"),
        score_next,
        BatchError,
        r"batch 2024-02-18: parcels/batches/2024-02-18/rows.parquet cannot be read as Parquet; write it anew \(.*\)",
    ),
    Row(
        "rows cut short",
        cut(f"parcels/batches/{NEXT}/*.parquet"),
        score_next,
        BatchError,
        r"batch 2024-02-18: parcels/batches/2024-02-18/rows.parquet cannot be read as Parquet; write it anew \(.*\)",
    ),
    Row(
        "files of two kinds",
        mixed,
        score_next,
        BatchError,
        r"batch 2024-02-18: its Parquet files cannot be read as one table; write them anew, all with the same columns and types \(.*x1.*\)",
    ),
    Row(
        "grown after scoring",
        grown,
        partial(score, "parcels", batch=str(FIRST)),
        BatchError,
        r"batch 2024-01-07 was scored with 160 rows and now holds 163, not the same ones; what was scored stays: give the new rows a "
        r"batch id of their own",
    ),
)


def of_the_champion(what: str, code: float, sentence: str) -> Row:
    said = rf"batch {NEXT}: the champion, version 1, failed to score, so nothing was scored: {sentence}"
    return Row(what, put(telling(code, "x1")), score_next, ChampionFailedError, said)


BY_CHAMPION = (
    replace(
        of_the_champion(
            "hangs",
            HANGS,
            "gave no answer within 0.2 seconds; make it faster, or raise 'model_seconds' in the project file",
        ),
        spoil=lambda world: (world.settings(model_seconds=0.2), world.put(telling(HANGS, "x1"))),
    ),
    of_the_champion(
        "not a number", NAN, r"version 1 gave the score nan \(row 0 of a chunk\); scores must be numbers from 0 to 1"
    ),
    of_the_champion(
        "infinite", INFINITE, r"version 1 gave the score inf \(row 0 of a chunk\); scores must be numbers from 0 to 1"
    ),
    of_the_champion(
        "above 1", ABOVE_ONE, r"version 1 gave the score 1.5 \(row 0 of a chunk\); scores must be numbers from 0 to 1"
    ),
    of_the_champion(
        "too few", TOO_FEW, r"version 1 gave an output of shape \(4,\) for 5 rows; one score a row is needed"
    ),
    of_the_champion("words", WORDS, r"version 1 gave <U4 values such as .*late.*; scores must be numbers from 0 to 1"),
    of_the_champion("raises", RAISES, "RuntimeError: the feature server is down"),
)

BY_LABELS = (
    Row(
        "no labels",
        lambda w: [w.store.delete(k) for k in w.store.keys("parcels/labels")],
        look_at_it,
        LabelError,
        r"\S+ holds no Parquet file below parcels/labels/; labels with id, label and observed_at belong there",
    ),
    Row(
        "labels cut short",
        cut("parcels/labels/*.parquet"),
        look_at_it,
        LabelError,
        r"\S+: parcels/labels/2024-01-07.parquet cannot be read as Parquet; write it anew \(.*\)",
    ),
    Row(
        "no label column",
        labels(LABELS.rename({"label": "y"})),
        look_at_it,
        LabelError,
        r"parcels/labels/all.parquet: the labels have no column 'label'; they have id, y, observed_at; "
        r"rename one, or name it in 'columns' of the project file",
    ),
    Row(
        "text for a day",
        labels(LABELS.with_columns(observed_at=pl.lit("January"))),
        look_at_it,
        LabelError,
        r"parcels/labels/all.parquet: the column 'observed_at' is String; it must be a date or a time",
    ),
    Row(
        "fractions for ids of labels",
        labels(LABELS.with_columns(id=pl.lit(1.5))),
        look_at_it,
        LabelError,
        r"parcels/labels/all.parquet: the column 'id' is Float64; ids are integers or text, as in the batches",
    ),
)

BY_WHAT_IS_KEPT = (
    Row(
        "predictions cut short",
        cut("parcels/predictions/2024-01-07/2/*.parquet"),
        look_at_it,
        DamagedError,
        r"\S+: parcels/predictions/2024-01-07/2/part-\S+.parquet was changed after it was scored; restore it from a backup",
    ),
    Row(
        "predictions deleted",
        a_part_is_gone,
        look_at_it,
        DamagedError,
        r"\S+: parcels/predictions/2024-01-07/2/part-\S+.parquet was deleted after it was scored; restore it from a backup",
    ),
    Row(
        "manifest cut short",
        cut("parcels/predictions/2024-01-07/manifest.json"),
        look_at_it,
        DamagedError,
        r"\S+: parcels/predictions/2024-01-07/manifest.json is not a manifest any more; restore it from a backup",
    ),
    Row(
        "tally cut short",
        tally_cut_short,
        look_at_it,
        DamagedError,
        r"\S+: parcels/tallies/2024-01-07.parquet cannot be read as a tally any more; restore it from a backup",
    ),
    Row(
        "tally of an unknown version",
        tally_of_a_stranger,
        look_at_it,
        DamagedError,
        r"\S+: parcels/tallies/2024-01-07.parquet counts v1, v9, and the batch was scored by v1, v2; restore it from a backup",
    ),
    Row(
        "gap in the promotion log",
        gap_in_the_log,
        look_at_it,
        LogError,
        r"\S+/parcels/reigns: entry 1 is missing or was changed; restore the log from a backup",
    ),
    Row(
        "promotion log that begins with 2",
        renumbered_log,
        look_at_it,
        LogError,
        r"\S+/parcels/reigns: entry 1 is missing or was changed; restore the log from a backup",
    ),
    Row(
        "entry of the log cut short",
        cut("parcels/reigns/*.json"),
        look_at_it,
        LogError,
        r"\S+/parcels/reigns/00000001.json is not an entry of the promotion log; restore it from a backup",
    ),
    Row(
        "no such decision",
        nothing,
        partial(promote, "parcels", "2024-02-11-0"),
        UnknownDecisionError,
        r"project parcels has no decision 2024-02-11-0; they lie below \S+/parcels/decisions/",
    ),
    Row(
        "record of a decision cut short",
        bytes_in("parcels/decisions/2024-02-11-0.json", b'{"promote":'),
        partial(promote, "parcels", "2024-02-11-0"),
        DamagedError,
        r"\S+: parcels/decisions/2024-02-11-0.json is not the record of a decision any more; restore it from a backup",
    ),
)


@pytest.mark.parametrize("row", [*BY_ROWS, *BY_CHAMPION, *BY_LABELS, *BY_WHAT_IS_KEPT], ids=lambda row: row.name)
def test_it_is_refused_with_a_sentence_and_nothing_is_written(world: World, row: Row) -> None:
    row.refuses(world)
