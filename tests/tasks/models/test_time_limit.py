"""A limit on somebody else's code: what it returns or raises comes through, and what never ends is left behind."""

from __future__ import annotations

import threading

import pytest

from tasks.models.time_limit import NoAnswerError, with_timeout


def test_what_a_call_returns_is_returned() -> None:
    assert with_timeout(60, lambda: [1, 2]) == [1, 2]


@pytest.mark.parametrize("error", [ValueError("wrong"), TimeoutError("its own"), SystemExit(3), KeyboardInterrupt()])
def test_what_a_call_raises_is_raised(error: BaseException) -> None:
    def call() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        with_timeout(60, call)
    assert raised.value is error
    assert not isinstance(raised.value, NoAnswerError)


def test_a_call_that_does_not_come_back_is_left_behind_and_keeps_no_process_alive() -> None:
    stop, inside = threading.Event(), []

    def call() -> bool:
        inside.append(threading.current_thread())
        return stop.wait(60)

    with pytest.raises(NoAnswerError) as raised:
        with_timeout(0.2, call)
    limit = "gave no answer within 0.2 seconds; make it faster, or raise 'model_seconds' in the project file"
    assert str(raised.value) == limit
    (thread,) = inside
    assert thread.is_alive()
    assert thread.daemon
    stop.set()
    thread.join(60)
    assert not thread.is_alive()
