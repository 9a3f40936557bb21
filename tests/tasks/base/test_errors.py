"""Errors as they are logged: a user's mistake is a sentence, a mistake of ours keeps its traceback."""

from __future__ import annotations

import logging

import pytest

from tasks.base.errors import DethroneError, first_line, without_traceback


class MistakeError(DethroneError):
    """Something put wrong."""


@pytest.fixture
def logger() -> logging.Logger:
    made = logging.getLogger("tests.of.errors")
    made.addFilter(without_traceback)
    return made


@pytest.mark.parametrize(
    ("error", "said", "traced"),
    [
        (MistakeError("the store is 100% full; empty it"), "MistakeError: the store is 100% full; empty it", False),
        (RuntimeError("unheard of"), "it failed: RuntimeError('unheard of')", True),
    ],
    ids=["ours", "another"],
)
def test_only_what_a_user_cannot_put_right_is_logged_with_its_traceback(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture, error: Exception, said: str, traced: bool
) -> None:
    logger.error("it failed: %r", error, exc_info=error)
    (record,) = caplog.records
    assert record.getMessage() == said
    assert bool(record.exc_info) == traced


def test_a_record_without_an_error_is_left_alone(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    logger.warning("%d rows", 3)
    assert caplog.messages == ["3 rows"]


def test_the_first_line_of_what_another_library_says() -> None:
    assert first_line(ValueError("\n  no such table: \nsee the manual")) == "no such table"
    assert first_line(ValueError("")) == "ValueError"
