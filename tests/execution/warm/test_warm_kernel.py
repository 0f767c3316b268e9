"""A warm kernel gives a notebook the process that a kernel of its own would have been."""

from __future__ import annotations

import json
import os
import random
import resource
from pathlib import Path

import pytest

STATE = """
import asyncio, gc, json, locale, logging, os, resource, signal, sys, threading, warnings
shell = get_ipython()
print(json.dumps({
    "name": __name__, "folder": os.getcwd(), "argv": os.path.basename(sys.argv[0]), "path": sys.path, "flags": str(sys.flags),
    "leads its group": os.getpgrp() == os.getpid(), "umask": os.umask(0o22), "locale": locale.setlocale(locale.LC_ALL),
    "signals": {each.name: str(signal.getsignal(each)).split(" at ")[0] for each in signal.Signals},
    "blocked": [each.name for each in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
    "deprecations": [each for each in map(str, warnings.filters) if "Deprecation" in each and "__main__" in each],
    "root log": [str(logging.getLogger().handlers), logging.getLogger().level],
    "collector": [gc.get_threshold(), gc.isenabled()], "recursion": sys.getrecursionlimit(),
    "streams": [sys.stdout.encoding, sys.stderr.encoding, sys.stdout.isatty()],
    "loop": [asyncio.get_event_loop().is_running(), type(asyncio.get_event_loop_policy()).__name__],
    "limits": [resource.getrlimit(getattr(resource, name)) for name in sorted(dir(resource)) if name.startswith("RLIMIT_")],
    "environment": {name: value for name, value in os.environ.items() if name not in ("JPY_PARENT_PID", "PYDEVD_USE_FRAME_EVAL")},
    "profile": [shell.profile, shell.history_manager.hist_file], "extensions": sorted(shell.extension_manager.loaded),
    "types": shell.display_formatter.active_types,
    "hooks": [str(each).split(" at ")[0] for each in (sys.excepthook, sys.displayhook)],
    "folders": [str(each) for each in _dh], "counted": [shell.execution_count, In[:-1], Out],
    "names": sorted(name for name in vars(sys.modules["__main__"]) if not name.startswith("_i")),
}))
"""


def test_a_notebook_finds_the_process_that_a_kernel_of_its_own_would_be(runs, monkeypatch):
    before = os.umask(0o027)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
    monkeypatch.setenv("A_VALUE_OF_THIS_TEST", "x=y")
    try:
        found = [json.loads(runs(STATE, engine_name=engine)[0]) for engine in ("workbench", None)]
    finally:
        os.umask(before)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert runs.notebook.metadata.get("workbench") is None, "the last run was papermill's own"
    assert found[0] == found[1]
    assert found[0]["umask"] == 0o027
    assert found[0]["environment"]["PAGER"] == "cat"


def test_each_kernel_draws_random_numbers_of_its_own(runs):
    draw = "random.random(), numpy.random.rand(), numpy.random.default_rng().random(), torch.rand(1).item(), uuid.uuid4()"
    drawn = [runs("import random, uuid, numpy, torch", f"print({draw})")[1].split() for _ in range(3)]
    assert all(len(set(numbers)) == 3 for numbers in zip(*drawn, strict=True))


def test_seeding_gives_the_numbers_that_it_always_gives(runs):
    chance = random.Random(7)  # noqa: S311 - not for secrets
    assert runs("import random\nrandom.seed(7)\nprint(random.random())")[0] == f"{chance.random()}\n"


def test_files_beside_the_notebook_are_imported_and_seen_anew_by_each_run(runs, tmp_path):
    (tmp_path / "beside_it.py").write_text("value = 1\n")
    assert runs("import beside_it\nprint(beside_it.value)") == ["1\n"]
    (tmp_path / "beside_it.py").write_text("value = 22\n")
    assert runs("import beside_it\nprint(beside_it.value)") == ["22\n"]


def test_a_file_beside_the_notebook_goes_before_an_installed_package(runs, tmp_path):
    (tmp_path / "hypothesis.py").write_text("value = 'mine'\n")
    assert runs("import hypothesis\nprint(hypothesis.value)") == ["mine\n"]
    assert "hypothesis.py would be imported instead" in runs.notebook.metadata["workbench"]["reason"]


def test_names_of_one_run_are_not_those_of_the_next(runs):
    assert runs("left_over = 1\nimport builtins, json\nbuiltins.left_over = json.left_over = 1\nprint(1)") == ["1\n"]
    assert runs(
        "import builtins, json\nprint('left_over' in globals(), hasattr(builtins, 'left_over'), hasattr(json, 'left_over'))"
    ) == ["False False False\n"]


def test_questions_to_nobody_are_refused(runs):
    import papermill

    with pytest.raises(papermill.PapermillExecutionError, match="StdinNotImplementedError"):
        runs("input('who is there?')")


