"""Every key of a project file, from the settings themselves: ``docs/settings.md``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from analysis.policy import Costs, Horizon, Policy, Sampling
from docs.schema import schema_file
from tasks.base.completeness import Complete
from tasks.base.markdown import table
from tasks.base.project import Columns, LabelValues, Project

__all__ = ["settings_page", "write_settings"]

_ROOT = Path(__file__).resolve().parent.parent

_SECTIONS: dict[str, type[BaseModel]] = {
    "The file": Project,
    "columns": Columns,
    "labels": LabelValues,
    "complete": Complete,
    "policy": Policy,
    "policy.costs": Costs,
    "policy.horizon": Horizon,
    "policy.sampling": Sampling,
}
_NOT_KEYS = {("The file", "name"), ("policy", "task")}  # the file's own name; the task stands at the top


def settings_page() -> str:
    """The page as markdown: one table a section, with kind, default and meaning of each key."""
    parts = [
        "# Every key of a project file",
        "What stands in `deployments/<project>.yaml`. Keys without a default are needed.",
        (
            "Where the first line of the file is `# yaml-language-server: $schema=project.schema.json`, an editor with the YAML language "
            "server completes the keys and checks them. [The schema](../deployments/project.schema.json) lies in the folder of the file."
        ),
    ]
    for title, model in _SECTIONS.items():
        rows = [
            [f"`{name}`", _kind(info.annotation), _default(info), (info.description or "").replace("|", "\\|")]
            for name, info in model.model_fields.items()
            if (title, name) not in _NOT_KEYS
        ]
        parts += [f"## {title}", table(["key", "kind", "default", "meaning"], rows)]
    return "\n\n".join(parts) + "\n"


def write_settings() -> None:
    """Write the page, and the JSON schema of project files: ``make settings``."""
    (_ROOT / "docs" / "settings.md").write_text(settings_page(), encoding="utf-8")
    (_ROOT / "deployments" / "project.schema.json").write_text(schema_file(), encoding="utf-8")


def _kind(annotation: Any) -> str:
    """The kind of value, for a reader."""
    if str(get_origin(annotation)) == "typing.Literal":
        return ", ".join(f"`{a}`" for a in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "keys below"
    origin, args = get_origin(annotation), [a for a in get_args(annotation) if a is not type(None) and a is not ...]
    if origin is dict:
        return "measure: margin"
    if origin is tuple:
        return "list of values" if "float" in str(annotation) else "list of text"
    if len(args) == 1 or origin is Annotated:
        return _kind(args[0])
    if args:
        return ", ".join(map(_kind, args))
    return {"str": "text", "int": "whole number", "float": "number"}.get(
        getattr(annotation, "__name__", ""), str(annotation)
    )


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "needed"
    value = info.default
    if isinstance(value, BaseModel):
        return "the defaults below"
    if value is None or value in ((), {}):
        return "none"
    return f"`{value}`"


if __name__ == "__main__":
    write_settings()
