"""The papermill engine: what a run records, what it refuses, and where it goes the standard way."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from pathlib import Path

import nbformat
import papermill
import pytest

from workbench.execution.bookkeeping import Bookkeeping

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def test_each_cell_tells_what_it_cost(runs):
    runs(
        "kept = bytearray(200_000_000)",
        "del kept",
        "import time\nbegan = time.process_time()\nwhile time.process_time() < began + 0.2: pass",
    )
    grown, freed, busy = (cell.metadata.workbench for cell in runs.code)
    assert grown.resident_bytes > 200_000_000
    assert grown.peak_bytes >= grown.resident_bytes
    assert freed.resident_bytes < grown.resident_bytes - 150_000_000
    assert busy.peak_bytes < grown.peak_bytes - 150_000_000, "each cell has a peak of its own"
    assert 0.2 <= busy.cpu_seconds < 5
    assert busy.seconds >= 0.2


def test_processes_that_a_cell_waited_for_count(runs):
    runs("import subprocess, sys\n_ = subprocess.run([sys.executable, '-c', 'sum(range(10**7))'])")
    assert runs.code[0].metadata.workbench.cpu_seconds > 0.05


def test_a_cell_that_puts_out_too_much_fails_loudly(runs):
    with pytest.raises(papermill.PapermillExecutionError, match="OutputTooLarge: the cell has sent more than 100,000 bytes"):
        runs("print('x' * 60_000)", "for _ in range(10):\n    print('y' * 60_000, flush=True)", "1", cell_bytes=100_000)
    first, second, third = runs.code
    assert [each.metadata.papermill.status for each in runs.code] == ["completed", "failed", "pending"]
    assert len(first.outputs[0].text) == 60_001
    stream, error = second.outputs
    assert 60_000 < len(stream.text) < 300_000
    assert error.ename == "OutputTooLarge"
    assert not third.outputs


def test_a_notebook_that_puts_out_too_much_fails_loudly(runs):
    with pytest.raises(papermill.PapermillExecutionError, match="the notebook has sent more than 150,000 bytes"):
        runs(*["print('x' * 60_000)"] * 5, notebook_bytes=150_000)
    assert [each.metadata.papermill.status for each in runs.code] == ["completed"] * 2 + ["failed"] + ["pending"] * 2


def test_a_cell_that_takes_too_long_fails_with_what_it_was_doing(runs):
    with pytest.raises(TimeoutError, match="after 1 seconds"):
        runs("print('before', flush=True)\nimport time\ntime.sleep(60)", "1", execution_timeout=1)
    first, second = runs.code
    assert first.metadata.papermill.status == "failed"
    assert first.outputs[0].text == "before\n"
    assert "----> 3 time.sleep(60)" in COLOURS.sub("", "".join(first.outputs[1].traceback))
    assert second.metadata.papermill.status == "pending"


def test_a_cell_that_ignores_its_time_out_is_killed(runs):
    deaf = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True:\n    time.sleep(1)"
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        runs(deaf, execution_timeout=1)
    assert time.monotonic() - began < 10
    assert runs.code[0].metadata.papermill.status == "failed"


def test_the_notebook_says_that_it_ran_warm(runs):
    runs("1")
    assert runs.notebook.metadata.workbench == {"kernel": "warm"}
    assert runs.notebook.metadata.language_info.name == "python"


@pytest.fixture
def kernelspec(tmp_path, monkeypatch):
    """Installs a kernelspec of this name and command."""

    def install(name: str, *command: str) -> None:
        folder = tmp_path / "jupyter" / "kernels" / name
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text(json.dumps({"argv": list(command), "display_name": name, "language": "python"}))
        monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))

    return install


IPYKERNEL = ("-m", "ipykernel_launcher", "-f", "{connection_file}")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ((f"python3.{sys.version_info[1]}", *IPYKERNEL[:2], "--quiet", *IPYKERNEL[2:]), None),
        ((sys.executable, "-Xfrozen_modules=off", *IPYKERNEL), "the kernel is not ipykernel but"),
        ((str(Path(sys.base_prefix) / "bin" / "python3"), *IPYKERNEL), "the kernel has another interpreter"),
        (("env", "python3", *IPYKERNEL), "the kernel is not ipykernel but env python3"),
    ],
)
def test_a_kernel_that_the_warm_process_is_not_is_started_as_ever(kernelspec, command, reason):
    from workbench.execution.kernels import environment_of
    from workbench.execution.warm.asking import Unavailable

    kernelspec("special", *command)
    if reason is None:
        assert environment_of("special")
    else:
        with pytest.raises(Unavailable, match=reason):
            environment_of("special")


def test_without_a_warm_kernel_the_run_goes_the_standard_way_and_says_why(runs, kernelspec, caplog):
    kernelspec("special", sys.executable, "-Xfrozen_modules=off", *IPYKERNEL)
    with caplog.at_level(logging.WARNING, "papermill"):
        assert runs("print(1)", kernel_name="special") == ["1\n"]
    assert runs.notebook.metadata.workbench.kernel == "standard"
    assert runs.notebook.metadata.workbench.reason.startswith("the kernel is not ipykernel but")
    assert "no warm kernel, the standard engine is used: the kernel is not ipykernel" in caplog.text


def test_turned_off_the_run_goes_the_standard_way_and_keeps_its_promises(runs, monkeypatch):
    monkeypatch.setenv("WORKBENCH_WARM", "0")
    with pytest.raises(RuntimeError, match="Kernel died"):
        runs("print('kept')", "print('partly', flush=True)\nimport os, time\ntime.sleep(0.5)\nos._exit(3)", "1")
    assert runs.notebook.metadata.workbench.reason == "WORKBENCH_WARM turns warm kernels off"
    assert [each.metadata.papermill.status for each in runs.code] == ["completed", "failed", "pending"]
    assert [each.outputs[0].text for each in runs.code[:2]] == ["kept\n", "partly\n"]


def test_options_for_a_kernel_with_channels_lead_the_standard_way(runs):
    from jupyter_client.manager import AsyncKernelManager

    assert runs("print(1)", kernel_manager_class=AsyncKernelManager) == ["1\n"]
    assert "kernel_manager_class concern a kernel with channels" in runs.notebook.metadata.workbench.reason


TWO_STREAMS = (
    "import sys, time\nprint('a')\nprint('b', file=sys.stderr)\ntime.sleep(0.5)\nprint('c')\nprint('d', file=sys.stderr)"
)


def test_texts_of_two_streams_stay_whole_and_in_order_as_in_any_kernel(runs):
    runs(TWO_STREAMS, "time.sleep(0.3)\n" + TWO_STREAMS)
    for cell in runs.code:
        assert [(each.name, each.text) for each in cell.outputs] == [
            ("stdout", "a\n"),
            ("stderr", "b\n"),
            ("stdout", "c\n"),
            ("stderr", "d\n"),
        ]


def test_pandas_knows_that_it_is_imported_in_a_notebook(runs):
    assert runs("import pandas\npandas.get_option('display.max_columns')") == ["20"]


def test_the_file_is_byte_for_byte_what_nbformat_writes(runs):
    runs(
        "from IPython.display import HTML\nprint('ä\\u2028')", "HTML('<b>b</b>')", "import sys; print('e', file=sys.stderr); 1.5"
    )
    content = runs.output.read_text(encoding="utf-8")
    assert content == nbformat.writes(runs.notebook)
    assert not [path for path in runs.folder.iterdir() if path.name.startswith(".")]


def test_hooks_of_nbclient_are_called_whether_they_are_coroutines_or_not(runs):
    called: list[str] = []

    async def on_start(cell: object, cell_index: int) -> None:
        called.append(f"start {cell_index}")

    runs(
        "1",
        "2",
        on_cell_start=on_start,
        on_cell_executed=lambda cell, cell_index, execute_reply: called.append(f"done {cell_index}"),
    )
    assert called == ["start 0", "done 0", "start 1", "done 1"]


def test_after_a_cell_that_may_fail_the_run_goes_on_as_under_papermill(runs):
    path = runs.write("1 / 0", "print('went on')")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].metadata.tags = ["raises-exception"]
    nbformat.write(notebook, path)
    with pytest.raises(papermill.PapermillExecutionError):  # papermill judges by the outputs alone, at the end
        papermill.execute_notebook(str(path), str(runs.output), engine_name="workbench", progress_bar=False)
    assert runs.code[0].outputs[0].ename == "ZeroDivisionError"
    assert runs.code[1].outputs[0].text == "went on\n"


def test_progress_is_told_by_papermills_bar(runs, capfd):
    runs("1", "2", progress_bar=True)
    assert "Executing: 100%" in capfd.readouterr().err


def test_each_finished_cell_is_on_the_disk_when_the_next_begins(runs):
    seen: list[list[str]] = []

    def look(cell: object, cell_index: int) -> None:
        from workbench.execution.saving import recover

        copy = runs.folder / f"copy-{cell_index}.ipynb"
        copy.write_bytes(runs.output.read_bytes())
        journal = runs.output.with_name(f".{runs.output.name}.cells")
        if journal.exists():
            copy.with_name(f".{copy.name}.cells").write_bytes(journal.read_bytes())
        recover(copy)
        seen.append([each.metadata.papermill.status for each in nbformat.read(copy, as_version=4).cells])

    runs("1", "2", "3", on_cell_start=look)
    assert [states[:index] for index, states in enumerate(seen)] == [["completed"] * index for index in range(3)]


def test_the_bookkeeping_is_papermills():
    from papermill.engines import NotebookExecutionManager

    assert issubclass(Bookkeeping, NotebookExecutionManager)
