"""The counts from which two models that name one of several classes are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from analysis.tables.counts import Confusion, PairedCounts, PairedOutcomes

__all__ = ["ClassCounts"]

_Cell = tuple[str, str, str]
_Pair = tuple[str, str]
_Key = TypeVar("_Key", _Cell, _Pair)


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """The sparse K x K x K table (label, champion, challenger) of one pair, with its unlabelled rows.

    Only the cells that occur are entries, each once and sorted by class name, so equal sets of rows are equal values;
    build them with ``of``. Counts of disjoint sets of rows can be added. Raises ValueError for entries that are not
    sorted, or whose count is below 1.
    """

    labelled: tuple[tuple[_Cell, int], ...] = ()
    unlabelled: tuple[tuple[_Pair, int], ...] = ()

    def __post_init__(self) -> None:
        for entries, width in ((self.labelled, 3), (self.unlabelled, 2)):
            keys = [key for key, _ in entries]
            if keys != sorted(set(keys)) or any(len(k) != width for k in keys) or any(n < 1 for _, n in entries):
                msg = f"each entry needs {width} class names and a count above 0, sorted, without repetition: {entries}"
                raise ValueError(msg)

    @classmethod
    def of(cls, labelled: Iterable[tuple[_Cell, int]], unlabelled: Iterable[tuple[_Pair, int]] = ()) -> ClassCounts:
        """From counts of (label, champion, challenger) and (champion, challenger) in any order; repeated keys add up."""
        return cls(_collect(labelled), _collect(unlabelled))

    def __add__(self, other: ClassCounts) -> ClassCounts:
        return ClassCounts.of((*self.labelled, *other.labelled), (*self.unlabelled, *other.unlabelled))

    @property
    def n(self) -> int:
        """Labelled rows."""
        return sum(n for _, n in self.labelled)

    @property
    def unlabelled_rows(self) -> int:
        """Rows without a label."""
        return sum(n for _, n in self.unlabelled)

    @property
    def disagreements(self) -> int:
        """Labelled rows for which the two models name different classes."""
        return sum(n for (_, c, h), n in self.labelled if c != h)

    @property
    def unlabelled_disagreements(self) -> int:
        """Rows without a label for which the two models name different classes."""
        return sum(n for (c, h), n in self.unlabelled if c != h)

    @property
    def errors(self) -> tuple[int, int]:
        """Labelled rows on which the champion is wrong, and those on which the challenger is wrong."""
        return sum(n for (y, c, _), n in self.labelled if c != y), sum(n for (y, _, h), n in self.labelled if h != y)

    @property
    def one_class(self) -> bool:
        return len(self.labels) == 1

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes that occur as a label."""
        return tuple(sorted({y for (y, _, _), _ in self.labelled}))

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that occur as a label, or as a prediction for a row with or without a label."""
        return tuple(sorted({name for key, _ in (*self.labelled, *self.unlabelled) for name in key}))

    @property
    def champion(self) -> dict[str, Confusion]:
        """The champion's confusion matrix of each class against the rest, over the labelled rows."""
        return self._confusions(1)

    @property
    def challenger(self) -> dict[str, Confusion]:
        """The challenger's confusion matrix of each class against the rest, over the labelled rows."""
        return self._confusions(2)

    def swap(self) -> ClassCounts:
        """The same rows with the roles of the two models exchanged."""
        labelled = (((y, h, c), n) for (y, c, h), n in self.labelled)
        return ClassCounts.of(labelled, (((h, c), n) for (c, h), n in self.unlabelled))

    def outcomes(self, metric: str = "accuracy") -> PairedOutcomes:
        """Wins, losses and ties over all labelled rows: the challenger alone, the champion alone, or both or neither name the label.

        Raises ValueError for a metric other than accuracy.
        """
        if metric != "accuracy":
            msg = f"with several classes only accuracy has wins and losses, not {metric}"
            raise ValueError(msg)
        return _outcomes(self.labelled)

    def outcomes_of(self, name: str) -> PairedOutcomes:
        """Wins, losses and ties over the rows with the label ``name``."""
        return _outcomes(entry for entry in self.labelled if entry[0][0] == name)

    def corrected(self, settled: ClassCounts) -> int:
        """The least number of disagreements whose label is gone or changed in ``settled``, the later table of the same rows."""
        after = dict(settled.labelled)
        return sum(max(0, n - after.get(key, 0)) for key, n in self.labelled if key[1] != key[2])

    def as_recorded(self) -> PairedCounts:
        """The 2x2x2 table in records: label 1, and decision 1 where it names the label; unlabelled rows are flagged by neither model."""
        cells = [0] * 8
        for (y, c, h), n in self.labelled:
            cells[4 + 2 * (c == y) + (h == y)] += n
        return PairedCounts(tuple(cells), (self.unlabelled_rows, 0, 0, 0))  # type: ignore[arg-type]

    def predictions(self) -> NDArray[np.int64]:
        """Predicted classes of all rows, labelled or not: shape (K, K), champion x challenger, in the order of ``classes``."""
        position = {name: i for i, name in enumerate(self.classes)}
        table = np.zeros((len(position), len(position)), dtype=np.int64)
        pairs = [*(((c, h), n) for (_, c, h), n in self.labelled), *self.unlabelled]
        for (c, h), n in pairs:
            table[position[c], position[h]] += n
        return table

    def _confusions(self, model: int) -> dict[str, Confusion]:
        right, labelled, predicted = Counter[str](), Counter[str](), Counter[str]()
        for key, n in self.labelled:
            label, prediction = key[0], key[model]
            labelled[label] += n
            predicted[prediction] += n
            if label == prediction:
                right[label] += n
        total = self.n
        matrices = {}
        for name in sorted({*labelled, *predicted}):
            tp, p, q = right[name], labelled[name], predicted[name]
            matrices[name] = Confusion(tp=tp, fp=q - tp, fn=p - tp, tn=total - p - q + tp)
        return matrices


def _collect(entries: Iterable[tuple[_Key, int]]) -> tuple[tuple[_Key, int], ...]:
    total: Counter[_Key] = Counter()
    for key, n in entries:
        total[key] += n
    return tuple(sorted((key, n) for key, n in total.items() if n))


def _outcomes(entries: Iterable[tuple[_Cell, int]]) -> PairedOutcomes:
    wins = losses = ties = 0
    for (y, c, h), n in entries:
        if (c == y) == (h == y):
            ties += n
        elif h == y:
            wins += n
        else:
            losses += n
    return PairedOutcomes(wins, losses, ties)
