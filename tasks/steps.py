"""The steps of the flows as Prefect shows them: a thin skin on the plain functions of this room, and nothing else."""

from __future__ import annotations

import logging
import re
from datetime import date
from typing import TypeVar, cast

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.input import RunInput
from prefect.logging import get_run_logger
from prefect.runtime import deployment
from prefect.utilities.annotations import quote
from pydantic import Field

from tasks.base.errors import without_traceback
from tasks.base.project import Project
from tasks.batches import scoring
from tasks.batches.failures import failed_sentences, failures, notes
from tasks.batches.predictions import Manifest, read_manifest
from tasks.decisions import Decision, decide, promotion, read_record, save_decision
from tasks.decisions.verification import taken_by_other_rules, verify_all, verify_decision
from tasks.labels.tallying import Closed, close_batches
from tasks.models.registry import Registry
from tasks.plan import Question, make_plan
from tasks.plan.plan_report import plan_caveats, plan_sentence, write_plan
from tasks.reigns import Reign, head, judged_on, reigns
from tasks.reigns.approvals import Denial, denials, deny, read_denial
from tasks.reigns.projections import repair_projections
from tasks.reports.publish import publish
from tasks.reports.report_verdicts import sentence
from tasks.store import open_store

__all__ = [
    "Approval", "all_denials", "all_reigns", "ask_for_approval", "asked", "close_step", "deny_step", "enthrone_step", "failed_so_far",
    "heal_step", "is_scored", "judge_step", "newest_reign", "older_rules_step", "plan_step", "promote_step", "record_step", "report_step",
    "rollback_step", "score_step", "unscored_batches", "verify_step", "waits_for_approval", "whole",
]  # fmt: skip

T = TypeVar("T")

for _name in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(_name).addFilter(without_traceback)


def whole(argument: T) -> T:
    """An argument of a step in which Prefect looks for no futures: it would visit every number of all evidence."""
    return cast("T", quote(argument))


def newest_reign(project: Project) -> Reign:
    return head(open_store(project.store), project.name)


def all_reigns(project: Project) -> list[Reign]:
    return reigns(open_store(project.store), project.name)


def all_denials(project: Project) -> list[Denial]:
    return denials(open_store(project.store), project.name)


def unscored_batches(project: Project, as_of: date) -> list[str]:
    return scoring.unscored_batches(open_store(project.store), project.name, as_of)


def is_scored(project: Project, batch: str) -> bool:
    return read_manifest(open_store(project.store), project.name, batch) is not None


class Approval(RunInput):
    """What a person says of a promotion that waits for approval."""

    approve: bool
    author: str = Field(min_length=1, description="Who answers for it.")
    reason: str = Field(min_length=1, description="Why.")


def waits_for_approval(project: Project, decision_id: str) -> bool:
    """Whether this run can be suspended until the decision is approved, and the decision needs that."""
    store = open_store(project.store)
    waiting = promotion.waits_for_approval(store, project.name, decision_id)
    return waiting and bool(deployment.id)  # only a worker can take up a run again


def asked(project: Project, decision_id: str) -> str:
    """What the approver reads, as markdown."""
    return (
        f"Decision `{decision_id}` promotes version {read_record(open_store(project.store), project.name, decision_id)['promote']} of "
        f"{project.model}. Read `{project.name}/reports/{decision_id}/report.md` in {project.store}, then approve it or not."
    )


def ask_for_approval(project: Project, decision_id: str) -> str:
    """Start a run of ``promote`` that waits for approval, once for each decision; returns what has become of it, as a sentence."""
    denial = read_denial(open_store(project.store), project.name, decision_id)
    if denial:
        return f"D{str(denial)[1:]}. A later decision asks again."
    by_hand = f"It waits for approval: python -m flows.promote {project.name} {decision_id} --author YOU --reason WHY"
    if not deployment.id:
        return by_hand
    try:
        waiting = run_deployment(
            f"promote/{project.name}",
            parameters={"project": project.name, "decision": decision_id},
            flow_run_name=f"promote {decision_id}",  # as it names itself once it runs, so that the sentence below leads to it
            idempotency_key=f"approve-{project.name}-{decision_id}",
            timeout=0,
            as_subflow=False,
        )
    except ObjectNotFound:
        get_run_logger().warning("there is no deployment promote/%s to wait for approval", project.name)
        return by_hand
    assert isinstance(waiting, FlowRun)
    state = waiting.state
    if state is None or not state.is_final():
        return f"It waits for approval in the flow run {waiting.name}: resume it with a name and a reason."
    return f"The flow run {waiting.name}, in which it waited for approval, is {state.name.lower()}. {by_hand}"  # type: ignore[union-attr]


@task(name="keep denial", task_run_name="keep denial", cache_policy=NO_CACHE)
def deny_step(project: Project, decision_id: str, author: str, reason: str) -> str:
    """Keep that a promotion was not approved; returns it as a sentence."""
    return str(deny(open_store(project.store), project.name, decision_id, author, reason))


