"""Change one operator, constant or result of `analysis` at a time and see its tests fail: ``make mutation``.

Each module is tested by the files that ``TESTS`` names for it, of which a mutant runs those tests alone that reach its
line, quickest first. A child process that imports the changed module in place of the file runs them, so nothing is
copied. A survivor has to be listed in ``docs/mutation.md``, with the reason why it changes no result; else the command
fails. ``--sample N`` takes N mutants of each module, the same ones for the same ``--seed``.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.abc
import importlib.util
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mutations import Mutant, mutants

ROOT = Path(__file__).resolve().parent.parent
EQUIVALENT = ROOT / "docs" / "mutation.md"
MEMORY = 8 * 2**30  # bytes: a mutant may loop

TESTS: dict[str, str] = {
    "counts": "counts",
    "mcnemar": "mcnemar",
    "intervals": "intervals",
    "mixture": "eprocess eprocess_properties",
    "eprocess": "eprocess eprocess_properties",
    "batch_unit": "batch_unit",
    "multiplicity": "multiplicity family_at_one_look",
    "budget": "budget",
    "planned": "planned_policy screens",
    "group_sequential": "planned_looks",
    "precision": "precision_eprocess screens",
    "choice": "choice unlabelled",
    "guardrails": "checks process unlabelled assess tasks screens",
    "checks": "checks judge retire unlabelled planned_policy entities tasks",
    "judge": "judge retire unlabelled budget planned_policy tasks",
    "process_choice": "process unlabelled entities regression_sums clipped_losses outlook",
    "proof": "process unlabelled assess",
    "process": "process process_intervals unlabelled clipped_losses",
    "entities": "entities",
    "evidence": "evidence unlabelled entities tasks clipped_losses trajectory outlook",
    "tally": "tally class_tally scores tasks",
    "labels": "label_selection tasks",
    "label_selection": "label_selection label_checks",
    "label_checks": "label_checks validity",
    "row_labels": "row_labels tally class_tally label_checks",
    "missing_labels": "missing_labels unlabelled",
    "metrics": "metrics any_counts",
    "bootstrap": "bootstrap bootstrap_intervals",
    "bootstrap_intervals": "bootstrap bootstrap_intervals",
    "segments": "segments exact_p_value",
    "score_sums": "scores regression_sums clipped_losses",
    "score_tally": "scores regression_sums clipped_losses",
    "cost": "cost",
    "asymptotic": "planned_looks process process_intervals regression_sums",
    "planning": "planned_looks planning",
    "forecast": "forecast",
    "outlook": "outlook unlabelled judge retire",
    "clusters": "clusters entities",
    "marginals": "marginals",
    "measure": "measures scores tasks clipped_losses",
    "number_counts": "class_tally tasks",
    "kind": "measures tasks",
    "binary": "measures tally scores label_checks any_counts",
    "regression": "measures class_tally regression_sums tasks",
    "gains": "measures unlabelled process scores tasks",
    "scores": "scores batch_ranks",
    "batch_ranks": "batch_ranks scores",
    "average_precision": "average_precision",
    "losses": "losses",
    "bounded_losses": "bounded_losses",
    "class_counts": "class_counts",
    "class_names": "class_tally",
    "by_class": "marginals tasks",
    "class_bootstrap": "class_bootstrap",
    "class_metrics": "class_metrics",
    "multiclass": "measures class_tally label_checks tasks",
    "assess": "assess unlabelled tasks judge retire",
    "policy": "policy planned_policy",
    "record": "record",
    "trajectory": "trajectory",
    "season": "season season_tasks",
    "simulate": "simulate screens",
    "screens": "screens",
    "promotes": "screens",
    "segment_tables": "segment_tables evidence",
    "sampled": "sampled",
    "sampled_bootstrap": "sampled",
    "validity": "validity judge",
}

LIBRARIES = [
    "mpmath", "numpy", "polars", "pydantic", "pytest", "scipy.optimize", "scipy.stats", "sklearn.metrics",
    "statsmodels.regression.linear_model", "statsmodels.stats.contingency_tables", "statsmodels.stats.multitest",
    "statsmodels.stats.proportion",
]  # fmt: skip


class _Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module of ``analysis`` from a changed tree."""

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        self.name, self.path, self.tree = name, path, tree

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:  # noqa: ARG002
        return importlib.util.spec_from_loader(fullname, self, origin=str(self.path)) if fullname == self.name else None

    def exec_module(self, module: Any) -> None:
        module.__file__ = str(self.path)
        code = compile(ast.fix_missing_locations(self.tree), str(self.path), "exec")
        exec(code, module.__dict__)  # noqa: S102


class _Reached:
    """Which tests reach which lines of the module, and how long each takes."""

    def __init__(self, path: Path) -> None:
        import coverage

        self.seconds: dict[str, float] = {}
        self.coverage = coverage.Coverage(data_file=None, include=[str(path)], config_file=False)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call":
            self.seconds[report.nodeid] = report.duration

    def lines(self, path: Path) -> dict[int, list[str]]:
        """The tests by line; all of them where the line also runs while they are collected."""
        by_line = self.coverage.get_data().contexts_by_lineno(str(path))
        every = list(self.seconds)
        return {line: every if "" in by else [t for t in by if t in self.seconds] for line, by in by_line.items()}


