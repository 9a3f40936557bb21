"""Rows and models that are wrong: one clear sentence each that says what to do, and nothing is written."""

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
    NAN,
    NEXT,
    RAISES,
    TOO_FEW,
    WORDS,
    Row,
    World,
    bytes_in,
    cut,
    nothing,
    telling,
)  # fmt: skip

from flows.score import score
from tasks.batches.rows import BatchError
from tasks.batches.scoring import ChampionFailedError
from tasks.command import CalendarError

pytestmark = pytest.mark.usefixtures("prefect_server")

ROWS = decisions_frame(BETTER).drop("label")


def score_next() -> object:
    return score("parcels", batch=NEXT)


def put(frame: pl.DataFrame, **where: str) -> Callable[[World], object]:
    return lambda world: world.put(frame, **where)


def mixed(world: World) -> None:
    world.put(ROWS, name="1")
    world.put(ROWS.with_columns(x1=pl.lit("text")), name="2")


def grown(world: World) -> None:
    world.put(ROWS.head(3), str(FIRST), name="rows-2")


BY_ROWS = (
    Row(
        "no such batch",
        nothing,
        partial(score, "parcels", batch="2024-02-25"),
        BatchError,
        r"batch 2024-02-25: \S+ holds no file of rows below parcels/batches/2024-02-25/; put its rows there, or correct the id",
    ),
    Row(
        "no date",
        put(ROWS, batch="spring"),
        partial(score, "parcels", batch="spring"),
        BatchError,
        r"batch spring: its id is not a date such as 2013-06-30; give its date with --batch-dated",
    ),
    Row(
        "a date without its batch",
        nothing,
        partial(score, "parcels", batch_dated=FIRST),
        BatchError,
        r"batch_dated is the date of one batch; name the batch too",
    ),
    Row(
        "another date than the id's",
        nothing,
        partial(score, "parcels", batch=NEXT, batch_dated=FIRST),
        BatchError,
        r"batch 2024-02-18: its id has the date 2024-02-18, and --batch-dated is 2024-01-07; leave out --batch-dated",
    ),
    Row(
        "a batch that is not over",
        put(ROWS, batch="2999-W01"),
        partial(score, "parcels", batch="2999-W01"),
        CalendarError,
        r"batch 2999-W01 is dated 2999-01-06, and the latest day to take is \S+; score it once that day has come",
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
        r"batch 2024-02-18: its rows have no column 'region'; they have id, x1, x2; add it, or correct the project file",
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
        r"batch 2024-02-18: its files hold no rows; put its rows there, or remove it",
    ),
    Row(
        "no Parquet",
        bytes_in(f"parcels/batches/{NEXT}/rows.parquet"),
        score_next,
        BatchError,
        r"batch 2024-02-18: parcels/batches/2024-02-18/rows.parquet cannot be read as Parquet; write it again \(.*\)",
    ),
    Row(
        "rows cut short",
        cut(f"parcels/batches/{NEXT}/*.parquet"),
        score_next,
        BatchError,
        r"batch 2024-02-18: parcels/batches/2024-02-18/rows.parquet cannot be read as Parquet; write it again \(.*\)",
    ),
    Row(
        "files of two kinds",
        mixed,
        score_next,
        BatchError,
        r"batch 2024-02-18: the column 'x1' is Float64 in parcels/batches/2024-02-18/1.parquet and String in "
        r"parcels/batches/2024-02-18/2.parquet; write one of the files again, so that both have one type",
    ),
    Row(
        "grown after scoring",
        grown,
        partial(score, "parcels", batch=str(FIRST)),
        BatchError,
        r"batch 2024-01-07 was scored with 160 rows and now has 163 different ones; a scored batch does not change: "
        r"give the new rows another batch id",
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
            "gave no answer within 5 seconds; make it faster, or raise 'model_seconds' in the project file",
        ),
        spoil=lambda world: (world.settings(model_seconds=5), world.put(telling(HANGS, "x1"))),
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
        "too few", TOO_FEW, r"version 1 gave an output of shape \(4,\) for 5 rows; one score per row is needed"
    ),
    of_the_champion(
        "words", WORDS, r"version 1 gave object values such as .*late.*; scores must be numbers from 0 to 1"
    ),
    of_the_champion("raises", RAISES, "RuntimeError: the feature server is down"),
)


@pytest.mark.parametrize("row", [*BY_ROWS, *BY_CHAMPION], ids=lambda row: row.name)
def test_it_is_refused_with_a_sentence_and_nothing_is_written(world: World, row: Row) -> None:
    row.refuses(world)
