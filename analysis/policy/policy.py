"""The policy of a project: what a challenger has to show before it takes over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from analysis.any_look.cost import CostMatrix
from analysis.any_look.eprocess import DEFAULT_PRIOR
from analysis.any_look.group_sequential import Spending
from analysis.kinds import BINARY, KINDS, MEASURE_NAMES, MEASURES, Kind, Measure, Task
from analysis.tables.metrics import METRICS, OUTCOME_METRICS

__all__ = ["Costs", "ErrorBudget", "Horizon", "Policy", "Sampling", "Unlabelled"]

ErrorBudget = Literal["family", "reign", "programme"]
Unlabelled = Literal["refuse", "worst_case", "begg_greenes"]

if TYPE_CHECKING:
    MeasureName: TypeAlias = str
    OutcomeMetric: TypeAlias = str
else:  # the names in the registry, so that the error for another name lists them
    MeasureName = Literal[MEASURE_NAMES]
    OutcomeMetric = Literal[OUTCOME_METRICS]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Costs(_Strict):
    """What a decision costs by its outcome, in the user's money; gains are negative costs."""

    tp: float = Field(0.0, description="A positive that is flagged.")
    fp: float = Field(description="A negative that is flagged.")
    fn: float = Field(description="A positive that is not flagged.")
    tn: float = Field(0.0, description="A negative that is not flagged.")

    @model_validator(mode="after")
    def _make_a_matrix(self) -> Costs:
        _ = self.matrix  # raises ValueError for costs that do not depend on the decision
        return self

    @property
    def matrix(self) -> CostMatrix:
        return CostMatrix(self.tp, self.fp, self.fn, self.tn)


class Horizon(_Strict):
    """A declared end: a group-sequential test in place of the e-process. It cannot be extended."""

    disagreements: int = Field(
        ge=20, description="The planned information: rows on which exactly one of the two is right."
    )
    spending: Spending = Field("obrien-fleming", description="How alpha is spent on the way.")


