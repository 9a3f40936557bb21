"""Results as plain JSON values, the same to the last byte whenever they are computed again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from datetime import date
from enum import Enum
from typing import Any

from analysis.counts import Undefined

__all__ = ["canonical_json", "digest", "plain"]

_SIGNIFICANT = 12


def plain(value: Any) -> Any:
    """Dataclasses, mappings, dates and numbers as what JSON can hold.

    Floats keep 12 significant digits: processors differ in the last bit of exp and log. An infinite log e-value
    becomes a string.
    """
    if isinstance(value, Undefined):
        return {"undefined": value.reason}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return float(f"{value:.{_SIGNIFICANT}g}") if math.isfinite(value) else str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {"/".join(k) if isinstance(k, tuple) else k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys; two equal values give the same bytes."""
    return (json.dumps(plain(value), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
