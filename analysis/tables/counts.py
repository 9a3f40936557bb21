"""The counts from which every test of a champion/challenger pair is computed."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Confusion", "PairedCounts", "PairedOutcomes", "Undefined"]


@dataclass(frozen=True, slots=True)
class Undefined:
    """A result that does not exist, and the reason. It stands in place of NaN."""

    reason: str


@dataclass(frozen=True, slots=True)
class Confusion:
    """The confusion matrix of one model: counts of rows."""

    tp: int
    fp: int
    fn: int
    tn: int


@dataclass(frozen=True, slots=True)
class PairedOutcomes:
    """Numbers of rows (or entities) that the challenger wins, that it loses to the champion, and on which both do equally well.

    Raises ValueError for a negative count.
    """

    wins: int
    losses: int
    ties: int

    def __post_init__(self) -> None:
        if min(self.wins, self.losses, self.ties) < 0:
            msg = f"wins, losses and ties cannot be negative: {self}"
            raise ValueError(msg)

    @property
    def n(self) -> int:
        """Rows compared."""
        return self.wins + self.losses + self.ties

    @property
    def discordant(self) -> int:
        """Rows on which exactly one of the two models was right."""
        return self.wins + self.losses

    def swap(self) -> PairedOutcomes:
        """The same rows with the roles of the two models exchanged."""
        return PairedOutcomes(self.losses, self.wins, self.ties)


@dataclass(frozen=True, slots=True)
class PairedCounts:
    """The 2x2x2 table (label, champion, challenger) of one pair, with its unlabelled rows.

    ``labelled[4 * label + 2 * champion + challenger]`` and ``unlabelled[2 * champion + challenger]`` are numbers of
    rows. Counts of disjoint sets of rows can be added, so the order of the rows and their split into batches do not
    matter. Raises ValueError for a negative count, or if there are not 8 and 4 of them.
    """

    labelled: tuple[int, int, int, int, int, int, int, int] = (0,) * 8
    unlabelled: tuple[int, int, int, int] = (0,) * 4

    def __post_init__(self) -> None:
        if len(self.labelled) != 8 or len(self.unlabelled) != 4 or min(*self.labelled, *self.unlabelled) < 0:
            msg = f"need 8 labelled and 4 unlabelled counts, none negative: {self}"
            raise ValueError(msg)

    def __add__(self, other: PairedCounts) -> PairedCounts:
        labelled = tuple(a + b for a, b in zip(self.labelled, other.labelled, strict=True))
        unlabelled = tuple(a + b for a, b in zip(self.unlabelled, other.unlabelled, strict=True))
        return PairedCounts(labelled, unlabelled)  # type: ignore[arg-type]

    @property
    def n(self) -> int:
        """Labelled rows."""
        return sum(self.labelled)

    @property
    def unlabelled_rows(self) -> int:
        """Rows without a label."""
        return sum(self.unlabelled)

    @property
    def disagreements(self) -> int:
        """Labelled rows that exactly one of the two models flagged."""
        return self.outcomes("accuracy").discordant

    @property
    def unlabelled_disagreements(self) -> int:
        """Rows without a label that exactly one of the two models flagged."""
        return sum(self.unlabelled[1:3])

    @property
    def errors(self) -> tuple[int, int]:
        """Labelled rows on which the champion is wrong, and those on which the challenger is wrong."""
        return self.champion.fp + self.champion.fn, self.challenger.fp + self.challenger.fn

    @property
    def one_class(self) -> bool:
        return not (self.positives and self.negatives)

    @property
    def positives(self) -> int:
        return sum(self.labelled[4:])

    @property
    def negatives(self) -> int:
        return sum(self.labelled[:4])

    @property
    def champion(self) -> Confusion:
        n = self.labelled
        return Confusion(tp=n[6] + n[7], fp=n[2] + n[3], fn=n[4] + n[5], tn=n[0] + n[1])

    @property
    def challenger(self) -> Confusion:
        n = self.labelled
        return Confusion(tp=n[5] + n[7], fp=n[1] + n[3], fn=n[4] + n[6], tn=n[0] + n[2])

    def swap(self) -> PairedCounts:
        """The same rows with the roles of the two models exchanged."""
        n, u = self.labelled, self.unlabelled
        return PairedCounts((n[0], n[2], n[1], n[3], n[4], n[6], n[5], n[7]), (u[0], u[2], u[1], u[3]))

    def corrected(self, settled: PairedCounts) -> int:
        """The least number of disagreements whose label is gone or changed in ``settled``, the later table of the same rows."""
        pairs = zip(self.labelled, settled.labelled, strict=True)
        return sum(max(0, before - after) for cell, (before, after) in enumerate(pairs) if (cell & 3) in (1, 2))

    def as_recorded(self) -> PairedCounts:
        return self

    def flip(self) -> PairedCounts:
        """The same rows with label and decisions negated: the NPV of a table is the precision of its flip."""
        return PairedCounts(self.labelled[::-1], self.unlabelled[::-1])

    def outcomes(self, metric: str) -> PairedOutcomes:
        """Wins, losses and ties over the rows that ``metric`` is a share of: positives, negatives, or all.

        Raises ValueError for a metric other than recall, specificity and accuracy.
        """
        n = self.labelled
        positives = PairedOutcomes(n[5], n[6], n[4] + n[7])
        negatives = PairedOutcomes(n[2], n[1], n[0] + n[3])
        if metric == "recall":
            return positives
        if metric == "specificity":
            return negatives
        if metric != "accuracy":
            msg = f"only recall, specificity and accuracy have wins and losses, not {metric}"
            raise ValueError(msg)
        return PairedOutcomes(
            positives.wins + negatives.wins, positives.losses + negatives.losses, positives.ties + negatives.ties
        )
