"""Write what the settings say of a project file, and copy what the demo wrote into README and docs/: ``make docs`` after ``make demo``."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from calibration.readme import readme_tables
from docs.settings import write_settings
from tasks.base.project import load_project

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    write_settings()
    reports = Path(load_project("flights").store) / "flights" / "reports"
    season = (reports / "season" / "season.md").read_text(encoding="utf-8")
    promoted = re.findall(r"\]\(\.\./([^/]+)/report\.md\)", season)
    shutil.copy(reports / "season" / "season.svg", ROOT / "docs" / "season.svg")
    example = ROOT / "docs" / "example"
    shutil.rmtree(example, ignore_errors=True)
    last = max(p.name for p in reports.iterdir() if (p / "report.md").is_file() and p.name[:2] == "20")
    shutil.copytree(reports / (promoted[0] if promoted else last), example)
    readme = ROOT / "README.md"
    text = replace_block(readme.read_text(encoding="utf-8"), "season", tables(season))
    text = replace_block(text, "calibration", readme_tables(ROOT / "docs" / "calibration"))
    readme.write_text(text, encoding="utf-8")


def tables(season: str) -> str:
    """The two tables of a season that README shows: all four models, and each challenger alone."""
    found = re.findall(r"(?:^\|.*\n)+", season, flags=re.MULTILINE)
    return f"{found[0]}\nEach challenger alone against the champion:\n\n{found[-1]}"


def replace_block(text: str, name: str, content: str) -> str:
    """Replace what stands between ``<!-- name -->`` and ``<!-- /name -->``."""
    pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    return re.sub(pattern, lambda m: m[1] + content.strip() + "\n" + m[2], text, flags=re.DOTALL)


if __name__ == "__main__":
    main()
