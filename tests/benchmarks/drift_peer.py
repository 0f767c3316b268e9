"""Evidently's side of the drift benchmark, started by `drift`: for each line read it makes a report and writes the CPU time."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset


def main(folder: Path, numbers: list[str], categories: list[str]) -> None:
    """Reads both samples, then waits for orders until its input ends."""
    reference, current = (pd.read_parquet(folder / f"{name}.parquet") for name in ("reference", "current"))
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=categories)
    for _ in sys.stdin:
        started = time.process_time()
        now, before = (Dataset.from_pandas(frame, data_definition=definition) for frame in (current, reference))
        Report([DataDriftPreset()]).run(now, before).dict()
        sys.stdout.write(f"{time.process_time() - started}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3].split(","))
