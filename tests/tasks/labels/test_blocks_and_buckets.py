"""A batch is closed file by file and bucket by bucket: how it is cut, and how ids are written, changes no byte of its tally."""

from __future__ import annotations

import io
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from analysis_examples import SLOW_PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from label_reference import Delivered, outcomes

from analysis.evidence import Contender
from analysis.evidence.score_tally import score_tally
from analysis.policy import Policy
from tasks.base.project import Columns, Project
from tasks.batches.predictions import DeletedError, Manifest, Part, Scored
from tasks.batches.staging import Staging
from tasks.labels import buckets
from tasks.labels.batch_labels import Labelled, label_rows
from tasks.labels.buckets import Buckets, TemporaryFolderError
from tasks.labels.label_files import LabelError, LabelFiles
from tasks.labels.row_ids import BatchIds, IdRange, as_key
from tasks.store import DirectoryStore, keeping
from tasks.tables.sources import ParquetSource


def parquet_of(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


DAY = date(2024, 1, 7)
DEADLINE = DAY + timedelta(days=14)
Write = Callable[[int], Any]
WAYS: dict[str, Write] = {"whole numbers": int, "text": str, "text with zeros": lambda i: f"{i:03}"}


def project_in(folder: Path, **changes: Any) -> Project:
    return Project(name="p", store=str(folder), mlflow="sqlite:///none", model="p", maturity_days=14, **changes)


def committed(store: DirectoryStore, rows: pl.DataFrame, day: date = DAY, *, cut: int = 10**6) -> Manifest:
    """A scored batch whose files have ``cut`` rows each; ``rows`` has ``id``, segments, and ``s<version>``."""
    versions = [c[1:] for c in rows.columns if c[0] == "s" and c[1:].isdigit()]
    decided = [
        pl.DataFrame({"score": rows[f"s{v}"], "decision": (rows[f"s{v}"] > 0.5).cast(pl.Int8)}) for v in versions
    ]
    with Staging(store, "p", str(day)) as staging:

        def add(name: str, frame: pl.DataFrame) -> tuple[Part, ...]:
            return tuple(staging.add(name, i, f) for i, f in enumerate(frame.iter_slices(cut)))

        parts = add("rows", rows.drop([f"s{v}" for v in versions]))
        scored = [
            Scored(v, Contender(v, f"d{v}", 0.5, None), add(v, f), None) for v, f in zip(versions, decided, strict=True)
        ]
        staging.upload([*parts, *(p for s in scored for p in s.parts)])
    return Manifest(str(day), day, 1, "1", rows.height, ("id",), "x", parts, tuple(scored))


def write_labels(folder: Path, labels: list[Delivered], write: Write, name: str) -> None:
    path = folder / "p" / "labels" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pl.DataFrame(
        {
            "id": [write(d.id) for d in labels],
            "label": [d.label for d in labels],
            "observed_at": [d.seen for d in labels],
        },
        schema_overrides={"label": pl.Float64, "observed_at": pl.Datetime("us")},
    )
    frame.write_csv(path) if name.endswith("csv") else frame.write_parquet(path)


@contextmanager
def bucket_rows(rows: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buckets, "_BUCKET_ROWS", rows)
        yield


def labelled(store: DirectoryStore, project: Project, manifest: Manifest, others: list[Manifest]) -> Labelled:
    files = LabelFiles(store, project)
    return label_rows(store, project, files, manifest, [manifest, *others], DEADLINE, strict=False)


@st.composite
def feeds(draw: st.DrawFn) -> tuple[pl.DataFrame, list[Delivered], list[int]]:
    """Rows of a batch, labels, and ids of a neighbour."""
    ids = draw(st.lists(st.integers(0, 30), min_size=1, max_size=25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = pl.DataFrame({"id": ids, "segment.region": rng.choice(["north", "south"], len(ids))})
    rows = rows.with_columns(pl.Series(f"s{v}", rng.random(len(ids)).round(2)) for v in (1, 2))
    values, days = st.sampled_from([0.0, 1.0, 1.0, 2.0, None]), st.one_of(st.none(), st.integers(-1, 16))
    labels = [
        Delivered(
            i,
            label,
            None if day is None else datetime.combine(DAY, datetime.min.time()) + timedelta(days=day),
            "2.0" if label == 2 else None,
        )
        for i, label, day in draw(st.lists(st.tuples(st.integers(0, 35), values, days), min_size=1, max_size=40))
    ]
    return rows, labels, draw(st.lists(st.integers(0, 40), min_size=1, max_size=5))


@SLOW_PROPERTY
@given(feeds(), st.integers(1, 9), st.integers(1, 9), st.sampled_from(list(WAYS)), st.sampled_from(list(WAYS)))
def test_a_tally_is_that_of_the_reference_however_the_batch_is_cut_and_ids_are_written(
    feed: tuple[pl.DataFrame, list[Delivered], list[int]], cut: int, bucket: int, of_rows: str, of_labels: str
) -> None:
    rows, labels, others = feed
    write, write_label = WAYS[of_rows], WAYS[of_labels]
    found = []
    for cut_at, bucket_at in ((cut, bucket), (10**6, 10**6)):
        with tempfile.TemporaryDirectory() as name, bucket_rows(bucket_at):
            store, project = DirectoryStore(Path(name)), project_in(Path(name), segments=("region",))
            manifest = committed(store, rows.with_columns(id=pl.Series([write(i) for i in rows["id"]])), cut=cut_at)
            beside = pl.DataFrame({"id": [write(i) for i in others], "s1": 0.5, "s2": 0.5})
            neighbour = committed(store, beside, DAY + timedelta(days=1), cut=cut_at)
            half = len(labels) // 2
            typed = Delivered(
                999, 0.0, datetime.combine(DAY, datetime.min.time())
            )  # a column without a value has no type
            write_labels(Path(name), [*labels[:half], typed], write_label, "1.csv")
            write_labels(Path(name), [*labels[half:], typed], write_label, "2.parquet")
            one = labelled(store, project, manifest, [neighbour])
            found.append((parquet_of(one.counted()), parquet_of(score_tally(one.blocks, Policy()))))
            frame = one.counted()
    assert found[0] == found[1]
    own = [d._replace(id=str(write_label(d.id))) for d in labels]
    known = [str(write(i)) for i in rows["id"]]
    recurring = {str(write(i)) for i in others}
    expected = outcomes(known, own, begins=DAY, deadline=DEADLINE, recurring=recurring)
    if not {d.id for d in own} & set(known):
        return  # why not a single label matched is told in another sentence
    cells = Counter(
        (o.excluded, region, o.label, int(a > 0.5), int(b > 0.5))
        for o, (region, a, b) in zip(expected, rows.select("segment.region", "s1", "s2").rows(), strict=True)
    )
    assert dict(zip(frame.drop("n").rows(), frame["n"], strict=True)) == cells


def test_a_temporary_folder_that_takes_no_files_is_named_with_what_to_do() -> None:
    with bucket_rows(1), Buckets(2) as two:
        two.add_rows(pl.DataFrame({"id": [1, 2], "row": [0, 1]}))
        assert two._folder is not None  # noqa: SLF001
        two._folder.cleanup()  # noqa: SLF001
        with pytest.raises(
            TemporaryFolderError,
            match=r"cannot be written \(.*\); make room there, or name another folder",
        ):
            two._write()  # noqa: SLF001


class TestFilesThatAreNotRead:
    """A label file is left out only where it can say nothing of the batch."""

    @pytest.fixture
    def read(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        keys: list[str] = []
        pieces = ParquetSource.pieces

        def noted(source: ParquetSource, columns: Any, first: int = 0) -> Iterator[pl.DataFrame]:
            keys.append(source.key.rpartition("labels/")[2])
            return pieces(source, columns, first)

        monkeypatch.setattr(ParquetSource, "pieces", noted)
        return keys

    def feed(self, ids: list[int]) -> list[Delivered]:
        return [Delivered(i, 1.0, datetime.combine(DAY, datetime.min.time())) for i in ids]

    @pytest.mark.parametrize("way", list(WAYS))
    def test_its_statistics_prove_that_it_has_no_id_of_the_batch(
        self, tmp_path: Path, read: list[str], way: str
    ) -> None:
        write = WAYS["text with zeros" if way == "text" else way]
        store, project = DirectoryStore(tmp_path), project_in(tmp_path)
        rows = pl.DataFrame({"id": [write(i) for i in (10, 11, 12)], "s1": 0.5, "s2": 0.5})
        manifest = committed(store, rows)
        for name, ids in (("before", [1, 9]), ("around", [9, 13]), ("within", [11]), ("after", [13, 20])):
            write_labels(tmp_path, self.feed(ids), write, f"{name}.parquet")
        found = labelled(store, project, manifest, [])
        assert read == ["around.parquet", "within.parquet"]
        assert len(found.outcomes.labels()) == 1

    def test_ids_of_another_type_prove_nothing(self, tmp_path: Path, read: list[str]) -> None:
        store, project = DirectoryStore(tmp_path), project_in(tmp_path)
        manifest = committed(store, pl.DataFrame({"id": [10, 11], "s1": 0.5, "s2": 0.5}))
        write_labels(tmp_path, self.feed([10, 200]), str, "text.parquet")
        assert len(labelled(store, project, manifest, []).outcomes.labels()) == 1
        assert read == ["text.parquet"]

    def test_a_time_that_is_none_is_told_whatever_its_id(self, tmp_path: Path) -> None:
        store, project = DirectoryStore(tmp_path), project_in(tmp_path)
        manifest = committed(store, pl.DataFrame({"id": [10, 11], "s1": 0.5, "s2": 0.5}))
        path = tmp_path / "p/labels/far.parquet"
        path.parent.mkdir(parents=True)
        pl.DataFrame({"id": [100], "label": [1], "observed_at": ["soon"]}).write_parquet(path)
        with pytest.raises(LabelError, match=r"p/labels/far.parquet: the column 'observed_at' holds 'soon'"):
            labelled(store, project, manifest, [])

    def test_its_folder_is_of_another_period(self, tmp_path: Path, read: list[str]) -> None:
        """As hive names folders; the same customers every week."""
        store, project = DirectoryStore(tmp_path), project_in(tmp_path, columns=Columns(period="week"))
        manifest = committed(store, pl.DataFrame({"id": [10, 11], "s1": 0.5, "s2": 0.5}))
        for day in (DAY, DAY + timedelta(days=7)):
            write_labels(tmp_path, self.feed([10, 11]), int, f"week={day}/1.parquet")
        assert len(labelled(store, project, manifest, []).outcomes.labels()) == 2
        assert read == [f"week={DAY}/1.parquet"]

    def test_what_is_read_stays_in_memory_and_is_found_by_id(self, tmp_path: Path, read: list[str]) -> None:
        """Of many files of ids in no order each is read once, for all batches of the run."""
        store, project = DirectoryStore(tmp_path), project_in(tmp_path)
        batches = [
            committed(
                store, pl.DataFrame({"id": list(range(n, 120, 4)), "s1": 0.5, "s2": 0.5}), DAY + timedelta(days=n)
            )
            for n in range(4)
        ]
        for n in range(12):
            write_labels(tmp_path, self.feed(list(range(n, 120, 12))), str if n % 2 else int, f"{n:02}.parquet")
        files = LabelFiles(store, project)
        for m in batches:
            one = label_rows(store, project, files, replace(m, date=DAY), [], DEADLINE, strict=True)
            assert len(one.outcomes.labels()) == 30
        assert sorted(read) == [f"{n:02}.parquet" for n in range(12)]


class TestIds:
    @pytest.mark.parametrize("text", ["007", "+7", " 7", "7.0", "", "seven", "-0", "9223372036854775808"])
    def test_text_that_no_number_is_written_as_is_no_number(self, text: str) -> None:
        assert as_key(pl.Series([text, "7", None]), pl.Int64()).to_list() == [None, 7, None]

    @given(st.integers(-(2**63), 2**63 - 1))
    def test_every_number_is_found_again_in_its_text(self, number: int) -> None:
        assert as_key(pl.Series([str(number)]), pl.Int64()).to_list() == [number]

    def test_ranges_meet_where_an_id_can_be_in_both(self) -> None:
        own = IdRange(3, 5)
        assert [own.meets(IdRange(*r)) for r in ((1, 2), (1, 3), (4, 4), (5, 9), (6, 9))] == [
            False,
            True,
            True,
            True,
            False,
        ]
        assert own.meets(None)
        assert own.meets(IdRange("a", "b"))
        assert not own.meets(IdRange(None, None))

    def test_ids_that_do_not_fit_into_memory_are_read_again_and_are_the_same(self, tmp_path: Path) -> None:
        store = DirectoryStore(tmp_path)
        manifest = committed(store, pl.DataFrame({"id": list(range(50)), "s1": 0.5, "s2": 0.5}), cut=7)
        for most_bytes in (0, 10**6):
            ids = BatchIds(store, most_bytes=most_bytes)
            for _ in range(2):
                assert pl.concat(ids.parts(manifest)).to_list() == list(range(50))
            assert ids.range(manifest) == IdRange(0, 49)

    @pytest.mark.parametrize("ids", [list(range(50)), [f"r{n:02}" for n in range(50)]])
    def test_a_later_run_knows_the_range_of_the_ids_without_reading_them(self, tmp_path: Path, ids: list[Any]) -> None:
        store = DirectoryStore(tmp_path)
        manifest = committed(store, pl.DataFrame({"id": ids, "s1": 0.5, "s2": 0.5}), cut=7)
        run = keeping(store)
        assert BatchIds(run).range(manifest) == IdRange(ids[0], ids[-1])
        run.roll_up(manifest.parts[0].key.partition("/")[0])
        store.delete(manifest.parts[0].key)
        assert BatchIds(store).range(manifest) == IdRange(ids[0], ids[-1])
        with pytest.raises(DeletedError):
            list(BatchIds(store).parts(manifest))
