"""The reigns of a project as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.base.markdown import escape, table
from tasks.base.project import Project
from tasks.reigns.approvals import Denial, refusals
from tasks.reigns.promotion_log import Reign

__all__ = ["history_page", "history_text", "reign_table"]


def reign_table(entries: Sequence[Reign], reports: str) -> str:
    """One row a reign, oldest first, as markdown; ``reports`` is the way from the page to the folder of the reports."""
    rows = [
        [
            str(r.number),
            f"version {r.version}",
            str(r.since),
            r.kind,
            escape(r.author),
            escape(r.reason),
            f"[{r.decision}]({reports}{r.decision}/report.md)" if r.decision else "",
        ]
        for r in entries
    ]
    return table(["reign", "champion", "since", "by", "author", "reason", "decision"], rows)


def history_page(project: Project, entries: Sequence[Reign], denials: Sequence[Denial] = ()) -> str:
    """``reports/index.md``: who led, since when, and the report of every decision that made a champion."""
    return (
        f"# {escape(project.name)}: the reigns\n\nVersion {entries[-1].version} leads since {entries[-1].since}. "
        f"Of the registered model {escape(project.model)}.\n\n{reign_table(entries, '')}\n"
        + (f"\nPromotions that were not approved:\n\n{refusals(denials)}\n" if denials else "")
    )


def history_text(entries: Sequence[Reign], denials: Sequence[Denial] = ()) -> str:
    """The reigns for a terminal, aligned, and the promotions that were not approved."""
    header = ("reign", "champion", "since", "by", "author", "decision", "reason")
    rows = [
        (
            str(r.number),
            f"version {r.version}",
            str(r.since),
            r.kind,
            r.author,
            r.decision or "-",
            " ".join(r.reason.split()),
        )
        for r in entries
    ]
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header) - 1)]
    lines = [
        "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in (header, *rows)
    ]
    return "\n".join([*lines, *(f"not approved: {d}" for d in denials)])
