"""Publishing a report: into the store, as a Prefect artifact, and beside the models in MLflow."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Mapping
from pathlib import Path

from analysis.tables.record import canonical_json
from tasks.base.errors import first_line
from tasks.base.project import Project
from tasks.decisions import Decision
from tasks.decisions.watching import watched_in
from tasks.labels.tally_files import Closed
from tasks.models.errors import RegistryError
from tasks.models.registry import Registry
from tasks.reigns import Reign
from tasks.reigns.approvals import denials
from tasks.reports import plots
from tasks.reports.limits import LARGEST_PAGE, MOST_PANELS, most_telling
from tasks.reports.report import page, page_values
from tasks.reports.report_segments import chosen_segments
from tasks.store import Store

__all__ = ["draw", "publish"]

_SENTENCE = 500  # bytes for what the page says of plots that are not in it


def draw(project: Project, look: Decision, closed: Closed, reigns: list[Reign]) -> dict[str, bytes]:
    """The plots of a report as SVG, by name."""
    assessments = look.judgement.assessments
    tallies = [b.tally for b in closed.batches]
    versions = [look.record["basis"]["champion"]["version"], *(a.evidence.challenger.version for a in assessments)]
    in_panels = most_telling(assessments, MOST_PANELS)
    figures = {
        "evidence": plots.evidence_over_looks(assessments, project.policy, _waves(look)),
        "differences": plots.difference_forest(in_panels, project.policy),
        "segments": plots.segment_forest(in_panels, project.policy, chosen_segments(in_panels)),
        "trend": plots.weekly_metrics(tallies, sorted(versions, key=int), reigns, project.policy),
    }
    return {name: svg for name, svg in figures.items() if svg}


def _waves(look: Decision) -> dict[str, int]:
    """The wave of each challenger; decisions that were recorded before there were waves name none, and have one alone."""
    return {v: a.get("wave", 1) for v, a in look.record["basis"]["allowances"].items()}


def publish(
    store: Store,
    registry: Registry,
    project: Project,
    look: Decision,
    closed: Closed,
    reigns: list[Reign],
    *,
    new: bool = False,
) -> tuple[str, list[str]]:
    """Write ``reports/<decision>/`` and log it with every challenger's run.

    ``report.json`` is the record of the decision with the judgement in full. Returns the markdown with the plots inside it, and where else
    the report should lie and does not, a sentence each: the one in the store is the one that counts. A report that is there already is
    not written again; there is none of a decision that is ``new``, as this run recorded it.
    """
    missing: list[str] = []
    drawn = draw(project, look, closed, reigns)
    prefix = f"{project.name}/reports/{look.id}"
    files = {f"{name}.svg": data for name, data in drawn.items()}
    files["report.json"] = canonical_json({**look.record, "judgement": look.judgement})
    watched = watched_in(project, closed, look.reign)
    values = page_values(project, look, reigns, denials(store, project.name), watched)
    files["report.md"] = page(values, {name: f"{name}.svg" for name in drawn}).encode()
    if new or f"{prefix}/report.md" not in store.keys(prefix):
        for name, data in files.items():
            if name != "report.md":
                store.write(f"{prefix}/{name}", data)
        missing = _log_to_mlflow(registry, look, files)
        store.write(f"{prefix}/report.md", files["report.md"])  # last, so its presence means that all is there
    inline = _inline(drawn, LARGEST_PAGE - len(files["report.md"]))
    left_out = [name for name in drawn if name not in inline]
    return page(values, inline, left_out), missing


def _inline(drawn: Mapping[str, bytes], room: int) -> dict[str, str]:
    """The plots for which there is ``room``, in bytes, the first before the others, as targets of an image link that hold the image."""
    images = {}
    for name, data in drawn.items():
        image = f"data:image/svg+xml;base64,{base64.b64encode(data).decode()}"
        if len(image) <= room - _SENTENCE:
            images[name] = image
            room -= len(image)
    return images


def _log_to_mlflow(registry: Registry, look: Decision, files: dict[str, bytes]) -> list[str]:
    """Log the files with every challenger's run; a run or an artifact store that refuses them stops no promotion."""
    missing = []
    with tempfile.TemporaryDirectory(prefix="dethrone-") as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        for assessment in look.judgement.assessments:
            number = assessment.evidence.challenger.version
            try:
                version = registry.version(number)
                if version.run_id:
                    registry.log_report(version.run_id, Path(folder), f"dethrone/{look.id}")
            except Exception as error:  # noqa: BLE001  each artifact store raises errors of its own
                text = (
                    str(error)
                    if isinstance(error, RegistryError)
                    else registry.public(f"{type(error).__name__}: {first_line(error)}")
                )
                missing.append(f"the report is not kept in MLflow with version {number}: {text}")
    return missing
