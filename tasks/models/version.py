"""A version of the registered model and what its tags say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from analysis.kinds import KINDS, Task
from tasks.models.errors import RegistryError

__all__ = ["ModelVersion"]

CHOICES = ("score_column", "positive_class")
ENVIRONMENTS = ("shared", "model")


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of the registered model, as it is in MLflow."""

    version: str
    run_id: str
    tags: dict[str, str]
    task: Task = "binary"

    @property
    def threshold(self) -> float | None:
        """The operating threshold: a row is flagged if its score is at least this. Raises RegistryError.

        None for the tasks multiclass and regression, where no row is flagged.
        """
        if not KINDS[self.task].decides:
            return None
        text = self.tags.get("threshold")
        if text is None:
            msg = f"version {self.version} has no tag 'threshold'; set it to the score from which a row is flagged"
            raise RegistryError(msg)
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            msg = f"version {self.version}: its tag 'threshold' is '{text}'; it must be a number from 0 to 1"
            raise RegistryError(msg)
        return value

    @property
    def choices(self) -> dict[str, str]:
        """The tags that say which part of the model's output is the prediction, of those that are set. Raises RegistryError.

        ``score_column`` is the name or number of the output's column, ``positive_class`` the class whose probability is the score.
        """
        chosen = {name: self.tags[name] for name in CHOICES if name in self.tags}
        empty = next((name for name, value in chosen.items() if not value.strip()), None)
        if empty is not None:
            what = "a column of its output" if empty == "score_column" else "one of its classes"
            msg = f"version {self.version}: its tag '{empty}' is empty; set it to {what}, or remove it"
            raise RegistryError(msg)
        if "positive_class" in chosen and not KINDS[self.task].decides:
            msg = f"version {self.version} has the tag 'positive_class', which means nothing in the task {self.task}; remove it"
            raise RegistryError(msg)
        return chosen

    @property
    def trained_through(self) -> date | None:
        """The last day of the training data; None without the tag. Raises RegistryError if it is not a date."""
        return self._date("trained_through")

    @property
    def labels_seen_through(self) -> date | None:
        """The last day whose labels training or choice have used, as claimed; None without the tag. Raises RegistryError."""
        return self._date("labels_seen_through")

    def _date(self, tag: str) -> date | None:
        text = self.tags.get(tag)
        if text is None:
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            msg = f"version {self.version}: its tag '{tag}' is '{text}'; it must be a date such as 2013-02-28"
            raise RegistryError(msg) from None

    @property
    def environment(self) -> str | None:
        """Where the version loads, if its tag says so: ``shared`` or ``model``. Raises RegistryError."""
        text = self.tags.get("environment")
        if text is not None and text not in ENVIRONMENTS:
            msg = f"version {self.version}: its tag 'environment' is '{text}'; it must be 'shared' or 'model'"
            raise RegistryError(msg)
        return text
