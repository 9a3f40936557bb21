"""Predictions on their way into the store and back: staged, committed by the manifest, checked by their digests."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from analysis.evidence import Contender
from tasks.base.project import Project
from tasks.batches.predictions import (
    BatchFile,
    DamagedError,
    Manifest,
    Scored,
    commit_manifest,
    manifest_bytes,
    manifests,
    parse_manifest,
    read_manifest,
    read_parts,
)
from tasks.batches.staging import Staging
from tasks.store import AlreadyThereError, Store


def rows(*ids: str) -> pl.DataFrame:
    return pl.DataFrame({"id": ids, "decision": [len(i) % 2 for i in ids]})


def manifest(batch: str, day: date, **changes: object) -> Manifest:
    values = {
        "batch": batch, "date": day, "reign": 1, "champion": "1", "rows": 0, "columns": ("id", "x"), "rows_digest": "d",
        "parts": (), "scored": (),
    }  # fmt: skip
    return Manifest(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [b"", b"not Parquet at all"])
def test_a_changed_part_is_found_and_named(store: Store, staging: Staging, data: bytes) -> None:
    written = tuple(staging.add("1", n, rows(str(n))) for n in range(2))
    staging.upload(written)
    store.write(written[1].key, data)
    with pytest.raises(DamagedError, match=re.escape(f"{written[1].key} was changed after it was scored; restore it")):
        read_parts(store, written)


def test_valid_parquet_in_the_place_of_a_part_is_found_too(store: Store, staging: Staging) -> None:
    one, other = staging.add("1", 0, rows("a")), staging.add("1", 0, rows("b"))
    staging.upload([one, other])
    store.write(one.key, store.read(other.key))
    with pytest.raises(DamagedError):
        read_parts(store, (one,))


def test_a_missing_part_is_named(store: Store, staging: Staging) -> None:
    part = staging.add("1", 0, rows("a"))
    with pytest.raises(DamagedError, match=re.escape(f"{part.key} was deleted after it was scored; restore it")):
        read_parts(store, (part,))


def test_a_manifest_comes_back_as_it_was(store: Store, project: Project, staging: Staging) -> None:
    part = staging.add("1", 0, rows("a"))
    scored = (
        Scored("1", Contender("1", "digest", 0.1 + 0.2, date(2023, 12, 31)), (part,), None),
        Scored("2", Contender("2", "other", 0.5, None), (), "failed to score: RuntimeError: ü"),
        Scored("3", None, (), "failed to load: OSError"),
    )
    kept = manifest("b", date(2024, 1, 7), rows=1, parts=(part,), scored=scored)
    commit_manifest(store, project.name, kept)
    read = read_manifest(store, project.name, "b")
    assert read is not None
    assert read.scored[1:] == kept.scored[1:]
    assert read.scored[0].contender == Contender("1", "digest", 0.3, date(2023, 12, 31))  # 12 significant digits
    assert read.versions() == ["1"]


def test_a_manifest_from_before_files_were_kept_is_written_as_it_was() -> None:
    kept = Path(__file__).parents[2] / "kept/parcels/predictions/2024-01-07/manifest.json"
    read = parse_manifest(kept.read_bytes())
    assert read.files is None
    assert manifest_bytes(read) == kept.read_bytes()
    files = (BatchFile("date=2024-01-07/rows.csv", 7),)
    assert parse_manifest(manifest_bytes(replace(read, files=files))).files == files


def test_an_unscored_batch_has_no_manifest(store: Store, project: Project) -> None:
    assert read_manifest(store, project.name, "b") is None
    assert manifests(store, project.name) == []


def test_a_batch_is_committed_once(store: Store, project: Project) -> None:
    commit_manifest(store, project.name, manifest("b", date(2024, 1, 7)))
    with pytest.raises(AlreadyThereError):
        commit_manifest(store, project.name, manifest("b", date(2024, 1, 7), champion="2"))
    assert read_manifest(store, project.name, "b") == manifest("b", date(2024, 1, 7))


def test_scored_batches_come_by_date_and_not_by_name(store: Store, project: Project) -> None:
    days = {"b": date(2024, 1, 7), "a": date(2024, 1, 14), "c": date(2023, 12, 31), "aa": date(2024, 1, 14)}
    for batch, day in days.items():
        commit_manifest(store, project.name, manifest(batch, day))
    assert [m.batch for m in manifests(store, project.name)] == ["c", "b", "a", "aa"]


def test_a_batch_without_its_manifest_is_not_scored(store: Store, project: Project, staging: Staging) -> None:
    """What a crash before the commit left in the store counts for nothing."""
    staging.upload([staging.add("1", 0, rows("a"))])
    assert manifests(store, project.name) == []
