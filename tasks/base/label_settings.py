"""What the values in the label column mean, in a project file."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = ["LabelValue", "LabelValues"]

LabelValue = bool | int | float | str
"""A value as YAML reads it."""


class LabelValues(BaseModel):
    """The meaning of the values in the label column. Without it, they are read as 0 or 1, class names, or numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    positive: tuple[LabelValue, ...] = Field((), strict=False, description="Values that mean 1.")
    negative: tuple[LabelValue, ...] = Field((), strict=False, description="Values that mean 0.")
    ignored: tuple[LabelValue, ...] = Field(
        (), strict=False, description="Values that are not a label yet, such as 'under investigation'."
    )

    @field_validator("positive", "negative", "ignored", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if not isinstance(value, (list, tuple)) or not all(isinstance(v, (bool, int, float, str)) for v in value):
            msg = "write a list whose values are texts, numbers, true or false"
            raise ValueError(msg)
        return tuple(value)

    @model_validator(mode="after")
    def _each_once(self) -> LabelValues:
        spellings = [w for v in (*self.positive, *self.negative, *self.ignored) for w in self.spellings(v)]
        twice = sorted({w for w in spellings if spellings.count(w) > 1})
        if twice:
            msg = f"'{twice[0]}' is listed twice; remove one, as a value has one meaning"
            raise ValueError(msg)
        return self

    @staticmethod
    def spellings(value: LabelValue) -> tuple[str, ...]:
        """All ways to write the value in a column of text. YAML reads yes, on and true alike as true."""
        if isinstance(value, bool):
            words = ("true", "yes", "on") if value else ("false", "no", "off")
            return tuple(w for word in words for w in (word, word.title(), word.upper()))
        if isinstance(value, float) and value.is_integer():
            return (str(value), str(int(value)))
        return (str(value),)

    @staticmethod
    def number(value: LabelValue) -> float | None:
        """The value in a column of numbers or booleans; None if it is not a number there."""
        word = str(value).strip().lower()
        if word in ("true", "false"):
            return float(word == "true")
        try:
            return float(word)
        except ValueError:
            return None
