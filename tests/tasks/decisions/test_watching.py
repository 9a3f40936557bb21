"""The alarm on the champion: kept once, told by every look, and no part of a decision."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pytest
from weeks import BETTER, everything, found, look_on, play_week, week

from analysis.policy import Policy
from analysis.tables.counts import Undefined
from tasks.base.project import Project
from tasks.decisions.watching import alarm_sentence, keep_alarms, watched_in
from tasks.events import champion_decaying
from tasks.labels.tallying import close_batches
from tasks.models.registry import Registry
from tasks.reigns import head
from tasks.store import Store

NOW_MISSED = {(1, 1, 1): 10, (1, 0, 0): 90, (0, 0, 0): 200}


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=Policy(n_resamples=1000))


@pytest.mark.usefixtures("two")
def test_an_alarm_is_kept_once_and_told_as_long_as_its_year_lasts(
    store: Store, registry: Registry, project: Project
) -> None:
    found(store, registry, project)
    for number in range(10):
        play_week(store, registry, project, number, BETTER)
    quiet = close_batches(store, project, week(11))
    reign = head(store, project.name)
    assert keep_alarms(store, project, quiet, reign) == ([], [])
    decided = look_on(store, project, week(11))

    for number in range(10, 12):
        play_week(store, registry, project, number, NOW_MISSED)
    assert decided is not None
    again = look_on(store, project, week(11))
    assert again is not None
    assert again.record["evidence_digest"] == decided.record["evidence_digest"]
    first = close_batches(store, project, week(12))
    (rung,), new = keep_alarms(store, project, first, reign)
    assert new == [rung]
    event = champion_decaying(project, reign, rung)
    assert event.payload(project, None)["sentence"] == f"parcels: {alarm_sentence(reign, rung)}."
    assert (event.name, event.champion, str(event.day)) == ("dethrone.champion.decaying", "1", "2024-03-17")
    assert alarm_sentence(reign, rung) == (
        "ALARM: recall of version 1, the champion, has fallen below 0.589, what it had at least at first, when it was 0.630: "
        "it was 0.100 from 2024-03-17 to 2024-03-17, with which E reached 10^20"
    )
    kept = {k: v for k, v in everything(store, project).items() if "/alarms/" in k}
    (key,) = kept
    assert key == "parcels/alarms/00000001-recall-2024-03-17.json"
    value = json.loads(kept[key])
    assert (value["reign"], value["champion"], value["watched"]["alarmed"]) == (1, "1", "2024-03-17")
    assert len(value["batches"]) == 11

    later = close_batches(store, project, week(13))
    told, new = keep_alarms(store, project, later, reign)
    assert ([w.alarmed for w in told], new) == ([rung.alarmed], [])
    assert {k: v for k, v in everything(store, project).items() if "/alarms/" in k} == kept


@pytest.mark.usefixtures("two")
def test_the_batches_of_another_reign_say_nothing_of_this_champion(
    store: Store, registry: Registry, project: Project
) -> None:
    found(store, registry, project)
    for number in range(10):
        play_week(store, registry, project, number, BETTER)
    closed = close_batches(store, project, week(11))
    other = dataclasses.replace(head(store, project.name), number=2)
    assert watched_in(project, closed, other) == Undefined(
        "fewer than 9 closed batches of its reign have labels for it"
    )
