"""A cell's IPython source as plain Python, so that names can be followed through magics. Called by `names` and `order`."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache

__all__ = ["PythonCell", "python_of"]

RUNS_PYTHON = frozenset({"time", "timeit", "capture", "prun", "memit", "mprun", "snakeviz", "pyinstrument", "scalene"})
"""Cell magics whose body is Python that runs in the notebook's namespace."""

DEFINES_NOTHING = frozenset(
    {
        *{"!", "bash", "cmd", "perl", "pypy", "python", "python2", "python3", "ruby", "script", "sh", "sx", "system"},
        *{"HTML", "SVG", "html", "javascript", "js", "latex", "markdown", "svg"},
        *{"conda", "debug", "env", "file", "matplotlib", "pip", "writefile"},
    }
)
"""Cell magics that define no names, but for those that `--out` and its like name."""

SHELL_LIKE = frozenset(
    {
        *{"cat", "cd", "cp", "env", "ll", "ls", "man", "mkdir", "more", "mv", "pwd", "rm", "rmdir"},
        *{"conda", "pip", "pylab", "reset", "who", "whos"},
    }
)
"""Magics that people write without `%`, which IPython allows in a cell of one line."""

CELL_MAGIC = re.compile(r"\s*%%(\S+)[ \t]*(.*)")
TIMED_LINE = re.compile(r"^([ \t]*)%(?:time|timeit|prun|memit)[ \t]+(?:-[a-zA-Z]+[ \t]*\d*[ \t]+)*(?=\S)", re.MULTILINE)
NAMED_OUTPUT = re.compile(r"--(?:out|err|proc)[ =]+([^\W\d]\w*)")


@dataclass(frozen=True, slots=True)
class PythonCell:
    """Plain Python; `lines[k]` is the line of the source that line k + 1 of the code came from."""

    code: str
    lines: tuple[int, ...]
    unseen: str = ""

    def source_line(self, line: int) -> int:
        """The line of the cell's source for a line of the code, both from 1."""
        return self.lines[min(line, len(self.lines)) - 1] if self.lines else 1


def python_of(source: str) -> PythonCell:
    """Rewrites magics, shell lines and help requests by IPython's own transformations.

    Returns:
        The Python code, which may still be wrong Python, and in `unseen` the magic that may define names unseen.
    """
    magic = CELL_MAGIC.match(source)
    if magic is None:
        return _lines_of(source)
    name, argument = magic[1], magic[2]
    first = source[: magic.end()].count("\n")
    body = source[magic.end() :].removeprefix("\n")
    defined = " = ".join([*_named(name, argument), "None"])
    if name in RUNS_PYTHON:
        inner = python_of(body)
        lines = (*range(1, first + 2), *(line + first + 1 for line in inner.lines))
        return PythonCell("\n" * first + f"{defined}\n{inner.code}", lines, inner.unseen)
    unseen = "" if name in DEFINES_NOTHING else f"the magic %%{name}"
    return PythonCell("\n" * first + f"{defined}\n", tuple(range(1, first + 2)), unseen)


def _named(name: str, argument: str) -> list[str]:
    """The variables that a cell magic puts its output into."""
    if name == "capture":
        return [word for word in argument.split() if word.isidentifier()][:1]
    return NAMED_OUTPUT.findall(argument)


@cache
def _transformation() -> Callable[[str], str]:
    from IPython.core.inputtransformer2 import TransformerManager

    return TransformerManager().transform_cell


def _lines_of(source: str) -> PythonCell:
    """A cell without a cell magic; empty first lines, which IPython drops, are put back, and continued magics matched again."""
    blank = source[: len(source) - len(source.lstrip())].count("\n")
    given = TIMED_LINE.sub(r"\1", "".join(source.splitlines(keepends=True)[blank:]))
    word = given.split(maxsplit=1)[:1]
    if "\n" not in given.strip() and word and word[0] in SHELL_LIKE and not re.match(r"\s*\w+\s*[=(.\[]", given):
        given = f"%{given.strip()}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        code = _transformation()(given)
    before, after = given.splitlines(), code.splitlines()
    if len(before) == len(after):
        return PythonCell("\n" * blank + code, tuple(range(1, blank + len(after) + 1)))
    lines, line = list(range(1, blank + 1)), blank + 1
    places = {
        block.b + step: blank + block.a + step + 1
        for block in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
        for step in range(block.size)
    }
    for position in range(len(after)):
        line = places.get(position, line)
        lines.append(line)
    return PythonCell("\n" * blank + code, tuple(lines))
