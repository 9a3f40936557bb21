"""Labels and kept files that are wrong: one clear sentence each that says what to do, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import polars as pl
import pytest
from spoilt import FIRST, LATER, Row, World, bytes_in, cut, nothing

from flows.judge import judge
from flows.promote import promote
from tasks.batches.predictions import DamagedError, DeletedError
from tasks.decisions import UnknownDecisionError
from tasks.labels.tallying import LabelError, close_batches
from tasks.reigns import LogError, commit, head, reign_after

pytestmark = pytest.mark.usefixtures("prefect_server")

LABELS = pl.DataFrame({"id": ["a"], "label": [1], "observed_at": [FIRST]})


def look_at_it() -> object:
    return judge("parcels", as_of=LATER)


def labels(frame: pl.DataFrame) -> Callable[[World], object]:
    return lambda world: world.only_labels(frame)


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
    first = head(world.store, world.project.name)
    second = reign_after(
        first, version="2", run_id="r", since=FIRST, kind="enthronement", decision=None, author="ada", reason="a slip"
    )
    commit(world.store, world.project.name, second)
    world.store.delete("parcels/reigns/00000001.json")


def renumbered_log(world: World) -> None:
    path = world.path("parcels/reigns/00000001.json")
    path.rename(path.with_name("00000002.json"))


BY_LABELS = (
    Row(
        "no labels",
        lambda w: [w.store.delete(k) for k in w.store.keys("parcels/labels")],
        look_at_it,
        LabelError,
        r"\S+ holds no file of rows below parcels/labels/; put labels with id, label and observed_at there",
    ),
    Row(
        "labels cut short",
        cut("parcels/labels/*.parquet"),
        look_at_it,
        LabelError,
        r"\S+: parcels/labels/2024-01-07.parquet cannot be read as Parquet; write it again \(.*\)",
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
        r"parcels/labels/all.parquet: the column 'observed_at' holds 'January', which is no date or time; "
        r"write 2024-01-31, 2024-01-31T12:00:00 or 2024-01-31T12:00:00Z",
    ),
    Row(
        "days for labels",
        labels(LABELS.with_columns(label=pl.lit(FIRST))),
        look_at_it,
        LabelError,
        r"parcels/labels/all.parquet: the column 'label' is Date; labels are text or numbers",
    ),
    Row(
        "no column that names the period",
        lambda w: w.settings(columns={"period": "week"}),
        look_at_it,
        LabelError,
        r"parcels/labels/2024-01-07.parquet: the labels have no column 'week'; they have id, label, observed_at; "
        r"rename one, or name it in 'columns' of the project file",
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
        DeletedError,
        r"\S+: parcels/predictions/2024-01-07/2/part-\S+.parquet was deleted after it was scored; restore it from a backup",
    ),
    Row(
        "manifest cut short",
        cut("parcels/predictions/2024-01-07/manifest.json"),
        look_at_it,
        DamagedError,
        r"\S+: parcels/predictions/2024-01-07/manifest.json cannot be read as a manifest; restore it from a backup",
    ),
    Row(
        "tally cut short",
        tally_cut_short,
        look_at_it,
        DamagedError,
        r"\S+: parcels/tallies/2024-01-07.parquet cannot be read as a tally; restore it from a backup",
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
        r"\S+/parcels/reigns/00000001.json cannot be read as an entry of the promotion log; restore it from a backup",
    ),
    Row(
        "no such decision",
        nothing,
        partial(promote, "parcels", "2024-02-11-0"),
        UnknownDecisionError,
        r"project parcels has no decision 2024-02-11-0; name one of those below \S+/parcels/decisions/",
    ),
    Row(
        "record of a decision cut short",
        bytes_in("parcels/decisions/2024-02-11-0.json", b'{"promote":'),
        partial(promote, "parcels", "2024-02-11-0"),
        DamagedError,
        r"\S+: parcels/decisions/2024-02-11-0.json cannot be read as the record of a decision; restore it from a backup",
    ),
)


@pytest.mark.parametrize("row", [*BY_LABELS, *BY_WHAT_IS_KEPT], ids=lambda row: row.name)
def test_it_is_refused_with_a_sentence_and_nothing_is_written(world: World, row: Row) -> None:
    row.refuses(world)
