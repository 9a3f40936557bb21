"""A limit on the time that somebody else's code may take."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from tasks.base.errors import DethroneError

__all__ = ["NoAnswerError", "within"]

T = TypeVar("T")


class NoAnswerError(DethroneError):
    """A call that has not come back in time."""


def within(seconds: float, call: Callable[[], T]) -> T:
    """What ``call`` returns, or raises; NoAnswerError once it has taken longer than so many seconds.

    Python cannot end a thread. The one that hangs is left behind, and as a daemon it does not keep the process alive.
    """
    answer: Future[T] = Future()

    def work() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001  it is raised again where it is waited for
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return answer.result(seconds)
    except TimeoutError:
        if answer.done():  # the call itself raised a TimeoutError
            raise
        msg = f"gave no answer within {seconds:g} seconds; make it faster, or raise 'model_seconds' in the project file"
        raise NoAnswerError(msg) from None
