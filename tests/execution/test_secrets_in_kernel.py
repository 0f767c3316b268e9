from __future__ import annotations

import json
from pathlib import Path

import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

from workbench.execution.parameters import read_parameters
from workbench.execution.secrets import scrubber_for
from workbench.execution.step import STEP_VARIABLE, Step

TOKEN = "tok_9aZ-8kQ.71mXl'Pq2W"
LEAKS = """\
import base64, json, os, sys, urllib.parse
from workbench import session
params = session.parameters()
assert params.epochs == 3 and token == "secret://api-token"
secret = params.token
print(secret); print(repr(secret), json.dumps(secret), urllib.parse.quote(secret))
print(base64.b64encode(f"user:{secret}".encode()).decode(), secret.encode().hex(), file=sys.stderr)
for part in (secret[:8], secret[8:]):
    print(part, end="", flush=True)
print(dict(os.environ)); print(params)
get_ipython().display_formatter.format(secret)
secret
"""


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_notebook):
    """Runs cells after a parameters cell with a secret, in a real kernel; gives the scrubber and what papermill left."""
    monkeypatch.setenv("WORKBENCH_SECRET_API_TOKEN", TOKEN)
    monkeypatch.setenv(STEP_VARIABLE, str(tmp_path))

    def run(name: str, **cells: str):
        cell = 'from workbench.session import Secret\nepochs: int = 2\ntoken: Secret = "secret://none"'
        path = write_notebook(name, parameters=cell, **cells)
        Step(hop="train", project=str(tmp_path), notebook=str(path), run="r").write(tmp_path)
        contract = read_parameters(path)
        values = contract.validate({"epochs": 3, "token": "secret://api-token"})
        executed = tmp_path / "executed.ipynb"
        error = None
        try:
            papermill.execute_notebook(str(path), str(executed), values, progress_bar=False)
        except PapermillExecutionError as failure:
            error = failure
        return scrubber_for(contract, values), json.loads(executed.read_text()), error

    return run


def joined(notebook):
    """The notebook with its texts in one piece, as nbformat holds it."""
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
        for output in cell.get("outputs", ()):
            output["text"] = "".join(output.get("text", ""))
    return notebook


def test_a_kernel_resolves_the_secret_and_nothing_of_it_stays_in_the_scrubbed_notebook(ran):
    scrubber, executed, error = ran("leaks", leaks=LEAKS)
    assert error is None
    raw, scrubbed = json.dumps(executed), json.dumps(scrubber.content(joined(executed)))
    assert scrubber.find(raw) == "api-token"
    assert scrubber.find(scrubbed) is None
    assert TOKEN[:8] not in scrubbed
    assert TOKEN[8:] not in scrubbed
    assert scrubbed.count("[secret://api-token]") >= 8
    assert "secret://api-token" in "".join(executed["cells"][1]["source"]), "the reference itself is no secret"


def test_a_failing_cell_leaves_no_secret_in_its_traceback_nor_in_the_error(ran):
    fails = "from workbench import session\nsecret = session.parameters().token\nraise ValueError(f'bad {secret!r}')"
    scrubber, executed, error = ran("fails", fails=fails)
    assert scrubber.find(str(error)) == "api-token"
    assert scrubber.find(scrubber.text(str(error))) is None
    assert scrubber.find(json.dumps(scrubber.content(joined(executed)))) is None
    assert "ValueError" in scrubber.text(str(error))
