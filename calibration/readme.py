"""The two tables that matter most, from the CSV files that a calibration wrote: ``python -m calibration --readme``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from calibration.cells import Cell
from calibration.pages import read_csv
from calibration.records import constant
from calibration.tables.looks import FALSE
from calibration.tables.power import WEEKS_TO_A_PROMOTION

__all__ = ["readme_tables"]

_RULES = {
    "higher recall so far": "higher recall so far",
    "McNemar's mid-p < 0.05": "McNemar's mid-p < 0.05",
    "bootstrap's 95% interval > 0": "bootstrap's 95% interval above 0",
    "Pocock, information in disagreements": "Pocock's boundaries, a year declared beforehand",
    "e-process": "**E ≥ 20**",
}
_EQUAL = {
    "20 positives a week": constant(20, 0.1).name,
    "100 positives a week": constant(100, 0.1).name,
    "1000 positives a week": constant(1000, 0.1).name,
}
_BETTER = {
    "20 positives a week, gain 0.05": constant(20, 0.1, 0.05).name,
    "100, gain 0.02": constant(100, 0.1, 0.02).name,
    "100, gain 0.05": constant(100, 0.1, 0.05).name,
}


def readme_tables(folder: Path) -> str:
    """Markdown: promotions of an equal challenger within a year, and weeks until a better one is promoted, by rule."""
    looks, power = read_csv(folder / "looks.csv"), read_csv(folder / "power.csv")
    errors = _table(
        "an equal challenger is promoted within a year", looks, FALSE, _EQUAL, lambda c: f"{c.estimate:.1%}"
    )
    weeks = _table(
        "weeks until a better one is promoted", power, WEEKS_TO_A_PROMOTION, _BETTER, lambda c: f"{c.estimate:.1f}"
    )
    return f"{errors}\n\n{weeks}"


def _table(
    title: str, cells: Sequence[Cell], quantity: str, worlds: dict[str, str], show: Callable[[Cell], str]
) -> str:
    """Rules in which no cell was measured are left out."""
    found = {(c.rule, c.world): show(c) for c in cells if c.quantity == quantity}
    lines = [[title, *worlds], ["---"] * (len(worlds) + 1)]
    for rule, name in _RULES.items():
        row = [found[rule, world] for world in worlds.values() if (rule, world) in found]
        if len(row) == len(worlds):
            lines.append([name, *row])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
