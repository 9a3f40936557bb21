"""Every flow as a command: what its signature and its docstring say is what a user can type and what ``--help`` shows."""

from __future__ import annotations

import inspect
import os
import re
import runpy
import subprocess
import sys
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from answering import answering
from prefect.flows import Flow
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_server import ROOT
from spoilt import World

# runpy runs the file as the main module beside the one that was imported: that is what is wanted
pytestmark = pytest.mark.filterwarnings("ignore:.* found in sys.modules after import")

FLOWS = [*sorted(f"flows.{p.stem}" for p in (ROOT / "flows").glob("*.py") if p.stem != "__init__"), "demo.season"]

# what users, README, cron jobs and other tests type
TYPED: dict[str, dict[str, Any]] = {
    "flows.enthrone claims 1 --author you": {"project": "claims", "version": "1", "author": "you"},
    "flows.enthrone claims 1 --author you --reason why --as-of 2024-01-07": {
        "project": "claims", "version": "1", "author": "you", "reason": "why", "as_of": date(2024, 1, 7),
    },
    "flows.history claims": {"project": "claims"},
    "flows.judge claims": {"project": "claims"},
    "flows.judge claims --dry-run --as-of 2024-03-01": {"project": "claims", "dry_run": True, "as_of": date(2024, 3, 1)},
    "flows.plan claims --rows 2000 --prevalence 0.05 --recall 0.6 --fpr 0.05": {
        "project": "claims", "rows": 2000.0, "prevalence": 0.05, "recall": 0.6, "fpr": 0.05,
    },
    "flows.plan claims --batches 4 --runs 5 --gains 0,0.02 --challengers 2 --seed 3 --disagreement 0.1": {
        "project": "claims", "batches": 4, "runs": 5, "gains": [0.0, 0.02], "challengers": 2, "seed": 3, "disagreement": 0.1,
    },
    "flows.promote claims DECISION --author YOU --reason WHY": {
        "project": "claims", "decision": "DECISION", "author": "YOU", "reason": "WHY",
    },
    "flows.reconcile claims": {"project": "claims"},
    "flows.replay claims": {"project": "claims", "version": None},
    "flows.replay claims 3 --as-of 2024-03-01": {"project": "claims", "version": "3", "as_of": date(2024, 3, 1)},
    "flows.rollback claims --author you --reason why --to 1 --as-of 2024-01-07": {
        "project": "claims", "author": "you", "reason": "why", "to": 1, "as_of": date(2024, 1, 7),
    },
    "flows.score claims": {"project": "claims", "batch": None},
    "flows.score claims 2024-06-30": {"project": "claims", "batch": "2024-06-30"},
    "flows.score claims june --batch-dated 2024-06-30 --as-of 2024-07-01": {
        "project": "claims", "batch": "june", "batch_dated": date(2024, 6, 30), "as_of": date(2024, 7, 1),
    },
    "demo.season flights --first 2": {"project": "flights", "first": "2"},
    "flows.verify claims 2024-06-30-0a": {"project": "claims", "decision": "2024-06-30-0a"},
    "flows.verify claims --all": {"project": "claims", "decision": None},
}  # fmt: skip


def flow_of(module: ModuleType) -> Flow[..., Any]:
    flow = getattr(module, module.__name__.rpartition(".")[2])
    assert isinstance(flow, Flow)
    return flow


