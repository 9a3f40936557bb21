"""What a failure of the S3 store is called, whatever is asked of it, and what becomes of a body that breaks off."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from fault_proxy import Cut, Fault, Lost, Pass, Reply, Slow, Truncate
from s3_servers import Server, use
from troubled import DATA, Trouble, table

from tasks.store import NotThereError, StoreError, keeping, open_store
from tasks.store.s3_store import ATTEMPTS, PAUSES, S3Store


@pytest.fixture
def store(troubled_store: S3Store) -> S3Store:
    return troubled_store


class TestSentences:
    OPERATIONS: tuple[Callable[[S3Store], object], ...] = (
        lambda store: store.read("a/b"),
        lambda store: store.write("a/b", DATA),
        lambda store: store.create("a/b", DATA),
        lambda store: store.keys("a"),
        lambda store: store.delete("a/b"),
        lambda store: store.local("a/b").__enter__(),
        lambda store: store.read_start("a/b", 4),
    )
    NAMES = ("read", "write", "create", "keys", "delete", "local", "read_start")

    @pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
    @pytest.mark.parametrize(
        ("fault", "sentence"),
        [
            (Reply(403, "AccessDenied"), r"access to a.* was denied \(403 AccessDenied: as dictated\); check the credentials"),
            (Reply(403, "RequestTimeTooSkewed"), "this machine's clock"),
            (Reply(400, "ExpiredToken"), r"the credentials have expired \(ExpiredToken: as dictated\); sign in again"),
            (Reply(400, "AuthorizationHeaderMalformed"), "the bucket is in another region .*; set AWS_REGION"),
            (Reply(503, "SlowDown"), r"the server is overloaded \(503 SlowDown: as dictated\) and did not serve a.*; run again later"),
            (Reply(500, "InternalError"), r"the server failed \(500 InternalError: as dictated\) on a.*; run again later"),
            (Reply(403, "InvalidObjectState"), r"a.* is archived \(403 InvalidObjectState: as dictated\); restore it"),
            (
                Reply(403, "AccessDenied", message="User: arn:aws:iam::1:role/r is not authorized to perform: kms:GenerateDataKey"),
                r"the KMS key cannot be used for a.* \(403 AccessDenied: User: .* kms:GenerateDataKey\); enable it and allow",
            ),
            (Reply(400, "KMS.DisabledException"), r"the KMS key cannot be used for a.* \(400 KMS.DisabledException: as dictated\)"),
            (Reply(403, "AccessDenied", message="protected by object lock."), r"access .* denied \(.*: protected by object lock\)"),
            (
                Reply(400, "InvalidArgument", message="Invalid trailing header names in x-amz-trailer"),
                r"the server refuses the checksum that boto3 sends with a.*; set AWS_REQUEST_CHECKSUM_CALCULATION=when_required",
            ),
            (
                Reply(501, "NotImplemented", message="A header you provided implies functionality that is not implemented"),
                r"the server does not know what boto3 asks .*; if it takes no checksums, set AWS_REQUEST_CHECKSUM_CALCULATION",
            ),
            (Lost(), r"the connection was closed before the server answered \(http://127.*\); run again"),
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
            ({}, "s3://no-such-bucket/a", r"no such bucket \(NoSuchBucket: The specified bucket does not exist\); create it, or"),
            ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, None, r"the server cannot be reached \(http://127.0.0.1:9/.*\); check"),
            ({"AWS_ENDPOINT_URL": "https://127.0.0.1:PORT"}, None, "the server's certificate is not trusted, or it does not use TLS"),
            ({"AWS_ENDPOINT_URL": "nonsense"}, None, "boto3 cannot create an S3 client from its configuration .*nonsense"),
            ({"AWS_PROFILE": "nobody"}, None, "boto3 cannot create an S3 client from its configuration .*nobody"),
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
        with store.local("a") as path:
            assert path.read_bytes() == parquet
        assert pauses == [PAUSES[0], *PAUSES[:2]]

    @pytest.mark.parametrize("fault", BREAKS, ids=repr)
    def test_and_never_comes_whole_has_a_sentence(self, store: S3Store, trouble: Trouble, fault: Fault) -> None:
        store.write("a", DATA)
        trouble.every = lambda request: fault if request.method == "GET" else None
        for operation in (lambda: store.read("a"), lambda: store.local("a").__enter__()):
            before = len(trouble.asked)
            with pytest.raises(StoreError, match="a arrived incomplete or damaged in every attempt"):
                operation()
            assert len(trouble.asked) - before == len(PAUSES) + 1

    def test_on_its_way_to_the_server_is_not_stored(self, store: S3Store, trouble: Trouble, calm: str) -> None:
        trouble.every = lambda request: Cut() if request.method == "PUT" else None
        with pytest.raises(StoreError, match="the connection was closed before the server answered"):
            store.write("a", bytes(1_000_000))
        assert len(trouble.asked) == ATTEMPTS
        assert open_store(calm).keys("a") == []


def test_a_roll_up_that_may_not_be_deleted_costs_a_sentence_and_nothing_else(store: S3Store, trouble: Trouble) -> None:
    """As under a policy without s3:DeleteObject: the new one is there, and both are read."""
    first, second = keeping(store), keeping(store)
    first.create("p/versions/1.json", DATA)
    first.roll_up("p")
    trouble.every = lambda request: Reply(403, "AccessDenied") if request.method == "DELETE" else None
    second.create("p/versions/2.json", DATA)
    with pytest.raises(StoreError, match=r"access to p/rollups/.* was denied"):
        second.roll_up("p")
    assert len(store.keys("p/rollups")) == 2
    assert [keeping(store).read(f"p/versions/{n}.json") for n in (1, 2)] == [DATA, DATA]
