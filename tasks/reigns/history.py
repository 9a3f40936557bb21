"""The reigns of a project, as markdown and as text."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.base.markdown import escape, table
from tasks.reigns.approvals import Denial, denials_list
from tasks.reigns.promotion_log import Reign

__all__ = ["history_page", "history_text", "reign_table"]


def reign_table(entries: Sequence[Reign], reports: str) -> str:
    """A markdown table with one row per reign, oldest first; ``reports`` is the relative path of the folder of the reports."""
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


def history_page(project_name: str, model: str, entries: Sequence[Reign], denials: Sequence[Denial] = ()) -> str:
    """The markdown of ``reports/index.md``: every reign with the report of its decision, and the denials."""
    return (
        f"# {escape(project_name)}: the reigns\n\nVersion {entries[-1].version} leads since {entries[-1].since}. "
        f"Of the registered model {escape(model)}.\n\n{reign_table(entries, '')}\n"
        + (f"\nPromotions that were not approved:\n\n{denials_list(denials)}\n" if denials else "")
    )


def history_text(entries: Sequence[Reign], denials: Sequence[Denial] = ()) -> str:
    """The reigns as aligned text for a terminal, and the denials."""
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