def test_temporary_files_go_where_the_environment_says(runs, tmp_path, monkeypatch):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    assert runs("import numpy, tempfile\nprint(tempfile.gettempdir())") == [f"{tmp_path / 'scratch'}\n"]


def test_what_a_module_displays_while_it_is_imported_is_seen(runs, tmp_path, monkeypatch):
    (tmp_path / "shows_itself.py").write_text("from IPython.display import display\ndisplay('hello')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for _ in range(2):
        assert runs("import shows_itself") == ["'hello'"]


def test_the_profiles_code_runs_and_what_it_imports_stays(runs, tmp_path, monkeypatch):
    profile = tmp_path / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_kernel_config.py").write_text(
        "c.IPKernelApp.code_to_run = 'import colorsys; from_profile = 1'\nc.StoreMagics.autorestore = True\n"
    )
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    assert runs("stored = 1\n%store stored\nprint(from_profile)")[0].endswith("1\n")
    assert runs("print(stored)\nstored = 2\n%store stored")[0].startswith("1\n")
    assert runs("print(stored)") == ["2\n"]


def test_a_changed_profile_is_read_by_the_next_run(runs, tmp_path, monkeypatch):
    profile = tmp_path / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    assert runs("print('from_profile' in globals())") == ["False\n"]
    (profile / "ipython_config.py").write_text("c.InteractiveShellApp.exec_lines = ['from_profile = 1']\n")
    assert runs("print('from_profile' in globals())") == ["True\n"]
    (profile / "ipython_config.py").unlink()
    assert runs("print('from_profile' in globals())") == ["False\n"]


def test_the_users_own_profile_is_loaded(runs, tmp_path, monkeypatch):
    startup = tmp_path / "home" / ".ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "mine.py").write_text("from_startup = 'mine'\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("IPYTHONDIR")
    assert runs("print(from_startup)") == ["mine\n"]


def test_what_a_notebook_forks_cannot_speak_for_it(runs):
    said = runs(
        "import os, warnings\nfrom IPython.display import display\n"
        "warnings.simplefilter('ignore', DeprecationWarning)",  # Python 3.12 warns that kernels have threads
        "if not os.fork():\n    display('the child')\n    os._exit(0)\n_ = os.wait()\ndisplay('it')",
        "if not os.fork():\n    came_back = True\nelse:\n    _ = os.wait()",
        "print('came_back' in globals())",
    )
    assert said == ["", "'it'", "", "False\n"]


def test_widgets_know_their_kernel_although_they_were_imported_before_it(runs):
    assert runs("import ipywidgets\nprint('jupyter.widget' in get_ipython().kernel.comm_manager.targets)") == ["True\n"]


def test_plots_are_shown_although_their_library_was_imported_before_the_kernel(runs, monkeypatch):
    monkeypatch.delenv("MPLBACKEND")
    runs("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nNone")
    assert "image/png" in runs.code[0].outputs[0].data


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A folder with a module, found by a relative search path."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "src").mkdir()
    (folder / "src" / "found_here.py").write_text("value = 'found'\n")
    return folder


def test_settings_that_python_and_numpy_read_once_are_those_of_the_run(runs, elsewhere, monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "5")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", f"src{os.pathsep}")
    tell = "import numpy, threadpoolctl\nprint(hash('x'), [each['num_threads'] for each in threadpoolctl.threadpool_info()])"
    import subprocess
    import sys

    expected = subprocess.run([sys.executable, "-c", tell], capture_output=True, text=True, check=True, cwd=elsewhere).stdout
    monkeypatch.chdir(elsewhere)
    assert runs(tell, "import found_here, os\nprint(found_here.value, os.environ['PYTHONPATH'])", cwd=str(elsewhere)) == [
        expected,
        f"found src{os.pathsep}\n",
    ]
    assert runs.notebook.metadata["workbench"]["kernel"] == "warm"


def test_an_edited_module_of_an_editable_package_is_seen_by_the_next_run(runs, tmp_path, monkeypatch):
    module = tmp_path / "lib" / "edited_package.py"
    module.parent.mkdir()
    module.write_text("value = 1\n")
    monkeypatch.setenv("PYTHONPATH", str(module.parent))
    assert runs("import edited_package\nprint(edited_package.value)") == ["1\n"]
    module.write_text("value = 22\n")
    assert runs("import edited_package\nprint(edited_package.value)") == ["22\n"]
    assert runs.notebook.metadata["workbench"]["kernel"] == "warm"
    module.write_text("print('said at import')\nvalue = 333\n")
    said = [runs("import edited_package\nprint(edited_package.value)") for _ in range(2)]
    assert said == [["said at import\n333\n"]] * 2


@pytest.mark.parametrize("tail", ["", "_of_a_path_that_is_not_there"])
def test_a_run_in_a_folder_that_is_gone_is_refused_clearly(runs, tmp_path, tail):
    folder = tmp_path / f"gone{tail}"
    with pytest.raises(FileNotFoundError):
        runs("1", cwd=str(Path(folder)))
