"""Create-only writes to S3: how one ended when its answer was lost, and what a server that does not keep to them is told."""

from __future__ import annotations

import time

import pytest
from fault_proxy import By, Cut, Fault, FaultProxy, Late, Lost, Pass, Reply, Slow
from s3_servers import Server, use
from troubled import DATA, KEY, Trouble

from tasks.store import AlreadyThereError, NotThereError, StoreError, UnknownOutcomeError, UnsafeStoreError, open_store
from tasks.store.s3_probe import PROBE
from tasks.store.s3_store import PAUSES, S3Store


@pytest.fixture
def store(troubled_store: S3Store) -> S3Store:
    return troubled_store


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
        sentence = (
            rf"{KEY} may have been written \(.*\); it is not there yet; run again, which first reads what is there"
        )
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
            (Reply(400, "EntityTooLarge"), "the server refused the request for"),
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


class TestProbe:
    def test_a_server_that_overwrites_is_refused_before_anything_is_committed(
        self, rclone: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use(monkeypatch, rclone)
        store = open_store(rclone.fresh_uri())
        for _ in range(2):
            with pytest.raises(
                UnsafeStoreError, match=r"overwrites existing objects .*, so two runs could both promote; use AWS"
            ):
                store.create(KEY, DATA)
        assert store.keys("parcels") == []
        store.write(KEY, DATA)
        assert store.read(KEY) == DATA

    def test_a_server_without_create_only_writes_is_refused(self, store: S3Store, trouble: Trouble) -> None:
        trouble.every = lambda request: Reply(501, "NotImplemented") if request.create_only else None
        with pytest.raises(UnsafeStoreError, match=r"does not support create-only writes \(501 NotImplemented\)"):
            store.create(KEY, DATA)
        assert store.keys("parcels") == []

    @pytest.mark.parametrize(
        "message",
        ["Header x-amz-checksum-crc32 is not implemented", "A header implies functionality that is not implemented"],
    )
    def test_a_server_without_checksums_is_told_from_one_without_create_only_writes_and_cured_by_the_setting(
        self, calm: str, moto: Server, trouble: Trouble, monkeypatch: pytest.MonkeyPatch, message: str
    ) -> None:
        """As older MinIO and Ceph do: any write that comes with a checksum is refused."""
        trouble.every = lambda request: Reply(501, "NotImplemented", message=message) if request.checksum else None
        setting = "AWS_REQUEST_CHECKSUM_CALCULATION"
        monkeypatch.setattr(time, "sleep", lambda _: None)
        with FaultProxy(moto.endpoint, trouble) as proxy:
            with pytest.raises(StoreError, match=f"set {setting}=when_required") as caught:
                S3Store(calm, session=By(proxy)).create(KEY, DATA)
            assert type(caught.value) is StoreError
            use(monkeypatch, moto, **{setting: "when_required"})
            store = S3Store(calm, session=By(proxy))
            store.create(KEY, DATA)
            with pytest.raises(AlreadyThereError):
                store.create(KEY, b"another")
        assert open_store(calm).read(KEY) == DATA

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