class _Chosen:
    """Runs these tests alone, in this order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.rank = {test: i for i, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.rank), key=lambda i: self.rank[i.nodeid])


def _pytest(files: Sequence[str], plugin: object) -> int:
    import pytest

    options = ["-x", "-q", "--noconftest", "--tb=no", "-p", "no:cacheprovider"]  # the fixtures are those of the effects
    settings = ["-o", "addopts=", "-o", "filterwarnings=error::RuntimeWarning:analysis"]
    return int(pytest.main([*files, *options, *settings], plugins=[plugin]))


def _quiet() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)


def baseline(path: Path, files: Sequence[str]) -> tuple[dict[int, list[str]], dict[str, float]]:
    """Run the tests on the module as it is, in a child."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        child = os.fork()
        if child == 0:
            _quiet()
            reached = _Reached(path)
            reached.coverage.start()
            code = _pytest(files, reached)
            reached.coverage.stop()
            result = {"code": code, "lines": reached.lines(path), "seconds": reached.seconds}
            Path(out.name).write_text(json.dumps(result), encoding="utf-8")
            os._exit(0)
        os.waitpid(child, 0)
        text = Path(out.name).read_text(encoding="utf-8")
    found = json.loads(text) if text else {"code": 1}
    if found["code"] != 0:
        sys.exit(f"the tests {' '.join(files)} have to pass before a mutant can fail them")
    return {int(k): v for k, v in found["lines"].items()}, found["seconds"]


def start(mutant: Mutant, tree: ast.Module, path: Path, tests: Sequence[str], seconds: float) -> int:
    """Run the tests on one mutant in a child, whose exit code is pytest's, or the signal that ends a loop."""
    child = os.fork()
    if child:
        return child
    limit = int(20 + 8 * seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    _quiet()
    mutant.apply()
    sys.meta_path.insert(0, _Loader(f"analysis.{path.parent.name}.{path.stem}", path, tree))
    try:
        code = _pytest(sorted({t.split("::")[0] for t in tests}), _Chosen(tests))
    except BaseException:  # noqa: BLE001
        code = 1
    os._exit(code)


def survivors(
    module: str, files: Sequence[str], processes: int, sample: int | None, seed: int
) -> tuple[int, list[Mutant]]:
    """How many mutants of a module were run, and those that no test noticed."""
    (path,) = (ROOT / "analysis").rglob(f"*/{module}.py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    every = mutants(tree)
    if sample is not None and sample < len(every):
        chosen = sorted(random.Random(f"{seed}-{module}").sample(range(len(every)), sample))  # noqa: S311
        every = [every[i] for i in chosen]
    lines, seconds = baseline(path, files)
    running: dict[int, Mutant] = {}
    alive: list[Mutant] = []

    def wait() -> None:
        child, status = os.waitpid(-1, 0)
        mutant = running.pop(child)
        if status == 0:
            alive.append(mutant)

    for mutant in every:
        reach = list(seconds) if mutant.everywhere else lines.get(mutant.line, [])
        if not reach:
            alive.append(mutant)
            continue
        while len(running) >= processes:
            wait()
        tests = sorted(reach, key=lambda t: seconds[t])
        running[start(mutant, tree, path, tests, sum(seconds[t] for t in tests))] = mutant
    while running:
        wait()
    return len(every), sorted(alive, key=lambda m: m.line)


def judged_equivalent() -> set[tuple[str, str, str]]:
    """The mutants (module, place, change) of the tables in docs/mutation.md."""
    if not EQUIVALENT.exists():
        return set()
    rows = (
        line.strip("| ").split(" | ") for line in EQUIVALENT.read_text(encoding="utf-8").splitlines() if "→" in line
    )
    return {(r[0].strip("`"), r[1].strip("`"), r[2].strip("`").replace("\\|", "|")) for r in rows if len(r) >= 4}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=list(TESTS), help="modules of analysis; by default every one")
    parser.add_argument("--sample", type=int, help="mutants of each module; by default every one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "analysis")]
    os.environ.update(
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", POLARS_MAX_THREADS="1"
    )
    _import_libraries()
    equivalent, failed = judged_equivalent(), 0
    for module in options.modules:
        began = time.monotonic()
        files = [str(f) for name in TESTS[module].split() for f in Path("tests/analysis").rglob(f"test_{name}.py")]
        n, alive = survivors(module, files, options.processes, options.sample, options.seed)
        new = [m for m in alive if (module, m.place, m.change) not in equivalent]
        for m in new:
            print(f"SURVIVED  analysis/{module}.py:{m.line}  {m.place}: {m.change}")
        counted = f"{n - len(alive)} killed, {len(alive) - len(new)} judged equivalent, {len(new)} survived"
        print(f"{module}: {n} mutants, {counted} ({(time.monotonic() - began) / 60:.1f} min)", flush=True)
        failed += len(new)
    sys.exit(1 if failed else 0)


def _import_libraries() -> None:
    """What takes seconds to import is imported once, before any child is started; nothing of ours is."""
    for name in LIBRARIES:
        importlib.import_module(name)
    import hypothesis

    generate = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile("mutation", phases=generate, database=None, derandomize=True)
    hypothesis.settings.load_profile("mutation")


if __name__ == "__main__":
    main()
