"""Where a version loads: in this clone's environment, or in its own, built from the requirements that it was logged with."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import mlflow
import pytest

from tasks.models.environments import BuildError, lacking, own_python
from tasks.models.errors import RegistryError
from tasks.models.version import ModelVersion

OTHER = "1.6.1"  # of scikit-learn: another one than this clone's
RETURNS = """
import mlflow
class Returns(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["x1"]
mlflow.models.set_model(Returns())
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


def _code(folder: Path) -> str:
    file = folder / "returns.py"
    file.write_text(RETURNS)
    return str(file)
