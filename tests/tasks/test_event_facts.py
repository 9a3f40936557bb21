"""What a decision, a failure or a change of champion tells, once for what happened, and how automations can match it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parcels import decisions_frame
from weeks import BETTER, EQUAL, WORSE, found, judged, look_on, play_rows, play_week, week

from analysis.policy import Policy
from tasks.base.project import Project
from tasks.batches.arrivals import overdue_since
from tasks.batches.failures import Failure
from tasks.decisions import record_before, save_decision
from tasks.decisions.promotion import promote, roll_back
from tasks.events import (
    FAILED,
    INVALID,
    LATE,
    NAMES,
    PROMOTED,
    RETIRED,
    ROLLED_BACK,
    WAITING,
    approval_waiting,
    challengers_failed,
    champion_changed,
    decision_events,
    no_batch_came,
)  # fmt: skip
from tasks.models.registry import Registry
from tasks.reigns import reigns
from tasks.store import Store

DAY = timedelta(days=1)
WEEKLY = [week(n) for n in range(5)]


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=Policy(n_resamples=1000))


@pytest.fixture(autouse=True)
def versions(two: None) -> None:
    """Version 1 reads x1, version 2 reads x2."""


def told(store: Store, project: Project, day: date) -> list[str]:
    """The names of what a recorded look on this day tells, with what they are about."""
    look = look_on(store, project, day)
    assert look is not None
    if not save_decision(store, project.name, look):
        return []
    events = decision_events(project, look, record_before(store, project.name, look.reign, look.id))
    return [f"{e.name} {e.challenger or e.batch}" for e in events]


def test_a_challenger_that_is_retired_is_told_at_the_first_look_that_finds_it(
    store: Store, registry: Registry, project: Project
) -> None:
    found(store, registry, project)
    seen = []
    for number in range(8):
        play_week(store, registry, project, number, WORSE)
        seen.append(told(store, project, week(number) + 15 * DAY))
    assert [names for names in seen if names] == [[f"{RETIRED} 2"]]
    assert told(store, project, week(7) + 15 * DAY) == [], "the same decision"


def test_a_batch_that_closes_without_a_label_is_told_once(store: Store, registry: Registry, project: Project) -> None:
    found(store, registry, project)
    for number in range(3):
        play_week(store, registry, project, number, EQUAL)
    frame = decisions_frame(EQUAL, prefix="late-")
    nothing = play_rows(store, registry, project, 3, frame.with_columns(label=None))
    assert nothing.batch == "2024-01-28"
    assert f"{LATE} 2024-01-28" not in told(store, project, week(2) + 15 * DAY)
    assert told(store, project, week(3) + 15 * DAY).count(f"{LATE} 2024-01-28") == 1
    play_week(store, registry, project, 4, EQUAL)
    assert f"{LATE} 2024-01-28" not in told(store, project, week(4) + 15 * DAY)


def test_evidence_that_cannot_be_used_is_told_with_its_reason(
    store: Store, registry: Registry, project: Project
) -> None:
    """The labels of the positives that only version 1 found never come."""
    found(store, registry, project)
    for number in range(6):
        frame = decisions_frame(EQUAL, prefix=f"{week(number)}-")
        lost = (frame["label"] == 1) & (frame["x1"] > 0) & (frame["x2"] < 0)
        play_rows(
            store, registry, project, number, frame.with_columns(label=pl.when(lost).then(None).otherwise("label"))
        )
    look = look_on(store, project, week(6) + 15 * DAY)
    assert look is not None
    (event,) = [e for e in decision_events(project, look, None) if e.name == INVALID]
    (assessment,) = look.judgement.assessments
    assert event.sentence == f"The evidence on version 2 of parcels cannot be used: {'; '.join(assessment.reasons)}."
    assert decision_events(project, look, look.record) == [], "the decision before it found the same"


def test_a_promotion_and_a_rollback_name_who_led_and_who_leads(
    store: Store, registry: Registry, project: Project
) -> None:
    taken = judged(store, registry, project, BETTER)
    promote(store, registry, project.name, taken.id)
    roll_back(store, registry, project.name, since=week(6), author="risk", reason="complaints")
    up, down = (champion_changed(project, before, after) for before, after in pairwise(reigns(store, project.name)))
    assert (up.name, up.champion, up.challenger, up.decision) == (PROMOTED, "1", "2", taken.id)
    assert up.sentence.startswith(
        "Version 2 takes over from version 1 in parcels since 2024-02-11, by dethrone: proven "
    )
    assert (down.name, down.champion, down.challenger, down.decision) == (ROLLED_BACK, "2", "1", None)
    assert (
        down.sentence == "Version 1 leads again instead of version 2 in parcels since 2024-02-18, by risk: complaints."
    )
    assert up.id(project) != down.id(project)
    assert up.id(project) == champion_changed(project, *reigns(store, project.name)[:2]).id(project)


def test_the_payload_says_all_and_the_resources_can_be_matched(
    store: Store, registry: Registry, project: Project
) -> None:
    taken = judged(store, registry, project, BETTER)
    event = approval_waiting(project, taken, "It waits\nfor approval.")
    assert event.payload(project, "http://prefect/runs/1") == {
        "project": "parcels",
        "sentence": "Version 2 is to take over from version 1 in parcels. It waits for approval.",
        "champion": "1",
        "challenger": "2",
        "decision": taken.id,
        "batch": None,
        "day": str(week(5)),
        "report": f"{project.store}/parcels/reports/{taken.id}/report.md",
        "page": "http://prefect/runs/1",
    }
    assert event.name == WAITING
    assert {(r["prefect.resource.role"], r["prefect.resource.id"]) for r in event.related(project)} == {
        ("champion", "dethrone.project.parcels.version.1"),
        ("challenger", "dethrone.project.parcels.version.2"),
        ("decision", f"dethrone.project.parcels.decision.{taken.id}"),
    }


def test_failures_are_one_event_a_version_and_a_long_sentence_is_cut(project: Project) -> None:
    long = Failure("3", "2024-01-14", f"failed to score: {'x' * 1000}", 1, 2)
    first, second = challengers_failed(
        project, "1", [Failure("2", "2024-01-14", "failed to load: Y", 2, 2), long], week(1)
    )
    assert (first.name, first.champion, first.challenger, first.batch) == (FAILED, "1", "2", "2024-01-14")
    assert first.sentence == "Version 2 of parcels failed in 2 of 2 batches, last in 2024-01-14: it failed to load: Y."
    said = second.payload(project, None)["sentence"]
    assert said is not None
    assert len(said) == 601


def test_the_page_on_events_has_every_name_and_every_key(project: Project) -> None:
    page = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
    keys = no_batch_came(project, "1", week(1), week(2)).payload(project, None)
    assert [word for word in (*NAMES, *keys) if f"| `{word}` |" not in page] == []


class TestOverdue:
    def test_one_is_due_a_longest_gap_after_the_newest(self) -> None:
        due = week(5)
        assert overdue_since(WEEKLY, due) is None, "its day is not over"
        assert overdue_since(WEEKLY, due + DAY) == due
        event = no_batch_came(
            Project(name="p", store="/s", mlflow="m", model="m", maturity_days=1), "1", due, due + DAY
        )
        assert event.sentence == "p has no new batch: going by those before, one was due by 2024-02-11."
        late = [d for d in WEEKLY if d != week(2)]
        assert overdue_since(late, due + DAY) is None, "one of the weeks was left out before"

    def test_it_takes_three_gaps_and_a_project_that_rests_is_left_alone(self) -> None:
        assert overdue_since(WEEKLY[:3], week(9)) is None
        assert overdue_since([], week(9)) is None
        assert overdue_since(WEEKLY, week(8)) == week(5)
        assert overdue_since(WEEKLY, week(8) + DAY) is None

    @given(st.sets(st.dates(date(2024, 1, 1), date(2024, 12, 31)), min_size=4, max_size=30), st.integers(0, 400))
    def test_never_while_the_gap_is_one_that_was_seen_lately(self, days: set[date], later: int) -> None:
        newest = max(days)
        today = newest + later * DAY
        gaps = [b - a for a, b in pairwise(sorted(days)[-9:])]
        due = overdue_since(days, today)
        if today - newest <= max(gaps):
            assert due is None
        elif due is not None:
            assert newest < due < today
