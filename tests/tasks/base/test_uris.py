"""Addresses: where relative paths begin, and that no credential in one is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.uris import public_text, public_uri, rooted

ROOT = Path("/clone")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("data/store", "/clone/data/store"),
        ("/data/store", "/data/store"),
        ("mlruns", "/clone/mlruns"),
        ("sqlite:///data/mlflow.db", "sqlite:////clone/data/mlflow.db"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("file:mlruns", "file:///clone/mlruns"),
        ("file:./mlruns", "file:///clone/mlruns"),
        ("file:/data/mlruns", "file:///data/mlruns"),
        ("file:///data/mlruns", "file:///data/mlruns"),
        ("databricks/runs", "/clone/databricks/runs"),
        *(
            (uri, uri)
            for uri in (
                "databricks", "databricks://profile", "databricks://scope:prefix", "databricks-uc", "databricks-uc://profile",
                "uc:http://host:8080", "http://mlflow:5000", "https://ada:pw@mlflow", "postgresql+psycopg2://ada:pw@db/mlflow",
                "arn:aws:sagemaker:eu-west-1:1234:mlflow-tracking-server/ours", "s3://bucket/prefix",
            )
        ),
    ],
)  # fmt: skip
def test_only_relative_paths_begin_at_the_root(given: str, meant: str) -> None:
    assert rooted(given, ROOT) == meant


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://mlflow:5000", "http://mlflow:5000"),
        ("http://ada:pw@mlflow:5000/tracking", "http://mlflow:5000/tracking"),
        ("https://token@mlflow", "https://mlflow"),
        ("https://mlflow/?token=abc#x", "https://mlflow/"),
        ("postgresql://ada:p/w#d?@db:5432/mlflow?password=pw", "postgresql://db:5432/mlflow"),
        ("uc:http://ada:pw@host", "uc:http://host"),
        ("s3://KEY:sec/ret@bucket/prefix", "s3://bucket/prefix"),
        ("s3://bucket/team@home/prefix?sse=aws:kms&kms_key=KEY", "s3://bucket/team@home/prefix"),
        ("databricks://profile", "databricks://profile"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("/data/what?/a@b#c", "/data/what?/a@b#c"),
    ],
)
def test_a_uri_is_shown_without_user_password_and_query(uri: str, shown: str) -> None:
    assert public_uri(uri) == shown


@given(
    st.text(st.characters(codec="ascii", exclude_categories=("C", "Z")), min_size=4),
    st.sampled_from(["http", "https", "postgresql+psycopg2", "s3"]),
)
def test_no_password_is_shown_whatever_stands_in_it(password: str, scheme: str) -> None:
    password = f"<{password}>"
    uri = f"{scheme}://ada:{password}@host/place"
    assert public_uri(uri) == f"{scheme}://host/place"
    assert password not in public_text(f"request to {uri}/api failed; no port {password!s}", uri)


def test_a_text_keeps_whatever_is_no_credential() -> None:
    said = "API request to http://ada:pw@mlflow:5000/api failed (see https://mlflow.org/docs, or ask help@mlflow.org)"
    assert public_text(said) == said.replace("ada:pw@", "")
    assert public_text("no port 'p@ss word'", "http://ada:p%40ss%20word@mlflow") == "no port '***'"
