"""The project file: what it may say, and one sentence for each fault, with the file, the key and what to do."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import polars as pl
import pytest
import yaml

from analysis.policy import Policy
from tasks.base.project import Columns, Project, ProjectFileError, load_project
from tasks.base.time_zone import zone_fault

ROOT = Path(__file__).resolve().parents[3]
GOOD: dict[str, Any] = {"store": "/data/store", "mlflow": "http://mlflow:5000", "model": "late", "maturity_days": 14}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DETHRONE_PROJECTS", str(tmp_path))
    return tmp_path


def put(folder: Path, content: Any, name: str = "parcels") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return path


def fault(name: str = "parcels") -> str:
    with pytest.raises(ProjectFileError) as caught:
        load_project(name)
    return str(caught.value)


class TestGood:
    def test_the_needed_keys_are_enough(self, folder: Path) -> None:
        put(folder, GOOD)
        project = load_project("parcels")
        assert project == Project(name="parcels", **GOOD)
        assert (project.columns, project.segments, project.policy) == (Columns(), (), Policy())

    def test_every_key_is_read(self, folder: Path) -> None:
        more = {
            "columns": {"id": "parcel", "label": "late", "observed_at": "seen"},
            "segments": ["region", "carrier"],
            "policy": {
                "primary": "accuracy", "min_gain": 0.02, "alpha": 0.01, "guardrails": {"recall": 0.04}, "min_batches": 6,
                "prior": 2.0, "n_resamples": 5000,
            },
        }  # fmt: skip
        put(folder, GOOD | more)
        project = load_project("parcels")
        assert project.columns == Columns(id="parcel", label="late", observed_at="seen")
        assert project.segments == ("region", "carrier")
        assert project.policy == Policy(**more["policy"])

    def test_every_zone_of_the_database_is_taken_but_that_of_the_machine(self) -> None:
        """And polars, which reads the times of labels, knows each."""
        for name in sorted(available_timezones() - {"localtime", "Factory"}):
            assert zone_fault(name) is None
            pl.Series([datetime(2024, 1, 1, tzinfo=UTC)]).dt.convert_time_zone(name)

    def test_the_flights_of_the_demo_load(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DETHRONE_PROJECTS", raising=False)
        project = load_project("flights")
        assert (project.name, project.model, project.columns.id) == ("flights", "flight-delays", "flight_id")
        assert project.segments == ("origin",)
        assert project.store == str(ROOT / ".demo" / "store")
        assert project.mlflow == f"sqlite:///{ROOT / '.demo' / 'mlflow.db'}"

    @pytest.mark.parametrize(
        ("key", "given", "meant"),
        [
            ("store", "data/store", str(ROOT / "data" / "store")),
            ("store", "/data/store", "/data/store"),
            ("store", "s3://bucket/prefix", "s3://bucket/prefix"),
            ("mlflow", "sqlite:///data/mlflow.db", f"sqlite:///{ROOT / 'data' / 'mlflow.db'}"),
            ("mlflow", "sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
            ("mlflow", "http://mlflow:5000", "http://mlflow:5000"),
            ("mlflow", "mlruns", str(ROOT / "mlruns")),
        ],
    )
    def test_relative_paths_begin_at_the_clone_wherever_somebody_stands(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, key: str, given: str, meant: str
    ) -> None:
        monkeypatch.chdir(folder)
        put(folder, GOOD | {key: given})
        assert getattr(load_project("parcels"), key) == meant


class TestWhichFile:
    @pytest.mark.parametrize("name", ["flihgts", "../parcels", "a/../parcels", "", ".hidden", "/etc/passwd", "a b"])
    def test_an_unknown_project_is_told_the_known_ones(self, folder: Path, name: str) -> None:
        for known in ("parcels", "flights"):
            put(folder, GOOD, known)
        put(folder.parent, GOOD, "parcels")
        (folder / ".hidden.yaml").write_text("{}")
        assert f"there is no project '{name}' in {folder}; the projects there are: " in fault(name)
        assert "flights, parcels" in fault(name)

    @pytest.mark.usefixtures("folder")
    def test_where_there_are_none_it_says_so(self) -> None:
        assert fault("parcels").endswith("the projects there are: none")


class TestFaults:
    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"maturity_dais": 7}, "unknown key 'maturity_dais'; did you mean 'maturity_days'?"),
            ({"Model": "m"}, "unknown key 'Model'; did you mean 'model'?"),
            (
                {"qqqq": 1},
                (
                    "unknown key 'qqqq'; the known keys are: store, mlflow, model, task, columns, labels, absent, segments, complete, "
                    "maturity_days, timezone, model_seconds, model_memory_gb, environment, runner, cluster, challengers, replay, policy"
                ),
            ),
            ({"policy": {"min_gian": 0.1}}, "unknown key 'policy.min_gian'; did you mean 'min_gain'?"),
            ({"policy": {"guardrail": {}}}, "unknown key 'policy.guardrail'; did you mean 'guardrails'?"),
            ({"columns": {"lable": "late"}}, "unknown key 'columns.lable'; did you mean 'label'?"),
            (
                {"columns": {"zzz": "late"}},
                "unknown key 'columns.zzz'; the known keys are: id, label, observed_at, entity, period, label_probability",
            ),
        ],
        ids=str,
    )
    def test_an_unknown_key_is_told_the_nearest_known_one(
        self, folder: Path, change: dict[str, Any], sentence: str
    ) -> None:
        path = put(folder, GOOD | change)
        assert fault() == f"{path}: {sentence}"

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            (
                {"cluster": "tcp://scheduler:8786"},
                "cluster needs runner: dask or runner: ray; add one of them, or remove cluster",
            ),
            (
                {"runner": "dask", "cluster": "ray://head:10001"},
                "cluster: 'ray://head:10001' is no address for runner: dask; write it as tcp://scheduler:8786",
            ),
            (
                {"runner": "ray", "cluster": "ray://head:port"},
                "cluster: 'ray://head:port' is no address for runner: ray; write it as ray://head:10001",
            ),
            ({"runner": "spark"}, "runner: Input should be 'processes', 'dask' or 'ray' (it is 'spark')"),
            (
                {"complete": {}},
                "complete: complete needs either marker or quiet_minutes; give one of them, or leave out complete",
            ),
            (
                {"complete": {"marker": "_SUCCESS", "quiet_minutes": 30}},
                "complete: complete needs either marker or quiet_minutes; give one of them, or leave out complete",
            ),
            (
                {"complete": {"marker": "a/_SUCCESS"}},
                "complete.marker: a marker is the name of a file, such as _SUCCESS, without folders and not hidden (it is 'a/_SUCCESS')",
            ),
            ({"complete": {"quiet_minutes": 0}}, "complete.quiet_minutes: Input should be greater than 0 (it is 0)"),
            (
                {"labels": {"positive": [1]}},
                "labels gives the values of one class only; give both labels.positive and labels.negative",
            ),
            (
                {"labels": {"positive": [1], "negative": ["1"]}},
                "labels: '1' is listed twice; remove one, as a value has one meaning",
            ),
            (
                {"labels": {"positive": 1}},
                "labels.positive: write a list whose values are texts, numbers, true or false (it is 1)",
            ),
            (
                {"labels": {"positive": [1], "negative": [None]}},
                "labels.negative: write a list whose values are texts, numbers, true or false (it is [None])",
            ),
            (
                {"task": "regression", "absent": "negative"},
                "absent: negative needs the task binary; the task is regression",
            ),
            (
                {"task": "multiclass", "labels": {"positive": [1], "negative": [0]}},
                "labels.positive and labels.negative need the task binary; the task is multiclass",
            ),
        ],
        ids=str,
    )
    def test_what_labels_stand_for_has_to_make_sense(self, folder: Path, change: dict[str, Any], sentence: str) -> None:
        path = put(folder, GOOD | change)
        assert fault() == f"{path}: {sentence}"

    @pytest.mark.parametrize("key", GOOD)
    def test_a_missing_key_is_named(self, folder: Path, key: str) -> None:
        path = put(folder, {k: v for k, v in GOOD.items() if k != key})
        assert fault() == f"{path}: the key '{key}' is missing"

    @pytest.mark.parametrize(
        ("change", "key", "hint"),
        [
            ({"store": 7}, "store", "string"),
            ({"store": None}, "store", "string"),
            ({"store": ""}, "store", "at least 1 character"),
            ({"mlflow": ""}, "mlflow", "at least 1 character"),
            ({"model": ""}, "model", "at least 1 character"),
            ({"model": ["late"]}, "model", "string"),
            ({"maturity_days": "two weeks"}, "maturity_days", "integer"),
            ({"maturity_days": 1.5}, "maturity_days", "integer"),
            ({"maturity_days": -1}, "maturity_days", "greater than or equal to 0"),
            ({"timezone": 1}, "timezone", "string"),
            ({"timezone": "Berlin"}, "timezone", "no such time zone; did you mean 'Europe/Berlin'?"),
            ({"timezone": "europe/berlin"}, "timezone", "did you mean 'Europe/Berlin'?"),
            ({"timezone": "America/NewYork"}, "timezone", "did you mean 'America/New_York'?"),
            ({"timezone": "Europe"}, "timezone", "write an IANA name, such as Europe/Berlin"),
            ({"timezone": "localtime"}, "timezone", "write an IANA name"),
            ({"timezone": "../UTC"}, "timezone", "write an IANA name"),
            ({"timezone": ""}, "timezone", "write an IANA name"),
            ({"segments": "region"}, "segments", "tuple"),
            ({"segments": ["region", "region"]}, "segments", "listed twice"),
            ({"columns": ["id"]}, "columns", "dictionary"),
            ({"columns": {"id": 3}}, "columns.id", "string"),
            ({"policy": "strict"}, "policy", "dictionary"),
            ({"policy": {"alpha": 0.5}}, "policy.alpha", "less than 0.5"),
            ({"policy": {"alpha": 0}}, "policy.alpha", "greater than 0"),
            ({"policy": {"min_gain": 1}}, "policy", "min_gain is 1; no two models differ by that much in recall"),
            ({"policy": {"min_gain": -0.1}}, "policy.min_gain", "greater than or equal to 0"),
            ({"policy": {"primary": "alerts"}}, "policy.primary", "'recall'"),
            ({"policy": {"guardrails": {"precision": -0.03}}}, "policy.guardrails", "must be above 0 and below 1, not -0.03"),
            ({"policy": {"guardrails": {"aoc": 0.03}}}, "policy.guardrails.aoc", "'precision'"),
            ({"policy": {"min_batches": 0}}, "policy.min_batches", "greater than or equal to 1"),
            ({"policy": {"n_resamples": 10}}, "policy.n_resamples", "greater than or equal to 1000"),
            ({"policy": {"guardrails": {"recall": 0.01}}}, "policy", "recall is the primary metric; it cannot be a guardrail"),
        ],
        ids=str,
    )  # fmt: skip
    def test_a_value_that_makes_no_sense_is_named_with_what_would(
        self, folder: Path, change: dict[str, Any], key: str, hint: str
    ) -> None:
        path = put(folder, GOOD | change)
        said = fault()
        assert said.startswith(f"{path}: {key}")
        assert hint in said
        assert "(it is {" not in said
        assert "\n" not in said

    def test_every_fault_of_a_file_is_told_at_once(self, folder: Path) -> None:
        path = put(folder, {"store": "s", "mlflow": "m", "modle": "late", "maturity_days": -1})
        said = fault()
        assert said.startswith(f"{path}: ")
        for part in ("the key 'model' is missing", "maturity_days: ", "unknown key 'modle'; did you mean 'model'?"):
            assert part in said
        assert len(said.split("; ")) >= 3

    def test_the_name_is_that_of_the_file_and_has_no_key(self, folder: Path) -> None:
        path = put(folder, GOOD | {"name": "other"})
        assert fault() == f"{path}: remove the key 'name'; the name of a project is that of its file, 'parcels'"

    @pytest.mark.parametrize("content", ["a: [1, 2", "a: b: c", "\tkey: value", "!!python/object:os.system {}"])
    def test_what_is_not_yaml_is_told_so(self, folder: Path, content: str) -> None:
        path = put(folder, content)
        assert fault().startswith(f"{path}: is not valid YAML: ")

    def test_a_file_that_is_no_text_is_told_so(self, folder: Path) -> None:
        (folder / "parcels.yaml").write_bytes(b"\xff\xfe\x00")
        assert fault().startswith(f"{folder / 'parcels.yaml'}: is not valid YAML: ")

    @pytest.mark.parametrize("content", ["", "- store\n- model\n", "just text", "42"])
    def test_what_is_no_mapping_is_told_what_to_write(self, folder: Path, content: str) -> None:
        path = put(folder, content)
        assert fault() == f"{path}: must contain keys with values, such as 'model: my-model'"

    @pytest.mark.parametrize("key", [1, True, None])
    def test_a_key_that_is_no_text_is_a_fault_of_the_file(self, folder: Path, key: Any) -> None:
        """YAML reads ``on:`` as true and ``1:`` as a number."""
        path = put(folder, {**GOOD, key: "value"})
        assert fault().startswith(f"{path}: ")
