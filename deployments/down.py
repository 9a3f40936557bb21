"""Stop what ``make up`` has started, and nothing else: ``make down``. What it keeps below ``.dethrone/`` stays."""

from __future__ import annotations

import os
import sys

from deployments.up import Machine, UpError


def main() -> None:
    try:
        machine = Machine(os.environ)
        with machine.alone():
            stopped = machine.down()
    except UpError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    print(f"stopped: {', '.join(stopped)}" if stopped else "nothing ran")


if __name__ == "__main__":
    main()
