"""What other systems read to know who leads: projected from the log, found out when it was moved, and put right."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from weeks import BEGIN, InterferingStore, SpyStore, everything, found, week

from tasks.base.project import Project
from tasks.decisions.promotion import roll_back
from tasks.models.registry import Registry
from tasks.reigns import Reign, commit, head, reign_after, reigns
from tasks.reigns.projections import repair_projections
from tasks.store import Store, keeping

LIVE = "parcels/mlflow/parcels/live_model_run"
HISTORY = "parcels/mlflow/parcels/live_model_run_history"


@pytest.fixture(autouse=True)
def versions(register: Callable[..., str]) -> None:
    for column in ("x1", "x2", "x3"):
        register(column)


def promoted(store: Store, registry: Registry, project: Project, version: str, decision: str) -> Reign:
    before = head(store, project.name)
    reign = reign_after(
        before, version=version, run_id=registry.version(version).run_id, since=before.since, kind="promotion",
        decision=decision, author="dethrone", reason="proven better",
    )  # fmt: skip
    return commit(store, project.name, reign)


@pytest.fixture
def log(store: Store, registry: Registry, project: Project) -> list[Reign]:
    """Reigns of versions 1, 2, 3 and, rolled back, 2."""
    found(store, registry, project)
    promoted(store, registry, project, "2", "decision-a")
    promoted(store, registry, project, "3", "decision-b")
    roll_back(store, registry, project.name, since=BEGIN, author="ada", reason="regret")
    return reigns(store, project.name)


def test_without_a_champion_nothing_is_projected(store: Store, registry: Registry, project: Project) -> None:
    assert repair_projections(store, registry, project.name) == []
    assert everything(store, project) == {}
    assert registry.aliases() == {}


def test_the_first_champion_has_no_predecessor(store: Store, registry: Registry, project: Project) -> None:
    reign = found(store, registry, project)
    corrected = repair_projections(store, registry, project.name)
    assert store.read(LIVE) == reign.run_id.encode()
    assert store.read(HISTORY) == b""
    assert registry.aliases() == {"champion": "1"}
    assert corrected == [
        "live_model_run",
        "live_model_run_history",
        "index.md",
        "alias champion: none -> 1",
        "tags of version 1",
    ]


def test_the_pointer_holds_the_champion_and_the_history_its_predecessors_newest_first(
    store: Store, registry: Registry, project: Project, log: list[Reign]
) -> None:
    repair_projections(store, registry, project.name)
    runs = {v: registry.version(v).run_id for v in "123"}
    assert len(set(runs.values())) == 3
    assert store.read(LIVE).decode() == runs["2"]
    assert store.read(HISTORY).decode().split("\n") == [runs["3"], runs["2"], runs["1"]]


def test_the_aliases_name_the_champion_and_the_one_before(
    store: Store, registry: Registry, project: Project, log: list[Reign]
) -> None:
    repair_projections(store, registry, project.name)
    assert registry.aliases() == {"champion": "2", "previous": "3"}


def test_the_tags_of_every_champion_name_its_last_reign_and_what_it_rests_on(
    store: Store, registry: Registry, project: Project, log: list[Reign], register: Callable[..., str]
) -> None:
    never = register("x4")
    repair_projections(store, registry, project.name)
    tags = {v: registry.version(v).tags for v in "123"}
    assert {v: (t["dethrone.reign"], t["dethrone.decision"]) for v, t in tags.items()} == {
        "1": ("1", "enthronement"),
        "2": ("4", "rollback"),
        "3": ("3", "decision-b"),
    }
    assert tags["1"]["threshold"] == "0.5"
    assert not [t for t in registry.version(never).tags if t.startswith("dethrone.")]


def test_a_second_run_finds_nothing_to_put_right(
    store: Store, registry: Registry, project: Project, log: list[Reign]
) -> None:
    assert repair_projections(store, registry, project.name) != []
    before = everything(store, project)
    assert repair_projections(store, registry, project.name) == []
    assert everything(store, project) == before


def test_an_alias_that_somebody_moved_is_put_right_and_reported(
    store: Store, registry: Registry, project: Project, log: list[Reign]
) -> None:
    repair_projections(store, registry, project.name)
    registry.set_alias("champion", "1")
    registry.set_alias("previous", None)
    registry.set_alias("canary", "1")
    assert repair_projections(store, registry, project.name) == [
        "alias champion: 1 -> 2 (it had been moved by hand)",
        "alias previous: none -> 3",
    ]
    assert registry.aliases() == {"champion": "2", "previous": "3", "canary": "1"}


def test_a_previous_that_nobody_was_is_removed(store: Store, registry: Registry, project: Project) -> None:
    found(store, registry, project)
    registry.set_alias("previous", "2")
    assert "alias previous: 2 -> none (it had been moved by hand)" in repair_projections(store, registry, project.name)
    assert registry.aliases() == {"champion": "1"}


def test_a_tag_that_somebody_changed_is_put_right_and_reported(
    store: Store, registry: Registry, project: Project, log: list[Reign]
) -> None:
    repair_projections(store, registry, project.name)
    registry.set_tags("3", {"dethrone.reign": "4"})
    assert repair_projections(store, registry, project.name) == ["tags of version 3"]
    assert registry.version("3").tags["dethrone.reign"] == "3"


@pytest.mark.parametrize("key", [LIVE, HISTORY])
@pytest.mark.parametrize("harm", ["missing", "edited", "no text"])
def test_an_object_that_is_not_as_the_log_says_is_put_right_and_reported(
    store: Store, registry: Registry, project: Project, log: list[Reign], key: str, harm: str
) -> None:
    repair_projections(store, registry, project.name)
    right = store.read(key)
    if harm == "missing":
        store.delete(key)
    else:
        store.write(key, b"somebody's run" if harm == "edited" else b"\xff\xfe")
    assert repair_projections(store, registry, project.name) == [key.rpartition("/")[2]]
    assert store.read(key) == right


def test_a_crash_between_commit_and_projection_is_healed(
    store: Store, registry: Registry, project: Project, log: list[Reign]
) -> None:
    """It is the next run, of whatever flow, that writes what the crashed one did not."""
    repair_projections(store, registry, project.name)
    reign = promoted(store, registry, project, "1", "decision-c")
    assert store.read(LIVE) != reign.run_id.encode()
    repair_projections(store, registry, project.name)
    assert store.read(LIVE) == reign.run_id.encode()
    assert registry.aliases() == {"champion": "1", "previous": "2"}


def test_a_flow_can_leave_the_pointers_or_the_page_to_another(
    store: Store, registry: Registry, project: Project, log: list[Reign]
) -> None:
    """But for a wrong page, after which a crash may have left wrong pointers."""
    page, name = "parcels/reports/index.md", project.name
    assert repair_projections(store, registry, name, pointers=False)[:3] == [
        "live_model_run",
        "live_model_run_history",
        "index.md",
    ]
    store.write(LIVE, b"edited")
    assert repair_projections(store, registry, name, pointers=False) == []
    store.write(page, b"edited")
    assert repair_projections(store, registry, name, page=False) == ["live_model_run"]
    store.write(HISTORY, b"edited")
    assert repair_projections(store, registry, name, pointers=False) == ["live_model_run_history", "index.md"]
    assert repair_projections(store, registry, name) == []


def test_a_run_that_listed_the_log_long_ago_does_not_undo_what_another_projected_since(
    store: Store, registry: Registry, project: Project, log: list[Reign]
) -> None:
    spy = SpyStore(store)
    run = keeping(spy)
    assert head(run, project.name) == log[-1]
    promoted(store, registry, project, "1", "decision-c")
    repair_projections(store, registry, project.name)
    assert head(run, project.name) == log[-1]
    assert repair_projections(run, registry, project.name) == []
    assert spy.written == []


def test_a_reign_that_begins_meanwhile_is_projected_too(
    store: Store, registry: Registry, project: Project, log: list[Reign]
) -> None:
    moving = InterferingStore(store, LIVE, lambda: promoted(store, registry, project, "1", "decision-c"))
    repair_projections(moving, registry, project.name)
    assert head(store, project.name).version == "1"
    assert store.read(LIVE).decode() == registry.version("1").run_id
    assert registry.aliases() == {"champion": "1", "previous": "2"}


def test_the_projection_never_touches_the_log(
    store: Store, registry: Registry, project: Project, log: list[Reign]
) -> None:
    repair_projections(store, registry, project.name)
    assert reigns(store, project.name) == log
    assert log[-1].since < week(1)


def test_a_version_that_was_deleted_from_the_registry_stops_nothing(
    log: list[Reign], store: Store, registry: Registry, project: Project
) -> None:
    """Its alias and tags cannot be written, and that is said; all the rest is."""
    from mlflow import MlflowClient

    MlflowClient(project.mlflow).delete_model_version(project.model, "3")
    said = repair_projections(store, registry, project.name)
    assert store.read(LIVE).decode() == log[-1].run_id
    assert registry.aliases() == {"champion": "2"}
    impossible = [item for item in said if "not possible" in item]
    assert len(impossible) == 2
    assert all(f"no version 3 of the model '{project.model}'" in item for item in impossible)
