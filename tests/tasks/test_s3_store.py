"""The S3 store beyond the contract: how a create-only write ended, what a failure is called, and what an unsafe server is told."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pytest
from fault_proxy import By, Cut, Fault, FaultProxy, Late, Lost, Pass, Reply, Request, Slow, Truncate
from s3_servers import Server, use

from tasks.s3_probe import PROBE
from tasks.s3_settings import S3Settings, read_s3_uri
from tasks.s3_store import ATTEMPTS, PAUSES, S3Store
from tasks.store import AlreadyThereError, NotThereError, StoreError, UnknownOutcomeError, UnsafeStoreError, open_store

KEY, DATA = "parcels/reigns/00000002.json", b'{"number": 2}'


class Trouble:
    """What goes wrong: these faults with the writes that create the key, in turn, or with whatever ``every`` says."""

    def __init__(self) -> None:
        self.creating: Iterator[Fault] = iter(())
        self.every: Callable[[Request], Fault | None] = lambda _: None
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> Fault:
        self.asked.append(request)
        if fault := self.every(request):
            return fault
        creates = request.create_only and not request.path.endswith(PROBE)
        return next(self.creating, Pass()) if creates else Pass()

    @property
    def writes(self) -> int:
        return sum(r.create_only and not r.path.endswith(PROBE) for r in self.asked)


@pytest.fixture
def trouble() -> Trouble:
    return Trouble()


@pytest.fixture
def calm(moto: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of an empty store on a server that is asked directly."""
    use(monkeypatch, moto)
    return moto.fresh_uri()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def store(
    calm: str, moto: Server, trouble: Trouble, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> Iterator[S3Store]:
    """The same store, by way of the trouble; boto3's own pauses are skipped."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with FaultProxy(moto.endpoint, trouble) as proxy:
        yield S3Store(calm, session=By(proxy), timeout=1, sleep=pauses.append)


class TestHowACreateOnlyWriteEnded:
    @pytest.mark.parametrize(
        "fault",
        [Lost(), Slow(), Reply(500, "InternalError", landed=True), Reply(503, "SlowDown", landed=True)],
        ids=repr,
    )
    def test_a_write_that_landed_and_lost_its_answer_is_committed(
        self, store: S3Store, trouble: Trouble, calm: str, fault: Fault
    ) -> None:
        trouble.creating = iter([fault])
        store.create(KEY, DATA)
        assert open_store(calm).read(KEY) == DATA
        assert trouble.writes == 1

    @pytest.mark.parametrize("status", [409, 412])
    def test_a_write_that_was_sent_on_twice_is_committed(
        self, store: S3Store, trouble: Trouble, status: int, pauses: list[float]
    ) -> None:
        """Something between here and the server repeated it: the first landed, the answer is the second's."""
        trouble.creating = iter([Reply(status, "Conflict", landed=True)])
        store.create(KEY, DATA)
        assert (trouble.writes, pauses) == (1, [])

    @pytest.mark.parametrize(
        "fault", [Pass(), Lost(), Slow(), Cut(), Reply(503, "SlowDown"), Reply(409, "C")], ids=repr
    )
    @pytest.mark.parametrize("theirs", [b"theirs", DATA])
    def test_an_object_of_somebody_else_is_a_conflict_even_with_the_same_bytes(
        self, store: S3Store, trouble: Trouble, calm: str, fault: Fault, theirs: bytes
    ) -> None:
        open_store(calm).create(KEY, theirs)
        trouble.creating = iter([fault])
        with pytest.raises(AlreadyThereError, match=f"{KEY} is already there"):
            store.create(KEY, DATA)
        assert open_store(calm).read(KEY) == theirs
        assert trouble.writes == 1

    @pytest.mark.parametrize("fault", [Late(), Cut(), Reply(500, "InternalError"), Reply(503, "SlowDown")], ids=repr)
    def test_when_nothing_is_there_after_silence_or_a_server_s_failure_nobody_knows(
        self, store: S3Store, trouble: Trouble, fault: Fault, pauses: list[float]
    ) -> None:
        trouble.creating = iter([fault])
        sentence = rf"{KEY} may have been written \(.*\); nothing is there yet; run again, which looks first"
        with pytest.raises(UnknownOutcomeError, match=sentence):
            store.create(KEY, DATA)
        assert (trouble.writes, pauses) == (1, [])

    def test_a_write_may_land_after_its_outcome_was_unknown_and_is_found_by_whoever_tries_again(
        self, store: S3Store, trouble: Trouble, calm: str
    ) -> None:
        trouble.creating = iter([Late()])
        with pytest.raises(UnknownOutcomeError):
            store.create(KEY, DATA)
        with pytest.raises(AlreadyThereError):
            store.create(KEY, b"another attempt")
        assert open_store(calm).read(KEY) == DATA

    @pytest.mark.parametrize("status", [409, 412])
    def test_a_conflict_with_nothing_there_is_tried_again(
        self, store: S3Store, trouble: Trouble, status: int, pauses: list[float]
    ) -> None:
        trouble.creating = iter([Reply(status, "ConditionalRequestConflict")] * 2)
        store.create(KEY, DATA)
        assert store.read(KEY) == DATA
        assert (trouble.writes, pauses) == (3, list(PAUSES[:2]))

    def test_a_conflict_that_does_not_end_is_given_up_and_has_written_nothing(
        self, store: S3Store, trouble: Trouble, pauses: list[float]
    ) -> None:
        trouble.creating = iter([Reply(409, "ConditionalRequestConflict")] * 50)
        with pytest.raises(StoreError, match=f"{KEY} was not written: the server reports a conflict") as caught:
            store.create(KEY, DATA)
        assert type(caught.value) is StoreError
        assert (trouble.writes, pauses) == (len(PAUSES) + 1, list(PAUSES))
        with pytest.raises(NotThereError):
            store.read(KEY)

    @pytest.mark.parametrize("fault", [Lost(), Reply(412, "PreconditionFailed")], ids=repr)
    def test_what_cannot_be_read_back_is_unknown(self, store: S3Store, trouble: Trouble, fault: Fault) -> None:
        trouble.creating = iter([fault])
        trouble.every = lambda request: Reply(503, "SlowDown") if request.method == "GET" else None
        with pytest.raises(UnknownOutcomeError, match="what is there cannot be read either"):
            store.create(KEY, DATA)
        assert trouble.writes == 1

    @pytest.mark.parametrize(
        ("fault", "sentence"),
        [
            (Reply(403, "AccessDenied"), "access to .* was denied"),
            (Reply(400, "ExpiredToken"), "the credentials have expired"),
            (Reply(404, "NoSuchBucket"), "there is no such bucket"),
            (Reply(400, "EntityTooLarge"), "the server refused what was asked"),
        ],
        ids=repr,
    )
    def test_what_the_server_refuses_was_not_written_and_is_no_unknown(
        self, store: S3Store, trouble: Trouble, fault: Fault, sentence: str
    ) -> None:
        trouble.creating = iter([fault])
        with pytest.raises(StoreError, match=sentence) as caught:
            store.create(KEY, DATA)
        assert type(caught.value) is StoreError
        assert not any(r.method == "GET" for r in trouble.asked)


class TestSentences:
    OPERATIONS: tuple[Callable[[S3Store], object], ...] = (
        lambda store: store.read("a/b"),
        lambda store: store.write("a/b", DATA),
        lambda store: store.create("a/b", DATA),
        lambda store: store.keys("a"),
        lambda store: store.delete("a/b"),
        lambda store: store.scan_parquet(["a/b"]),
    )
    NAMES = ("read", "write", "create", "keys", "delete", "scan_parquet")

    @pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
    @pytest.mark.parametrize(
        ("fault", "sentence"),
        [
            (Reply(403, "AccessDenied"), r"access to a.* was denied \(403 AccessDenied\); check the credentials and their policy"),
            (Reply(403, "RequestTimeTooSkewed"), "this machine's clock"),
            (Reply(400, "ExpiredToken"), r"the credentials have expired \(ExpiredToken\); sign in again"),
            (Reply(400, "AuthorizationHeaderMalformed"), "the bucket is in another region .*; set AWS_REGION"),
            (Reply(503, "SlowDown"), r"the server is overloaded \(503 SlowDown\) and did not serve a.*; run again later"),
            (Reply(500, "InternalError"), r"the server failed \(500 InternalError\) at a.*; run again later"),
            (Lost(), r"the connection broke off before an answer came \(http://127.*\); run again"),
        ],
        ids=repr,
    )  # fmt: skip
    def test_each_failure_has_one(
        self, store: S3Store, trouble: Trouble, operation: Callable[[S3Store], object], fault: Fault, sentence: str
    ) -> None:
        trouble.every = lambda _: fault
        with pytest.raises(StoreError, match=f"{store.uri}: {sentence}") as caught:
            operation(store)
        assert type(caught.value) is StoreError
        assert "\n" not in str(caught.value)

    def test_silence_has_one(self, store: S3Store, trouble: Trouble) -> None:
        trouble.every = lambda _: Slow()
        sentence = r"the server did not answer in time \(http://127.*/a/b\); check the network, and run again"
        with pytest.raises(StoreError, match=f"{store.uri}: {sentence}"):
            store.read("a/b")
        assert len(trouble.asked) == ATTEMPTS

    @pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
    @pytest.mark.parametrize(
        ("changes", "uri", "sentence"),
        [
            ({"AWS_ACCESS_KEY_ID": ""}, None, r"there are no credentials \(.*\); set AWS_PROFILE, or AWS_ACCESS_KEY_ID and"),
            ({}, "s3://no-such-bucket/a", "there is no such bucket; create it, or correct the store's URI"),
            ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, None, r"the server cannot be reached \(http://127.0.0.1:9/.*\); check"),
            ({"AWS_ENDPOINT_URL": "https://127.0.0.1:PORT"}, None, "the server's certificate is not trusted, or it speaks no TLS"),
            ({"AWS_ENDPOINT_URL": "nonsense"}, None, "boto3 makes nothing of its settings .*nonsense"),
            ({"AWS_PROFILE": "nobody"}, None, "boto3 makes nothing of its settings .*nobody"),
        ],
    )  # fmt: skip
    def test_what_is_set_up_wrongly_is_named(
        self,
        moto: Server,
        monkeypatch: pytest.MonkeyPatch,
        operation: Callable[[S3Store], object],
        changes: dict[str, str],
        uri: str | None,
        sentence: str,
    ) -> None:
        port = moto.endpoint.rpartition(":")[2]
        use(monkeypatch, moto, **{k: v.replace("PORT", port) for k, v in changes.items()})
        monkeypatch.setattr(time, "sleep", lambda _: None)
        store = S3Store(uri or moto.fresh_uri(), timeout=5)
        with pytest.raises(StoreError, match=f"{store.uri}: .*{sentence}") as caught:
            operation(store)
        assert type(caught.value) is StoreError

    def test_where_a_missing_object_is_forbidden_the_list_tells(self, store: S3Store, trouble: Trouble) -> None:
        """S3 answers so to whom it does not let list the whole bucket."""
        store.write("a/bc", DATA)
        trouble.every = lambda request: Reply(403, "AccessDenied") if "list-type" not in request.path else None
        with pytest.raises(NotThereError, match=r"there is no a/b$"):
            store.read("a/b")
        with pytest.raises(StoreError, match="access to a/bc was denied"):
            store.read("a/bc")


