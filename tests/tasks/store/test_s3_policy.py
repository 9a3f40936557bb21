"""The IAM policy that users attach: it lets Dethrone do all that it does, and nothing that it does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import boto3
import pytest
from replays import replay_due
from s3_servers import Server, use
from weeks import BETTER, judged, week

from analysis.policy import Policy
from tasks.base.project import Project
from tasks.batches.predictions import manifest_key
from tasks.decisions.promotion import promote, roll_back
from tasks.labels.tallying import close_batches
from tasks.models.registry import Registry
from tasks.reigns import reigns
from tasks.reigns.projections import repair_projections
from tasks.reports.publish import publish
from tasks.store import KeptStore
from tasks.store.s3_settings import read_s3_uri
from tasks.store.s3_store import S3Store

FILE = Path(__file__).parents[3] / "deployments" / "s3-policy.json"
ACTIONS = {
    "ListObjectsV2": "s3:ListBucket",
    "GetObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
}


def statements(bucket: str, prefix: str) -> list[dict[str, Any]]:
    return json.loads(FILE.read_text().replace("BUCKET", bucket).replace("PREFIX", prefix))["Statement"]


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def holds(condition: dict[str, dict[str, str]], context: dict[str, str]) -> bool:
    """The two operators that the policy uses, as IAM defines them."""
    assert condition.keys() <= {"StringLike", "Null"}
    likes = condition.get("StringLike", {}).items()
    nulls = condition.get("Null", {}).items()
    return all(k in context and fnmatchcase(context[k], v) for k, v in likes) and all(
        (k not in context) == (v == "true") for k, v in nulls
    )


def allowed(policy: list[dict[str, Any]], operation: str, call: dict[str, Any]) -> bool:
    """Whether IAM would let this call pass: some statement allows it, none denies it."""
    resource = f"arn:aws:s3:::{call['Bucket']}" + (f"/{call['Key']}" if "Key" in call else "")
    context = {"s3:prefix": call.get("Prefix"), "s3:if-none-match": call.get("IfNoneMatch")}
    effects = {
        s["Effect"]
        for s in policy
        if ACTIONS[operation] in listed(s["Action"])
        and any(fnmatchcase(resource, pattern) for pattern in listed(s["Resource"]))
        and holds(s.get("Condition", {}), {k: v for k, v in context.items() if v is not None})
    }
    return effects == {"Allow"}


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project(policy=Policy(n_resamples=1000))


@pytest.fixture
def uri(moto: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    use(monkeypatch, moto)
    return moto.fresh_uri()


@pytest.fixture
def policy(uri: str) -> list[dict[str, Any]]:
    settings = read_s3_uri(uri)
    return statements(settings.bucket, settings.root.removesuffix("/"))


@pytest.fixture
def calls(uri: str, project: Project, registry: Registry, register: Callable[..., str]) -> Iterator[list[Any]]:
    """Every call to S3 of a reign's life: batches, labels, scores, a decision with its report, roll-ups, promotion, rollback."""
    session, seen, sent = boto3.Session(), [], []
    session.events.register(
        "before-parameter-build.s3", lambda params, model, **_: seen.append((model.name, dict(params)))
    )
    session.events.register("before-call.s3", lambda model, **_: sent.append(model.name))
    store = S3Store(uri, session=session)
    register("x1")
    register("x2")
    taken = judged(store, registry, project, BETTER, weeks=4)
    register("x1", threshold="0.6", tags={"labels_seen_through": str(week(-1))})
    replay_due(store, registry, project, week(4))
    early, late = KeptStore(store), KeptStore(store)
    early.read(manifest_key(project.name, str(week(1))))
    early.roll_up(project.name)
    closed = close_batches(late, project, week(5))
    late.roll_up(project.name)
    publish(store, registry, project, taken, closed, reigns(store, project.name))
    promote(store, registry, project.name, taken.id)
    repair_projections(store, registry, project.name)
    roll_back(store, registry, project.name, since=week(8), author="ada", reason="a reason")
    repair_projections(store, registry, project.name)
    assert [name for name, _ in seen] == sent
    return seen


def test_whatever_dethrone_does_is_allowed_and_no_action_is_allowed_that_it_does_not_need(
    calls: list[Any], policy: list[dict[str, Any]]
) -> None:
    assert [call for call in calls if not allowed(policy, *call)] == []
    granted = {action for s in policy if s["Effect"] == "Allow" for action in listed(s["Action"])}
    assert granted == {ACTIONS[operation] for operation, _ in calls}


def test_what_is_committed_can_be_neither_replaced_nor_deleted(calls: list[Any], policy: list[dict[str, Any]]) -> None:
    created = [call for operation, call in calls if operation == "PutObject" and call.get("IfNoneMatch") == "*"]
    committed = [call for call in created if not call["Key"].endswith("/.create-only")]
    assert {call["Key"].split("/")[2] for call in committed} == {
        "reigns",
        "decisions",
        "tallies",
        "versions",
        "contenders",
        "predictions",
        "replays",
        "rollups",
    }
    for call in committed:
        assert not allowed(policy, "PutObject", {k: v for k, v in call.items() if k != "IfNoneMatch"})
        assert allowed(policy, "DeleteObject", call) == ("/rollups/" in call["Key"])  # which hold copies only


def test_other_prefixes_and_buckets_are_out_of_reach(uri: str, policy: list[dict[str, Any]]) -> None:
    settings = read_s3_uri(uri)
    inside = {"Bucket": settings.bucket, "Key": f"{settings.root}parcels/batches/b/rows.parquet"}
    assert allowed(policy, "GetObject", inside)
    for outside in (
        {**inside, "Bucket": "other"},
        {**inside, "Key": "other/parcels/batches/b/rows.parquet"},
        {**inside, "Key": f"{settings.root.removesuffix('/')}-more/rows.parquet"},
    ):
        assert not allowed(policy, "GetObject", outside)
        assert not allowed(policy, "PutObject", outside)
    for prefix in (None, "", "other/", settings.root.removesuffix("/")):
        assert not allowed(policy, "ListObjectsV2", {"Bucket": settings.bucket, "Prefix": prefix})
