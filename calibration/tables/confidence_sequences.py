"""Do confidence sequences hold the true gain at all 52 looks of a year?"""

from __future__ import annotations

import math

import numpy as np

from analysis.any_look.asymptotic import MIN_DISCORDANT
from analysis.any_look.eprocess import confidence_sequence, log_e_array
from analysis.any_look.process import AsymptoticProcess
from analysis.tables.metrics import Difference, difference
from analysis.verdict.process_choice import LOOKS_UNTIL_TIGHTEST
from calibration.cells import Cell, Part, Table, agree, share, sized
from calibration.records import Ints, Record, World, constant, play
from calibration.rules import ALPHA, Bools, asymptotic_reached, positives_only

__all__ = ["CONFIDENCE_SEQUENCES", "COVERED", "LOWER"]

COVERED = "true gain inside the 90% interval at all 52 looks"
LOWER = "true gain above the lower limit at all 52 looks"

_RUNS = 4000
_Z = 1.6448536269514722
_FAR = 1000.0  # standard errors, where the estimated error is 0 and the estimate wrong

_WORLDS = [
    (constant(20, 0.1), 0.0),
    (constant(20, 0.1, 0.05), 0.05),
    (constant(20, 0.2, 0.05), 0.05),
    (constant(100, 0.1), 0.0),
    (constant(100, 0.2, 0.02), 0.02),
    (constant(1000, 0.1), 0.0),
    (constant(1000, 0.2, 0.02), 0.02),
]


def _rejected(w: Ints, l: Ints, n: Ints, gain: float) -> Bools:
    """Whether the lower limit lies above ``gain``, which it does exactly when E against it has reached 1/alpha.

    Asked where the observed gain lies more than one standard error above, which is checked on sampled looks.
    """
    n = np.broadcast_to(n, w.shape)
    observed = (w - l) / n
    near = (observed > gain) & ((observed - gain) ** 2 * n > (w + l) / n - observed**2)
    found = np.zeros(w.shape, dtype=bool)
    w, l, n = w[near], l[near], n[near]
    found[near] = log_e_array(w, l, n - w - l, null_gain=gain) >= -math.log(ALPHA)
    return found


def measure(rng: np.random.Generator, world: World, gain: float, runs: int) -> list[Cell]:
    """The confidence sequence, its asymptotic rival and an interval meant for one look, on the same years."""
    r = play(world, runs, rng)
    above, below = _rejected(r.won, r.lost, r.n, gain), _rejected(r.lost, r.won, r.n, -gain)
    _check(r, above, below, gain, rng)
    observed = (r.won - r.lost) / r.n
    sd = np.sqrt(np.maximum((r.won + r.lost) / r.n - observed**2, 0))
    some = np.where(sd > 0, sd, 1)
    z = np.where(sd > 0, (observed - gain) * np.sqrt(r.n) / some, _FAR * np.sign(observed - gain))
    enough = (r.won + r.lost >= MIN_DISCORDANT) & (sd > 0)
    z_above, z_below = asymptotic_reached(z, r.n), asymptotic_reached(-z, r.n)
    _check_asymptotic(r, enough & z_above, enough & z_below, gain, rng)
    misses: dict[str, tuple[Bools, Bools]] = {
        "confidence sequence": (above, below),
        "asymptotic sequence, from 20 disagreements on": (enough & z_above, enough & z_below),
        "asymptotic sequence from the first week on": (z_above, z_below),
        "Wald interval of one look": (z > _Z, z < -_Z),
    }
    covered = [share(COVERED, rule, world.name, ~(a | b).any(axis=1)) for rule, (a, b) in misses.items()]
    return covered + [share(LOWER, rule, world.name, ~a.any(axis=1)) for rule, (a, _) in misses.items()]


def _check(r: Record, above: Bools, below: Bools, gain: float, rng: np.random.Generator) -> None:
    """Compare with the limits that the shipped function gives, half of them at looks that reject."""
    for run, week in _sampled(above | below, rng):
        limits = confidence_sequence(r.outcomes(run, week), alpha=ALPHA)
        ours = bool(above[run, week]), bool(below[run, week])
        agree(f"confidence sequence at {r.outcomes(run, week)}", ours, (limits.low > gain, limits.high < gain))


def _check_asymptotic(r: Record, above: Bools, below: Bools, gain: float, rng: np.random.Generator) -> None:
    for run, week in _sampled(above | below, rng):
        pairs = r.outcomes(run, week)
        found = difference("recall", positives_only(pairs))
        assert isinstance(found, Difference)
        if pairs.discordant >= MIN_DISCORDANT and found.standard_error > 0:
            n_opt = LOOKS_UNTIL_TIGHTEST * float(r.n[0])
            limits = AsymptoticProcess(found.value, found.standard_error, pairs.n, n_opt, ALPHA).interval(ALPHA)
            ours = bool(above[run, week]), bool(below[run, week])
            agree(f"asymptotic sequence at {pairs}", ours, (limits.low > gain, limits.high < gain))


def _sampled(rejecting: Bools, rng: np.random.Generator, size: int = 10) -> list[tuple[int, int]]:
    """So many looks that reject the true gain, if there are, and as many others."""
    found = np.argwhere(rejecting)
    picked = found[rng.choice(len(found), min(size, len(found)), replace=False)]
    anywhere = np.column_stack([rng.integers(n, size=size) for n in rejecting.shape])
    return [(int(run), int(week)) for run, week in (*picked, *anywhere)]


def _parts(scale: float) -> list[Part]:
    return [Part(world.name, measure, (world, gain, sized(_RUNS, scale))) for world, gain in _WORLDS]


CONFIDENCE_SEQUENCES = Table(
    "confidence_sequences",
    "Confidence sequences over a year of looks",
    """
An interval of the gain in recall is shown every week; it is right in a year if the true gain lies inside at every look. The
confidence sequence is the one that a report shows: 0.05 on each side, so that its lower end agrees with the decision.
""",
    _parts,
)
