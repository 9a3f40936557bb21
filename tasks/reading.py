"""What can be asked of a project without changing anything: who led, whether every verdict holds, what a look would decide. No Prefect."""

from __future__ import annotations

import logging
from datetime import date

from tasks.base.project import load_project
from tasks.batches.arrivals import changed_since
from tasks.batches.failures import failed_sentences, failures
from tasks.decisions import decide
from tasks.decisions.replayed import replayed_lines
from tasks.decisions.verification import VerificationError, taken_by_other_rules, verify_all, verify_decision
from tasks.decisions.watching import alarm_sentence, rung_of, watched_in
from tasks.labels.tally_files import Closed
from tasks.labels.tallying import close_batches
from tasks.reigns import Reign, head, judged_on, reigns
from tasks.reigns.approvals import denials
from tasks.reigns.history import history_text
from tasks.reports.report_verdicts import sentence, since_then
from tasks.store import keeping, open_store

__all__ = ["history", "look", "nothing_to_judge", "verify"]

log = logging.getLogger("dethrone")


def history(project: str) -> str:
    """The reigns, oldest first, one per line, the denials, and how the challengers of the newest decision scored that were replayed."""
    store = open_store(load_project(project).store)
    return "\n".join([history_text(reigns(store, project), denials(store, project)), *replayed_lines(store, project)])


def verify(project: str, decision: str | None = None) -> str:
    """Compute one decision, or all, again from stored tallies, policy and seed; a sentence. Raises VerificationError with one per fault."""
    store = open_store(load_project(project).store)
    faults = verify_decision(store, project, decision) if decision else verify_all(store, project)
    if faults:
        raise VerificationError("; ".join(faults))
    older = taken_by_other_rules(store, project, decision)
    if decision and older:
        unchecked = f"{older[0]}, so its verdict was not computed again"
        return f"Decision {decision} of {project}: its record and its inputs have not changed; {unchecked}."
    if decision:
        return f"Decision {decision} of {project}: the same to the last bit, from inputs that have not changed."
    if older:
        those = f"{len(older)} of them, whose records and inputs have not changed: {'; '.join(older)}"
        return f"{project}: both logs are whole, and every decision is the same to the last bit but for {those}."
    return f"{project}: both logs are whole, and every decision is the same to the last bit."


def look(project: str, day: date, *, look_back: bool) -> str:
    """What a look as of the end of the day would decide, in a sentence; with ``look_back``, of the reign of that day. Writes nothing."""
    settings = load_project(project)
    store = keeping(open_store(settings.store))
    newest = head(store, project)
    closed = close_batches(store, settings, day, keep=False)
    for said in changed_since(store, project, [*(b.manifest for b in closed.batches), *closed.waiting]):
        log.warning(said)
    decision = decide(store, settings, judged_on(store, project, day) if look_back else newest, closed, day)
    if decision is None:
        return nothing_to_judge(project, closed, newest, day)
    rung = rung_of(watched_in(settings, closed, decision.reign))
    alarms = [alarm_sentence(decision.reign, w) for w in rung]
    said = ". ".join([f"{sentence(settings, decision)} Decision {decision.id} (dry run: nothing was written)", *alarms])
    return f"{said}.{since_then(decision, newest)}"


def nothing_to_judge(project: str, closed: Closed, reign: Reign, day: date) -> str:
    """Why there is no decision, with a sentence per challenger that failed in the closed batches of the reign."""
    of_reign = [b.manifest.with_replays() for b in closed.batches if b.manifest.reign == reign.number]
    nothing = f"Nothing to judge in {project} as of {day}: no closed batch of this reign was scored by a challenger."
    return f"{nothing} {failed_sentences(failures(of_reign))}".rstrip()
