"""The served bento answers good requests as the pipeline does, and every bad one with a 4xx that says what is wrong."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.data.contract import MISSING
from workbench.serving.scorer.predictions import read_predictions

GOOD = {"age": 40, "limit bal": 900.5, "SEX": 1, "copy": "a", "_own": True}
JSON = {"content-type": "application/json"}


def ask(running, body: bytes | str, headers=JSON, method="POST", path="/predict") -> tuple[int, dict, dict]:
    """Status, decoded body and headers of one request."""
    connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=20)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        decoded = json.loads(content) if content.startswith(b"{") else {"text": content.decode(errors="replace")}
        return answer.status, decoded, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def predict(running, *rows, **headers) -> tuple[int, dict, dict]:
    return ask(running, json.dumps({"rows": rows}), {**JSON, **headers})


def test_answers_are_those_of_the_pipeline(running):
    assert running.package.format == "onnx", running.package.fallback_reason
    rows = running.rows.head(30)
    status, answer, _ = predict(running, *rows.with_columns(pl.col("copy").replace(MISSING, None)).to_dicts())
    assert status == 200, answer
    expected = running.pipeline.predict_proba(rows.to_pandas())
    given_ = [[one["probabilities"]["no"], one["probabilities"]["yes"]] for one in answer["predictions"]]
    np.testing.assert_allclose(given_, expected, atol=1e-5)
    assert [one["label"] for one in answer["predictions"]] == running.pipeline.predict(rows.to_pandas()).tolist()
    assert answer["model"] == {"name": "small", "version": "v1", "digest": running.package.digest}


def test_an_unseen_category_is_answered_and_named(running):
    status, answer, _ = predict(running, {**GOOD, "copy": "never seen"})
    assert status == 200
    assert answer["warnings"] == ["row 0, field 'copy': the category 'never seen' was not seen at training"]


def test_a_prediction_is_logged_with_its_request_id_and_the_models_digest(running):
    _, answer, headers = predict(running, GOOD, {**GOOD, "age": 30}, **{"X-Request-ID": "order-7"})
    assert answer["request_id"] == headers["x-request-id"] == "order-7"
    logged = list(logged_rows(running, "order-7", count=2))
    assert [row["row"] for row in logged] == [0, 1]
    assert logged[1]["features"] == {"age": 30.0, "limit bal": 900.5, "SEX": "1", "copy": "a", "_own": "true"}
    assert logged[1]["prediction"] == answer["predictions"][1]["label"]
    assert logged[1]["probabilities"] == answer["predictions"][1]["probabilities"]
    assert (logged[1]["model"], logged[1]["digest"]) == ("small:v1", running.package.digest)


def logged_rows(running, request_id: str, count: int) -> Iterator[dict]:
    deadline = time.monotonic() + 10
    found: list[dict] = []
    while len(found) < count and time.monotonic() < deadline:
        found = [row for row in read_predictions(running.predictions) if row["request_id"] == request_id]
    yield from found


HUGE = "1" + "0" * 400
BAD = {
    "malformed": (b'{"rows": [', JSON, 400, "not JSON"),
    "empty": (b"", JSON, 400, "the body is empty"),
    "not UTF-8": (b"\xff\xfe", JSON, 400, "not UTF-8"),
    "NaN": (b'{"rows": [{"age": NaN}]}', JSON, 400, "not JSON"),
    "Infinity": (b'{"rows": [{"age": -Infinity}]}', JSON, 400, "not JSON"),
    "deep": (b'{"rows": ' + b"[" * 5000, JSON, 400, "recursion limit"),
    "wrong type": (b"{}", {"content-type": "text/plain"}, 415, "expected application/json"),
    "no type": (b"{}", {}, 415, "content type is missing"),
    "pickle": (b"cos\nsystem\n.", {"content-type": "application/vnd.bentoml+pickle"}, 415, "pickle"),
    "plain pickle": (b"cos\nsystem\n.", {"content-type": "application/octet-stream"}, 415, "octet-stream"),
    "multipart": (b"--x--", {"content-type": "multipart/form-data; boundary=x"}, 415, "multipart"),
    "huge": (b'{"rows": "' + b"x" * 30_000, JSON, 413, "larger than 20000 bytes"),
    "no rows key": (b"{}", JSON, 422, "'rows' is missing"),
    "a list": (b"[]", JSON, 422, "not an object"),
    "no rows": (b'{"rows": []}', JSON, 422, "0 rows"),
    "too many rows": (json.dumps({"rows": [{}] * 51}).encode(), JSON, 422, "51 rows, expected 1 to 50"),
    "a string for a number": (json.dumps({"rows": [{**GOOD, "age": "40"}]}).encode(), JSON, 422, "given the string '40'"),
    "a boolean for a number": (json.dumps({"rows": [{**GOOD, "age": True}]}).encode(), JSON, 422, "given the boolean true"),
    "null": (json.dumps({"rows": [{**GOOD, "age": None}]}).encode(), JSON, 422, "given null"),
    "an extra field": (json.dumps({"rows": [{**GOOD, "ages": 1}]}).encode(), JSON, 422, "Did you mean 'age'?"),
    "a missing field": (json.dumps({"rows": [{"age": 1}]}).encode(), JSON, 422, "field 'SEX': missing"),
    "beyond float32": (json.dumps({"rows": [{**GOOD, "age": 1e39}]}).encode(), JSON, 422, "1e+39"),
    "beyond float64": (json.dumps({"rows": [GOOD]}).replace("40", "1e999").encode(), JSON, 422, "too large"),
    "a huge integer": (json.dumps({"rows": [GOOD]}).replace("40", HUGE).encode(), JSON, 422, "given the number 1000"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_request_is_refused_with_what_is_wrong(running, case):
    body, headers, expected, message = BAD[case]
    status, answer, found = ask(running, body, headers)
    assert status == expected, answer
    assert set(answer) == {"error", "message", "problems", "hint", "request_id"}
    assert message in " ".join([answer["message"], *answer["problems"]])
    assert answer["request_id"] == found["x-request-id"]
    assert answer["hint"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_a_wrong_method_is_refused(running, method):
    status, answer, headers = ask(running, b"", {}, method=method)
    assert (status, headers["allow"]) == (405, "POST")
    assert f"the method is {method}" in answer["message"]


def test_a_chunked_body_is_cut_off_at_the_limit(running):
    def endless() -> Iterator[bytes]:
        yield b'{"rows": "'
        for _ in range(200):
            yield b"x" * 1000

    with contextlib.closing(http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=20)) as connection:
        try:
            connection.request("POST", "/predict", endless(), JSON, encode_chunked=True)
        except (BrokenPipeError, ConnectionResetError):
            return  # the server closed before everything was sent, which is what it should do
        assert connection.getresponse().status == 413


def test_what_is_not_http_does_not_hurt(running):
    parts = urlsplit(running.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as raw:
        raw.sendall(b"\x16\x03\x01 not http at all\r\n\r\n")
        assert b" 5" not in raw.recv(100)[:13]
    assert predict(running, GOOD)[0] == 200


def test_the_page_for_machines_describes_every_field(running):
    _, page, _ = ask(running, b"", {}, method="GET", path="/docs.json")
    body = page["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schema = page["components"]["schemas"][body["$ref"].rsplit("/", 1)[1]] if "$ref" in body else body
    row = schema["properties"]["rows"]["items"]
    assert set(row["properties"]) == set(GOOD)
    assert schema["properties"]["rows"]["maxItems"] == 50
    assert ask(running, json.dumps(schema["example"]))[0] == 200


def test_the_server_says_how_it_does(running):
    assert ask(running, b"", {}, method="GET", path="/readyz")[0] == 200
    assert ask(running, b"", {}, method="GET", path="/livez")[0] == 200
    metrics = ask(running, b"", {}, method="GET", path="/metrics")[1]["text"]
    assert 'bentoml_service_request_total{endpoint="/predict"' in metrics
    assert "workbench_predictions_dropped_total 0.0" in metrics


def test_refusals_leave_no_traceback_and_no_value_in_the_servers_log(running):
    predict(running, {**GOOD, "age": "a secret value"})
    text = running.log.read_text()
    assert "Traceback" not in text
    assert "a secret value" not in text


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(10**300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "x"]), inner, max_size=6),
    max_leaves=10,
)
FIELD = st.sampled_from([*GOOD, "extra"])
CHANGES = st.dictionaries(FIELD, VALUES, max_size=3)
BODIES = st.one_of(
    st.binary(max_size=200),
    VALUES.map(json.dumps).map(str.encode),
    st.lists(CHANGES.map(lambda change: {**GOOD, **change}), max_size=3).map(lambda rows: json.dumps({"rows": rows}).encode()),
    st.tuples(st.integers(0, 120), st.binary(max_size=4)).map(
        lambda cut: json.dumps({"rows": [GOOD]}).encode()[: cut[0]] + cut[1]
    ),
)
HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "content-encoding", "x-request-id", "accept", "transfer-encoding", "expect"]),
    st.sampled_from(
        ["application/json", "application/json; charset=utf-8", "application/vnd.bentoml+pickle", "gzip", "a" * 99, "x-1", ""]
    ),
    max_size=3,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    body=BODIES,
    headers=st.just(JSON) | HEADERS,
    path=st.sampled_from(["/predict", "/predict", "/predict/", "/%70redict", "/other"]),
)
def test_no_request_whatever_gets_a_5xx(running, body, headers, path):
    status, answer, _ = ask(running, body, headers, path=path)
    assert status < 500, (body, headers, answer)
    if status == 200:
        assert answer["predictions"]


@settings(max_examples=100, deadline=None)
@given(change=CHANGES)
def test_a_row_is_answered_with_finite_probabilities_or_refused_by_field(running, change):
    status, answer, _ = predict(running, {**GOOD, **change})
    if status == 200:
        (one,) = answer["predictions"]
        assert abs(sum(one["probabilities"].values()) - 1) < 1e-5
    else:
        assert status in (400, 422)
        assert answer["problems"] or answer["message"]
