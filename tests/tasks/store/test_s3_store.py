"""The S3 store beyond the contract: what it lists, the copies that rows are read from, and what its URI says."""

from __future__ import annotations

import gc
import hashlib
import tempfile
from pathlib import Path
from typing import Any

import boto3
import pytest
from troubled import DATA

from tasks.store import NotThereError, StoreError, open_store, s3_copies
from tasks.store.s3_probe import PROBE
from tasks.store.s3_settings import S3Settings, read_s3_uri
from tasks.store.s3_store import S3Store


class TestListing:
    @pytest.fixture
    def bucket(self, calm: str) -> Any:
        return boto3.resource("s3").Bucket(read_s3_uri(calm).bucket)

    def test_all_pages_are_read(self, calm: str) -> None:
        session, pages = boto3.Session(), []
        session.events.register(
            "before-parameter-build.s3.ListObjectsV2", lambda params, **_: pages.append(params.update(MaxKeys=3))
        )
        store = S3Store(calm, session=session)
        for number in range(10):
            store.write(f"a/{number}", b"")
        assert store.keys("a") == [f"a/{number}" for number in range(10)]
        assert len(pages) == 4

    def test_hidden_objects_and_marks_of_folders_are_not_listed(self, calm: str, bucket: Any) -> None:
        store, root = open_store(calm), read_s3_uri(calm).root
        store.write("a/b", DATA)
        for name in ("a/", "a/.hidden", "a/.folder/b", "a//b", "a/b/"):
            bucket.put_object(Key=root + name, Body=b"")
        assert store.keys("a") == ["a/b"]

    def test_a_store_whose_prefix_begins_alike_is_another(self, calm: str) -> None:
        open_store(f"{calm}-more").write("a/b", DATA)
        assert open_store(calm).keys("a") == []

    @pytest.mark.usefixtures("calm")
    def test_a_store_may_be_a_whole_bucket(self) -> None:
        boto3.client("s3").create_bucket(Bucket="whole")
        store = open_store("s3://whole/")
        store.create("a/b", DATA)
        assert (store.uri, store.keys("a"), store.read("a/b")) == ("s3://whole", ["a/b"], DATA)


