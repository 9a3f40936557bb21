"""Every decision as a run in MLflow, from its record: made after the decision is recorded, made again where it is lost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from tasks.base.errors import first_line
from tasks.base.project import Project
from tasks.base.uris import public_uri
from tasks.decisions import read_record
from tasks.decisions.decision_log import decision_ids, entries, newest_first
from tasks.models.errors import RegistryError
from tasks.models.looks import Look, LookRuns, VersionLook
from tasks.models.registry import Registry
from tasks.store import Store

__all__ = ["keep_look", "look_of", "repair_looks"]

_LARGEST = 700.0  # of a log e-value whose e-value a double holds
_LONGEST = 500  # characters of the reasons


def keep_look(
    store: Store, registry: Registry, project: Project, record: Mapping[str, Any]
) -> tuple[str | None, list[str]]:
    """Keep a recorded decision as a run in MLflow, and mark its versions with it.

    Returns the page of the run, None where MLflow is no server, and a sentence if it is not kept: a MLflow that is down stops no promotion.
    """
    decision, told = record["id"], list[str]()
    try:
        runs = LookRuns(registry, project.name)
        run_id = runs.find(decision)
        if run_id is None:
            number = next(e.number for e in newest_first(store, project.name) if e.decision == decision)
            look = look_of(project, record, number)
            run_id = runs.keep(look)
            told = [
                f"the verdict on version {v} is not shown with it: {e}" for v, e in runs.mark(look, run_id).items() if e
            ]
        return runs.page(run_id), told
    except Exception as error:  # noqa: BLE001  a tracking server raises errors of its own
        said = f"the decision is not kept as a run in MLflow: {_text(error)}; once MLflow answers: python -m flows.reconcile {project.name}"
        return None, [said]


def repair_looks(store: Store, registry: Registry, project: Project) -> list[str]:
    """Make the run of each recorded decision that has none, and mark the versions of the newest; returns a line for each.

    Raises RegistryError, DecisionLogError, DamagedError.
    """
    runs, recorded = LookRuns(registry, project.name), set(decision_ids(store, project.name))
    log = [e for e in entries(store, project.name) if e.decision in recorded]
    if not log:
        return []
    finished = runs.finished()
    made = []
    for entry in log:
        if entry.decision not in finished:
            runs.keep(look_of(project, read_record(store, project.name, entry.decision), entry.number))
            made.append(f"run of decision {entry.decision}")
    newest = look_of(project, read_record(store, project.name, log[-1].decision), log[-1].number)
    marked = runs.mark(newest, runs.keep(newest))
    return [*made, *(f"verdict on version {v}" + (f": not possible, {e}" if e else "") for v, e in marked.items())]


def look_of(project: Project, record: Mapping[str, Any], number: int) -> Look:
    """The decision of this record, the ``number``-th of the project."""
    basis = record["basis"]
    folder = f"{public_uri(project.store)}/{project.name}"
    versions = [_version(a, basis["policy"]) for a in record["judgement"]["assessments"]]
    return Look(
        project=project.name,
        decision=record["id"],
        number=number,
        day=date.fromisoformat(record["as_of"]),
        champion=basis["champion"]["version"],
        promote=record["promote"],
        digest=record["evidence_digest"][:36],  # the most that MLflow takes
        tallies=f"{folder}/tallies",
        report=f"{folder}/reports/{record['id']}/report.md",
        versions=sorted(versions, key=lambda v: (v.metrics["dethrone_log_e"], int(v.version))),
    )


def _version(a: Mapping[str, Any], policy: Mapping[str, Any]) -> VersionLook:
    why = "; ".join(a["reasons"])
    return VersionLook(
        version=a["evidence"]["challenger"]["version"],
        verdict=a["verdict"],
        why=why if len(why) <= _LONGEST else f"{why[:_LONGEST]}…",
        metrics={f"dethrone_{name}": value for name, value in _numbers(a, policy)},
    )


def _numbers(a: Mapping[str, Any], policy: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers that decide, by name; one that is undefined is left out."""
    m, primary = a["measured"], policy["primary"]
    yield "e", _e_value(a["log_e_adjusted"])
    yield "log_e", _finite(a["log_e_adjusted"])
    yield "e_needed", 1 / a["alpha"]
    difference, interval = m["metrics"].get(primary, {}), m["interval"]
    if "value" in difference:
        yield "difference", difference["value"]
    if "low" in interval:
        yield "gain_low", interval["low"]
        yield "gain_high", interval["high"]
    mcnemar = m["mcnemar"].get(primary) or m["mcnemar"].get("accuracy")
    if mcnemar:
        yield "p_mcnemar", mcnemar["p_value"]
    paired_t = m.get("losses", {}).get(primary, {})
    if "p_value" in paired_t:
        yield "p_paired_t", paired_t["p_value"]
    for g in m["guardrails"]:
        yield f"e_{g['metric']}", _e_value(g["log_e"])


def _e_value(log_e: float | str) -> float:
    return math.exp(min(float(log_e), _LARGEST))


def _finite(log_e: float | str) -> float:
    """A record holds infinities as text."""
    return min(max(float(log_e), -1e300), 1e300)


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, RegistryError) else f"{type(error).__name__}: {first_line(error)}"