@task(task_run_name="score {batch}", cache_policy=NO_CACHE)
def score_step(project: Project, batch: str, day: date) -> Manifest:
    store = open_store(project.store)
    manifest = scoring.score_batch(store, Registry(project), project, head(store, project.name), batch, day)
    failures = [f"version {s.version} {s.failure}" for s in manifest.scored if s.failure]
    get_run_logger().info(
        "batch %s: %d rows scored by versions %s", batch, manifest.rows, ", ".join(manifest.versions())
    )
    for failure in (*failures, *notes([manifest])):
        get_run_logger().warning("batch %s: %s", batch, failure)
    return manifest


@task(task_run_name="close batches as of {as_of}", cache_policy=NO_CACHE)
def close_step(project: Project, as_of: date, keep: bool = True) -> Closed:
    return close_batches(open_store(project.store), project, as_of, keep=keep)


@task(task_run_name="judge as of {as_of}", cache_policy=NO_CACHE)
def judge_step(project: Project, closed: Closed, as_of: date, look_back: bool) -> Decision | None:
    """Judge the reign in force, or in a look back the one that was on that day."""
    store = open_store(project.store)
    reign = judged_on(store, project.name, as_of) if look_back else head(store, project.name)
    taken = decide(store, project, reign, closed, as_of)
    for failure in taken.record["failures"] if taken else ():
        get_run_logger().warning("version %(version)s failed, last in batch %(batch)s: it %(failure)s", failure)
    return taken


def failed_so_far(closed: Closed, reign: Reign) -> str:
    """Why nobody can be judged in the reign, where it is because challengers failed: a sentence each."""
    return failed_sentences(failures([b.manifest for b in closed.batches if b.manifest.reign == reign.number]))


@task(name="record decision", task_run_name="record decision", cache_policy=NO_CACHE)
def record_step(project: Project, taken: Decision) -> bool:
    return save_decision(open_store(project.store), project.name, taken)


@task(name="write report", task_run_name="write report", cache_policy=NO_CACHE)
def report_step(project: Project, taken: Decision, closed: Closed) -> list[str]:
    """Write the report; returns where else it should lie and does not, a sentence each."""
    store = open_store(project.store)
    markdown, missing = publish(store, Registry(project), project, taken, closed, reigns(store, project.name))
    key = re.sub(r"[^a-z0-9-]+", "-", f"{project.name}-verdict".lower())
    create_markdown_artifact(markdown, key=key, description=sentence(project, taken))
    for item in missing:
        get_run_logger().warning(item)
    return missing


@task(name="commit promotion", task_run_name="commit promotion", cache_policy=NO_CACHE)
def promote_step(project: Project, decision_id: str, author: str | None, reason: str) -> Reign:
    store, registry = open_store(project.store), Registry(project)
    return promotion.promote(store, registry, project.name, decision_id, author=author, reason=reason)


@task(name="commit first reign", task_run_name="commit first reign", cache_policy=NO_CACHE)
def enthrone_step(project: Project, version: str, since: date, author: str, reason: str) -> Reign:
    store, registry = open_store(project.store), Registry(project)
    return promotion.enthrone(store, registry, project.name, version=version, since=since, author=author, reason=reason)


@task(name="commit rollback", task_run_name="commit rollback", cache_policy=NO_CACHE)
def rollback_step(project: Project, since: date, author: str, reason: str, to: int | None) -> Reign:
    store, registry = open_store(project.store), Registry(project)
    return promotion.roll_back(store, registry, project.name, since=since, author=author, reason=reason, to=to)


@task(name="follow promotion log", task_run_name="follow promotion log", cache_policy=NO_CACHE)
def heal_step(project: Project) -> list[str]:
    """Make the live pointer, its history, the aliases and the tags say what the promotion log says."""
    corrected = repair_projections(open_store(project.store), Registry(project), project.name)
    for item in corrected:
        get_run_logger().info("put right from the promotion log: %s", item)
    return corrected


@task(name="verify", task_run_name="verify {decision}", cache_policy=NO_CACHE)
def verify_step(project: Project, decision: str | None) -> list[str]:
    """What is wrong with a decision, or with all of them and the logs; each is logged."""
    store = open_store(project.store)
    faults = verify_decision(store, project.name, decision) if decision else verify_all(store, project.name)
    for fault in faults:
        get_run_logger().error(fault)
    return faults


@task(name="find older rules", task_run_name="find older rules", cache_policy=NO_CACHE)
def older_rules_step(project: Project, decision: str | None) -> list[str]:
    """Which of the decisions other rules have taken; each is logged."""
    older = taken_by_other_rules(open_store(project.store), project.name, decision)
    for sentence_of_one in older:
        get_run_logger().info(sentence_of_one)
    return older


@task(name="simulate the policy", task_run_name="simulate the policy", cache_policy=NO_CACHE)
def plan_step(project: Project, question: Question, as_of: date) -> str:
    """Simulate, write the report; returns the plan in a sentence, and what the batches say against it."""
    store = open_store(project.store)
    plan = make_plan(store, project, question, as_of, progress=get_run_logger().info)
    markdown, said = write_plan(store, project, plan), " ".join([plan_sentence(project, plan), *plan_caveats(plan)])
    key = re.sub(r"[^a-z0-9-]+", "-", f"{project.name}-plan".lower())
    create_markdown_artifact(markdown, key=key, description=said)
    return said
