"""The steps of the flows as Prefect tasks: each calls a function of the rooms and logs its result.

A step can be repeated: what it commits it commits once, and what is there it finds. That of ``rollback`` is not: twice, it goes back twice.
"""

from __future__ import annotations

import logging
import time
from datetime import date

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.input import RunInput
from prefect.logging import get_run_logger
from prefect.runtime import deployment
from pydantic import Field

from tasks import reading
from tasks.base.errors import without_traceback
from tasks.base.project import Project
from tasks.base.uris import public_uri
from tasks.decisions import Decision, decide, promotion, read_record, record_before, save_decision
from tasks.decisions.watching import alarm_sentence, keep_alarms
from tasks.events import champion_changed, champion_decaying, decision_events, tell
from tasks.labels.tally_files import Closed
from tasks.labels.tallying import close_batches
from tasks.models.registry import Registry
from tasks.patience import PATIENT, artifact_key, log_passed_over
from tasks.plan import Question, make_plan
from tasks.plan.plan_report import plan_caveats, plan_sentence, write_plan
from tasks.reigns import Reign, head, judged_on, reigns
from tasks.reigns.approvals import deny, read_denial
from tasks.reigns.projections import repair_projections
from tasks.reports.look_runs import keep_look, repair_looks
from tasks.reports.publish import publish
from tasks.reports.report_verdicts import sentence
from tasks.store import KeptStore, Store, StoreError
from tasks.tables.opening import passed_over

__all__ = [
    "Approval", "approval_question", "close_step", "deny_step", "enthrone_step", "head_step", "judge_step", "plan_step",
    "promote_step", "repair_looks_step", "repair_projections_step", "report_step", "request_approval", "roll_up_step",
    "rollback_step", "save_decision_step", "suspends_for_approval", "verify_step", "watch_step",
]  # fmt: skip

for _name in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(_name).addFilter(without_traceback)


class Approval(RunInput):
    """The answer of the person who is asked to approve a promotion."""

    approve: bool
    author: str = Field(min_length=1, description="Who answers for it.")
    reason: str = Field(min_length=1, description="Why.")


@task(name="look for approval", task_run_name="look for approval", **PATIENT)
def suspends_for_approval(store: Store, project_name: str, decision_id: str) -> bool:
    """Whether the decision waits for approval, and this run can be suspended until it has it."""
    waiting = promotion.waits_for_approval(store, project_name, decision_id)
    return waiting and bool(deployment.id)  # only a worker resumes a suspended run


def approval_question(store: Store, project: Project, decision_id: str) -> str:
    """The markdown that the approver reads."""
    return (
        f"Decision `{decision_id}` promotes version {read_record(store, project.name, decision_id)['promote']} of "
        f"{project.model}. Read `{project.name}/reports/{decision_id}/report.md` in {public_uri(project.store)}, then approve it or not."
    )


def request_approval(store: Store, project_name: str, decision_id: str) -> str:
    """Start a run of ``promote`` that waits for approval, once per decision; returns the state of the approval as a sentence."""
    denial = read_denial(store, project_name, decision_id)
    if denial:
        return f"D{str(denial)[1:]}. A later decision asks again."
    by_hand = f"It waits for approval: python -m flows.promote {project_name} {decision_id} --author YOU --reason WHY"
    if not deployment.id:
        return by_hand
    try:
        waiting = run_deployment(
            f"promote/{project_name}",
            parameters={"project": project_name, "decision": decision_id},
            flow_run_name=f"promote {decision_id}",  # the name that the run gives itself, so that the sentence below finds it
            idempotency_key=f"approve-{project_name}-{decision_id}",
            timeout=0,
            as_subflow=False,
        )
    except ObjectNotFound:
        get_run_logger().warning("there is no deployment promote/%s to wait for approval", project_name)
        return by_hand
    assert isinstance(waiting, FlowRun)
    state = waiting.state
    if state is None or not state.is_final():
        return f"It waits for approval in the flow run {waiting.name}: resume it with a name and a reason."
    return f"The flow run {waiting.name}, in which it waited for approval, is {state.name.lower()}. {by_hand}"  # type: ignore[union-attr]


@task(name="read promotion log", task_run_name="read promotion log", **PATIENT)
def head_step(store: Store, project_name: str) -> Reign:
    """The reign in force. Raises LogError if there is no champion."""
    return head(store, project_name)


@task(name="keep denial", task_run_name="keep denial", **PATIENT)
def deny_step(store: Store, project_name: str, decision_id: str, author: str, reason: str) -> str:
    """Store that a promotion was not approved; returns the denial as a sentence."""
    return str(deny(store, project_name, decision_id, author, reason))


@task(task_run_name="close batches as of {as_of}", **PATIENT)
def close_step(store: Store, project: Project, as_of: date) -> Closed:
    """Close the batches that are due; logs files of labels that are not read."""
    log_passed_over("the labels", passed_over(store, f"{project.name}/labels"))
    return close_batches(store, project, as_of)


@task(name="watch the champion", task_run_name="watch the champion", **PATIENT)
def watch_step(store: Store, project: Project, closed: Closed, reign: Reign) -> list[str]:
    """Keep and log each alarm on the champion's own level; returns them as sentences without a full stop."""
    rung, new = keep_alarms(store, project, closed, reign)
    tell(project, [champion_decaying(project, reign, one) for one in new])
    alarms = [alarm_sentence(reign, one) for one in rung]
    for said in alarms:
        get_run_logger().warning(said)
    return alarms


