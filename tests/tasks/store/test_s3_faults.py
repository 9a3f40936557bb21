"""Hundreds of promotions over a network that does everything wrong: none is lost, none is doubled, the log stays one line."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
from fault_proxy import By, Cut, Fault, FaultProxy, Late, Lost, Pass, Reply, Request, Slow, Truncate
from racers import promotion_of
from s3_servers import Server, use

from tasks.base.project import Project
from tasks.reigns import Reign, SupersededError, commit, reigns
from tasks.store import Store, StoreError, UnknownOutcomeError, open_store
from tasks.store.s3_store import S3Store

SEED = 20240107
NETWORKS, LOGS, ROUNDS, RIVALS = 8, 4, 8, 2
ATTEMPTS = 60


class Weather:
    """Which fault comes next: a function of the seed and of what was asked before. Now and then a storm of refusals."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._storm = 0

    def __call__(self, request: Request) -> Fault:
        rng = self._rng
        if not self._storm and rng.random() < 0.01:
            self._storm = int(rng.integers(4, 16))
        if self._storm:
            self._storm -= 1
            return Reply(503, "SlowDown", landed=rng.random() < 0.3)
        if rng.random() > (0.5 if request.create_only else 0.1):
            return Pass()
        landed = rng.random() < 0.5
        anywhere = [Lost(), Slow(), Reply(503, "SlowDown", landed), Reply(500, "InternalError", landed)]
        creating = [
            Late(int(rng.integers(1, 9))), Late(int(rng.integers(1, 9))), Cut(), Reply(409, "ConditionalRequestConflict", landed),
            Reply(412, "PreconditionFailed", landed=True),
        ]  # fmt: skip
        reading = [Truncate(), Truncate(reset=True)]
        possible = anywhere + (creating if request.create_only else reading)
        return possible[rng.integers(len(possible))]


@dataclass
class Tale:
    """What came of the promotions of one log, as those who promoted were told."""

    project: Project
    committed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)


@dataclass
class Rival:
    """One promotion over the champion of a round's beginning, as ``promote`` makes it; tried until its end is known."""

    tale: Tale
    store: Store
    version: str
    base: int
    log: list[Reign] | None = None

    @property
    def decision(self) -> str:
        return f"decision-{self.base}-{self.version}"

    def look(self) -> None:
        """Read the log; what cannot be read now is read when the promotion is tried."""
        try:
            self.log = reigns(self.store, self.tale.project.name)
        except StoreError:
            self.log = None

    def settle(self) -> bool:
        """Try once; whether it is known now how the promotion ended."""
        project, told = self.tale.project, self.tale.told
        try:
            log = self.log if self.log is not None else reigns(self.store, project.name)
            if not any(r.decision == self.decision for r in log):
                if len(log) > self.base:
                    self.tale.lost.append(self.decision)
                    return True
                commit(self.store, project.name, promotion_of(self.version, self.decision, log))
            self.tale.committed.append(self.decision)
        except SupersededError:
            self.tale.lost.append(self.decision)
        except StoreError as error:
            told["unknown" if isinstance(error, UnknownOutcomeError) else "failed"] += 1
            self.log = None  # run again, which looks first
            return False
        return True


def play(project: Project, server: Server, seed: int) -> tuple[list[Tale], Counter[str]]:
    """The promotions of one network: in every round two rivals from the same head, in an order that the seed decides."""
    rng, tales = np.random.default_rng(seed), []
    with FaultProxy(server.endpoint, Weather(seed)) as proxy:
        stores = [S3Store(project.store, session=By(proxy), timeout=0.3, sleep=lambda _: None) for _ in range(RIVALS)]
        for number in range(LOGS):
            tales.append(tale := Tale(project.model_copy(update={"name": f"parcels-{seed}-{number}"})))
            for base in range(ROUNDS):
                open_ends = [Rival(tale, store, str(v), base) for v, store in enumerate(stores, start=1)]
                for rival in open_ends:
                    rival.look()
                for _ in range(ATTEMPTS):
                    rng.shuffle(open_ends)
                    open_ends = [rival for rival in open_ends if not rival.settle()]
                assert not open_ends, "no end in sight"
    return tales, proxy.seen


@pytest.mark.slow
def test_every_promotion_ends_as_its_author_was_told(
    seaweedfs: Server, make_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, seaweedfs)
    monkeypatch.setattr(time, "sleep", lambda _: None)  # boto3's pauses before it asks again
    project = make_project(store=seaweedfs.fresh_uri())
    with ThreadPoolExecutor(NETWORKS) as pool:
        played = list(pool.map(lambda n: play(project, seaweedfs, SEED + n), range(NETWORKS)))
    store = open_store(project.store)
    told: Counter[str] = Counter()
    for tale in (tale for tales, _ in played for tale in tales):
        log = [r.decision for r in reigns(store, tale.project.name)]  # raises unless every entry follows the one before
        assert sorted(log) == sorted(tale.committed)
        assert len(log) == ROUNDS
        assert len({*log, *tale.lost}) == len(tale.committed + tale.lost) == ROUNDS * RIVALS
        told += tale.told + Counter(committed=len(tale.committed), lost=len(tale.lost))
    faults = sum((seen for _, seen in played), Counter())
    assert told["committed"] + told["lost"] == NETWORKS * LOGS * ROUNDS * RIVALS >= 500
    assert told["unknown"] > 20
    assert min(faults[kind.__name__] for kind in (Lost, Slow, Late, Cut, Reply, Truncate)) > 10
