"""A promotion that somebody denies, on a real Prefect server with a real worker; and one whose waiting run is taken away."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Cancelling
from prefect_server import ROOT, PrefectServer

from tasks.base.project import Project, load_project
from tasks.batches.rows import batches_in
from tasks.batches.scoring import score_batch
from tasks.decisions import decisions
from tasks.decisions.promotion import enthrone
from tasks.models.registry import Registry
from tasks.reigns import reigns
from tasks.reigns.approvals import Denial, denials
from tasks.store import AlreadyThereError, Store

FIVE_BATCHES, SIX_BATCHES = date(2024, 2, 20), date(2024, 2, 27)  # days by which so many have closed
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
DENIED = "was denied by rita: the drop in precision is not explained"


class Runs:
    """The runs of the project's deployments, as a person starts, answers and removes them on Prefect's pages."""

    def __init__(self, prefect: PrefectServer) -> None:
        self._prefect, self.client = prefect, SyncPrefectClient(prefect.api)

    def judge(self, as_of: date) -> str:
        """What the run says in the end."""
        deployment = self.client.read_deployment_by_name("judge/parcels")
        run = self.client.create_flow_run_from_deployment(deployment.id, parameters={"as_of": str(as_of)})
        return self._message(run.id)

    def asking(self, decision: str) -> list[FlowRun]:
        """Those that were started to ask for approval of this decision."""
        named = FlowRunFilter(name=FlowRunFilterName(any_=[f"promote {decision}"]))
        return self.client.read_flow_runs(flow_run_filter=named)

    def waiting(self, decision: str) -> FlowRun:
        """The only one, once it is suspended and what the approver reads is there."""
        (run,) = self.asking(decision)
        self._prefect.wait_for(lambda: self.question(run.id), 120, lambda: self._found(run.id))
        return run

    def question(self, run_id: UUID) -> str:
        state = self.client.read_flow_run(run_id).state
        assert state
        keys = state.state_details.run_input_keyset
        with suppress(ObjectNotFound, PrefectHTTPStatusError):  # it is suspended a moment before they are there
            return self.client.read_flow_run_input(run_id, keys["description"]) if keys else ""
        return ""

    def answer(self, run: FlowRun, *, approve: bool, author: str, reason: str) -> str:
        """What the run says in the end, or why the answer is not taken."""
        said = {"approve": approve, "author": author, "reason": reason}
        result = self.client.resume_flow_run(run.id, run_input=said)
        if result.status != SetStateStatus.ACCEPT:
            return f"not taken: {result.details.reason}"  # type: ignore[union-attr]
        return self._message(run.id)

    def cancel(self, run: FlowRun) -> None:
        self.client.set_flow_run_state(run.id, Cancelling())
        self._message(run.id)

    def _message(self, run_id: UUID) -> str:
        def ended() -> bool:
            state = self.client.read_flow_run(run_id).state
            return state is not None and state.type.value in ENDED

        self._prefect.wait_for(ended, 120, lambda: self._found(run_id))
        state = self.client.read_flow_run(run_id).state
        assert state
        return f"{state.name}: {state.message}"

    def _found(self, run_id: UUID) -> str:
        return f"{self.client.read_flow_run(run_id).state} {self._prefect.log('worker.log')}"


@pytest.fixture
def approved(parcels: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project as its file says, with approval; version 1 leads, and every batch is scored."""
    with (parcels / "parcels.yaml").open("a") as file:
        file.write("policy: {approval: required, n_resamples: 1000}\n")
    monkeypatch.setenv("DETHRONE_PROJECTS", str(parcels))
    project = load_project("parcels")
    registry = Registry(project)
    first = enthrone(store, registry, project, version="1", since=date(2024, 1, 7), author="ada", reason="the first")
    for batch in batches_in(store, project.name):
        score_batch(store, registry, project, first, batch, date.fromisoformat(batch))
    return project


