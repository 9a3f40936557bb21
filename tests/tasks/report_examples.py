"""A report, and how to read its tables."""

from __future__ import annotations

import re

from tasks.base.project import Project
from tasks.decisions import Decision
from tasks.reigns import reigns
from tasks.reports.report import render
from tasks.store import Store


def report(store: Store, project: Project, taken: Decision) -> str:
    return render(project, taken, reigns(store, project.name), {"evidence": "evidence.svg", "trend": "trend.svg"})


def cells(line: str) -> list[str]:
    """The cells of a line of a markdown table: split where a bar is not escaped."""
    return [c.strip() for c in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def row(markdown: str, first: str) -> list[str]:
    """The one table row whose first cell is this."""
    (found_row,) = [r for line in markdown.splitlines() if line.startswith("|") and (r := cells(line))[0] == first]
    return found_row
