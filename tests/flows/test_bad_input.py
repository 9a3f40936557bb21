"""A project, a registry or a date that is wrong: one clear sentence each that says what to do, and nothing is written."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

import pytest
from spoilt import FIRST, LATER, NEXT, NO_SIGNATURE, NO_THRESHOLD, WORD_FOR_A_THRESHOLD, Row, World

from flows.enthrone import enthrone
from flows.judge import judge
from flows.reconcile import reconcile
from flows.score import score
from tasks.base.project import ProjectFileError
from tasks.command import CalendarError
from tasks.models.errors import RegistryError
from tasks.models.registry import Registry
from tasks.reigns import LogError, commit, head, reign_after
from tasks.reigns.projections import repair_projections
from tasks.store import StoreError

pytestmark = pytest.mark.usefixtures("prefect_server")


def score_next() -> object:
    return score("parcels", batch=NEXT)


def look_at_it() -> object:
    return judge("parcels", as_of=LATER)


def name(version: str, as_of: date = LATER) -> Callable[[], object]:
    return partial(enthrone, "parcels", version, author="ada", as_of=as_of)


def nothing(_: World) -> None:
    """The call itself is what is wrong."""


def settings(**changes: Any) -> Callable[[World], object]:
    return lambda world: world.settings(**changes)


def deleted_champion(world: World) -> None:
    """The log names a version that the registry has no more."""
    reign = head(world.store, world.project.name)
    gone = reign_after(
        reign, version="77", run_id="r", since=FIRST, kind="enthronement", decision=None, author="ada", reason="a slip"
    )
    commit(world.store, world.project.name, gone)
    repair_projections(world.store, Registry(world.project), world.project.name)


def nobody_listens(world: World) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    world.settings(mlflow=f"http://127.0.0.1:{port}")


def store_below_a_file(world: World) -> None:
    world.settings(store=f"{world.file}/store")


BY_SETTINGS = (
    Row(
        "no such project",
        nothing,
        partial(judge, "parcel"),
        ProjectFileError,
        r"there is no project 'parcel' in \S+; the projects there are: parcels",
    ),
    Row(
        "unknown key",
        settings(maturity_day=14),
        look_at_it,
        ProjectFileError,
        r"\S+/parcels.yaml: unknown key 'maturity_day'; did you mean 'maturity_days'\?",
    ),
    Row(
        "wrong type",
        settings(maturity_days="two weeks"),
        look_at_it,
        ProjectFileError,
        r"\S+/parcels.yaml: maturity_days: Input should be a valid integer.* \(it is 'two weeks'\)",
    ),
    Row(
        "impossible number",
        settings(policy={"alpha": 0.9}),
        look_at_it,
        ProjectFileError,
        r"\S+/parcels.yaml: policy.alpha: Input should be less than 0.5 \(it is 0.9\)",
    ),
    Row(
        "impossible policy",
        settings(policy={"guardrails": {"recall": 0.1}}),
        look_at_it,
        ProjectFileError,
        r"\S+/parcels.yaml: policy: recall is the primary metric; it cannot be a guardrail too. Remove it from guardrails.",
    ),
    Row(
        "no time for a model",
        settings(model_seconds=0),
        look_at_it,
        ProjectFileError,
        r"\S+/parcels.yaml: model_seconds: Input should be greater than 0 \(it is 0\)",
    ),
    Row(
        "no YAML",
        lambda w: w.file.write_text("store: [\nmodel: x"),
        look_at_it,
        ProjectFileError,
        r"\S+/parcels.yaml: is not valid YAML: .*line 2.*",
    ),
    Row("unknown store", settings(store="ftp://x/y"), look_at_it, StoreError, r"store: .*'ftp://'.*name a directory.*"),
    Row(
        "store below a file",
        store_below_a_file,
        name("1"),
        StoreError,
        r"\S+/parcels.yaml/store: \S+ cannot be \w+: a file is in the place of a folder; remove it or name another directory",
    ),
    Row(
        "missing store, scored",
        settings(store="/no/such/store"),
        partial(score, "parcels"),
        LogError,
        r"project parcels has no champion yet; .*correct 'store' in the project file, which is /no/such/store",
    ),
    Row(
        "missing store, judged",
        settings(store="/no/such/store"),
        look_at_it,
        LogError,
        r"project parcels has no champion yet; .*correct 'store' in the project file, which is /no/such/store",
    ),
)

BY_REGISTRY = (
    Row(
        "no such model",
        settings(model="nobody"),
        name("2"),
        RegistryError,
        r"the registry holds no version 2 of the model 'nobody'; register it, or name another one",
    ),
    Row(
        "no such version",
        nothing,
        name("9"),
        RegistryError,
        r"the registry holds no version 9 of the model '\S+'; register it, or name another one",
    ),
    Row(
        "deleted champion",
        deleted_champion,
        score_next,
        RegistryError,
        r"the registry holds no version 77 of the model '\S+'; register it, or name another one",
    ),
    Row(
        "no threshold",
        nothing,
        name(NO_THRESHOLD),
        RegistryError,
        r"version 3 has no tag 'threshold'; set it to the score from which a row is flagged",
    ),
    Row(
        "a word for a threshold",
        nothing,
        name(WORD_FOR_A_THRESHOLD),
        RegistryError,
        r"version 4: its tag 'threshold' is 'high'; it must be a number from 0 to 1",
    ),
    Row(
        "no signature",
        nothing,
        name(NO_SIGNATURE),
        RegistryError,
        r"version 5 has no signature; log it with one that names the columns it reads",
    ),
    Row(
        "MLflow is down",
        nobody_listens,
        partial(reconcile, "parcels"),
        RegistryError,
        r"MLflow at http://127.0.0.1:\d+ does not answer as it should; start it, or correct 'mlflow' in the project file \(.*\)",
    ),
    Row(
        "no such MLflow",
        settings(mlflow="gopher://x"),
        partial(reconcile, "parcels"),
        RegistryError,
        r"MLflow at gopher://x does not answer as it should; start it, or correct 'mlflow' in the project file \(.*\)",
    ),
)

BY_CALENDAR = (
    *(
        Row(
            f"{what} in the future",
            nothing,
            flow,
            CalendarError,
            r"2999-01-01 is not over yet; the latest day to take is \d{4}-\d\d-\d\d",
        )
        for what, flow in (
            ("scored", partial(score, "parcels", as_of=date(2999, 1, 1))),
            ("judged", partial(judge, "parcels", as_of=date(2999, 1, 1))),
            ("enthroned", name("2", date(2999, 1, 1))),
        )
    ),
    Row(
        "clock that goes backwards",
        nothing,
        name("2", date(2023, 12, 31)),
        LogError,
        r"a reign since 2023-12-31 cannot follow reign 1, which began on 2024-01-07; correct the date",
    ),
)


@pytest.mark.parametrize("row", [*BY_SETTINGS, *BY_REGISTRY, *BY_CALENDAR], ids=lambda row: row.name)
def test_it_is_refused_with_a_sentence_and_nothing_is_written(world: World, row: Row) -> None:
    row.refuses(world)
