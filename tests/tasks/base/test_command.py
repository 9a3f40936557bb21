"""Running a flow from the command line: what a user can put right ends in one sentence, and its result is printed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from answering import answering
from prefect import flow
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from tasks.base.errors import DethroneError
from tasks.command import last_complete_day, main, run, run_seconds, today
from tasks.reigns import SupersededError

ROOT = Path(__file__).resolve().parents[3]


def test_what_the_flow_returns_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def flow(project: str, *, to: int = 7) -> str:
        """Lead back.

        Args:
            project: Its name.
            to: Where to.
        """
        return f"{project} is back at {to}."

    for words, said in (
        (["parcels"], "parcels is back at 7.\n"),
        (["parcels", "--to", "0"], "parcels is back at 0.\n"),
    ):
        monkeypatch.setattr(sys, "argv", ["program", *words])
        main(flow, "Lead back.")
        assert capsys.readouterr().out == said


def test_a_day_begins_where_it_begins() -> None:
    """Between these two zones lie 25 hours, so that their days always differ."""
    east, west = today("Pacific/Kiritimati"), today("Pacific/Pago_Pago")
    assert west < today("UTC") or today("UTC") < east
    assert west < east
    assert last_complete_day("Pacific/Kiritimati") == east - timedelta(days=1)


@pytest.mark.parametrize("error", [DethroneError, SupersededError])
def test_what_a_user_can_put_right_ends_in_one_sentence(error: type[DethroneError]) -> None:
    def flow(**_: Any) -> None:
        msg = "reign 3 is taken; decide anew"
        raise error(msg)

    with pytest.raises(SystemExit) as caught:
        run(flow, {"project": "parcels"})
    assert caught.value.code == f"{error.__name__}: reign 3 is taken; decide anew"


@pytest.mark.parametrize("error", [ValueError, KeyError, ZeroDivisionError])
def test_any_other_error_is_ours_and_keeps_its_traceback(error: type[Exception]) -> None:
    def flow(**_: Any) -> None:
        raise error

    with pytest.raises(error):
        run(flow, {"project": "parcels"})


def test_the_shell_sees_status_1_and_one_line() -> None:
    program = (
        "import argparse\n"
        "from tasks.command import main, run\n"
        "from tasks.base.errors import DethroneError\n"
        "def flow():\n"
        "    raise DethroneError('correct the date')\n"
        "main(flow, None)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "DethroneError: correct the date\n")


@pytest.mark.usefixtures("prefect_server")
def test_a_run_that_takes_too_long_ends_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETHRONE_RUN_SECONDS", "0.05")

    @flow(timeout_seconds=run_seconds())
    def hangs() -> None:
        threading.Event().wait()

    with pytest.raises(SystemExit) as caught:
        run(hangs, {})
    said = "RunTimeError: the run was ended after 0.05 seconds (DETHRONE_RUN_SECONDS); it can be run again"
    assert caught.value.code == said


@pytest.mark.parametrize("said", ["soon", "0", "-1", "nan", "inf", "1e9"])
def test_a_timeout_that_is_none_is_told_before_anything_starts(said: str) -> None:
    environment = os.environ | {"DETHRONE_RUN_SECONDS": said}
    command = [sys.executable, "-m", "flows.score", "flights"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"RunTimeError: DETHRONE_RUN_SECONDS is '{said}'; write how many seconds a run may take, above 0 and up to 2592000, or remove it\n"
    )


def test_the_flows_that_can_take_long_have_the_timeout_that_is_set() -> None:
    program = (
        "from flows.judge import judge\nfrom flows.plan import plan\nfrom flows.replay import replay\nfrom flows.score import score\n"
        "from flows.verify import verify\nprint(*{f.timeout_seconds for f in (judge, plan, replay, score, verify)})\n"
    )
    for environment, seconds in ((os.environ, "None"), (os.environ | {"DETHRONE_RUN_SECONDS": "90"}, "90.0")):
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        assert done.stdout == f"{seconds}\n"


def test_heartbeats_are_off_where_the_server_is_temporary_and_as_set_where_it_is_not() -> None:
    def flow(**_: Any) -> Any:
        return PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value()

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: 45}, restore_defaults={PREFECT_API_URL}):
        assert run(flow, {"project": "parcels"}) is None
        assert PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value() == 45
    with answering() as url, temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: 45, PREFECT_API_URL: url}):
        assert run(flow, {"project": "parcels"}) == 45


def closed_port() -> int:
    """A port of this machine at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def test_a_server_that_is_down_ends_a_command_at_once_with_its_address_and_what_to_do() -> None:
    port = closed_port()
    environment = os.environ | {"PREFECT_API_URL": f"http://ada:secret@127.0.0.1:{port}/api"}
    command = [sys.executable, "-m", "flows.score", "flights"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"ServerError: no Prefect server answers at http://127.0.0.1:{port}/api, which PREFECT_API_URL names ([Errno 111] Connection "
        "refused); start it, correct the address, or remove the setting, and the run is recorded by a temporary server\n"
    )


@pytest.mark.parametrize("url", ["localhost:4200/api", "http://prefect.invalid:4200/api"])
def test_an_address_that_is_none_ends_a_command_too(url: str) -> None:
    with (
        temporary_settings({PREFECT_API_URL: url}),
        pytest.raises(SystemExit, match=f"no Prefect server answers at {url}"),
    ):
        run(lambda: None, {})
