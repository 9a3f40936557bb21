"""The kinds of task, one module each: models that decide between 0 and 1, that name classes, that predict numbers.

Each says which measures there are, how rows are counted, and what a judgement shows. ``KINDS`` has them all, by task.
"""

from __future__ import annotations

from analysis.kinds.binary import BINARY
from analysis.kinds.kind import LARGEST_NUMBER, Cell, Details, Kind, Task
from analysis.kinds.multiclass import MULTICLASS
from analysis.kinds.regression import REGRESSION
from analysis.tables.measure import Measure

__all__ = [
    "BINARY",
    "KINDS",
    "LARGEST_NUMBER",
    "MEASURES",
    "MEASURE_NAMES",
    "MULTICLASS",
    "REGRESSION",
    "Cell",
    "Details",
    "Kind",
    "Measure",
    "Task",
]

KINDS: dict[str, Kind] = {kind.task: kind for kind in (BINARY, MULTICLASS, REGRESSION)}

MEASURES: dict[str, Measure] = {name: measure for kind in KINDS.values() for name, measure in kind.measures.items()}
"""The measures of every task, by name: what is written alike has the same direction and range in each task that has it."""

MEASURE_NAMES: tuple[str, ...] = tuple(dict.fromkeys(name for kind in KINDS.values() for name in kind.deciding()))
"""All measures that a policy may name, of every task."""
