"""What happened in a project and somebody has to be told: Prefect events, which automations turn into messages.

``docs/events.md`` has the table of names and payloads. An event is told by the run whose write made the fact: the entry of the promotion
log, the record of the decision, or the manifest of the batch. A run that finds it written tells nothing; one that ends in between
leaves it untold, and the log, the record and the report have it all the same. Its id follows from the fact.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from analysis.verdict.judge import Verdict
from analysis.verdict.watch import Watched
from tasks.base.errors import first_line
from tasks.base.project import Project
from tasks.base.uris import public_uri
from tasks.batches.failures import Failure
from tasks.decisions import Decision
from tasks.decisions.watching import alarm_sentence
from tasks.reigns import Reign

__all__ = [
    "NAMES", "Event", "approval_waiting", "challengers_failed", "champion_changed", "champion_decaying", "decision_events",
    "no_batch_came", "tell",
]  # fmt: skip

PROMOTED = "dethrone.champion.promoted"
ROLLED_BACK = "dethrone.champion.rolled-back"
RETIRED = "dethrone.challenger.retired"
FAILED = "dethrone.challenger.failed"
INVALID = "dethrone.evidence.invalid"
WAITING = "dethrone.approval.waiting"
LATE = "dethrone.batch.late"
DECAYING = "dethrone.champion.decaying"
NAMES = (PROMOTED, ROLLED_BACK, RETIRED, FAILED, INVALID, WAITING, LATE, DECAYING)

_LONGEST = 600  # characters of a sentence: a message, not a report

log = logging.getLogger("dethrone")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened on a ``day``, in one sentence; ``fact`` tells it from others of its name.

    ``champion`` led when it happened, ``challenger`` is the version that it is about: a promotion, or a rollback, makes it champion.
    """

    name: str
    fact: str
    day: date
    sentence: str
    champion: str
    challenger: str | None = None
    decision: str | None = None
    batch: str | None = None

    def id(self, project: Project) -> UUID:
        """The same for the same fact of the same project, so that it can be recognized."""
        return uuid5(NAMESPACE_URL, f"{project.store}/{project.name}/{self.name}/{self.fact}")

    def payload(self, project: Project, page: str | None) -> dict[str, str | None]:
        """What messages are made of; ``report`` is where the decision's report lies in the store, ``page`` that of the flow run."""
        sentence = " ".join(self.sentence.split())
        return {
            "project": project.name,
            "sentence": sentence if len(sentence) <= _LONGEST else f"{sentence[:_LONGEST]}…",
            "champion": self.champion,
            "challenger": self.challenger,
            "decision": self.decision,
            "batch": self.batch,
            "day": self.day.isoformat(),
            "report": f"{public_uri(project.store)}/{project.name}/reports/{self.decision}/report.md"
            if self.decision
            else None,
            "page": page,
        }

    def related(self, project: Project) -> list[dict[str, str]]:
        """The versions, the decision and the batch as resources; Prefect adds the flow run, its flow, deployment and work pool."""
        parts = [
            ("champion", "version", self.champion),
            ("challenger", "version", self.challenger),
            ("decision", "decision", self.decision),
            ("batch", "batch", self.batch),
        ]
        return [
            {
                "prefect.resource.id": f"{_resource(project)}.{kind}.{value}",
                "prefect.resource.role": role,
                "prefect.resource.name": value,
            }
            for role, kind, value in parts
            if value
        ]


def champion_changed(project: Project, before: Reign, reign: Reign) -> Event:
    """The promotion, or the rollback, that the entry ``reign`` of the promotion log is; ``before`` is the entry before it."""
    promoted = reign.kind == "promotion"
    change = "takes over from" if promoted else "leads again instead of"
    return Event(
        name=PROMOTED if promoted else ROLLED_BACK,
        fact=f"reign {reign.number}",
        day=reign.since,
        sentence=f"Version {reign.version} {change} version {before.version} in {project.name} since {reign.since}, by {reign.author}: "
        f"{reign.reason}.",
        champion=before.version,
        challenger=reign.version,
        decision=reign.decision,
    )


def decision_events(project: Project, decision: Decision, before: Mapping[str, Any] | None) -> list[Event]:
    """What a decision found that the one ``before`` it, the record of an earlier one of the same reign, had not found.

    That a challenger is retired, or that the evidence on it is invalid, and that batches have closed without a label. What is found
    again at every look is told once.
    """
    day, champion = date.fromisoformat(decision.record["as_of"]), decision.record["basis"]["champion"]["version"]
    known = _verdicts(before)
    events = []
    for a in decision.judgement.assessments:
        challenger = a.evidence.challenger
        if a.verdict not in _TOLD or known.get(challenger.digest) == a.verdict:
            continue
        name, said = _TOLD[a.verdict]
        events.append(
            Event(
                name=name,
                fact=f"{decision.id} version {challenger.version}",
                day=day,
                sentence=said.format(version=challenger.version, project=project.name, why="; ".join(a.reasons)),
                champion=champion,
                challenger=challenger.version,
                decision=decision.id,
            )
        )
    told = {s["batch"] for s in before["basis"].get("silent", ())} if before else set()
    silent = [s for s in decision.record["basis"]["silent"] if s["batch"] not in told]
    return [*events, *(_without_labels(project, decision, day, champion, s) for s in silent)]


