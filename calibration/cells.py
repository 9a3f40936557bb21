"""The numbers of a calibration table, each with its error bar, and the random numbers that they rest on."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

__all__ = [
    "Cell",
    "DisagreementError",
    "Kind",
    "Part",
    "Table",
    "agree",
    "exact",
    "generator",
    "mean",
    "share",
    "sized",
]

_SEED = 20260105
_CONFIDENCE = 0.95

Kind = Literal["share", "mean", "exact"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One number: ``quantity`` of ``rule`` in ``world`` over ``runs`` simulated runs; 0 runs where it was enumerated."""

    quantity: str
    rule: str
    world: str
    kind: Kind
    estimate: float
    runs: int
    low: float
    high: float

    @property
    def hits(self) -> int:
        """The number of runs that a share counts."""
        return round(self.estimate * self.runs)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a table that one process measures: ``measure(rng, *arguments)`` gives its cells."""

    name: str
    measure: Callable[..., list[Cell]]
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A page of docs/calibration. ``parts(scale)`` splits the work; ``scale`` multiplies the number of runs."""

    name: str
    title: str
    text: str
    parts: Callable[[float], list[Part]]
    summary: bool = False  # a first grid with mean, lowest and highest over the worlds


def sized(runs: int, scale: float, *, at_least: int = 20) -> int:
    """The number of runs at this scale."""
    return max(at_least, round(runs * scale))


def generator(*names: str) -> np.random.Generator:
    """Random numbers that depend on the names of a table and its part alone, never on who computes it or when."""
    words = np.frombuffer(hashlib.sha256("/".join(names).encode()).digest(), dtype="<u4")
    return np.random.default_rng(np.random.SeedSequence(_SEED, spawn_key=tuple(int(w) for w in words)))


def share(quantity: str, rule: str, world: str, happened: ArrayLike) -> Cell:
    """The share of runs in which it happened, with the 95 % interval of Clopper and Pearson (1934)."""
    outcomes = np.asarray(happened, dtype=bool)
    found = stats.binomtest(int(outcomes.sum()), outcomes.size).proportion_ci(_CONFIDENCE, method="exact")
    return Cell(
        quantity, rule, world, "share", float(outcomes.mean()), outcomes.size, float(found.low), float(found.high)
    )


def mean(quantity: str, rule: str, world: str, values: ArrayLike) -> Cell:
    """The mean over the runs, with the 95 % interval of the normal approximation."""
    x = np.asarray(values, dtype=np.float64)
    half = float(stats.norm.isf((1 - _CONFIDENCE) / 2)) * float(x.std()) / math.sqrt(x.size)
    return Cell(quantity, rule, world, "mean", float(x.mean()), x.size, float(x.mean()) - half, float(x.mean()) + half)


def exact(quantity: str, rule: str, world: str, value: float) -> Cell:
    """A number that was enumerated: no run, no error bar."""
    return Cell(quantity, rule, world, "exact", value, 0, value, value)


class DisagreementError(RuntimeError):
    """A vectorised form does not do what the shipped function does: nothing that was measured with it counts."""


def agree(what: str, vectorised: object, shipped: object) -> None:
    """Raise DisagreementError unless the vectorised form gave what the shipped function gives."""
    close = (
        math.isclose(vectorised, shipped, rel_tol=1e-6, abs_tol=1e-9)
        if isinstance(vectorised, float) and isinstance(shipped, float)
        else vectorised == shipped
    )
    if not close:
        msg = f"{what}: the vectorised form gives {vectorised}, the shipped function {shipped}"
        raise DisagreementError(msg)
