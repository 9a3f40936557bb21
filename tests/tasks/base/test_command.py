"""The command line: what the parser finds goes to the flow, and what a user can put right ends in one sentence."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from tasks.base.errors import DethroneError
from tasks.command import run
from tasks.reigns import SupersededError

ROOT = Path(__file__).resolve().parents[3]


def call(flow: Any, monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    monkeypatch.setattr(sys, "argv", ["program", *words])
    parser = argparse.ArgumentParser(description="Do **this**, as ``that`` says.")
    parser.add_argument("project")
    parser.add_argument("--to", type=int)
    parser.add_argument("--dry-run", action="store_true")
    return run(flow, parser)


def test_the_flow_gets_what_was_said_and_its_own_defaults_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    def flow(project: str, to: int = 7, dry_run: bool = True) -> tuple[str, int, bool]:
        return project, to, dry_run

    assert call(flow, monkeypatch, "parcels") == ("parcels", 7, False)
    assert call(flow, monkeypatch, "parcels", "--to", "0", "--dry-run") == ("parcels", 0, True)


@pytest.mark.parametrize("error", [DethroneError, SupersededError])
def test_what_a_user_can_put_right_ends_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, error: type[DethroneError]
) -> None:
    def flow(**_: Any) -> None:
        msg = "reign 3 is taken; decide anew"
        raise error(msg)

    with pytest.raises(SystemExit) as caught:
        call(flow, monkeypatch, "parcels")
    assert caught.value.code == f"{error.__name__}: reign 3 is taken; decide anew"


@pytest.mark.parametrize("error", [ValueError, KeyError, ZeroDivisionError])
def test_any_other_error_is_ours_and_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def flow(**_: Any) -> None:
        raise error

    with pytest.raises(error):
        call(flow, monkeypatch, "parcels")


def test_the_shell_sees_status_1_and_one_line() -> None:
    program = (
        "import argparse\n"
        "from tasks.command import run\n"
        "from tasks.base.errors import DethroneError\n"
        "def flow():\n"
        "    raise DethroneError('correct the date')\n"
        "run(flow, argparse.ArgumentParser())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "DethroneError: correct the date\n")


def test_help_is_plain_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        call(None, monkeypatch, "--help")
    assert caught.value.code == 0
    assert "Do this, as that says." in capsys.readouterr().out


def test_heartbeats_are_off_where_the_server_is_temporary_and_as_set_where_it_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def flow(**_: Any) -> Any:
        return PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value()

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: 45}, restore_defaults={PREFECT_API_URL}):
        assert call(flow, monkeypatch, "parcels") is None
        assert PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value() == 45
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: 45, PREFECT_API_URL: "http://prefect:4200/api"}):
        assert call(flow, monkeypatch, "parcels") == 45
