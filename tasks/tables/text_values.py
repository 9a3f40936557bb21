"""Values that are written as text: which types all of a column's values have, and the values themselves."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

__all__ = ["ISO", "Texts", "from_text", "look_at_texts"]

ISO = pl.Datetime("us")
_INT, _FLOAT, _DAY, _UTC = pl.Int64(), pl.Float64(), pl.Date(), pl.Datetime("us", "UTC")
_ALL: tuple[pl.DataType, ...] = (_INT, _FLOAT, pl.Boolean(), _DAY, ISO, _UTC)
_TIMES: tuple[pl.DataType, ...] = (_DAY, ISO, _UTC)

# 007 is no number: who writes it so means text
_WHOLE = r"^-?(?:0|[1-9]\d{0,17})$"
_NUMBER = r"^[+-]?(?:(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|(?i:nan|inf|infinity))$"
_WHOLE_AS_FLOAT = r"^-?\d+\.0*$"  # what becomes of whole numbers beside a null
_DATE = r"^\d{4}-\d\d-\d\d$"
_TIME = r"^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?$"
_ZONED = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)$"


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of text whose values may all be of these types besides; ``nulls`` and ``empty`` count its values without text."""

    types: tuple[pl.DataType, ...]
    nulls: int = 0
    empty: int = 0

    @classmethod
    def any(cls, *, json: bool = False, is_id: bool = False) -> Texts:
        """Before any value was seen: in JSON only times are written as text; an id is text if it is not surely a whole number."""
        if is_id:
            return cls(() if json else (_INT, _FLOAT))
        return cls(_TIMES if json else _ALL)

    @property
    def best(self) -> pl.DataType:
        return self.types[0] if self.types else pl.String()

    def shared_with(self, other: Texts) -> Texts:
        """What the values of two files may be."""
        types = tuple(t for t in self.types if t in other.types)
        return Texts(types, self.nulls + other.nulls, self.empty + other.empty)


def look_at_texts(known: Texts, values: pl.Series, *, is_id: bool) -> Texts:
    """What a column may be once these values are seen too."""
    written = values.drop_nulls()
    nulls, written = known.nulls + len(values) - len(written), written.filter(written != "")
    empty = known.empty + len(values) - (nulls - known.nulls) - len(written)
    if len(written):
        known = Texts(tuple(t for t in known.types if _may_be(t, written, is_id=is_id)))
    return Texts(known.types, nulls, empty)


def _may_be(dtype: pl.DataType, written: pl.Series, *, is_id: bool) -> bool:
    if dtype == pl.Boolean:
        return bool(written.str.to_lowercase().is_in(["true", "false"]).all())
    patterns = {_INT: _WHOLE, _FLOAT: _WHOLE_AS_FLOAT if is_id else _NUMBER, _DAY: _DATE, ISO: _TIME, _UTC: _ZONED}
    if not written.str.contains(patterns[dtype]).all():
        return False
    return dtype.is_numeric() or not from_text(written, dtype).has_nulls()


def from_text(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """The values as this type, null where they are not of it. Dates and times are ISO's; those with a zone become UTC."""
    column, frame = pl.col(values.name), values.to_frame()
    if dtype == pl.Boolean:
        lower = column.str.to_lowercase()
        return frame.select(pl.when(lower.is_in(["true", "false"])).then(lower == "true")).to_series()
    if dtype == pl.Date:
        return values.str.to_date("%Y-%m-%d", strict=False)
    if not isinstance(dtype, pl.Datetime):
        return values.cast(dtype, strict=False)
    plain, zone = column.str.replace("T", " ", literal=True), ""
    formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d"]
    if dtype.time_zone:
        plain, zone, formats = plain.str.replace("Z$", "+00:00"), "%z", formats[:2]
    time = pl.coalesce(plain.str.to_datetime(f + zone, time_unit="us", strict=False) for f in formats)
    return frame.select(time.cast(dtype)).to_series()
