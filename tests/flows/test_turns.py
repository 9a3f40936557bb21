"""Who holds the turn of a deployment is still known when the Prefect server has restarted."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.states import Pending, Running
from prefect_server import QUIET, ROOT, PrefectServer

LEASE, RENEWED_AFTER = 300, 0.75  # seconds and share of them, fixed in Prefect's flow engine


def test_a_run_that_died_is_known_to_have_before_its_turn_can_be_another_ones() -> None:
    """Prefect frees the turn of a run that it finds Crashed, whoever has it by then; two signs of life are to be missing."""
    (automation,) = yaml.safe_load((ROOT / "deployments" / "dead-runs.yml").read_text())["automations"]
    pool = yaml.safe_load((ROOT / "prefect.yaml").read_text())["definitions"]["pool"]
    every = int(pool["job_variables"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"])
    within = automation["trigger"]["within"]
    assert 2 * every < within < LEASE * (1 - RENEWED_AFTER)
    assert f" for {within} seconds" in automation["actions"][0]["message"]


@pytest.mark.slow
def test_a_server_that_restarts_still_knows_who_holds_a_turn(tmp_path: Path) -> None:
    """With Prefect's default the run could not renew its turn, and nothing but its own end would free it."""
    server = PrefectServer(tmp_path, QUIET)
    try:
        with SyncPrefectClient(server.api) as client:
            flow = client.create_flow_from_name("score")
            deployment = client.create_deployment(flow_id=flow, name="parcels", concurrency_limit=1)
            run = client.create_flow_run_from_deployment(deployment)
            client.set_flow_run_state(run.id, Pending())
            client.set_flow_run_state(run.id, Running())
            state = client.read_flow_run(run.id).state
            assert state
            turn = state.state_details.deployment_concurrency_lease_id
            assert turn
    finally:
        server.stop()
    server = PrefectServer(tmp_path, QUIET)
    try:
        with SyncPrefectClient(server.api) as client:
            client.renew_concurrency_lease(lease_id=turn, lease_duration=60)  # else 410 Gone
    finally:
        server.stop()
