"""Verification: a verdict computed again to the last bit, and every edited, missing or reordered entry found."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from parcels import put_labels
from weeks import BETTER, EQUAL, WORSE, everything, found, judged, look_on, play_week, week

from analysis.policy import Policy
from analysis.tables.record import canonical_json, digest
from tasks.base.project import Project
from tasks.decisions import save_decision
from tasks.decisions.decision_log import DecisionLogError, append_entry, decision_ids, entries
from tasks.decisions.promotion import promote
from tasks.decisions.verification import taken_by_other_rules, verify_all, verify_decision
from tasks.models.registry import Registry
from tasks.store import Store

LOG = "parcels/decisions/log"


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=Policy(n_resamples=1000), segments=("region",))


@pytest.fixture
def versions(register: Callable[..., str]) -> None:
    register("x1")
    register("x2")


_PLAYED: dict[str, bytes] = {}


@pytest.fixture
def taken(request: pytest.FixtureRequest, store: Store, project: Project) -> list[str]:
    """Three decisions in a row, the last of which promotes; their ids. Played once, then laid down again."""
    if not _PLAYED:
        request.getfixturevalue("versions")
        _play(store, request.getfixturevalue("registry"), project)
        _PLAYED.update(everything(store, project))
    for key, data in _PLAYED.items():
        store.write(key, data)
    return [e.decision for e in entries(store, project.name)]


def _play(store: Store, registry: Registry, project: Project) -> None:
    found(store, registry, project)
    for number, counts in enumerate([BETTER] * 6):
        play_week(store, registry, project, number, counts)
        if number in (1, 2, 5):
            seen = look_on(store, project, week(number + 2))
            assert seen is not None
            save_decision(store, project.name, seen)
    promote(store, registry, project.name, seen.id)


def edit(store: Store, key: str, old: str, new: str) -> None:
    text = store.read(key).decode()
    assert text.count(old) >= 1
    store.write(key, text.replace(old, new, 1).encode())


def test_what_nobody_touched_is_the_same_to_the_last_bit(store: Store, project: Project, taken: list[str]) -> None:
    before = everything(store, project)
    for decision in taken:
        assert verify_decision(store, project.name, decision) == []
    assert verify_all(store, project.name) == []
    assert everything(store, project) == before


def test_the_policy_of_the_day_is_the_one_that_counts(store: Store, project: Project, taken: list[str]) -> None:
    """The project file may have changed since; labels that came later change nothing either."""
    stricter = project.model_copy(update={"policy": Policy(alpha=0.001, n_resamples=1000)})
    put_labels(store, project, [f"{week(0)}-0"], [0], week(2), name="correction")
    assert verify_all(store, stricter.name) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"verdict": "WAIT"', '"verdict": "PROMOTE"'),
        ('"seed": ', '"seed": 1'),
        ('"promote": null', '"promote": "2"'),
        ('"alpha": 0.05', '"alpha": 0.5'),
    ],
)
def test_an_edited_decision_is_found(store: Store, project: Project, taken: list[str], old: str, new: str) -> None:
    edit(store, f"parcels/decisions/{taken[0]}.json", old, new)
    (fault,) = verify_all(store, project.name)
    assert fault == f"decision {taken[0]}: its record was changed after it was entered in the log"


def test_a_decision_edited_together_with_its_entry_breaks_the_log(
    store: Store, project: Project, taken: list[str]
) -> None:
    key = f"parcels/decisions/{taken[0]}.json"
    edit(store, key, '"verdict": "WAIT"', '"verdict": "RETIRE"')
    store.delete(f"{LOG}/00000001.json")
    store.write(
        f"{LOG}/00000001.json",
        canonical_json({"number": 1, "decision": taken[0], "sha256": "0" * 64, "predecessor": None}),
    )
    assert "entry 2 is missing or was changed" in verify_all(store, project.name)[0]


@pytest.mark.usefixtures("versions")
def test_a_verdict_that_does_not_follow_from_its_inputs_is_found(
    store: Store, registry: Registry, project: Project
) -> None:
    """A forged record that is entered in the log like a real one: only computing it again tells."""
    taken = judged(store, registry, project, EQUAL)
    forged = json.loads(canonical_json(taken.record))
    assessment = forged["judgement"]["assessments"][0]
    forged["id"], forged["promote"], forged["judgement"]["promote"], assessment["verdict"] = (
        "forged",
        "2",
        "2",
        "PROMOTE",
    )
    store.create("parcels/decisions/forged.json", canonical_json(forged))
    append_entry(store, project.name, "forged", canonical_json(forged), new=True)
    (fault,) = verify_decision(store, project.name, "forged")
    assert fault.startswith("decision forged: its policy, tallies and seed give another judgement now")
    assert verify_decision(store, project.name, taken.id) == []


@pytest.mark.usefixtures("versions")
def test_settings_that_are_no_more_do_not_stop_a_decision_from_being_checked(
    store: Store, registry: Registry, project: Project
) -> None:
    """Unset, they decided nothing; an order of preference that was set may have chosen the winner, so it is told."""
    taken = judged(store, registry, project, EQUAL)
    for decision, prefer in (("unset", []), ("preferred", ["2"])):
        old = json.loads(canonical_json(taken.record))
        old["id"] = decision
        old["basis"]["policy"] |= {"prefer": prefer, "planned_win_share": None}
        old["evidence_digest"] = digest(old["basis"])
        store.create(f"parcels/decisions/{decision}.json", canonical_json(old))
        append_entry(store, project.name, decision, canonical_json(old), new=True)
        assert verify_decision(store, project.name, decision) == []
    assert taken_by_other_rules(store, project.name) == [
        "decision preferred was taken with the setting 'prefer', which is no more"
    ]


@pytest.mark.parametrize("kind", ["tallies", "predictions"])
def test_changed_inputs_are_named(store: Store, project: Project, taken: list[str], kind: str) -> None:
    key = next(
        k for k in store.keys(f"parcels/{kind}") if str(week(1)) in k and (kind == "tallies" or k.endswith(".json"))
    )
    store.write(key, store.read(key) + b" ")
    faults = verify_all(store, project.name)
    assert len(faults) == 3
    assert faults[0] == f"decision {taken[0]}: {key}, which it rests on, was changed"
    store.delete(key)
    assert verify_all(store, project.name)[0] == f"decision {taken[0]}: {key}, which it rests on, is missing"


def test_missing_decisions_and_such_that_were_never_entered_are_found(
    store: Store, project: Project, taken: list[str]
) -> None:
    data = store.read(f"parcels/decisions/{taken[1]}.json")
    store.delete(f"parcels/decisions/{taken[1]}.json")
    store.write("parcels/decisions/2024-01-01-stray.json", data)
    faults = verify_all(store, project.name)
    assert f"decision {taken[1]} is in the log, and its record is missing" in faults
    assert "decision 2024-01-01-stray is not in the log of decisions" in faults


@pytest.mark.parametrize("number", [1, 2])
def test_a_missing_entry_of_the_log_is_found(store: Store, project: Project, taken: list[str], number: int) -> None:
    store.delete(f"{LOG}/{number:08}.json")
    assert f"entry {number} is missing or was changed" in verify_all(store, project.name)[0]


def test_an_entry_under_another_number_is_found(store: Store, project: Project, taken: list[str]) -> None:
    """Also where it is the only one: its content says that it is the first."""
    only = store.read(f"{LOG}/00000001.json")
    for number in (1, 2, 3):
        store.delete(f"{LOG}/{number:08}.json")
    store.write(f"{LOG}/00000002.json", only)
    assert "entry 1 is missing or was changed" in verify_all(store, project.name)[0]


def test_reordered_entries_are_found(store: Store, project: Project, taken: list[str]) -> None:
    first, second = (store.read(f"{LOG}/0000000{n}.json") for n in (1, 2))
    store.write(f"{LOG}/00000001.json", second)
    store.write(f"{LOG}/00000002.json", first)
    assert "entry 1 is missing or was changed" in verify_all(store, project.name)[0]


def test_what_is_no_entry_is_told(store: Store, project: Project, taken: list[str]) -> None:
    store.write(f"{LOG}/00000002.json", b"{")
    with pytest.raises(
        DecisionLogError, match=r"00000002\.json cannot be read as an entry of the log of decisions; restore it"
    ):
        entries(store, project.name)


def test_a_reign_that_its_decision_does_not_call_for_is_found(store: Store, project: Project, taken: list[str]) -> None:
    edit(store, "parcels/reigns/00000002.json", f'"decision": "{taken[2]}"', f'"decision": "{taken[1]}"')
    (fault,) = verify_all(store, project.name)
    assert fault == f"reign 2 made version 2 champion; its decision {taken[1]} promotes None"
    edit(store, "parcels/reigns/00000002.json", f'"decision": "{taken[1]}"', '"decision": "no-such"')
    assert verify_all(store, project.name) == ["reign 2 rests on decision no-such, which is missing"]


def test_a_reign_log_with_a_gap_is_found(store: Store, project: Project, taken: list[str]) -> None:
    store.delete("parcels/reigns/00000001.json")
    assert "entry 1 is missing or was changed" in verify_all(store, project.name)[-1]


class TestLog:
    def test_every_decision_is_entered_once_in_the_order_taken(
        self, store: Store, project: Project, taken: list[str]
    ) -> None:
        log = entries(store, project.name)
        assert [e.decision for e in log] == taken
        assert [e.number for e in log] == [1, 2, 3]
        assert decision_ids(store, project.name) == sorted(taken)

    @pytest.mark.usefixtures("versions")
    def test_a_crash_before_the_entry_is_healed_by_recording_again(
        self, store: Store, registry: Registry, project: Project
    ) -> None:
        taken = judged(store, registry, project, WORSE)
        store.delete(f"{LOG}/00000001.json")
        assert save_decision(store, project.name, taken) is False
        assert [e.decision for e in entries(store, project.name)] == [taken.id]
        assert save_decision(store, project.name, taken) is False
        assert len(entries(store, project.name)) == 1
