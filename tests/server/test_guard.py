"""Nothing that a stranger sends makes the server fail, and nothing odd gets past its endpoint."""

from __future__ import annotations

import socket
import string
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.team import PROJECT, QUICK, Team
from workbench.errors import BadInput, WorkbenchError
from workbench.server import Settings, create_app
from workbench.server.routes import ROUTES, Route

SHAPE = {"error", "message", "problems", "hint"}
MODELS = f"/v1/projects/{PROJECT}/models"


def raw(crew: Team, request: bytes) -> bytes:
    """What the server says to exactly these bytes."""
    host, port = crew.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(request)
        line.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := line.recv(65536):
            answer += piece
    return answer


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def nothing() -> dict[str, str]:
    return {}


@pytest.mark.parametrize("permission", ["", "model:admire", "model"])
def test_the_server_does_not_start_with_a_route_that_names_no_permission_of_the_table(permission: str, tmp_path: Path) -> None:
    routes = (*ROUTES, Route("GET", "/v1/forgotten", permission, nothing))
    with pytest.raises(WorkbenchError, match="permission"):
        create_app(Settings(folder=tmp_path, routes=routes))


def test_every_refusal_has_the_one_shape(crew: Team) -> None:
    refused = [
        crew.ask(None, "GET", MODELS),
        crew.ask("viewer", "POST", MODELS, json={}),
        crew.ask("viewer", "GET", "/v1/nothing"),
        crew.ask("viewer", "PATCH", MODELS),
        crew.ask("viewer", "GET", f"{MODELS}/UPPER"),
        crew.ask("scientist", "POST", MODELS, content=b"{", headers={"content-type": "application/json"}),
        crew.ask("scientist", "POST", MODELS, content=b"a=b", headers={"content-type": "text/plain"}),
        crew.ask("scientist", "POST", MODELS, json={"model": "x" * 1_100_000}),
        crew.ask("viewer", "GET", MODELS, headers={"host": "evil.example"}),
    ]
    assert [answer.status_code for answer in refused] == [401, 403, 404, 405, 422, 422, 415, 413, 403]
    for answer in refused:
        assert set(answer.json()) == SHAPE, answer.text


def test_a_chunked_body_is_counted_and_answered_with_413(crew: Team) -> None:
    token = crew.tokens["scientist"].encode()
    head = b"POST " + MODELS.encode() + b" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token
    head += b"\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    answer = raw(crew, head + chunked(*[b"[" * 100_000] * 12))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"error": "TooLarge"' in answer


def test_what_a_stranger_sends_is_not_read_before_the_refusal(crew: Team) -> None:
    head = (
        b"POST "
        + MODELS.encode()
        + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n"
    )
    assert raw(crew, head).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("name", ["token", "access_token", "api_key", "Authorization"])
def test_a_token_in_an_address_is_refused(name: str, crew: Team) -> None:
    answer = crew.ask("viewer", "GET", f"{MODELS}?{name}={crew.tokens['viewer']}")
    assert answer.status_code == 422
    assert "Revoke it" in answer.json()["hint"]


@pytest.mark.parametrize("header", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}])
def test_another_sites_page_cannot_act(header: dict[str, str], crew: Team) -> None:
    assert crew.ask("scientist", "POST", MODELS, json={}, headers=header).status_code == 403
    assert crew.ask("scientist", "POST", MODELS, json={}).status_code == 422


def test_two_headers_of_a_name_that_decides_are_refused(crew: Team) -> None:
    token = crew.tokens["viewer"]
    headers = [("authorization", f"Bearer {token}"), ("authorization", "Bearer other")]
    assert httpx.get(f"{crew.url}{MODELS}", headers=headers).status_code == 422


def test_every_answer_carries_the_security_headers(crew: Team) -> None:
    for answer in (crew.ask(None, "GET", "/v1/health"), crew.ask(None, "GET", MODELS), crew.ask("viewer", "GET", MODELS)):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers


ODD = [
    "..",
    "%2e%2e",
    "..%2f..%2fetc",
    "%00",
    "a%00b",
    "a\\b",
    "//",
    "%5c%5chost%5cshare",
    "#",
    "?",
    "%ff",
    "a" * 5000,
    "%0d%0aX: y",
]


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_name_in_a_path_is_refused_in_the_one_shape(odd: str, crew: Team) -> None:
    for person, verb, path in (
        ("viewer", "GET", f"{MODELS}/{odd}"),
        ("approver", "POST", f"{MODELS}/{odd}/approve"),
        ("viewer", "GET", f"/v1/projects/{odd}/models"),
        ("scientist", "PUT", f"/v1/projects/{PROJECT}/objects/{odd}"),
        ("admin", "POST", f"/v1/people/{odd}/erase"),
    ):
        answer = crew.ask(person, verb, path)
        assert answer.status_code < 500, (verb, path, answer.text)
        if answer.status_code >= 400:
            assert set(answer.json()) == SHAPE


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(
    body=json_values | st.dictionaries(st.sampled_from(["model", "records", "files", "bundle", "role", "comment"]), json_values)
)
def test_no_json_makes_the_server_fail(body: object, crew: Team) -> None:
    import json

    content = json.dumps(body).encode()
    for person, path in (
        ("scientist", MODELS),
        ("approver", f"{MODELS}/model-1/approve"),
        ("operator", f"{MODELS}/model-1/promote"),
    ):
        answer = crew.ask(person, "POST", path, content=content, headers={"content-type": "application/json"})
        assert answer.status_code < 500, answer.text


@FUZZ
@given(content=st.binary(max_size=200), kind=st.sampled_from(["application/json", "application/JSON; charset=utf-7", "text/xml"]))
def test_no_bytes_make_the_server_fail(content: bytes, kind: str, crew: Team) -> None:
    for path in (MODELS, f"/v1/projects/{PROJECT}/objects"):
        answer = crew.ask("scientist", "POST", path, content=content, headers={"content-type": kind})
        assert answer.status_code < 500, answer.text


@FUZZ
@given(
    names=st.lists(st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=20), max_size=5),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=300),
    path=st.text(max_size=40),
)
def test_no_header_and_no_path_makes_the_server_fail(names: list[str], value: str, path: str, crew: Team) -> None:
    lines = [b"GET /v1/" + quote(path).encode() + b" HTTP/1.1", b"Host: localhost", b"Connection: close"]
    lines += [name.encode() + b": " + value.strip().encode("latin-1") for name in (*names, "Authorization", "Content-Length")]
    answer = raw(crew, b"\r\n".join(lines) + b"\r\n\r\n")
    assert answer[9:10] in (b"", b"2", b"4"), answer[:200]


@pytest.mark.parametrize("depth", [1000, 100_000])
def test_deeply_nested_json_is_refused(depth: int, crew: Team) -> None:
    answer = crew.ask("scientist", "POST", MODELS, content=b"[" * depth, headers={"content-type": "application/json"})
    assert answer.status_code == 422


def test_cheap_password_hashes_are_refused_where_others_can_come(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="too cheaply"):
        create_app(Settings(folder=tmp_path, hosts=frozenset({"workbench.example"}), cost=QUICK))
    assert list(tmp_path.iterdir()) == []
