"""Versions that were logged with another scikit-learn are scored with it, through the flow score, beside those of this clone."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature

from flows.enthrone import enthrone
from flows.score import score
from tasks.base.project import Project
from tasks.batches.predictions import manifests, read_parts
from tasks.store import Store

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.slow]

OTHER = "1.6.1"  # of scikit-learn: another one than this clone's
TELLS = """
import mlflow, numpy as np, sklearn
class Tells(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return np.full(len(model_input), 0.25 if sklearn.__version__ == "1.6.1" else 0.75)
mlflow.models.set_model(Tells())
"""


def test_each_version_has_its_own_scikit_learn_and_what_two_need_is_built_once(
    parcels: Path, store: Store, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETHRONE_PROJECTS", str(parcels))
    monkeypatch.setenv("DETHRONE_ENVIRONMENTS", str(tmp_path / "environments"))
    file = tmp_path / "tells.py"
    file.write_text(TELLS)
    mlflow.set_tracking_uri(project.mlflow)
    experiment = mlflow.create_experiment(f"{project.model}-own", (tmp_path / "artifacts").as_uri())
    for environment in ("shared", "model", "model"):
        with mlflow.start_run(experiment_id=experiment):
            info = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(file),
                signature=infer_signature(pd.DataFrame({"x1": [0.5]}), np.array([0.5])),
                pip_requirements=[f"scikit-learn=={OTHER}", f"mlflow=={mlflow.__version__}"],
            )
        mlflow.register_model(info.model_uri, project.model, tags={"threshold": "0.5", "environment": environment})
    enthrone("parcels", "1", author="test", as_of=date(2024, 1, 1))
    assert score("parcels", as_of=date(2024, 3, 1)).startswith("Scored: 2024-01-07, ")
    for manifest in manifests(store, project.name):
        scores = {s.version: set(read_parts(store, s.parts)["score"].to_list()) for s in manifest.scored}
        assert {v: scores[v] for v in "345"} == {"3": {0.75}, "4": {0.25}, "5": {0.25}}
    assert len(list((tmp_path / "environments").glob("*/ready"))) == 1
