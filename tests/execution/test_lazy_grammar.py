"""The grammar of international addresses is built when an address is checked, and everything else is as if it were there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

BEGIN = """
import importlib, importlib.util, pickle, sys
from workbench.execution.lazy_grammar import defer_iri_grammar

def built():
    return "lark" in sys.modules
"""


def python(code: str, **environment: str) -> None:
    """Runs code in a process where Jupyter was not imported before."""
    command = [sys.executable, "-W", "error", "-c", BEGIN + code]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["nbformat", "jupyter_events", "jsonschema"])
def test_importing_jupyter_builds_no_grammar(module: str) -> None:
    python(f"defer_iri_grammar()\nimport {module}\nassert not built()")


CHECKED = """
from jsonschema import Draft202012Validator, FormatChecker
addresses = ["https://bücher.example/ä?q=ö#ü", "http://a b", "urn:isbn:0451450523", "no address at all", "", "http://[::1", 7]
for kind in ("iri", "iri-reference"):
    judge = Draft202012Validator({"format": kind}, format_checker=Draft202012Validator.FORMAT_CHECKER)
    sys.stdout.write(" ".join(str(judge.is_valid(address)) for address in addresses) + "\\n")
assert built()
"""


def test_addresses_are_judged_as_without_it() -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", BEGIN + call + CHECKED], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        for call in ("defer_iri_grammar()", "")
    ]
    assert said[0] == said[1]
    assert "True" in said[0]
    assert "False" in said[0]


def test_every_name_of_the_package_is_there_once_asked_for() -> None:
    python("""
defer_iri_grammar()
import rfc3987_syntax
assert rfc3987_syntax.RFC3987_SYNTAX_TERMS and built()
from rfc3987_syntax.syntax_helpers import parse
assert parse is rfc3987_syntax.parse
try:
    rfc3987_syntax.nothing
except AttributeError as error:
    assert "nothing" in str(error)
""")


def test_a_star_import_brings_every_public_name() -> None:
    python("defer_iri_grammar()\nfrom rfc3987_syntax import *\nassert is_valid_syntax('iri', 'a:b') and RFC3987_SYNTAX_TERMS")


def test_a_submodule_can_be_imported_first() -> None:
    python("defer_iri_grammar()\nfrom rfc3987_syntax.utils import load_grammar\nassert callable(load_grammar)")


def test_tools_that_look_at_every_module_do_not_build_it() -> None:
    python("""
defer_iri_grammar()
import inspect
module = sys.modules["rfc3987_syntax"]
assert importlib.util.find_spec("rfc3987_syntax").origin == module.__file__
assert not hasattr(module, "__warningregistry__") and not hasattr(module, "__wrapped__")
inspect.getmodule(inspect.getmodule)
assert not built()
""")


def test_it_is_pickled_by_name_before_and_after_it_is_built() -> None:
    python("""
defer_iri_grammar()
from rfc3987_syntax import is_valid_syntax
assert pickle.loads(pickle.dumps(is_valid_syntax)) is is_valid_syntax and not built()
assert is_valid_syntax("iri", "https://example.org") and not is_valid_syntax("iri", "a b") and built()
assert pickle.loads(pickle.dumps(is_valid_syntax)) is is_valid_syntax
""")


def test_it_can_be_reloaded() -> None:
    python("""
defer_iri_grammar()
import rfc3987_syntax
assert importlib.reload(rfc3987_syntax) is rfc3987_syntax
assert rfc3987_syntax.is_valid_syntax("iri", "https://example.org")
""")


def test_a_package_that_is_imported_already_is_left_alone() -> None:
    python("""
import rfc3987_syntax
before = dict(vars(rfc3987_syntax))
defer_iri_grammar()
assert sys.modules["rfc3987_syntax"] is rfc3987_syntax and vars(rfc3987_syntax) == before
""")


def test_a_package_that_is_not_installed_stays_missing() -> None:
    python("""
real = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "rfc3987_syntax" else real(name)
defer_iri_grammar()
assert "rfc3987_syntax" not in sys.modules
""")


def test_an_environment_variable_switches_it_off() -> None:
    python("defer_iri_grammar()\nassert 'rfc3987_syntax' not in sys.modules", WORKBENCH_LAZY_GRAMMAR="0")
