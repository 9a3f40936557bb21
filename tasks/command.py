"""Running a flow from the command line: parse the arguments, run it, and end with one sentence if the user can correct an error."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ParamSpec
from zoneinfo import ZoneInfo

from tasks.base.errors import DethroneError, first_line
from tasks.command_line import parser_of, words_of

__all__ = [
    "CalendarError",
    "ServerError",
    "answer_at_once",
    "as_state",
    "last_complete_day",
    "main",
    "not_after",
    "now",
    "require_over",
    "run",
    "run_seconds",
    "today",
    "unwatched",
]


P = ParamSpec("P")

_RUN_SECONDS = "DETHRONE_RUN_SECONDS"
_LONGEST = 2_592_000  # 30 days


class CalendarError(DethroneError):
    """A day that is not over yet."""


class RunTimeError(DethroneError):
    """A run took longer than it may, or what it may take is no number."""


class ServerError(DethroneError):
    """The Prefect server that is to record the run cannot be reached."""


def now() -> datetime:
    """The moment in UTC. Only flows read this clock."""
    return datetime.now(UTC)


def today(timezone: str) -> date:
    """The day in this time zone, an IANA name. Only flows read this clock."""
    return now().astimezone(ZoneInfo(timezone)).date()


def last_complete_day(timezone: str) -> date:
    """Yesterday in this time zone, the latest day whose labels have all been observed."""
    return today(timezone) - timedelta(days=1)


def not_after(day: date | None, latest: date) -> date:
    """``day``, by default ``latest``. Raises CalendarError if it is later, as a batch that closes too early stays closed."""
    if day and day > latest:
        msg = f"{day} is not over yet; the latest day to take is {latest}"
        raise CalendarError(msg)
    return day or latest


def require_over(batch: str, dated: date, latest: date) -> None:
    """Raise CalendarError if the batch is dated after ``latest``, as its last rows may be missing."""
    if dated > latest:
        msg = f"batch {batch} is dated {dated}, and the latest day to take is {latest}; score it once that day has come"
        raise CalendarError(msg)


def run_seconds() -> float | None:
    """How many seconds a run of a flow may take, from DETHRONE_RUN_SECONDS; None without it. Raises RunTimeError if it is none."""
    said = os.environ.get(_RUN_SECONDS, "")
    if not said:
        return None
    try:
        seconds = float(said)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= _LONGEST:
        msg = f"{_RUN_SECONDS} is '{said}'; write how many seconds a run may take, above 0 and up to {_LONGEST}, or remove it"
        raise RunTimeError(msg)
    return seconds


def as_state(flow: Callable[P, str]) -> Callable[P, str]:
    """Make the sentence that a flow returns also the message of its final state, for Prefect's pages and automations."""

    @functools.wraps(flow)
    def with_message(*args: P.args, **kwargs: P.kwargs) -> Any:
        from prefect.states import Completed

        sentence = flow(*args, **kwargs)
        return Completed(message=sentence, data=sentence)

    return with_message


def main(flow: Callable[..., Any], doc: str | None, instead: Mapping[str, tuple[str, str]] | None = None) -> None:
    """Run the flow with the words of the command line, see ``parser_of``, and print what it returns."""
    print(run(flow, vars(parser_of(flow, doc, instead).parse_args())))


def answer_at_once(folder: Path) -> None:
    """Answer the command that ``python -m`` is starting, and exit, if it needs no flow run: help, wrong words, and what only reads."""
    started = words_of(folder)
    if started is None:
        return
    name, arguments = started
    try:
        run_seconds()  # which the flow's file reads, where an error has a traceback
    except RunTimeError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    if name not in ("history", "verify") and not (name == "judge" and arguments.get("dry_run")):
        return
    from tasks import reading  # which takes long to import
    from tasks.base.project import load_project

    try:
        if name == "judge":
            project, day = arguments["project"], arguments.get("as_of")
            latest = last_complete_day(load_project(project).timezone)
            said = reading.look(project, day or latest, look_back=day is not None)
        else:
            said = {"history": reading.history, "verify": reading.verify}[name](**arguments)
    except DethroneError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    print(said)
    sys.exit()


def run(flow: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Call the flow; on a DethroneError, or if the run takes too long, exit with status 1 and a sentence."""
    from prefect.flow_engine import FlowRunTimeoutError

    try:
        with unwatched():
            return flow(**arguments)
    except DethroneError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except FlowRunTimeoutError:
        sys.exit(
            f"RunTimeError: the run was ended after {run_seconds():g} seconds ({_RUN_SECONDS}); it can be run again"
        )


@contextlib.contextmanager
def unwatched() -> Iterator[None]:
    """On a temporary server switch off heartbeats and logs: nobody reads them, and each flow run would wait a second for them."""
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_LOGGING_TO_API_ENABLED,
        temporary_settings,
    )

    settings: dict[Any, Any] = {
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
        PREFECT_LOGGING_TO_API_ENABLED: False,
    }
    temporary = not PREFECT_API_URL.value()
    with temporary_settings(updates=settings if temporary else {}):
        if temporary:
            _start_first_server()
        else:
            _require_server(PREFECT_API_URL.value())
        yield


def _require_server(url: str) -> None:
    """Raise ServerError if nothing answers at the address of the server; whatever it answers is left to the flow."""
    import httpx
    from prefect.client.orchestration import get_client

    settings = {"timeout": httpx.Timeout(60, connect=10)}
    with get_client(httpx_settings=settings, sync_client=True) as client:
        error = client.api_healthcheck()
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol)):
        public = re.sub(r"//[^/]*@", "//", url)  # without a password
        msg = (
            f"no Prefect server answers at {public}, which PREFECT_API_URL names ({first_line(error)}); start it, correct the address, or "
            "remove the setting, and the run is recorded by a temporary server"
        )
        raise ServerError(msg) from None


def _start_first_server() -> None:
    """Start the first temporary server of a Prefect home under a lock, as two servers that create its database collide."""
    from prefect import __version__
    from prefect.server.api.server import SubprocessASGIServer
    from prefect.settings import PREFECT_HOME

    home = PREFECT_HOME.value()
    started = home / f".dethrone-{__version__}"  # an upgrade changes the database
    if started.exists():
        return
    home.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(home / ".dethrone.lock", timeout=600, isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")  # the lock ends with the process, on every system
        SubprocessASGIServer().start()
        started.touch()
