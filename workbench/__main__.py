"""The program `workbench`, also as `python -m workbench`."""

from __future__ import annotations

import os
import sys

from workbench.cli.forwarding import forward

__all__ = ["main"]


def main() -> None:
    """Runs the command line: in the warm process where that saves a second, else here."""
    code = forward(sys.argv[1:])
    if code is not None:
        os._exit(code)  # nothing was begun here that needs an orderly end, which would take longer than all before
    from workbench.cli.entry import main as run_here

    run_here()


if __name__ == "__main__":
    main()
