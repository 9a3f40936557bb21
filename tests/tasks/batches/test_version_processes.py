"""A version runs in a process of its own: whatever its code does there, the champion's batch lands and nothing stays behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile
import mlflow
import numpy as np
import pandas as pd
import polars as pl
import pytest
from answers import answers
from hostile import Hostile
from mlflow.models import infer_signature
from weeks import found, predictions, score_rows, some_parcels, week

from tasks.base.project import Project
from tasks.batches.scoring import score_with
from tasks.models.fork_servers import fork_server
from tasks.models.registry import Registry
from tasks.models.versions import Versions
from tasks.reigns import head
from tasks.store import Store

Register = Callable[..., str]
TRIGGER = [-1000.0] * 10

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes as Linux shows them")


def processes_of_models() -> list[str]:
    """The command lines of what the fork server of this process, and what it started, still run."""
    parents, lines = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            lines[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(folder.name)] = int(fields[1])
    server = fork_server()._process.pid  # noqa: SLF001
    below = {pid for pid in parents if _leads_to(pid, server, parents)}
    return [lines[pid] for pid in below] + [line for line in lines.values() if str(hostile.MARK) in line]


def _leads_to(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid == ancestor:
            return True
    return False


@pytest.fixture
def champion(store: Store, registry: Registry, project: Project, register: Register) -> None:
    register("x1")
    found(store, registry, project)


@pytest.mark.usefixtures("champion")
class TestAHostileChallenger:
    @pytest.mark.parametrize(
        ("deed", "failure"),
        [
            (
                hostile.eats,
                "ran out of memory: it may have 2 GB; make it smaller, or raise 'model_memory_gb' in the project file",
            ),
            (
                hostile.crashes,
                "crashed with signal 11 (SIGSEGV), as native code does that fails; run it by itself to see where",
            ),
            (hostile.leaves, "ended its own process with the status 7; a model must not call exit"),
            (hostile.asks_to_leave, "SystemExit: 3"),
            (
                hostile.hangs,
                "gave no answer within 4 seconds; make it faster, or raise 'model_seconds' in the project file",
            ),
            (
                hostile.leaves_a_child_with_its_files,
                "ended its own process with the status 9; a model must not call exit",
            ),
        ],
        ids=["memory", "crash", "exit", "SystemExit", "hang", "child"],
    )
    def test_fails_alone_and_its_kind_of_failure_is_recorded(
        self,
        store: Store,
        registry: Registry,
        project: Project,
        register: Register,
        deed: Callable[[], None],
        failure: str,
    ) -> None:
        register("x2", model=Hostile(deed))
        strict = project.model_copy(update={"model_memory_gb": 2, "model_seconds": 4})
        manifest = score_rows(store, registry, strict, some_parcels(x2=TRIGGER))
        assert manifest.versions() == ["1"]
        assert predictions(store, manifest, "1").height == 10
        assert manifest.scored[1].failure == f"failed to score: {failure}"
        assert not [k for k in store.keys(f"{project.name}/predictions") if "/2/" in k]
        assert processes_of_models() == []

    @pytest.mark.parametrize(
        "deed", [hostile.goes_on_in_a_thread, hostile.goes_on_in_a_session, hostile.goes_on_in_an_orphan]
    )
    def test_leaves_nothing_running(
        self, store: Store, registry: Registry, project: Project, register: Register, deed: Callable[[], None]
    ) -> None:
        register("x2", model=Hostile(deed))
        assert score_rows(store, registry, project, some_parcels(x2=TRIGGER)).versions() == ["1", "2"]
        assert processes_of_models() == []

    def test_that_died_scores_the_next_batch_of_the_run_again(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x2", model=Hostile(hostile.crashes))
        with Versions(store, registry, project) as versions:
            lives = [_score(store, versions, number, x2) for number, x2 in enumerate((TRIGGER, [0.0] * 10))]
        assert lives == [["1"], ["1", "2"]]

    def test_that_gave_no_answer_is_not_waited_for_again_in_the_run(
        self, store: Store, registry: Registry, project: Project, register: Register
    ) -> None:
        register("x2", model=Hostile(hostile.hangs))
        hasty = project.model_copy(update={"model_seconds": 4})
        with Versions(store, registry, hasty) as versions:
            lives = [_score(store, versions, number, x2) for number, x2 in enumerate((TRIGGER, [0.0] * 10))]
        assert lives == [["1"], ["1"]]


def _score(store: Store, versions: Versions, number: int, x2: list[float]) -> list[str]:
    from parcels import put_batch

    put_batch(store, versions.project, str(week(number)), some_parcels(x2=x2))
    return score_with(versions, head(store, versions.project.name), str(week(number)), week(number)).versions()


@pytest.mark.usefixtures("champion")
def test_versions_start_once_for_all_batches_of_a_run(
    store: Store, registry: Registry, project: Project, register: Register
) -> None:
    register("x2", model=Counts())
    with Versions(store, registry, project) as versions:
        for number in range(3):
            _score(store, versions, number, [0.0] * 10)
            manifest = score_with(versions, head(store, project.name), str(week(number)), week(number))
            assert predictions(store, manifest, "2")["score"].to_list() == [(number + 1) / 10] * 10


class Counts:
    """Gives the number of its calls, in tenths."""

    calls = 0

    def predict(self, rows: Any) -> Any:
        Counts.calls += 1
        return np.full(len(rows), Counts.calls / 10)


def test_a_model_runs_in_another_process_than_the_flow(registry: Registry, register: Register) -> None:
    version = register("x1", model=TellsItsProcess())
    (told,) = set(answers(registry, version, pl.DataFrame({"x1": [1.0, 2.0]})).tolist())
    assert told != os.getpid() / 1e9  # the numbers of processes are below a thousand millions


class TellsItsProcess:
    def predict(self, rows: Any) -> Any:
        return np.full(len(rows), os.getpid() / 1e9)


def test_two_versions_with_a_module_of_the_same_name_each_run_their_own(
    store: Store, registry: Registry, project: Project, tmp_path: Path
) -> None:
    mlflow.set_tracking_uri(project.mlflow)
    experiment = mlflow.create_experiment(project.model, (tmp_path / "artifacts").as_uri())
    for value in (0.25, 0.75):
        folder = tmp_path / str(value)
        folder.mkdir()
        # 'tasks' is also a name of this project's, which a version does not know
        for name in ("features_lib", "tasks"):
            (folder / f"{name}.py").write_text(f"VALUE = {value}\n")
        (folder / "model.py").write_text(
            "import importlib, mlflow, numpy as np\n"
            "class M(mlflow.pyfunc.PythonModel):\n"
            "    def predict(self, context, model_input, params=None):\n"
            "        said = {importlib.import_module(n).VALUE for n in ('features_lib', 'tasks')}\n"
            "        return np.full(len(model_input), said.pop() if len(said) == 1 else 0.5)\n"
            "mlflow.models.set_model(M())\n"
        )
        frame = pd.DataFrame({"x1": [0.5]})
        with mlflow.start_run(experiment_id=experiment):
            info = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(folder / "model.py"),
                code_paths=[str(folder / "features_lib.py"), str(folder / "tasks.py")],
                signature=infer_signature(frame, np.array([0.5])),
                pip_requirements=["mlflow"],
            )
        mlflow.register_model(info.model_uri, project.model, tags={"threshold": "0.5"})
    found(store, registry, project)
    manifest = score_rows(store, registry, project, some_parcels())
    said = [set(predictions(store, manifest, v)["score"]) for v in manifest.versions()]
    assert said == [{0.25}, {0.75}]
