"""Results as JSON: the same bytes for the same result."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from datetime import date, datetime
from enum import Enum, StrEnum
from typing import Any

import numpy as np
import pytest
from analysis_examples import PROPERTY, evidence
from hypothesis import given
from hypothesis import strategies as st

from analysis.policy import Policy
from analysis.tables.counts import PairedCounts, Undefined
from analysis.tables.record import canonical_json, digest, plain
from analysis.verdict.judge import judge


class Colour(Enum):
    RED = 1


class Word(StrEnum):
    YES = "yes"


@dataclasses.dataclass(frozen=True)
class Pair:
    left: Any
    right: Any


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Undefined("no row"), {"undefined": "no row"}),
        (Pair(1, Pair(Undefined("x"), None)), {"left": 1, "right": {"left": {"undefined": "x"}, "right": None}}),
        (Colour.RED, 1),
        (Word.YES, "yes"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (np.float64(0.25), 0.25),
        (date(2026, 1, 5), "2026-01-05"),
        (datetime(2026, 1, 5, 6, 7), "2026-01-05T06:07:00"),  # noqa: DTZ001
        ({("region", "north"): 1}, {"region": {"north": 1}}),
        ((1, [2, (3,)]), [1, [2, [3]]]),
        (True, True),
        (None, None),
        ("text", "text"),
        (10**18 + 1, 10**18 + 1),
        (np.int64(7), 7),
    ],
    ids=repr,
)
def test_what_each_kind_of_value_becomes(value: Any, expected: Any) -> None:
    assert plain(value) == expected
    assert json.loads(canonical_json(value)) == expected


def test_what_is_not_a_number_is_refused_rather_than_written() -> None:
    with pytest.raises(ValueError, match="a record cannot hold NaN; a result that does not exist is Undefined"):
        canonical_json({"recall": [math.nan]})


def test_floats_keep_twelve_significant_digits_at_any_scale() -> None:
    assert plain(1 / 3) == 0.333333333333
    assert plain(2e-300 / 3) == 6.66666666667e-301
    assert plain(2e300 / 3) == 6.66666666667e299
    assert plain(0.1 + 0.2) == 0.3
    assert plain(-1 / 3) == -0.333333333333


def test_the_last_bit_of_a_float_does_not_change_the_bytes() -> None:
    value = 0.123456789012
    assert canonical_json(value) == canonical_json(math.nextafter(value, 1)) == canonical_json(math.nextafter(value, 0))
    assert canonical_json(value) != canonical_json(value + 1e-11)


def test_the_bytes_are_sorted_readable_and_end_with_a_line_break() -> None:
    assert canonical_json({"b": 1, "a": "größer"}) == '{\n "a": "größer",\n "b": 1\n}\n'.encode()
    assert canonical_json({"a": "größer", "b": 1}) == canonical_json({"b": 1, "a": "größer"})


def test_the_digest_is_that_of_the_bytes() -> None:
    value = {"a": [1, 0.5]}
    assert digest(value) == hashlib.sha256(canonical_json(value)).hexdigest()
    assert digest(value) != digest({"a": [1, 0.6]})


def test_a_judgement_is_the_same_bytes_whenever_it_is_computed_again() -> None:
    """Every number of a real judgement, undefined and infinite ones included, becomes JSON."""
    tables = [PairedCounts((900, 6, 4, 30, 20, 14, 9, 120)), PairedCounts((900, 0, 0, 30, 0, 0, 10_000, 0))]
    texts = [canonical_json(judge([evidence(*tables, segment="north")], Policy(), seed=1)) for _ in range(2)]
    assert texts[0] == texts[1]
    found = json.loads(texts[0])["assessments"][0]
    assert found["measured"]["log_e"] < -8
    assert found["evidence"]["batches"][0]["counts"]["labelled"] == list(tables[0].labelled)
    assert "segments" not in found["evidence"]["batches"][0], "they add up to those of the judgement"
    assert found["measured"]["segments"][0]["value"] == "north"
    assert found["verdict"] == "WAIT"


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError):
        canonical_json({1, 2})


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@PROPERTY
@given(JSON_VALUES)
def test_plain_is_idempotent_and_survives_a_round_trip(value: Any) -> None:
    assert plain(plain(value)) == plain(value)
    assert canonical_json(json.loads(canonical_json(value))) == canonical_json(value)


def test_a_field_that_is_marked_so_is_left_out_of_a_record() -> None:
    @dataclasses.dataclass(frozen=True)
    class Kept:
        shown: int
        hidden: int = dataclasses.field(metadata={"record": False})

    assert plain(Kept(1, 2)) == {"shown": 1}
