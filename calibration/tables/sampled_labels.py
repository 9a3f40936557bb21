"""Rows that are chosen to be labelled with known probabilities: false promotions, power, and the test of the probabilities."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from analysis.any_look.sampled import SampledCounts, log_e_declared, log_e_sampled, outcome_payoffs
from analysis.policy.budget import allowance
from analysis.tables.counts import PairedCounts
from calibration.cells import Cell, Part, Table, share, sized
from calibration.records import WEEKS
from calibration.rules import ALPHA

__all__ = ["FALSE", "INVALID", "PROMOTED", "SAMPLED_LABELS", "SHIPPED"]

FALSE = "equal models, labels sampled: promoted within 52 weekly looks"
PROMOTED = "a better challenger (+0.05), labels sampled: promoted within 52 weekly looks"
INVALID = "labels sampled: called invalid at one of 52 looks"
SHIPPED = "weighted by 1 / probability"
_RAW = "every label counts as one"
_RUNS = 400
_PRIOR = 3.0


@dataclass(frozen=True, slots=True)
class Design:
    """The probability of being labelled for rows that neither flags, the challenger alone, the champion alone, and both."""

    name: str
    chance: tuple[float, float, float, float]
    told: tuple[float, float, float, float] | None = None

    @property
    def heaviest(self) -> tuple[float, float]:
        said = self.told or self.chance
        return 1 / min(said), 1 / min(said[1:3])


_DESIGNS = [
    Design("all alerts of either, 5% of the rest", (0.05, 1.0, 1.0, 1.0)),
    Design("champion's alerts, 20% of the challenger's own, 5% of the rest", (0.05, 0.2, 1.0, 1.0)),
    Design("champion's alerts, 10% of all others", (0.1, 0.1, 1.0, 1.0)),
    Design("half of all rows", (0.5, 0.5, 0.5, 0.5)),
]
_WRONG = Design(
    "said to be 20% of the challenger's own, in truth 10%", (0.05, 0.1, 1.0, 1.0), told=(0.05, 0.2, 1.0, 1.0)
)


def _week(rng: np.random.Generator, gain: float) -> np.ndarray:
    """2,000 rows by cell, 100 of them positive; the models disagree on a tenth of the positives and a hundredth of the negatives."""
    won, lost = rng.binomial(100, (0.1 + gain) / 2), rng.binomial(100, (0.1 - gain) / 2)
    raised, cleared = rng.binomial(1900, 0.005, 2)
    return np.array([1880 - raised - cleared, raised, cleared, 20, 30 - won, won, lost, 70 - lost])


def measure(rng: np.random.Generator, design: Design, gain: float, runs: int) -> list[Cell]:
    """E of the weighted rows and, for comparison, of the rows as they are; and whether the probabilities hold."""
    threshold = -math.log(allowance("reign", ALPHA, wave=1, order=1, promotions=0).alpha)
    told, payoffs = design.told or design.chance, outcome_payoffs("recall")
    raw, shipped, invalid = (np.zeros(runs, dtype=bool) for _ in range(3))
    for run in range(runs):
        rows, total = PairedCounts(), np.zeros(8, dtype=np.int64)
        for week in range(WEEKS):
            full = _week(rng, gain)
            kept = rng.binomial(full, design.chance * 2)
            total += kept
            gone = (full - kept).reshape(2, 4).sum(axis=0)
            rows += PairedCounts(tuple(kept.tolist()), tuple(gone.tolist()))
            counts = SampledCounts.of(
                (told[j & 3], tuple(int(k == j) * int(total[j]) for k in range(8)))  # type: ignore[misc]
                for j in range(8)
            )
            declared = log_e_declared(rows, counts, heaviest=design.heaviest, prior=_PRIOR)
            invalid[run] |= declared >= math.log(20)
            if week < 3:
                continue
            e, plain = (
                log_e_sampled(c, payoffs, span=1, heaviest=w, null_gain=0.0, prior=_PRIOR)
                for c, w in ((counts, design.heaviest), (SampledCounts.of([(1.0, rows.labelled)]), (1.0, 1.0)))
            )
            shipped[run] |= e >= threshold and declared <= 0
            raw[run] |= plain >= threshold
    if design.told:
        return [share(INVALID, "where the probabilities are wrong", design.name, invalid)]
    name = PROMOTED if gain else FALSE
    return [
        share(name, _RAW, design.name, raw),
        share(name, SHIPPED, design.name, shipped),
        share(INVALID, SHIPPED, f"{design.name}, {'+' if gain else ''}{gain:g}", invalid),
    ]


def _parts(scale: float) -> list[Part]:
    runs = sized(_RUNS, scale)
    parts = [
        Part(f"{design.name}, {gain:g}", measure, (design, gain, runs)) for design in _DESIGNS for gain in (0.0, 0.05)
    ]
    return [*parts, Part(_WRONG.name, measure, (_WRONG, 0.0, runs))]


SAMPLED_LABELS = Table(
    "sampled_labels",
    "Labels of rows that are chosen at random",
    f"""
2,000 rows a week, 100 of them positive; the models disagree on a tenth of the positives and a hundredth of the negatives. Rows are
labelled with a known probability that depends on who flagged them, as fraud and credit teams review alerts and audit a sample of
the rest. "{_RAW}" is what a test of the labelled rows would do: it cannot see a gain in rows that are rarely looked
into. The shipped rule weighs each label by 1 / its probability, and calls the judgement
invalid where labels come more or less often than their probabilities say.
The other conditions of a promotion are left out here: they only make promotions rarer.
""",
    _parts,
)
