from __future__ import annotations

import gzip
import json
import os
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder

from workbench import session
from workbench.errors import BadInput, NotFound, ParametersInvalid
from workbench.execution.secrets import places
from workbench.execution.step import read_outcome, read_saved

TOKEN = "tok_9aZ-8kQ.71mXlPq2W"


@pytest.fixture
def notebook(monkeypatch):
    """Runs source as the cells of a notebook do, in a `__main__` of its own."""
    monkeypatch.setenv("WORKBENCH_SECRET_API_TOKEN", TOKEN)
    monkeypatch.setattr(places, "_resolved", {})

    def run(source: str) -> types.ModuleType:
        module = types.ModuleType("__main__")
        monkeypatch.setitem(sys.modules, "__main__", module)
        exec(compile(source, "<cell>", "exec", dont_inherit=True), vars(module))  # noqa: S102 - as a kernel does
        return module

    return run


CELL = (
    "from workbench.session import Secret\nepochs: int = 3\ntoken: Secret = 'secret://api-token'\nother: Secret | None = None\n"
)


def test_a_secret_is_resolved_in_the_kernel_and_its_variable_stays_a_reference(layout, notebook):
    module = notebook(CELL)
    params = session.parameters()
    assert (params.token, params.other, params.epochs) == (TOKEN, None, 3)
    assert module.token == "secret://api-token"


def test_the_parameters_show_the_reference_when_they_are_displayed(layout, notebook):
    notebook(CELL)
    assert TOKEN not in repr(session.parameters())
    assert "[secret://api-token]" in repr(session.parameters())


@pytest.mark.parametrize("name", ["token", "other"])
def test_a_secret_set_by_hand_is_refused_and_never_repeated(layout, notebook, name):
    notebook(f"{CELL}{name} = 'hunter2-hunter2'")
    with pytest.raises(ParametersInvalid) as caught:
        session.parameters()
    assert "hunter2" not in str(caught.value)
    assert caught.value.problems[0].startswith(f"{name}: given what is not shown")
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_a_secret_that_no_place_knows_is_named(layout, notebook):
    notebook(f"{CELL}token = 'secret://missing'")
    with pytest.raises(NotFound, match="secret://missing"):
        session.parameters()


def fitted(categories):
    encoder = OneHotEncoder(sparse_output=False)
    model = LogisticRegression().fit(encoder.fit_transform([[each] for each in categories]), [0, 1])
    model.encoder_ = encoder
    return model


def array(kind):
    return np.array([TOKEN, "b"], dtype=kind)


HOLDING = {
    "text": lambda: f"Bearer {TOKEN}",
    "nested": lambda: {"a": [{"deep": (1, f"x{TOKEN}")}]},
    "key": lambda: {TOKEN: 1},
    "encoded": lambda: ["Basic dXNlcjp0b2tfOWFaLThrUS43MW1YbFBxMlc="],
    "polars": lambda: pl.DataFrame({"n": [1, 2], "s": ["a", TOKEN]}),
    "polars name": lambda: pl.DataFrame({TOKEN: [1.5, 2.5]}),
    "polars category": lambda: pl.DataFrame({"s": ["a", TOKEN]}, schema={"s": pl.Categorical}),
    "polars nested": lambda: pl.DataFrame({"s": [[{"k": ["a", TOKEN]}]]}),
    "polars binary": lambda: pl.DataFrame({"s": [b"\0" + TOKEN.encode()]}),
    "pandas": lambda: pd.DataFrame({"n": [1, 2], "s": ["a", f"{TOKEN}!"]}),
    "pandas name": lambda: pd.DataFrame({TOKEN: [1.5, 2.5]}),
    "pandas index": lambda: pd.DataFrame({"n": [1, 2]}, index=["a", TOKEN]),
    "pandas category": lambda: pd.DataFrame({"s": pd.Categorical(["a", TOKEN])}),
    "array of texts": lambda: array("U"),
    "array of bytes": lambda: array("S"),
    "array of letters": lambda: np.frombuffer(TOKEN.encode(), dtype=np.uint8),
    "model": lambda: fitted(["a", TOKEN]),
    "tensors": lambda: {"weights": torch.tensor(list(TOKEN.encode()), dtype=torch.uint8)},
}


@pytest.mark.parametrize("kind", HOLDING)
def test_a_value_that_holds_a_secret_is_not_kept(kind, layout, step, notebook, objects):
    folder = step()
    notebook("x = 1")
    assert places.resolve("secret://api-token") == TOKEN
    with pytest.raises(BadInput) as caught:
        session.save(clean=1, result=HOLDING[kind]())
    assert caught.value.message == "session.save(result=…) holds secret://api-token, and was not kept"
    assert read_saved(folder) == {}, "not even the clean value beside it"
    kept = [path for path in objects.root.rglob("*") if path.is_file()] if objects.root.exists() else []
    assert kept == []


@pytest.mark.parametrize("content", [b"a\0" + TOKEN.encode(), gzip.compress(TOKEN.encode() * 3, mtime=0), TOKEN.encode("utf-16")])
def test_a_file_that_holds_a_secret_is_not_kept(layout, step, notebook, tmp_path, content):
    step()
    notebook("x = 1")
    path = tmp_path / "report.bin"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"session\.save\(report=…\) holds secret://api_token"):
        session.save(report=path)


def test_an_outcome_that_holds_a_secret_is_not_recorded(layout, step, notebook):
    folder = step("review")
    notebook("x = 1")
    with pytest.raises(BadInput, match=r"session\.record\(reasons=…\) holds secret://api_token"):
        session.record(metric="selection_rate", reasons=["fine", f"asked with {TOKEN}"])
    assert read_outcome(folder) == {}


def test_what_holds_no_secret_is_kept_as_ever(layout, step, notebook):
    folder = step()
    notebook("x = 1")
    places.resolve("secret://api-token")
    frame = pl.DataFrame({"n": [1, 2], "s": ["a", "secret://api-token"]})
    session.save(frame=frame, numbers=np.arange(5.0), nothing=pd.DataFrame({"n": [1]}), model=fitted(["a", "b"]), text="fine")
    assert set(read_saved(folder)) == {"frame", "numbers", "nothing", "model", "text"}


def test_what_cannot_be_stored_is_refused_with_that_reason(layout, step, notebook):
    step()
    notebook("x = 1")
    with pytest.raises(BadInput, match=r"session\.save\(thing=…\) .* cannot be stored"):
        session.save(thing={"a": object()})
    with pytest.raises(BadInput, match="cannot be stored"):
        session.save(thing=Path("missing"))


def test_no_trace_of_a_refused_value_is_left_on_disk(layout, step, notebook):
    step()
    notebook("x = 1")
    with pytest.raises(BadInput):
        session.save(result={"k": TOKEN})
    for path in layout.root.rglob("*"):
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes(), path
    assert json.dumps(dict(os.environ)).count(TOKEN) == 1
