"""What docs/operations.md shows is what works."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def test_every_target_flow_deployment_and_link_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    flows = {p.stem for p in (ROOT / "flows").glob("*.py")}
    for target in re.findall(r"\bmake (\w+)\b", PAGE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
    assert {*re.findall(r"-m flows\.(\w+)", PAGE), *re.findall(r"deployment run (\w+)/", PAGE)} <= flows
    for link in re.findall(r"\]\(([^)#:]+)", PAGE):
        assert (ROOT / "docs" / link).is_file(), link


def test_a_second_project_takes_fewer_than_ten_commands_and_the_block_is_made_as_prefect_yaml_says() -> None:
    shown = re.search(r"<!-- second project -->\n(.*?)<!-- /second project -->", PAGE, flags=re.DOTALL)
    assert shown
    commands = [line.strip() for line in shown[1].splitlines() if line.strip()]
    assert len(commands) < 10
    (block,) = (c for c in commands if c.startswith("block="))
    assert f"#   {block}\n" in (ROOT / "prefect.yaml").read_text(encoding="utf-8")


def test_every_environment_variable_of_ours_is_named() -> None:
    """But for those of the tests."""
    read = set()
    for folder in ("tasks", "flows", "deployments"):
        for file in (ROOT / folder).rglob("*.py"):
            read |= set(re.findall(r"DETHRONE_[A-Z_]+", file.read_text(encoding="utf-8")))
    assert read == set(re.findall(r"DETHRONE_[A-Z_]+", PAGE))
