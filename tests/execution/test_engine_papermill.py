"""`papermill --engine workbench` takes the options that its users know."""

from __future__ import annotations

import os
import subprocess
import sys

import nbformat
import papermill
import pytest

from workbench.errors import RunFailed

PARAMETERS = "number = 1\nname = 'none'"
TYPED = "from typing import Annotated\n\nfrom annotated_types import Ge, Le\n\nrounds: Annotated[int, Ge(1), Le(10)] = 1"


@pytest.mark.parametrize("first", ["workbench.execution.engine", "papermill", "workbench.execution.papermill_run"])
def test_the_engine_is_found_whatever_is_imported_first(first):
    found = "from papermill.engines import papermill_engines; print(papermill_engines.get_engine('workbench').execute_notebook)"
    done = subprocess.run([sys.executable, "-c", f"import {first}\n{found}"], capture_output=True, text=True, check=False)
    assert "WorkbenchEngine.execute_notebook" in done.stdout, done.stderr


@pytest.fixture
def command(tmp_path):
    """Runs papermill on a notebook `in.ipynb` of these cells, in this folder."""

    def run(*arguments: str, cells: tuple[str, ...] = ("print('out')", "import sys; print('err', file=sys.stderr)")):
        nodes = [nbformat.v4.new_code_cell(source) for source in cells]
        if cells[0] in (PARAMETERS, TYPED):
            nodes[0].metadata.tags = ["parameters"]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=nodes, metadata=kernel), tmp_path / "in.ipynb")
        line = [sys.executable, "-m", "papermill", "--engine", "workbench", "-k", "python3", *arguments]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ})

    return run


def test_parameters_working_folder_and_relative_paths(command, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    cells = (PARAMETERS, "import os\nprint(number + 1, name, os.path.basename(os.getcwd()))")
    given = ("-p", "number", "41", "-y", "name: yes it is", "--cwd", "elsewhere", "--no-progress-bar", "--report-mode")
    done = command("in.ipynb", "out.ipynb", *given, cells=cells)
    assert done.returncode == 0, done.stderr
    notebook = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert notebook.cells[2].outputs[0].text == "42 yes it is elsewhere\n"
    assert notebook.cells[2].metadata.jupyter.source_hidden
    assert notebook.metadata.papermill.parameters == {"number": 41, "name": "yes it is"}
    assert "Executing:" not in done.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("rounds", "11"), "rounds: given 11, input should be less than or equal to 10"),
        (("rounds", "many"), "rounds: given 'many'"),
        (("ruonds", "2"), "ruonds: unknown parameter. Did you mean 'rounds'?"),
    ],
)
def test_a_typed_notebook_is_not_run_with_what_it_cannot_take(command, tmp_path, given, said):
    done = command("in.ipynb", "out.ipynb", "-p", *given, cells=(TYPED, "print(rounds)"))
    assert done.returncode == 1
    assert said in done.stderr
    assert "No kernel was started" in done.stderr
    assert not (tmp_path / "out.ipynb").exists()


def test_the_log_and_the_streams_can_be_followed(command, tmp_path):
    done = command("in.ipynb", "out.ipynb", "--log-output", "--stdout-file", "said.txt", "--stderr-file", "warned.txt")
    assert done.returncode == 0, done.stderr
    assert "out" in done.stderr
    assert (tmp_path / "said.txt").read_text() == "out\n"
    assert (tmp_path / "warned.txt").read_text() == "err\n"


def test_the_notebook_can_be_written_to_the_standard_output(command, tmp_path):
    done = command("in.ipynb", "-", "--no-progress-bar")
    assert done.returncode == 0, done.stderr
    written = nbformat.reads(done.stdout, as_version=4)
    assert written.cells[0].outputs[0].text == "out\n"
    assert [path.name for path in tmp_path.iterdir()] == ["in.ipynb"]


def test_a_failure_is_told_and_shown_as_papermill_does(command, tmp_path):
    done = command("in.ipynb", "out.ipynb", cells=("1 / 0", "2"))
    assert done.returncode == 1
    assert "ZeroDivisionError: division by zero" in done.stderr
    cells = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
    assert [cell.cell_type for cell in cells] == ["markdown", "markdown", "code", "code"]
    assert [cell.metadata.papermill.status for cell in cells[2:]] == ["failed", "pending"]


def test_nothing_is_written_where_no_output_is_named(runs):
    found = papermill.execute_notebook(str(runs.write("print(1)")), None, engine_name="workbench", progress_bar=False)
    assert found.cells[0].outputs[0].text == "1\n"
    assert [path.name for path in runs.folder.iterdir()] == ["in.ipynb"]


def test_an_output_over_the_source_is_written_like_any_other(runs):
    path = runs.write("print(1)")
    papermill.execute_notebook(str(path), str(path), engine_name="workbench", progress_bar=False)
    assert nbformat.read(path, as_version=4).cells[0].outputs[0].text == "1\n"


def test_the_last_write_of_papermill_itself_is_one_rename(runs):
    """After a failing cell papermill writes the file with its two cells of explanation: no reader sees half of it."""
    readers = []

    def look(cell: object, cell_index: int) -> None:
        readers.append(runs.output.open())

    with pytest.raises(papermill.PapermillExecutionError):
        runs("1", "1 / 0", on_cell_start=look)
    for reader in readers:
        with reader:
            assert len(nbformat.reads(reader.read(), as_version=4).cells) == 2, "who opened it before reads what was there then"
    assert len(runs.notebook.cells) == 4
    assert runs.output.read_text() == nbformat.writes(runs.notebook)


def test_a_second_run_in_one_process_is_as_good_as_the_first(runs):
    for number in range(3):
        assert runs(f"print({number})") == [f"{number}\n"]
    with pytest.raises(papermill.PapermillExecutionError):
        runs("1 / 0")
    assert runs("print('again')") == ["again\n"]


def test_a_folder_that_is_not_there_is_named(runs):
    with pytest.raises(RunFailed, match=r"cannot save .*not_there/out\.ipynb: No such file"):
        papermill.execute_notebook(
            str(runs.write("1")), str(runs.folder / "not_there" / "out.ipynb"), engine_name="workbench", progress_bar=False
        )
