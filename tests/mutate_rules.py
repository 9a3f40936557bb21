"""Take out each rule that keeps a verdict honest, one at a time, in a copy of the project, and see the tests fail: ``make mutants``."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Mutant(NamedTuple):
    """A rule, and the text whose replacement takes it out."""

    rule: str
    file: str
    old: str
    new: str


MUTANTS = [
    Mutant(
        "rows not scored by both do not count",
        "analysis/evidence/pair_counts.py",
        "return pl.col(name) if name in self._all.columns else pl.lit(None, dtype=pl.Int8)",
        "return pl.col(name).fill_null(0)",
    ),
    Mutant(
        "unlabelled rows do not count",
        "analysis/kinds/binary.py",
        "if label is None:",
        "label = label or 0\n            if label is None:",
    ),
    Mutant(
        "every row left out is counted",
        "analysis/evidence/pair_counts.py",
        "return {reason: n for reason, n in excluded.items() if n}",
        "return {}",
    ),
    Mutant("open batches are counted as left out", "analysis/evidence/gathering.py", "if open_rows:", "if False:"),
    Mutant(
        "a batch is closed by the calendar",
        "tasks/labels/tallying.py",
        "return as_of >= closing_date(manifest.date, project.maturity_days)",
        "return True",
    ),
    Mutant(
        "trained_through of the champion",
        "analysis/evidence/gathering.py",
        "any(c.trained_through and tally.date <= c.trained_through for c in pair)",
        "any(c.trained_through and tally.date <= c.trained_through for c in pair[1:])",
    ),
    Mutant(
        "trained_through of the challenger",
        "analysis/evidence/gathering.py",
        "any(c.trained_through and tally.date <= c.trained_through for c in pair)",
        "any(c.trained_through and tally.date <= c.trained_through for c in pair[:1])",
    ),
    Mutant(
        "trained_through, its own day",
        "analysis/evidence/gathering.py",
        "tally.date <= c.trained_through",
        "tally.date < c.trained_through",
    ),
    Mutant(
        "a replay counts where no label could be seen",
        "analysis/evidence/gathering.py",
        "if tally.replayed and any((tally.batch, c.digest) in self._could_be_seen for c in pair):",
        "if False:",
    ),
    Mutant(
        "a label seen on the day itself was seen",
        "analysis/evidence/gathering.py",
        "labels_from <= seen_through",
        "labels_from < seen_through",
    ),
    Mutant(
        "a failing challenger does no harm", "tasks/batches/scoring.py", "if run.version == reign.version:", "if True:"
    ),
    Mutant(
        "the same evidence is no new look",
        "tasks/decisions/decision.py",
        "existing = _existing_decision(store, project.name, evidence_digest)",
        "existing = None",
    ),
    Mutant(
        "a promotion restarts the evidence",
        "tasks/decisions/decision.py",
        "[b for b in closed.batches if b.manifest.reign == reign.number]",
        "list(closed.batches)",
    ),
    Mutant(
        "the champion's own model is never promoted",
        "analysis/verdict/validity.py",
        "if evidence.champion.digest == evidence.challenger.digest:",
        "if False:",
    ),
    Mutant(
        "no promotion without disagreement",
        "analysis/verdict/checks.py",
        '"disagreement", m.pairs.discordant > 0,',
        '"disagreement", True,',
    ),
    Mutant(
        "the demoted champion stays a challenger",
        "tasks/batches/scoring.py",
        "for v in registry.versions()}",
        'for v in registry.versions() if reign.number == 1 or v.version != "1"}',
    ),
]


def main() -> None:
    survivors = []
    for mutant in MUTANTS:
        killed = _killed(mutant)
        print(f"{'killed  ' if killed else 'SURVIVED'}  {mutant.rule} ({mutant.file})", flush=True)
        if not killed:
            survivors.append(mutant.rule)
    print(f"{len(MUTANTS) - len(survivors)} of {len(MUTANTS)} mutants killed")
    sys.exit(1 if survivors else 0)


def _killed(mutant: Mutant) -> bool:
    with tempfile.TemporaryDirectory(prefix="dethrone-") as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        path = copy / mutant.file
        text = path.read_text(encoding="utf-8")
        if text.count(mutant.old) != 1:
            sys.exit(f"{mutant.rule}: {mutant.file} holds {text.count(mutant.old)} times: {mutant.old}")
        path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "tests/test_honesty.py", "-x", "-q", "-n0", "-p", "no:cacheprovider"]
        run = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
        return run.returncode == 1 and "failed" in run.stdout


if __name__ == "__main__":
    main()
