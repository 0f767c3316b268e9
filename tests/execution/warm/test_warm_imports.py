"""Which imports of a notebook are done ahead, and that doing so changes nothing that the notebook sees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.execution.warm.imports import changed, hidden, modules_of, stamps


def test_modules_are_named_in_the_order_of_the_cells_each_once():
    cells = [
        "import pandas as pd, numpy",
        "import os, json\nfrom sklearn.linear_model import Ridge",
        "import numpy.linalg, pandas",
    ]
    assert modules_of(cells) == ("pandas", "numpy", "sklearn.linear_model", "numpy.linalg")


def test_imports_within_functions_and_conditions_count():
    assert set(modules_of(["def fit():\n    import torch\nif True:\n    import scipy"])) == {"torch", "scipy"}


def test_magics_and_shell_lines_do_not_hide_the_imports_beside_them():
    assert modules_of(["%matplotlib inline\nimport numpy\n!ls\nimport pandas"]) == ("numpy", "pandas")


@pytest.mark.parametrize(
    "line",
    [
        "import os; os.environ['OMP_NUM_THREADS'] = '1'",
        "%env CUDA_VISIBLE_DEVICES=0",
        "import sys; sys.path.insert(0, 'src')",
        "%matplotlib widget",
        "%pip install pandas==2.2",
        "!pip install -q pandas",
        "!python -m pip install pandas",
        "%%bash\nuv pip install pandas",
        "%load_ext dotenv",
        "import warnings; warnings.simplefilter('error')",
    ],
)
def test_nothing_is_imported_ahead_after_a_cell_that_changes_what_imports_do(line):
    assert modules_of(["import numpy", line, "import pandas"])[:1] == ("numpy",)
    assert "pandas" not in modules_of(["import numpy", line, "import pandas"])


@pytest.mark.parametrize(
    "line", ["# first: pip install pandas", "warnings.filterwarnings('ignore')", "%matplotlib inline", "x = 1"]
)
def test_harmless_lines_stop_nothing(line):
    assert modules_of([line, "import pandas"]) == ("pandas",)


@given(st.lists(st.text()))
def test_no_source_is_too_odd(cells):
    assert all(isinstance(name, str) for name in modules_of(cells))


def test_of_installed_packages_the_folder_is_watched_and_of_others_each_file(tmp_path, monkeypatch):
    (tmp_path / "edited_here.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import edited_here

    seen = stamps()
    assert str(Path(sysconfig.get_path("purelib"))) in seen
    assert edited_here.__file__ in seen
    assert changed(seen) is None
    os.utime(edited_here.__file__, ns=(1, 1))
    assert changed(seen) == edited_here.__file__
    Path(edited_here.__file__).unlink()
    assert changed(seen) == edited_here.__file__
    del sys.modules["edited_here"]


def test_a_file_beside_the_notebook_that_hides_an_installed_module_is_found(tmp_path):
    assert hidden(str(tmp_path)) is None
    (tmp_path / "json.py").write_text("")  # the standard library comes first
    (tmp_path / "hypothesis").mkdir()  # a folder without __init__ hides nothing
    assert hidden(str(tmp_path)) is None
    (tmp_path / "hypothesis.py").write_text("")
    assert hidden(str(tmp_path)) == str(tmp_path / "hypothesis.py")


def test_the_folder_of_a_loaded_package_itself_hides_nothing(root):
    assert hidden(str(root)) is None


PROGRAM = """
import json, sys
from workbench.execution.warm.imports import import_all
print(json.dumps([import_all(sys.argv[1:]), [name for name in sys.argv[1:] if name in sys.modules]]))
"""


@pytest.mark.parametrize(
    ("module", "ahead"),
    [
        ("print('hello')", False),
        ("import sys; sys.stderr.write('careful')", False),
        ("import os; os.system('echo from below Python')", False),
        ("import warnings; warnings.warn('careful')", False),
        ("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()", False),
        ("import warnings; warnings.warn('later', DeprecationWarning)", True),
        ("raise RuntimeError('cannot be imported')", True),
        ("raise SystemExit", True),
        ("value = 1", True),
    ],
)
def test_a_module_whose_import_can_be_seen_is_left_to_the_notebook(tmp_path, module, ahead):
    (tmp_path / "tried.py").write_text(module)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    said = subprocess.run([sys.executable, "-c", PROGRAM, "tried"], env=environment, capture_output=True, text=True, check=True)
    unfit, _loaded = json.loads(said.stdout)
    assert unfit == ([] if ahead else ["tried"])
    assert not said.stderr


def test_a_function_is_not_replaced_by_a_module_of_its_name(tmp_path):
    (tmp_path / "shape").mkdir()
    (tmp_path / "shape" / "__init__.py").write_text("def area(): return 1")
    (tmp_path / "shape" / "area.py").write_text("")
    program = f"{PROGRAM}import shape; print(callable(shape.area))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", program, *modules_of(["from shape import area"])]
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.endswith("True\n")
