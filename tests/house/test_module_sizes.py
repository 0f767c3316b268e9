"""Modules and functions stay short enough to be read in one sitting."""

from __future__ import annotations

import ast
from pathlib import Path

LONGEST_MODULE = 400
LONGEST_FUNCTION = 60


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def long_functions(path: Path) -> list[str]:
    functions = (
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return [
        f"{path}:{function.lineno} {function.name}"
        for function in functions
        if (function.end_lineno or function.lineno) - function.lineno >= LONGEST_FUNCTION
    ]


def test_no_module_is_longer_than_400_lines(python_files: list[Path]) -> None:
    too_long = [f"{path} has {lines_of(path)} lines" for path in python_files if lines_of(path) > LONGEST_MODULE]
    assert not too_long, "\n".join(too_long)


def test_no_function_is_longer_than_60_lines(python_files: list[Path]) -> None:
    too_long = [function for path in python_files for function in long_functions(path)]
    assert not too_long, "\n".join(too_long)


def test_a_function_of_61_lines_is_found(tmp_path: Path) -> None:
    short, long = tmp_path / "short.py", tmp_path / "long.py"
    short.write_text("def f():\n" + "    pass\n" * 59)
    long.write_text("def f():\n" + "    pass\n" * 60)
    assert long_functions(short) == []
    assert long_functions(long) == [f"{long}:1 f"]
