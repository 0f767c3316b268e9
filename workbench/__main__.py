"""The program `workbench`, also as `python -m workbench`."""

from __future__ import annotations

import sys

from workbench.cli.forwarding import forward

__all__ = ["main"]


def main() -> None:
    """Runs the command line: in the warm process where that saves a second, else here."""
    code = forward(sys.argv[1:])
    if code is None:
        from workbench.cli.entry import main as run_here

        run_here()
    sys.exit(code)


if __name__ == "__main__":
    main()
