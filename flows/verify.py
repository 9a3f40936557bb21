"""Verify one decision or all: compute verdicts again, and find edited, missing or reordered entries of the logs.

**Requires:** a decision of ``flows.judge``, and the files that it rests on.
"""

from __future__ import annotations

from prefect import flow

from tasks.command import as_state, main, run_seconds
from tasks.steps import verify_step


@flow(name="verify", flow_run_name="verify {project}", validate_parameters=True, timeout_seconds=run_seconds())
@as_state
def verify(project: str, decision: str | None = None) -> str:
    """Compute again from stored tallies, policy and seed; returns a sentence, or fails with one per fault.

    Args:
        project: Name of a file in deployments/.
        decision: Id of a decision, as in its report. Without it, every decision and both logs.
    """
    return verify_step(project, decision)


if __name__ == "__main__":
    main(verify, __doc__, {"decision": ("--all", "Every decision, and the logs from end to end.")})
