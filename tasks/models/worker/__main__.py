"""Start a fork server, in any environment: ``python tasks/models/worker FD``, where FD is the socket of the process that asks."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

_NAME = "dethrone_worker"


def _mount() -> None:
    """Make this folder the package ``dethrone_worker``, and none of its modules importable by another name."""
    folder = Path(__file__).resolve().parent
    sys.path[:] = [p for p in sys.path if Path(p).resolve() != folder]
    spec = importlib.util.spec_from_file_location(
        _NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[_NAME] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    _mount()
    importlib.import_module(f"{_NAME}.fork_server").run(int(sys.argv[1]))
