"""One type for a column whose files have several: of widths the wider one, of text and number none."""

from __future__ import annotations

from typing import Any

import polars as pl

__all__ = ["common_type", "lost_in_doubles"]

_TEXT = (pl.String, pl.Categorical, pl.Enum)
_DIGITS: dict[type[pl.DataType], int] = {
    pl.Int8: 3,
    pl.Int16: 5,
    pl.Int32: 10,
    pl.UInt8: 3,
    pl.UInt16: 5,
    pl.UInt32: 10,
}  # else 19 or 20
_MOST_DIGITS = 38
_DIGITS_OF_A_DOUBLE = 15  # any decimal of so many comes back from a double


def common_type(a: pl.DataType, b: pl.DataType) -> pl.DataType | None:
    """The type that holds the values of both; None if they do not mean the same, as text and numbers.

    Times of different units become microseconds, as nanoseconds end in 2262; times of different zones become UTC.
    """
    if a == b:
        return a
    if pl.Null in (a, b):
        return b if a == pl.Null else a
    if isinstance(a, _TEXT) and isinstance(b, _TEXT):
        return pl.String()
    if a.is_numeric() and b.is_numeric():
        return _number(a, b)
    if {type(a), type(b)} <= {pl.Date, pl.Datetime}:
        return _time(a, b)
    if isinstance(a, pl.Duration) and isinstance(b, pl.Duration):
        return pl.Duration("us")
    if isinstance(a, (pl.List, pl.Array)) and isinstance(b, (pl.List, pl.Array)):
        inner = common_type(_inner(a), _inner(b))
        return inner and pl.List(inner)
    if isinstance(a, pl.Struct) and isinstance(b, pl.Struct):
        return _struct(a, b)
    return None


def _number(a: pl.DataType, b: pl.DataType) -> pl.DataType:
    if isinstance(a, pl.Decimal) and isinstance(b, pl.Decimal):
        scale = max(a.scale, b.scale)
        whole = max((a.precision or _MOST_DIGITS) - a.scale, (b.precision or _MOST_DIGITS) - b.scale)
        return pl.Decimal(min(whole + scale, _MOST_DIGITS), scale)
    if a.is_decimal() or b.is_decimal():
        exact, other = (a, b) if isinstance(a, pl.Decimal) else (b, a)
        assert isinstance(exact, pl.Decimal)
        return pl.Decimal(_MOST_DIGITS, exact.scale) if other.is_integer() else pl.Float64()
    if a.is_float() and b.is_float() and pl.Float64 not in (a, b):
        return pl.Float32()
    if a.is_float() or b.is_float():
        return pl.Float64()
    wide = max(_digits(a), _digits(b))
    if a.is_signed_integer() == b.is_signed_integer():
        return a if _digits(a) == wide else b
    return pl.Int64() if pl.Int128 not in (a, b) else pl.Int128()


def _digits(dtype: pl.DataType) -> int:
    return _DIGITS.get(type(dtype), 39 if dtype == pl.Int128 else 19)


def _time(a: pl.DataType, b: pl.DataType) -> pl.DataType | None:
    times = [t for t in (a, b) if isinstance(t, pl.Datetime)]
    if len(times) == 1:
        return times[0] if times[0].time_zone is None else None
    zones, units = {t.time_zone for t in times}, {t.time_unit for t in times}
    if None in zones and len(zones) > 1:
        return None
    return pl.Datetime(units.pop() if len(units) == 1 else "us", zones.pop() if len(zones) == 1 else "UTC")


def _inner(dtype: pl.List | pl.Array) -> pl.DataType:
    return _instance(dtype.inner)


def _instance(dtype: Any) -> pl.DataType:
    """A type that stands inside another one, which polars also lets stand as its class."""
    return dtype if isinstance(dtype, pl.DataType) else dtype()


def _struct(a: pl.Struct, b: pl.Struct) -> pl.DataType | None:
    fields: dict[str, Any] = dict(a.to_schema())
    for name, dtype in b.to_schema().items():
        common = common_type(_instance(fields[name]), _instance(dtype)) if name in fields else _instance(dtype)
        if common is None:
            return None
        fields[name] = common
    return pl.Struct(fields)


def lost_in_doubles(values: pl.Series) -> pl.Series:
    """Where a double does not hold all digits of an integer or decimal; zeros at its ends are none."""
    lost = ~values.cast(pl.Float64).cast(values.dtype, strict=False).eq_missing(values)
    if (
        values.dtype.is_decimal() and lost.any()
    ):  # casts to a decimal of many places are not exact: 0.1 becomes 0.1000000000000000090
        lost &= (
            values.cast(pl.String).str.replace_all(r"[-.]", "").str.strip_chars("0").str.len_bytes()
            > _DIGITS_OF_A_DOUBLE
        )
    return lost
