"""The promotion log: a chain of create-only entries, of which any number of writers make one at a time."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import date, timedelta
from typing import Any

import pytest
from racers import race, race_for_reigns
from weeks import BEGIN, InterferingStore, everything, week

from tasks.base.project import Project
from tasks.reigns import LogError, Reign, SupersededError, commit, head, judged_on, reign_after, reigns
from tasks.store import Store

PROCESSES, ROUNDS = 8, 5
DAY = timedelta(days=1)


def next_reign(before: Reign | None, version: str, since: date = BEGIN, **changes: Any) -> Reign:
    values = {
        "run_id": f"run-{version}", "kind": "promotion", "decision": "2024-01-07-abc", "author": "ada", "reason": "ü | <b>",
    }  # fmt: skip
    return reign_after(before, version=version, since=since, **{**values, **changes})


@pytest.fixture
def three(store: Store, project: Project) -> list[Reign]:
    """A log of three reigns: of versions 1, 2 and 1 again."""
    entries: list[Reign] = []
    for number, version in enumerate("121"):
        before = entries[-1] if entries else None
        entries.append(commit(store, project.name, next_reign(before, version, week(number))))
    return entries


def key(project: Project, number: int) -> str:
    return f"{project.name}/reigns/{number:08}.json"


class TestReading:
    def test_an_empty_log_has_no_head_and_says_how_to_get_one(self, store: Store, project: Project) -> None:
        assert reigns(store, project.name) == []
        with pytest.raises(
            LogError, match=r"no champion yet; name the first with: python -m flows.enthrone parcels VERSION"
        ):
            head(store, project.name)

    def test_the_log_comes_back_as_it_was_committed(self, store: Store, project: Project, three: list[Reign]) -> None:
        assert reigns(store, project.name) == three
        assert head(store, project.name) == three[-1]
        assert [r.number for r in three] == [1, 2, 3]
        assert store.keys(f"{project.name}/reigns") == [key(project, n) for n in (1, 2, 3)]

    def test_the_log_is_one_line_also_beyond_the_tenth_reign(self, store: Store, project: Project) -> None:
        before = None
        for number in range(12):
            before = commit(store, project.name, next_reign(before, str(number + 1)))
        assert [r.version for r in reigns(store, project.name)] == [str(n + 1) for n in range(12)]

    @pytest.mark.usefixtures("three")
    def test_a_champion_is_on_trial_from_the_day_after_its_reign_began(self, store: Store, project: Project) -> None:
        days = {week(1): 1, week(1) + DAY: 2, week(2): 2, week(2) + DAY: 3, week(50): 3}
        assert {day: judged_on(store, project.name, day).number for day in days} == days

    def test_the_first_champion_is_on_trial_from_the_first_day(
        self, store: Store, project: Project, three: list[Reign]
    ) -> None:
        assert judged_on(store, project.name, week(0)) == judged_on(store, project.name, week(-5)) == three[0]

    def test_nobody_is_on_trial_in_an_empty_log(self, store: Store, project: Project) -> None:
        with pytest.raises(LogError, match="has no champion yet"):
            judged_on(store, project.name, week(0))

    @pytest.mark.parametrize("missing", [1, 2])
    @pytest.mark.usefixtures("three")
    def test_a_gap_is_found(self, store: Store, project: Project, missing: int) -> None:
        store.delete(key(project, missing))
        with pytest.raises(
            LogError, match=rf"parcels/reigns: entry {missing} is missing or was changed; restore the log"
        ):
            reigns(store, project.name)

    @pytest.mark.parametrize("edited", [1, 2])
    @pytest.mark.parametrize(
        "change", [{"version": "3"}, {"since": "2024-01-08"}, {"author": "eve"}, {"run_id": ""}, {"number": 7}], ids=str
    )
    @pytest.mark.usefixtures("three")
    def test_an_edited_entry_is_found(
        self, store: Store, project: Project, edited: int, change: dict[str, Any]
    ) -> None:
        value = json.loads(store.read(key(project, edited)))
        assert change.items() - value.items(), "the edit changes nothing"
        store.write(key(project, edited), json.dumps({**value, **change}).encode())
        with pytest.raises(LogError, match=r"is missing or was changed; restore the log from a backup"):
            head(store, project.name)

    @pytest.mark.parametrize(
        "data",
        [b"", b"\xff\xfe", b"{", b"[]", b"null", b"{}", b'{"number": 2}', b'"text"'],
        ids=repr,
    )
    @pytest.mark.usefixtures("three")
    def test_what_is_no_entry_is_named(self, store: Store, project: Project, data: bytes) -> None:
        store.write(key(project, 2), data)
        with pytest.raises(
            LogError, match=re.escape(f"{key(project, 2)} cannot be read as an entry of the promotion log; restore")
        ):
            reigns(store, project.name)

    @pytest.mark.usefixtures("three")
    def test_an_entry_with_one_field_more_or_less_is_no_entry(self, store: Store, project: Project) -> None:
        value = json.loads(store.read(key(project, 3)))
        for wrong in ({**value, "more": 1}, {k: v for k, v in value.items() if k != "author"}):
            store.write(key(project, 3), json.dumps(wrong).encode())
            with pytest.raises(LogError, match="cannot be read as an entry"):
                reigns(store, project.name)


class TestFollowing:
    def test_a_reign_may_begin_on_the_day_of_the_one_before(self, three: list[Reign]) -> None:
        assert next_reign(three[-1], "2", three[-1].since).number == 4

    def test_a_reign_that_would_begin_before_the_one_before_is_refused(self, three: list[Reign]) -> None:
        sentence = r"a reign since 2024-01-20 cannot follow reign 3, which began on 2024-01-21; correct the date"
        with pytest.raises(LogError, match=sentence):
            next_reign(three[-1], "2", three[-1].since - DAY)


class TestCommitting:
    def test_committing_the_same_reign_again_changes_nothing(
        self, store: Store, project: Project, three: list[Reign]
    ) -> None:
        before = everything(store, project)
        assert commit(store, project.name, three[-1]) == three[-1]
        assert commit(store, project.name, three[0]) == three[0]
        assert everything(store, project) == before

    @pytest.mark.parametrize("change", [{"version": "2"}, {"author": "eve"}, {"decision": "other"}], ids=str)
    def test_another_reign_of_a_taken_number_is_refused_with_the_winner_s_name(
        self, store: Store, project: Project, three: list[Reign], change: dict[str, str]
    ) -> None:
        before = everything(store, project)
        late = dataclasses.replace(three[-1], **change)  # type: ignore[arg-type]
        sentence = (
            rf"reign 3 of project parcels already belongs to version 1 \(promotion by ada\); "
            rf"version {late.version} was not made champion"
        )
        with pytest.raises(SupersededError, match=sentence):
            commit(store, project.name, late)
        assert everything(store, project) == before

    def test_a_commit_whose_answer_was_lost_is_known_for_its_own(
        self, store: Store, project: Project, three: list[Reign]
    ) -> None:
        """The write landed, the client was told otherwise and tried again."""
        reign = next_reign(three[-1], "2", three[-1].since)
        landed = InterferingStore(store, key(project, 4), lambda: commit(store, project.name, reign))
        assert commit(landed, project.name, reign) == reign
        assert head(store, project.name) == reign

    def test_of_two_writers_the_second_is_told(self, store: Store, project: Project, three: list[Reign]) -> None:
        mine, theirs = (next_reign(three[-1], v, three[-1].since) for v in "23")
        contended = InterferingStore(store, key(project, 4), lambda: commit(store, project.name, theirs))
        with pytest.raises(SupersededError, match="already belongs to version 3"):
            commit(contended, project.name, mine)
        assert head(store, project.name) == theirs

    def test_of_many_processes_that_promote_at_once_one_wins_every_reign(self, store: Store, project: Project) -> None:
        said = dict(race(race_for_reigns, PROCESSES, project, ROUNDS))
        entries = reigns(store, project.name)
        assert len(entries) == ROUNDS
        for number, reign in enumerate(entries):
            assert [v for v, outcome in said.items() if outcome[number] == "won"] == [reign.version]
            assert sum(outcome[number] == "superseded" for outcome in said.values()) == PROCESSES - 1
