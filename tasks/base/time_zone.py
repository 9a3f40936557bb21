"""The time zone of a project: whose midnight ends a day."""

from __future__ import annotations

import difflib
from zoneinfo import ZoneInfo, available_timezones

__all__ = ["zone_fault"]

_OF_THIS_MACHINE = ("localtime", "posixrules", "Factory")  # no place, and polars knows none of them


def zone_fault(name: str) -> str | None:
    """Why this is not the name of a time zone in the IANA database; None if it is."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a folder of zones, such as Europe, is an OSError
        known = False
    else:
        known = name not in _OF_THIS_MACHINE and not name.startswith(("posix/", "right/"))
    if known:
        return None
    near = _near(name)
    hint = f"did you mean '{near}'?" if near else "write an IANA name, such as Europe/Berlin or America/New_York"
    return f"there is no such time zone; {hint}"


def _near(name: str) -> str | None:
    """The zone that is meant, perhaps: another case, the city alone, a slip of the pen."""
    zones = sorted(available_timezones().difference(_OF_THIS_MACHINE))
    of_city = [z for z in zones if z.rpartition("/")[2].lower() == name.lower() or z.lower() == name.lower()]
    return next(iter(of_city or difflib.get_close_matches(name, zones, n=1, cutoff=0.8)), None)
