"""Roll-ups: what went in comes out, the same content is the same bytes, and bytes that are none are refused."""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tasks.store.rollups import DamagedRollupError, StoredFrame, pack, unpack

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
COLUMNS = {"n": pl.Int64, "v1": pl.Int8, "v2": pl.Int8, "label": pl.Int8, "excluded": pl.String, "p": pl.Float64}
CELLS: dict[Any, st.SearchStrategy[Any]] = {
    pl.Int64: st.integers(-(2**40), 2**40),
    pl.Int8: st.integers(-128, 127),
    pl.String: st.text(max_size=5),
    pl.Float64: st.floats(allow_nan=False),
}


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    """A few rows in some of the columns; one in ten frames has another type of label, as those of another task have."""
    names = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, unique=True))
    types = {c: pl.String if c == "label" and draw(st.integers(0, 9)) == 0 else COLUMNS[c] for c in names}
    height = draw(st.integers(0, 4))
    return pl.DataFrame(
        {c: draw(st.lists(st.none() | CELLS[t], min_size=height, max_size=height)) for c, t in types.items()},
        schema=types,
    )


def few(keys: str, contents: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Contents of some of a few keys, so that two of these have some in common."""
    return st.dictionaries(st.sampled_from(keys), contents)


def stored(frame: pl.DataFrame) -> StoredFrame:
    return StoredFrame(frame, hashlib.sha256(repr(frame).encode()).hexdigest())


def unpacked(data: bytes) -> Any:
    return unpack(data, hashlib.sha256(data).hexdigest())


@settings(deadline=None)
@given(st.dictionaries(NAMES, st.binary(max_size=20)), st.dictionaries(NAMES, frames()))
def test_what_went_in_comes_out(documents: dict[str, bytes], tables: dict[str, pl.DataFrame]) -> None:
    found = unpacked(pack(documents, {k: stored(f) for k, f in tables.items()}))
    assert found.documents == documents
    assert found.keys == {*documents, *tables}
    for key, frame in tables.items():
        one = found.frame(key)
        assert_frame_equal(one.frame, frame)
        assert one.sha256 == stored(frame).sha256


@settings(deadline=None)
@given(st.dictionaries(NAMES, st.binary(max_size=20)), st.dictionaries(NAMES, frames()), st.randoms())
def test_the_same_content_in_another_order_is_the_same_bytes(
    documents: dict[str, bytes], tables: dict[str, pl.DataFrame], random: Any
) -> None:
    def shuffled(items: dict[str, Any]) -> dict[str, Any]:
        keys = sorted(items)
        random.shuffle(keys)
        return {k: items[k] for k in keys}

    known = {k: stored(f) for k, f in tables.items()}
    assert pack(documents, known) == pack(shuffled(documents), shuffled(known))


@settings(deadline=None)
@given(st.lists(st.tuples(few("abcd", st.binary(max_size=20)), few("ABCD", frames())), max_size=4))
def test_what_other_rollups_hold_comes_out_of_the_one_that_takes_them_in(
    parts: list[tuple[dict[str, bytes], dict[str, pl.DataFrame]]],
) -> None:
    """A key has one content, whichever roll-ups hold it."""
    documents: dict[str, bytes] = {}
    tables: dict[str, pl.DataFrame] = {}
    taken_in = []
    for own_documents, own_tables in parts:
        documents, tables = own_documents | documents, own_tables | tables
        held = {k: documents[k] for k in own_documents}, {k: stored(tables[k]) for k in own_tables}
        taken_in.append(unpacked(pack(*held)))
    found = unpacked(pack({"new": b"1"}, {}, taken_in=taken_in))
    assert found.documents == {**documents, "new": b"1"}
    assert found.keys == {*documents, *tables, "new"}
    for key, frame in tables.items():
        assert_frame_equal(found.frame(key).frame, frame)
        assert found.frame(key).sha256 == stored(frame).sha256
    rows = sum(table.height for table, _ in found.places())
    assert rows == sum(f.height for f in tables.values())


@pytest.mark.parametrize("at", range(0, 700, 7))
def test_a_changed_byte_is_noticed(at: int) -> None:
    data = pack({"a": b"1"}, {"b": stored(pl.DataFrame({"n": [1, 2]}))})
    changed = bytearray(data)
    changed[at % len(data)] ^= 1
    with pytest.raises(DamagedRollupError):
        unpack(bytes(changed), hashlib.sha256(data).hexdigest())


def test_another_zip_file_is_no_rollup() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.json", "{}")
    for data in (buffer.getvalue(), b"", b"PK"):
        with pytest.raises(DamagedRollupError):
            unpacked(data)
