"""The JupyterLab process of `workbench lab`: `python -m workbench.execution.lab` is `python -m jupyterlab`, a second sooner."""

from __future__ import annotations

import sys

from workbench.execution.lazy_grammar import defer_iri_grammar

__all__ = ["main"]


def main() -> None:
    """Becomes JupyterLab, which reads its options from the command line as always."""
    defer_iri_grammar()
    from jupyterlab.labapp import main as start_lab  # type: ignore[import-untyped]

    sys.exit(start_lab())


if __name__ == "__main__":
    main()
