"""Verify one decision or all: compute verdicts again, and find edited, missing or reordered entries of the logs.

**Requires:** a decision of ``flows.judge``, and the files that it rests on.
"""

from __future__ import annotations

from prefect import flow

from tasks.base.project import load_project
from tasks.command import as_state, main
from tasks.decisions.verification import VerificationError
from tasks.steps import older_rules_step, verify_step
from tasks.store import open_store


@flow(name="verify", flow_run_name="verify {project}", validate_parameters=True)
@as_state
def verify(project: str, decision: str | None = None) -> str:
    """Compute again from stored tallies, policy and seed; returns a sentence, or fails with one per fault.

    Args:
        project: Name of a file in deployments/.
        decision: Id of a decision, as in its report. Without it, every decision and both logs.
    """
    store = open_store(load_project(project).store)

    faults = verify_step(store, project, decision)

    if faults:
        raise VerificationError("; ".join(faults))
    older = older_rules_step(store, project, decision)
    if decision and older:
        unchecked = f"{older[0]}, so its verdict was not computed again"
        return f"Decision {decision} of {project}: its record and its inputs have not changed; {unchecked}."
    if decision:
        return f"Decision {decision} of {project}: the same to the last bit, from inputs that have not changed."
    if older:
        those = f"{len(older)} of them, whose records and inputs have not changed: {'; '.join(older)}"
        return f"{project}: both logs are whole, and every decision is the same to the last bit but for {those}."
    return f"{project}: both logs are whole, and every decision is the same to the last bit."


if __name__ == "__main__":
    main(verify, __doc__, {"decision": ("--all", "Every decision, and the logs from end to end.")})
