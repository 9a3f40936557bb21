"""Decisions over many batches: their records stay small, later looks go on from them, and every file in a run is checked."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from weeks import BETTER, WrappedStore, found, look_on, play_week, week

from analysis.policy import Policy
from tasks.base.errors import DamagedError
from tasks.base.project import Project
from tasks.decisions import batch_runs, save_decision
from tasks.decisions.batch_runs import entries_of, in_runs, keep_runs, number_of_batches
from tasks.decisions.verification import verify_all, verify_decision
from tasks.models.registry import Registry
from tasks.store import Store, keeping


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=Policy(n_resamples=1000))


@pytest.fixture
def played(
    store: Store, registry: Registry, project: Project, register: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> Store:
    """Five weeks with a look after the third and after the fifth, in runs of two batches, and a roll-up after each."""
    monkeypatch.setattr(batch_runs, "RUN", 2)
    register("x1")
    register("x2")
    found(store, registry, project)
    for number in range(5):
        play_week(store, registry, project, number, BETTER)
        if number in (2, 4):
            seen = look_on(store, project, week(number + 2))
            assert seen is not None
            save_decision(store, project.name, seen)
            run = keeping(store)
            for key in (*store.keys("parcels/predictions"), *store.keys("parcels/tallies")):
                if key.endswith(".json"):
                    run.read(key)
                elif "tallies" in key:
                    run.frame(key)
            run.roll_up(project.name)
    return store


def record(store: Store, number: int) -> dict[str, object]:
    name = sorted(k for k in store.keys("parcels/decisions") if k.count("/") == 2)[number]
    value: dict[str, object] = json.loads(store.read(name))
    return value


class _Refusing(WrappedStore):
    def create(self, key: str, data: bytes) -> None:
        pytest.fail(f"{key} is there already, and {len(data)} bytes are written again")


@pytest.mark.parametrize("number", [0, 1, 63, 64, 65, 1000])
def test_entries_are_the_same_in_runs_and_few_are_named(store: Store, number: int) -> None:
    entries = [{"batch": str(i), "files": {f"p/tallies/{i}.parquet": "0" * 64}} for i in range(number)]
    named, runs = in_runs(entries)
    keep_runs(store, "p", runs)
    keep_runs(_Refusing(store), "p", runs)
    assert entries_of(store, "p", named) == entries
    assert number_of_batches(named) == number
    assert len(named) <= number // 64 + 63


def test_a_look_goes_on_from_the_runs_of_the_last_one(played: Store, project: Project) -> None:
    first, second = (record(played, i)["basis"]["batches"] for i in (0, 1))  # type: ignore[index]
    assert [set(b) for b in first] == [{"run", "batches"}, {"batch", "date", "files"}]
    assert [set(b) for b in second] == [{"run", "batches"}, {"run", "batches"}, {"batch", "date", "files"}]
    in_order = [e["batch"] for e in entries_of(played, project.name, second)]
    assert in_order == [str(week(n)) for n in range(5)]
    again = look_on(played, project, week(6))
    assert again is not None
    assert again.record == record(played, 1)
    assert verify_all(played, project.name) == []


@pytest.mark.parametrize("harm", ["changed", "missing"])
def test_a_run_that_is_not_what_was_recorded_is_found(played: Store, project: Project, harm: str) -> None:
    (named, *_) = record(played, 1)["basis"]["batches"]  # type: ignore[index]
    key = f"parcels/decisions/batches/{named['run']}.json"
    data = played.read(key)
    played.delete(key)
    if harm == "changed":
        played.write(key, data + b"\n")
    with pytest.raises(DamagedError, match=rf"{key} (is|was) {harm}; restore it"):
        entries_of(played, project.name, [named])
    assert all(f"{key} " in fault for fault in verify_all(played, project.name))
    assert len(verify_all(played, project.name)) == 2  # a sentence for each decision that rests on it


def test_a_run_that_a_rollup_has_and_the_store_lost_is_missing(played: Store, project: Project) -> None:
    second = record(played, 1)
    keys = [f"parcels/decisions/batches/{b['run']}.json" for b in second["basis"]["batches"] if "run" in b]  # type: ignore[index]
    copies = keeping(played)
    for key in keys:
        copies.read(key)
    copies.roll_up(project.name)
    played.delete(keys[0])
    (fault,) = verify_decision(played, project.name, str(second["id"]))
    assert f"{keys[0]} is missing; restore it" in fault


def test_a_changed_file_in_a_run_is_found(played: Store, project: Project) -> None:
    key = "parcels/tallies/2024-01-07.parquet"
    played.write(key, b"changed")
    faults = verify_all(played, project.name)
    assert sum(f"{key}, which it rests on, was changed" in f for f in faults) == 2
    assert any("rollups" in f and f"another copy of {key}" in f for f in faults)


def test_what_a_rollup_has_and_the_store_lost_is_said(played: Store, project: Project) -> None:
    key = "parcels/tallies/2024-01-07.scores.parquet"
    played.delete(key)
    faults = verify_all(played, project.name)
    assert any(f"{key} is missing, of which parcels/rollups/" in f for f in faults)


def test_a_damaged_rollup_is_found_and_stops_nothing(played: Store, project: Project) -> None:
    (name, *_) = played.keys("parcels/rollups")
    played.write(name, b"nothing")
    assert verify_all(played, project.name) == [f"{name} is damaged; remove it"]
    again = look_on(played, project, week(6))
    assert again is not None
    assert again.record == record(played, 1)