class TestABodyThatBreaksOff:
    BREAKS = (Truncate(), Truncate(reset=True))

    @pytest.mark.parametrize("fault", BREAKS, ids=repr)
    def test_is_asked_for_anew(self, store: S3Store, trouble: Trouble, fault: Fault, pauses: list[float]) -> None:
        store.write("a", parquet := table(x=list(range(1000))))
        faults = iter([fault, Pass(), fault, fault])
        trouble.every = lambda request: next(faults, None) if request.method == "GET" else None
        assert store.read("a") == parquet
        assert store.scan_parquet(["a"]).collect()["x"].to_list() == list(range(1000))
        assert pauses == [PAUSES[0], *PAUSES[:2]]

    @pytest.mark.parametrize("fault", BREAKS, ids=repr)
    def test_and_never_comes_whole_has_a_sentence(self, store: S3Store, trouble: Trouble, fault: Fault) -> None:
        store.write("a", DATA)
        trouble.every = lambda request: fault if request.method == "GET" else None
        for operation in (lambda: store.read("a"), lambda: store.scan_parquet(["a"])):
            before = len(trouble.asked)
            with pytest.raises(StoreError, match="a came broken off or damaged, several times"):
                operation()
            assert len(trouble.asked) - before == len(PAUSES) + 1

    def test_on_its_way_to_the_server_is_not_stored(self, store: S3Store, trouble: Trouble, calm: str) -> None:
        trouble.every = lambda request: Cut() if request.method == "PUT" else None
        with pytest.raises(StoreError, match="broke off before an answer came"):
            store.write("a", bytes(1_000_000))
        assert len(trouble.asked) == ATTEMPTS
        assert open_store(calm).keys("a") == []


