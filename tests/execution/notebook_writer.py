"""A program whose children write notebooks and are killed: for each `PATH SHARE` on stdin it prints a pid, then `ended N` lines.

A further line on stdin makes it collect the child and print `over`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nbformat import NotebookNode, v4

from workbench.execution import saving

CELLS = 24


def put_out(index: int, cell: NotebookNode) -> None:
    """What cell `index` puts out: two lines, and every eighth cell an image of 1 MB."""
    cell.outputs.append(v4.new_output("stream", text=f"{index}: one\n{index}: two\n"))
    if index % 8 == 5:
        cell.outputs.append(v4.new_output("display_data", data={"image/png": "A" * 1_000_000, "text/plain": "<Figure>"}))


def write(path: Path) -> None:
    """One run, as the engine saves it; cell 7 and its multiples also update what an earlier cell showed."""
    notebook = v4.new_notebook(
        cells=[v4.new_code_cell(f"cell({index})", metadata={"status": "pending"}) for index in range(CELLS)]
    )
    file = saving.NotebookFile(path, notebook)
    file.save()
    for index, cell in enumerate(notebook.cells):
        cell.metadata.status = "running"
        file.changed(index)
        file.save()
        put_out(index, cell)
        if index % 7 == 0 and index:
            earlier = notebook.cells[index // 2]
            earlier.outputs.append(v4.new_output("display_data", data={"text/plain": f"updated by {index}"}))
            file.changed(index // 2)
        file.changed(index)
        file.save()
        cell.metadata.status = "completed"
        file.cell_ended(index)
        os.write(1, f"ended {index}\n".encode())
    file.finish()


def main() -> None:
    """Forks a writer for each line, so that none waits for imports."""
    while line := sys.stdin.readline().split():
        child = os.fork()
        if not child:
            os.write(1, f"{os.getpid()}\n".encode())
            saving.SHARE = float(line[1])
            write(Path(line[0]))
            os._exit(0)
        sys.stdin.readline()
        os.waitpid(child, 0)
        os.write(1, b"over\n")


if __name__ == "__main__":
    main()
