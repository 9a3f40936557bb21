"""Workers: what they write is what this machine writes, whatever goes wrong, and nothing but plain values travels to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hostile import MARK, Hostile, HostileToLoad, crashes, hangs
from inline_workers import InlineWorkers, versions_on
from parcels import put_batch, put_frame
from replays import NeedsFile
from weeks import BEGIN, everything, found, some_parcels, week

from tasks.base.project import Project
from tasks.batches.contenders import contender_of_model
from tasks.batches.range_job import Range, RangeJob
from tasks.batches.replaying import due_replays, replay_batch
from tasks.batches.rows import CHUNK_ROWS, BatchError, RowDigest
from tasks.batches.scoring import ChampionFailedError, score_with
from tasks.models import kept_versions
from tasks.models.registry import Registry
from tasks.models.versions import Versions
from tasks.models.workers import Order, WorkersError
from tasks.reigns import head
from tasks.store import DirectoryStore, Store

Register = Callable[..., str]
ILL = [-1000.0] * 10


class Twice:
    """The same batches, scored on this machine and on a worker."""

    def __init__(self, project: Project, folder: Path, register: Register) -> None:
        self.project, self.folder, self.register = project, folder, register
        self.workers = InlineWorkers()
        self.run = self.workers.run

    def scored(self, *frames: pl.DataFrame, **changes: Any) -> dict[str, dict[str, bytes]]:
        """Everything in both stores, after weeks of these rows."""
        return {place: self._scored(place, frames, changes) for place in ("here", "there")}

    def store(self, place: str) -> DirectoryStore:
        return DirectoryStore(self.folder / place)

    def _scored(self, place: str, frames: tuple[pl.DataFrame, ...], changes: dict[str, Any]) -> dict[str, bytes]:
        store = self.store(place)
        project = self.project.model_copy(update={"store": str(self.folder / place), **changes})
        registry = Registry(project)
        found(store, registry, project)
        for number, frame in enumerate(frames):
            put_batch(store, project, str(week(number)), frame)
        there = place == "there"
        with versions_on(self.workers, store, registry, project) if there else Versions(store, registry, project) as v:
            for number in range(len(frames)):
                score_with(v, head(store, project.name), str(week(number)), week(number))
        return everything(store, project)


@pytest.fixture(autouse=True)
def worker_that_ends() -> Iterator[None]:
    """What the worker in this process keeps for a next job ends with the test, as it does with a worker's own process."""
    yield
    for run, kept in list(kept_versions._kept.items()):  # noqa: SLF001
        kept_versions._end_unused(run, kept.uses)  # noqa: SLF001
    assert not kept_versions._kept  # noqa: SLF001


@pytest.fixture
def twice(project: Project, tmp_path: Path, register: Register) -> Twice:
    register("x1")
    return Twice(project, tmp_path, register)


def without_predictions_of_failed(there: dict[str, bytes], here: dict[str, bytes]) -> dict[str, bytes]:
    """What the workers stored of a version that failed later is named by no manifest."""
    return {k: v for k, v in there.items() if k in here or "/part-" not in k}


class TestTheSameBytes:
    def test_of_several_chunks(self, twice: Twice) -> None:
        twice.register("x2", threshold="0.25")
        twice.register("x3", example=1)
        rows = 2 * CHUNK_ROWS + 8
        both = twice.scored(some_parcels(rows, x1=[0.5] * rows, x3=list(range(rows))))
        assert both["there"] == both["here"]
        assert twice.workers.done[:4] == [
            "load version 1", "load version 2", "load version 3", f"score chunks 0 to 0 of batch {BEGIN} with version 1",
        ]  # fmt: skip
        assert len(twice.workers.done) == 3 + 3 * 3

    def test_and_each_version_is_loaded_once_for_all_batches(self, twice: Twice) -> None:
        both = twice.scored(some_parcels(), some_parcels(id=[f"q{i}" for i in range(10)]))
        assert both["there"] == both["here"]
        assert [w for w in twice.workers.done if w.startswith("load")] == ["load version 1"]

    def test_of_a_replay(self, twice: Twice, registry: Registry) -> None:
        twice.scored(some_parcels())
        twice.register("x2")
        for place in ("here", "there"):
            store, project = (
                twice.store(place),
                twice.project.model_copy(update={"store": str(twice.folder / place)}),
            )
            other = versions_on(twice.workers, store, registry, project)
            with other if place == "there" else Versions(store, registry, project) as versions:
                ((manifest, wanted),) = due_replays(versions, head(store, project.name)).batches
                assert replay_batch(versions, manifest, wanted, week(2)) == {"2": None}
        assert everything(twice.store("there"), twice.project) == everything(twice.store("here"), twice.project)


