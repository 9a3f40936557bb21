"""Batches as units at a margin: how often is non-inferiority proven of a challenger that is exactly as much worse?"""

from __future__ import annotations

import math

import numpy as np

from analysis.any_look.batch_unit import log_e_batch_unit
from analysis.tables.counts import PairedOutcomes
from calibration.cells import Cell, Part, Table, agree, share, sized
from calibration.records import WEEKS, Ints
from calibration.rules import ALPHA, Bools, batches_reached, sampled_looks

__all__ = ["BATCH_MARGINS", "FALSE", "SHIPPED"]

FALSE = "non-inferiority falsely proven within 52 weekly looks"
SHIPPED = "e-process of batches"
_RUNS = 10_000

# (rows a week, share of them won, share lost, margin): the gain is exactly minus the margin
_WORLDS = [
    (20, 0.0, 0.05, 0.05),
    (100, 0.0, 0.02, 0.02),
    (1000, 0.0, 0.005, 0.005),
    (20, 0.01, 0.06, 0.05),
    (300, 0.005, 0.015, 0.01),
    (1000, 0.02, 0.03, 0.01),
]


def measure(rng: np.random.Generator, world: tuple[int, float, float, float], name: str, runs: int) -> list[Cell]:
    """The shipped scale, and each batch's own, on the same years."""
    rows, won, lost, margin = world
    cells = rng.multinomial(rows, [won, lost, 1 - won - lost], size=(runs, WEEKS))
    wins, losses = cells[..., 0], cells[..., 1]
    d = wins + losses
    seen = np.concatenate([d[:, :1], d.cumsum(axis=1)[:, :-1] / np.arange(1, WEEKS)], axis=1)
    own, expected, explained = np.maximum(d, 1), np.maximum(seen, 1), margin * rows
    weight = explained / np.maximum(seen, explained)
    lead = wins - losses + margin * rows
    reached = {
        SHIPPED: batches_reached(lead / np.sqrt(own + weight * (expected - own))),
        "e-process of batches, each over its own scale": batches_reached(lead / np.sqrt(own)),
    }
    _check(wins, losses, rows, margin, reached[SHIPPED], rng)
    return [share(FALSE, rule, name, found.any(axis=1)) for rule, found in reached.items()]


def _check(wins: Ints, losses: Ints, rows: int, margin: float, looks: Bools, rng: np.random.Generator) -> None:
    """Compare with the shipped process on sampled looks."""
    for run, week in sampled_looks(looks, rng, 40):
        batches = [
            PairedOutcomes(int(w), int(l), int(rows - w - l))
            for w, l in zip(wins[run, : week + 1], losses[run, : week + 1], strict=True)
        ]
        shipped = log_e_batch_unit(batches, null_gain=-margin) >= -math.log(ALPHA)
        agree(f"e-process of batches at a margin, run {run}, week {week}", bool(looks[run, week]), shipped)


def _parts(scale: float) -> list[Part]:
    found = []
    for world in _WORLDS:
        rows, won, lost, margin = world
        name = f"{rows} rows a week, {won:.1%} won, {lost:.1%} lost, margin {margin:g}"
        found.append(Part(name, measure, (world, name, sized(_RUNS, scale))))
    return found


BATCH_MARGINS = Table(
    "batch_margins",
    "Batches as units at a margin",
    """
With `unit: batch` a guardrail takes one number a week, the challenger's lead plus the margin over a scale. At the margin a week of few
losses has few disagreements too, so its own scale would make its lead larger; the shipped process takes the scale that the weeks before let
expect, in the share that the margin has in the disagreements. Where losses are few their number is skewed, so the rate is near 0.05 and not
below it by proof.
""",
    _parts,
)
