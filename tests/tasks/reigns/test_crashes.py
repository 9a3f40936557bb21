"""Crashes: SIGKILL between any two writes; a plain re-run ends where the run that was never killed did."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forked
import polars as pl
import pytest
from parcels import decisions_frame, put_batch, put_labels, register_version
from replays import replay_due
from weeks import BEGIN, BETTER, WrappedStore, everything, week

from analysis.policy import Policy
from tasks.base.project import Project
from tasks.batches.scoring import score_batch
from tasks.decisions import decide, save_decision
from tasks.decisions.promotion import enthrone, promote
from tasks.labels.tallying import close_batches
from tasks.models.registry import Registry
from tasks.reigns import head, reigns
from tasks.reigns.projections import repair_projections
from tasks.reports.publish import publish
from tasks.store import DirectoryStore, Store

WEEKS = 5
AS_OF = week(WEEKS + 2)


class Killer:
    """Counts writes, and kills its own process before the one it is told to, or after the last."""

    def __init__(self, target: int | None = None) -> None:
        self.writes: list[str] = []
        self._target = target

    def around(self, what: str, write: Callable[[], Any]) -> Any:
        self.writes.append(what)
        self.die_at(len(self.writes))
        return write()

    def die_at(self, number: int) -> None:
        if number == self._target:
            os.kill(os.getpid(), signal.SIGKILL)


class KillingStore(WrappedStore):
    """A store whose every write may be its process's last act."""

    def __init__(self, inner: Store, killer: Killer) -> None:
        super().__init__(inner)
        self._killer = killer

    def write(self, key: str, data: bytes) -> None:
        self._killer.around(f"write {key}", lambda: self.inner.write(key, data))

    def create(self, key: str, data: bytes) -> None:
        self._killer.around(f"create {key}", lambda: self.inner.create(key, data))

    def delete(self, key: str) -> None:
        self._killer.around(f"delete {key}", lambda: self.inner.delete(key))


class KillingRegistry(Registry):
    """The registry, the same way."""

    def __init__(self, project: Project, killer: Killer) -> None:
        super().__init__(project)
        self._killer = killer

    def set_alias(self, alias: str, version: str | None) -> None:
        self._killer.around(f"alias {alias}", lambda: super(KillingRegistry, self).set_alias(alias, version))

    def set_tags(self, version: str, tags: dict[str, str]) -> None:
        self._killer.around(f"tags of {version}", lambda: super(KillingRegistry, self).set_tags(version, tags))

    def log_report(self, run_id: str, folder: Path, artifact_path: str) -> None:
        self._killer.around(
            f"report of {run_id}", lambda: super(KillingRegistry, self).log_report(run_id, folder, artifact_path)
        )


def score(store: Store, registry: Registry, project: Project) -> None:
    """What ``flows.score`` does with the first batch."""
    repair_projections(store, registry, project.name)
    score_batch(store, registry, project, head(store, project.name), str(BEGIN), BEGIN)


def replay(store: Store, registry: Registry, project: Project) -> None:
    """What ``flows.replay`` does: version 3 came after all batches were scored."""
    replay_due(store, registry, project, AS_OF)


def judge(store: Store, registry: Registry, project: Project) -> None:
    """What ``flows.judge`` does, up to the promotion."""
    closed = close_batches(store, project, AS_OF)
    taken = decide(store, project, head(store, project.name), closed, AS_OF)
    if taken is None or taken.promote is None:
        return  # the promotion has happened already: the new reign has no batch yet
    save_decision(store, project.name, taken)
    publish(store, registry, project, taken, closed, reigns(store, project.name))


def carry_out(store: Store, registry: Registry, project: Project) -> None:
    """What ``flows.promote`` does with the newest decision."""
    (decision,) = (
        k.rpartition("/")[2].removesuffix(".json") for k in store.keys("parcels/decisions") if "/log/" not in k
    )
    promote(store, registry, project.name, decision)
    repair_projections(store, registry, project.name)


Stage = Callable[[Store, Registry, Project], None]
STAGES: dict[str, Stage] = {"score": score, "replay": replay, "judge": judge, "promote": carry_out}


