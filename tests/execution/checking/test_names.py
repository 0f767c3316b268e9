from __future__ import annotations

import keyword

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.execution.checking.python_cells import python_of

from .conftest import Judge, cell, only, prose, rules


def test_a_name_that_only_a_later_cell_defines_is_an_error_with_both_places(judge: Judge) -> None:
    found = only(judge("import math", "a = 1\nprint(math.pi, rate)", "rate = 0.1"), "defined-later")
    assert (found.severity, found.cell, found.cell_id, found.line) == ("error", 2, "cell-2", 2)
    assert found.message == "'rate' is used here, but defined only in cell 3"


def test_a_name_that_no_cell_defines_is_an_error_told_once(judge: Judge) -> None:
    report = judge("print(rows)", "rows2 = rows + 1\nprint(rows)")
    assert rules(report) == ["undefined-name"]
    assert report.score == 75


def test_a_deleted_name_is_told_with_the_cell_that_deleted_it(judge: Judge) -> None:
    assert only(judge("frame = [1]", "del frame", "print(frame)"), "deleted-name").message == "'frame' was deleted in cell 2"


def test_a_name_of_a_cell_of_prose_or_of_raw_text_defines_nothing(judge: Judge) -> None:
    assert rules(judge(prose("rate = 1"), "print(rate)")) == ["undefined-name"]


SOUND = {
    "a function that uses what is defined later": ("def area():\n    return side ** 2", "side = 2\narea()"),
    "a comprehension's own variable": ("squares = [n * n for n in range(3)]\nprint({k: v for k, v in enumerate(squares)})",),
    "names of builtins and of IPython": ("display(len([]), get_ipython(), In, Out, _)",),
    "a line magic": ("%matplotlib inline\n%load_ext autoreload\nx = 1", "print(x)"),
    "a shell line whose output is kept": ("files = !ls\n!echo {files}\nprint(files)",),
    "a timed statement that assigns": ("%time total = sum([1])\n%timeit -n 10 -r 3 sum([1])", "print(total)"),
    "a timed cell": ("%%time\nmodel = 1", "print(model)"),
    "captured output": ("%%capture out\nx = 1", "print(out, x)"),
    "a shell cell": ("%%bash --out listing\nls $HOME", "print(listing)"),
    "a written file": ("%%writefile x.py\nprint(nowhere)",),
    "help": ("len?", "?len"),
    "magics without their sign, alone in a cell": ("ls -la", "pip install something", "cd data"),
    "await outside of a function": ("import asyncio\nawait asyncio.sleep(0)\nasync with asyncio.timeout(1) as t:\n    pass", "t"),
    "a global statement": ("def begin():\n    global started\n    started = 1\nbegin()", "print(started)"),
    "a guarded name": ("try:\n    spark\nexcept NameError:\n    spark = None", "print(spark)"),
    "a name bound by a condition, a loop, a match and a walrus": (
        "import sys\nif sys.argv:\n    a = 1\nfor b in []:\n    pass\nmatch a:\n    case c:\n        pass\nprint(d := 1)",
        "print(a, b, c, d)",
    ),
    "an annotation": ("limit: int = 3", "print(limit)"),
    "what is deleted and defined again": ("x = 1\ndel x", "x = 2", "print(x)"),
    "a cell that is not meant to run": (cell("print(nowhere)", tags=("skip-execution",)),),
    "a cell that is meant to raise": (cell("print(nowhere)\n1 +", tags=("raises-exception",)),),
    "parameters and what papermill injected": (
        cell("alpha: float = 0.1", tags=("parameters",)),
        cell("alpha = 0.2", tags=("injected-parameters",)),
        "print(alpha)",
    ),
}


@pytest.mark.parametrize("cells", SOUND.values(), ids=SOUND.keys())
def test_sound_code_gets_the_full_score(cells: tuple[str, ...], judge: Judge) -> None:
    report = judge(*cells)
    assert report.findings == ()
    assert report.score == 100


@pytest.mark.parametrize(
    "source",
    ["from math import *", "%run other.py", "%pylab inline", "%%sql\nselect 1", "exec('y = 1')", "globals()['y'] = 1"],
)
def test_where_names_may_come_unseen_the_check_says_that_it_cannot_tell(source: str, judge: Judge) -> None:
    report = judge(source, "print(y)")
    assert rules(report) == ["cannot-tell"]
    assert "cell 1" in report.findings[0].message or "from math" in report.findings[0].message
    assert report.score == 100


def test_a_use_before_a_star_import_further_down_is_not_excused_by_it(judge: Judge) -> None:
    assert rules(judge("print(y)", "y = 1", "from math import *")) == ["defined-later"]


def test_a_cell_that_is_not_python_is_an_error_and_its_names_are_not_missed(judge: Judge) -> None:
    found = only(judge("\n\nx = 1\nprint 'x'", "print(x)"), "syntax")
    assert (found.cell, found.line) == (1, 4)
    assert "'x'" not in " ".join(rules(judge("x = = 1", "print(x)")))


def test_return_outside_of_a_function_is_not_python(judge: Judge) -> None:
    assert rules(judge("return 1")) == ["syntax"]


def test_results_by_count_and_stored_variables_are_hidden_state(judge: Judge) -> None:
    assert rules(judge("1 + 1", "print(_1)")) == ["hidden-state"]
    assert rules(judge("%store -r frame", "print(frame)"))[0] == "hidden-state"


def test_another_language_is_not_judged_as_python(judge: Judge) -> None:
    kernel = {"kernelspec": {"name": "python3", "display_name": "R", "language": "R"}}
    report = judge("x <- 1; print(x)", metadata=kernel)
    assert rules(report) == ["cannot-tell"]


def test_lines_are_those_of_the_cell_although_magics_take_more_or_fewer(judge: Judge) -> None:
    source = "\n\n!ls \\\n  -la\n%time x = 1\nprint(x)\n\nprint(nowhere)"
    assert only(judge("a = 1", source), "undefined-name").line == 8
    assert only(judge("%%time\n\nprint(nowhere)"), "undefined-name").line == 3


WORD = st.from_regex(r"[a-z]{1,8}", fullmatch=True).filter(lambda word: not keyword.iskeyword(word))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(WORD.map("{} = 1".format), st.just(""), st.just("!ls"), st.just("%cd x")), max_size=12))
def test_every_line_of_the_python_comes_from_a_line_of_the_source(lines: list[str]) -> None:
    source = "\n".join(lines)
    python = python_of(source)
    assert len(python.lines) == len(python.code.splitlines())
    assert list(python.lines) == sorted(python.lines)
    for line, came_from in zip(python.code.splitlines(), python.lines, strict=True):
        if " = 1" in line:
            assert source.splitlines()[came_from - 1] == line
