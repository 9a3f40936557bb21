"""Results as plain JSON values: computed again, they give the same bytes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from datetime import date
from enum import Enum
from numbers import Integral
from typing import Any

from analysis.tables.counts import Undefined

__all__ = ["canonical_json", "digest", "plain"]

_SIGNIFICANT = 12


def plain(value: Any) -> Any:
    """Convert dataclasses, mappings, dates and numbers to values that JSON can hold.

    Floats keep 12 significant digits, because processors differ in the last bit of exp and log. An infinite log e-value
    becomes a string. A table of a pair is replaced by its ``as_recorded()``. A field of a dataclass with
    ``metadata={"record": False}`` is left out. Raises ValueError for NaN.
    """
    if isinstance(value, Undefined):
        return {"undefined": value.reason}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        table = value.as_recorded() if hasattr(value, "as_recorded") else value
        kept = (f.name for f in dataclasses.fields(table) if f.metadata.get("record", True))
        return {name: plain(getattr(table, name)) for name in kept}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        if math.isnan(value):
            msg = "a record cannot hold NaN; a result that does not exist is Undefined"
            raise ValueError(msg)
        return float(f"{value:.{_SIGNIFICANT}g}") + 0.0 if math.isfinite(value) else str(value)
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return _nested(value)
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def _nested(mapping: Mapping[Any, Any]) -> dict[str, Any]:
    """A mapping whose tuple keys (column, value) become mappings of mappings."""
    nested: dict[str, Any] = {}
    for key, value in mapping.items():
        *path, last = key if isinstance(key, tuple) else (key,)
        inner = nested
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = plain(value)
    return nested


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys; two equal values give the same bytes."""
    return (json.dumps(plain(value), sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
