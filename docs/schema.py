"""The JSON schema of a project file, from the settings themselves: ``deployments/project.schema.json``."""

from __future__ import annotations

import json
import math
import textwrap
from typing import Any

from analysis.kinds import KINDS, MEASURES
from tasks.base.project import Project

__all__ = ["project_schema", "schema_file"]

_NUMBERS: dict[str, dict[str, Any]] = {
    "number": {"type": ["number", "string"], "pattern": r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"},
    "integer": {"type": ["integer", "string"], "pattern": r"^[-+]?\d+$"},
}
"""Numbers as ``load_project`` takes them: also in quotes, and 1e-3, which YAML reads as a text."""

_WIDTH = 140


def project_schema() -> dict[str, Any]:
    """What an editor has to know to complete and check a project file.

    It refuses an unknown key, a measure that the task has not, a key that is missing, and a value of a wrong kind or out of its range.
    Settings that cannot stand together, and numbers in quotes that are out of range, are left to ``load_project``.
    """
    made = Project.model_json_schema()
    parts = made.pop("$defs")
    del made["properties"]["name"]  # a project is called as its file is
    made["required"].remove("name")
    del parts["Policy"]["properties"]["task"]  # it stands at the top of the file
    for part in (made, *parts.values()):
        del part["title"]  # the name of a class
        part["properties"] = {name: _key(schema) for name, schema in part["properties"].items()}
    of_tasks = {name: part for task in KINDS for name, part in _parts_of(task).items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "title": "Project file of Dethrone",
        "allOf": [_policy_of(task) for task in KINDS],
        "$defs": {**parts, **_NUMBERS, **of_tasks},
    }


def schema_file() -> str:
    """The schema as it is kept: on one line whatever fits there."""
    return _text(project_schema(), indent=0) + "\n"


def _key(schema: dict[str, Any]) -> dict[str, Any]:
    """What stands below a key: as pydantic has it, but for what tells a reader nothing, with every way to write a number."""
    told = {name: value for name, value in schema.items() if name != "title"}
    if "$ref" in told or told.get("default") in (None, [], {}):
        told.pop("default", None)
    if "enum" in told:
        del told["type"]
    if "propertyNames" in told:
        names = told.pop("propertyNames")["enum"]
        told |= {"properties": {name: _margin(name) for name in names}, "additionalProperties": False}
    if "anyOf" in told:
        told["anyOf"] = [_written(choice) for choice in told["anyOf"]]
    return _written(told)


def _written(schema: dict[str, Any]) -> dict[str, Any]:
    """A number in every way in which it may be written; anything else as it is."""
    kind = schema.get("type")
    if kind not in _NUMBERS:
        return schema
    return {"$ref": f"#/$defs/{kind}", **{name: value for name, value in schema.items() if name != "type"}}


def _margin(name: str) -> dict[str, Any]:
    """The margin of a guardrail. Each is a key of its own, so that an editor completes it."""
    largest = MEASURES[name].largest_difference
    most = {} if math.isinf(largest) else {"exclusiveMaximum": largest}
    return _written({"type": "number", "exclusiveMinimum": 0, **most})


def _policy_of(task: str) -> dict[str, Any]:
    """That a project of the task has a policy of it."""
    of_the_task: dict[str, Any] = {"properties": {"task": {"const": task}}}
    if task != Project.model_fields["task"].default:
        of_the_task["required"] = ["task"]
    return {"if": of_the_task, "then": {"properties": {"policy": {"$ref": f"#/$defs/{task}_policy"}}}}


def _parts_of(task: str) -> dict[str, Any]:
    """A policy of the task, which names no measure but those of the task."""
    named = {"$ref": f"#/$defs/{task}_measures"}
    return {
        f"{task}_policy": {"properties": {"primary": named, "guardrails": {"propertyNames": named}}},
        f"{task}_measures": {"enum": list(KINDS[task].deciding())},
    }


def _text(value: Any, indent: int, key: str = "") -> str:
    """The value as JSON, behind its key, in lines of at most 140 characters where no text of its own is longer."""
    line = key + json.dumps(value, ensure_ascii=False)
    if len(line) + indent < _WIDTH or not isinstance(value, (dict, list)):
        return line
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        lines = [_text(v, indent + 2, f"{json.dumps(k)}: ") for k, v in value.items()]
    elif any(isinstance(v, (dict, list)) for v in value):
        lines = [_text(v, indent + 2) for v in value]
    else:
        lines = [textwrap.fill(json.dumps(value)[1:-1], _WIDTH - indent - 2, subsequent_indent=inner)]
    first, last = "{}" if isinstance(value, dict) else "[]"
    return f"{key}{first}\n{inner}" + f",\n{inner}".join(lines) + f"\n{' ' * indent}{last}"