@task(task_run_name="judge as of {as_of}", **PATIENT)
def judge_step(store: Store, project: Project, closed: Closed, as_of: date, look_back: bool) -> Decision | None:
    """Judge the reign in force, or with ``look_back`` the one that was in force on that day."""
    reign = judged_on(store, project.name, as_of) if look_back else head(store, project.name)
    decision = decide(store, project, reign, closed, as_of)
    for failure in decision.record["failures"] if decision else ():
        get_run_logger().warning("version %(version)s failed, last in batch %(batch)s: it %(failure)s", failure)
    return decision


@task(name="roll up", task_run_name="roll up", **PATIENT)
def roll_up_step(store: KeptStore, project_name: str, fewest: int = 1) -> None:
    """Copy what this run read and wrote into a roll-up, so that the next one reads less; nothing if that is less than ``fewest`` objects.

    A store that refuses stops nothing.
    """
    try:
        store.roll_up(project_name, fewest=fewest)
    except StoreError as error:
        get_run_logger().warning("the next runs read more than they need: %s", error)


@task(name="record decision", task_run_name="record decision", **PATIENT)
def save_decision_step(store: Store, project: Project, decision: Decision) -> bool:
    """Record the decision, and tell what is new in it; False if it was on record already."""
    new = save_decision(store, project.name, decision)
    if new:
        before = record_before(store, project.name, decision.reign, decision.id)
        tell(project, decision_events(project, decision, before))
    return new


@task(name="write report", task_run_name="write report", **PATIENT)
def report_step(
    store: Store, registry: Registry, project: Project, decision: Decision, closed: Closed, new: bool
) -> list[str]:
    """Write the report, of which nothing is there if the decision is ``new``, and keep the decision in MLflow.

    Returns a sentence for each place where it is missing, and why.
    """
    markdown, missing = publish(store, registry, project, decision, closed, reigns(store, project.name), new=new)
    in_mlflow, not_kept = keep_look(store, registry, project, decision.record)
    missing += not_kept
    where = f"In the store: `{public_uri(project.store)}/{project.name}/reports/{decision.id}/report.md`"
    where += f"; in MLflow: [the run of this decision]({in_mlflow})." if in_mlflow else "."
    markdown = markdown.replace("\n\n", f"\n\n{where}\n\n", 1)
    create_markdown_artifact(markdown, key=artifact_key(project, "verdict"), description=sentence(project, decision))
    for item in missing:
        get_run_logger().warning(item)
    return missing


@task(name="commit promotion", task_run_name="commit promotion", **PATIENT)
def promote_step(
    store: Store, registry: Registry, project: Project, decision_id: str, author: str | None, reason: str
) -> Reign:
    """Commit the promotion, and tell it; one that was committed before is not told again."""
    before = head(store, project.name)
    reign = promotion.promote(store, registry, project.name, decision_id, author=author, reason=reason)
    if reign.number > before.number:
        tell(project, [champion_changed(project, before, reign)])
    return reign


@task(name="commit first reign", task_run_name="commit first reign", **PATIENT)
def enthrone_step(
    store: Store, registry: Registry, project_name: str, version: str, since: date, author: str, reason: str
) -> Reign:
    return promotion.enthrone(store, registry, project_name, version=version, since=since, author=author, reason=reason)


@task(name="commit rollback", task_run_name="commit rollback", cache_policy=NO_CACHE)
def rollback_step(
    store: Store, registry: Registry, project: Project, since: date, author: str, reason: str, to: int | None
) -> Reign:
    """Commit the rollback, and tell it."""
    before = head(store, project.name)
    reign = promotion.roll_back(store, registry, project.name, since=since, author=author, reason=reason, to=to)
    tell(project, [champion_changed(project, before, reign)])
    return reign


@task(name="repair projections", task_run_name="repair projections", **PATIENT)
def repair_projections_step(
    store: Store, registry: Registry, project_name: str, pointers: bool = True, page: bool = True
) -> list[str]:
    """Write the projections that differ from the promotion log; returns and logs a line for each."""
    corrected = repair_projections(store, registry, project_name, pointers=pointers, page=page)
    for item in corrected:
        get_run_logger().info("put right from the promotion log: %s", item)
    return corrected


@task(name="repair runs in MLflow", task_run_name="repair runs in MLflow", **PATIENT)
def repair_looks_step(store: Store, registry: Registry, project: Project) -> list[str]:
    """Make the runs in MLflow of the decisions that have none; returns and logs a line for each."""
    made = repair_looks(store, registry, project)
    for item in made:
        get_run_logger().info("made again in MLflow: %s", item)
    return made


@task(name="compute verdicts again", task_run_name="compute verdicts again", **PATIENT)
def verify_step(project_name: str, decision_id: str | None) -> str:
    """Verify one decision or all; returns a sentence. Raises VerificationError with one per fault."""
    return reading.verify(project_name, decision_id)


@task(name="simulate the policy", task_run_name="simulate the policy", **PATIENT)
def plan_step(store: Store, project: Project, question: Question, as_of: date) -> str:
    """Simulate and write the report; returns the plan in a sentence, with its caveats."""
    plan = make_plan(store, project, question, as_of, get_run_logger().info, time.monotonic)
    markdown, summary = write_plan(store, project, plan), " ".join([plan_sentence(project, plan), *plan_caveats(plan)])
    create_markdown_artifact(markdown, key=artifact_key(project, "plan"), description=summary)
    return summary
