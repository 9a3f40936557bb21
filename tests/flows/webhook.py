"""Prefect's messages as a webhook on this machine gets them, once the automations of deployments/ are made as docs/events.md says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prefect_server import ROOT

__all__ = ["FILE", "Receiver", "make_automations"]

FILE = ROOT / "deployments" / "automations.yml"


class Receiver:
    """A webhook on this machine that notes the texts that it is sent."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        texts = self.texts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                texts.append(json.loads(body)["text"])
                self.send_response(200)
                self.end_headers()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def make_automations(receiver: Receiver, environment: Mapping[str, str], folder: Path) -> None:
    """Run the commands that the page on events shows, with the receiver's address and a copy of the file in this folder."""
    (script,) = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "events.md").read_text(), flags=re.DOTALL)
    script = script.replace("https://hooks.slack.com/services/T000/B000/XXX", receiver.url)
    script = script.replace("deployments/automations.yml", str(shutil.copy(FILE, folder)))
    script = script.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    made = subprocess.run(
        ["/bin/bash", "-euc", script],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
