"""The project file ``deployments/<project>.yaml``: one decision that models compete for."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from analysis.kinds import Task
from analysis.policy import Costs, Horizon, Policy, Sampling
from tasks.base.cluster import Runner, cluster_fault
from tasks.base.completeness import Complete
from tasks.base.errors import DethroneError
from tasks.base.label_settings import LabelValue, LabelValues
from tasks.base.time_zone import zone_fault
from tasks.base.uris import public_text, rooted

__all__ = ["Absent", "Columns", "LabelValue", "LabelValues", "Project", "ProjectFileError", "load_project"]

_ROOT = Path(__file__).resolve().parents[2]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class ProjectFileError(DethroneError):
    """The project file is missing, or a setting in it is not valid."""


class Columns(BaseModel):
    """The names, in the user's own files, of the columns that Dethrone reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field("id", description="Identifies a row, in the batches and in the labels.")
    label: str = Field("label", description="The true outcome of a row, in the labels: 0 or 1, a class, or a number.")
    observed_at: str = Field("observed_at", description="Date or time when the label was observed, in the labels.")
    entity: str | None = Field(None, description="Identifies what dependent rows share (a customer), in the batches.")
    period: str | None = Field(
        None,
        description="The batch that a label belongs to, in the labels: the batch's id or its date. Needed where ids recur.",
    )
    label_probability: str | None = Field(
        None,
        description="The probability that a row has a label when its batch closes, in the labels. Needed where rows are chosen at "
        "random to be labelled: each label then counts for 1 / its probability rows. `policy.sampling` sets the lowest probability.",
    )


Absent = Literal["missing", "negative"]
Environment = Literal["shared", "model"]