@dataclass
class Bench:
    """A project's store and its MLflow, which can be put back to what they were before a stage."""

    project: Project
    folder: Path

    @property
    def store(self) -> DirectoryStore:
        return DirectoryStore(Path(self.project.store))

    def put_back(self, saved: Path) -> None:
        for part in ("store", "mlflow.db"):
            there = self.folder / part
            if there.is_dir():
                shutil.rmtree(there)
            if (saved / part).is_dir():
                shutil.copytree(saved / part, there)
            elif (saved / part).exists():
                shutil.copy(saved / part, there)

    def save(self, name: str) -> Path:
        saved = self.folder / name
        for part in ("store", "mlflow.db"):
            if (self.folder / part).is_dir():
                shutil.copytree(self.folder / part, saved / part)
            else:
                saved.mkdir(exist_ok=True)
                shutil.copy(self.folder / part, saved / part)
        return saved

    def score_the_rest(self) -> None:
        registry = Registry(self.project)
        for number in range(1, WEEKS):
            score_batch(
                self.store, registry, self.project, head(self.store, self.project.name), str(week(number)), week(number)
            )

    def state(self) -> dict[str, Any]:
        """All that anybody can read afterwards."""
        registry = Registry(self.project)
        tags = {v.version: v.tags for v in registry.versions()}
        return {**everything(self.store, self.project), "aliases": registry.aliases(), "tags": tags}

    def run(self, stage: str, target: int | None) -> tuple[int, list[str]]:
        """The stage in a process of its own; its exit code and, if it survives, its writes."""
        receiver, sender = forked.context().Pipe(duplex=False)
        process = forked.context().Process(target=self._stage, args=(stage, target, sender))
        process.start()
        sender.close()
        try:
            writes: list[str] = receiver.recv()
        except EOFError:
            writes = []
        process.join()
        assert process.exitcode is not None
        return process.exitcode, writes

    def _stage(self, stage: str, target: int | None, sender: Any) -> None:
        killer = Killer(target)
        STAGES[stage](KillingStore(self.store, killer), KillingRegistry(self.project, killer), self.project)
        killer.die_at(len(killer.writes) + 1)
        sender.send(killer.writes)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("crashes")
    project = Project(
        name="parcels", store=str(folder / "store"), mlflow=f"sqlite:///{folder / 'mlflow.db'}", model="late",
        segments=("region",), maturity_days=14, policy=Policy(n_resamples=1000),
    )  # fmt: skip
    for column in ("x1", "x2"):
        register_version(project, column)
    made = Bench(project, folder)
    for number in range(WEEKS):
        day = week(number)
        frame: pl.DataFrame = decisions_frame(BETTER, prefix=f"{day}-")
        put_batch(made.store, project, str(day), frame.drop("label"))
        put_labels(
            made.store, project, frame["id"].to_list(), frame["label"].to_list(), week(number + 1), name=str(day)
        )
    enthrone(
        made.store, Registry(project), project.name, version="1", since=BEGIN, author="ada", reason="first champion"
    )
    return made


@pytest.mark.slow
@pytest.mark.parametrize("name", list(STAGES))
def test_killed_at_any_write_and_run_again_it_ends_in_the_same_state(bench: Bench, name: str) -> None:
    """Killed before each write and after the last: so after each, too. Every stage begins where the one before ended, unharmed."""
    if name == "replay":
        bench.score_the_rest()
        register_version(bench.project, "x2", threshold="0.6", tags={"labels_seen_through": str(week(-1))})
    before = bench.save(f"before-{name}")
    code, writes = bench.run(name, None)
    assert code == 0
    assert any(w.startswith("create") for w in writes)
    expected = bench.state()
    finished = bench.save(f"after-{name}")
    for number, write in enumerate([*writes, "the end"], start=1):
        bench.put_back(before)
        killed, _ = bench.run(name, number)
        assert killed == -signal.SIGKILL
        STAGES[name](bench.store, Registry(bench.project), bench.project)
        state = bench.state()
        assert state.keys() == expected.keys(), write
        assert [k for k in state if state[k] != expected[k]] == [], write
    bench.put_back(finished)
