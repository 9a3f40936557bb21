"""Promote the challenger that a decision calls for: one more entry in the promotion log, and then its projections.

**Requires:** a decision of ``flows.judge`` with the verdict PROMOTE, against the current champion. If the policy has
``approval: required``, a run of the deployment suspends until somebody resumes it with a name and a reason.
"""

from __future__ import annotations

from prefect import flow
from prefect.flow_runs import suspend_flow_run

from tasks.base.project import load_project
from tasks.command import as_state, main
from tasks.models.registry import Registry
from tasks.steps import (
    Approval,
    approval_question,
    deny_step,
    promote_step,
    repair_projections_step,
    suspends_for_approval,
)
from tasks.store import open_store


@flow(name="promote", flow_run_name="promote {decision}", validate_parameters=True)
@as_state
def promote(project: str, decision: str, *, author: str | None = None, reason: str = "") -> str:
    """Commit the reign, then write the projections of the log; returns the champion in a sentence.

    Args:
        project: Name of a file in deployments/.
        decision: Id of the decision, as in its report.
        author: Who approves it; needed if the policy has ``approval: required``.
        reason: Why; needed with it.
    """
    settings = load_project(project)
    store = open_store(settings.store)
    if author is None and suspends_for_approval(store, project, decision):
        question = approval_question(store, settings, decision)
        approval = suspend_flow_run(wait_for_input=Approval.with_initial_data(description=question))
        if not approval.approve and suspends_for_approval(store, project, decision):
            denial = deny_step(store, project, decision, approval.author, approval.reason)
            repair_projections_step(store, Registry(settings), project)  # the page of the reigns shows denials too
            return f"Of {project}, {denial}."
        author, reason = approval.author, approval.reason
    registry = Registry(settings)

    reign = promote_step(store, registry, settings, decision, author, reason)

    repair_projections_step(store, registry, project)
    return (
        f"Reign {reign.number} of {project}: version {reign.version} leads since {reign.since}, by decision {decision}."
    )


if __name__ == "__main__":
    main(promote, __doc__)