_TOLD = {
    Verdict.RETIRE: (
        RETIRED,
        "Version {version} will not take over in {project}: {why}. Give it the tag retired: true, and it is not scored any more.",
    ),
    Verdict.INVALID: (INVALID, "The evidence on version {version} of {project} cannot be used: {why}."),
}


def _verdicts(record: Mapping[str, Any] | None) -> dict[str, str]:
    """Digest of a challenger to the verdict on it."""
    assessments = record["judgement"]["assessments"] if record else ()
    return {a["evidence"]["challenger"]["digest"]: a["verdict"] for a in assessments}


def _without_labels(project: Project, decision: Decision, day: date, champion: str, silent: Mapping[str, Any]) -> Event:
    reasons = "; ".join(f"{rows} rows: {why}" for why, rows in silent["reasons"].items())
    return Event(
        name=LATE,
        fact=f"labels of {silent['batch']}",
        day=day,
        sentence=f"Batch {silent['batch']} of {project.name} has closed, {project.maturity_days} days after its date, without a label "
        f"that can be used ({reasons}).",
        champion=champion,
        decision=decision.id,
        batch=silent["batch"],
    )


def approval_waiting(project: Project, decision: Decision, how: str) -> Event:
    """A decision promotes a version once somebody approves it; ``how`` says where to."""
    champion = decision.record["basis"]["champion"]["version"]
    return Event(
        name=WAITING,
        fact=decision.id,
        day=date.fromisoformat(decision.record["as_of"]),
        sentence=f"Version {decision.promote} is to take over from version {champion} in {project.name}. {how}",
        champion=champion,
        challenger=decision.promote,
        decision=decision.id,
    )


def challengers_failed(project: Project, champion: str, failed: Sequence[Failure], day: date) -> list[Event]:
    """The challengers that failed on the batches that a run scored on this day, one event each."""
    return [
        Event(
            name=FAILED,
            fact=f"{f.batch} version {f.version}",
            day=day,
            sentence=f"Version {f.version} of {project.name} {f}.",
            champion=champion,
            challenger=f.version,
            batch=f.batch,
        )
        for f in failed
    ]


def champion_decaying(project: Project, reign: Reign, rung: Watched) -> Event:
    """The champion's own level has fallen, as a batch has told whatever the challengers do."""
    assert rung.alarmed is not None
    return Event(
        name=DECAYING,
        fact=f"reign {reign.number} {rung.measure} {rung.alarmed}",
        day=rung.alarmed,
        sentence=f"{project.name}: {alarm_sentence(reign, rung)}.",
        champion=reign.version,
    )


def no_batch_came(project: Project, champion: str, due: date, today: date) -> Event:
    """No batch came by the day on which one was ``due``, going by those before."""
    return Event(
        name=LATE,
        fact=f"rows due {due}",
        day=today,
        sentence=f"{project.name} has no new batch: going by those before, one was due by {due}.",
        champion=champion,
    )


def tell(project: Project, events: Iterable[Event], *, again: bool = True) -> None:
    """Hand the events to the Prefect server that records the run; a temporary server has nobody to tell.

    Without ``again``, what Prefect has on record already is not told again: for what no write of the run marks. An error is logged, and
    never ends the run.
    """
    from prefect.events import emit_event
    from prefect.runtime import flow_run
    from prefect.settings import PREFECT_API_URL

    if not PREFECT_API_URL.value():
        return
    for event in events:
        try:
            event_id = event.id(project)
            if not again and _on_record(event_id):
                continue
            emit_event(
                event.name,
                resource={"prefect.resource.id": _resource(project), "prefect.resource.name": project.name},
                related=event.related(project),
                payload=event.payload(project, flow_run.ui_url),
                id=event_id,
            )
        except Exception as error:  # noqa: BLE001  whatever Prefect raises, what happened stands in the store
            log.warning("Prefect was not told of %s: %s", event.name, first_line(error))


def _on_record(event_id: UUID) -> bool:
    from prefect.client.orchestration import get_client
    from prefect.events.filters import EventFilter, EventIDFilter

    with get_client(sync_client=True) as client:
        return bool(client.read_events(EventFilter(id=EventIDFilter(id=[event_id])), limit=1).events)


def _resource(project: Project) -> str:
    return f"dethrone.project.{project.name}"
