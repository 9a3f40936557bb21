"""What the steps of all flows share: how they are repeated, how arguments reach them, and how artifacts are named."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar, cast

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.logging import get_run_logger
from prefect.runtime import deployment
from prefect.utilities.annotations import quote

from tasks.base.project import Project
from tasks.base.transient import may_pass
from tasks.tables.files import PassedOver

__all__ = ["PATIENT", "artifact_key", "log_passed_over", "may_be_repeated", "quoted"]

T = TypeVar("T")


def may_be_repeated(_: Task[..., Any], __: TaskRun, failed: State[Any]) -> bool:
    """Whether a step that failed is tried again: if its error may pass, and a worker runs it. At a terminal somebody waits, and is told."""
    return isinstance(failed.data, Exception) and may_pass(failed.data) and bool(deployment.id)


PATIENT: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": [10, 60, 300],  # a server that restarts, or is moved to another machine
    "retry_jitter_factor": 0.2,  # so that the projects of one server do not come back at the same moment
    "retry_condition_fn": may_be_repeated,
    "cache_policy": NO_CACHE,
}
"""How steps are repeated on errors that may pass. boto3 and MLflow have tried before, for some seconds."""


def quoted(argument: T) -> T:
    """An argument of a step that Prefect passes on as it is; else it would search the evidence for futures, number by number."""
    return cast("T", quote(argument))


def artifact_key(project: Project, what: str) -> str:
    """The key of an artifact, which takes small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9-]+", "-", f"{project.name}-{what}".lower())


def log_passed_over(what: str, passed: Sequence[PassedOver]) -> None:
    """Log each file that was passed over, as a warning if it may hold rows."""
    for file in passed:
        log = get_run_logger().warning if file.may_hold_rows else get_run_logger().info
        log("not read of %s: %s", what, file)
