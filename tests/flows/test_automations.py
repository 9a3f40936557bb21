"""The automations of deployments/ on a real Prefect server: a webhook gets a message of a promotion, and of a run that fails."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from prefect_server import PrefectServer
from webhook import FILE, Receiver, make_automations

from tasks.base.project import Project
from tasks.decisions import all_records
from tasks.events import NAMES
from tasks.store import Store


def test_every_event_has_an_automation() -> None:
    automations = yaml.safe_load(FILE.read_text())["automations"]
    expected = [name for a in automations for name in a["trigger"]["expect"]]
    assert sorted(n for n in expected if n.startswith("dethrone.")) == sorted(NAMES)


@pytest.mark.slow
def test_a_promotion_and_a_run_that_fails_are_messages_with_all_that_a_reader_needs(
    prefect: PrefectServer,
    command: Callable[..., subprocess.Popen[str]],
    receiver: Receiver,
    store: Store,
    project: Project,
    tmp_path: Path,
) -> None:
    make_automations(receiver, prefect.environment, tmp_path)

    for flow, arguments in (
        ("enthrone", ["1", "--author", "test", "--as-of", "2024-01-01"]),
        ("score", ["--as-of", "2024-02-12"]),
        ("score", ["--as-of", "2024-02-19"]),
        ("judge", ["--as-of", "2024-02-26"]),
        ("score", ["--as-of", "2024-02-20"]),
        ("rollback", ["--author", "risk", "--reason", "a <b> & c", "--to", "7"]),
    ):
        run = command(f"flows.{flow}", project.name, *arguments, server=prefect.api)
        out, err = run.communicate(timeout=300)
        assert run.returncode == (1 if flow == "rollback" else 0), out + err

    prefect.wait_for(lambda: len(receiver.texts) >= 3, 120, lambda: f"three messages: {receiver.texts} {prefect.log()}")
    late, promoted, failed = sorted(receiver.texts, key=lambda text: (" failed: " in text, " takes over " in text))
    assert late.startswith(
        "*parcels*: parcels has no new batch: going by those before, one was due by 2024-02-18.\n"
    ), "once"
    (decision,) = all_records(store, project.name)
    assert promoted.startswith(
        "*parcels*: Version 2 takes over from version 1 in parcels since 2024-02-26, by dethrone: "
    )
    first, versions, report, page = promoted.splitlines()
    assert first.endswith("proven better than version 1.")
    assert versions == f"champion: version 1, challenger: version 2, decision {decision['id']}"
    assert report == f"Report: {project.store}/parcels/reports/{decision['id']}/report.md"
    assert re.fullmatch(r"Flow run: http://127\.0\.0\.1:\d+/(runs|flow-runs)/flow-run/[0-9a-f-]{36}", page)
    assert failed.startswith("*roll back parcels* failed: ")
    assert "has no reign 7; the log ends with reign 2" in failed
