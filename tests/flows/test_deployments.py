"""The deployments of prefect.yaml, on a real Prefect server with a real worker: a promotion, one that is approved, one that is denied."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
import yaml
from prefect_server import QUIET, ROOT, PrefectServer
from runs import Runs

from tasks.base.project import Project, load_project
from tasks.batches.listing import batches_in
from tasks.batches.scoring import score_batch
from tasks.decisions import all_records
from tasks.decisions.promotion import enthrone
from tasks.models.registry import Registry
from tasks.reigns import head, reigns
from tasks.reigns.approvals import Denial, denials
from tasks.reigns.history import history_text
from tasks.store import AlreadyThereError, Store

FIVE_BATCHES, SIX_BATCHES = date(2024, 2, 20), date(2024, 2, 27)  # days by which so many have closed
DENIED = "was denied by rita: the drop in precision is not explained"


def test_every_flow_has_a_deployment_and_every_deployment_is_one_of_a_flow_file_with_the_flows_name() -> None:
    content = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    flows = {f"flows/{p.name}" for p in (ROOT / "flows").glob("*.py")} - {"flows/__init__.py"}
    assert {d["entrypoint"].partition(":")[0] for d in content["deployments"]} == flows
    for deployment in content["deployments"]:
        path, _, name = deployment["entrypoint"].partition(":")
        assert Path(path).stem == name
        assert (ROOT / path).is_file()
        assert deployment["parameters"]["project"] == deployment["name"]
        assert (ROOT / "deployments" / f"{deployment['name']}.yaml").is_file()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """What README says of a server with a worker; both take seconds to start. Project files are read below its home."""
    home = tmp_path_factory.mktemp("prefect")
    running = PrefectServer(home, {**QUIET, "DETHRONE_PROJECTS": str(home), "PREFECT_WORKER_QUERY_SECONDS": "1"})
    try:
        running("work-pool", "create", "dethrone", "--type", "process")
        running("deploy", "--all")
        with running.worker("dethrone"):
            yield running
    finally:
        running.stop()


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    """One of the name that prefect.yaml deploys."""
    return make_project(name="flights")


@pytest.fixture
def runs(server: PrefectServer, parcels: Path, project: Project) -> Runs:
    """The runs of this project; those of the tests before are gone."""
    shutil.copy(parcels / "flights.yaml", server.home)
    runs = Runs(server, project.name)
    runs.delete_all()
    return runs


@pytest.fixture
def approved(parcels: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project as its file says, with approval; version 1 leads, and every batch is scored."""
    with (parcels / "flights.yaml").open("a") as file:
        file.write("policy: {approval: required, n_resamples: 1000}\n")
    monkeypatch.setenv("DETHRONE_PROJECTS", str(parcels))
    project = load_project("flights")
    registry = Registry(project)
    first = enthrone(
        store, registry, project.name, version="1", since=date(2024, 1, 7), author="ada", reason="the first"
    )
    for batch in batches_in(store, project.name):
        score_batch(store, registry, project, first, batch, date.fromisoformat(batch))
    return project


def everything(store: Store) -> dict[str, bytes]:
    return {key: store.read(key) for key in store.keys("flights") if "/rollups/" not in key}


@pytest.mark.slow
def test_the_deployments_score_judge_and_promote(
    runs: Runs, server: PrefectServer, store: Store, project: Project
) -> None:
    runs("enthrone", version="1", author="test", as_of="2024-01-07")
    runs("score", as_of="2024-03-01")
    runs("judge", as_of="2024-03-01")

    assert set(server.states().values()) == {"COMPLETED"}
    log = reigns(store, project.name)
    assert [(r.version, r.kind) for r in log] == [("1", "enthronement"), ("2", "promotion")]
    assert store.read("flights/mlflow/flights/live_model_run").decode() == log[-1].run_id


@pytest.mark.slow
def test_a_run_that_takes_too_long_is_ended_and_the_next_one_does_its_work(
    runs: Runs, store: Store, project: Project
) -> None:
    runs("enthrone", version="1", author="test", as_of="2024-01-07")
    assert runs.within(0.001, "score").startswith("TimedOut: Flow run exceeded timeout of 0.001 second(s)")
    assert store.keys("flights/predictions") == []
    assert runs("score").startswith("Completed: Scored: 2024-01-07, ")


