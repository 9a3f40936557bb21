"""The registry on a real MLflow server over HTTP, in the locked environment: all that Dethrone asks of it, up to a promotion."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import mlflow
import pytest
from mlflow_server import mlflow_server
from postgres import free_port
from weeks import BETTER, judged

from tasks.base.project import Project
from tasks.decisions.promotion import promote
from tasks.labels.tallying import close_batches
from tasks.models.registry import Registry
from tasks.reigns import reigns
from tasks.reigns.projections import repair_projections
from tasks.reports.look_runs import keep_look, repair_looks
from tasks.reports.publish import publish
from tasks.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow-server")) as uri:
        yield uri


def test_versions_are_registered_loaded_judged_promoted_and_reported_over_http(
    store: Store, project: Project, register: Callable[..., str]
) -> None:
    mlflow.set_tracking_uri(project.mlflow)
    mlflow.create_experiment(project.model)  # without a place of its own: artifacts go through the server
    for column in ("x1", "x2"):
        register(column)
    registry = Registry(project)

    taken = judged(store, registry, project, BETTER)
    closed = close_batches(store, project, taken.evidence[0].batches[-1].date)
    publish(store, registry, project, taken, closed, reigns(store, project.name))
    page, missing = keep_look(store, registry, project, taken.record)
    reign = promote(store, registry, project.name, taken.id)
    repair_projections(store, registry, project.name)

    assert registry.aliases() == {"champion": "2", "previous": "1"}
    assert registry.version("2").tags["dethrone.decision"] == taken.id
    kept = mlflow.MlflowClient(project.mlflow).list_artifacts(reign.run_id, f"dethrone/{taken.id}")
    assert f"dethrone/{taken.id}/report.md" in {file.path for file in kept}

    assert missing == []
    experiment = registry.client.get_experiment_by_name(f"dethrone/{project.name}").experiment_id
    (run,) = registry.client.search_runs([experiment], "metrics.dethrone_e >= 20")
    assert page == f"{project.mlflow}/#/experiments/{experiment}/runs/{run.info.run_id}"
    assert page in registry.client.get_model_version(project.model, "2").description
    trained = registry.client.get_experiment_by_name(project.model).experiment_id
    (model,) = registry.client.search_logged_models([trained], filter_string="metrics.dethrone_e >= 20")
    assert model.model_id == registry.client.get_model_version(project.model, "2").source.removeprefix("models:/")
    assert keep_look(store, registry, project, taken.record) == (page, [])
    assert repair_looks(store, registry, project) == []


def test_a_decision_of_which_a_server_that_is_down_is_not_told_is_on_record_and_told(
    store: Store, registry: Registry, project: Project, register: Callable[..., str]
) -> None:
    """No server answers on the port of the address; the decision is kept there once one does."""
    for column in ("x1", "x2"):
        register(column)
    taken = judged(store, registry, project, BETTER)
    down = Registry(project.model_copy(update={"mlflow": f"http://127.0.0.1:{free_port()}"}))
    page, (said,) = keep_look(store, down, project, taken.record)
    assert page is None
    assert re.match(
        r"the decision is not kept as a run in MLflow: MLflow at http\S+ does not answer as it should; start it", said
    )
    assert repair_looks(store, Registry(project), project) == [f"run of decision {taken.id}", "verdict on version 2"]
