"""What a project's batches are like: as the user says, else as its closed batches show."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from analysis.evidence import Evidence, gather
from analysis.evidence.pair_counts import confusion
from analysis.policy import Policy
from analysis.seasons.simulate import Scenario
from analysis.verdict.proof import Proof
from tasks.base.errors import DethroneError
from tasks.base.project import Project
from tasks.labels.tally_files import ClosedBatch
from tasks.labels.tallying import close_batches
from tasks.reigns import reigns
from tasks.store import Store

__all__ = ["DEFAULT_DISAGREEMENT", "Assumed", "Basis", "PlanError", "Volumes", "basis"]

DEFAULT_DISAGREEMENT = 0.1


class PlanError(DethroneError):
    """There is nothing to simulate, or it cannot be simulated."""


@dataclass(frozen=True, slots=True)
class Volumes:
    """What a batch is like as far as the user says so; ``recall`` and ``disagreement`` are shares of the positives."""

    rows: float | None = None
    prevalence: float | None = None
    recall: float | None = None
    fpr: float | None = None
    disagreement: float | None = None


@dataclass(frozen=True, slots=True)
class Assumed:
    """One number that the simulation rests on, and where it is from."""

    quantity: str
    value: float
    source: str


@dataclass(frozen=True, slots=True)
class Basis:
    """An equal challenger at the project's volumes, and the versions whose gain varies between closed batches beyond chance."""

    scenario: Scenario
    assumed: tuple[Assumed, ...]
    uneven: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What closed batches show, by the name of the option that would say it."""

    assumed: Mapping[str, Assumed] = field(default_factory=dict)
    uneven: tuple[str, ...] = ()


_QUANTITIES = {
    "rows": "labelled rows",
    "prevalence": "share of positives",
    "recall": "the champion's recall",
    "fpr": "the champion's false positive rate",
    "positives": "disagreement on positives",
    "negatives": "disagreement on negatives",
}
_NEEDED = ("rows", "prevalence", "recall", "fpr")


def basis(store: Store, project: Project, said: Volumes, as_of: date) -> Basis:
    """Each number as the user says it, else as the closed batches show it.

    Raises PlanError for a number that neither gives, ValueError for rates that are impossible.
    """
    seen = _seen(store, project, as_of)
    missing = [f"--{name}" for name in _NEEDED if getattr(said, name) is None and name not in seen.assumed]
    if missing:
        msg = (
            f"project {project.name} has no closed batch with labels of both classes yet; "
            f"say what its batches will be like: {', '.join(missing)}"
        )
        raise PlanError(msg)
    assumed = {
        name: _assumed(name, value, "as said") if (value := getattr(said, name)) is not None else seen.assumed[name]
        for name in _NEEDED
    }
    assumed |= _disagreements(said, seen.assumed, assumed["recall"].value, assumed["fpr"].value)
    rows, share = round(assumed["rows"].value), assumed["prevalence"].value
    positives = round(rows * share)
    rates = (assumed[name].value for name in ("recall", "fpr", "positives", "negatives"))
    return Basis(Scenario(positives, rows - positives, *rates), tuple(assumed.values()), seen.uneven)


def _assumed(name: str, value: float, source: str) -> Assumed:
    return Assumed(_QUANTITIES[name], value, source)


def _disagreements(said: Volumes, seen: Mapping[str, Assumed], recall: float, fpr: float) -> dict[str, Assumed]:
    """The disagreement on each class.

    Where only that on the positives is known, the models disagree on the same share of what the champion flags in both classes.
    """
    if said.disagreement is None and "positives" in seen:
        return {name: seen[name] for name in ("positives", "negatives")}
    positives = DEFAULT_DISAGREEMENT if said.disagreement is None else said.disagreement
    source = "no challenger yet: a default" if said.disagreement is None else "as said"
    negatives = positives * fpr / recall if recall else 0.0
    return {
        "positives": _assumed("positives", positives, source),
        "negatives": _assumed("negatives", negatives, "the same share of what the champion flags as on positives"),
    }


def _seen(store: Store, project: Project, as_of: date) -> _Seen:
    """The closed batches of the reign, or those that its champion scored before; nothing if there are none."""
    log = reigns(store, project.name)
    if not log:
        return _Seen()
    champion = log[-1].version
    scored = [b for b in close_batches(store, project, as_of, keep=False).batches if champion in b.tally.scored]
    batches = [b for b in scored if b.manifest.reign == log[-1].number] or scored
    tables = [confusion(b.tally.frame, champion) for b in batches]
    tp, fp, fn, tn = (sum(getattr(t, cell) for t in tables) for cell in ("tp", "fp", "fn", "tn"))
    if not tp + fn or not fp + tn:
        return _Seen()
    rows = tp + fp + fn + tn
    mean, pooled = f"mean of {len(batches)} closed batches", f"version {champion} in {len(batches)} closed batches"
    assumed = {
        "rows": _assumed("rows", rows / len(batches), mean),
        "prevalence": _assumed("prevalence", (tp + fn) / rows, mean),
        "recall": _assumed("recall", tp / (tp + fn), pooled),
        "fpr": _assumed("fpr", fp / (fp + tn), pooled),
    }
    rivals = _rivals(batches, champion, project.policy)
    if rivals:
        source = f"median of {len(rivals)} challenger{'s' if len(rivals) > 1 else ''}"
        outcomes = {
            "positives": [e.counts.outcomes("recall") for e in rivals],
            "negatives": [e.counts.outcomes("specificity") for e in rivals],
        }
        for name, pairs in outcomes.items():
            assumed[name] = _assumed(name, statistics.median(p.discordant / p.n for p in pairs), source)
    return _Seen(assumed, tuple(e.challenger.version for e in rivals if _varies(e, project.policy)))


def _rivals(batches: Sequence[ClosedBatch], champion: str, policy: Policy) -> list[Evidence]:
    """The evidence on every challenger as it last scored, where it has labels of both classes."""
    tallies = [b.tally for b in batches]
    contenders = {v: (t.scored[champion], c) for t in tallies for v, c in t.scored.items() if v != champion}
    evidence = [gather(*contenders[v], tallies, policy=policy) for v in sorted(contenders, key=int)]
    return [e for e in evidence if e.counts.positives and e.counts.negatives]


def _varies(evidence: Evidence, policy: Policy) -> bool:
    """Whether a gain that needs proof varies between batches more than chance allows."""
    return any(Proof(evidence, name, policy).uneven for name in (policy.primary, *policy.guardrails))
