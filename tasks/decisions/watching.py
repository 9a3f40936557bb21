"""Watching the champion of a reign on its closed batches, and keeping each alarm: what it said is then known whatever comes later."""

from __future__ import annotations

import contextlib

from analysis.tables.counts import Undefined
from analysis.tables.record import canonical_json
from analysis.verdict.watch import Watched, watch
from tasks.base.markdown import e_value
from tasks.base.project import Project
from tasks.base.software import software
from tasks.labels.tally_files import Closed
from tasks.reigns import Reign
from tasks.store import AlreadyThereError, Store

__all__ = ["alarm_sentence", "keep_alarms", "rung_of", "watched_in"]


def watched_in(project: Project, closed: Closed, reign: Reign) -> list[Watched] | Undefined:
    """What the closed batches of the reign say about its champion; Undefined, with the reason, if nothing can be watched."""
    batches = [b.tally for b in closed.batches if b.manifest.reign == reign.number and b.silent is None]
    return watch(reign.version, sorted(batches, key=lambda t: (t.date, t.batch)), project.policy)


def keep_alarms(store: Store, project: Project, closed: Closed, reign: Reign) -> tuple[list[Watched], list[Watched]]:
    """The measures whose alarm has rung in the current year; writes ``alarms/<reign>-<measure>-<day>.json`` for each that is new.

    It is written once, with the tallies that were seen first, and is no part of any decision. Returns all of them, and the new ones.
    """
    watched = watched_in(project, closed, reign)
    rung = rung_of(watched)
    new = []
    for one in rung:
        key = f"{project.name}/alarms/{reign.number:08}-{one.measure}-{one.alarmed}.json"
        record = {
            "schema": 1,
            "software": software(),
            "project": project.name,
            "reign": reign.number,
            "champion": reign.version,
            "watched": one,
            "batches": [b.files for b in closed.batches if b.manifest.reign == reign.number and b.silent is None],
        }
        with contextlib.suppress(AlreadyThereError):
            store.create(key, canonical_json(record))
            new.append(one)
    return rung, new


def rung_of(watched: list[Watched] | Undefined) -> list[Watched]:
    """The measures whose alarm has rung in the current year."""
    return [w for w in watched if w.alarmed] if isinstance(watched, list) else []


def alarm_sentence(reign: Reign, rung: Watched) -> str:
    """What rang, in a sentence without a full stop."""
    way, than = ("risen", "above") if rung.measure == "cost" else ("fallen", "below")
    level = "the floor" if rung.is_floor else f"what it had at least at first, when it was {rung.first:.3f}"
    return (
        f"ALARM: {rung.measure} of version {reign.version}, the champion, has {way} {than} {rung.level:.3f}, {level}: it was "
        f"{rung.then:.3f} from {rung.since} to {rung.alarmed}, with which E reached {e_value(rung.log_e)}"
    )
