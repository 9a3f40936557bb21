"""What it costs to replay versions on batches that were scored without them, beside scoring them with these batches at first.

    python -m benchmarks.replay [BATCHES [ROWS [ROUNDS]]]      100 batches of 20,000 rows in 3 rounds unless you say

The same three models (a logistic regression, histogram and LightGBM boosting, 20 columns) score all batches as they come, the first of
them as champion; or a champion scores them alone, and the three are replayed afterwards, which is what is measured then.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # threads that wait spin, which would count as work

from benchmarks.measuring import DAY, make_rows, measured, project_in, register

CHAMPION, RIVALS = "1", ("2", "3", "4")


def _prepare(folder: Path, batches: int, n: int) -> None:
    rows = make_rows(max(n, 50_000), 20)
    register(folder, rows, ("lr", "lr", "hgb", "lightgbm"))
    for number in range(batches):
        path = folder / "store/scoring/batches" / str(DAY + timedelta(days=number))
        path.mkdir(parents=True)
        rows.head(n).write_parquet(path / "rows.parquet")


def _retire(folder: Path, *versions: str) -> None:
    from tasks.models.registry import Registry

    registry = Registry(project_in(folder))
    for version in (CHAMPION, *RIVALS):
        registry.set_tags(version, {"retired": "true" if version in versions else "false"})


def _score_all(folder: Path, champion: str, result: dict[str, float]) -> None:
    import shutil

    from tasks.batches.scoring import score_with
    from tasks.decisions.promotion import enthrone
    from tasks.models.registry import Registry
    from tasks.models.versions import Versions
    from tasks.reigns import head
    from tasks.store import open_store

    project = project_in(folder)
    for left in ("predictions", "reigns", "contenders", "versions"):
        shutil.rmtree(folder / "store/scoring" / left, ignore_errors=True)
    store, registry = open_store(project.store), Registry(project)
    enthrone(store, registry, "scoring", version=champion, since=DAY, author="benchmark", reason="it is the first")
    batches = sorted(p.name for p in (folder / "store/scoring/batches").iterdir())
    with Versions(store, registry, project) as versions, measured(result, "score"):
        for number, batch in enumerate(batches):
            score_with(versions, head(store, "scoring"), batch, DAY + timedelta(days=number))


def at_first(folder: Path) -> dict[str, float]:
    """The three score every batch as it comes."""
    result: dict[str, float] = {}
    _retire(folder, CHAMPION)
    _score_all(folder, RIVALS[0], result)
    return result


def replayed(folder: Path) -> dict[str, float]:
    """The three are replayed on batches that another version has scored."""
    from tasks.batches.replaying import due_replays, replay_batch
    from tasks.models.registry import Registry
    from tasks.models.versions import Versions
    from tasks.reigns import head
    from tasks.store import open_store

    _retire(folder, *RIVALS)
    _score_all(folder, CHAMPION, {})
    _retire(folder)
    project, result = project_in(folder), {}
    store, registry = open_store(project.store), Registry(project)
    with Versions(store, registry, project) as versions, measured(result, "score"):
        for manifest, wanted in due_replays(versions, head(store, "scoring")).batches:
            results = replay_batch(versions, manifest, wanted, DAY)
            assert results == dict.fromkeys(RIVALS), results
    return result


WAYS: dict[str, Callable[[Path], dict[str, float]]] = {"at first": at_first, "replayed": replayed}


def _one(way: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.replay", "--way", way, str(folder)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    return {k: float(v) for k, v in json.loads(answer.stdout.splitlines()[-1]).items()}


def main(batches: int, n: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder, batches, n)
        found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way in WAYS:
                found[way].append(_one(way, folder))
    print(f"{batches} batches of {n:,} rows, three versions: median of {rounds}, seconds")
    middle = {way: {k: statistics.median(r[k] for r in results) for k in results[0]} for way, results in found.items()}
    for way, values in middle.items():
        print(f"  {way:9}" + "".join(f"  {k} {v:8.2f}" for k, v in values.items()))
    for what in ("cpu", "wall"):
        print(
            f"  {what}: replayed {middle['replayed'][f'score {what}'] / middle['at first'][f'score {what}']:.2f} x at first"
        )


if __name__ == "__main__":
    if "--way" in sys.argv:
        print(json.dumps(WAYS[sys.argv[2]](Path(sys.argv[3]))))
    else:
        main(*(int(a) for a in (sys.argv[1:] + ["100", "20000", "3"][len(sys.argv) - 1 :])[:3]))
