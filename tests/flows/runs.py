"""The runs of deployments, as a person starts, answers and removes them on Prefect's pages."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Cancelling
from prefect_server import PrefectServer

__all__ = ["Runs"]

ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class Runs:
    """The runs on a server with a worker of the deployments of one project."""

    def __init__(self, prefect: PrefectServer, project: str) -> None:
        self._prefect, self._project, self.client = prefect, project, SyncPrefectClient(prefect.api)

    def __call__(self, flow: str, **parameters: str) -> str:
        """Run a deployment; returns what it says in the end."""
        deployment = self.client.read_deployment_by_name(f"{flow}/{self._project}")
        run = self.client.create_flow_run_from_deployment(deployment.id, parameters=parameters)
        return self._message(run.id)

    def within(self, seconds: float, flow: str, **parameters: str) -> str:
        """The same with another timeout than that of prefect.yaml."""
        deployment = self.client.read_deployment_by_name(f"{flow}/{self._project}")
        own = {"env": {"DETHRONE_RUN_SECONDS": str(seconds)}}
        run = self.client.create_flow_run_from_deployment(deployment.id, parameters=parameters, job_variables=own)
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

    def delete_all(self) -> None:
        for run in self.client.read_flow_runs():
            self.client.delete_flow_run(run.id)

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
