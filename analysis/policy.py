"""The policy of a project: what a challenger has to show before it takes over."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from analysis.counts import BinaryMetric
from analysis.eprocess import DEFAULT_PRIOR

__all__ = ["GuardrailMetric", "Policy"]

GuardrailMetric = Literal["recall", "specificity", "accuracy", "precision"]


_GUARDRAILS: dict[GuardrailMetric, float] = {"accuracy": 0.005, "precision": 0.03}


class Policy(BaseModel):
    """The rule of decision. Every default is that of a plain pair of classifiers judged once a week."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    primary: BinaryMetric = Field("recall", description="The metric in which a challenger has to be better.")
    min_gain: float = Field(
        0.0, ge=0, lt=1, description="The gain that matters: a challenger must be proven better by more than this."
    )
    alpha: float = Field(
        0.05, gt=0, lt=0.5, description="Probability of a false promotion in a reign; E must reach 1/alpha."
    )
    guardrails: dict[GuardrailMetric, Annotated[float, Field(gt=0, lt=1)]] = Field(
        _GUARDRAILS,
        description="Metrics that must be proven not to be worse than the champion's by this margin.",
    )
    min_batches: int = Field(4, ge=1, description="Closed batches with evidence before any verdict but WAIT.")
    prior: float = Field(
        DEFAULT_PRIOR, ge=1, le=200, description="a of the Beta(a, a) mixture; fixed before the data are seen."
    )
    n_resamples: int = Field(10_000, ge=1000, le=1_000_000, description="Bootstrap replicates.")

    @model_validator(mode="before")
    @classmethod
    def _default_guardrails_without_the_primary(cls, given: Any) -> Any:
        if isinstance(given, dict) and "guardrails" not in given:
            guardrails = {m: margin for m, margin in _GUARDRAILS.items() if m != given.get("primary")}
            return {**given, "guardrails": guardrails}
        return given

    @field_validator("guardrails")
    @classmethod
    def _sorted(cls, value: dict[GuardrailMetric, float]) -> dict[GuardrailMetric, float]:
        return dict(sorted(value.items()))  # so that their order in the file does not make another policy

    @model_validator(mode="after")
    def _primary_is_no_guardrail(self) -> Policy:
        if self.primary in self.guardrails:
            msg = f"{self.primary} is the primary metric; it cannot be a guardrail too. Remove it from guardrails."
            raise ValueError(msg)
        return self
