from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest

from workbench.execution.saving import recover

WRITER = Path(__file__).with_name("notebook_writer.py")
CELLS = 24


class Writers:
    """The program that writes notebooks in children which can be killed."""

    def __init__(self, program: subprocess.Popen[str]) -> None:
        assert program.stdin is not None
        assert program.stdout is not None
        self.tell, self.lines = program.stdin, program.stdout

    @contextmanager
    def writing(self, path: Path, share: float) -> Iterator[int]:
        """A child that writes, collected at the end."""
        print(path, share, file=self.tell, flush=True)
        yield int(self.lines.readline())
        print(file=self.tell, flush=True)

    def ended(self) -> int | None:
        """The next finished cell; None after the last one."""
        word, _, cell = self.lines.readline().strip().partition(" ")
        return None if word == "over" else int(cell)


@pytest.fixture(scope="module")
def writers() -> Iterator[Writers]:
    with subprocess.Popen([sys.executable, WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        yield Writers(program)
        assert program.stdin is not None
        program.stdin.close()
        assert program.wait(10) == 0


def outputs(cell: Any) -> list[str]:
    """The texts of a cell's outputs."""
    return [output.text if output.output_type == "stream" else output.data["text/plain"] for output in cell.outputs]


@pytest.mark.parametrize("share", [0.0, 0.05, 1e9], ids=["journal only", "default", "full saves"])
def test_a_kill_at_any_moment_loses_no_finished_cell(tmp_path: Path, writers: Writers, share: float) -> None:
    chance = random.Random(share)  # noqa: S311 - moments, not secrets
    for attempt in range(25):
        path = tmp_path / f"{attempt}.ipynb"
        with writers.writing(path, share) as pid:
            ended = [writers.ended() for _ in range(chance.randrange(CELLS + 1))]
            time.sleep(chance.random() * 0.004)  # the moment is what is random
            os.kill(pid, signal.SIGKILL)
        ended += iter(writers.ended, None)
        if path.exists():
            nbformat.validate(json.loads(path.read_bytes()))
        recover(path)
        assert not list(tmp_path.glob(".*.saving-*"))
        if ended:
            notebook = nbformat.read(path, as_version=4)
            assert [cell.metadata.status for cell in notebook.cells[: len(ended)]] == ["completed"] * len(ended)
            for cell in range(len(ended)):
                assert outputs(notebook.cells[cell])[0] == f"{cell}: one\n{cell}: two\n"
                assert cell % 8 != 5 or len(notebook.cells[cell].outputs[1].data["image/png"]) == 1_000_000
                assert cell % 7 or not cell or f"updated by {cell}" in outputs(notebook.cells[cell // 2])
        assert not recover(path)


def test_a_reader_meets_a_complete_notebook_at_every_moment(tmp_path: Path, writers: Writers) -> None:
    path, seen = tmp_path / "out.ipynb", 0
    with writers.writing(path, 1e9):
        while (cell := writers.ended()) is not None and cell < CELLS - 1:
            nbformat.validate(json.loads(path.read_bytes()))
            seen += 1
    assert writers.ended() is None
    assert seen == CELLS - 1
    nbformat.validate(json.loads(path.read_bytes()))
