"""The policy of a project: what a challenger has to show before it takes over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from analysis.any_look.cost import CostMatrix
from analysis.any_look.eprocess import DEFAULT_PRIOR, prior_for
from analysis.any_look.group_sequential import Spending
from analysis.one_look.measures import LINEAR, MEASURES, LinearMetric, Measure, Task, is_linear, span
from analysis.tables.metrics import METRICS

__all__ = ["Costs", "ErrorBudget", "Horizon", "Policy", "Sampling", "Unlabelled"]

ErrorBudget = Literal["family", "reign", "programme"]
Unlabelled = Literal["refuse", "worst_case", "begg_greenes"]

_PRIMARY: dict[Task, Measure] = {"binary": "recall", "multiclass": "accuracy", "regression": "squared_error"}
_GUARDRAILS: dict[Task, dict[Measure, float]] = {
    "binary": {"accuracy": 0.005, "precision": 0.03},
    "multiclass": {"macro_recall": 0.02},
    "regression": {},
}


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Costs(_Strict):
    """What a decision costs by its outcome, in the user's money; gains are negative costs."""

    tp: float = Field(0.0, description="A positive that is flagged.")
    fp: float = Field(description="A negative that is flagged.")
    fn: float = Field(description="A positive that is not flagged.")
    tn: float = Field(0.0, description="A negative that is not flagged.")

    @model_validator(mode="after")
    def _tells_decisions_apart(self) -> Costs:
        _ = self.matrix
        return self

    @property
    def matrix(self) -> CostMatrix:
        return CostMatrix(self.tp, self.fp, self.fn, self.tn)


class Horizon(_Strict):
    """An end declared beforehand: a group-sequential test in place of the e-process, not to be extended."""

    disagreements: int = Field(
        ge=20, description="The planned information: rows on which exactly one of the two is right."
    )
    spending: Spending = Field("obrien-fleming", description="How alpha is spent on the way.")


