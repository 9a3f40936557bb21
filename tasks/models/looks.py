"""The looks of a project as runs in MLflow, one a decision, so that MLflow's own search finds verdicts and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from tasks.models.errors import RegistryError
from tasks.models.registry import Registry

__all__ = ["DECISION", "MODEL", "Look", "LookRuns", "VersionLook"]

DECISION, MODEL = "dethrone.decision", "dethrone.model"
"""The tags that name the decision of a run, and the registered model whose versions were judged."""

_MODELS = "models:/"
_MOST_RUNS = 1000  # of a page of a search


@dataclass(frozen=True, slots=True)
class VersionLook:
    """The verdict on a challenger, why, and its numbers by metric."""

    version: str
    verdict: str
    why: str
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Look:
    """A decision as MLflow shows it: the ``number``-th of its project, on tallies that have this ``digest``.

    ``versions`` are the challengers, that with the most evidence last: the run's own metrics are those of it.
    """

    project: str
    decision: str
    number: int
    day: date
    champion: str
    promote: str | None
    digest: str
    tallies: str
    report: str
    versions: Sequence[VersionLook]


class LookRuns:
    """The experiment ``dethrone/<project>``: the run of a look is made once, and is complete once it is finished."""

    def __init__(self, registry: Registry, project: str) -> None:
        self._registry, self._client = registry, registry.client
        self.name = f"dethrone/{project}"
        self._own = f"tags.`{MODEL}` = '{registry.model}'"  # another project of the name has another model

    def finished(self) -> set[str]:
        """The decisions that have a run. Raises RegistryError."""
        found: set[str] = set()
        token: str | None = None
        with self._registry.errors(f"MLflow has no experiment {self.name}"):
            while True:
                page = self._client.search_runs(
                    [self._experiment()],
                    f"{self._own} AND attributes.status = 'FINISHED'",
                    max_results=_MOST_RUNS,
                    page_token=token,
                )
                found |= {run.data.tags.get(DECISION, "") for run in page}
                token = page.token
                if not token:
                    return found

    def find(self, decision: str) -> str | None:
        """The id of the finished run of this decision; None if there is none. Raises RegistryError."""
        run = self._run(decision)
        return str(run.info.run_id) if run is not None and run.info.status == "FINISHED" else None

    def keep(self, look: Look) -> str:
        """The id of the run of this look, which is made, or completed, if it is not there. Raises RegistryError."""
        run = self._run(look.decision)
        if run is None or run.info.status != "FINISHED":
            return self._make(look, None if run is None else run.info.run_id)
        return str(run.info.run_id)

    def page(self, run_id: str) -> str | None:
        """MLflow's page of a run; None where MLflow is no server."""
        uri = self._registry.shown.rstrip("/")
        with self._registry.errors(f"MLflow has no run {run_id}"):
            experiment = self._client.get_run(run_id).info.experiment_id
        return f"{uri}/#/experiments/{experiment}/runs/{run_id}" if uri.startswith("http") else None

    def mark(self, look: Look, run_id: str) -> dict[str, RegistryError | None]:
        """Set tags and description of the versions: the newest verdict on each, and where to read on.

        Returns the versions that said something else; with the error, where MLflow did not take it.
        """
        page = self.page(run_id)
        where = f"Report: `{look.report}`" + (f", [run]({page})" if page else "")
        changed: dict[str, RegistryError | None] = {}
        for v in look.versions:
            text = f"**Dethrone, {look.day}:** {v.verdict} in {look.project}, against version {look.champion}: {v.why}. {where}."
            try:
                if self._tag(v, look.decision) | self._registry.describe(v.version, text):
                    changed[v.version] = None
            except RegistryError as error:
                changed[v.version] = error
        return changed

    def _tag(self, v: VersionLook, decision: str) -> bool:
        """Set the tags of a version; False if they are set already."""
        tags = {"dethrone.verdict": v.verdict, "dethrone.verdict_by": decision}
        shown = {name: v.metrics.get(f"dethrone_{name}") for name in _TAGGED}
        tags |= {f"dethrone.{name}": f"{value:.6g}" for name, value in shown.items() if value is not None}
        current = self._registry.version(v.version).tags
        if all(current.get(k) == value for k, value in tags.items()):
            return False
        self._registry.set_tags(v.version, tags)
        return True

    def _experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(self.name)
        if found is None:
            try:
                return str(self._client.create_experiment(self.name))
            except MlflowException:  # another run was first; if not, the next line says what is wrong
                found = self._client.get_experiment_by_name(self.name)
        if found is None or found.lifecycle_stage != "active":
            msg = f"the experiment {self.name} of MLflow was deleted; restore it: mlflow experiments restore"
            raise RegistryError(msg)
        return str(found.experiment_id)

    def _run(self, decision: str) -> Any:
        """The run of the decision, finished or not; None if there is none."""
        with self._registry.errors(f"MLflow has no experiment {self.name}"):
            runs = self._client.search_runs(
                [self._experiment()],
                f"{self._own} AND tags.`{DECISION}` = '{decision}'",
                order_by=["attributes.created ASC"],
                max_results=1,
            )
        return runs[0] if runs else None

    def _make(self, look: Look, run_id: str | None) -> str:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        moment = int(datetime(look.day.year, look.day.month, look.day.day, tzinfo=UTC).timestamp() * 1000)
        models = {v.version: self._model_id(v.version) for v in look.versions}
        with self._registry.errors(f"MLflow has no experiment {self.name}"):
            if run_id is None:
                made = self._client.create_run(
                    self._experiment(),
                    start_time=moment,
                    tags={MODEL: self._registry.model, **_tags(look)},
                    run_name=look.decision,
                )
                run_id = str(made.info.run_id)
            data = Dataset(
                name=f"{look.project} tallies",
                digest=look.digest,
                source_type="dethrone",
                source=f'{{"uri": "{look.tallies}"}}',
            )
            self._client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "evaluation")])])
            self._client.log_batch(run_id, metrics=_metrics(look, models, moment))
            self._client.set_terminated(run_id, "FINISHED", end_time=moment)
        return run_id

    def _model_id(self, version: str) -> str | None:
        """The LoggedModel of a version; None if it was made without one, or is gone."""
        try:
            with self._registry.errors(f"the registry holds no version {version}"):
                found = self._client.get_model_version(self._registry.model, version)
                logged = found.model_id or found.source.removeprefix(_MODELS)  # which MLflow names nowhere else
                if not found.model_id and (logged == found.source or "/" in logged):
                    return None
                return str(self._client.get_logged_model(logged).model_id)
        except RegistryError:
            return None


_TAGGED = ("e", "difference")


def _tags(look: Look) -> dict[str, str]:
    return {
        DECISION: look.decision,
        "dethrone.project": look.project,
        "dethrone.look": str(look.number),
        "dethrone.champion": look.champion,
        "dethrone.promoted": look.promote or "none",
        **({"dethrone.challenger": look.versions[-1].version} if look.versions else {}),
        **{f"dethrone.verdict.{v.version}": v.verdict for v in look.versions},
        "mlflow.note.content": "\n".join(
            [
                *(f"- version {v.version}: **{v.verdict}**: {v.why}" for v in reversed(look.versions)),
                "",
                f"Report: `{look.report}`",
            ]
        ),
    }


def _metrics(look: Look, models: Mapping[str, str | None], moment: int) -> list[Any]:
    """Each version's a millisecond after those before, as MLflow takes the latest for those of the run."""
    from mlflow.entities import Metric

    return [
        Metric(name, value, moment + i, look.number, models[v.version], f"{look.project} tallies", look.digest)
        for i, v in enumerate(look.versions)
        for name, value in v.metrics.items()
    ]
