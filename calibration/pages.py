"""Tables as files: CSV with every digit that counts, markdown for readers, and an index of what was promised and measured."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from calibration.bounds import Bound, Verdict, judged
from calibration.cells import Cell, Table

__all__ = ["markdown", "read_csv", "write_index", "write_table"]

_T = TypeVar("_T")

_COLUMNS = ("quantity", "rule", "world", "kind", "estimate", "runs", "low", "high", "bound", "verdict")


def write_table(folder: Path, table: Table, cells: Sequence[Cell], bounds: Sequence[Bound]) -> list[Verdict]:
    """Write ``<name>.csv`` and ``<name>.md``; give the verdicts on the cells."""
    verdicts = judged(table.name, cells, bounds)
    by_cell = {(v.cell.quantity, v.cell.rule, v.cell.world): v for v in verdicts}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{table.name}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for c in cells:
            v = by_cell.get((c.quantity, c.rule, c.world))
            numbers = [f"{c.estimate:.6g}", c.runs, f"{c.low:.6g}", f"{c.high:.6g}"]
            judgement = [str(v.bound), "holds" if v.holds else "broken"] if v else ["", ""]
            writer.writerow([c.quantity, c.rule, c.world, c.kind, *numbers, *judgement])
    written = read_csv(path)
    page = markdown(table, written, judged(table.name, written, bounds))
    (folder / f"{table.name}.md").write_text(page, encoding="utf-8")
    return verdicts


def read_csv(path: Path) -> list[Cell]:
    """The cells of a table that was written."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Cell(
                r["quantity"],
                r["rule"],
                r["world"],
                "share" if r["kind"] == "share" else "mean" if r["kind"] == "mean" else "exact",
                *(float(r["estimate"]), int(r["runs"]), float(r["low"]), float(r["high"])),
            )
            for r in csv.DictReader(file)
        ]


def markdown(table: Table, cells: Sequence[Cell], verdicts: Sequence[Verdict]) -> str:
    """The page of one table: what was simulated, a grid for each quantity, and the bounds that it enforces."""
    lines = [f"# {table.title}", "", table.text.strip(), ""]
    if table.summary:
        lines += ["## Over all worlds", "", *_summary(cells), ""]
    for quantity in _distinct(c.quantity for c in cells):
        lines += [f"## {quantity[0].upper()}{quantity[1:]}", ""]
        lines += [*_grid([c for c in cells if c.quantity == quantity]), ""]
    if verdicts:
        lines += ["## Enforced", "", *_enforced(verdicts), ""]
    lines += [
        f"Estimate [95 % error bar] and number of runs; the same numbers are in [{table.name}.csv]({table.name}.csv)."
    ]
    return "\n".join(lines) + "\n"


def write_index(folder: Path, tables: Sequence[Table], bounds: Sequence[Bound]) -> None:
    """Write ``index.md`` from the tables that lie in the folder."""
    written = [(t, read_csv(folder / f"{t.name}.csv")) for t in tables if (folder / f"{t.name}.csv").is_file()]
    verdicts = [v for t, cells in written for v in judged(t.name, cells, bounds)]
    lines = [
        "# Calibration",
        "",
        "Simulated and enumerated error rates of the rules and intervals of `analysis/`, written by `make calibration`:",
        "seeded, the same on any number of cores. A bound is broken where the measured share lies beyond it by more than",
        "chance explains (one-sided binomial test, p < 0.001 in a cell); then the command fails and names the cell.",
        "",
        *_enforced(verdicts),
        "",
        "## Tables",
        "",
        *(f"- [{t.title}]({t.name}.md)" for t, _ in written),
    ]
    (folder / "index.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _enforced(verdicts: Sequence[Verdict]) -> list[str]:
    """A row for each bound with the worst of its cells."""
    rows = []
    for bound in _distinct(v.bound for v in verdicts):
        found = [v for v in verdicts if v.bound == bound]
        worst = (max if bound.side == "at most" else min)(found, key=lambda v: v.cell.estimate)
        broken = sum(not v.holds for v in found)
        verdict = f"**broken in {broken} of {len(found)}**" if broken else "holds"
        what = f"[{bound.quantity}]({bound.table}.md)"
        rows.append([what, bound.rule, f"{bound}", _text(worst.cell), worst.cell.world, len(found), verdict, bound.why])
    return _table(["what", "rule", "bound", "worst measured", "in", "worlds", "verdict", "why this bound"], rows)


def _summary(cells: Sequence[Cell]) -> list[str]:
    rows = []
    for quantity in _distinct(c.quantity for c in cells):
        for rule in _distinct(c.rule for c in cells):
            found = [c.estimate for c in cells if (c.quantity, c.rule) == (quantity, rule)]
            if found:
                rows.append([quantity, rule, *(f"{x:.3f}" for x in (sum(found) / len(found), min(found), max(found)))])
    return _table(["quantity", "rule", "mean", "lowest", "highest"], rows)


def _grid(cells: Sequence[Cell]) -> list[str]:
    """Rules by worlds, whichever are fewer as columns."""
    rules, worlds = _distinct(c.rule for c in cells), _distinct(c.world for c in cells)
    by_place = {(c.rule, c.world): _text(c) for c in cells}
    if len(worlds) <= len(rules):
        return _table(["rule", *worlds], [[r, *(by_place.get((r, w), "–") for w in worlds)] for r in rules])
    return _table(["world", *rules], [[w, *(by_place.get((r, w), "–") for r in rules)] for w in worlds])


def _text(cell: Cell) -> str:
    digits = 3 if cell.kind != "mean" else 2
    if not cell.runs:
        return f"{cell.estimate:.{digits}f} (exact)"
    return f"{cell.estimate:.{digits}f} [{cell.low:.{digits}f}, {cell.high:.{digits}f}] of {cell.runs:,}"


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(str(x).replace("|", "\\|") for x in line) + " |" for line in lines]


def _distinct(values: Iterable[_T]) -> list[_T]:
    return list(dict.fromkeys(values))
