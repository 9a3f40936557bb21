"""Clusters as a person asks for them: temporary ones from the command line, and what one sentence says when there is none."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from postgres import free_port
from weeks import found

from flows.replay import replay
from flows.score import score
from tasks.base.project import Project
from tasks.batches.predictions import manifests
from tasks.models.registry import Registry
from tasks.models.workers import ClusterError, WorkersError
from tasks.runner import _RUNNERS, _ClusterAnswer
from tasks.store import Store

ROOT = Path(__file__).resolve().parents[2]
LATER = date(2024, 3, 1)
PATIENT = {"RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "120"}  # two cores that other tests use too
Command = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def runner(
    parcels: Path, store: Store, registry: Registry, project: Project, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Set the runner of a project that has a champion and six batches."""
    found(store, registry, project, since=date(2024, 1, 1))
    monkeypatch.setenv("DETHRONE_PROJECTS", str(parcels))
    path = parcels / "parcels.yaml"

    def write(**settings: str) -> None:
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **settings}), encoding="utf-8")

    return write


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dask", "ray"])
def test_a_temporary_cluster_scores_without_any_server(
    runner: Callable[..., None], command: Command, store: Store, project: Project, name: str
) -> None:
    runner(runner=name)
    run = command("flows.score", "parcels", "--as-of", str(LATER))
    out, err = run.communicate(timeout=300)
    assert run.returncode == 0, err
    assert out == "Scored: 2024-01-07, 2024-01-14, 2024-01-21, 2024-01-28, 2024-02-04, 2024-02-11.\n"
    assert [m.versions() for m in manifests(store, project.name)] == [["1", "2"]] * 6


@pytest.fixture
def ray_head(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a Ray of two workers, as ``ray start`` starts one; it wants the token that it has made."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="ray-") as short:  # its sockets have long names, and those have a limit
        log = Path(short) / "log"
        command = [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", "--disable-usage-stats"]
        with log.open("wb") as file:
            head = subprocess.Popen(
                [
                    *command, "--num-cpus=2", "--include-dashboard=false", f"--temp-dir={short}", f"--port={free_port()}",
                    f"--ray-client-server-port={port}",
                ],
                cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **PATIENT}, stdout=file, stderr=file,
            )  # fmt: skip
        try:
            deadline = time.monotonic() + 120
            while not answers(port):
                assert time.monotonic() < deadline, log.read_text()
                with suppress(subprocess.TimeoutExpired):
                    head.wait(timeout=0.2)
                    pytest.fail(log.read_text())
            yield f"ray://127.0.0.1:{port}"
        finally:
            head.terminate()
            head.wait(timeout=60)


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False


@pytest.mark.slow
def test_a_ray_that_is_there_is_found_by_its_address(
    ray_head: str, runner: Callable[..., None], command: Command, store: Store, project: Project
) -> None:
    runner(runner="ray", cluster=ray_head)
    run = command("flows.score", "parcels", "--as-of", "2024-01-08")
    out, err = run.communicate(timeout=300)
    assert run.returncode == 0, err
    assert out == "Scored: 2024-01-07.\n"
    assert [m.versions() for m in manifests(store, project.name)] == [["1", "2"]]


@pytest.mark.usefixtures("prefect_server")
class TestWithoutACluster:
    @pytest.mark.parametrize(("name", "scheme"), [("dask", "tcp"), ("ray", "ray")])
    def test_that_answers_one_sentence_names_it_and_nothing_is_scored(
        self, runner: Callable[..., None], store: Store, name: str, scheme: str
    ) -> None:
        address = f"{scheme}://127.0.0.1:{free_port()}"
        runner(runner=name, cluster=address)
        with pytest.raises(ClusterError) as error:
            score("parcels", as_of=LATER)
        assert str(error.value) == (
            f"the cluster {address} does not answer ([Errno 111] Connection refused); start it, or correct 'cluster' in the project file"
        )
        assert store.keys("parcels/predictions") == []

    @pytest.mark.parametrize("name", ["dask", "ray"])
    def test_whose_library_is_there_one_sentence_says_how_to_get_it(
        self, runner: Callable[..., None], monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        runner(runner=name)
        monkeypatch.setitem(sys.modules, f"prefect_{name}", None)
        for flow in (score, replay):
            with pytest.raises(ClusterError) as error:
                flow("parcels", as_of=LATER)
            assert str(error.value) == (
                f"runner: {name} needs the library prefect-{name}; add 'prefect-{name}' to requirements-models.txt and run 'make env'"
            )

    def test_whose_workers_could_reach_prefect_one_sentence_says_what_to_start(
        self, runner: Callable[..., None]
    ) -> None:
        runner(runner="dask", cluster="tcp://scheduler.invalid:8786")
        with pytest.raises(
            ClusterError, match=r"the workers of tcp://scheduler\.invalid:8786 report to Prefect's server, and http://"
        ):
            score("parcels", as_of=LATER)

    def test_whose_workers_were_lost_too_often_one_sentence_says_with_what_work(self) -> None:
        class Lost:
            def result(self) -> None:
                msg = "attempted on 4 workers, and all died\nmore"
                raise OSError(msg)

        with pytest.raises(WorkersError) as error:
            _ClusterAnswer("score chunks 0 to 3 of batch b with version 2", Lost()).result()  # type: ignore[arg-type]
        assert str(error.value) == (
            "a worker could not score chunks 0 to 3 of batch b with version 2: OSError: attempted on 4 workers, and all died"
        )
        assert error.value.traced

    @pytest.mark.parametrize("refusals", [2, 3])
    def test_that_gives_a_process_in_time_it_is_asked_three_times(
        self, runner: Callable[..., None], store: Store, monkeypatch: pytest.MonkeyPatch, refusals: int
    ) -> None:
        """What a busy Ray answers, and then Dask's temporary cluster in its place."""
        temporary, asked = _RUNNERS["dask"], []

        class Busy:
            def __enter__(self) -> None:
                msg = "Initialization failure from server:\nTraceback:\n  line 1\nRuntimeError: Starting Ray client server failed\n"
                raise ConnectionAbortedError(msg)

            def __exit__(self, *error: object) -> None: ...

        def a_runner(project: Project) -> Any:
            asked.append(project.runner)
            return Busy() if len(asked) <= refusals else temporary(project)

        monkeypatch.setitem(_RUNNERS, "ray", a_runner)
        runner(runner="ray")
        if refusals < 3:
            assert score("parcels", as_of=date(2024, 1, 8)) == "Scored: 2024-01-07."
        else:
            with pytest.raises(ClusterError) as error:
                score("parcels", as_of=date(2024, 1, 8))
            assert str(error.value) == (
                "runner: ray: a temporary cluster on this machine cannot be used "
                "(ConnectionAbortedError: RuntimeError: Starting Ray client server failed)"
            )
            assert store.keys("parcels/predictions") == []
        assert len(asked) == 3

    def test_nothing_is_asked_of_one_where_there_is_nothing_to_score(self, runner: Callable[..., None]) -> None:
        runner(runner="dask", cluster=f"tcp://127.0.0.1:{free_port()}")
        assert score("parcels", as_of=date(2024, 1, 2)) == "Scored: nothing new."
