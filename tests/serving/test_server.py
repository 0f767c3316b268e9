"""A server is ready or an error, is reachable from this machine only, and leaves nothing running."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import time
import urllib.request
from pathlib import Path

import psutil
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from workbench.errors import BadInput, RunFailed
from workbench.serving.bento import open_bentoml
from workbench.serving.formats import write_model
from workbench.serving.packaging import Package, package
from workbench.serving.scorer.predictions import read_predictions
from workbench.serving.server import serve_command, serving
from workbench.serving.signing import Key
from workbench.training.network import NetworkClassifier

MADE = "2026-03-01T12:00:00.000000+00:00"


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def packaged(one, folder: Path, name: str, key: Key) -> Package:
    write_model(one.pipeline, folder / "model.skops")
    return package(
        model_path=folder / "model.skops",
        contract=one.contract,
        holdout=one.holdout,
        name=name,
        version="v1",
        max_rows=100,
        labels={},
        made=MADE,
        key=key,
        build_folder=folder,
    )


def ask(url: str, rows: list[dict]) -> dict:
    body = json.dumps({"rows": rows}).encode()
    request = urllib.request.Request(f"{url}/predict", data=body, headers={"content-type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        return json.loads(answer.read())


def processes_of(tag: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if tag in process.cmdline():
                found.append(process)
    return found


def test_a_regression_is_served_logged_and_stopped_whole(fitted, signing_key, tmp_path, port):
    one = fitted("boosted regression")
    done = packaged(one, tmp_path, "paid", signing_key)
    rows = one.holdout.head(3)
    with serving(done.tag, port=port, predictions=tmp_path / "log", log=tmp_path / "serve.log") as server:
        values = [prediction["value"] for prediction in ask(server.url, rows.to_dicts())["predictions"]]
    assert values == pytest.approx(one.pipeline.predict(rows.to_pandas()), rel=1e-4)
    assert processes_of(done.tag) == []
    assert [row["prediction"] for row in read_predictions(tmp_path / "log")] == values
    assert not list((tmp_path / "log").glob("*.open.jsonl"))


def test_a_network_that_onnx_cannot_take_is_served_from_skops_without_torch(credit, fitted, signing_key, tmp_path, port):
    one = fitted("network binary")
    numbers, categories = one.contract.of_kind("number"), one.contract.of_kind("category")
    rare = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20, sparse_output=False)
    columns = ColumnTransformer([("number", StandardScaler(), numbers), ("category", rare, categories)])
    pipeline = Pipeline([("columns", columns), ("model", NetworkClassifier(hidden=(4,), epochs=1))])
    pipeline.fit(credit.select(one.contract.names).to_pandas(), credit["default"].to_numpy())
    done = packaged(type(one)(pipeline, one.contract, one.holdout), tmp_path, "rare", signing_key)
    assert done.format == "skops"
    assert done.fallback_reason
    requirements = (Path(open_bentoml().bentos.get(done.tag).path) / "env" / "python" / "requirements.txt").read_text()
    assert "torch" not in requirements
    rows = one.holdout.head(3)
    with serving(done.tag, port=port, predictions=tmp_path / "log", log=tmp_path / "serve.log") as server:
        answers = ask(server.url, rows.to_dicts())["predictions"]
    expected = pipeline.predict_proba(rows.to_pandas())[:, 1]
    assert [answer["probabilities"]["1"] for answer in answers] == pytest.approx(expected)


def test_a_model_changed_after_packaging_is_never_served(fitted, signing_key, tmp_path, port):
    done = packaged(fitted("linear binary"), tmp_path, "tampered", signing_key)
    (Path(open_bentoml().models.get(done.model_tag).path) / "model.onnx").write_bytes(b"another model")
    started = time.monotonic()
    with (
        pytest.raises(RunFailed, match=r"not ready within 6 s|ended with code") as caught,
        serving(done.tag, port=port, predictions=tmp_path / "log", log=tmp_path / "serve.log", ready_seconds=6),
    ):
        raise AssertionError("served")
    assert time.monotonic() - started < 30
    assert caught.value.problems
    assert processes_of(done.tag) == []
    assert "model.onnx was changed after packaging" in (tmp_path / "serve.log").read_text()


def test_an_unknown_bento_is_an_error_with_the_servers_own_words(tmp_path, port):
    with (
        pytest.raises(RunFailed, match="ended with code") as caught,
        serving("nobody:v1", port=port, predictions=tmp_path, log=tmp_path / "log"),
    ):
        raise AssertionError("served")
    assert any("nobody" in problem for problem in caught.value.problems)


def test_a_server_that_ignores_the_request_to_stop_is_killed_with_its_workers(fitted, signing_key, tmp_path, port, monkeypatch):
    monkeypatch.setattr("workbench.serving.server.STOP_SECONDS", 1.0)
    done = packaged(fitted("linear multiclass"), tmp_path, "stubborn", signing_key)
    with serving(done.tag, port=port, predictions=tmp_path / "log", log=tmp_path / "serve.log") as server:
        assert psutil.Process(server.process.pid).children()
        server.process.send_signal(signal.SIGSTOP)
    assert server.process.poll() == -signal.SIGKILL
    assert processes_of(done.tag) == []


def test_workers_that_a_killed_server_left_behind_are_found(fitted, signing_key, tmp_path, port):
    done = packaged(fitted("linear multiclass"), tmp_path, "orphaned", signing_key)
    with serving(done.tag, port=port, predictions=tmp_path / "log", log=tmp_path / "serve.log") as server:
        server.process.kill()
        server.process.wait()
        assert processes_of(done.tag)
    assert processes_of(done.tag) == []


def test_two_workers_answer_and_log_to_files_of_their_own(fitted, signing_key, tmp_path, port):
    done = packaged(fitted("linear regression"), tmp_path, "two", signing_key)
    row = fitted("linear regression").holdout.row(0, named=True)
    with serving(done.tag, port=port, predictions=tmp_path / "log", log=tmp_path / "serve.log", workers=2) as server:
        asked = 0
        while len(list((tmp_path / "log").glob("*.jsonl"))) < 2:
            asked += 1
            ask(server.url, [row])
    assert len(list(read_predictions(tmp_path / "log"))) == asked


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])  # noqa: S104
def test_an_address_that_others_can_reach_is_refused(host):
    with pytest.raises(BadInput, match="can be reached from other machines") as caught:
        serve_command("credit:v1", host=host)
    assert "authentication and TLS" in caught.value.hint


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_addresses_are_served(host):
    command = serve_command("credit:v1", host=host, port=3001)
    assert command[1:] == ["-m", "bentoml", "serve", "credit:v1", "--host", host, "--port", "3001"]


def test_a_taken_port_is_refused_before_anything_starts(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = int(taken.getsockname()[1])
        with (
            pytest.raises(BadInput, match=f"port {number} is taken"),
            serving("x:1", port=number, predictions=tmp_path, log=tmp_path / "log"),
        ):
            raise AssertionError("served")
