"""Servers on which a schedule is made to fire soon, and what in their logs says that something failed."""

from __future__ import annotations

import re

__all__ = ["QUICK", "complaints"]

# short loops, so that every service of the server has run, and would have failed, before the test is over
QUICK = {
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS": "5",
    "PREFECT_SERVER_SERVICES_FOREMAN_LOOP_SECONDS": "5",
    "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "5",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "10",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ORPHAN_CLEANUP_LOOP_SECONDS": "10",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": '["events", "flow_runs"]',
    "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "600",  # runs wait for one another here, and are not late for it
    "PREFECT_WORKER_QUERY_SECONDS": "2",
}


def complaints(log: str) -> list[str]:
    """The entries of a log that say that something failed.

    SQLite refuses whoever has read and then writes if somebody else has written in between, however long its timeout: that a service
    found the database locked, and came again, is no failure.
    """
    entries = re.split(r"^(?=\d\d:\d\d:\d\d\.\d+ \|)", log, flags=re.MULTILINE)
    failed = [e for e in entries if re.search(r"\| (ERROR|CRITICAL) |Traceback|^\w*Error\b", e, flags=re.MULTILINE)]
    return [e for e in failed if "database is locked" not in e]
