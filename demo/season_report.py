"""A season on a simulated calendar: its days, and the report that tells how it went and how it would have gone."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from matplotlib.dates import ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from analysis.evidence import closing_date
from analysis.seasons.season import DETHRONE, Outcome, Replay, Switch, leader_on, naive_rules, policy_rule
from analysis.tables.counts import Undefined
from analysis.tables.record import canonical_json
from tasks.base.errors import DethroneError
from tasks.base.project import Project
from tasks.base.templates import fill
from tasks.batches.listing import batches_in
from tasks.batches.predictions import manifests
from tasks.batches.rows import batch_date
from tasks.decisions import all_records
from tasks.labels.tallying import close_batches
from tasks.reigns import Reign, reigns
from tasks.reigns.history import reign_table
from tasks.reports.plot_style import styled, version_color
from tasks.store import Store

__all__ = ["SeasonError", "calendar", "remaining_days", "write_season_report"]

_TEMPLATES = Path(__file__).parent / "templates"


class SeasonError(DethroneError):
    """There is no season to play."""


def calendar(store: Store, project: Project) -> list[date]:
    """The days of a season: every batch's own day, and every day on which one closes."""
    days = [batch_date(b) for b in batches_in(store, project.name)]
    if not days:
        msg = f"project {project.name} has no batches below {store.uri}/{project.name}/batches/; for the demo: python -m demo"
        raise SeasonError(msg)
    return sorted({*days, *(closing_date(d, project.maturity_days) for d in days)})


def remaining_days(store: Store, project: Project) -> list[date]:
    """The days from the last one that left a trace: a season that was interrupted goes on there."""
    traces = [
        *(r.since for r in reigns(store, project.name)),
        *(m.date for m in manifests(store, project.name)),
        *(date.fromisoformat(d["as_of"]) for d in all_records(store, project.name)),
    ]
    return [d for d in calendar(store, project) if d >= max(traces, default=date.min)]


@dataclass(frozen=True, slots=True)
class _Season:
    """A season under every rule."""

    first: str
    versions: tuple[str, ...]
    days: tuple[date, ...]
    outcomes: Mapping[str, Outcome]
    duels: Mapping[str, Mapping[str, Outcome]]


def write_season_report(store: Store, project: Project) -> str:
    """Write ``reports/season/`` with ``season.md``, ``season.svg`` and ``season.json``; returns the markdown."""
    entries = reigns(store, project.name)
    days = calendar(store, project)
    closed = [b.tally for b in close_batches(store, project, days[-1]).batches]
    versions = tuple(sorted({v for t in closed for v in t.scored}, key=int))
    first = entries[0].version
    actual = [
        Switch(after.since, before.version, after.version, after.reason)
        for before, after in itertools.pairwise(entries)
    ]
    played = Replay(closed, days, project.maturity_days, project.policy)
    rules = naive_rules(project.policy)
    courses = {name: played.switches(versions, rule, first=first) for name, rule in rules.items()} | {DETHRONE: actual}
    outcomes = {name: played.outcome(course, first=first) for name, course in courses.items()}
    duels = {
        name: {
            v: played.outcome(played.switches([first, v], rule, first=first), first=first)
            for v in versions
            if v != first
        }
        for name, rule in {**rules, DETHRONE: policy_rule(project.policy)}.items()
    }
    season = _Season(first, versions, tuple(t.date for t in closed), outcomes, duels)
    markdown = _markdown(store, project, season, entries)
    prefix = f"{project.name}/reports/season"
    store.write(f"{prefix}/season.svg", _timeline(season) or b"")
    store.write(
        f"{prefix}/season.json",
        canonical_json({"project": project.name, "first": first, "rules": outcomes, "duels": duels}),
    )
    store.write(f"{prefix}/season.md", markdown.encode())
    return markdown


def _markdown(store: Store, project: Project, season: _Season, entries: Sequence[Reign]) -> str:
    challengers = [v for v in season.versions if v != season.first]
    last = _last_verdicts(store, project)
    return fill(
        _TEMPLATES / "season.md.j2",
        project=project,
        min_gain=project.policy.min_gain,
        days=season.days,
        versions=season.versions,
        first=season.first,
        challengers=challengers,
        measures=list(season.outcomes[DETHRONE].served),
        rules=[_rule(name, outcome, challengers, last) for name, outcome in season.outcomes.items()],
        reigns=reign_table(entries, "../"),
        duels=[_Duels(name, [duels[v] for v in challengers]) for name, duels in season.duels.items()],
    )


@dataclass(frozen=True, slots=True)
class _Fate:
    """What became of one challenger under a rule: when it took over, and the last verdict that Dethrone gave, with its first reason."""

    switches: list[Switch]
    last_verdict: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """How the season went under a rule, with the fate of every challenger; ``ours``: it is Dethrone's."""

    name: str
    ours: bool
    switches: int
    not_better: int
    broke_guardrail: int
    served: Mapping[str, float | Undefined]
    fates: list[_Fate]


@dataclass(frozen=True, slots=True)
class _Duels:
    """How the season went under a rule with each challenger alone."""

    name: str
    duels: list[Outcome]


def _rule(name: str, outcome: Outcome, challengers: Sequence[str], last: Mapping[str, tuple[str, str]]) -> _Rule:
    fates = [
        _Fate([s for s in outcome.switches if s.after == version], *last.get(version, (None, "")))
        for version in challengers
    ]
    return _Rule(
        name,
        name == DETHRONE,
        len(outcome.switches),
        outcome.not_better,
        outcome.broke_guardrail,
        outcome.served,
        fates,
    )


def _last_verdicts(store: Store, project: Project) -> dict[str, tuple[str, str]]:
    """The last verdict on every version, with its first reason."""
    verdicts = {}
    for decision in all_records(store, project.name):
        for a in decision["judgement"]["assessments"]:
            verdicts[a["evidence"]["challenger"]["version"]] = (a["verdict"], a["reasons"][0])
    return verdicts


@styled
def _timeline(season: _Season) -> Figure:
    """One bar a rule, coloured by who scored each batch."""
    figure = Figure(figsize=(7.4, 2.6), layout="constrained")
    axes = figure.subplots()
    names = list(season.outcomes)
    for row, name in enumerate(reversed(names)):
        leaders = functools.partial(leader_on, switches=season.outcomes[name].switches, first=season.first)
        for leader, days in itertools.groupby(season.days, key=leaders):
            scored = list(days)
            begin, end = date2num(scored[0]) - 7, date2num(scored[-1])
            axes.barh(row, end - begin, left=begin, height=0.62, color=version_color(leader), linewidth=0)
    axes.set_yticks(range(len(names)), list(reversed(names)))
    axes.xaxis_date()
    axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
    handles = [Patch(color=version_color(v), label=f"version {v} leads") for v in season.versions]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure
