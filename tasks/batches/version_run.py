"""One version on one batch: a thread that sends it chunks and writes its predictions."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analysis.evidence import Contender
from analysis.kinds import KINDS, Task
from tasks.base.errors import DethroneError
from tasks.batches.in_flight import Chunk
from tasks.batches.predictions import Part, Scored
from tasks.batches.staging import Staging
from tasks.models.outputs import predictions_of
from tasks.models.signature import Signature
from tasks.models.version_process import ModelRaisedError, failure_text
from tasks.models.versions import LoadedVersion

__all__ = ["VersionRun"]

_FEW_VALUES = 2  # a version with so many different numbers or fewer gets a note
_NOTE_ROWS = 100  # rows from which on it does
_AHEAD = 2  # chunks that a version has at once: one that it scores, one that waits so that it never does


class VersionRun:
    """The state of one version while a batch is scored.

    After ``start`` it takes chunks until ``finish``. ``error`` is what the version failed with, ``fault`` what is not the version's own,
    such as a disk that is full; then it only releases the chunks that come.
    """

    def __init__(self, version: str) -> None:
        self.version = version
        self.loaded: LoadedVersion | None = None
        self.contender: Contender | None = None
        self.parts: list[Part] = []
        self.failure: str | None = None
        self.error: BaseException | None = None
        self.fault: BaseException | None = None
        self.values: set[float] = set()  # its first few different numbers
        self.seconds: float | None = None  # in which it had rows to predict; None if that was on a worker
        self.flagged: int | None = None  # rows; None where nothing is flagged or not, and on a worker
        self._busy_since = 0.0
        self._chunks: queue.SimpleQueue[tuple[Chunk, list[tuple[str, str]]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def runs(self) -> bool:
        """Whether it takes part, so far without an error."""
        return self.loaded is not None and self.failure is None and self.error is None and self.fault is None

    @property
    def signature(self) -> Signature:
        """The signature of the loaded version."""
        assert self.loaded is not None
        return self.loaded.artifacts.signature

    def fail(self, verb: str, error: BaseException) -> str:
        """Record that the version failed to ``load`` or to ``score``; returns why."""
        text = failure_text(error)
        self.failure, self.error = f"failed to {verb}: {text}", None
        return text

    def begin(self) -> None:
        """Forget the predictions of an earlier pass."""
        self.parts, self.values, self.seconds, self.flagged = [], set(), None, None

    def add(self, parts: Sequence[Part], values: Collection[float]) -> None:
        """Take over predictions for the next chunks, and a few of their numbers, from a run of this version on a worker."""
        self.parts.extend(parts)
        self.values.update(values)

    def start(self, task: Task, staging: Staging) -> None:
        """Begin to take chunks, whose predictions are staged."""
        self.begin()
        self._thread = threading.Thread(
            target=self._work, args=(task, staging), name=f"version {self.version}", daemon=True
        )
        self._thread.start()

    def put(self, chunk: Chunk, columns: list[tuple[str, str]]) -> None:
        """Let the version score a chunk; of each of its columns, the name in the chunk and the model's."""
        self._chunks.put((chunk, columns))

    def finish(self) -> None:
        """Wait until every chunk is scored or released."""
        if self._thread is not None:
            self._chunks.put(None)
            self._thread.join()
            self._thread = None

    def scored(self) -> Scored:
        """The result, for the manifest."""
        parts = () if self.failure else tuple(self.parts)
        return Scored(self.version, self.contender, parts, self.failure, self._note())

    def _work(self, task: Task, staging: Staging) -> None:
        sent: deque[tuple[Chunk, list[tuple[str, str]]]] = deque()
        more = True
        while more or sent:
            # an answer that waits comes before a chunk that is not there yet: else the chunk would never be released
            if sent and (not more or len(sent) == _AHEAD or self._chunks.empty()):
                self._finish_oldest(sent, task, staging)
                continue
            item = self._chunks.get()
            if item is None:
                more = False
                continue
            if not sent:
                self._busy_since = time.monotonic()
            sent.append(item)
            if self.runs:
                self._send(*item)

    def _send(self, chunk: Chunk, columns: list[tuple[str, str]]) -> None:
        assert self.loaded is not None
        assert self.loaded.process is not None
        try:
            self.loaded.process.send(chunk.file, columns)
        except DethroneError as error:
            self.error = error

    def _finish_oldest(self, sent: deque[tuple[Chunk, list[tuple[str, str]]]], task: Task, staging: Staging) -> None:
        chunk, columns = sent.popleft()
        try:
            if self.runs:
                self._receive(chunk, columns, task, staging)
        except Exception as error:  # noqa: BLE001  raised again where the batch is scored
            self.fault = error
        finally:
            chunk.release()
        if not sent:
            self.seconds = (self.seconds or 0.0) + time.monotonic() - self._busy_since

    def _receive(self, chunk: Chunk, columns: list[tuple[str, str]], task: Task, staging: Staging) -> None:
        assert self.loaded is not None
        assert self.loaded.process is not None
        try:
            predictions = predictions_of(task, self.version, self.loaded.process.receive(), chunk.rows)
        except DethroneError as error:
            if isinstance(error, ModelRaisedError):
                error.args = (f"{error}{_null_columns(chunk, columns)}",)
            self.error = error
        else:
            self.parts.append(staging.add(self.version, chunk.number, self._frame(task, predictions)))

    def _frame(self, task: Task, predictions: NDArray[Any]) -> pl.DataFrame:
        """What is stored of the predictions, in the order of the rows."""
        assert self.contender is not None
        if KINDS[task].names_classes:
            return pl.DataFrame([pl.Series("decision", predictions, dtype=pl.String)])
        if len(self.values) <= _FEW_VALUES:
            self.values.update(np.unique(predictions).tolist()[: _FEW_VALUES + 1])
        score = pl.Series("score", predictions)
        threshold = self.contender.threshold
        if threshold is None:
            return pl.DataFrame([score])
        flagged = predictions >= threshold
        self.flagged = (self.flagged or 0) + int(flagged.sum())
        return pl.DataFrame([score, pl.Series("decision", flagged).cast(pl.Int8)])

    def _note(self) -> str | None:
        """What is odd about the numbers; None if nothing is. A model that returns classes can look like one that returns scores."""
        few = 0 < len(self.values) <= _FEW_VALUES
        if self.failure or not few or sum(p.rows for p in self.parts) < _NOTE_ROWS:
            return None
        threshold = self.contender.threshold if self.contender else None
        if len(self.values) == 1:
            return f"gave every row the same number, {min(self.values):g}"
        if self.values == {0.0, 1.0} and threshold is not None and 0 < threshold < 1:
            return f"gave only 0 and 1, so its threshold of {threshold:g} has no effect: log it so that it gives probabilities"
        return None


def _null_columns(chunk: Chunk, columns: list[tuple[str, str]]) -> str:
    """A hint for the error of a model: its columns with nulls, which many models do not accept."""
    nulls = [f"'{name}' is null in {n} rows" for stored, name in columns if (n := chunk.nulls[stored])]
    return f" (its column {', '.join(nulls)})" if nulls else ""
