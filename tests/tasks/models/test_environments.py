"""Where a version loads: in this clone's environment, or in its own, built from the requirements that it was logged with."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import polars as pl
import pytest
from answers import answers
from mlflow.models import infer_signature

from tasks.base.project import Project
from tasks.models.environments import BuildError, lacking, own_python
from tasks.models.errors import RegistryError
from tasks.models.registry import Registry
from tasks.models.version import ModelVersion

OTHER = "1.6.1"  # of scikit-learn: another one than this clone's
TELLS = """
import mlflow, numpy as np, sklearn
class Tells(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return np.full(len(model_input), 0.25 if sklearn.__version__ == "1.6.1" else 0.75)
mlflow.models.set_model(Tells())
"""


def test_what_a_version_needs_and_lacks_is_named(tmp_path: Path) -> None:
    here = importlib.metadata.version("scikit-learn")
    lines = [
        f"scikit-learn=={here}", f"scikit-learn=={OTHER}", "no-such-library>=2", "xgboost", "# a remark", "-r other.txt",
        'pywin32==1 ; sys_platform == "win32"',
    ]  # fmt: skip
    (tmp_path / "requirements.txt").write_text("\n".join(lines))
    assert lacking(tmp_path) == [f"scikit-learn=={OTHER} (here {here})", "no-such-library>=2 (not installed)"]


def test_a_version_without_requirements_lacks_nothing(tmp_path: Path) -> None:
    assert lacking(tmp_path) == []


def test_a_tag_that_is_no_environment_is_refused() -> None:
    with pytest.raises(
        RegistryError, match="version 3: its tag 'environment' is 'docker'; it must be 'shared' or 'model'"
    ):
        _ = ModelVersion("3", "run", {"environment": "docker"}).environment


def test_an_environment_that_cannot_be_built_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETHRONE_ENVIRONMENTS", str(tmp_path / "environments"))
    folder = tmp_path / "model"
    mlflow.pyfunc.save_model(
        path=folder, python_model=_code(tmp_path), pip_requirements=["dethrone-has-no-such-library==1"]
    )
    with pytest.raises(BuildError, match="the environment of version 3 cannot be built from its requirements: "):
        own_python("3", folder, 600)
    assert not list((tmp_path / "environments").glob("*/ready"))


@pytest.mark.slow
def test_a_version_with_another_scikit_learn_loads_in_its_own_environment_built_once(
    project: Project, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETHRONE_ENVIRONMENTS", str(tmp_path / "environments"))
    mlflow.set_tracking_uri(project.mlflow)
    experiment = mlflow.create_experiment(project.model, (tmp_path / "artifacts").as_uri())
    for environment in ("shared", "model", "model"):
        with mlflow.start_run(experiment_id=experiment):
            info = mlflow.pyfunc.log_model(
                name="model",
                python_model=_code(tmp_path),
                signature=infer_signature(pd.DataFrame({"x1": [0.5]}), np.array([0.5])),
                pip_requirements=[f"scikit-learn=={OTHER}", f"mlflow=={mlflow.__version__}"],
            )
        mlflow.register_model(info.model_uri, project.model, tags={"threshold": "0.5", "environment": environment})
    rows = pl.DataFrame({"x1": [1.0, 2.0]})
    assert [answers(registry, v, rows).tolist() for v in "123"] == [[0.75, 0.75], [0.25, 0.25], [0.25, 0.25]]
    assert len(list((tmp_path / "environments").glob("*/ready"))) == 1  # versions 2 and 3 have the same requirements


def _code(folder: Path) -> str:
    file = folder / "tells.py"
    file.write_text(TELLS)
    return str(file)
