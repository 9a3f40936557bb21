"""A year of weekly looks at two models, many times over: rows on which one of them alone was right, week by week."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.tables.counts import PairedOutcomes

__all__ = ["WEEKS", "Ints", "Record", "World", "constant", "play"]

WEEKS = 52

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class World:
    """Positives, share of disagreements among them, and share of those that the challenger wins, week by week."""

    name: str
    positives: tuple[int, ...]
    discordance: tuple[float, ...]
    win_share: tuple[float, ...]


@dataclass(frozen=True)
class Record:
    """Wins and losses of each week; shape (runs, weeks). ``positives`` of each week are the same in all runs."""

    wins: Ints
    losses: Ints
    positives: Ints

    @functools.cached_property
    def won(self) -> Ints:
        """Wins so far."""
        return self.wins.cumsum(axis=1)

    @functools.cached_property
    def lost(self) -> Ints:
        """Losses so far."""
        return self.losses.cumsum(axis=1)

    @functools.cached_property
    def n(self) -> Ints:
        """Positives so far; shape (weeks,)."""
        return self.positives.cumsum()

    def outcomes(self, run: int, week: int) -> PairedOutcomes:
        """What the shipped functions take: the record of one run up to and with this week."""
        w, l = int(self.won[run, week]), int(self.lost[run, week])
        return PairedOutcomes(w, l, int(self.n[week]) - w - l)

    def batches(self, run: int, week: int) -> list[PairedOutcomes]:
        """The same, week by week."""
        weekly = zip(self.wins[run, : week + 1], self.losses[run, : week + 1], self.positives[: week + 1], strict=True)
        return [PairedOutcomes(int(w), int(l), int(n - w - l)) for w, l, n in weekly]


def constant(positives: int, discordance: float, gain: float = 0.0) -> World:
    """Every week alike; ``gain`` is the difference in recall."""
    name = f"{positives} positives a week, {discordance:.0%} disagree" + (f", gain {gain:g}" if gain else "")
    won = (discordance + gain) / (2 * discordance)
    return World(name, (positives,) * WEEKS, (discordance,) * WEEKS, (won,) * WEEKS)


def play(world: World, runs: int, rng: np.random.Generator) -> Record:
    """Play the year ``runs`` times, all rows independent."""
    positives = np.array(world.positives, dtype=np.int64)
    discordant = rng.binomial(positives, np.array(world.discordance), size=(runs, len(positives)))
    wins = rng.binomial(discordant, np.array(world.win_share))
    return Record(wins, discordant - wins, positives)
