"""How much of a large project a report shows. Whatever is left out is in report.json beside it, unless the report says where else."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.verdict.judge import Assessment, Verdict

__all__ = [
    "LARGEST_PAGE", "MOST_CHALLENGERS", "MOST_DENIALS", "MOST_LINES", "MOST_PANELS", "MOST_REASONS_LEFT_OUT", "MOST_SEGMENTS",
    "most_telling", "whole_lines",
]  # fmt: skip

LARGEST_PAGE = 300_000
"""Bytes of report.md, and of the page that Prefect keeps, which holds the plots too."""

MOST_CHALLENGERS = 8  # with a section of their own
MOST_PANELS = 4  # challengers with a panel of their own in a plot
MOST_LINES = 40  # of a table with a line per version, of a list of reasons, and of one of notes
MOST_SEGMENTS = 20
MOST_REASONS_LEFT_OUT = 8  # with a column of their own
MOST_DENIALS = 5


def most_telling(assessments: Sequence[Assessment], most: int) -> list[Assessment]:
    """At most so many challengers, in their order: those that are proven to be better, and those with the highest e-values."""
    by_rank = sorted(assessments, key=lambda a: (a.verdict is not Verdict.PROMOTE, -a.log_e_adjusted))[:most]
    chosen = {a.evidence.challenger.version for a in by_rank}
    return [a for a in assessments if a.evidence.challenger.version in chosen]


def whole_lines(page: str, largest: int = LARGEST_PAGE) -> str:
    """The page, or as many of its first lines as fit, and a sentence on the others; ``largest`` is in bytes."""
    data = page.encode()
    if len(data) <= largest:
        return page
    end = f"\n**This page ends here: it would have {len(data):,} bytes, and {largest:,} are the most. `report.json` has all of it.**\n"
    kept = data[: largest - len(end.encode())]
    return kept[: kept.rfind(b"\n") + 1].decode() + end