class TestAChallengerFailsAlone:
    @pytest.mark.parametrize(
        "options",
        [
            {"model": Hostile(crashes)},
            {"model": HostileToLoad(time.sleep, MARK)},
            {"model": Hostile(hangs)},
            {"model": NeedsFile(Path("/nowhere/dictionary"))},
            {"column": "x9"},
            {"threshold": None},
            {"example": "text"},
        ],
        ids=["crashes", "never loads", "hangs", "raises", "unknown column", "no threshold", "wrong type"],
    )
    def test_with_the_same_words(self, twice: Twice, options: dict[str, Any]) -> None:
        twice.register(options.pop("column", "x2"), **options)
        twice.register("x2")
        both = twice.scored(some_parcels(x2=ILL), some_parcels(x2=ILL), model_seconds=4)
        assert without_predictions_of_failed(both["there"], both["here"]) == both["here"]

    def test_and_of_what_it_had_still_to_predict_nothing_is_begun(self, twice: Twice) -> None:
        twice.register("x2", model=Hostile(crashes))
        rows = 2 * CHUNK_ROWS + 8
        both = twice.scored(some_parcels(rows, x1=[0.5] * rows, x2=[-1000.0] * rows))
        assert both["there"] == both["here"]
        assert twice.workers.cancelled == [f"score chunks {n} to {n} of batch {BEGIN} with version 2" for n in (1, 2)]

    def test_that_reads_a_column_that_cannot_be_read(self, twice: Twice) -> None:
        twice.register("x2")
        first, second = some_parcels(), some_parcels(id=[f"q{i}" for i in range(10)], x2=["a"] * 10)
        stores = {}
        for place in ("here", "there"):
            put_frame(twice.store(place), f"parcels/batches/{BEGIN}/more.parquet", second)
            stores[place] = twice.scored(first)[place] if place == "there" else {}
        here = everything(twice.store("here"), twice.project)
        assert stores["there"] == here
        assert any(b"more.parquet" in v and b"failed to score" in v for v in here.values())


class TestTheChampionFails:
    def test_and_it_says_why_and_where(self, twice: Twice, registry: Registry) -> None:
        twice.register("x2", model=NeedsFile(Path("/nowhere/dictionary")))
        store = twice.store("there")
        project = twice.project.model_copy(update={"store": str(twice.folder / "there")})
        found(store, registry, project, version="2")
        put_batch(store, project, str(BEGIN), some_parcels())
        with (
            versions_on(twice.workers, store, registry, project) as versions,
            pytest.raises(
                ChampionFailedError, match=r"failed to score, so .* RuntimeError: the dictionary is not installed"
            ) as e,
        ):
            score_with(versions, head(store, project.name), str(BEGIN), BEGIN)
        where = str(e.value.__cause__.__cause__)  # type: ignore[union-attr]
        assert where.startswith("on a worker\n")
        assert "in predict" in where
        assert not [k for k in store.keys(project.name) if k.endswith("manifest.json")]


class TestAWorker:
    @pytest.fixture
    def job(self, twice: Twice, store: Store, registry: Registry) -> RangeJob:
        """Two of ten rows, with version 1."""
        put_batch(store, twice.project, str(BEGIN), some_parcels())
        version = registry.version("1")
        model = registry.download(version).digest
        digest = RowDigest(["id", "x1"])
        digest.update(some_parcels().select("id", "x1").slice(3, 2))
        chunks = Range(str(BEGIN), 1, 3, (2,), ("id", "x1"), digest.hexdigest(), frozenset())
        order = Order(twice.run, twice.project, version, model, champion=True)
        return RangeJob(order, contender_of_model(version, model), chunks)

    def test_predicts_its_rows_and_may_do_so_twice(self, job: RangeJob, store: Store) -> None:
        first = job()
        (part,) = first.parts
        assert (part.rows, first.failure, job()) == (2, None, first)
        assert part.key.startswith(f"parcels/predictions/{BEGIN}/1/part-00001-")
        assert pl.read_parquet(store.read(part.key))["decision"].to_list() == [0, 0]

    def test_refuses_rows_that_are_not_those_that_were_digested(
        self, job: RangeJob, store: Store, project: Project
    ) -> None:
        put_batch(store, project, str(BEGIN), some_parcels(x1=[0.0] * 10))
        with pytest.raises(WorkersError, match=f"reads other rows in chunks 1 to 1 of batch {BEGIN} than were read"):
            job()
        assert store.keys(f"{project.name}/predictions") == []

    def test_refuses_rows_that_end_too_early(self, job: RangeJob, store: Store, project: Project) -> None:
        put_batch(store, project, str(BEGIN), some_parcels(4))
        with pytest.raises(WorkersError, match="reads other rows"):
            job()

    def test_refuses_a_model_that_is_another_one_there(self, job: RangeJob) -> None:
        other = replace(job, order=replace(job.order, run="another", model="0" * 64))
        with pytest.raises(WorkersError, match=r"gets other files of version 1 from .* and here 000000000000"):
            other()

    def test_says_what_it_cannot_read(self, job: RangeJob, store: Store, project: Project) -> None:
        store.delete(f"{project.name}/batches/{BEGIN}/rows.parquet")
        with pytest.raises(BatchError, match="put its rows there"):
            job()

    def test_keeps_a_version_until_nobody_has_asked_for_long(
        self, job: RangeJob, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        timers: list[tuple[float, Callable[..., None], tuple[Any, ...]]] = []

        class Timer:
            daemon = False

            def __init__(self, seconds: float, end: Callable[..., None], given: tuple[Any, ...]) -> None:
                timers.append((seconds, end, given))

            def start(self) -> None: ...

            def cancel(self) -> None: ...

        monkeypatch.setattr(kept_versions.threading, "Timer", Timer)
        job()
        job()
        kept = kept_versions._kept[job.order.run].versions  # noqa: SLF001
        process = kept.load(job.order.version, champion=True).process
        first, last = timers
        first[1](*first[2])  # too late to be cancelled
        assert job.order.run in kept_versions._kept  # noqa: SLF001
        last[1](*last[2])
        assert job.order.run not in kept_versions._kept  # noqa: SLF001
        assert process is not None
        assert process._status is not None  # noqa: SLF001

    def test_what_travels_is_small_and_holds_no_model(self, twice: Twice) -> None:
        twice.scored(some_parcels())
        assert twice.workers.most_bytes < 10_000
