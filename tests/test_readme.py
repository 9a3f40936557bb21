"""What README shows is what works."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from calibration.readme import readme_tables
from docs.settings import settings_page
from tasks.base.project import load_project

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_project_file_that_readme_shows_is_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = re.search(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    assert block
    (tmp_path / "claims.yaml").write_text(textwrap.dedent(block[1]))
    monkeypatch.setenv("DETHRONE_PROJECTS", str(tmp_path))
    project = load_project("claims")
    assert project.columns.id == "claim_id"
    assert dict(project.policy.guardrails) == {"precision": 0.03, "accuracy": 0.005}


def test_every_command_that_readme_shows_is_there() -> None:
    for flow in re.findall(r"-m flows\.(\w+)", README):
        assert (ROOT / "flows" / f"{flow}.py").is_file()
    for target in re.findall(r"`make (\w[\w-]*)`", README):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


def test_every_link_of_readme_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).is_file()


def test_the_page_of_settings_is_that_of_the_settings() -> None:
    """Written anew by ``make docs``."""
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings_page()


def test_the_error_rates_in_readme_are_those_that_were_measured() -> None:
    block = re.search(r"<!-- calibration -->\n(.*?)<!-- /calibration -->", README, flags=re.DOTALL)
    assert block
    assert block[1].strip() == readme_tables(ROOT / "docs" / "calibration").strip()
