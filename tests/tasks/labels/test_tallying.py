"""Closing batches: by the calendar, with the labels seen by then, once and for good; what is wrong is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from closing import DAY, DEADLINE, IDS, ROWS, close, labelled
from parcels import put_frame, put_labels
from weeks import BEGIN, InterferingStore, everything, found, play_week, score_rows, week

from analysis.evidence.pair_counts import pair_table
from analysis.evidence.row_labels import NO_ID_MATCHES
from tasks.base.project import Project
from tasks.batches.predictions import DamagedError, Manifest
from tasks.labels.tallying import LabelError, close_batches
from tasks.models.registry import Registry
from tasks.store import Store


@pytest.fixture(autouse=True)
def champion(two: None, store: Store, registry: Registry, project: Project) -> None:
    found(store, registry, project)


@pytest.fixture
def scored(store: Store, registry: Registry, project: Project) -> Manifest:
    return score_rows(store, registry, project, ROWS)


class TestCalendar:
    def test_a_batch_closes_on_its_day_and_not_the_day_before(
        self, store: Store, project: Project, scored: Manifest
    ) -> None:
        put_labels(store, project, IDS, [1] * 6, BEGIN)
        before = close_batches(store, project, DEADLINE - DAY)
        assert (before.batches, before.waiting) == ((), (scored,))
        assert store.keys(f"{project.name}/tallies") == []
        after = close_batches(store, project, DEADLINE)
        assert ([b.manifest for b in after.batches], after.waiting) == ([scored], ())

    def test_a_batch_with_all_its_labels_waits_for_its_day_all_the_same(
        self, store: Store, project: Project, scored: Manifest
    ) -> None:
        put_labels(store, project, IDS, [1] * 6, BEGIN)
        assert close_batches(store, project, BEGIN).waiting == (scored,)

    @pytest.mark.usefixtures("scored")
    def test_a_batch_without_a_single_label_closes_and_is_made_anew_once_it_has_some(
        self, store: Store, project: Project
    ) -> None:
        put_labels(store, project, ["of another batch"], [1], BEGIN)
        closed = close_batches(store, project, DEADLINE)
        (batch,) = closed.batches
        assert batch.silent == {f"{NO_ID_MATCHES}, such as 'a'; the labels have ids such as 'of another batch'": 6}
        assert batch.tally.frame["label"].null_count() == batch.tally.frame.height
        assert (closed.waiting, store.keys("parcels/tallies")) == ((), [])
        put_labels(store, project, IDS, [1] * 6, BEGIN, name="mended")
        assert labelled(close(store, project, DEADLINE + 30 * DAY)) == [3, 0, 3, 0]

    @pytest.mark.usefixtures("scored")
    def test_batches_after_the_day_are_not_there_yet(self, store: Store, project: Project) -> None:
        closed = close_batches(store, project, BEGIN - DAY)
        assert (closed.batches, closed.waiting) == ((), ())

    def test_batches_come_by_date(self, store: Store, registry: Registry, project: Project) -> None:
        for number in (2, 0, 1):
            play_week(store, registry, project, number, {(1, 1, 1): 1})
        closed = close_batches(store, project, week(3))
        assert [b.tally.date for b in closed.batches] == [week(0), week(1)]
        assert [m.date for m in closed.waiting] == [week(2)]

    @pytest.mark.usefixtures("scored")
    def test_what_is_seen_on_the_last_day_counts_and_what_is_seen_later_does_not(
        self, store: Store, project: Project
    ) -> None:
        put_labels(store, project, ["a", "b"], [1, 1], DEADLINE, name="1")
        put_labels(store, project, ["c", "d"], [1, 1], DEADLINE + DAY, name="2")
        assert labelled(close(store, project, DEADLINE + 9 * DAY)) == [2, 0, 0, 0]

    @pytest.mark.usefixtures("scored")
    def test_a_label_that_was_corrected_in_time_counts_as_corrected(self, store: Store, project: Project) -> None:
        for number, label in enumerate((0, 1, 0)):
            put_labels(store, project, ["a"], [label], DEADLINE + (number - 1) * DAY, name=str(number))
        assert labelled(close(store, project)) == [1, 0, 0, 0]

    @pytest.mark.parametrize("zone", [None, UTC])
    @pytest.mark.usefixtures("scored")
    def test_a_time_of_the_last_day_counts_and_the_first_of_the_next_does_not(
        self, store: Store, project: Project, zone: Any
    ) -> None:
        midnight = datetime(DEADLINE.year, DEADLINE.month, DEADLINE.day, tzinfo=zone) + DAY
        put_labels(store, project, ["a"], [1], midnight - timedelta(microseconds=1), name="1")
        put_labels(store, project, ["b"], [1], midnight, name="2")
        assert labelled(close(store, project)) == [1, 0, 0, 0]

    @pytest.mark.parametrize("text", [False, True])
    @pytest.mark.parametrize("place", ["Europe/Berlin", "America/New_York", "Pacific/Kiritimati"])
    @pytest.mark.usefixtures("scored")
    def test_the_last_day_ends_at_midnight_in_the_time_zone_of_the_project(
        self, make_project: Callable[..., Project], store: Store, project: Project, place: str, text: bool
    ) -> None:
        """Whatever zone a label's time has; a time without a zone is one of the project's."""
        there = make_project(model=project.model, timezone=place)
        midnight = datetime(DEADLINE.year, DEADLINE.month, DEADLINE.day, tzinfo=ZoneInfo(place)) + DAY
        for number, moment in enumerate((midnight.astimezone(UTC), midnight.replace(tzinfo=None))):
            times = [moment - timedelta(seconds=1), moment]
            said = [t.isoformat() if text else t for t in times]
            for row, time in zip(IDS[2 * number :], said, strict=False):
                put_labels(store, there, [row], [1], time, name=f"{row}-{number}")
        assert labelled(close(store, there)) == [1, 0, 1, 0]  # a and c in time, b and d not


class TestForGood:
    @pytest.mark.usefixtures("scored")
    def test_labels_that_come_later_change_no_byte_of_a_tally(self, store: Store, project: Project) -> None:
        put_labels(store, project, ["a"], [1], BEGIN, name="1")
        first = close(store, project)
        before = everything(store, project)
        put_labels(store, project, IDS, [0] * 6, BEGIN, name="2")
        again = close(store, project, DEADLINE + 30 * DAY)
        assert labelled(again) == labelled(first) == [1, 0, 0, 0]
        late = "parcels/tallies/2024-01-07.settled.parquet"
        assert {k: v for k, v in again.files.items() if k != late} == first.files
        assert {k: v for k, v in everything(store, project).items() if k in before} == before

    def test_a_tally_needs_neither_labels_nor_predictions_once_it_is_there(
        self, store: Store, project: Project, scored: Manifest
    ) -> None:
        put_labels(store, project, IDS, [1] * 6, BEGIN)
        first = close(store, project)
        for key in (*store.keys(f"{project.name}/labels"), *(p.key for p in scored.parts)):
            store.delete(key)
        assert close(store, project).tally.frame.equals(first.tally.frame)

    @pytest.mark.usefixtures("scored")
    def test_of_two_runs_at_once_both_use_the_tally_of_the_first(self, store: Store, project: Project) -> None:
        def overtake() -> None:
            put_labels(store, project, IDS, [1, 1, 1, 0, 0, 0], BEGIN, name="late-comers")
            close(store, project)

        put_labels(store, project, ["a"], [0], BEGIN)
        slow = InterferingStore(store, f"{project.name}/tallies", overtake)
        assert close(slow, project).files == close(store, project).files

    @pytest.mark.usefixtures("scored")
    def test_a_look_without_writing_sees_the_same_tally(self, store: Store, project: Project) -> None:
        put_labels(store, project, IDS, [1] * 6, BEGIN)
        before = everything(store, project)
        (seen,) = close_batches(store, project, DEADLINE, keep=False).batches
        assert everything(store, project) == before
        assert close(store, project).files == seen.files
        (kept,) = close_batches(store, project, DEADLINE, keep=False).batches
        assert kept.files == seen.files

    @pytest.mark.usefixtures("scored")
    def test_the_tally_is_the_stored_file(self, store: Store, project: Project) -> None:
        put_labels(store, project, IDS, [1] * 6, BEGIN)
        batch = close(store, project)
        prefix = f"{project.name}/tallies/{BEGIN}"
        manifest, *tallies = batch.files
        assert manifest == f"{project.name}/predictions/{BEGIN}/manifest.json"
        assert tallies == [f"{prefix}.scores.parquet", f"{prefix}.parquet"]
        frames = [pl.read_parquet(BytesIO(store.read(key))) for key in tallies]
        assert batch.tally.scores is not None
        assert frames[0].equals(batch.tally.scores)
        assert frames[1].equals(batch.tally.frame)


class TestFaults:
    """Each says what is wrong with which file, and leaves no tally behind."""

    def refuses(self, store: Store, project: Project, error: type[Exception], sentence: str) -> None:
        with pytest.raises(error, match=sentence):
            close_batches(store, project, DEADLINE)
        assert store.keys(f"{project.name}/tallies") == []

    @pytest.mark.usefixtures("scored")
    def test_no_labels_at_all(self, store: Store, project: Project) -> None:
        sentence = r"holds no file of rows below parcels/labels/; put labels with id, label and observed_at there"
        self.refuses(store, project, LabelError, sentence)

    @pytest.mark.parametrize("column", ["id", "label", "observed_at"])
    @pytest.mark.usefixtures("scored")
    def test_a_missing_column(self, store: Store, project: Project, column: str) -> None:
        frame = pl.DataFrame({"id": IDS, "label": [1] * 6, "observed_at": [BEGIN] * 6, "note": ["x"] * 6}).drop(column)
        put_frame(store, f"{project.name}/labels/2024.parquet", frame)
        sentence = f"2024.parquet: the labels have no column '{column}'; they have {', '.join(frame.columns)}"
        self.refuses(store, project, LabelError, re.escape(sentence))

    @pytest.mark.parametrize("seen", [True, 1704585600])
    @pytest.mark.usefixtures("scored")
    def test_a_time_that_is_no_time(self, store: Store, project: Project, seen: Any) -> None:
        frame = pl.DataFrame({"id": IDS, "label": [1] * 6, "observed_at": [seen] * 6})
        put_frame(store, f"{project.name}/labels/2024.parquet", frame)
        self.refuses(store, project, LabelError, r"the column 'observed_at' is \w+; it must be a date or a time")

    @pytest.mark.usefixtures("scored")
    def test_a_file_that_is_no_parquet(self, store: Store, project: Project) -> None:
        store.write(f"{project.name}/labels/2024.parquet", b"id,label,observed_at\n")
        self.refuses(store, project, LabelError, r"parcels/labels/2024.parquet cannot be read as Parquet")

    @pytest.mark.usefixtures("scored")
    def test_files_of_different_kinds_are_read_each_as_it_is(self, store: Store, project: Project) -> None:
        """Whole numbers, fractions after one missing value, words; dates and times; a column more."""
        put_labels(store, project, IDS[:2], [1, 0], BEGIN, name="1")
        put_labels(store, project, IDS[2:4], [1.0, None], datetime(2024, 1, 8, 12, tzinfo=UTC), name="2")
        words = pl.DataFrame({"id": IDS[4:], "label": ["1", "0"], "observed_at": [BEGIN] * 2, "note": ["x", "y"]})
        put_frame(store, f"{project.name}/labels/3.parquet", words)
        (closed,) = close_batches(store, project, DEADLINE).batches
        assert pair_table(closed.tally.frame, "1", "2").n == 5

    @pytest.mark.parametrize("whose", ["rows", "1", "2"])
    @pytest.mark.usefixtures("scored")
    def test_a_damaged_part(self, store: Store, project: Project, whose: str) -> None:
        put_labels(store, project, IDS, [1] * 6, BEGIN)
        (key,) = (k for k in store.keys(f"{project.name}/predictions/{BEGIN}/{whose}") if k.endswith(".parquet"))
        data = bytearray(store.read(key))
        data[len(data) // 2] ^= 1
        store.write(key, bytes(data))
        self.refuses(store, project, DamagedError, re.escape(f"{key} was changed after it was scored"))

    def test_a_missing_part(self, store: Store, project: Project, scored: Manifest) -> None:
        put_labels(store, project, IDS, [1] * 6, BEGIN)
        key = scored.scored[0].parts[0].key
        store.delete(key)
        self.refuses(store, project, DamagedError, re.escape(f"{key} was deleted after it was scored; restore it"))
