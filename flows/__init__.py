"""The flows: gather the evidence, decide, apply the decision. One flow per file.

A command that needs no flow run is answered here, before its file, and with it Prefect, is imported.
"""

from pathlib import Path

from tasks.command import answer_at_once

answer_at_once(Path(__file__).parent)
