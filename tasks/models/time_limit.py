"""A limit on the time that a model's own code may take."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from tasks.base.errors import DethroneError

__all__ = ["NoAnswerError", "with_timeout"]

T = TypeVar("T")


class NoAnswerError(DethroneError):
    """A call that has not returned in time."""


def with_timeout(seconds: float, call: Callable[[], T]) -> T:
    """Return or raise what ``call`` does; raise NoAnswerError if it takes longer than ``seconds``.

    Python cannot end a thread. One that hangs is left running; as a daemon it does not keep the process alive.
    """
    answer: Future[T] = Future()

    def work() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001  ``result`` raises it again
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return answer.result(seconds)
    except TimeoutError:
        if answer.done():  # the call itself raised a TimeoutError
            raise
        msg = f"gave no answer within {seconds:g} seconds; make it faster, or raise 'model_seconds' in the project file"
        raise NoAnswerError(msg) from None
