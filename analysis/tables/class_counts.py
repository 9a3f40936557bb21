"""The counts that every comparison of two models with more than two classes is a function of."""

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

    Entries are those that occur, each once and sorted by class name, so equal sets of rows are equal values; build
    them with ``of``. Counts of disjoint sets of rows add. Raises ValueError for entries out of order or below 1.
    """

    labelled: tuple[tuple[_Cell, int], ...] = ()
    unlabelled: tuple[tuple[_Pair, int], ...] = ()

    def __post_init__(self) -> None:
        for entries, width in ((self.labelled, 3), (self.unlabelled, 2)):
            keys = [key for key, _ in entries]
            if keys != sorted(set(keys)) or any(len(k) != width for k in keys) or any(n < 1 for _, n in entries):
                msg = f"need counts above 0 of {width} class names each, sorted and each once: {entries}"
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
    def labels(self) -> tuple[str, ...]:
        """The classes that occur as a label."""
        return tuple(sorted({y for (y, _, _), _ in self.labelled}))

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that occur at all: as a label, or as a prediction of a row with or without a label."""
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

    def outcomes(self) -> PairedOutcomes:
        """Wins, losses and ties over all labelled rows: which model names the label. A tie has both right or both wrong."""
        return _outcomes(self.labelled)

    def outcomes_of(self, name: str) -> PairedOutcomes:
        """Wins, losses and ties over the rows with the label ``name``."""
        return _outcomes(entry for entry in self.labelled if entry[0][0] == name)

    def one_vs_rest(self, name: str) -> PairedCounts:
        """The 2x2x2 table of "it is ``name``" against "it is not"."""
        labelled, unlabelled = [0] * 8, [0] * 4
        for (y, c, h), n in self.labelled:
            labelled[4 * (y == name) + 2 * (c == name) + (h == name)] += n
        for (c, h), n in self.unlabelled:
            unlabelled[2 * (c == name) + (h == name)] += n
        return PairedCounts(tuple(labelled), tuple(unlabelled))  # type: ignore[arg-type]

    def predictions(self) -> NDArray[np.int64]:
        """The K x K table (champion, challenger) of predicted classes over all rows, labelled or not, in the order of ``classes``."""
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
        found = {}
        for name in sorted({*labelled, *predicted}):
            tp, p, q = right[name], labelled[name], predicted[name]
            found[name] = Confusion(tp=tp, fp=q - tp, fn=p - tp, tn=total - p - q + tp)
        return found


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
