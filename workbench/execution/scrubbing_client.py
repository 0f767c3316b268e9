"""papermill's notebook client without secrets: in what it keeps of a kernel's messages, and in what it logs. Used by `engine`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_core.utils import run_sync
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_output
from papermill.clientwrap import PapermillNotebookClient

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from workbench.execution.bookkeeping import Bookkeeping

__all__ = ["ScrubbingClient", "StandardClient"]


class ScrubbingClient(PapermillNotebookClient):  # type: ignore[misc]
    """papermill's own client; secrets are taken out of its messages, and out of the outputs that it logs."""

    nb_man: Bookkeeping

    def __init__(self, nb_man: Bookkeeping, **options: Any) -> None:
        """The options are nbclient's."""
        super().__init__(nb_man, **options)
        self._unfinished: dict[str, str] = {}

    @property
    def first(self) -> int:
        """The position of the first cell to run."""
        return 0

    def papermill_execute_cells(self) -> None:
        """Papermill's loop, from the cell `first` on; an interrupted cell is marked before it is saved: a kill may follow."""
        for index, cell in enumerate(self.nb.cells):
            if index < self.first:
                continue
            try:
                self.nb_man.cell_start(cell, index)
                self.execute_cell(cell, index)
            except CellExecutionError as error:
                self.nb_man.cell_exception(self.nb.cells[index], cell_index=index, exception=error)
                break
            except BaseException as error:
                self.nb_man.cell_exception(self.nb.cells[index], cell_index=index, exception=error)
                raise
            finally:
                self.nb_man.cell_complete(self.nb.cells[index], cell_index=index)

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        """Nbclient's handling of a message, after secrets were taken out of it."""
        handled: NotebookNode | None = super().process_message(self.nb_man.scrubbed(msg), cell, cell_index)
        return handled

    def log_output_message(self, output: NotebookNode) -> None:
        """papermill's; where there are secrets, streams are logged line by line, as one may come in several pieces."""
        if self.nb_man.scrubber and output.output_type == "stream":
            lines, end, rest = (self._unfinished.pop(output.name, "") + output.text).rpartition("\n")
            if rest:
                self._unfinished[output.name] = rest
            output = new_output("stream", name=output.name, text=lines + end)
        if output.get("text") != "":
            super().log_output_message(self.nb_man.scrubber.content(output))

    def log_rest(self) -> None:
        """At the end of a cell: logs the last lines of its streams, which lack their end."""
        unfinished, self._unfinished = self._unfinished, {}
        for name, text in unfinished.items():
            super().log_output_message(self.nb_man.scrubber.content(new_output("stream", name=name, text=text)))


class StandardClient(ScrubbingClient):
    """The client for a kernel that was not forked."""

    async def async_execute_cell(
        self, cell: NotebookNode, cell_index: int, execution_count: int | None = None, store_history: bool = True
    ) -> NotebookNode:
        """Nbclient's, of which `execute_cell` is made."""
        try:
            executed: NotebookNode = await super().async_execute_cell(cell, cell_index, execution_count, store_history)
            return executed
        finally:
            self.log_rest()

    execute_cell = run_sync(async_execute_cell)
