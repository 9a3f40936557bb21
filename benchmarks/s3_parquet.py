"""Reading Parquet from S3: boto3's copy in a temporary file, as the store does it, beside polars' own S3 reader.

    python -m benchmarks.s3_parquet s3://bucket/prefix [MEGABYTES]

with boto3's own settings (AWS_ENDPOINT_URL, AWS_PROFILE, ...). Writes one file there, and removes it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from io import BytesIO

import boto3
import numpy as np
import polars as pl

from tasks.batches.rows import CHUNK_ROWS
from tasks.store.s3_settings import read_s3_uri
from tasks.store.s3_store import S3Store

COLUMNS, TRIES = 12, 5


def table(megabytes: float) -> bytes:
    """Rows of random numbers, which do not compress, with an id."""
    n = int(megabytes * 1e6 / (8 * COLUMNS + 3))
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"id": np.arange(n), **{f"x{i}": rng.random(n) for i in range(COLUMNS)}})
    buffer = BytesIO()
    frame.write_parquet(buffer, row_group_size=CHUNK_ROWS)
    return buffer.getvalue()


@contextmanager
def by_a_copy(uri: str, key: str) -> Iterator[pl.LazyFrame]:
    """What the store hands out; a new store has no copy yet."""
    with S3Store(uri).local(key) as path:
        yield pl.scan_parquet(path, glob=False)


def by_polars(uri: str) -> pl.LazyFrame:
    """What polars reads by itself, with the credentials, the endpoint and the region that boto3 found."""
    session = boto3.Session()
    client = session.client("s3")
    credentials = session.get_credentials()
    if credentials is None:
        sys.exit("there are no credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    found = credentials.get_frozen_credentials()
    options = {
        "aws_access_key_id": found.access_key,
        "aws_secret_access_key": found.secret_key,
        "aws_region": client.meta.region_name,
        "aws_endpoint_url": client.meta.endpoint_url,
        "aws_allow_http": "true",
        **({"aws_session_token": found.token} if found.token else {}),
    }
    return pl.scan_parquet([uri], glob=False, storage_options=options, credential_provider=None)


def fastest(scan: Callable[[], AbstractContextManager[pl.LazyFrame]], columns: list[str]) -> float:
    """Seconds of the fastest of some tries, from the URI to the last row."""
    times = []
    for _ in range(TRIES):
        begin = time.perf_counter()
        with scan() as frame:
            for _batch in frame.select(columns).collect_batches(chunk_size=CHUNK_ROWS, maintain_order=True):
                pass
        times.append(time.perf_counter() - begin)
    return min(times)


def main() -> None:
    uri = sys.argv[1]
    settings, store, key = read_s3_uri(uri), S3Store(uri), "benchmark/rows.parquet"
    data = table(float(sys.argv[2]) if len(sys.argv) > 2 else 100)
    store.write(key, data)
    names = ["id", *(f"x{i}" for i in range(COLUMNS))]
    try:
        print(f"{len(data) / 1e6:.0f} MB, seconds      boto3's copy   polars itself")
        for columns in (names, names[:4]):
            copied = fastest(lambda: by_a_copy(uri, key), columns)
            direct = fastest(lambda: nullcontext(by_polars(f"{settings.uri}/{key}")), columns)
            print(f"{len(columns):>2} of {len(names)} columns {copied:>18.2f} {direct:>15.2f}")
    finally:
        store.delete(key)


if __name__ == "__main__":
    main()