@pytest.fixture
def runs(approved: Project, prefect: PrefectServer, tmp_path: Path) -> Iterator[Runs]:
    """``judge`` and ``promote`` are deployed, and a worker carries out what comes."""
    content = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    chosen = [
        d for d in content["deployments"] if d["entrypoint"] in ("flows/judge.py:judge", "flows/promote.py:promote")
    ]
    for deployment in chosen:
        deployment |= {"name": approved.name, "parameters": {"project": approved.name}, "schedules": []}
    (tmp_path / "prefect.yaml").write_text(yaml.safe_dump({**content, "deployments": chosen}))
    prefect.environment["PREFECT_WORKER_QUERY_SECONDS"] = "1"
    prefect("work-pool", "create", "dethrone", "--type", "process")
    with prefect.worker("dethrone"):
        prefect("deploy", "--all", "--prefect-file", str(tmp_path / "prefect.yaml"))
        yield Runs(prefect)


def everything(store: Store) -> dict[str, bytes]:
    return {key: store.read(key) for key in store.keys("parcels")}


def test_a_denial_is_kept_and_told_and_a_later_decision_alone_asks_again(
    runs: Runs, prefect: PrefectServer, store: Store, approved: Project
) -> None:
    asked = runs.judge(FIVE_BATCHES)
    (first,) = (d["id"] for d in decisions(store, approved))
    assert asked.endswith(f"It waits for approval in the flow run promote {first}: resume it with a name and a reason.")
    run = runs.waiting(first)
    assert f"`parcels/reports/{first}/report.md`" in runs.question(run.id)
    before = everything(store)

    # No denial without a name; with one, the run says who and why, and nothing else of the project has changed.
    assert runs.answer(run, approve=False, author="", reason="no").startswith("not taken: ")
    said = runs.answer(run, approve=False, author="rita", reason="the drop in precision\nis not explained")
    assert said == f"Completed: Of parcels, decision {first} {DENIED}."
    kept, page = f"parcels/approvals/{first}.json", "parcels/reports/index.md"
    after = everything(store)
    assert {key for key in after if after[key] != before.get(key)} == {kept, page}
    assert after.keys() - {kept} == before.keys()
    assert denials(store, approved.name) == [Denial(first, "rita", "the drop in precision\nis not explained")]
    with pytest.raises(AlreadyThereError):
        store.create(kept, b"yes")
    assert [r.version for r in reigns(store, approved.name)] == ["1"]
    assert Registry(approved).aliases() == {"champion": "1"}
    history = [sys.executable, "-m", "flows.history", "parcels"]
    shown = subprocess.run(history, env=prefect.environment, cwd=ROOT, check=True, capture_output=True, text=True)
    assert shown.stdout.endswith(f"not approved: decision {first} {DENIED}\n")
    assert f"- Decision {first} {DENIED}" in after[page].decode().replace("\\", "")

    # It is the store that knows: without the run that was denied, nobody is asked again.
    runs.client.delete_flow_run(run.id)
    assert runs.judge(FIVE_BATCHES).endswith(f" Decision {first} {DENIED}. A later decision asks again.")
    assert runs.asking(first) == []
    assert everything(store) == after

    # One batch later that is another decision, and its report shows what was denied.
    asked = runs.judge(SIX_BATCHES)
    _, second = (d["id"] for d in decisions(store, approved))
    assert asked.endswith(
        f"It waits for approval in the flow run promote {second}: resume it with a name and a reason."
    )
    report = store.read(f"parcels/reports/{second}/report.md").decode().replace("\\", "")
    assert f"Promotions that were not approved:\n\n- Decision {first} {DENIED}\n" in report

    # Whoever cancels the run that waits has denied nothing; once it is deleted, another one asks.
    run = runs.waiting(second)
    runs.cancel(run)
    by_hand = f"It waits for approval: python -m flows.promote parcels {second} --author YOU --reason WHY"
    cancelled = f"The flow run promote {second}, in which it waited for approval, is cancelled. {by_hand}"
    assert runs.judge(SIX_BATCHES).endswith(cancelled)
    runs.client.delete_flow_run(run.id)
    assert runs.judge(SIX_BATCHES) == asked
    assert [other.id != run.id for other in runs.asking(second)] == [True]
    assert [d.decision for d in denials(store, approved.name)] == [first]
    assert [r.version for r in reigns(store, approved.name)] == ["1"]
