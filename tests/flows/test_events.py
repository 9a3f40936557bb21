"""What the flows tell Prefect: once for what happened, with what a message needs, and never at the cost of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from parcels import register_version
from prefect.events import Event
from prefect.events.clients import AssertingEventsClient
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, PREFECT_EVENTS_MAXIMUM_SIZE_BYTES, temporary_settings

from flows.enthrone import enthrone
from flows.judge import judge
from flows.promote import promote
from flows.rollback import rollback
from flows.score import score
from tasks.base.project import Project, load_project
from tasks.decisions import all_records
from tasks.events import no_batch_came, tell
from tasks.store import Store

pytestmark = pytest.mark.usefixtures("prefect_server")

LATER = date(2024, 2, 26)
Told = Callable[[], list[Event]]


@pytest.fixture(autouse=True)
def projects(parcels: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DETHRONE_PROJECTS", str(parcels))
    return parcels


@pytest.fixture
def told() -> Iterator[Told]:
    """What Prefect was told of ours since it was asked last, noted by the client that Prefect has for tests."""
    AssertingEventsClient.reset()
    EventsWorker.set_client_override(AssertingEventsClient)
    worker = EventsWorker.instance()

    def since() -> list[Event]:
        worker.wait_until_empty()
        new = [e for client in AssertingEventsClient.all for e in client.pop_events()]
        return [e for e in new if e.event.startswith("dethrone.")]

    yield since
    worker.drain()
    EventsWorker.set_client_override(None)


@pytest.fixture
def scored(told: Told) -> None:
    enthrone("parcels", "1", author="test", as_of=date(2024, 1, 1))
    score("parcels", as_of=date(2024, 2, 12))
    assert told() == []


def test_a_promotion_is_told_once_with_versions_decision_sentence_and_links(
    scored: None, told: Told, store: Store, project: Project
) -> None:
    judge("parcels", as_of=LATER, dry_run=True)
    assert told() == []
    judge("parcels", as_of=LATER)
    (event,) = told()
    (decision,) = all_records(store, project.name)
    assert event.event == "dethrone.champion.promoted"
    assert event.resource.id == "dethrone.project.parcels"
    payload, said = event.payload, f"since {LATER}, by dethrone: proven better than version 1."
    assert {k: payload[k] for k in ("project", "champion", "challenger", "decision", "day")} == {
        "project": "parcels", "champion": "1", "challenger": "2", "decision": decision["id"], "day": str(LATER),
    }  # fmt: skip
    assert payload["sentence"] == f"Version 2 takes over from version 1 in parcels {said}"
    assert payload["report"].removeprefix(f"{project.store}/") in store.keys("parcels/reports")
    run = event.resource_in_role["flow-run"]
    assert payload["page"].endswith(f"/flow-runs/flow-run/{run.id.removeprefix('prefect.flow-run.')}")

    judge("parcels", as_of=LATER)
    promote("parcels", decision["id"])
    assert told() == []

    rollback("parcels", author="risk", reason="complaints", as_of=LATER)
    (event,) = told()
    assert (event.event, event.payload["champion"], event.payload["challenger"]) == (
        "dethrone.champion.rolled-back",
        "2",
        "1",
    )


def test_a_challenger_that_fails_is_told_once_a_run_and_not_by_a_run_that_scores_nothing(
    told: Told, project: Project
) -> None:
    register_version(project, "x1", threshold=None)
    enthrone("parcels", "1", author="test", as_of=date(2024, 1, 1))
    score("parcels", as_of=date(2024, 1, 14))
    (event,) = told()
    assert (event.event, event.payload["challenger"], event.payload["batch"]) == (
        "dethrone.challenger.failed",
        "3",
        "2024-01-14",
    )
    assert (
        "failed in 2 of 2 batches, last in 2024-01-14: it failed to load: version 3 has no tag"
        in event.payload["sentence"]
    )
    score("parcels", as_of=date(2024, 1, 14))
    score("parcels", batch="2024-01-14")
    assert told() == []


def test_a_batch_that_does_not_come_is_told(scored: None, told: Told) -> None:
    score("parcels", as_of=date(2024, 2, 18))
    assert told() == []
    score("parcels", as_of=date(2024, 2, 19))
    (event,) = told()
    assert (event.event, event.payload["day"]) == ("dethrone.batch.late", "2024-02-19")
    assert event.payload["sentence"] == "parcels has no new batch: going by those before, one was due by 2024-02-18."


def test_a_promotion_that_waits_for_approval_is_told_once_and_says_how_to_approve_it(
    scored: None, told: Told, projects: Path, store: Store
) -> None:
    with (projects / "parcels.yaml").open("a") as file:
        file.write("policy: {approval: required}\n")
    judge("parcels", as_of=LATER)
    (event,) = told()
    (decision,) = all_records(store, "parcels")
    assert (event.event, event.payload["decision"]) == ("dethrone.approval.waiting", decision["id"])
    assert f"python -m flows.promote parcels {decision['id']} --author YOU" in event.payload["sentence"]
    judge("parcels", as_of=LATER)
    assert told() == []
    promote("parcels", decision["id"], author="rita", reason="read the report")
    assert [e.event for e in told()] == ["dethrone.champion.promoted"]


def test_what_prefect_does_not_take_is_logged_and_a_temporary_server_is_told_nothing(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    project = load_project("parcels")
    late = no_batch_came(project, "1", LATER, LATER)
    with temporary_settings({PREFECT_EVENTS_MAXIMUM_SIZE_BYTES: 10}):
        tell(project, [late])
    assert "Prefect was not told of dethrone.batch.late: Event is too large to emit" in caplog.text
    with temporary_settings({PREFECT_API_URL: None}):
        tell(project, [late])
    assert told() == []
