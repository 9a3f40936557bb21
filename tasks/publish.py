"""Publishing a report: into the store, as a Prefect artifact, and beside the models in MLflow."""

from __future__ import annotations

import base64
import logging
import tempfile
from pathlib import Path

from analysis.record import canonical_json
from tasks import plots
from tasks.decisions import Look
from tasks.project import Project
from tasks.registry import Registry, RegistryError
from tasks.reigns import Reign
from tasks.report import render
from tasks.store import Store
from tasks.tallying import Closed

__all__ = ["draw", "publish"]

log = logging.getLogger("dethrone")


def draw(project: Project, look: Look, closed: Closed, reigns: list[Reign]) -> dict[str, bytes]:
    """The plots of a report as SVG, by name."""
    assessments = look.judgement.assessments
    tallies = [b.tally for b in closed.batches]
    versions = [look.record["basis"]["champion"]["version"], *(a.evidence.challenger.version for a in assessments)]
    figures = {
        "evidence": plots.evidence_over_looks(look.evidence, project.policy),
        "differences": plots.difference_forest(assessments, project.policy),
        "segments": plots.segment_forest(assessments, project.policy),
        "trend": plots.weekly_metrics(tallies, sorted(versions, key=int), reigns, project.policy),
    }
    return {name: svg for name, svg in figures.items() if svg}


def publish(store: Store, registry: Registry, project: Project, look: Look, closed: Closed, reigns: list[Reign]) -> str:
    """Write ``reports/<decision>/`` and log it with every challenger's run; returns the markdown with the plots inside it.

    A report that is there already is not written again.
    """
    drawn = draw(project, look, closed, reigns)
    prefix = f"{project.name}/reports/{look.id}"
    files = {f"{name}.svg": data for name, data in drawn.items()}
    files["report.json"] = canonical_json(look.record)
    files["report.md"] = render(project, look, reigns, {name: f"{name}.svg" for name in drawn}).encode()
    if f"{prefix}/report.md" not in store.keys(prefix):
        for name, data in files.items():
            if name != "report.md":
                store.write(f"{prefix}/{name}", data)
        _log_to_mlflow(registry, look, files)
        store.write(f"{prefix}/report.md", files["report.md"])  # last, so its presence means that all is there
    inline = {name: f"data:image/svg+xml;base64,{base64.b64encode(data).decode()}" for name, data in drawn.items()}
    return render(project, look, reigns, inline)


def _log_to_mlflow(registry: Registry, look: Look, files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory(prefix="dethrone-") as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        for assessment in look.judgement.assessments:
            try:
                version = registry.version(assessment.evidence.challenger.version)
            except RegistryError as error:  # deleted meanwhile: the report in the store is the one that counts
                log.warning("the report is not kept in MLflow: %s", error)
                continue
            if version.run_id:
                registry.log_report(version.run_id, Path(folder), f"dethrone/{look.id}")