class Sampling(_Strict):
    """Lower bounds of the probabilities with which rows are chosen to be labelled: the higher, the faster the evidence comes."""

    least: float = Field(gt=0, le=1, description="No row is labelled with a lower probability.")
    disagreements: float | None = Field(
        None,
        gt=0,
        le=1,
        description="No row on which two of the models disagree is labelled with a lower probability than this; by default `least`.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Sampling:
        if self.disagreements is not None and self.disagreements < self.least:
            msg = f"disagreements is {self.disagreements:g}, which is below least ({self.least:g}); raise it, or remove it"
            raise ValueError(msg)
        return self

    @property
    def heaviest(self) -> tuple[float, float]:
        """The largest weights, 1 / probability, of rows on which two models agree and of those on which they disagree."""
        return 1 / self.least, 1 / (self.disagreements or self.least)


class Policy(_Strict):
    """The rule by which challengers are judged. The defaults are for a plain pair of models judged once a week."""

    task: Task = "binary"
    primary: MeasureName = Field("recall", description="What a challenger has to be better in.")
    min_gain: float = Field(0.0, ge=0, description="The gain that matters: it must be proven better by more than this.")
    alpha: float = Field(0.05, gt=0, lt=0.5, description="Probability of a false promotion; E must reach 1/alpha.")
    error_budget: ErrorBudget = Field(
        "reign",
        description="What alpha is shared by: all challengers of a reign, also those that come later or have left; those that are judged "
        "together; or all there will ever be.",
    )
    guardrails: dict[MeasureName, float] = Field(
        dict(BINARY.guardrails), description="What must be proven not to be worse than the champion's by this margin."
    )
    floor: dict[MeasureName, float] = Field(
        {},
        exclude_if=lambda value: not value,
        description="What the champion itself must not fall below (cost: rise above): an alarm, which changes no verdict. Without one, "
        "its primary measure is watched against what it had at first.",
    )
    segment_guardrails: dict[OutcomeMetric, float] = Field(
        {}, description="The same, in every segment; Holm's correction over the segments."
    )
    unit: Literal["row", "batch"] = Field(
        "row", description="What is taken as independent: the rows, or only the batches."
    )
    min_batches: int = Field(4, ge=1, description="Closed batches with evidence before any verdict but WAIT.")
    prior: float = Field(
        DEFAULT_PRIOR,
        ge=1,
        le=200,
        description="a of the Beta(a, a) mixture; fixed before the data are seen. For a challenger that is planned to win a share s of the "
        "disagreements, 1 / (8 (s - 1/2)^2) - 1/2 proves it soonest.",
    )
    horizon: Horizon | None = Field(None, description="Test up to a declared end instead of without an end.")
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
        description="What to do where labels depend on the decisions: refuse; prove what no missing label can undo (recall, specificity "
        "and accuracy only); or correct, taking labels as missing at random given both decisions.",
    )
    sampling: Sampling | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="How low the known probabilities of being labelled are (`columns.label_probability`); fixed before the data are seen.",
    )
    approval: Literal["automatic", "required"] = Field(
        "automatic", description="Whether a promotion waits until a person has approved it."
    )
    n_resamples: int = Field(10_000, ge=1000, le=1_000_000, description="Bootstrap replicates.")

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_task(cls, settings: Any) -> Any:
        if not isinstance(settings, dict) or not isinstance(settings.get("task", ""), str):
            return settings
        kind = KINDS.get(settings.get("task", "binary"), BINARY)
        filled = {"primary": kind.primary, **settings}
        outcomes_only = settings.get("unlabelled") == "worst_case" or settings.get("sampling") is not None
        defaults = {m: v for m, v in kind.guardrails.items() if not outcomes_only or kind.measures[m].counts_outcomes}
        filled.setdefault("guardrails", {m: v for m, v in defaults.items() if m != filled["primary"]})
        return filled

    @field_validator("alpha")
    @classmethod
    def _not_too_small(cls, value: float) -> float:
        if value < 1e-12:
            msg = f"alpha is {value:g}; it must be at least 1e-12, below which 1 - alpha is not exact enough"
            raise ValueError(msg)
        return value

    @field_validator("largest_error")
    @classmethod
    def _as_recorded(cls, value: float | None) -> float | None:
        """Rounded to the 12 digits of a record, which says at what value losses were clipped."""
        if value is not None and not 1e-60 <= value <= 1e60:
            msg = f"largest_error must lie between 1e-60 and 1e60, not {value:g}"
            raise ValueError(msg)
        return None if value is None else float(f"{value:.12g}")

    @field_validator("floor")
    @classmethod
    def _in_order(cls, value: dict[str, float]) -> dict[str, float]:
        return dict(sorted(value.items()))

    @field_validator("guardrails", "segment_guardrails")
    @classmethod
    def _sensible_margins(cls, value: dict[str, float]) -> dict[str, float]:
        for name, margin in value.items():
            most = MEASURES[name].largest_difference
            if not 0 < margin < most:
                bound = "" if most == float("inf") else f" and below {most:g}"
                msg = f"the margin of {name} must be above 0{bound}, not {margin:g}"
                raise ValueError(msg)
        return dict(sorted(value.items()))  # so that another order in the file is the same policy

    @property
    def kind(self) -> Kind:
        """The kind of task: all that depends on ``task``."""
        return KINDS[self.task]

    def measure(self, name: str) -> Measure:
        """The measure of the task with this name. Raises KeyError if the task does not have it."""
        return self.kind.measures[name]

    @model_validator(mode="after")
    def _makes_sense(self) -> Policy:
        for fault in self._faults():
            raise ValueError(fault)
        return self

    def _faults(self) -> list[str]:
        """Why these settings do not go together, each a sentence that says what to change."""
        known = self.kind.deciding()
        named = [self.primary, *self.guardrails]
        faults = [
            f"{name} does not exist for the task {self.task}; its measures are: {', '.join(known)}"
            for name in named
            if name not in known
        ]
        if self.primary in self.guardrails:
            faults.append(
                f"{self.primary} is the primary metric; it cannot be a guardrail too. Remove it from guardrails."
            )
        if any(name not in known for name in named):
            return faults
        if self.min_gain >= self.measure(self.primary).span(self.largest_error):
            faults.append(f"min_gain is {self.min_gain:g}; no two models differ by that much in {self.primary}")
        if self.largest_error:
            faults += self._faults_of_clipping(self.largest_error)
        faults += self._faults_of_costs([*named, *self.floor])
        faults += self._faults_of_floor()
        if not self.kind.decides:
            faults += self._faults_of_the_task()
        elif self.unlabelled != "refuse":
            faults += self._faults_of_missing_labels(named)
        if self.horizon:
            faults += self._faults_of_horizon()
        return faults + self._faults_of_sampling(named)

    def _faults_of_costs(self, named: Sequence[str]) -> list[str]:
        if self.costs is None:
            missing = "cost is named, but there are no costs; add costs: {fp: ..., fn: ...}"
            return [missing] if "cost" in named else []
        asked = max(self.min_gain if self.primary == "cost" else 0, self.guardrails.get("cost", 0))
        most = self.costs.matrix.span
        return (
            [f"two decisions on a row differ by at most {most:g} in cost; min_gain and the margin of cost must be less"]
            if asked >= most
            else []
        )

    def _faults_of_floor(self) -> list[str]:
        shares = [m for m in self.kind.deciding() if self.measure(m).is_share]
        if not self.floor.keys() <= set(shares):
            unknown = ", ".join(sorted(self.floor.keys() - set(shares)))
            return [f"floor covers {', '.join(shares) or 'no measure'} for the task {self.task}; remove {unknown}"]
        wrong = [f"{m} is {v:g}" for m, v in self.floor.items() if m != "cost" and not 0 < v < 1]
        if wrong:
            return [f"a floor must lie between 0 and 1, and {', '.join(wrong)}"]
        if "cost" in self.floor and self.costs is not None:
            m = self.costs
            least, most = min(m.tp, m.fp, m.fn, m.tn), max(m.tp, m.fp, m.fn, m.tn)
            if not least < self.floor["cost"] < most:
                return [
                    f"a row costs {least:g} to {most:g}; the floor of cost must lie between, not at {self.floor['cost']:g}"
                ]
        if self.floor and (self.sampling or self.unlabelled != "refuse"):
            return ["floor needs labels that do not depend on the decisions; remove it, or sampling and unlabelled"]
        return []

    def _faults_of_sampling(self, named: Sequence[str]) -> list[str]:
        if self.sampling is None:
            return []
        if not self.kind.decides:
            return [f"sampling needs decisions of 0 and 1; the task is {self.task}; remove it"]
        covered = (*OUTCOME_METRICS, "cost")
        faults = [
            f"sampling covers recall, specificity, accuracy and cost; remove {m}" for m in named if m not in covered
        ]
        others = {
            "segment_guardrails": bool(self.segment_guardrails),
            "horizon": self.horizon is not None,
            f"unlabelled: {self.unlabelled}": self.unlabelled != "refuse",
        }
        return faults + [f"sampling does not go with {name}; remove one" for name, is_set in others.items() if is_set]

    def _faults_of_the_task(self) -> list[str]:
        """The settings that need decisions of 0 and 1, for a task without them."""
        needs = f"decisions of 0 and 1; the task is {self.task}"
        faults = []
        if self.segment_guardrails:
            faults.append(f"segment_guardrails need {needs}")
        if self.costs:
            faults.append(f"costs need {needs}")
        if self.unlabelled != "refuse":
            faults.append(f"unlabelled: {self.unlabelled} needs {needs}")
        return faults

    def _faults_of_missing_labels(self, named: Sequence[str]) -> list[str]:
        worst = self.unlabelled == "worst_case"
        words, covered = (
            ("recall, specificity and accuracy", OUTCOME_METRICS) if worst else ("metrics of decisions", METRICS)
        )
        faults = [f"unlabelled: {self.unlabelled} covers {words}; remove {m}" for m in named if m not in covered]
        if self.unit == "batch":
            faults.append(f"unlabelled: {self.unlabelled} needs rows as units; remove unit: batch")
        if self.segment_guardrails and not worst:
            faults.append("unlabelled: begg_greenes corrects no segment; remove segment_guardrails")
        return faults

    def _faults_of_clipping(self, largest_error: float) -> list[str]:
        if self.measure(self.primary).family != "numbers":
            return [f"largest_error clips the errors of predicted numbers; the task is {self.task}; remove it"]
        most = {name: self.measure(name).span(largest_error) for name in self.guardrails}
        return [
            f"the margin of {name} is {margin:g}; with this largest_error it must be below {most[name]:g}"
            for name, margin in self.guardrails.items()
            if margin >= most[name]
        ]

    def _faults_of_horizon(self) -> list[str]:
        if not self.measure(self.primary).counts_outcomes:
            others = ", ".join(m for m in OUTCOME_METRICS if m in self.kind.measures)
            instead = f", or choose one of {others}" if others else ""
            return [f"a horizon counts disagreements, and {self.primary} has none; remove horizon{instead}"]
        if self.min_gain or self.unit == "batch" or self.unlabelled != "refuse":
            return [
                "a horizon needs unit: row, min_gain: 0 and unlabelled: refuse; remove horizon, or change the others"
            ]
        return []
