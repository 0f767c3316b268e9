"""The script a person writes to run notebooks in order: papermill, one kernel after another. Started by `experiment`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import papermill


def main(listing: Path) -> None:
    """Runs each listed notebook with its parameters."""
    for step in json.loads(listing.read_text(encoding="utf-8")):
        Path(step["output"]).parent.mkdir(exist_ok=True)
        folder = Path(step["notebook"]).parent
        papermill.execute_notebook(
            step["notebook"], step["output"], parameters=step["parameters"], cwd=folder, kernel_name="python3", progress_bar=False
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
