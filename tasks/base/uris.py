"""Addresses of stores and of MLflow: relative paths get a root, and credentials are never shown."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

__all__ = ["public_text", "public_uri", "rooted"]

_NO_PATHS = re.compile(r"(databricks|databricks-uc|arn:.*|uc:.*)", re.DOTALL)  # names that MLflow knows without "//"
# up to the last @, as a password may hold what ends a host
_CREDENTIALS = re.compile(r"://(?=[^/?#\s]*[:@])[^\s'\"]*@")
_IN_URI = re.compile(r"://(?=[^/?#]*[:@]).*@", re.DOTALL)
_PASSWORD = re.compile(r"://[^:/?#@]*:(.+)@", re.DOTALL)
_SHORTEST = 4  # letters of a password that is taken out of a text wherever it stands


def rooted(uri: str, root: Path) -> str:
    """The URI with a relative path, also inside ``sqlite:///`` and ``file:``, below ``root``; any other as it is."""
    if uri.startswith("sqlite:///") and not uri.startswith("sqlite:////"):
        return f"sqlite:///{root / uri.removeprefix('sqlite:///')}"
    if uri.startswith("file:") and not uri.startswith("file://"):
        return (root / uri.removeprefix("file:")).as_uri()
    return uri if "://" in uri or _NO_PATHS.fullmatch(uri) else str(root / uri)


def public_uri(uri: str) -> str:
    """The URI as it may be shown: without user, password, query and fragment."""
    if "://" not in uri:
        return uri
    return re.split(r"[?#]", _IN_URI.sub("://", uri, count=1))[0]


def public_text(text: str, *uris: str) -> str:
    """Another library's text as it may be shown: without the credentials of any URI in it, and without the passwords of ``uris``."""
    shown = _CREDENTIALS.sub("://", text)
    for uri in uris:
        for found in _PASSWORD.finditer(uri):
            for password in (found[1], unquote(found[1])):
                shown = shown.replace(password, "***") if len(password) >= _SHORTEST else shown
    return shown
