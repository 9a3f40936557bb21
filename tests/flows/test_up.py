"""make up and make down: servers, a worker and the deployments on this machine, and nothing of them afterwards."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from postgres import postgres
from terminal import Terminal, with_this_in_their_environment

from deployments.processes import Service, Started, _of_proc, _of_ps
from deployments.up import Machine, UpError
from tasks.base.project import Project
from tasks.reigns import reigns
from tasks.store import Store

WAITS = [sys.executable, "-c", "import signal; signal.pause()"]
STUBBORN = f"""
import signal, subprocess, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
subprocess.Popen({WAITS!r}, start_new_session=True)
print("started", flush=True)
signal.pause()
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service("waits", tmp_path)
    yield made
    made.stop()


def start(service: Service, command: list[str], tmp_path: Path) -> Started:
    return service.start(command, cwd=tmp_path, environment={**os.environ, "MINE": str(tmp_path)}, said="here")


class TestProcesses:
    def test_one_that_was_started_is_known_to_whoever_asks_later_and_stopped_once(
        self, service: Service, tmp_path: Path
    ) -> None:
        started = start(service, WAITS, tmp_path)
        again = Service("waits", tmp_path)
        assert again.running() == started
        assert again.stop()
        assert (again.running(), again.stop(), started.runs()) == (None, False, False)

    def test_what_it_has_started_ends_with_it_also_in_a_session_of_its_own(
        self, service: Service, tmp_path: Path
    ) -> None:
        start(service, [sys.executable, "-c", STUBBORN], tmp_path)
        while "started" not in service.last_words():
            assert service.running()
        assert len(with_this_in_their_environment(str(tmp_path))) == 2
        service.stop()
        assert with_this_in_their_environment(str(tmp_path)) == []

    @pytest.mark.parametrize("again", [False, True])
    def test_what_it_leaves_when_it_is_killed_ends_with_the_next_stop_or_start(
        self, service: Service, tmp_path: Path, again: bool
    ) -> None:
        started = start(service, [sys.executable, "-c", STUBBORN.replace(", start_new_session=True", "")], tmp_path)
        while "started" not in service.last_words():
            assert service.running()
        os.kill(started.pid, signal.SIGKILL)
        os.waitpid(started.pid, 0)
        (left,) = with_this_in_their_environment(str(tmp_path))
        if again:
            assert with_this_in_their_environment(str(tmp_path)) == [left]
            new = start(service, WAITS, tmp_path)
            assert with_this_in_their_environment(str(tmp_path)) == [new.pid]
        assert service.stop()
        assert with_this_in_their_environment(str(tmp_path)) == []

    def test_both_tables_of_processes_say_the_same(self) -> None:
        """That of Linux, and that of ps on other systems."""
        mine, other = _of_proc(Path("/proc"))[os.getpid()], _of_ps()[os.getpid()]
        assert (mine.parent, mine.group) == (other.parent, other.group) == (os.getppid(), os.getpgrp())
        assert _of_ps()[os.getpid()] == other

    def test_a_process_that_has_got_the_id_since_is_left_alone(self, service: Service, tmp_path: Path) -> None:
        other = subprocess.Popen(WAITS)
        (tmp_path / "waits.json").write_text(json.dumps({"pid": other.pid, "since": "before", "said": "here"}))
        assert service.running() is None
        assert not service.stop()
        assert other.poll() is None
        other.kill()
        other.wait()

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}'])
    def test_a_file_that_was_cut_short_names_nobody(self, service: Service, tmp_path: Path, content: str) -> None:
        (tmp_path / "waits.json").write_text(content)
        assert service.running() is None


class TestMistakes:
    @pytest.mark.parametrize("name", ["PREFECT_SERVER_API_PORT", "MLFLOW_PORT"])
    @pytest.mark.parametrize("said", ["http", "0", "65536", "-1", "50.5"])
    def test_a_port_that_is_none(self, name: str, said: str) -> None:
        with pytest.raises(UpError, match=f"{name} is '{said}'; write the number of a free port"):
            Machine({name: said})

    def test_a_port_on_which_something_else_listens(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = str(other.getsockname()[1])
            machine = Machine({"DETHRONE_STATE": str(tmp_path), "PREFECT_SERVER_API_PORT": port})
            with pytest.raises(
                UpError, match=f"something else listens on port {port}, where prefect would; set PREFECT_"
            ):
                machine.up()
        assert machine.down() == []


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    """One of the name that prefect.yaml deploys."""
    return make_project(name="flights")


@pytest.mark.slow
def test_up_deploys_and_runs_restarts_what_is_down_and_down_leaves_no_process(
    parcels: Path, store: Store, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    terminal = Terminal(state, DETHRONE_PROJECTS=str(parcels))
    try:
        said = terminal("deployments.up")
        assert "deployed 10 deployments of prefect.yaml" in said
        runs = ("prefect", "deployment", "run", "--watch")
        terminal(*runs, "enthrone/flights", "-p", 'version="1"', "-p", "author=test", "-p", "as_of=2024-01-07")
        assert [r.version for r in reigns(store, "flights")] == ["1"]

        before = terminal.pids()
        os.kill(before["mlflow"], signal.SIGKILL)
        assert terminal("deployments.up") == said
        after = terminal.pids()
        assert {name for name in before if before[name] != after[name]} == {"mlflow"}

        terminal(*runs, "score/flights", "-p", "as_of=2024-03-01")
        assert len([k for k in store.keys("flights/predictions") if k.endswith("manifest.json")]) == 6
        # the end of score has started judge, which may be at work by now
        assert terminal("deployments.down") == "stopped: worker, prefect, mlflow\n"
        assert with_this_in_their_environment(str(state)) == []
        assert terminal("deployments.down") == "nothing ran\n"

        with postgres() as database:
            url = f"postgresql+asyncpg://{database}"
            terminal.environment |= {"PREFECT_SERVER_DATABASE_CONNECTION_URL": url}
            assert "deployed 10 deployments" in terminal("deployments.up")
            terminal("deployments.down")
        assert with_this_in_their_environment(str(state)) == []
    finally:
        terminal("deployments.down")
