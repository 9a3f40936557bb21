"""Every decision is one run in MLflow with the numbers that decide, which MLflow's own search finds; it is made again where it is lost."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from weeks import BETTER, EQUAL, judged, look_on, play_week, week

from analysis.policy import Policy
from tasks.base.project import Project
from tasks.decisions import Decision, save_decision
from tasks.decisions.promotion import promote
from tasks.models.looks import LookRuns
from tasks.models.registry import Registry
from tasks.reports.look_runs import keep_look, look_of, repair_looks
from tasks.store import Store


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    """One of a name of its own, as the tests share one MLflow."""
    made = make_project(policy=Policy(n_resamples=1000, error_budget="family"))
    return made.model_copy(update={"name": made.model})


@pytest.fixture
def taken(store: Store, registry: Registry, project: Project, two: None) -> Decision:
    return judged(store, registry, project, BETTER)


def runs(project: Project) -> list[mlflow.entities.Run]:
    client = mlflow.MlflowClient(project.mlflow)
    experiment = client.get_experiment_by_name(f"dethrone/{project.name}")
    return list(client.search_runs([experiment.experiment_id])) if experiment else []


def logged_model(registry: Registry, project: Project, version: str) -> str:
    """The LoggedModel that a version was registered from."""
    return str(registry.client.get_model_version(project.model, version).source.removeprefix("models:/"))


def found(project: Project, condition: str) -> list[str]:
    """The LoggedModels that a search as docs/mlflow.md has it finds."""
    client = mlflow.MlflowClient(project.mlflow)
    experiment = client.get_experiment_by_name(project.model).experiment_id
    return [m.model_id for m in client.search_logged_models([experiment], filter_string=condition)]


def test_a_decision_is_one_run_with_its_numbers_its_step_and_the_tallies_as_data_set(
    store: Store, registry: Registry, project: Project, taken: Decision
) -> None:
    assert keep_look(store, registry, project, taken.record) == (None, []), "an MLflow in a file has no pages"
    (run,) = runs(project)
    (a,) = taken.judgement.assessments
    assert (run.info.run_name, run.info.status) == (taken.id, "FINISHED")
    metrics = run.data.metrics
    assert metrics["dethrone_e"] == pytest.approx(math.exp(a.log_e_adjusted))
    assert metrics["dethrone_e_needed"] == pytest.approx(1 / a.alpha)
    assert metrics["dethrone_difference"] == pytest.approx(a.measured.metrics["recall"].value)  # type: ignore[union-attr]
    assert metrics["dethrone_p_mcnemar"] == pytest.approx(a.measured.mcnemar["recall"].p_value)
    guardrails = {f"dethrone_e_{g.metric}": pytest.approx(math.exp(min(g.log_e, 700))) for g in a.measured.guardrails}
    assert guardrails
    assert {k: metrics[k] for k in guardrails} == guardrails
    assert run.data.tags["dethrone.promoted"] == "2"
    assert run.data.tags["dethrone.verdict.2"] == "PROMOTE"
    (data,) = run.inputs.dataset_inputs
    assert data.dataset.digest == taken.record["evidence_digest"][:36]
    (history,) = mlflow.MlflowClient(project.mlflow).get_metric_history(run.info.run_id, "dethrone_e")
    assert history.step == 1


def test_a_repeat_makes_no_second_run_and_changes_nothing(
    store: Store, registry: Registry, project: Project, taken: Decision
) -> None:
    keep_look(store, registry, project, taken.record)
    (before,), version = runs(project), registry.version("2")
    keep_look(store, registry, project, taken.record)
    assert repair_looks(store, registry, project) == []
    (after,) = runs(project)
    assert after.to_dictionary() == before.to_dictionary()
    assert registry.version("2") == version


def test_one_search_finds_every_version_with_evidence_enough(
    store: Store, registry: Registry, project: Project, register: Callable[..., str], taken: Decision
) -> None:
    keep_look(store, registry, project, taken.record)
    model = logged_model(registry, project, "2")
    assert found(project, "metrics.dethrone_e >= 20") == [model]
    assert found(project, "metrics.dethrone_e >= 1e300") == []
    (logged,) = (m for m in registry.client.get_logged_model(model).metrics if m.key == "dethrone_e")
    assert (logged.step, logged.dataset_digest) == (1, taken.record["evidence_digest"][:36])


def test_versions_are_marked_with_the_newest_verdict_below_what_their_owner_wrote(
    store: Store, registry: Registry, project: Project, taken: Decision
) -> None:
    registry.client.update_model_version(project.model, "2", "Gradient boosting, by ada.")
    keep_look(store, registry, project, taken.record)
    assert registry.version("2").tags["dethrone.verdict"] == "PROMOTE"
    first = registry.client.get_model_version(project.model, "2").description
    assert first.startswith("Gradient boosting, by ada.\n\n<!-- dethrone -->\n**Dethrone, 2024-02-11:** PROMOTE in ")
    assert f"Report: `{project.store}/{project.name}/reports/{taken.id}/report.md`." in first

    promote(store, registry, project.name, taken.id)
    for number in (5, 6, 7):
        play_week(store, registry, project, number, EQUAL)
    later = look_on(store, project, week(9))
    assert later is not None
    save_decision(store, project.name, later)
    keep_look(store, registry, project, later.record)
    assert registry.version("1").tags["dethrone.verdict"] == "WAIT"
    assert registry.client.get_model_version(project.model, "2").description == first, "it leads, and is not judged"
    assert [r.data.tags["dethrone.look"] for r in sorted(runs(project), key=lambda r: r.info.start_time)] == ["1", "2"]


def test_a_run_that_is_lost_or_half_made_is_made_again(
    store: Store, registry: Registry, project: Project, taken: Decision
) -> None:
    keep_look(store, registry, project, taken.record)
    (run,) = runs(project)
    registry.client.delete_run(run.info.run_id)
    registry.set_tags("2", {"dethrone.verdict": "WAIT"})
    assert repair_looks(store, registry, project) == [f"run of decision {taken.id}", "verdict on version 2"]
    assert registry.version("2").tags["dethrone.verdict"] == "PROMOTE"
    (again,) = runs(project)
    assert again.data.metrics == run.data.metrics
    registry.client.update_run(again.info.run_id, "RUNNING")
    keep_look(store, registry, project, taken.record)
    (completed,) = runs(project)
    assert completed.info.run_id == again.info.run_id
    assert completed.data.metrics == run.data.metrics


def test_a_version_without_a_logged_model_or_that_is_gone_has_its_numbers_in_the_run(
    store: Store, registry: Registry, project: Project, taken: Decision
) -> None:
    registry.client.delete_logged_model(logged_model(registry, project, "2"))
    assert keep_look(store, registry, project, taken.record) == (None, [])
    (run,) = runs(project)
    assert run.data.metrics["dethrone_e"] > 20
    assert float(registry.version("2").tags["dethrone.e"]) > 20


def test_an_experiment_that_was_deleted_loses_nothing_and_is_told(
    store: Store, registry: Registry, project: Project, taken: Decision
) -> None:
    keep_look(store, registry, project, taken.record)
    client = registry.client
    client.delete_experiment(client.get_experiment_by_name(f"dethrone/{project.name}").experiment_id)
    _, (said,) = keep_look(store, registry, project, taken.record)
    assert said.startswith(
        f"the decision is not kept as a run in MLflow: the experiment dethrone/{project.name} of MLflow was deleted"
    )
    assert said.endswith(f"; once MLflow answers: python -m flows.reconcile {project.name}")


def test_of_several_challengers_the_run_shows_the_one_with_the_most_evidence(
    store: Store, registry: Registry, project: Project, register: Callable[..., str], two: None
) -> None:
    register("x3")
    counts = {(label, a, b, a): n for (label, a, b), n in BETTER.items()}
    taken = judged(store, registry, project, counts)
    look = look_of(project, taken.record, 1)
    assert [v.version for v in look.versions] == ["3", "2"]
    keep_look(store, registry, project, taken.record)
    (run,) = runs(project)
    assert run.data.tags["dethrone.challenger"] == "2"
    assert run.data.metrics["dethrone_e"] == pytest.approx(look.versions[-1].metrics["dethrone_e"])
    assert LookRuns(registry, project.name).finished() == {taken.id}


def test_a_version_that_was_deleted_is_told_and_costs_no_run(
    store: Store, registry: Registry, project: Project, taken: Decision
) -> None:
    registry.client.delete_model_version(project.model, "2")
    _, (said,) = keep_look(store, registry, project, taken.record)
    assert said.startswith(
        "the verdict on version 2 is not shown with it: the registry holds no version 2 of the model"
    )
    assert len(runs(project)) == 1
    (line,) = repair_looks(store, registry, project)
    assert line.startswith("verdict on version 2: not possible, the registry holds no version 2")


def test_the_page_on_mlflow_names_every_metric_and_its_searches_of_runs_are_valid(
    store: Store, registry: Registry, project: Project, taken: Decision
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "mlflow.md").read_text()
    (version,) = look_of(project, taken.record, 1).versions
    guardrails = {f"dethrone_e_{metric}" for metric in project.policy.guardrails}
    assert [m for m in version.metrics if f"`{m}`" not in page and m not in guardrails] == []
    keep_look(store, registry, project, taken.record)
    client = mlflow.MlflowClient(project.mlflow)
    experiment = client.get_experiment_by_name(f"dethrone/{project.name}").experiment_id
    conditions = re.findall(r'search_runs\(.*filter_string="(.*)"\)', page)
    assert [len(client.search_runs([experiment], c)) for c in conditions] == [1, 0], (
        "it promotes, and its precision is held"
    )
