"""The loop of a model's own process: load one model, then a prediction for every table that comes."""

from __future__ import annotations

import os
import socket
import traceback
from typing import Any

import numpy as np

from .model import load_model
from .wire import read_table, receive, send, write_table

__all__ = ["serve"]


def serve(connection: socket.socket) -> None:
    """Answer requests until the other end is closed. An error of the model is an answer too, after which the next request may follow."""
    model: Any = None
    while (got := receive(connection)) is not None:
        request, files = got
        answer: dict[str, Any] = {}
        result: list[int] = []
        try:
            if "load" in request:
                model = load_model(**request["load"])
            else:
                output = model.predict(_read(files[0], request["columns"]))
                answer, result = {"shape": output.shape}, [_write(output)]
        except BaseException as error:  # noqa: BLE001  SystemExit and MemoryError of a model are its failures, not this loop's
            answer = {"error": _described(error)}
        finally:
            for file in files:
                os.close(file)
        send(connection, answer, result)
        for file in result:
            os.close(file)


def _described(error: BaseException) -> dict[str, str | None]:
    return {
        "kind": type(error).__name__,
        "text": str(error),
        "module": getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None,
        "trace": "".join(traceback.format_exception(type(error), error, error.__traceback__)),
    }


def _read(file: int, columns: list[list[str]]) -> Any:
    """The table in a file: of ``columns`` the first is the name in the file, the second the model's."""
    table = read_table(file)
    return table.select([stored for stored, _ in columns]).rename_columns([name for _, name in columns])


def _write(output: np.ndarray[Any, Any]) -> int:
    """A file with the values of the output, one after the other, as the only column of an Arrow table."""
    import pyarrow as pa

    values = output.ravel()
    try:
        column = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # values of several types, which is for the receiver to refuse
        column = pa.array([None if v is None or v != v else str(v) for v in values])  # noqa: PLR0124  only NaN differs from itself
    return write_table("predictions", pa.table({"values": column}))
