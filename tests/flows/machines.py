"""One project whose models run on this machine or on the workers of a cluster: the same versions and rows, a store for each."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from parcels import put_batch, register_version
from weeks import everything

from flows.enthrone import enthrone
from flows.replay import replay
from flows.score import score
from tasks.base.project import Project
from tasks.batches.rows import CHUNK_ROWS
from tasks.store import open_store

__all__ = ["CHUNKS", "Counted", "Guarded", "KillsItsWorker", "Machines", "Raises"]

DAY, TODAY = date(2024, 1, 7), date(2024, 1, 14)
CHUNKS = 3


def worker_of_this_model() -> int:
    """The process that started the fork server that started this one."""
    stat = Path(f"/proc/{os.getppid()}/stat").read_text(encoding="utf-8")
    return int(stat.rpartition(")")[2].split()[1])


class Counted:
    """A model that notes in a folder for which worker it is loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __setstate__(self, state: dict[str, str]) -> None:
        self.__dict__.update(state)
        (Path(self.folder) / f"{worker_of_this_model()}-{uuid.uuid4()}").touch()

    def predict(self, rows: Any) -> Any:
        return np.where(rows.iloc[:, 0] > 0, 0.75, 0.25)


class KillsItsWorker:
    """A model that ends its worker, once."""

    def __init__(self, killed: Path) -> None:
        self.killed = str(killed)

    def predict(self, rows: Any) -> Any:
        try:
            Path(self.killed).open("x").close()
        except FileExistsError:
            return np.where(rows.iloc[:, 0] > 0, 0.75, 0.25)
        os.kill(worker_of_this_model(), signal.SIGKILL)
        signal.pause()  # until the end of the worker ends this process
        raise AssertionError


class Raises:
    """A model that cannot take a value of one of the last chunks."""

    def predict(self, rows: Any) -> Any:
        if (rows.iloc[:, 0] == -1000.0).any():
            msg = "no such parcel"
            raise ValueError(msg)
        return np.full(len(rows), 0.5)


class Guarded:
    """A model of a column of whole numbers, whose type depends on whether the batch has a gap anywhere."""

    def predict(self, rows: Any) -> Any:
        column = rows.iloc[:, 0]
        return np.full(len(rows), 0.25 if column.dtype == np.int64 else 0.75)


class Machines:
    """The project, to be scored in one place and then in another."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project, self.folder = project, folder

    def register(self, column: str, model: Any = None, example: Any = 0.5) -> None:
        register_version(self.project, column, model=model, example=example)

    def place(self, name: str, **settings: Any) -> Project:
        """The project with a store of its own, which holds the batch, and these settings; ``DETHRONE_PROJECTS`` names its folder."""
        folder = self.folder / name
        folder.mkdir()
        project = self.project.model_copy(update={"store": str(folder / "store")})
        content = {"store": project.store, "mlflow": project.mlflow, "model": project.model, "maturity_days": 14}
        text = yaml.safe_dump({**content, "segments": ["region"], **settings})
        (folder / "parcels.yaml").write_text(text, encoding="utf-8")
        os.environ["DETHRONE_PROJECTS"] = str(folder)
        rows = batch()
        half = CHUNK_ROWS // 2  # the files end elsewhere than the chunks
        for number in range(0, rows.height, 3 * half):
            put_batch(open_store(project.store), project, str(DAY), rows.slice(number, 3 * half), f"rows-{number:07}")
        enthrone("parcels", "1", author="test", as_of=DAY)
        return project

    def scored(self, name: str, **settings: Any) -> tuple[str, Mapping[str, bytes]]:
        """What the flow says, and all that is then in the store."""
        project = self.place(name, **settings)
        return score("parcels", as_of=TODAY), everything(open_store(project.store), project)

    def replayed(self, name: str, **settings: Any) -> tuple[str, Mapping[str, bytes]]:
        """The same of a replay of the versions but the first, which come late."""
        project = self.place(name, **settings, challengers="tag:asked")
        score("parcels", as_of=TODAY)
        late = Path(os.environ["DETHRONE_PROJECTS"]) / "parcels.yaml"
        late.write_text(late.read_text(encoding="utf-8").replace("tag:asked", "all"), encoding="utf-8")
        return replay("parcels", as_of=TODAY), everything(open_store(project.store), project)


def batch() -> pl.DataFrame:
    """Rows of three chunks: a gap in the last one, and a value that ``Raises`` cannot take in the second."""
    rows = (CHUNKS - 1) * CHUNK_ROWS + 8
    rng = np.random.default_rng(20240107)
    x2 = rng.normal(size=rows)
    x2[CHUNK_ROWS + 5] = -1000.0
    return pl.DataFrame(
        {
            "id": [f"p{i}" for i in range(rows)],
            "region": [("north", "south")[i % 2] for i in range(rows)],
            "x1": rng.normal(size=rows),
            "x2": x2,
            "x3": [*range(rows - 1), None],
        }
    )