class Project(BaseModel):
    """A validated project file. Relative paths start at the root of the clone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    store: str = Field(min_length=1, repr=False, description="A directory, or s3://bucket/prefix.")
    mlflow: str = Field(
        min_length=1,
        repr=False,  # as it may hold a password
        description="MLflow's tracking URI: `http://mlflow:5000`, `databricks`, `databricks://PROFILE`, a database or a folder; "
        "`databricks-uc` is `databricks` with the models in Unity Catalog. A password in it is never shown.",
    )
    model: str = Field(min_length=1, description="The registered model whose versions compete.")
    task: Task = Field("binary", description="What the model predicts: 0 or 1, one of several classes, or a number.")
    columns: Columns = Field(
        Columns(), description="What the project's own files call the columns that Dethrone needs."
    )
    labels: LabelValues | None = Field(None, description="The meaning of the values in the label column.")
    absent: Absent = Field(
        "missing",
        description="The meaning of a row that has no label when its batch closes: its label is missing, or, where the feed sends only "
        "positives, it is a negative.",
    )
    segments: tuple[str, ...] = Field(
        (), description="Columns of the batches; each of their values is counted and reported separately."
    )
    complete: Complete | None = Field(None, description="When a batch is whole; until then it is not scored.")
    maturity_days: int = Field(ge=0, description="A batch is closed this many days after its date.")
    timezone: str = Field(
        "UTC",
        description="Whose midnight ends a day: an IANA name, such as `Europe/Berlin`. It says what is today, which batches are due, and "
        "on which day a label was observed whose time has a zone. Batches that have closed stay as they are.",
    )
    model_seconds: float = Field(
        3600,
        gt=0,
        le=604_800,
        description="Seconds that a model may take to load, or to score a chunk of rows; after that its process is ended.",
    )
    model_memory_gb: float | None = Field(
        None,
        gt=0,
        description="Gigabytes of memory that a model may use for its data; by default half of what this machine, or this container, has.",
    )
    environment: Environment = Field(
        "shared",
        description="Where a model loads: in this clone's environment, or in its own, built from the requirements that it was logged with. "
        "A version's tag `environment` comes first.",
    )
    runner: Runner = Field(
        "processes",
        description="Where models run: in processes of this machine, or on the workers of a Dask or Ray cluster, which share the chunks of "
        "a batch (docs/many-machines.md).",
    )
    cluster: str | None = Field(
        None,
        description="The address of the cluster, `tcp://scheduler:8786` of Dask or `ray://head:10001` of Ray; without it, `runner` starts "
        "a temporary one on this machine.",
    )
    challengers: str = Field(
        "all",
        pattern=r"^(all|alias:\S.*|tag:\S.*)$",
        description="Which versions challenge: all, or those with the alias NAME (`alias:NAME`) or the tag KEY (`tag:KEY`). Those tagged "
        "`retired` never do; the version that led before always does.",
    )
    replay: Literal["reign", "none"] | Annotated[int, Field(ge=1)] = Field(
        "reign",
        description="On which past batches a challenger that comes late, or that failed, is scored: all of the reign, the newest N of "
        "them, or none.",
    )
    policy: Policy = Field(Policy(), description="What a challenger has to show before it takes over.")

    @model_validator(mode="before")
    @classmethod
    def _policy_of_the_task(cls, settings: dict[str, Any]) -> dict[str, Any]:
        policy = settings.get("policy", {})
        if not isinstance(policy, dict):
            return settings
        if "task" in policy:
            msg = "move the key 'task' from policy to the top of the file"
            raise ValueError(msg)
        return {**settings, "policy": {**policy, "task": settings.get("task", "binary")}}

    @model_validator(mode="after")
    def _one_task(self) -> Project:
        if self.policy.task != self.task:
            msg = f"the policy has the task {self.policy.task}, and the project has the task {self.task}; give both the same"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _labels_of_the_task(self) -> Project:
        mapped = self.labels is not None and bool(self.labels.positive or self.labels.negative)
        if mapped and not self.policy.kind.decides:
            msg = f"labels.positive and labels.negative need the task binary; the task is {self.task}"
            raise ValueError(msg)
        if (
            self.labels
            and mapped
            and not (self.labels.positive and (self.labels.negative or self.absent == "negative"))
        ):
            msg = "labels gives the values of one class only; give both labels.positive and labels.negative"
            raise ValueError(msg)
        if self.absent == "negative" and not self.policy.kind.decides:
            msg = f"absent: negative needs the task binary; the task is {self.task}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _entities_go_with_the_policy(self) -> Project:
        if self.columns.entity is None:
            return self
        if not self.policy.kind.decides:
            msg = f"columns.entity needs the task binary; the task is {self.task}"
            raise ValueError(msg)
        if self.policy.segment_guardrails or self.policy.unlabelled != "refuse":
            msg = "columns.entity cannot be combined with policy.segment_guardrails or with policy.unlabelled; remove one of them"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _sampling_goes_with_its_column(self) -> Project:
        column, bounds = self.columns.label_probability, self.policy.sampling
        if (column is None) != (bounds is None):
            msg = (
                "columns.label_probability and policy.sampling need each other; "
                f"give both or neither ({'columns.label_probability' if column is None else 'policy.sampling'} is missing)"
            )
            raise ValueError(msg)
        if column and (self.columns.entity or self.absent == "negative"):
            other = "columns.entity" if self.columns.entity else "absent: negative"
            msg = f"columns.label_probability cannot be combined with {other}; remove one of them"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _cluster_of_the_runner(self) -> Project:
        fault = cluster_fault(self.runner, self.cluster) if self.cluster is not None else None
        if fault:
            raise ValueError(fault)
        return self

    @field_validator("name")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            msg = f"'{value}' cannot be the name of a project; use letters, digits, '-' and '_' only"
            raise ValueError(msg)
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        fault = zone_fault(value)
        if fault:
            raise ValueError(fault)
        return value

    @field_validator("store", "mlflow")
    @classmethod
    def _rooted(cls, value: str) -> str:
        return rooted(value, _ROOT)  # and not in the current folder

    @field_validator("segments")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            msg = "a column is listed twice; remove one"
            raise ValueError(msg)
        return value


_PARTS: dict[str, type[BaseModel]] = {
    "columns": Columns,
    "complete": Complete,
    "labels": LabelValues,
    "policy": Policy,
    "costs": Costs,
    "horizon": Horizon,
    "sampling": Sampling,
}


def load_project(name: str) -> Project:
    """Read and validate ``deployments/<name>.yaml``; ``DETHRONE_PROJECTS`` names another folder.

    Raises ProjectFileError, which lists every fault of the file.
    """
    folder = Path(os.environ.get("DETHRONE_PROJECTS") or _ROOT / "deployments")
    path = folder / f"{name}.yaml"
    if not _NAME.fullmatch(name) or not path.is_file():
        known = sorted(p.stem for p in folder.glob("*.yaml") if _NAME.fullmatch(p.stem))
        msg = f"there is no project '{name}' in {folder}; the projects there are: {', '.join(known) or 'none'}"
        raise ProjectFileError(msg)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        msg = f"{path}: is not valid YAML: {_yaml_fault(error)}"
        raise ProjectFileError(msg) from error
    if not isinstance(content, dict):
        msg = f"{path}: must contain keys with values, such as 'model: my-model'"
        raise ProjectFileError(msg)
    if "name" in content:
        msg = f"{path}: remove the key 'name'; the name of a project is that of its file, '{name}'"
        raise ProjectFileError(msg)
    try:
        return Project.model_validate({"name": name, **{str(k): v for k, v in content.items()}})
    except ValidationError as error:
        faults = [_sentence(e) for e in error.errors()]  # type: ignore[arg-type]
        msg = f"{path}: " + "; ".join(faults)
        raise ProjectFileError(msg) from None


def _yaml_fault(error: yaml.YAMLError | UnicodeDecodeError) -> str:
    """What is wrong and where, without the text that stands there, which may hold a password."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return f"{error.problem} in line {mark.line + 1}, column {mark.column + 1}"
    return public_text(" ".join(str(error).split()))


def _sentence(error: dict[str, Any]) -> str:
    *parents, key = error["loc"] or ("the file",)
    where = ".".join(str(p) for p in error["loc"])
    if error["type"] == "extra_forbidden":
        model: type[BaseModel] = Project
        for parent in parents:
            model = _PARTS[str(parent)]
        known = [k for k in model.model_fields if k != "name"]
        near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"the known keys are: {', '.join(known)}"
        return f"unknown key '{where}'; {hint}"
    if error["type"] == "missing":
        return f"the key '{where}' is missing"
    value = "" if isinstance(error["input"], dict) else f" (it is {public_text(repr(error['input']))})"
    if not where:  # about several keys at once
        return str(error["msg"].removeprefix("Value error, "))
    return f"{where}: {error['msg'].removeprefix('Value error, ')}{value}"
