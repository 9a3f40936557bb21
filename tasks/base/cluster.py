"""Where models run, and the address of the cluster whose workers run them."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

__all__ = ["Runner", "cluster_fault"]

Runner = Literal["processes", "dask", "ray"]

_CLUSTERS = {"dask": (("tcp", "tls"), "tcp://scheduler:8786"), "ray": (("ray",), "ray://head:10001")}


def cluster_fault(runner: Runner, cluster: str) -> str | None:
    """Why this cannot be the address of the runner's cluster; None if it can."""
    if runner == "processes":
        return "cluster needs runner: dask or runner: ray; add one of them, or remove cluster"
    schemes, example = _CLUSTERS[runner]
    try:
        url = urlsplit(cluster)
        fits = url.scheme in schemes and bool(url.hostname and url.port)
    except ValueError:
        fits = False
    return None if fits else f"cluster: '{cluster}' is no address for runner: {runner}; write it as {example}"
