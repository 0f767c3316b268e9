"""Saves a notebook while it runs, so that no kill loses a finished cell or leaves a broken file. Called by the engine.

The output is replaced as a whole, by rename, as often as a twentieth of the run's time allows. Between two such saves each
finished cell goes to a journal beside the output, which `recover` merges into it after a kill: the process that forked the run's
kernel calls it at once (see `warm.mending`), and so does whoever continues the run. So the cost of a run's saves grows with what
its cells put out, not with its square as where the file is rewritten after each cell.
"""

from __future__ import annotations

import operator
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import RunFailed
from workbench.execution.journal import Journal, base_of, cells_in
from workbench.execution.serialising import cell_bytes, merged_bytes, notebook_bytes

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["NotebookFile", "recover", "replace_notebook", "with_finished_cells"]

SHARE = 0.05
"""Of the time that passes, how much may go into full saves."""


class NotebookFile:
    """The output file of a notebook that is being executed; for one thread of one process.

    Nothing is written before the first `save`. From then on the file is a complete notebook at every moment.

    Args:
        path: a local file, which need not exist; a relative one is taken from the working directory of now.
        notebook: in version 4 of the format; read again at each save, and never changed.

    Raises:
        RunFailed: `path` is something that cannot be replaced, such as a folder or a device.
    """

    def __init__(self, path: Path, notebook: NotebookNode) -> None:
        self.path = _replaceable(path)
        self.notebook = notebook
        self._journal = Journal.beside(self.path)
        self._base = ""  # of the last full save; empty while the journal has nothing to build on
        self._cells: list[NotebookNode] = []  # of the last full save, to notice cells inserted or removed
        self._bytes: list[bytes] = []
        self._changed: set[int] = set()  # cells that neither the output nor the journal holds as they are now
        self._journaled = False
        self._began = time.perf_counter()
        self._spent = self._last = 0.0  # seconds in full saves: all of them, the last one

    def changed(self, index: int) -> None:
        """Says that the source, metadata or outputs of the cell at this position changed; costs nothing."""
        if index < len(self._cells) and self._cells[index] is self.notebook.cells[index]:
            self._changed.add(index)
        else:  # positions have moved, so the next save takes all cells anew, even if they should move back
            self._cells.clear()

    def save(self) -> None:
        """Brings the output up to date if a cell changed and the time spent on that allows it, else does nothing.

        Raises:
            RunFailed: the file cannot be written, for instance because the disk is full; what was saved before stays.
        """
        affordable = self._spent + self._last <= SHARE * (time.perf_counter() - self._began)
        if not self._base or (affordable and (self._changed or self._journaled or not self._cells_are_the_same())):
            self._replace()

    def cell_ended(self, index: int) -> None:
        """Keeps a finished cell and whatever else changed: once this returns, a kill at any moment loses nothing of it.

        It is not forced to the disk as `finish` does: a failure of power can lose the last seconds.

        Raises:
            RunFailed: the file cannot be written, for instance because the disk is full; what was saved before stays.
        """
        self.changed(index)
        if not (self._base and self._cells_are_the_same()):
            self._replace()
            return
        self._serialise()
        with _failing_as(self.path):
            self._journal.append(self._base, {changed: self._bytes[changed] for changed in sorted(self._changed)})
        self._changed.clear()
        self._journaled = True

    def finish(self) -> None:
        """Writes the final file, byte for byte what `nbformat.writes` makes of the notebook, and forces it to the disk.

        The journal is removed.

        Raises:
            RunFailed: the file cannot be written, for instance because the disk is full; what was saved before stays.
        """
        self._serialise()
        content = notebook_bytes(self.notebook, self._bytes)
        self._base = ""
        try:
            with _failing_as(self.path):
                _publish(self.path, content, durable=True)
                self._journal.remove()
        finally:
            self._journal.close()

    def _cells_are_the_same(self) -> bool:
        cells = self.notebook.cells
        return len(cells) == len(self._cells) and all(map(operator.is_, cells, self._cells))

    def _serialise(self) -> None:
        if not self._cells_are_the_same():
            self._bytes = [cell_bytes(cell) for cell in self.notebook.cells]
            self._cells = list(self.notebook.cells)
            return
        for index in self._changed:
            self._bytes[index] = cell_bytes(self._cells[index])

    def _replace(self) -> None:
        began = time.perf_counter()
        self._base = ""  # an interrupt anywhere below must not leave the base of a file that is gone
        try:
            self._serialise()
            content = notebook_bytes(self.notebook, self._bytes)
            with _failing_as(self.path):
                _publish(self.path, content)
                self._journal.remove()
            self._base = base_of(content)
            self._changed.clear()
            self._journaled = False
        finally:
            self._last = time.perf_counter() - began
            self._spent += self._last


def replace_notebook(path: Path, content: bytes) -> None:
    """Replaces an output by a complete one, and forces it to the disk.

    Raises:
        RunFailed: the file cannot be written, for instance because the disk is full; what was saved before stays.
    """
    with _failing_as(path):
        _publish(_replaceable(path), content, durable=True)


def recover(path: Path) -> bool:
    """Merges the finished cells that a killed run left in its journal into its output, and clears away what it left half done.

    While a living process writes the output, nothing is done. Calling it again, or twice at once, or after a kill of this very
    call, is safe. Where the output is not the one that the journal goes with, say since a person edited it, both stay as they
    are.

    Args:
        path: the output notebook.

    Returns:
        Whether there was something to recover.

    Raises:
        RunFailed: the output or its journal cannot be read or written, or is no file.
    """
    path = _replaceable(path)
    with _failing_as(path):
        for unfinished in path.parent.glob(f"{escape(_temporary(path, ''))}*"):
            if not _lives(unfinished.name.rpartition("-")[2]):
                unfinished.unlink(missing_ok=True)
        journal = Journal.beside(path)
        with journal.left() as records:
            content = path.read_bytes() if path.exists() else b""
            cells = cells_in(records, base_of(content))
            if cells:
                _publish(path, merged_bytes(content, cells), durable=True)
                journal.remove()
        return bool(cells)


def with_finished_cells(path: Path) -> bytes:
    """The output as `recover` would leave it; changes nothing, and so may be called while the run goes on."""
    with suppress(FileNotFoundError):
        records = Journal.beside(path).path.read_bytes()  # first: an output that was replaced since has these cells itself
        content = path.read_bytes()
        if cells := cells_in(records, base_of(content)):
            return merged_bytes(content, cells)
    return path.read_bytes()


def _lives(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return True


def _replaceable(path: Path) -> Path:
    resolved = Path(os.path.realpath(path))  # a link is written through, as open() would, and not replaced
    with _failing_as(path):
        if resolved.exists() and not resolved.is_file():
            raise RunFailed(
                f"{path} is not an ordinary file", hint="Name a new file, or one that may be replaced, for the output."
            )
    return resolved


@contextmanager
def _failing_as(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunFailed(
            f"cannot save {path}: {error.strerror or error}",
            hint="Its folder must exist, be writable and have space left. What was saved before is still there.",
        ) from error


def _temporary(path: Path, owner: object) -> str:
    return f".{path.name}.saving-{owner}"


def _publish(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Puts a complete file in the place of another, with the access rights that writing to it with open() would leave."""
    temporary = path.with_name(_temporary(path, os.getpid()))
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o666)
        with open(handle, "wb") as stream:
            with suppress(FileNotFoundError):
                os.fchmod(handle, stat.S_IMODE(path.stat().st_mode))
            stream.write(content)
            if durable:
                stream.flush()
                os.fsync(handle)
        temporary.replace(path)
        if durable:
            _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
