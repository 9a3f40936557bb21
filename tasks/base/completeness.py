"""When a batch is whole: by a marker that the job which writes it leaves last, or once nothing has changed for a while."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = ["Complete"]


class Complete(BaseModel):
    """One of the two. Without either, a batch is whole as soon as it has a file of rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    marker: str | None = Field(
        None, description="A batch is whole once its folder has a file of this name, such as `_SUCCESS`."
    )
    quiet_minutes: float | None = Field(
        None, gt=0, description="A batch is whole once none of its files has come or changed for so many minutes."
    )

    @field_validator("marker")
    @classmethod
    def _name(cls, value: str | None) -> str | None:
        if value is not None and (not value or "/" in value or value.startswith(".")):
            msg = "a marker is the name of a file, such as _SUCCESS, without folders and not hidden"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _one_of_both(self) -> Complete:
        if (self.marker is None) == (self.quiet_minutes is None):
            msg = "complete needs either marker or quiet_minutes; give one of them, or leave out complete"
            raise ValueError(msg)
        return self
