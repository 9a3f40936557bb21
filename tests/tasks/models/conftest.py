"""Models saved to a folder and loaded from it, without a registry."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow.models import infer_signature
from scorers import Scorer

from analysis.kinds import Task
from tasks.models.registry import Artifacts
from tasks.models.signature import read_signature
from tasks.models.version import ModelVersion


@pytest.fixture
def scorer(tmp_path: Path) -> Callable[..., Scorer]:
    """The scorer of a model that is saved with a flavour, beside the frame that it was trained on."""

    def make(flavour: str, model: Any, frame: pd.DataFrame, task: Task = "binary", **tags: str) -> Scorer:
        save: Any = getattr(mlflow, flavour).save_model
        signature = infer_signature(frame)
        if flavour == "sklearn":
            save = functools.partial(save, serialization_format="cloudpickle")
        if flavour == "pyfunc":
            save(path=tmp_path / "m", python_model=model, signature=signature, pip_requirements=["pandas"])
        else:
            save(model, tmp_path / "m", signature=signature, pip_requirements=[flavour])
        return of_folder(tmp_path / "m", task, tags)

    return make


def of_folder(folder: Path, task: Task, tags: dict[str, str]) -> Scorer:
    description = mlflow.models.Model.load(str(folder)).to_dict()
    return Scorer(Artifacts(ModelVersion("7", "run", tags, task), folder, read_signature("7", description), "", None))
