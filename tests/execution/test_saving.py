from __future__ import annotations

import json
import os
import random
import stat
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode, v4
from papermill.iorw import write_ipynb

from workbench.errors import RunFailed
from workbench.execution import saving
from workbench.execution.journal import Journal, base_of
from workbench.execution.saving import NotebookFile, recover, with_finished_cells


def run_of(cells: int, output: str = "") -> NotebookNode:
    """A notebook of code cells, each with one output."""
    made: NotebookNode = v4.new_notebook(
        cells=[
            v4.new_code_cell(f"print({place})", outputs=[v4.new_output("stream", text=f"{place}\n{output}")])
            for place in range(cells)
        ],
        metadata={"papermill": {"exception": None}},
    )
    return made


def written(notebook: NotebookNode) -> bytes:
    """The file as nbformat makes it."""
    return nbformat.writes(notebook).encode()


def hidden(folder: Path) -> list[str]:
    """What a user does not expect to be left."""
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


@given(st.lists(st.sampled_from(["output", "update", "save", "end", "insert", "remove", "swap"]), max_size=25), st.randoms())
@settings(deadline=None)
def test_after_a_cell_ended_recovering_gives_the_notebook_of_that_moment(steps: list[str], chance: random.Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, notebook = Path(folder, "out.ipynb"), run_of(3)
        file = NotebookFile(path, notebook)
        for number, step in enumerate([*steps, "end"]):
            place = chance.randrange(len(notebook.cells))
            match step:
                case "output" | "update":
                    notebook.cells[place].outputs.append(v4.new_output("stream", text=f"{number}\n"))
                    file.changed(place)
                case "save":
                    file.save()
                case "insert":
                    notebook.cells.insert(place, v4.new_code_cell(f"new({number})"))
                case "remove" if len(notebook.cells) > 1:
                    del notebook.cells[place]
                case "swap":
                    notebook.cells.reverse()
                case "end":
                    file.cell_ended(place)
        recover(path)
        assert path.read_bytes() == written(notebook)
        assert not recover(path)


def test_a_cell_that_changed_at_another_position_is_kept_where_it_ends(tmp_path: Path) -> None:
    notebook, path = run_of(2), tmp_path / "out.ipynb"
    file = NotebookFile(path, notebook)
    file.save()
    notebook.cells.insert(0, v4.new_markdown_cell("for a moment"))
    notebook.cells[2].source = "changed as cell 2"
    file.changed(2)
    del notebook.cells[0]
    file.cell_ended(0)
    recover(path)
    assert path.read_bytes() == written(notebook)


def test_text_that_utf8_cannot_hold_is_saved_and_read_back(tmp_path: Path) -> None:
    notebook, path = run_of(1, output="lone \ud800 surrogate"), tmp_path / "out.ipynb"
    NotebookFile(path, notebook).finish()
    assert nbformat.read(path, as_version=4).cells[0].outputs[0].text == "0\nlone \ud800 surrogate"


def test_nothing_is_written_before_the_first_save(tmp_path: Path) -> None:
    file = NotebookFile(tmp_path / "out.ipynb", run_of(2))
    file.changed(0)
    assert not list(tmp_path.iterdir())
    file.save()
    assert [path.name for path in tmp_path.iterdir()] == ["out.ipynb"]


def test_a_finished_run_leaves_only_the_notebook(tmp_path: Path) -> None:
    notebook, path = run_of(3), tmp_path / "out.ipynb"
    file = NotebookFile(path, notebook)
    for place in range(3):
        file.save()
        file.cell_ended(place)
    notebook.metadata.papermill.exception = True
    notebook.cells.insert(0, v4.new_markdown_cell("An exception was encountered"))
    file.finish()
    assert path.read_bytes() == written(notebook)
    assert not hidden(tmp_path)


def test_a_file_can_be_written_on_after_it_was_finished(tmp_path: Path) -> None:
    notebook, path = run_of(2), tmp_path / "out.ipynb"
    file = NotebookFile(path, notebook)
    file.finish()
    notebook.cells[1].source = "changed"
    file.cell_ended(1)
    assert not recover(path)
    assert path.read_bytes() == written(notebook)


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_the_file_gets_the_rights_that_open_would_give(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        file = NotebookFile(tmp_path / "out.ipynb", run_of(1))
        file.save()
        file.cell_ended(0)
        (tmp_path / "opened").write_text("")
    finally:
        os.umask(before)
    rights = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert rights["out.ipynb"] == rights["opened"]
    assert rights[".out.ipynb.cells"] == 0o600


def test_an_existing_file_keeps_its_rights(tmp_path: Path) -> None:
    path = tmp_path / "out.ipynb"
    path.touch(0o600)
    path.chmod(0o640)
    NotebookFile(path, run_of(1)).finish()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link, target = tmp_path / "out.ipynb", tmp_path / "elsewhere" / "real.ipynb"
    link.symlink_to(target)
    NotebookFile(link, notebook := run_of(1)).finish()
    assert link.is_symlink()
    assert target.read_bytes() == written(notebook)


@pytest.mark.parametrize("output", [Path(os.devnull), Path(tempfile.gettempdir())])
def test_a_device_or_folder_is_refused_and_not_replaced(output: Path) -> None:
    with pytest.raises(RunFailed, match="is not an ordinary file"):
        NotebookFile(output, run_of(1))


def test_a_missing_folder_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match=r"cannot save .*nowhere.out\.ipynb: No such file"):
        NotebookFile(tmp_path / "nowhere" / "out.ipynb", run_of(1)).save()


FULL_DISK = """
import resource, sys
from pathlib import Path
from nbformat import v4
from workbench.errors import RunFailed
from workbench.execution.saving import NotebookFile

notebook = v4.new_notebook(cells=[v4.new_code_cell(name) for name in "ab"])
file = NotebookFile(Path(sys.argv[1]), notebook)
file.save()
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
notebook.cells[0].outputs = [v4.new_output("stream", text="kept")]
file.cell_ended(0)
notebook.cells[1].outputs = [v4.new_output("stream", text="x" * 100_000)]
for attempt in (lambda: file.cell_ended(1), file.finish, lambda: file.cell_ended(1)):
    try:
        attempt()
    except RunFailed as error:
        print(error.message)
    if sys.argv[2] == "journal":
        break
notebook.cells[1].outputs = [v4.new_output("stream", text="short")]
if sys.argv[2] == "journal":
    file.cell_ended(1)
"""


@pytest.mark.parametrize("where", ["journal", "file"])
def test_a_full_disk_is_an_error_that_leaves_what_was_saved(tmp_path: Path, where: str) -> None:
    path = tmp_path / "out.ipynb"
    ended = subprocess.run([sys.executable, "-c", FULL_DISK, path, where], capture_output=True, text=True, check=True, timeout=60)
    errors = ended.stdout.splitlines()
    assert errors == [f"cannot save {path}: File too large"] * (1 if where == "journal" else 3)
    nbformat.validate(json.loads(path.read_bytes()))
    assert hidden(tmp_path) == [".out.ipynb.cells"]
    assert recover(path)
    texts = ["".join(output.text) for cell in nbformat.read(path, as_version=4).cells for output in cell.outputs]
    assert texts == (["kept", "short"] if where == "journal" else ["kept"])


def test_a_torn_record_is_ignored_wherever_it_tore(tmp_path: Path) -> None:
    notebook, path = run_of(2), tmp_path / "out.ipynb"
    file = NotebookFile(path, notebook)
    file.save()
    journal, saved = tmp_path / ".out.ipynb.cells", path.read_bytes()
    notebook.cells[0].source = "first"
    file.cell_ended(0)
    whole, first = written(notebook), journal.stat().st_size
    notebook.cells[1].source = "second"
    file.cell_ended(1)
    records = journal.read_bytes()
    for length in range(0, len(records), 7):
        path.write_bytes(saved)
        journal.write_bytes(records[:length])
        assert recover(path) == (length >= first)
        assert path.read_bytes() == (whole if length >= first else saved)


def test_a_journal_of_another_content_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.ipynb"
    file = NotebookFile(path, run_of(2))
    file.save()
    file.cell_ended(0)
    path.write_bytes(edited := written(run_of(2, output="edited by hand")))
    assert not recover(path)
    assert path.read_bytes() == edited


def test_recovering_where_nothing_was_left_does_nothing(tmp_path: Path) -> None:
    assert not recover(tmp_path / "out.ipynb")
    Journal.beside(tmp_path / "out.ipynb").append(base_of(b"{}"), {0: b"{}"})
    assert not recover(tmp_path / "out.ipynb")


WRITER = """
import sys
from pathlib import Path
from nbformat import v4
from workbench.execution.saving import NotebookFile
notebook = v4.new_notebook(cells=[v4.new_code_cell("began")])
file = NotebookFile(Path(sys.argv[1]), notebook)
file.save()
notebook.cells[0].source = "finished"
file.cell_ended(0)
print("saved", flush=True)
sys.stdin.readline()
"""


def test_the_output_of_a_living_run_is_read_with_its_finished_cells_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.ipynb"
    with subprocess.Popen([sys.executable, "-c", WRITER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"saved\n"
        half = tmp_path / f".out.ipynb.saving-{writer.pid}"
        half.touch()
        before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
        assert not recover(path)
        now = with_finished_cells(path)
        assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before
        writer.kill()
    with ThreadPoolExecutor(8) as several:
        assert sorted(several.map(lambda _: recover(path), range(8))) == [*[False] * 7, True]
    assert path.read_bytes() == now == with_finished_cells(path)
    assert nbformat.reads(now, as_version=4).cells[0].source == "finished"
    assert not hidden(tmp_path)


def test_full_saves_take_a_twentieth_of_the_time(tmp_path: Path) -> None:
    notebook = run_of(40, output="x" * 20_000)
    path = tmp_path / "out.ipynb"
    file = NotebookFile(path, notebook)
    began, costs, seen = time.perf_counter(), [], 0
    while (elapsed := time.perf_counter() - began) < 1.0 or len(costs) < 5:
        file.changed(0)
        before = time.perf_counter()
        file.save()
        cost = time.perf_counter() - before
        if (changed := path.stat().st_mtime_ns) != seen:
            costs.append(cost)
            seen = changed
    assert sum(costs) < 0.07 * elapsed + 2 * max(costs)  # a busy machine stops the clock's reader now and then


def test_a_save_with_nothing_new_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "SHARE", 1e9)
    path = tmp_path / "out.ipynb"
    file = NotebookFile(path, run_of(2))
    file.save()
    first = path.stat().st_ino, path.stat().st_mtime_ns
    file.save()
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == first
    file.cell_ended(1)
    file.save()
    assert (path.stat().st_ino, path.stat().st_mtime_ns) != first
    assert not hidden(tmp_path)  # the journal is not needed any more


@pytest.mark.parametrize(("cells", "output"), [(200, ""), (100, "x" * 200_000)], ids=["200 small cells", "20 MB"])
def test_keeping_a_cell_costs_a_hundredth_of_rewriting_the_notebook(tmp_path: Path, cells: int, output: str) -> None:
    notebook = run_of(cells, output)
    began = time.process_time()
    for _ in range(3):
        write_ipynb(notebook, str(tmp_path / "theirs.ipynb"))
    theirs = 2 * (time.process_time() - began) / 3  # papermill saves as a cell begins, and as it ends
    file = NotebookFile(tmp_path / "ours.ipynb", notebook)
    file.save()
    began = time.process_time()
    for place in range(cells):
        file.changed(place)
        file.save()
        file.cell_ended(place)
    ours = (time.process_time() - began) / cells
    assert theirs / ours >= 100
