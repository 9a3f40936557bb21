"""What a plan costs: years simulated by ``play`` with its screens, beside a plain loop that asks every rule at every look.

Run ``python -m benchmarks.planning [RUNS]``; two minutes with 40 runs. Both promote in the same runs at the same looks, or it fails.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.policy import Policy
from analysis.policy.budget import allowance
from analysis.seasons.screens import Ints, Screen, screen_of_policy, screen_of_rule
from analysis.seasons.season import DETHRONE, NAIVE_RULES, Rule, policy_rule
from analysis.seasons.simulate import (
    Promotions,
    Scenario,
    Trial,
    draw,
    evidence_of,
    play,
    trial_of_policy,
    trial_of_rule,
)

BATCHES = 52
GAINS = (0.0, 0.01, 0.02, 0.05)
WEEK = Scenario(
    60, 1440, recall=0.6, false_positive_rate=0.02, disagreement_positives=0.1, disagreement_negatives=0.005
)


@dataclass
class Timed:
    """CPU and wall seconds of the plain loop and of ours."""

    plain_cpu: float = 0.0
    plain_wall: float = 0.0
    cpu: float = 0.0
    wall: float = 0.0


def main(runs: int) -> None:
    policy = Policy()
    first = allowance(policy.error_budget, policy.alpha, wave=1, order=1, promotions=0)
    contestants: dict[str, tuple[Rule, Trial, Screen | None]] = {
        DETHRONE: (policy_rule(policy), trial_of_policy(policy, {"2": first}), screen_of_policy(policy, {"2": first})),
        **{name: (rule, trial_of_rule(rule), screen_of_rule(rule)) for name, rule in NAIVE_RULES.items()},
    }
    times = {name: Timed() for name in contestants}
    for gain in GAINS:
        cells = draw(
            WEEK.improved("recall", gain),
            runs=runs,
            batches=BATCHES,
            rng=np.random.default_rng([1, round(1000 * gain)]),
        )
        for name, (rule, trial, screen) in contestants.items():
            t = times[name]
            plain, cpu, wall = _timed(lambda rule=rule, cells=cells: _plain(cells, rule))  # type: ignore[misc]
            t.plain_cpu, t.plain_wall = t.plain_cpu + cpu, t.plain_wall + wall
            ours, cpu, wall = _timed(lambda cells=cells, trial=trial, screen=screen: play(cells, trial, screen))  # type: ignore[misc]
            t.cpu, t.wall = t.cpu + cpu, t.wall + wall
            assert ours == plain, f"{name} at a gain of {gain:g}: {ours} and not {plain}"
    _print(times, runs)


def _plain(cells: Ints, rule: Rule) -> Promotions:
    """Every look of every run, one after the other, until the rule promotes."""
    at_batch = [0] * cells.shape[1]
    for run in cells:
        (evidence,) = evidence_of(run)
        days = [b.date for b in evidence.batches]
        first = next((i for i, day in enumerate(days) if rule(evidence.until(day)) is not None), None)
        if first is not None:
            at_batch[first] += 1
    return Promotions(len(cells), tuple(at_batch))


def _timed(run: Callable[[], Promotions]) -> tuple[Promotions, float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    found = run()
    return found, time.process_time() - cpu, time.perf_counter() - wall


def _print(times: dict[str, Timed], runs: int) -> None:
    print(
        f"{runs} runs of {BATCHES} weeks at gains of {', '.join(f'{g:g}' for g in GAINS)}; the same promotions in both\n"
    )
    print("| rule | plain loop, CPU s | wall s | ours, CPU s | wall s | ratio of CPU |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    total = Timed(*(sum(getattr(t, f) for t in times.values()) for f in ("plain_cpu", "plain_wall", "cpu", "wall")))
    for name, t in {**times, "**all**": total}.items():
        print(
            f"| {name} | {t.plain_cpu:.2f} | {t.plain_wall:.2f} | {t.cpu:.2f} | {t.wall:.2f} | {t.plain_cpu / t.cpu:.1f} |"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