@pytest.mark.parametrize("name", FLOWS)
def test_help_shows_every_parameter_of_the_flow_as_its_docstring_tells_it(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["program", "--help"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    assert caught.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.startswith(f"usage: python -m {name} [-h] ")
    assert not re.search(r"``|\*\*", shown)

    flow = flow_of(__import__(name, fromlist=[""]))
    docstring = inspect.getdoc(flow.fn)
    assert docstring
    for parameter in inspect.signature(flow).parameters.values():
        entry = re.search(rf"^    {parameter.name}: (.+)\.$", docstring, flags=re.MULTILINE)
        assert entry, f"the docstring says nothing of {parameter.name}"
        option = f"--{parameter.name.replace('_', '-')}" if parameter.kind is parameter.KEYWORD_ONLY else parameter.name
        said = re.search(rf" {option}( [A-Z][A-Z_,.]*)? {re.escape(entry[1].replace('``', ''))}(.*)", shown)
        assert said, f"--help does not show {option}"
        if isinstance(parameter.default, (int, str)) and parameter.default not in (False, ""):
            assert said[2].startswith(f" (default: {parameter.default}).")


@pytest.mark.parametrize("line", TYPED)
def test_what_users_type_arrives_in_the_flow(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the flow itself, which Prefect would run."""
    name, *words = line.split()
    arrived: list[dict[str, Any]] = []
    monkeypatch.setattr(Flow, "__call__", lambda _, **arguments: arrived.append(arguments))
    monkeypatch.setattr(sys, "argv", [name, *words])
    with answering() as url, temporary_settings({PREFECT_API_URL: url}):  # so that none is started
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    assert arrived == [TYPED[line]]


def started(*words: str, **environment: str) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """A command as a user starts it, and the heavy modules that it imported."""
    heavy = {"prefect", "mlflow", "polars", "scipy", "statsmodels", "matplotlib"}
    command = [sys.executable, "-X", "importtime", "-m", *words]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)
    lines = done.stderr.splitlines(keepends=True)
    imported = {x.rpartition("|")[2].strip() for x in lines if x.startswith("import time:")}
    done.stderr = "".join(x for x in lines if not x.startswith("import time:"))
    return done, imported & heavy


@pytest.mark.parametrize("name", FLOWS[:-1])
def test_help_and_wrong_words_are_answered_before_anything_heavy_is_imported(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    helped, imported = started(name, "--help")
    assert (helped.returncode, imported) == (0, set())
    wrong, imported = started(name, "claims", "--nonsense")
    assert (wrong.returncode, imported) == (2, set())
    assert wrong.stderr.splitlines()[-1].startswith(f"python -m {name}: error: ")
    monkeypatch.setattr(sys, "argv", ["program", "--help"])
    with pytest.raises(SystemExit):
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    assert helped.stdout == capsys.readouterr().out  # what the flow itself says, which Prefect runs


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("flows.history", "parcels"), r"reign +champion .*\n1 +version 1 .*"),
        (("flows.verify", "parcels", "--all"), r"parcels: both logs are whole, and every decision is the same .*"),
        (
            ("flows.judge", "parcels", "--dry-run"),
            r"Version 2 takes over from version 1 in parcels.*nothing was written.*",
        ),
        (
            ("flows.judge", "parcels", "--dry-run", "--as-of", "2024-01-07"),
            r"Nothing to judge in parcels as of 2024-01-07.*",
        ),
    ],
)
def test_what_only_reads_needs_no_server_and_imports_no_prefect(
    words: tuple[str, ...], said: str, world: World
) -> None:
    before = world.files()
    answered, imported = started(*words, DETHRONE_PROJECTS=str(world.folder))
    assert answered.returncode == 0
    assert re.fullmatch(said, answered.stdout.strip(), flags=re.DOTALL)
    assert not imported & {"prefect", "mlflow"}
    assert world.files() == before


@pytest.mark.parametrize("words", [("flows.history",), ("flows.verify", "--all"), ("flows.judge", "--dry-run")])
def test_a_mistake_in_what_only_reads_is_one_sentence(words: tuple[str, ...], world: World) -> None:
    command, *options = words
    answered, _ = started(command, "parcel", *options, DETHRONE_PROJECTS=str(world.folder))
    assert answered.returncode == 1
    assert re.fullmatch(r"ProjectFileError: [^\n]+\n", answered.stderr)


def test_to_judge_decisions_of_0_and_1_nobody_waits_for_statsmodels() -> None:
    """Nor for pandas, which it imports: a third of a second together."""
    code = """
import sys
import flows.judge
from judge_examples import GOOD, only
only(*[GOOD] * 6)
print(*{"analysis", "pandas", "statsmodels"}.intersection(sys.modules))
"""
    places = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "analysis")))}
    found = subprocess.run([sys.executable, "-c", code], env=places, stdout=subprocess.PIPE, text=True, check=True)
    assert found.stdout.split() == ["analysis"]


def test_every_flow_is_typed_here() -> None:
    assert {line.split()[0] for line in TYPED} == set(FLOWS)
    assert all(Path(ROOT / f"{name.replace('.', '/')}.py").is_file() for name in FLOWS)