@pytest.mark.slow
def test_a_promotion_that_needs_approval_waits_for_it_and_is_signed(
    approved: Project, runs: Runs, server: PrefectServer, store: Store
) -> None:
    """The judgement is over; a run of promote waits, suspended, and nothing is committed until somebody resumes it."""
    runs("judge", as_of=str(SIX_BATCHES))
    (decision,) = all_records(store, approved.name)
    run = runs.waiting(decision["id"])
    assert server.states()[run.name] == "PAUSED"
    assert len(reigns(store, approved.name)) == 1

    runs.answer(run, approve=True, author="rita", reason="read the report")
    assert set(server.states().values()) == {"COMPLETED"}
    promoted = head(store, approved.name)
    assert (promoted.number, promoted.version, promoted.author) == (2, "2", "rita")
    assert promoted.reason == "proven better than version 1; approved: read the report"


@pytest.mark.slow
def test_a_denial_is_kept_and_told_and_a_later_decision_alone_asks_again(
    approved: Project, runs: Runs, store: Store
) -> None:
    asked = runs("judge", as_of=str(FIVE_BATCHES))
    (first,) = (d["id"] for d in all_records(store, approved.name))
    assert asked.endswith(f"It waits for approval in the flow run promote {first}: resume it with a name and a reason.")
    run = runs.waiting(first)
    assert f"`flights/reports/{first}/report.md`" in runs.question(run.id)
    before = everything(store)

    # No denial without a name; with one, the run says who and why, and nothing else of the project has changed.
    assert runs.answer(run, approve=False, author="", reason="no").startswith("not taken: ")
    said = runs.answer(run, approve=False, author="rita", reason="the drop in precision\nis not explained")
    assert said == f"Completed: Of flights, decision {first} {DENIED}."
    kept, page = f"flights/approvals/{first}.json", "flights/reports/index.md"
    after = everything(store)
    assert {key for key in after if after[key] != before.get(key)} == {kept, page}
    assert after.keys() - {kept} == before.keys()
    assert denials(store, approved.name) == [Denial(first, "rita", "the drop in precision\nis not explained")]
    with pytest.raises(AlreadyThereError):
        store.create(kept, b"yes")
    assert [r.version for r in reigns(store, approved.name)] == ["1"]
    assert Registry(approved).aliases() == {"champion": "1"}
    shown = history_text(reigns(store, approved.name), denials(store, approved.name))
    assert shown.endswith(f"not approved: decision {first} {DENIED}")
    assert f"- Decision {first} {DENIED}" in after[page].decode().replace("\\", "")

    # It is the store that knows: without the run that was denied, nobody is asked again.
    runs.client.delete_flow_run(run.id)
    assert runs("judge", as_of=str(FIVE_BATCHES)).endswith(f" Decision {first} {DENIED}. A later decision asks again.")
    assert runs.asking(first) == []
    assert everything(store) == after

    # One batch later that is another decision, and its report shows what was denied.
    asked = runs("judge", as_of=str(SIX_BATCHES))
    _, second = (d["id"] for d in all_records(store, approved.name))
    assert asked.endswith(
        f"It waits for approval in the flow run promote {second}: resume it with a name and a reason."
    )
    report = store.read(f"flights/reports/{second}/report.md").decode().replace("\\", "")
    assert f"Promotions that were not approved:\n\n- Decision {first} {DENIED}\n" in report

    # Whoever cancels the run that waits has denied nothing; once it is deleted, another one asks.
    run = runs.waiting(second)
    runs.cancel(run)
    by_hand = f"It waits for approval: python -m flows.promote flights {second} --author YOU --reason WHY"
    cancelled = f"The flow run promote {second}, in which it waited for approval, is cancelled. {by_hand}"
    assert runs("judge", as_of=str(SIX_BATCHES)).endswith(cancelled)
    runs.client.delete_flow_run(run.id)
    assert runs("judge", as_of=str(SIX_BATCHES)) == asked
    assert [other.id != run.id for other in runs.asking(second)] == [True]
    assert [d.decision for d in denials(store, approved.name)] == [first]
    assert [r.version for r in reigns(store, approved.name)] == ["1"]