class TestProbe:
    def test_a_server_that_overwrites_is_refused_before_anything_is_committed(
        self, rclone: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use(monkeypatch, rclone)
        store = open_store(rclone.fresh_uri())
        for _ in range(2):
            with pytest.raises(
                UnsafeStoreError, match=r"overwrites an object .*, so two runs could both promote; use AWS"
            ):
                store.create(KEY, DATA)
        assert store.keys("parcels") == []
        store.write(KEY, DATA)
        assert store.read(KEY) == DATA

    def test_a_server_without_create_only_writes_is_refused(self, store: S3Store, trouble: Trouble) -> None:
        trouble.every = lambda request: Reply(501, "NotImplemented") if request.create_only else None
        with pytest.raises(UnsafeStoreError, match=r"knows no create-only writes \(501 NotImplemented\)"):
            store.create(KEY, DATA)
        assert store.keys("parcels") == []

    def test_a_store_is_probed_once_and_a_later_one_with_a_single_request(
        self, store: S3Store, trouble: Trouble, calm: str
    ) -> None:
        for number in range(3):
            store.create(f"a/{number}", DATA)
        assert sum(r.path.endswith(PROBE) for r in trouble.asked) == 2
        assert len(trouble.asked) == 5
        open_store(calm).create("a/3", DATA)
        assert store.keys("a") == [f"a/{number}" for number in range(4)]

    @pytest.mark.parametrize(
        "fault", [Lost(), Slow(), Reply(503, "SlowDown"), Reply(503, "SlowDown", landed=True)], ids=repr
    )
    def test_a_probe_whose_answer_is_lost_is_repeated(self, store: S3Store, trouble: Trouble, fault: Fault) -> None:
        faults = iter([fault, Pass(), fault])
        trouble.every = lambda request: next(faults, None) if request.path.endswith(PROBE) else None
        store.create(KEY, DATA)
        assert store.read(KEY) == DATA

    def test_reading_writing_and_listing_need_no_probe(self, store: S3Store, trouble: Trouble) -> None:
        store.write("a/b", DATA)
        assert (store.read("a/b"), store.keys("a")) == (DATA, ["a/b"])
        assert not any(r.create_only for r in trouble.asked)


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


def table(**columns: list[Any]) -> bytes:
    buffer = BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


class TestRows:
    @pytest.fixture
    def copies(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        return tmp_path

    def test_copies_live_as_long_as_the_frame_whatever_becomes_of_the_store(self, calm: str, copies: Path) -> None:
        store = open_store(calm)
        store.write("a", table(x=[1, 2, 3]))
        frame = store.scan_parquet(["a"]).filter(pl.col("x") > 1)
        del store
        gc.collect()
        assert frame.collect()["x"].to_list() == frame.collect()["x"].to_list() == [2, 3]
        assert len(list(copies.iterdir())) == 1
        del frame
        gc.collect()
        assert list(copies.iterdir()) == []

    def test_an_object_that_is_not_there_is_named_and_leaves_no_copies(self, calm: str, copies: Path) -> None:
        store = open_store(calm)
        store.write("a", table(x=[1]))
        with pytest.raises(NotThereError, match="there is no b"):
            store.scan_parquet(["a", "b"])
        gc.collect()
        assert list(copies.iterdir()) == []

    def test_what_is_no_parquet_shows_when_it_is_looked_at(self, calm: str) -> None:
        store = open_store(calm)
        store.write("a", b"id,x\n1,2\n")
        frame = store.scan_parquet(["a"])
        with pytest.raises(pl.exceptions.PolarsError):
            frame.collect_schema()

    def test_no_place_for_the_copies_has_a_sentence(self, calm: str, monkeypatch: pytest.MonkeyPatch) -> None:
        store = open_store(calm)
        store.write("a", table(x=[1]))
        monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
        with pytest.raises(
            StoreError, match=r"a copy cannot be kept in /nowhere \(No such file or directory\); make room"
        ):
            store.scan_parquet(["a"])


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
            ("s3://", r"names no bucket \(''\); write s3://BUCKET/PREFIX"),
            ("s3:///a", "names no bucket"),
            ("s3://no bucket/a", r"names no bucket \('no bucket'\)"),
            ("s3://bucket/../a", "'../a' is not a key"),
            ("s3://bucket//a", "'/a' is not a key"),
            ("s3://bucket/.a", "is not a key"),
            ("s3://bucket/a?ssse=AES256", "has the unknown setting ssse; write"),
            ("s3://bucket/a?AES256", "has the unknown setting AES256; write"),
            ("s3://bucket/a?sse=DES", "asks for the encryption 'DES'; known are AES256, aws:kms"),
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
