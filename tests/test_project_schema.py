"""The JSON schema with which editors complete and check a project file says what ``load_project`` says."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from analysis.kinds import KINDS, MEASURE_NAMES, Task
from docs.schema import project_schema, schema_file
from tasks.base.project import ProjectFileError, load_project

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "deployments"
FIRST_LINE = "# yaml-language-server: $schema=project.schema.json"
NEEDED = "store: /data\nmlflow: http://mlflow:5000\nmodel: late\nmaturity_days: 14\n"


def documented() -> Iterator[tuple[str, str]]:
    """Every project file that a page shows, by the page's path."""
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
            if "maturity_days:" in block:
                yield str(page.relative_to(ROOT)), textwrap.dedent(block)


FILES = {p.name: p.read_text(encoding="utf-8") for p in sorted(FOLDER.glob("*.yaml"))} | dict(documented())


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    return Draft202012Validator(json.loads((FOLDER / "project.schema.json").read_text(encoding="utf-8")))


def loads(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    (folder / "parcels.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("DETHRONE_PROJECTS", str(folder))
    try:
        load_project("parcels")
    except ProjectFileError:
        return False
    return True


def test_the_schema_is_that_of_the_settings() -> None:
    """Written anew by ``make docs``."""
    assert (FOLDER / "project.schema.json").read_text(encoding="utf-8") == schema_file()
    assert json.loads(schema_file()) == project_schema()


def test_it_is_a_schema_with_a_title_in_which_every_key_has_its_meaning(schema: Draft202012Validator) -> None:
    Draft202012Validator.check_schema(schema.schema)
    assert schema.schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert schema.schema["title"]
    parts = [p for p in schema.schema["$defs"].values() if p.get("type") == "object"]
    assert len(parts) == 7
    for part in (schema.schema, *parts):
        assert part["additionalProperties"] is False
        assert all(key["description"].endswith(".") for key in part["properties"].values())


def test_each_page_and_file_was_found() -> None:
    assert {"flights.yaml", "README.md"} <= set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_every_project_file_names_the_schema_and_is_valid(name: str, schema: Draft202012Validator) -> None:
    assert FILES[name].splitlines()[0] == FIRST_LINE
    schema.validate(yaml.safe_load(FILES[name]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "store: s3://bucket/prefix?sse=aws:kms&kms_key=KEY\n",
        "columns: {id: parcel, entity: null, period: week}\nsegments: [region, carrier]\n",
        "segments: []\nlabels: {}\ncolumns: {}\npolicy: {}\n",
        "labels: {positive: [fraud, yes, 1, 2.0], negative: [legit, off, -1], ignored: [open, '9']}\nabsent: negative\n",
        "labels: null\n",
        # numbers as people write them: YAML reads 1e-3 as a text, and 14.0 is a whole number
        "maturity_days: 14.0\nmodel_seconds: 1e3\npolicy: {alpha: 1e-3, min_gain: '.01', guardrails: {precision: 5E-2}}\n",
        "maturity_days: '0'\npolicy: {n_resamples: 1_000, min_batches: +2, prior: 2}\n",
        "policy: {primary: mcc, guardrails: {cost: 5}, costs: {fp: 10, fn: -3, tp: 1e1}}\n",
        "policy: {guardrails: {}, horizon: {disagreements: 400, spending: pocock}, costs: null}\n",
        "policy: {prior: 12, approval: required, error_budget: family, unit: batch}\n",
        "policy: {unlabelled: worst_case, segment_guardrails: {recall: 0.05}}\n",
        "columns: {label_probability: p}\npolicy: {sampling: {least: 0.05, disagreements: 1}}\n",
        "task: binary\npolicy: {primary: recall}\n",
        "task: multiclass\npolicy: {primary: macro_f1, guardrails: {accuracy: 0.01}}\n",
        "task: regression\npolicy: {primary: absolute_error, largest_error: 1e6}\n",
    ],
)
def test_whatever_loads_is_valid(
    text: str, schema: Draft202012Validator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = yaml.safe_dump(yaml.safe_load(NEEDED) | (yaml.safe_load(text) or {}))
    assert loads(whole, tmp_path, monkeypatch)
    assert list(schema.iter_errors(yaml.safe_load(whole))) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("maturity_dais: 7", ""),
        ("name: parcels", ""),
        ("columns: {lable: late}", "columns"),
        ("columns: {id: 5}", "columns.id"),
        ("labels: {positive: fraud}", "labels"),
        ("labels: {positive: [null]}", "labels"),
        ("labels: {positive: [2024-06-30]}", "labels"),
        ("segments: region", "segments"),
        ("task: ranking", "task"),
        ("absent: 'no'", "absent"),
        ("store: ''", "store"),
        ("model: 7", "model"),
        ("maturity_days: -1", "maturity_days"),
        ("maturity_days: 1.5", "maturity_days"),
        ("maturity_days: two weeks", "maturity_days"),
        ("maturity_days: null", "maturity_days"),
        ("model_seconds: 0", "model_seconds"),
        ("policy:", "policy"),
        ("policy: {task: binary}", "policy"),
        ("policy: {min_gian: 0.1}", "policy"),
        ("policy: {primary: recal}", "policy.primary"),
        ("policy: {primary: alert_rate}", "policy.primary"),
        ("policy: {primary: macro_f1}", "policy.primary"),
        ("policy: {guardrails: {acuracy: 0.1}}", "policy.guardrails"),
        ("policy: {guardrails: {macro_recall: 0.1}}", "policy.guardrails"),
        ("policy: {guardrails: {accuracy: 0}}", "policy.guardrails.accuracy"),
        ("policy: {guardrails: {accuracy: 1}}", "policy.guardrails.accuracy"),
        ("policy: {guardrails: {accuracy: small}}", "policy.guardrails.accuracy"),
        ("policy: {guardrails: [accuracy]}", "policy.guardrails"),
        ("policy: {segment_guardrails: {precision: 0.1}}", "policy.segment_guardrails"),
        ("policy: {alpha: 0.5}", "policy.alpha"),
        ("policy: {alpha: low}", "policy.alpha"),
        ("policy: {n_resamples: 1e4}", "policy.n_resamples"),
        ("policy: {costs: {fp: 1}}", "policy.costs"),
        ("policy: {horizon: {disagreements: 19}}", "policy.horizon"),
        ("policy: {approval: never}", "policy.approval"),
        ("task: multiclass\npolicy: {primary: recall}", "policy.primary"),
        ("task: multiclass\npolicy: {guardrails: {precision: 0.1}}", "policy.guardrails"),
        ("task: regression\npolicy: {primary: accuracy}", "policy.primary"),
    ],
)
def test_a_typo_or_a_wrong_value_is_refused_where_it_stands_and_does_not_load(
    text: str, place: str, schema: Draft202012Validator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = yaml.safe_dump(yaml.safe_load(NEEDED) | yaml.safe_load(text))
    assert not loads(whole, tmp_path, monkeypatch)
    errors = list(schema.iter_errors(yaml.safe_load(whole)))
    assert {".".join(str(p) for p in e.absolute_path) for e in errors} == {place}


@pytest.mark.parametrize("key", ["store", "mlflow", "model", "maturity_days"])
def test_a_key_without_a_default_is_needed(key: str, schema: Draft202012Validator) -> None:
    content: dict[str, Any] = yaml.safe_load(NEEDED)
    del content[key]
    (error,) = schema.iter_errors(content)
    assert error.message == f"'{key}' is a required property"


@pytest.mark.parametrize("task", KINDS)
def test_every_measure_of_a_task_can_be_named_and_no_other(task: Task, schema: Draft202012Validator) -> None:
    content = yaml.safe_load(NEEDED)
    for measure in MEASURE_NAMES:
        for policy in ({"primary": measure}, {"guardrails": {measure: 0.1}}):
            assert schema.is_valid(content | {"task": task, "policy": policy}) == (measure in KINDS[task].deciding())
