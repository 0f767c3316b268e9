"""papermill's bookkeeping of a run, with crash-safe saves and without secrets. Used by the engine and its clients."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbformat.v4 import new_output
from papermill.engines import NotebookExecutionManager
from papermill.iorw import LocalHandler, papermill_io
from papermill.log import logger

from workbench.execution.saving import NotebookFile, replace_notebook

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from workbench.execution.secrets import Scrubber

__all__ = ["Bookkeeping"]

SHARE = 0.05
"""Of a run's time, how much may go into scrubbing what a cell has put out so far, for saves before its end."""


class Bookkeeping(NotebookExecutionManager):  # type: ignore[misc]
    """Keeps times and states of cells as papermill does; saves cell by cell instead of the whole file each time.

    After `cell_complete` returns, no kill can lose the cell. What papermill writes itself, as to a bucket, is left to it.
    """

    scrubber: Scrubber
    output_path: str | None
    file: NotebookFile | None = None
    running: int | None = None
    began = spent = last = 0.0
    wait_for_kernel: Callable[[], None] = staticmethod(lambda: None)

    def begin(self, scrubber: Scrubber) -> None:
        """Says what to scrub with, and starts the output file."""
        self.scrubber, self.began = scrubber, time.perf_counter()
        local = _local(self.output_path)
        if local is not None:
            self.file = NotebookFile(local, self.nb)
            papermill_io.register(self.output_path, _LastWrites(local))
        self.notebook_start()

    def scrubbed(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """A message without secrets; a binary buffer that holds one is emptied.

        The pieces of a stream stay as they are until all that came so far is looked at together, by `save` and at the cell's
        end: a secret may begin in one and end in another.
        """
        if not self.scrubber or message["header"]["msg_type"] == "stream":
            return dict(message)
        buffers = [b"" if self.scrubber.find(each) else each for each in message.get("buffers", ())]
        return {**message, "content": self.scrubber.content(message["content"]), "buffers": buffers}

    def changed(self, index: int | None) -> None:
        """A cell's outputs or metadata changed."""
        if self.file is not None and index is not None:
            self.file.changed(index)

    def save(self, **given: Any) -> None:
        """Called by papermill's bookkeeping at every change."""
        with self._running_cell_scrubbed():
            if self.file is None:
                super().save(**given)
                return
            self.file.notebook = self.nb
            self.file.save()
            self.last_save_time = self.now()

    @contextmanager
    def _running_cell_scrubbed(self) -> Iterator[None]:
        """What the running cell has put out so far is written without secrets, but kept: the rest of one may be yet to come."""
        cell = self.nb.cells[self.running] if self.scrubber and self.running is not None else {}
        if not cell.get("outputs"):
            yield
            return
        outputs, started = cell["outputs"], time.perf_counter()
        cell["outputs"] = self.scrubber.content(outputs)
        self.last = time.perf_counter() - started
        self.spent += self.last
        try:
            yield
        finally:
            cell["outputs"] = outputs

    def cell_start(self, cell: NotebookNode, cell_index: int | None = None, **given: Any) -> None:
        """A cell begins."""
        self.running = cell_index
        self.changed(cell_index)
        super().cell_start(cell, cell_index, **given)

    def cell_complete(self, cell: NotebookNode, cell_index: int | None = None, **given: Any) -> None:
        """A cell ended, well or not."""
        if self.scrubber and "outputs" in cell:  # once more as a whole: a secret may have come in two messages
            cell.outputs = self.scrubber.content(cell.outputs)
        if self.file is None or cell_index is None:
            super().cell_complete(cell, cell_index, **given)
            return
        if self.log_output:
            logger.info("Ending Cell %s", f"{cell_index + 1:-<43}")
            sys.stdout.flush()
            sys.stderr.flush()
        times, now = cell.metadata.papermill, self.now()
        times["end_time"] = now.isoformat()
        if times["start_time"]:
            times["duration"] = (now - datetime.fromisoformat(times["start_time"])).total_seconds()
        if times["status"] != self.FAILED:
            times["status"] = self.COMPLETED
        self.file.cell_ended(cell_index)
        if self.pbar:
            self.pbar.update(1)

    def autosave_cell(self, **given: Any) -> None:
        """Called at every message: what a long cell has put out so far is saved now and then."""
        if self.spent + self.last > SHARE * (time.perf_counter() - self.began):
            return
        if self.file is None:
            super().autosave_cell(**given)
        elif self.autosave_cell_every:
            self.changed(self.running)
            self.save()

    def cell_interrupted(self, name: str, said: str) -> None:
        """The run ends in a cell for another reason than the cell's own error; papermill would call the cell completed."""
        if self.running is None:
            return
        cell = self.nb.cells[self.running]
        if cell.cell_type == "code" and not any(output.output_type == "error" for output in cell.outputs):
            said = self.scrubber.text(said)
            cell.outputs = [*cell.outputs, new_output("error", ename=name, evalue=said, traceback=[f"{name}: {said}"])]
        self.cell_exception(cell, cell_index=self.running)
        self.changed(self.running)

    def notebook_complete(self, **given: Any) -> None:
        """The run is over; cells that it did not reach stay pending, and the file is complete, valid and on disk.

        The kernel, which ends at the same time, is waited for.
        """
        try:
            self._complete(**given)
        finally:
            self.wait_for_kernel()

    def _complete(self, **given: Any) -> None:
        self.nb.metadata = self.scrubber.content(self.nb.metadata)
        pending = [cell for cell in self._unreached() if cell.metadata.papermill["status"] == self.PENDING]
        file, self.file = self.file, None  # papermill's last save is ours to make, once everything is set
        path, self.output_path = self.output_path, self.output_path if file is None else None
        super().notebook_complete(**given)
        self.file, self.output_path = file, path
        for cell in pending:
            cell.metadata.papermill["status"] = self.PENDING
        if file is not None:
            file.notebook = self.nb
            file.finish()

    def _unreached(self) -> list[NotebookNode]:
        """The cells behind the one that failed."""
        failed = [index for index, cell in enumerate(self.nb.cells) if cell.metadata.papermill["status"] == self.FAILED]
        return self.nb.cells[failed[0] + 1 :] if failed else []


class _LastWrites:
    """papermill writes the notebook once more when the engine is done, into the file as it is: a kill would leave half of it.

    Registered with papermill for one output path; what is there already is not written again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, path: str) -> str:
        return self.path.read_text(encoding="utf-8")

    def listdir(self, path: str) -> list[str]:
        return LocalHandler().listdir(path)  # type: ignore[no-any-return]

    def pretty_path(self, path: str) -> str:
        return path

    def write(self, buf: str, path: str) -> None:
        papermill_io._handlers[:] = [each for each in papermill_io._handlers if each[1] is not self]
        content = buf.encode()
        if self.path.read_bytes() != content:
            replace_notebook(self.path, content)


def _local(output_path: str | None) -> Path | None:
    """The output as a local file, or None where papermill must write it: a bucket, a device, nothing."""
    if not output_path:
        return None
    handler = papermill_io.get_handler(output_path)
    if isinstance(handler, _LastWrites):  # of a run that was interrupted
        return handler.path
    if not isinstance(handler, LocalHandler):
        return None
    folder = handler.cwd(None)  # papermill has changed into the notebook's folder, and writes from the one before
    handler.cwd(folder)
    path = Path(folder or ".", output_path).absolute()
    return path if path.is_file() or not path.exists() else None
