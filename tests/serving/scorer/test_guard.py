"""The guard lets one JSON object through and refuses everything else, whatever the application behind would do."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.serving.scorer.guard import Guard

JSON = (b"content-type", b"application/json")
LIMIT = 2000


class Application:
    """Answers 200 and remembers what reached it."""

    def __init__(self) -> None:
        self.body: bytes | None = None
        self.headers: list[tuple[bytes, bytes]] = []

    async def __call__(self, scope, receive, send) -> None:
        self.headers = scope["headers"]
        self.body = (await receive())["body"] if scope["method"] == "POST" else b""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"public")]})
        await send({"type": "http.response.body", "body": b"fine"})


def ask(body=b"{}", headers=(JSON,), method="POST", path="/predict", chunk=None):
    """Sends one request through the guard; gives status, headers, body and what the application saw."""
    parts = [body[start : start + chunk] for start in range(0, max(1, len(body)), chunk)] if chunk else [body]
    events = [{"type": "http.request", "body": part, "more_body": index < len(parts) - 1} for index, part in enumerate(parts)]
    sent: list[dict] = []
    application = Application()

    async def receive():
        return events.pop(0) if events else {"type": "http.disconnect"}

    async def send(message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": list(headers)}
    asyncio.run(Guard(application, max_body_bytes=LIMIT, path="/predict")(scope, receive, send))
    content = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], dict(sent[0]["headers"]), content, application


def refusal(status: int, message: str, **request) -> None:
    found, headers, content, application = ask(**request)
    answer = json.loads(content)
    assert found == status
    assert message in answer["message"]
    assert set(answer) == {"error", "message", "problems", "hint", "request_id"}
    assert answer["request_id"] == headers[b"x-request-id"].decode()
    assert application.body is None


def test_a_json_object_reaches_the_application_in_one_piece():
    status, _, content, application = ask(b'{"rows": [1]}', chunk=3)
    assert (status, content, application.body) == (200, b"fine", b'{"rows": [1]}')


@pytest.mark.parametrize(
    "media",
    [
        b"application/vnd.bentoml+pickle",
        b"multipart/form-data",
        b"text/plain",
        b"application/x-www-form-urlencoded",
        b"",
        b"application/json; charset=utf-16",
    ],
)
def test_every_other_content_type_is_refused_on_every_path(media):
    for path in ("/predict", "/anything"):
        refusal(415, "expected application/json", headers=[(b"content-type", media)], path=path)
    refusal(415, "the content type is missing", headers=[])


def test_a_second_content_type_cannot_smuggle_the_body_to_another_parser():
    refusal(415, "pickle", headers=[(b"content-type", b"application/vnd.bentoml+pickle"), JSON])
    _, _, _, application = ask(headers=[JSON, (b"content-type", b"application/vnd.bentoml+pickle")])
    assert [value for name, value in application.headers if name == b"content-type"] == [b"application/json"]


def test_a_compressed_body_is_refused():
    refusal(415, "compressed", headers=[JSON, (b"content-encoding", b"gzip")])


def test_a_body_over_the_limit_is_refused_announced_or_chunked():
    refusal(413, f"larger than {LIMIT} bytes", headers=[JSON, (b"content-length", b"9" * 30)])
    refusal(413, f"larger than {LIMIT} bytes", body=b" " * (LIMIT + 1), chunk=100)
    assert ask(b"{}" + b" " * (LIMIT - 2), chunk=100)[0] == 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b"\xff\xfe{}", "not UTF-8 at byte 0"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": Infinity}', "not JSON"),
        (b'{"a": 1,}', "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b"[" * 900, "recursion limit"),
        (b'{"a": 1' + b"0" * 1900 + b"}", None),
        (b'{"a": "\\ud800"}', "not JSON"),
    ],
)
def test_what_is_not_json_is_refused_with_the_place(body, message):
    if message is None:
        assert ask(body)[0] == 200
    else:
        refusal(400, message, body=body)


@pytest.mark.parametrize("body", [b"[]", b"1", b'"text"', b"null"])
def test_json_that_is_no_object_is_refused(body):
    refusal(422, "not an object", body=body)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_on_the_route_are_refused(method):
    refusal(405, f"the method is {method}", method=method)
    assert ask(method=method)[1][b"allow"] == b"POST"


def test_pages_of_the_server_stay_readable():
    for path in ("/metrics", "/readyz", "/docs.json"):
        assert ask(method="GET", path=path, headers=[])[0] == 200


def test_a_plain_request_id_is_kept_and_any_other_replaced():
    assert ask(headers=[JSON, (b"x-request-id", b"order-7.a_B")])[1][b"x-request-id"] == b"order-7.a_B"
    for bad in (b"", b"a b", b"a\nb", b"x" * 65, "é".encode()):
        _, headers, _, application = ask(headers=[JSON, (b"x-request-id", bad)])
        assert re.fullmatch(rb"[0-9a-f]{32}", headers[b"x-request-id"])
        assert [value for name, value in application.headers if name == b"x-request-id"] == [headers[b"x-request-id"]]


def test_security_headers_are_on_every_answer_and_replace_the_applications_own():
    for answer in (ask(), ask(b""), ask(method="GET", path="/metrics")):
        headers = answer[1]
        assert headers[b"x-content-type-options"] == b"nosniff"
        assert headers[b"cache-control"] == b"no-store"
        assert headers[b"x-frame-options"] == b"DENY"


def test_a_client_that_leaves_early_reaches_nothing_and_keeps_no_task_waiting():
    sent: list[dict] = []
    application = Application()

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [JSON]}
    asyncio.run(Guard(application, max_body_bytes=LIMIT, path="/predict")(scope, receive, send))
    assert sent[0]["status"] == 400
    assert not sent[-1].get("more_body")
    assert application.body is None


def test_a_body_that_never_ends_is_refused_in_time():
    sent: list[dict] = []
    application = Application()

    async def receive():
        await asyncio.sleep(3600)

    async def send(message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [JSON]}
    asyncio.run(Guard(application, max_body_bytes=LIMIT, path="/predict", body_seconds=0.05)(scope, receive, send))
    assert sent[0]["status"] == 408
    assert "not complete within 0.05 s" in sent[-1]["body"].decode()


@given(body=st.binary(max_size=60), chunk=st.integers(1, 20))
def test_any_bytes_are_passed_as_an_object_or_refused(body, chunk):
    status, _, content, application = ask(body, chunk=chunk)
    assert status in (200, 400, 422)
    assert (application.body == body) is (status == 200)
    assert status == 200 or json.loads(content)["message"]
