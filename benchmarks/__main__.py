"""Run the benchmarks and write what they print into RESULTS.md, with the machine and the versions: ``make benchmark``.

python -m benchmarks [NAME ...]      all of them unless you name some; the results of the others stay as they are
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
LIBRARIES = (
    "polars",
    "pyarrow",
    "numpy",
    "scipy",
    "scikit-learn",
    "lightgbm",
    "mlflow",
    "prefect",
    "boto3",
    "dask",
    "ray",
)

NEXT = {
    "decision_cost": "the grid of log odds on which precision's e-value is minimised",
    "looks": "the Python objects of each closed batch: its manifest, its tally cut out of the roll-up, its entry in the basis",
    "closing": "the digest and the decoding of the predictions of every version, which the bare query does not check",
    "s3_requests": "the predictions of every version, read as a batch closes and again as its labels settle, and pages of listings",
    "commands": "the import of scipy, which every verdict needs",
    "planning": "the verdicts that are computed where a promotion is possible",
    "scoring": "the models themselves",
    "replay": "the models themselves",
    "runners": "on 2 cores the client, the scheduler and Prefect's server, which share them with the workers",
    "prefect_overhead": "Prefect's own start",
}
"""Every benchmark, and what costs most in it now."""


def _machine() -> str:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(encoding="utf-8"))
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    return (
        f"{os.cpu_count()} cores ({cpu[1] if cpu else platform.processor()}), "
        f"{int(memory[1]) / 2**20 if memory else 0:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}; {versions}"
    )


def _sections() -> dict[str, str]:
    """The results that are there, by name."""
    if not RESULTS.exists():
        return {}
    parts = re.split(r"^## (\w+)\n", RESULTS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def _measured(name: str) -> str:
    """The section of one benchmark: what it is about, what it printed, and what costs most."""
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    about = source.split('"""', 2)[1].split("\n\n", 1)[0].replace("\n", " ").strip()
    return "\n\n".join(
        [
            about,
            f"```\n{said.stdout.strip()}\n```",
            f"Costs most now: {NEXT[name]}. Measured on {datetime.now(UTC):%Y-%m-%d}: {_machine()}.",
        ]
    )


def main(names: list[str]) -> None:
    unknown = sorted(set(names) - NEXT.keys())
    if unknown:
        sys.exit(f"there is no benchmark {unknown[0]}; name some of {', '.join(NEXT)}")
    sections = _sections()
    for name in names or NEXT:
        print(f"benchmarks.{name}", flush=True)
        sections[name] = _measured(name)
        text = "# Results of the benchmarks\n\nWritten by `make benchmark`; `python -m benchmarks NAME` measures one again.\n"
        for known in (n for n in NEXT if n in sections):
            text += f"\n## {known}\n\n{sections[known]}\n"
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
