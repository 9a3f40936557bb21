"""A guardrail that is breached on average, and swings from week to week: how often is it called held?"""

from __future__ import annotations

import math

import numpy as np

from analysis.any_look.process import OutcomeProcess
from analysis.evidence import Evidence
from analysis.policy import Policy
from analysis.seasons.simulate import evidence_of
from analysis.verdict.guardrails import guardrail
from calibration.cells import Cell, Part, Table, share, sized

__all__ = ["GUARDRAIL_SHOCKS", "HELD", "SHIPPED"]

HELD = "breached guardrail held at one of 26 weekly looks"
SHIPPED = "rows, and batches where these are uneven"
_ROWS = "rows alone"
_RUNS, _WEEKS, _DISAGREE, _MARGIN = 1000, 26, 0.05, 0.01
_POLICY = Policy(guardrails={"accuracy": _MARGIN})


def _year(rng: np.random.Generator, rows: int, mean: float, sd: float) -> Evidence:
    """Accuracy is lower by ``-mean`` on average; each week's difference is normal around it."""
    difference = np.clip(rng.normal(mean, sd, _WEEKS), -_DISAGREE, _DISAGREE)
    cells = np.zeros((_WEEKS, 1, 8), dtype=np.int64)
    for week, d in enumerate(difference):
        won, lost, tied = rng.multinomial(rows, [(_DISAGREE + d) / 2, (_DISAGREE - d) / 2, 1 - _DISAGREE])
        cells[week, 0, [2, 1, 0]] = won, lost, tied
    (evidence,) = evidence_of(cells)
    return evidence


def measure(rng: np.random.Generator, name: str, runs: int, rows: int, mean: float, sd: float) -> list[Cell]:
    """From the fourth look on, as nobody is promoted before."""
    shipped, by_rows = np.zeros(runs, dtype=bool), np.zeros(runs, dtype=bool)
    for run in range(runs):
        whole = _year(rng, rows, mean, sd)
        for batch in whole.batches[_POLICY.min_batches - 1 :]:
            seen = whole.until(batch.date)
            rows_hold = OutcomeProcess(seen.total_outcomes("accuracy"), _POLICY.prior).log_e(-_MARGIN) >= math.log(20)
            by_rows[run] |= rows_hold
            shipped[run] = shipped[run] or (
                rows_hold and guardrail(seen, "accuracy", _MARGIN, _POLICY).status == "held"
            )
    return [share(HELD, _ROWS, name, by_rows), share(HELD, SHIPPED, name, shipped)]


def _parts(scale: float) -> list[Part]:
    runs = sized(_RUNS, scale)
    return [
        Part(name, measure, (name, runs, 5000, mean, sd))
        for mean, sd in ((-0.01, 0.0), (-0.012, 0.01), (-0.012, 0.02))
        for name in [f"accuracy {mean:+g} within a margin of {_MARGIN:g}, shocks {sd:g}"]
    ]


GUARDRAIL_SHOCKS = Table(
    "guardrail_shocks",
    "A breached guardrail whose weeks differ",
    """
5,000 rows a week, a disagreement on one in twenty; accuracy is lower by the margin or more on average, and each week has a shock of its
own. Rows alone take 5,000 rows that share a shock for as many independent ones. Where the difference varies between weeks
(p < 0.2) the weeks as units have to carry the proof too.
""",
    _parts,
)