class Sampling(_Strict):
    """Lower bounds of the probabilities with which rows are chosen to be labelled: the higher, the faster the evidence comes."""

    least: float = Field(gt=0, le=1, description="No row is labelled with a lower probability.")
    disagreements: float | None = Field(
        None, gt=0, le=1, description="Nor a row on which two of the models disagree with a lower one than this."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Sampling:
        if self.disagreements is not None and self.disagreements < self.least:
            msg = f"disagreements is {self.disagreements:g}, below least, which is {self.least:g}; it cannot be lower"
            raise ValueError(msg)
        return self

    @property
    def heaviest(self) -> tuple[float, float]:
        """The largest weights, 1 / probability, of rows on which two models agree and of those on which they disagree."""
        return 1 / self.least, 1 / (self.disagreements or self.least)


class Policy(_Strict):
    """The rule of decision. Every default is that of a plain pair of models judged once a week."""

    task: Task = "binary"
    primary: Measure = Field("recall", description="What a challenger has to be better in.")
    min_gain: float = Field(0.0, ge=0, description="The gain that matters: it must be proven better by more than this.")
    alpha: float = Field(0.05, gt=0, lt=0.5, description="Probability of a false promotion; E must reach 1/alpha.")
    error_budget: ErrorBudget = Field(
        "reign",
        description="What alpha is shared by: all challengers of a reign, also those that come later or have left; those that are judged "
        "together; or all there will ever be.",
    )
    guardrails: dict[Measure, float] = Field(
        _GUARDRAILS["binary"], description="What must be proven not to be worse than the champion's by this margin."
    )
    segment_guardrails: dict[LinearMetric, float] = Field(
        {}, description="The same, in every segment; Holm's correction over the segments."
    )
    unit: Literal["row", "batch"] = Field(
        "row", description="What is taken as independent: the rows, or only the batches."
    )
    min_batches: int = Field(4, ge=1, description="Closed batches with evidence before any verdict but WAIT.")
    prior: float = Field(
        DEFAULT_PRIOR, ge=1, le=200, description="a of the Beta(a, a) mixture; fixed before the data are seen."
    )
    planned_win_share: float | None = Field(
        None,
        gt=0.5,
        le=1,
        description="Share of the disagreements that a challenger is planned to win; sets the prior.",
    )
    horizon: Horizon | None = Field(None, description="Test up to a declared end instead of for ever.")
    costs: Costs | None = Field(None, description="The cost of each kind of decision; needed where 'cost' is named.")
    largest_error: float | None = Field(
        None,
        gt=0,
        exclude_if=lambda value: value is None,
        description="Numbers only: an error beyond this counts as this much, which makes the evidence exact; the smaller it is, the "
        "faster it comes. Batches closed under another value count for nothing.",
    )
    unlabelled: Unlabelled = Field(
        "refuse",
        description="Where labels depend on the decisions: refuse; prove what no missing label can undo (recall, specificity and "
        "accuracy only); or correct, taking labels as missing at random given both decisions.",
    )
    sampling: Sampling | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="How low the known probabilities of being labelled are (`columns.label_probability`); fixed before the data are seen.",
    )
    approval: Literal["automatic", "required"] = Field(
        "automatic", description="Whether a promotion waits until a person has approved it."
    )
    prefer: tuple[str, ...] = Field(
        (), description="Versions in the order to take them where the proven ones are tied."
    )
    n_resamples: int = Field(10_000, ge=1000, le=1_000_000, description="Bootstrap replicates.")

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_task(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not isinstance(given.get("task", ""), str):
            return given
        task = given.get("task", "binary")
        filled = {"primary": _PRIMARY.get(task, "recall"), **given}
        share = given.get("planned_win_share")
        if isinstance(share, (int, float)) and 0.5 < share <= 1:
            filled.setdefault("prior", prior_for(share))
        bounded = given.get("unlabelled") == "worst_case" or given.get("sampling") is not None
        usual = {m: v for m, v in _GUARDRAILS.get(task, {}).items() if not bounded or is_linear(m)}
        filled.setdefault("guardrails", {m: v for m, v in usual.items() if m != filled["primary"]})
        return filled

    @field_validator("alpha")
    @classmethod
    def _told_from_none(cls, value: float) -> float:
        if value < 1e-12:
            msg = f"alpha is {value:g}; below 1e-12 numbers do not tell 1 - alpha from 1"
            raise ValueError(msg)
        return value

    @field_validator("largest_error")
    @classmethod
    def _as_recorded(cls, value: float | None) -> float | None:
        """A record keeps 12 digits, and what was clipped has to be told from it."""
        if value is not None and not 1e-60 <= value <= 1e60:
            msg = f"an error lies between 1e-60 and 1e60, not {value:g}"
            raise ValueError(msg)
        return None if value is None else float(f"{value:.12g}")

    @field_validator("guardrails", "segment_guardrails")
    @classmethod
    def _sensible_margins(cls, value: dict[Measure, float]) -> dict[Measure, float]:
        for name, margin in value.items():
            if not 0 < margin < span(name):
                bound = "" if span(name) == float("inf") else f" and below {span(name):g}"
                msg = f"the margin of {name} must be above 0{bound}, not {margin:g}"
                raise ValueError(msg)
        return dict(sorted(value.items()))  # so that their order in the file does not make another policy

    @model_validator(mode="after")
    def _makes_sense(self) -> Policy:
        for fault in self._faults():
            raise ValueError(fault)
        return self

    def _faults(self) -> list[str]:
        """Why these settings cannot stand together, each a sentence that says what to change."""
        known = MEASURES[self.task]
        named: list[Measure] = [self.primary, *self.guardrails]
        faults = [
            f"{name} does not exist for the task {self.task}; its measures are: {', '.join(known)}"
            for name in named
            if name not in known
        ]
        if self.primary in self.guardrails:
            faults.append(
                f"{self.primary} is the primary metric; it cannot be a guardrail too. Remove it from guardrails."
            )
        if self.min_gain >= span(self.primary, largest_error=self.largest_error):
            faults.append(f"min_gain is {self.min_gain:g}; no two models differ by that much in {self.primary}")
        if self.largest_error:
            faults += self._faults_of_clipping(self.largest_error)
        if "cost" in named and self.costs is None:
            faults.append("cost is named, and no costs are given; add costs: {fp: ..., fn: ...}")
        if (
            self.costs
            and max(self.min_gain if self.primary == "cost" else 0, self.guardrails.get("cost", 0))
            >= self.costs.matrix.span
        ):
            faults.append(
                f"two decisions on a row differ by at most {self.costs.matrix.span:g} in cost; ask for less than that"
            )
        if self.planned_win_share is not None and not math.isclose(self.prior, prior_for(self.planned_win_share)):
            faults.append("prior and planned_win_share both set the prior; keep one of them")
        if self.task != "binary":
            faults += self._faults_of_the_task()
        if self.unlabelled != "refuse" and self.task == "binary":
            faults += self._faults_of_missing_labels(named)
        if self.horizon:
            faults += self._faults_of_horizon()
        return faults + self._faults_of_sampling(named)

    def _faults_of_sampling(self, named: Sequence[Measure]) -> list[str]:
        if self.sampling is None:
            return []
        if self.task != "binary":
            return [f"sampling needs decisions of 0 and 1; the task is {self.task}; remove it"]
        covered = (*LINEAR, "cost")
        faults = [
            f"labels of rows that were chosen with known probabilities are judged by recall, specificity, accuracy and cost; remove {m}"
            for m in named
            if m not in covered
        ]
        others = {
            "segment_guardrails": bool(self.segment_guardrails),
            "horizon": self.horizon is not None,
            f"unlabelled: {self.unlabelled}": self.unlabelled != "refuse",
        }
        return faults + [f"sampling does not go with {name}; remove one" for name, set_ in others.items() if set_]

    def _faults_of_the_task(self) -> list[str]:
        """What needs decisions of 0 and 1 where there are none."""
        needs = f"decisions of 0 and 1; the task is {self.task}"
        faults = []
        if self.segment_guardrails:
            faults.append(f"segment_guardrails need {needs}")
        if self.costs:
            faults.append(f"costs need {needs}")
        if self.unlabelled != "refuse":
            faults.append(f"unlabelled: {self.unlabelled} needs {needs}")
        if self.planned_win_share is not None and self.task == "regression":
            faults.append("planned_win_share is a share of disagreements, which a regression has not; remove it")
        return faults

    def _faults_of_missing_labels(self, named: Sequence[Measure]) -> list[str]:
        worst = self.unlabelled == "worst_case"
        covers, rest = ("recall, specificity and accuracy", LINEAR) if worst else ("metrics of decisions", METRICS)
        faults = [f"unlabelled: {self.unlabelled} covers {covers}; remove {m}" for m in named if m not in rest]
        if self.unit == "batch":
            faults.append(f"unlabelled: {self.unlabelled} needs rows as units; remove unit: batch")
        if self.segment_guardrails and not worst:
            faults.append("unlabelled: begg_greenes corrects no segment; remove segment_guardrails")
        return faults

    def _faults_of_clipping(self, largest_error: float) -> list[str]:
        if self.task != "regression":
            return [f"largest_error clips the errors of predicted numbers; the task is {self.task}; remove it"]
        most = {name: span(name, largest_error=largest_error) for name in self.guardrails}
        return [
            f"the margin of {name} is {margin:g}; with this largest_error it must be below {most[name]:g}"
            for name, margin in self.guardrails.items()
            if margin >= most[name]
        ]

    def _faults_of_horizon(self) -> list[str]:
        if self.task == "regression" or self.primary not in LINEAR:
            others = ", ".join(m for m in LINEAR if m in MEASURES[self.task])
            instead = f", or choose one of {others}" if others else ""
            return [f"a horizon counts disagreements, which {self.primary} has not; remove horizon{instead}"]
        if self.min_gain or self.unit == "batch" or self.unlabelled != "refuse":
            return [
                "a horizon goes with rows as units, min_gain: 0 and unlabelled: refuse only; remove horizon, or the others"
            ]
        return []
