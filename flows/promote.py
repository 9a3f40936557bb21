"""Promote the challenger that a decision calls for: one more entry in the promotion log, then everything that is read from it.

**Requires:** a decision of ``flows.judge`` that says PROMOTE, against the champion who leads now. Where the policy says
``approval: required``, a deployment's run suspends until somebody resumes it with a name and a reason.
"""

from __future__ import annotations

from prefect import flow
from prefect.flow_runs import suspend_flow_run

from tasks.base.project import load_project
from tasks.command import as_state, main
from tasks.steps import Approval, asked, deny_step, heal_step, promote_step, waits_for_approval


@flow(name="promote", flow_run_name="promote {decision}", validate_parameters=True)
@as_state
def promote(project: str, decision: str, *, author: str | None = None, reason: str = "") -> str:
    """Commit the reign, then the live pointer, its history, the aliases and the tags; returns who leads as a sentence.

    Args:
        project: Name of a file in deployments/.
        decision: Id of the decision, as in its report.
        author: Who approves it; needed where the policy says ``approval: required``.
        reason: Why; needed with the author.
    """
    settings = load_project(project)
    if author is None and waits_for_approval(settings, decision):
        approval = suspend_flow_run(wait_for_input=Approval.with_initial_data(description=asked(settings, decision)))
        if not approval.approve and waits_for_approval(settings, decision):
            denial = deny_step(settings, decision, approval.author, approval.reason)
            heal_step(settings)  # the page of the reigns shows denials too
            return f"Of {project}, {denial}."
        author, reason = approval.author, approval.reason

    reign = promote_step(settings, decision, author, reason)

    heal_step(settings)
    return (
        f"Reign {reign.number} of {project}: version {reign.version} leads since {reign.since}, by decision {decision}."
    )


if __name__ == "__main__":
    main(promote, __doc__)