class TestCopies:
    @pytest.fixture
    def copies(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        return tmp_path

    def test_a_copy_is_fetched_once_until_its_object_changes_and_goes_with_the_store(
        self, calm: str, copies: Path
    ) -> None:
        fetched: list[int] = []
        session = boto3.Session()
        session.events.register(
            "after-call.s3.GetObject", lambda http_response, **_: fetched.append(http_response.status_code)
        )
        store = S3Store(calm, session=session)
        for data in (b"first", b"second"):
            store.write("a", data)
            for _ in range(2):
                with store.local("a") as path:
                    assert path.read_bytes() == data
        assert fetched == [200, 200]
        open_store(calm).write("b", b"by another run")
        store.objects("folder")
        for _ in range(2):
            with store.local("a") as path:
                assert path.read_bytes() == b"second"
        assert fetched == [200, 200, 304]
        open_store(calm).write("a", b"third")
        store.objects("folder")
        with store.local("a") as path:
            assert path.read_bytes() == b"third"
        assert fetched == [200, 200, 304, 200]
        assert len(list(copies.rglob("*"))) == 2
        del store
        gc.collect()
        assert list(copies.iterdir()) == []

    def test_copies_that_nobody_reads_make_room(self, calm: str, copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(s3_copies, "MOST_BYTES", 10)
        store = open_store(calm)
        for key in "abc":
            store.write(key, key.encode() * 6)
        with store.local("a") as first, store.local("b") as second, store.local("c"):
            assert first.read_bytes() + second.read_bytes() == b"aaaaaabbbbbb"
        assert [p.read_bytes() for p in copies.rglob("*") if p.is_file()] == [b"aaaaaa"]

    def test_an_object_that_is_not_there_is_named_and_leaves_no_copy(self, calm: str, copies: Path) -> None:
        store = open_store(calm)
        with pytest.raises(NotThereError, match="there is no b"), store.local("b"):
            pass
        assert [p for p in copies.rglob("*") if p.is_file()] == []

    def test_no_place_for_the_copies_has_a_sentence(self, calm: str, monkeypatch: pytest.MonkeyPatch) -> None:
        store = open_store(calm)
        store.write("a", b"data")
        monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
        sentence = r"a temporary copy cannot be written to /nowhere \(No such file or directory\); make room"
        with pytest.raises(StoreError, match=sentence), store.local("a"):
            pass


def test_a_listing_tells_the_md5_of_the_bytes(calm: str) -> None:
    store = open_store(calm)
    store.write("a/1", b"first")
    store.create("a/2", b"second")
    digests = [hashlib.md5(data, usedforsecurity=False).hexdigest() for data in (b"first", b"second")]
    assert [o.etag for o in store.objects("a")] == digests


class TestUri:
    @pytest.mark.parametrize(
        ("uri", "settings"),
        [
            ("s3://bucket", S3Settings("bucket", "")),
            ("s3://bucket/", S3Settings("bucket", "")),
            ("s3://bucket/a/b", S3Settings("bucket", "a/b/")),
            ("s3://bucket/a/b/", S3Settings("bucket", "a/b/")),
            ("s3://bucket/a?sse=AES256", S3Settings("bucket", "a/", {"ServerSideEncryption": "AES256"})),
            (
                "s3://bucket?sse=aws:kms&kms_key=alias/mine",
                S3Settings("bucket", "", {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/mine"}),
            ),
        ],
    )
    def test_names_bucket_prefix_and_encryption(self, uri: str, settings: S3Settings) -> None:
        assert read_s3_uri(uri) == settings

    @pytest.mark.parametrize(
        ("uri", "sentence"),
        [
            ("s3://", "names no bucket; write s3://BUCKET/PREFIX"),
            ("s3:///a", "names no bucket"),
            ("s3://no bucket/a", "'s3://no bucket/a' names no bucket"),
            ("s3://bucket/../a", "'../a' is not a key"),
            ("s3://bucket//a", "'/a' is not a key"),
            ("s3://bucket/.a", "is not a key"),
            ("s3://bucket/a?ssse=AES256", "has the unknown setting ssse; write"),
            ("s3://bucket/a?AES256", "has the unknown setting AES256; write"),
            ("s3://bucket/a?sse=DES", "asks for the encryption 'DES'; write one of AES256, aws:kms"),
            ("s3://bucket/a?kms_key=k", "has a kms_key without sse=aws:kms"),
            ("s3://bucket/a?sse=AES256&kms_key=k", "has a kms_key without sse=aws:kms"),
            ("s3://bucket/a?sse=aws:kms&kms_key=", "has a kms_key without sse=aws:kms, or an empty one"),
        ],
    )
    def test_that_makes_no_sense_is_refused_with_a_sentence(self, uri: str, sentence: str) -> None:
        with pytest.raises(StoreError, match=sentence):
            open_store(uri)

    def test_says_how_whatever_is_written_is_encrypted(self, calm: str) -> None:
        settings = read_s3_uri(calm)
        store = open_store(f"{calm}?sse=aws:kms&kms_key=alias/aws/s3")
        store.write("written", DATA)
        store.create("created", DATA)
        client = boto3.client("s3")
        for name in ("written", "created", PROBE):
            kept = client.head_object(Bucket=settings.bucket, Key=settings.root + name)
            assert (kept["ServerSideEncryption"], kept["SSEKMSKeyId"]) == ("aws:kms", "alias/aws/s3")
        assert store.read("created") == DATA

    def test_without_encryption_leaves_it_to_the_bucket(self, calm: str) -> None:
        asked: list[dict[str, Any]] = []
        session = boto3.Session()
        session.events.register("before-call.s3.PutObject", lambda params, **_: asked.append(params["headers"]))
        S3Store(calm, session=session).create("a", DATA)
        assert asked
        assert not any("encryption" in name.lower() for headers in asked for name in headers)
