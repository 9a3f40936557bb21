"""How many requests to S3 a week's ``score`` and ``judge`` make, by the number of weeks before it.

    python -m benchmarks.s3_requests [WEEKS ...]      10, 200 and 1000 unless you say

Four versions have scored every week's batch, labels come in one file a week, and every week has its decision. The weeks before are
played in a directory and copied; the server is moto, in the process in which the flows run too.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

os.environ["OMP_NUM_THREADS"] = "1"

from benchmarks.years import begin, date_of, fill_decisions, play, put_week

ROWS = 200
BUCKET = "benchmark"


def _of_a_week(folder: Path, week: int) -> dict[str, dict[str, int]]:
    """Requests of score and of judge in this week, by kind; the week before is played to let caches fill."""
    import boto3
    from moto.server import ThreadedMotoServer

    from benchmarks.measuring import project_in

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "none",
    }
    boto3.setup_default_session(region_name="us-east-1")
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    project = project_in(folder).model_copy(update={"store": f"s3://{BUCKET}/store"})
    copied: set[Path] = set()
    _copy(client, folder, copied)

    seen: list[str] = []
    boto3.DEFAULT_SESSION.events.register("before-send.s3.*", lambda request, **_: seen.append(_kind(request)))
    found = {}
    for at in (week - 1, week):
        put_week(folder, project, at, ROWS)
        _copy(client, folder, copied)
        for name, flow, day in (("score", _score, date_of(at)), ("judge", _judge, date_of(at) + timedelta(days=6))):
            seen.clear()
            flow(project, day)
            found[name] = dict(Counter(seen).most_common())
    server.stop()
    return found


def _kind(request: Any) -> str:
    """The method, and the kind of object or of listing."""
    from urllib.parse import parse_qs, unquote, urlsplit

    url = urlsplit(request.url)
    key = parse_qs(url.query)["prefix"][0] if "prefix" in parse_qs(url.query) else unquote(url.path)
    parts = key.removeprefix(f"/{BUCKET}/").split("/")
    what = "/".join(parts[2:3] or ["."])
    return f"{'LIST' if 'list-type' in url.query else request.method} {what}"


def _copy(client: Any, folder: Path, copied: set[Path]) -> None:
    """Copy what is new in the store of this folder into the bucket."""
    files = {f for f in (folder / "store").rglob("*") if f.is_file()} - copied
    with ThreadPoolExecutor(4) as pool:
        put = client.put_object
        list(pool.map(lambda f: put(Bucket=BUCKET, Key=str(f.relative_to(folder)), Body=f.read_bytes()), files))
    copied |= files


def _score(project: Any, day: Any) -> None:
    from flows.score import score

    with mock.patch("flows.score.load_project", return_value=project):
        print(score(project.name, as_of=day), file=sys.stderr)


def _judge(project: Any, day: Any) -> None:
    from flows.judge import judge

    with mock.patch("flows.judge.load_project", return_value=project):
        print(judge(project.name, as_of=day), file=sys.stderr)


def main(weeks: list[int]) -> None:
    total = {}
    for number in weeks:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            project = begin(folder)
            play(folder, project, range(number - 1), ROWS)
            fill_decisions(project, range(number - 2))
            environment = {**os.environ, "PREFECT_HOME": f"{name}/prefect", "PREFECT_LOGGING_LEVEL": "ERROR"}
            command = [sys.executable, "-m", "benchmarks.s3_requests", "--week", str(number), name]
            said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)  # noqa: S603
        found = json.loads(said.stdout.splitlines()[-1])
        total[number] = sum(sum(kinds.values()) for kinds in found.values())
        print(f"{number} weeks: {total[number]} requests")
        for flow, kinds in found.items():
            print(f"  {flow} {sum(kinds.values())}: {', '.join(f'{n} {k}' for k, n in kinds.items())}")
    print(f"most beside fewest: {max(total.values()) / min(total.values()):.2f}")


if __name__ == "__main__":
    if "--week" in sys.argv:
        print(json.dumps(_of_a_week(Path(sys.argv[3]), int(sys.argv[2]))))
    else:
        main([int(a) for a in sys.argv[1:]] or [10, 200, 1000])
