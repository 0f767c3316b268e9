"""Names that a notebook run from top to bottom would not find: hidden state. Called by `trust`.

pyflakes (https://github.com/PyCQA/pyflakes) follows the scopes through all cells as one module; functions are judged at the
end, since they may use what is defined after them. Whether a function is called too early only a rerun can tell.
"""

from __future__ import annotations

import ast
import re
import symtable
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

from workbench.execution.checking.document import Cell, Document
from workbench.execution.checking.python_cells import PythonCell, python_of
from workbench.execution.checking.report import Finding, finding

__all__ = ["find_name_faults"]

GIVEN = frozenset({"display", "get_ipython", "In", "Out", "exit", "quit", "_", "__", "___", "_i", "_ii", "_iii", "_ih", "_oh"})
"""What every IPython session defines by itself."""

BY_COUNT = re.compile(r"_i?\d+")
LOADS_NAMES = frozenset({"run", "pylab", "load", "edit", "rerun", "recall", "macro", "sql", "R"})
"""Line magics that may define names which the cell does not show."""


@dataclass(slots=True)
class _Reading:
    """What one cell does to the namespace; `first` is its first line in the whole."""

    cell: Cell
    code: PythonCell
    tree: ast.Module
    first: int
    unseen: str
    defines: frozenset[str] = frozenset()
    deletes: frozenset[str] = frozenset()
    restores: list[int] = field(default_factory=list)


def find_name_faults(document: Document) -> Iterator[Finding]:
    """Findings on syntax and names, in the order of the document; each name is reported once."""
    if document.language != "python":
        yield finding("cannot-tell", f"names are followed in Python only, not in {document.language}")
        return
    readings: list[_Reading] = []
    unseen = ""
    for cell in document.code:
        if not cell.runs or cell.may_raise:
            continue
        first = readings[-1].first + readings[-1].code.code.count("\n") + 2 if readings else 1
        try:
            reading = _read(cell, first)
        except (SyntaxError, ValueError, RecursionError) as error:
            line = python_of(cell.source).source_line(getattr(error, "lineno", None) or 1)
            yield finding("syntax", f"is not Python: {getattr(error, 'msg', error)}", cell=cell, line=line)
            unseen = unseen or f"cell {cell.number}, which is not Python"
            continue
        unseen = reading.unseen = unseen or reading.unseen
        readings.append(reading)
        for line in reading.restores:
            yield finding("hidden-state", "%store -r brings variables of another session", cell=cell, line=line)
    yield from _undefined(readings)


def _read(cell: Cell, first: int) -> _Reading:
    code = python_of(cell.source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        tree = ast.parse(code.code)
        compile(code.code, f"cell {cell.number}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        symbols = symtable.symtable(code.code, f"cell {cell.number}", "exec").get_symbols()
    reading = _Reading(cell, code, tree, first, f"cell {cell.number}, {code.unseen}" if code.unseen else "")
    deleted = (node.targets for node in ast.walk(tree) if isinstance(node, ast.Delete))
    reading.deletes = frozenset(target.id for targets in deleted for target in targets if isinstance(target, ast.Name))
    bound = {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}
    reading.defines = frozenset(bound - reading.deletes)
    for node in ast.walk(tree):
        _look_for_unseen(node, reading)
    ast.increment_lineno(tree, first - 1)
    return reading


def _look_for_unseen(node: ast.AST, reading: _Reading) -> None:
    """Notes what may define names that no reader of the cell can see."""
    how = ""
    match node:
        case ast.ImportFrom(names=[ast.alias(name="*")], module=module):
            how = f"from {module} import *"
        case ast.Call(func=ast.Name(id="exec")):
            how = "exec(…)"
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="globals")), attr="update")):
            how = "globals().update(…)"
        case ast.Subscript(value=ast.Call(func=ast.Name(id="globals")), ctx=ast.Store()):
            how = "globals()[…] = …"
        case ast.Call(
            func=ast.Attribute(attr="run_line_magic"), args=[ast.Constant(value=str(magic)), ast.Constant(value=str(words))]
        ):
            if magic == "store" and "-r" in words.split():
                reading.restores.append(reading.code.source_line(node.lineno))
                how = "%store -r"
            elif magic in LOADS_NAMES:
                how = f"%{magic}"
    if how and not reading.unseen:
        reading.unseen = f"cell {reading.cell.number}, {how}"


def _undefined(readings: list[_Reading]) -> Iterator[Finding]:
    from pyflakes.checker import Checker
    from pyflakes.messages import ImportStarUsage, UndefinedName

    whole = ast.Module(body=[statement for reading in readings for statement in reading.tree.body], type_ignores=[])
    messages = sorted(Checker(whole, builtins=GIVEN).messages, key=lambda message: (message.lineno, message.col))
    told: set[str] = set()
    for message in messages:
        if not isinstance(message, (UndefinedName, ImportStarUsage)) or message.message_args[0] in told:
            continue
        name = str(message.message_args[0])
        told.add(name)
        here = max(position for position, reading in enumerate(readings) if reading.first <= message.lineno)
        reading = readings[here]
        line = reading.code.source_line(message.lineno - reading.first + 1)
        star = f"from {message.message_args[1]} import *" if isinstance(message, ImportStarUsage) else ""
        yield _judged(name, readings, here, line, star)


def _judged(name: str, readings: list[_Reading], here: int, line: int, star: str) -> Finding:
    """Why a name is not there where it is used."""
    cell = readings[here].cell
    if BY_COUNT.fullmatch(name):
        message = f"{name} is the result of an execution count, which another run may give to another cell"
        return finding("hidden-state", message, cell=cell, line=line)
    unseen = readings[here].unseen or star
    if unseen:
        return _untold(name, unseen, cell, line)
    deleted = [reading.cell.number for reading in readings[: here + 1] if name in reading.deletes]
    if deleted:
        return finding("deleted-name", f"{name!r} was deleted in cell {deleted[-1]}", cell=cell, line=line)
    later = [reading.cell.number for reading in readings[here:] if name in reading.defines]
    if later:
        where = f"in cell {later[0]}" if later[0] != cell.number else "further down in the same cell"
        return finding("defined-later", f"{name!r} is used here, but defined only {where}", cell=cell, line=line)
    if readings[-1].unseen:  # a function may use what is loaded after it
        return _untold(name, readings[-1].unseen, cell, line)
    return finding("undefined-name", f"{name!r} is used, but no cell defines it", cell=cell, line=line)


def _untold(name: str, unseen: str, cell: Cell, line: int) -> Finding:
    message = f"{name!r} may come from {unseen}: nobody can tell from the notebook"
    return finding("cannot-tell", message, cell=cell, line=line)
